"""The tables of the guide in which rows are the library's: none is without its advice."""

from __future__ import annotations

import re
import sys

import pytest
from docutils.statemachine import StringList

from pynetdicom import errors
from pynetdicom.services import classes
from tests.conftest import ROOT

pytest.importorskip("sphinx", reason="the documentation is built with the docs extra")
sys.path.insert(0, str(ROOT / "docs" / "_ext"))
import pynetdicom_guide as guide

PAGE = (ROOT / "docs" / "errors.rst").read_text()


def made(directive: type[guide.Advised], name: str) -> str:
    """What a directive of the page prints."""
    [content] = re.findall(rf"^\.\. {name}::\n\n((?:   .*\n)+)", PAGE, re.MULTILINE)
    one = object.__new__(directive)
    one.content = StringList(re.sub("(?m)^   ", "", content).splitlines())
    return one.text()


def test_each_exception_has_its_row() -> None:
    text = made(guide.ExceptionTable, "exception-table")
    for name in (name for name, one in vars(errors).items() if isinstance(one, type)):
        assert f"* - `{name} <pynetdicom.errors.{name}>`\n     - ``" in text


def test_each_end_of_an_association_has_its_row() -> None:
    text = made(guide.EndedTable, "ended-table")
    assert guide.endings() >= {("released", "local"), ("rejected", "peer"), ("failed", "network")}
    for kind, by in guide.endings():
        assert f"* - ``'{kind}'``\n     - ``'{by}'``\n     - " in text


def test_each_status_of_ours_has_its_row() -> None:
    text = made(guide.OwnStatuses, "own-statuses")
    for answers in classes.ANSWERS.values():
        for status in (answers.failed, answers.no_status, answers.no_resources):
            assert f"* - ``0x{status:04X}``\n" in text
    assert "``0x0124``\n     - an access rule does not allow it\n" in text
    assert ", N-…\n" in text


def test_what_has_no_advice_is_named() -> None:
    one = object.__new__(guide.EndedTable)
    one.content = StringList(["released local: nothing"])
    with pytest.raises(ValueError, match="'rejected peer'"):
        one.text()
