"""Directives that print the conformance statement's tables, from what the library itself holds.

What the programs negotiate is seen by running each up to where it would listen or associate, see
`observe`; services, statuses, profiles and limits are the package's own tables.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from pynetdicom_apps import make_parser
from pynetdicom_tables import Table, _status_rows, list_table
from sphinx.application import Sphinx

HERE = Path(__file__).parent


class Proposal(NamedTuple):
    """A presentation context of a program, and what the program is in it."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]
    role: str


@cache
def observed() -> dict[str, list[dict[str, Any]]]:
    """What each program negotiates, each time that it listens or associates."""
    command = [sys.executable, str(HERE / "observe.py")]
    ran = subprocess.run(
        command, capture_output=True, text=True, cwd=HERE.parents[1], env=environment(), check=True
    )
    found: dict[str, list[dict[str, Any]]] = json.loads(ran.stdout.splitlines()[-1])
    return found


def environment() -> dict[str, str]:
    """This process's environment, with the package that this process has."""
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), *sys.path])}


@cache
def proposals(app: str, side: str) -> tuple[Proposal, ...]:
    """The presentation contexts of a program as requestor, or acceptor, of an association."""
    found: dict[Proposal, None] = {}
    for noted in observed()[app]:
        if noted["side"] == side:
            for abstract, transfer, scu, scp in noted["contexts"]:
                serves = side == "acceptor"
                if (scp and not scu) or abstract in noted.get("roles", ()):
                    serves = not serves
                role = "SCP" if serves else "SCU"
                found[Proposal(abstract, tuple(transfer), role)] = None
    return tuple(found)


def is_unrestricted(app: str) -> bool:
    """Whether it takes storage classes and transfer syntaxes that it does not list."""
    return any(noted.get("unrestricted") for noted in observed()[app])


def programs_of(uid: str, role: str) -> list[str]:
    """The programs that have a role in a SOP Class."""
    from pynetdicom.services import registry

    stores = registry.is_storage(uid)
    return [
        app
        for app in observed()
        if (uid, role) in _roles(app)
        or (stores and role == "SCP" and is_unrestricted(app))
        or (stores and role == "SCU" and app in SENDERS)
    ]


SENDERS = ("storescu", "qrscp")
"""What they propose for storage are the SOP Classes and transfer syntaxes of what they send."""


@cache
def _roles(app: str) -> frozenset[tuple[str, str]]:
    """The SOP Classes that a program lists, and its role in each."""
    return frozenset(
        (one.abstract_syntax, one.role)
        for side in ("requestor", "acceptor")
        for one in proposals(app, side)
    )


def named(uid: str) -> str:
    """The name of a SOP Class, or of a transfer syntax, in PS3.6."""
    from pynetdicom.uids import uid_dictionary

    return uid_dictionary()[uid][0].partition(":")[0]


class Services(Table):
    """``.. conformance-services::``: all SOP Classes, and who has which role in them."""

    def text(self) -> str:
        return list_table(HEAD, service_rows())


HEAD = ("Service", "SOP Class", "UID", "Operations", "Programs as SCU", "Programs as SCP")


def service_rows() -> Iterator[tuple[str, ...]]:
    """The rows of the table of network services."""
    from pynetdicom.services import classes, registry

    for service in classes.SERVICE_CLASSES:
        uids = list(service.sop_classes)
        if service is classes.StorageServiceClass:
            uids = list(dict.fromkeys([*uids, *registry.all_storage()]))
        for number, uid in enumerate(uids):
            yield (
                "" if number else service.name,
                named(uid),
                f"``{uid}``",
                ", ".join(registry.operations(uid)),
                ", ".join(programs_of(uid, "SCU")),
                ", ".join(programs_of(uid, "SCP")),
            )


class Contexts(Table):
    """``.. conformance-contexts:: storescp``: what a program proposes, and what it accepts."""

    required_arguments = 1

    def text(self) -> str:
        [app] = self.arguments
        parts = []
        for side, verb in {"requestor": "Proposed", "acceptor": "Accepted"}.items():
            groups: dict[tuple[tuple[str, ...], str], list[str]] = {}
            for one in proposals(app, side):
                groups.setdefault((one.transfer_syntaxes, one.role), []).append(one.abstract_syntax)
            if groups:
                rows = (self._row(*key, uids) for key, uids in groups.items())
                table = list_table(("Abstract syntax", "Transfer syntaxes", "Role"), rows)
                parts += [f".. rubric:: {verb} presentation contexts", table]
        if is_unrestricted(app):
            parts.append(UNRESTRICTED)
        return "\n\n".join(parts)

    @staticmethod
    def _row(transfer: Iterable[str], role: str, uids: Iterable[str]) -> tuple[str, str, str]:
        return _uids(uids), _uids(transfer), role


UNRESTRICTED = (
    "Any other SOP Class that belongs to no other service, also a private one, is accepted for"
    " storage as well, with the transfer syntax that the requestor names first."
)


def _uids(uids: Iterable[str]) -> str:
    """UIDs with their names, a line each, in a cell of a table."""
    return "\n       ".join(f"| {named(uid)} (``{uid}``)" for uid in uids)


class Implementation(Table):
    """``.. conformance-implementation::``: how the library identifies itself."""

    def text(self) -> str:
        import pynetdicom
        from pynetdicom.upper_layer.pdu import APPLICATION_CONTEXT

        rows = {
            "Application context name": APPLICATION_CONTEXT,
            "Implementation class UID": pynetdicom.PYNETDICOM_IMPLEMENTATION_UID,
            "Implementation version name": pynetdicom.PYNETDICOM_IMPLEMENTATION_VERSION,
        }
        return list_table(
            ("Item", "Value"), ((what, f"``{value}``") for what, value in rows.items())
        )


class Parameters(Table):
    """``.. conformance-parameters:: storescp``: the parameters of a program's associations."""

    required_arguments = 1

    def text(self) -> str:
        [app] = self.arguments
        rows = [(f"``{name}``", f"``{value}``") for name, value in parameters(app)]
        most = {noted.get("associations") for noted in observed()[app]} - {None}
        rows += [
            ("associations accepted at once", str(one)) for one in most if app not in CONFIGURED
        ]
        windows = {tuple(noted["window"]) for noted in observed()[app] if "window" in noted}
        rows += [("operations window (invoked, performed)", str(one)) for one in windows]
        return list_table(("Parameter", "Default"), rows)


CONFIGURED = {
    "qrscp": "pynetdicom.apps.archive.config",
    "workflowscp": "pynetdicom.apps.workflow_config",
}
"""The programs with a configuration file, and what reads it."""


def parameters(app: str) -> Iterator[tuple[str, Any]]:
    """What can be set of a program's associations, with its defaults."""
    if app in CONFIGURED:
        module = import_module(CONFIGURED[app])
        defaults = {one.name: one.default for one in dataclasses.fields(module.Config)}
        first = next(iter(module.SECTIONS))
        for section in (first, "limits"):
            for key, (name, _) in module.SECTIONS[section].items():
                value = defaults[name]
                if isinstance(value, bool | int | float | str) and value not in ("", None):
                    yield f"[{section}] {key}", json.dumps(value)
        return
    for group in make_parser(app)._action_groups:
        for action in group._group_actions if group.title == "network" else ():
            if isinstance(action.default, int | float | str) and action.default not in ("", False):
                value = action.default
                shown = f"{value:g}" if isinstance(value, float) else value
                yield action.option_strings[-1], shown


class Answers(Table):
    """``.. conformance-answers:: storescp``: the statuses that a program itself answers with."""

    required_arguments = 1

    def text(self) -> str:
        rows = answers(self.arguments[0])
        return list_table(("Operation", "Status", "Category", "When"), rows)


STORED = {
    "SUCCESS": "The object is kept; the very same was there already.",
    "INVALID_INSTANCE": "Its SOP Instance UID is not 1 to 64 digits and dots.",
    "OUT_OF_RESOURCES": "It cannot be written: no room, too large, or too many commands wait.",
}

RETRIEVED = {
    "PENDING": "An object was sent, or was not.",
    "SUCCESS": "All objects were sent, or there were none.",
    "NO_SUB_OPERATIONS": "None could be sent.",
    "DOES_NOT_MATCH": "The identifier breaks the rules of its model.",
    "CANNOT_UNDERSTAND": "The identifier cannot be decoded.",
}

ANSWERS: dict[str, tuple[str, dict[str, dict[str, str]]]] = {
    # program: where its statuses stand, and operation: name of the status: when
    "storescp": ("pynetdicom.apps.storescp", {"C-STORE": STORED}),
    "qrscp": (
        "pynetdicom.apps.archive.handlers",
        {
            "C-STORE": {
                "SUCCESS": "The object is kept and indexed; the very same was there already.",
                "INVALID_INSTANCE": "Its SOP Instance UID is not 1 to 64 digits and dots.",
                "OUT_OF_RESOURCES": "No room, or the index cannot be written.",
                "CANNOT_UNDERSTAND": "Its data set cannot be decoded, or lacks what is indexed.",
            },
            "C-FIND": {
                "PENDING": "A match.",
                "PENDING_UNSUPPORTED_KEYS": "A match; an attribute that was asked for is not kept.",
                "SUCCESS": "There are no more matches.",
                "OUT_OF_RESOURCES": "It took too long, had too many matches, or the index fails.",
                "DOES_NOT_MATCH": "The identifier breaks the rules of its model.",
                "CANNOT_UNDERSTAND": "The identifier cannot be decoded.",
            },
            "C-GET": RETRIEVED,
            "C-MOVE": RETRIEVED,
        },
    ),
}  # fmt: skip


def answers(app: str) -> Iterator[tuple[str, str, str, str]]:
    """Operation, status, its category, and when it is given."""
    from pynetdicom.services import statuses

    where, operations = ANSWERS[app]
    module = import_module(where)
    for operation, names in operations.items():
        for name, when in names.items():
            code = getattr(module, name)
            code = code[operation] if isinstance(code, dict) else code
            yield operation, f"``0x{code:04X}``", statuses.code_to_category(code), when


class Negotiation(Table):
    """``.. conformance-negotiation::``: extended negotiation, proposed and agreed to."""

    def text(self) -> str:
        return list_table(("Program", "SOP Class", "Proposed, or agreed to"), negotiation())


def negotiation() -> Iterator[tuple[str, str, str]]:
    """Program, SOP Class, and which extensions it proposes on demand, or agrees to."""
    from pynetdicom.apps import query
    from pynetdicom.apps.archive import handlers
    from pynetdicom.query_models import query_model_uid

    for operation, names in query.NEGOTIATED.items():
        app = f"{operation[2:].lower()}scu"
        for model in "PSOW" if operation == "C-FIND" else "PSO":
            options = (
                name
                for name in names
                if not (model == "W" and name in (*query.NEVER_IN_A_WORKLIST,))
            )
            uid = str(query_model_uid(operation, model))
            yield app, named(uid), ", ".join(f"``--{one.replace('_', '-')}``" for one in options)
    for uid, capable in handlers._CAPABILITIES.items():
        operation = "C-FIND" if len(capable) > 2 else "C-MOVE"
        agreed = (
            name for name, can in zip(query.NEGOTIATED[operation], capable, strict=False) if can
        )
        yield "qrscp", named(uid), ", ".join(one.replace("_", " ") for one in agreed)


class Statuses(Table):
    """``.. conformance-statuses::``: the statuses of all services."""

    def text(self) -> str:
        from pynetdicom.services import classes, statuses

        parts, without = [], []
        for name, own in statuses.TABLES.items():
            users = [one.name for one in classes.SERVICE_CLASSES if one.status_table == name]
            is_general = name == "GENERAL_STATUS"
            if not own:
                without += users
            if own or is_general:
                title = TABLES_OF_OPERATIONS.get(name) or ", ".join(users)
                rows = _status_rows(own or statuses._GENERAL, statuses)
                table = list_table(("Status", "Category", "Meaning"), rows)
                parts += [f".. rubric:: {title}", table]
        return "\n\n".join([*parts, f"No others: {', '.join(without)}."])


TABLES_OF_OPERATIONS = {
    "GENERAL_STATUS": "All services, beside their own",
    "QR_GET_SERVICE_CLASS_STATUS": "C-GET, of every service that has it",
    "QR_MOVE_SERVICE_CLASS_STATUS": "C-MOVE, of every service that has it",
}
"""Those tables that are no service's."""


class CharacterSets(Table):
    """``.. conformance-character-sets::``: the defined terms of Specific Character Set."""

    def text(self) -> str:
        from pydicom.charset import python_encoding

        terms = ", ".join(f"``{term}``" for term in python_encoding if term.isprintable() and term)
        return f"The default repertoire, and {terms}."


class Profiles(Table):
    """``.. conformance-tls::``: the profiles of TLS, and their cipher suites of TLS 1.2."""

    def text(self) -> str:
        from pynetdicom.tls import PROFILES

        rows = (
            (one.name, one.clause, ", ".join(f"``{suite}``" for suite in one.cipher_suites))
            for one in PROFILES.values()
        )
        return list_table(("Profile", "Clause", "Cipher suites of TLS 1.2"), rows)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    for name, directive in {
        "services": Services,
        "contexts": Contexts,
        "implementation": Implementation,
        "parameters": Parameters,
        "answers": Answers,
        "negotiation": Negotiation,
        "statuses": Statuses,
        "character-sets": CharacterSets,
        "tls": Profiles,
    }.items():
        app.add_directive(f"conformance-{name}", directive)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
