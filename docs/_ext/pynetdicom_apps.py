"""Directives that print what the parsers of the command line programs say, and what they share."""

from __future__ import annotations

import argparse
import re
from importlib import import_module
from typing import Any

from pynetdicom_tables import Table, list_table
from sphinx.application import Sphinx


def make_parser(app: str) -> argparse.ArgumentParser:
    """The parser of an app."""
    module = import_module(f"pynetdicom.apps.{app.replace('-', '_')}")
    parser: argparse.ArgumentParser = module.make_parser()
    return parser


EXIT_SENTENCE = "The exit code is "
"""How a parser's description begins to say when all went well."""


class AppList(Table):
    """``.. app-list::``: the apps, and what each is for."""

    def text(self) -> str:
        from pynetdicom.__main__ import APPS

        rows = ((f":doc:`{page_of(name)}`", what) for name, what in APPS.items())
        return list_table(("Program", "What for"), rows)


def page_of(app: str) -> str:
    """The page of an app; that of the archive is older than the others."""
    return "/qrscp" if app == "qrscp" else f"/apps/{app}"


class AppOptions(Table):
    """``.. app-options:: storescu``: the options of an app, from its parser."""

    required_arguments = 1

    def text(self) -> str:
        parser = make_parser(self.arguments[0])
        given = [_value(action) for action in parser._actions if not action.option_strings]
        lines = [
            ".. code-block:: text",
            "",
            f"   {' '.join([parser.prog, '[OPTION …]', *given])}",
            "",
        ]
        for group in parser._action_groups:
            actions = [action for action in group._group_actions if action.help]
            if actions:
                title = group.title or ""
                lines += [f".. rubric:: {title[:1].upper()}{title[1:]}", "", *_options(actions), ""]
        return "\n".join(lines)


class AppExitStatus(Table):
    """``.. app-exit-status:: storescu``: its exit codes; without a name those of all apps."""

    required_arguments = 0
    optional_arguments = 1

    def text(self) -> str:
        codes = dict(EXIT_CODES)
        if self.arguments:
            parser = make_parser(self.arguments[0])
            _, _, well = (parser.description or "").partition(EXIT_SENTENCE)
            codes["0"] = _plain(re.sub("^0 (only )?", "", well).capitalize()) or WELL
            if "--drain" in parser._option_string_actions:
                codes["0"] = f"It was ended {SERVED}"
                del codes["130"]
        return list_table(("Code", "Meaning"), codes.items())


WELL = "All went well."

SERVED = "by Ctrl-C or SIGTERM, see :doc:`/production`."

EXIT_CODES = {
    "0": f"{WELL} Those that listen were ended {SERVED}",
    "1": "Something did not go well: no association, no answer, a refused or unreadable file, a"
    " final status other than success, an object that did not arrive, an address in use.",
    "2": "The command line is wrong.",
    "130": "Interrupted by Ctrl-C (those that ask). A query or retrieve is cancelled properly"
    " before.",
}
"""What the exit codes of all apps mean."""


class VerbOptions(Table):
    """``.. verb-options:: import``: what a verb of qrscp takes, but for what all verbs do."""

    required_arguments = 1

    def text(self) -> str:
        from pynetdicom.apps.archive import admin

        verb = self.arguments[0]
        own = (admin.GIVEN, admin.OWN)
        groups = [one for one in admin.make_parser(verb)._action_groups if one.title in own]
        actions = [action for group in groups for action in group._group_actions]
        return "\n".join([admin.VERBS[verb].purpose, "", *_options(actions)])


def _options(actions: list[argparse.Action]) -> list[str]:
    """Options, each with its help text, and what that does not say of its choices and default."""
    if not actions:
        return []
    return list_table(("Option", "What it does"), map(_option, actions)).splitlines()


def _option(action: argparse.Action) -> tuple[str, str]:
    told = (action.help or "") % {"default": action.default, "prog": "it"}
    for one in action.choices or ():
        if str(one) not in told:
            told += f"; may be {', '.join(map(str, action.choices or ()))}"
            break
    default = action.default
    is_told = "default" in told or default in (None, False, True, argparse.SUPPRESS)
    if action.option_strings and not is_told and isinstance(default, int | float | str) and default:
        told += (
            f" (default: {default:g})" if isinstance(default, float) else f" (default: {default})"
        )
    return _synopsis(action), _plain(told)


class UsualKeys(Table):
    """``.. usual-keys::``: what findscu asks for, by model and level."""

    def text(self) -> str:
        from pynetdicom.apps.query import MODEL_NAMES
        from pynetdicom.apps.usual_keys import USUAL

        rows = [
            (MODEL_NAMES[model], level or "", ", ".join(f"``{key}``" for key in keys))
            for (model, level), keys in USUAL.items()
        ]
        return list_table(("Model", "Level", "Keys"), rows)


def _value(action: argparse.Action) -> str:
    """A positional argument, as the usage has it."""
    name = str(action.metavar or action.dest)
    return {"+": f"{name} …", "*": f"[{name} …]", "?": f"[{name}]"}.get(str(action.nargs), name)


def _synopsis(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else str(action.metavar or action.dest)
    if not action.option_strings:
        return f"``{action.dest}``" + (" (one or more)" if action.nargs == "+" else "")
    return ", ".join(f"``{flag} {value}``".replace(" ``", "``") for flag in action.option_strings)


def _plain(text: str) -> str:
    """A help text as reStructuredText."""
    for character in "\\*`_|":
        text = text.replace(character, f"\\{character}")
    return text


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    for name, directive in {
        "app-list": AppList,
        "app-options": AppOptions,
        "app-exit-status": AppExitStatus,
        "verb-options": VerbOptions,
        "usual-keys": UsualKeys,
    }.items():
        app.add_directive(name, directive)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
