"""The tables of the guide in which rows are the library's: none is without its advice."""

from __future__ import annotations

import re
import sys
from importlib import import_module

import pytest
from docutils.statemachine import StringList

from pynetdicom import _logging, errors
from pynetdicom.apps import workflow_config
from pynetdicom.apps.access import ACCESS
from pynetdicom.apps.archive import config
from pynetdicom.services import classes
from pynetdicom.upper_layer.ended import REJECT_REASONS
from tests.conftest import ROOT

pytest.importorskip("sphinx", reason="the documentation is built with the docs extra")
sys.path.insert(0, str(ROOT / "docs" / "_ext"))
import pynetdicom_guide as guide
from pynetdicom_errors import collected

PAGE = (ROOT / "docs" / "errors.rst").read_text()


def made(directive: type[guide.Advised], name: str) -> str:
    """What a directive of the page prints."""
    [content] = re.findall(rf"^\.\. {name}::\n\n((?:   .*\n)+)", PAGE, re.MULTILINE)
    one = object.__new__(directive)
    one.content = StringList(re.sub("(?m)^   ", "", content).splitlines())
    return one.text()


def test_each_exception_has_its_row() -> None:
    text = made(guide.ExceptionTable, "exception-table")
    ours = {name: one for name, one in vars(errors).items() if isinstance(one, type)}
    for name in (name for name, one in ours.items() if issubclass(one, errors.PynetdicomError)):
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


# From DCMTK's programs


def flags_of(app: str) -> set[str]:
    """The options of a program of ours."""
    parser = import_module(f"pynetdicom.apps.{app.replace('-', '_')}").make_parser()
    return {flag for action in parser._actions for flag in action.option_strings}


KEYS = {
    "[[access]]",
    *(f"[[access]] {key}" for key in ACCESS),
    *(
        f"[{section}] {key}"
        for rules in (config, workflow_config)
        for section, keys in rules.SECTIONS.items()
        for key in keys
    ),
}


@pytest.mark.parametrize("program", guide.COUNTERPARTS)
def test_what_stands_for_an_option_of_dcmtk_is_there(program: str) -> None:
    ours = flags_of(guide.COUNTERPARTS[program])
    rows = [row for row in guide.dcmtk_rows() if program in row.programs]
    assert len(rows) > 15
    for row in rows:
        if row.ours.startswith("["):
            assert row.ours in KEYS
        elif row.ours not in ("always", "none"):
            flags = {word for word in row.ours.split() if word[0] in "-+"}
            assert flags
            assert flags <= ours, row
        assert row.remark or row.ours != "none", row


def test_options_of_ours_that_remarks_name_are_there() -> None:
    ours = set().union(*map(flags_of, guide.COUNTERPARTS.values()))
    named = {
        word
        for row in guide.dcmtk_rows()
        for literal in re.findall("`([^`]+)`", row.remark)
        for word in literal.split()
        if word[0] in "-+"
    }
    assert len(named) > 10
    assert named <= ours


def test_each_program_of_dcmtk_is_on_the_page() -> None:
    page = (ROOT / "docs" / "moving" / "from_dcmtk.rst").read_text()
    found = re.findall(r"^\.\. dcmtk-options:: (\w+)$", page, re.MULTILINE)
    assert sorted(found) == sorted(guide.COUNTERPARTS)
    for program in guide.COUNTERPARTS:
        options = [
            option
            for row in guide.dcmtk_rows()
            if program in row.programs
            for option in row.options
        ]
        assert len({*options}) == len(options)
        directive = object.__new__(guide.DcmtkOptions)
        directive.arguments = [program]
        text = directive.text()
        for option in options:
            assert f"``{option}``" in text


# Out of trouble


def test_each_reason_of_a_rejection_has_its_row() -> None:
    page = (ROOT / "docs" / "troubleshooting.rst").read_text()
    for numbers, text in REJECT_REASONS.items():
        assert re.search(rf"``{text}`` \({re.escape(str(numbers)[1:-1])}\)", page), text


def test_texts_in_troubles_are_said_by_the_library() -> None:
    """But for those of other programs and of the system."""
    page = (ROOT / "docs" / "troubleshooting.rst").read_text()
    said = " ".join(one.text for one in collected())
    foreign = (
        "Connection refused",
        "Address already",
        "Permission denied",
        "mismatch",
        "issuer",
        "by the peer",
    )
    for symptoms in re.findall(r"^   \* - (.*)$", page, re.MULTILINE):
        for text in re.findall("``([^`]+)``", symptoms):
            if any(word in text for word in foreign):
                continue
            for part in filter(str.strip, re.split("…|: |Error", text)):
                if " " in part.strip() and "Too many" not in part:
                    assert part.strip() in said or "ran out" in part, part


def test_the_loggers_are_on_their_page() -> None:
    page = (ROOT / "docs" / "logging.rst").read_text()
    _, _, table = page.partition("Logger below ``pynetdicom``\n")
    found = re.findall(r"^   \* - ``(\w+)``$", table.partition("code-block")[0], re.MULTILINE)
    assert sorted(found) == sorted(_logging.NAMES)
