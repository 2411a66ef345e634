"""Each program has its page, and its options there are those of its parser."""

from __future__ import annotations

import argparse
import re
import sys
from importlib import import_module

import pytest

from pynetdicom.__main__ import APPS
from pynetdicom.apps.archive import admin
from tests.conftest import ROOT
from tests.docs.conftest import BLOCKS

pytest.importorskip("sphinx", reason="the documentation is built with the docs extra")
sys.path.insert(0, str(ROOT / "docs" / "_ext"))
import pynetdicom_apps as pages


def run(directive: type, *arguments: str) -> str:
    made = object.__new__(directive)
    made.arguments = list(arguments)
    text: str = made.text()
    return text


def page(app: str) -> str:
    return (ROOT / "docs" / f"{pages.page_of(app)[1:]}.rst").read_text()


def parser_of(app: str) -> argparse.ArgumentParser:
    parser = import_module(f"pynetdicom.apps.{app.replace('-', '_')}").make_parser()
    assert isinstance(parser, argparse.ArgumentParser)
    return parser


def test_there_is_a_page_for_each_program_and_for_nothing_else() -> None:
    there = {path.stem for path in (ROOT / "docs" / "apps").glob("*.rst")}
    assert there == set(APPS) - {"qrscp"}
    overview = (ROOT / "docs" / "apps.rst").read_text()
    assert re.findall(r"^   apps/([\w-]+)$", overview, re.M) == [
        one for one in APPS if one in there
    ]
    listed = run(pages.AppList)
    for name, what in APPS.items():
        assert f":doc:`{pages.page_of(name)}`\n     - {what}" in listed


@pytest.mark.parametrize("app", APPS)
def test_a_page_has_purpose_example_options_and_exit_status(app: str) -> None:
    text = page(app)
    for directive in ("app-options", "app-exit-status"):
        assert re.findall(rf"^\.\. {directive}:: (.*)$", text, re.M) == [app]
    purpose = text.split("\n\n")[1]
    assert re.match(r"[A-Z]", purpose)
    name = f"docs{pages.page_of(app)}.rst"
    examples = [block.text for block in BLOCKS if (block.page, block.language) == (name, "console")]
    assert any(re.search(rf"^\$ (python -m pynetdicom )?{app}\b", one, re.M) for one in examples)


@pytest.mark.parametrize("app", APPS)
def test_options_are_those_of_the_parser(app: str) -> None:
    text = run(pages.AppOptions, app)
    parser = parser_of(app)
    shown = re.findall(r"^   \* - (``.*)$", text, re.M)
    actions = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    assert shown == [pages._synopsis(one) for group in parser._action_groups
                     for one in group._group_actions if one in actions]  # fmt: skip
    flags = {flag for one in shown for flag in re.findall(r"``([-+][^\s`]*)", one)}
    assert flags == {flag for action in actions for flag in action.option_strings}
    for group in parser._action_groups:
        if group._group_actions:
            assert f".. rubric:: {str(group.title)[:1].upper()}" in text


@pytest.mark.parametrize("app", APPS)
def test_choices_and_defaults_are_said(app: str) -> None:
    text = run(pages.AppOptions, app)
    for action in parser_of(app)._actions:
        [row] = [
            one for one in text.split("   * - ") if one.startswith(f"{pages._synopsis(action)}\n")
        ]
        for choice in action.choices or ():
            assert str(choice) in row
        if isinstance(action.default, int | float) and not isinstance(action.default, bool):
            assert f"{action.default:g}" in row or str(action.default) in row


def test_defaults_and_choices_that_the_help_does_not_say() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--many", default=3, type=int, help="so many")
    parser.add_argument("--form", default="a", choices=["a", "b"], help="which")
    options = "\n".join(pages._options(parser._actions[1:]))
    assert "so many (default: 3)" in options
    assert "which; may be a, b (default: a)" in options


@pytest.mark.parametrize("app", APPS)
def test_exit_codes(app: str) -> None:
    text = run(pages.AppExitStatus, app)
    codes = re.findall(r"\* - (\d+)\n", text)
    serves = "--drain" in parser_of(app)._option_string_actions
    assert codes == (["0", "1", "2"] if serves else ["0", "1", "2", "130"])
    assert ("SIGTERM" in text) is serves
    if app == "storescu":
        assert (
            "0\n     - If all were sent and stored, with a warning of the peer or without." in text
        )


def test_the_overview_has_all_exit_codes() -> None:
    assert re.findall(r"\* - (\d+)\n", run(pages.AppExitStatus)) == ["0", "1", "2", "130"]


def test_all_verbs_of_the_archive_are_listed() -> None:
    text = (ROOT / "docs" / "qrscp.rst").read_text()
    assert re.findall(r"^\.\. verb-options:: (\w+)$", text, re.MULTILINE) == list(admin.VERBS)
    for verb in admin.VERBS:
        text = run(pages.VerbOptions, verb)
        for flags, _ in admin._module(verb).OPTIONS:
            assert f"``{flags[0]}" in text
