"""Directives of tables in which the rows are the library's and the advice is the manual's.

The advice stands below the directive, a line each: what it is for, a colon, the advice. A row
without advice, and advice without a row, fail the build.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pynetdicom_errors
from pynetdicom_tables import Table, answer_rows, list_table
from sphinx.application import Sphinx

from pynetdicom import errors

HERE = Path(__file__).resolve().parent


class Advised(Table):
    """A table of `rows`, each with its advice as last cell.

    Attributes
    ----------
    head : tuple of str
    """

    has_content = True
    head: tuple[str, ...]

    def rows(self) -> dict[str, tuple[str, ...]]:
        """What the advice is for → the cells before it."""
        raise NotImplementedError

    def advice(self) -> dict[str, str]:
        """What stands below the directive; a line that is indented goes on."""
        found: dict[str, str] = {}
        for line in self.content:
            if line.startswith(" "):
                found[next(reversed(found))] += " " + line.strip()
            elif line:
                key, _, text = line.partition(": ")
                found[key] = text.strip()
        return found

    def text(self) -> str:
        rows, advice = self.rows(), self.advice()
        if rows.keys() != advice.keys():
            raise ValueError(f"advice is missing, or for nothing: {rows.keys() ^ advice.keys()}")
        return list_table(self.head, ((*cells, advice[key]) for key, cells in rows.items()))


class ExceptionTable(Advised):
    """``.. exception-table::``: what `pynetdicom.errors` has."""

    head = ("Exception", "Is a", "What it means", "What to do")

    def rows(self) -> dict[str, tuple[str, ...]]:
        return {
            name: (
                f"`{name} <pynetdicom.errors.{name}>`",
                ", ".join(f"``{base.__name__}``" for base in one.__bases__),
                (inspect.getdoc(one) or "").split("\n\n")[0].replace("\n", " "),
            )
            for name, one in vars(errors).items()
            if isinstance(one, type) and one.__module__ == errors.__name__
        }


class EndedTable(Advised):
    """``.. ended-table::``: how associations end, and by whom."""

    head = ("``ended.kind``", "``ended.by``", "What to do")

    def rows(self) -> dict[str, tuple[str, ...]]:
        return {f"{kind} {by}": (f"``'{kind}'``", f"``'{by}'``") for kind, by in sorted(endings())}


@cache
def endings() -> frozenset[tuple[str, str]]:
    """Kind and by whom, of all the ends that there are."""
    from pynetdicom.upper_layer import fsm

    by_table = {(one.ends, one.by) for one in fsm.ACTIONS.values() if one.ends}
    said = {
        tuple(part.value for part in call.args[:2])
        for module in pynetdicom_errors.modules().values()
        for call in module.calls
        if getattr(call.func, "id", "") == "Ended"
        and all(isinstance(part, ast.Constant) for part in call.args[:2])
    }
    return frozenset(by_table | said)


class OwnStatuses(Advised):
    """``.. own-statuses::``: what the library answers with by itself, whatever the operation."""

    head = ("Status", "When", "Operations", "What who is answered so should do")

    def rows(self) -> dict[str, tuple[str, ...]]:
        return {
            code: (f"``{code}``", "; ".join(whens), ", ".join(operations))
            for code, (whens, operations) in sorted(own_statuses().items())
        }


def own_statuses() -> dict[str, tuple[list[str], list[str]]]:
    """Status → when, and in answer to what."""
    from pynetdicom.services import classes

    found: dict[str, tuple[list[str], list[str]]] = {}
    for operation in classes.ANSWERS:
        rows = answer_rows(operation) | {"an access rule does not allow it": classes.NOT_AUTHORIZED}
        for when, status in rows.items():
            whens, operations = found.setdefault(f"0x{status:04X}", ([], []))
            whens += [] if when in whens else [when]
            operations += [] if operation in operations else [operation]
    return {code: (whens, list(_grouped(ones))) for code, (whens, ones) in found.items()}


def _grouped(operations: list[str]) -> Iterator[str]:
    """Operations, all of the N-services as one."""
    from pynetdicom.services import classes

    ours = [one for one in classes.ANSWERS if one.startswith("N-")]
    yield from (one for one in operations if one not in ours or not {*ours} <= {*operations})
    if {*ours} <= {*operations}:
        yield "N-…"


COUNTERPARTS = {
    "echoscu": "echoscu",
    "storescu": "storescu",
    "dcmsend": "storescu",
    "storescp": "storescp",
    "dcmrecv": "storescp",
    "findscu": "findscu",
    "getscu": "getscu",
    "movescu": "movescu",
    "dcmqrscp": "qrscp",
    "wlmscpfs": "workflowscp",
}
"""DCMTK's program → ours."""


class OldNames(Table):
    """``.. old-names::``: names of SOP Classes that earlier versions had, and what they are now."""

    def text(self) -> str:
        from pynetdicom.uids import ALIASES, uid_of

        rows = (
            (f"``{old}``", f"``{new}``", f"``{uid_of(new)}``")
            for old, new in sorted(ALIASES.items())
        )
        return list_table(("Earlier", "Now", "UID"), rows)


class DcmtkRow(NamedTuple):
    """What stands for some options of programs of DCMTK.

    Attributes
    ----------
    ours : str
        Options of ours, or keys of a configuration; ``always``: it is so without an option;
        ``none``, and `remark` says why.
    """

    programs: tuple[str, ...]
    options: tuple[str, ...]
    ours: str
    remark: str


@cache
def dcmtk_rows() -> list[DcmtkRow]:
    """All of ``docs/data/dcmtk.tsv``, where ``*`` is all programs."""
    found = []
    for line in (HERE.parent / "data" / "dcmtk.tsv").read_text().splitlines()[1:]:
        programs, options, ours, remark = [*line.split("\t"), ""][:4]
        of = tuple(COUNTERPARTS) if programs == "*" else tuple(programs.split())
        found.append(DcmtkRow(of, tuple(options.split()), ours, remark))
    return found


class DcmtkOptions(Table):
    """``.. dcmtk-options:: storescu``: what stands for the options of a program of DCMTK."""

    required_arguments = 1

    def text(self) -> str:
        rows = (
            (
                ", ".join(f"``{option}``" for option in row.options),
                row.ours if row.ours in ("always", "none") else f"``{row.ours}``",
                re.sub("`([^`]+)`", r"``\1``", row.remark),
            )
            for row in dcmtk_rows()
            if self.arguments[0] in row.programs
        )
        return list_table(("DCMTK", "Ours", "Remark"), rows)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("exception-table", ExceptionTable)
    app.add_directive("ended-table", EndedTable)
    app.add_directive("own-statuses", OwnStatuses)
    app.add_directive("old-names", OldNames)
    app.add_directive("dcmtk-options", DcmtkOptions)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
