"""The manual's tables and its picture are made from the library's own."""

from __future__ import annotations

import re
import sys

import pytest

from pynetdicom.__main__ import APPS
from pynetdicom.upper_layer import fsm
from tests.conftest import ROOT

pytest.importorskip("sphinx", reason="the documentation is built with the docs extra")
sys.path.insert(0, str(ROOT / "docs" / "_ext"))
import pynetdicom_tables as tables


def test_the_picture_has_every_state_and_every_move() -> None:
    drawn = tables.picture("alt")
    assert set(tables.PLACES) == set(fsm.STATES)
    assert len(set(tables.PLACES.values())) == len(fsm.STATES)
    for state in fsm.STATES:
        assert f">{state}<" in drawn
    for labels in tables.moves().values():
        for label in labels:
            assert label in drawn
    used = {label.partition(": ")[2] for labels in tables.moves().values() for label in labels}
    assert used == {label for label in fsm.ACTIONS if not label.startswith("AA-")}


def test_the_boxes_hold_their_text() -> None:
    for state, meaning in fsm.STATES.items():
        lines = tables._box(state, meaning, []).count("<text")
        inside = sum(
            len(labels)
            for (origin, target), labels in tables.moves().items()
            if origin == state and (target in tables.ENDS or target == state)
        )
        assert 16 + 13 * (lines + inside - 1) < tables.HEIGHT


def test_the_page_lists_the_options_of_all_apps() -> None:
    pages = (ROOT / "docs" / name for name in ("apps.rst", "qrscp.rst"))
    text = "\n".join(page.read_text() for page in pages)
    assert set(re.findall(r"^\.\. app-options:: (\w+)$", text, re.MULTILINE)) == set(APPS)


@pytest.mark.parametrize("app", APPS)
def test_all_options_of_an_app_are_listed(app: str) -> None:
    from importlib import import_module

    directive = object.__new__(tables.AppOptions)
    directive.arguments = [app]
    text = directive.text()
    parser = import_module(f"pynetdicom.apps.{app}").make_parser()
    for action in parser._actions:
        for flag in action.option_strings:
            assert f"``{flag}" in text
