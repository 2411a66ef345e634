"""Directives that print the library's own tables, so that the manual cannot differ from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def list_table(head: Sequence[str], rows: Iterable[Sequence[str]], css: str = "") -> str:
    """A table in reStructuredText."""
    lines = [".. list-table::", "   :header-rows: 1"]
    lines += [f"   :class: {css}"] if css else []
    lines.append("")
    for row in (head, *rows):
        for number, cell in enumerate(row):
            lines.append(f"   {'* -' if number == 0 else '  -'} {cell}".rstrip())
    return "\n".join(lines)


class Table(SphinxDirective):
    """A directive that prints what `text` says."""

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes(self.text())

    def text(self) -> str:
        raise NotImplementedError


class StatusTable(Table):
    """``.. status-table:: STORAGE_SERVICE_CLASS_STATUS``: a table of statuses, ranges as ranges."""

    required_arguments = 1

    def text(self) -> str:
        from pynetdicom.services import statuses

        name = self.arguments[0]
        own = {} if name == "GENERAL_STATUS" else statuses.TABLES[name]
        rows = own or statuses._GENERAL
        return list_table(("Status", "Category", "Meaning"), _status_rows(rows, statuses))


def _status_rows(rows: dict[Any, str], statuses: Any) -> Iterator[tuple[str, str, str]]:
    for codes, text in sorted(rows.items(), key=lambda row: _first(row[0])):
        shown = f"0x{codes:04X}" if isinstance(codes, int) else "0x{:04X} – 0x{:04X}".format(*codes)
        yield f"``{shown}``", statuses.code_to_category(_first(codes)), text


def _first(codes: int | tuple[int, int]) -> int:
    return codes if isinstance(codes, int) else codes[0]


class AnswerTable(Table):
    """``.. answer-table:: C-GET C-MOVE``: what the library answers operations with by itself."""

    required_arguments = 1
    optional_arguments = 2

    def text(self) -> str:
        operations: list[str] = self.arguments
        head = ("When", "Status") if len(operations) == 1 else ("When", *operations)
        columns = [answer_rows(operation) for operation in operations]
        whens = dict.fromkeys(when for column in columns for when in column)
        rows = ((when, *(_code(column.get(when)) for column in columns)) for when in whens)
        return list_table(head, rows)


def answer_rows(operation: str) -> dict[str, int]:
    """When the library answers an operation by itself, and with which status."""
    from pynetdicom.association import serving
    from pynetdicom.services import classes, replying, retrieval

    answers = classes.ANSWERS[operation]
    several = operation in ("C-FIND", "C-GET", "C-MOVE")
    retrieve = operation in ("C-GET", "C-MOVE")
    data_set = operation in classes.WITH_REPLY - {"N-DELETE", "N-GET"}
    rows: dict[str, int | None] = {
        "the handler raised an exception, or there is none": answers.failed,
        "the data set cannot be decoded for a callback": answers.undecodable,
        "the handler gave a data set without Status": answers.no_status,
        "the handler gave something that is not a status": answers.bad_status,
        "the data set cannot be kept: disk full, or too large": answers.no_resources,
        "a match cannot be encoded": answers.not_encodable if operation == "C-FIND" else None,
        "the handler's data set cannot be encoded": (
            answers.not_encodable if operation in classes.WITH_REPLY - {"N-DELETE"} else None
        ),
        "the handler looked for an attribute that the request's data set lacks": (
            replying.MISSING_ATTRIBUTE if data_set else None
        ),
        "there is no such action, or event": classes.NO_SUCH_TYPE.get(operation, ("", None))[1],
        "the Query/Retrieve Level is none of the model": (
            classes.IDENTIFIER_MISMATCH if several else None
        ),
        "no destination was yielded": answers.no_destination or None,
        "what was yielded is no destination": answers.bad_destination or None,
        "``(None, None)`` was yielded, or no association with the destination came about": (
            answers.unknown_destination if operation == "C-MOVE" else None
        ),
        "no number of sub-operations was yielded, or something that is none": (
            answers.bad_count if retrieve else None
        ),
        "more than 65,535 sub-operations": answers.too_many or None,
        "some sub-operations failed or had a warning, or more were yielded than announced": (
            retrieval.SUB_OPERATIONS_FAILED if retrieve else None
        ),
        "all sub-operations failed": retrieval.ALL_SUB_OPERATIONS_FAILED if retrieve else None,
        "the peer has cancelled it": classes.CANCELLED if several else None,
        "a parameter that the request must have is missing": serving.MISTYPED_ARGUMENT,
        "the Message ID is that of a request not answered yet": classes.DUPLICATE_INVOCATION,
        "the operation is not one of this SOP Class": classes.UNRECOGNIZED_OPERATION,
        "the local side was not accepted as SCP": classes.SOP_CLASS_NOT_SUPPORTED,
    }
    return {when: code for when, code in rows.items() if code is not None}


def _code(status: int | None) -> str:
    return FILLED if status is None else f"``0x{status:04X}``"


class AttributeTable(Table):
    """``.. attribute-table:: mpps``: the attributes of a workflow, as the library executes them."""

    required_arguments = 1

    def text(self) -> str:
        from pynetdicom.workflows import attributes

        rows = attributes.table(self.arguments[0])
        operations = list(rows[0].types)
        head = ("Attribute", *(OPERATIONS.get(one, one) for one in operations))
        return list_table(head, attribute_rows(rows, operations))


OPERATIONS = {
    "n_create": "N-CREATE",
    "n_set": "N-SET",
    "final": "Final state",
    "completed": "COMPLETED",
    "canceled": "CANCELED",
    "match": "Matched",
    "return": "Returned",
}
"""What the columns of the tables of attributes are called."""


def attribute_rows(rows: Iterable[Any], operations: list[str], depth: int = 0) -> Iterator[Any]:
    """Attributes and those of their items, which have ``>`` in front, and their types."""
    for row in rows:
        yield (f"{'> ' * depth}``{row.keyword}``", *(row.types[one] for one in operations))
        yield from attribute_rows(row.items, operations, depth + 1)


class InformationModels(Table):
    """``.. information-models:: QueryRetrieveServiceClass``: SOP Classes of queries and retrieval.

    Their names, their operations, and the letters that stand for them in pynetdicom 1.x.
    """

    required_arguments = 1
    optional_arguments = 9

    def text(self) -> str:
        from pynetdicom import query_models
        from pynetdicom.services import classes

        names = sop_class_names()
        letters = {
            query_models.query_model_uid(operation, letter): letter
            for letter in query_models._LETTERS
            for operation in query_models.OPERATIONS
            if query_models.is_known(operation, letter)
        }
        rows = [
            (f"``{names[uid]}``", ", ".join(operations), _letter(letters.get(uid)))
            for argument in self.arguments
            for uid, operations in getattr(classes, argument).sop_classes.items()
        ]
        head = ("SOP Class", "Operation", "``query_model`` of 1.x")
        columns = 3 if any(row[2] != FILLED for row in rows) else 2
        return list_table(head[:columns], (row[:columns] for row in rows))


def sop_class_names() -> dict[str, str]:
    """UID → name. Of several for the same the shortest, which is the one that scripts have."""
    from pynetdicom import sop_class

    # "United" is a slip of the pen of 1.0 to 1.2.
    by_length = sorted(
        sop_class.__all__, key=lambda name: (name.startswith("United"), len(name)), reverse=True
    )
    return {str(getattr(sop_class, name)): name for name in by_length}


def _letter(letter: str | None) -> str:
    return FILLED if letter is None else f'``"{letter}"``'


class TypeTable(Table):
    """``.. type-table:: StorageManagementServiceClass``: the actions and events of a service."""

    required_arguments = 1

    def text(self) -> str:
        from pynetdicom.services import classes

        service_class = getattr(classes, self.arguments[0])
        names = sop_class_names()
        rows = (
            (f"``{names[uid]}``", operation, str(number), types[number])
            for uid, operations in service_class.types.items()
            for operation, types in operations.items()
            for number in types
        )
        return list_table(("SOP Class", "Operation", "Type", "Name"), rows)


class ArchiveKeys(Table):
    """``.. archive-keys::``: the sections and keys of the archive's configuration."""

    def text(self) -> str:
        from pynetdicom.apps import access
        from pynetdicom.apps.archive import config

        rows = [
            (f"``[{section}]``", f"``{key}``", _default(key, getattr(config.Config, name)), check)
            for section, keys in config.SECTIONS.items()
            for key, (name, check) in keys.items()
        ]
        rows += [
            ("``[[peer]]``", f"``{key}``", _default(key, getattr(config.Peer, key, None)), check)
            for key, check in config.PEER.items()
        ]
        rows += [
            ("``[[access]]``", f"``{key}``", "", check) for key, check in access.ACCESS.items()
        ]
        head = ("Section", "Key", "Default", "What it may be")
        return list_table(head, ((*row[:3], _allowed(row[3])) for row in rows))


class AccessRoles(Table):
    """``.. access-roles::``: what an access rule may allow."""

    def text(self) -> str:
        from pynetdicom.access import GROUPS, ROLES

        words = {
            name: "all of these" if name == "all" else " and ".join(f"``{one}``" for one in roles)
            for name, roles in GROUPS.items()
        }
        rows = ((f'``"{name}"``', what) for name, what in {**ROLES, **words}.items())
        return list_table(("``may``", "What of"), rows)


class ArchiveAttributes(Table):
    """``.. archive-attributes::``: what the archive indexes, by level."""

    def text(self) -> str:
        from pynetdicom.apps.archive import attributes, computed

        rows = (
            (
                level,
                ", ".join(one.keyword for one in attributes.OF_LEVEL[level]),
                ", ".join(one.keyword for one in computed.COMPUTED.values() if one.level == level),
            )
            for level in attributes.LEVELS
        )
        return list_table(("Level", "Attributes", "Counted or collected"), rows)


def _default(key: str, value: Any) -> str:
    """A default as it would be written."""
    if key == "names":
        value = "exact" if value else "folded"
    if key == "verify":
        value = "bytes" if value else "index"
    if isinstance(value, frozenset):
        value = sorted(value)
    if value is None:
        return FILLED
    text = str(value).lower() if isinstance(value, bool) else str(value).replace("'", '"')
    return f"``{text}``" if text else "all of IPv4"


def _allowed(check: Any) -> str:
    """What a check says of a value that is none."""
    try:
        check(object())
    except ValueError as error:
        return str(error).replace("\\", "\\\\")
    raise AssertionError("it takes anything")


class UPSStates(Table):
    """``.. ups-states::``: what a change of state is answered with (PS3.4 Table CC.1.1-2)."""

    def text(self) -> str:
        from pynetdicom.workflows import ups_rules as rules

        head = ("Asked", "no such step", *rules.STATES[1:])
        asked = {
            f"{state}, {whose}": codes
            for whose, table in (
                ("right Transaction UID", rules.TRANSITIONS),
                ("wrong or none", rules.WITHOUT_RIGHT),
            )
            for state, codes in table.items()
        }
        asked["request to cancel"] = rules.REQUESTS_TO_CANCEL
        asked["N-CREATE"] = rules.CREATIONS
        asked |= {f"N-SET, {one} Transaction UID": c for one, c in rules.MODIFICATIONS.items()}
        return list_table(head, ((what, *map(_code, codes)) for what, codes in asked.items()))


class EventTable(Table):
    """``.. event-table:: notification``: the events of one of the two kinds."""

    required_arguments = 1

    def text(self) -> str:
        from pynetdicom import events

        chosen = [
            event
            for event in events.ALL_EVENTS.values()
            if event.is_notification == (self.arguments[0] == "notification")
        ]
        rows = [
            (
                f"``{event.name}``",
                event.description,
                ", ".join(f"``{name}``" for name in event.attributes),
            )
            for event in chosen
        ]
        return list_table(("Event", "What has happened", "What its `Event` has"), rows)


class ContextLists(Table):
    """``.. context-lists::``: the ready-made lists of presentation contexts."""

    def text(self) -> str:
        from pynetdicom import presentation

        lists = {
            name: list(presentation.abstract_syntaxes(name)) for name in presentation.CONTEXT_LISTS
        }
        rows = ((f"``{name}``", str(len(uids)), operations(uids)) for name, uids in lists.items())
        return list_table(("List", "Contexts", "Operations"), rows)


def operations(uids: Iterable[str]) -> str:
    """The operations of SOP Classes."""
    from pynetdicom.services import registry

    names = list(dict.fromkeys(name for uid in uids for name in registry.operations(uid)))
    return ", ".join(names) or "none: of media, which are not sent"


class SOPClassTable(Table):
    """``.. sop-class-table::``: the names of `pynetdicom.sop_class`, their UIDs and services."""

    def text(self) -> str:
        from pydicom.uid import UID

        from pynetdicom import sop_class

        names = {name: getattr(sop_class, name) for name in sop_class.__all__}
        rows = (
            (f"``{name}``", f"``{uid}``", service_of(uid))
            for name, uid in sorted(names.items())
            if isinstance(uid, UID)
        )
        return list_table(("Name", "UID", "Service"), rows)


def service_of(uid: str) -> str:
    """Which service a SOP Class or a SOP Instance belongs to, or that it is not served."""
    from pynetdicom.services import registry
    from pynetdicom.uids import uid_dictionary

    retired = uid_dictionary()[uid][3].lower()
    if registry.is_sop_instance(uid):
        return ", ".join(filter(None, ("a SOP Instance", retired)))
    served = registry.service_class_of(uid).name if registry.operations(uid) else "**not served**"
    return ", ".join(filter(None, (served, retired)))


# The state machine

FILLED = "\u00a0"


def _numbers(state: str) -> int:
    return int(state.removeprefix("Sta"))


class FaultTable(Table):
    """``.. fault-table::``: the faults of the test kit, and what an SCU makes of them."""

    def text(self) -> str:
        from pynetdicom.testing import FAULTS

        head = ("Name", "What the SCP does", "Operation", "Association")
        rows = (
            (f"``{fault.name}``", does_of(fault), f"{fault.seen.status}", fault.seen.ended)
            for fault in FAULTS.values()
        )
        return list_table(head, rows)


def does_of(fault: Any) -> str:
    """What a fault does, and to which operations."""
    return fault.does + (f" ({', '.join(fault.operations)})" if fault.operations else "")


class FSMTable(Table):
    """``.. fsm-table::``: Table 9-10 of PS3.8, as the library has it."""

    def text(self) -> str:
        from pynetdicom.upper_layer import fsm

        rows = (
            (
                f"{event}: {text}",
                *(_label(fsm.TABLE.get((event, state))) for state in fsm.STATES),
            )
            for event, text in fsm.EVENTS.items()
        )
        return list_table(("Event", *fsm.STATES), rows, css="fsm")


def _label(action: Any) -> str:
    return FILLED if action is None else action.label


class FSMStates(Table):
    """``.. fsm-states::``: the states."""

    def text(self) -> str:
        from pynetdicom.upper_layer import fsm

        return list_table(("State", "Meaning"), fsm.STATES.items())


class FSMActions(Table):
    """``.. fsm-actions::``: what each action is made of."""

    def text(self) -> str:
        from pynetdicom.upper_layer import fsm

        rows = (
            (
                action.label,
                action.send or FILLED,
                "yes" if action.indicate else FILLED,
                action.artim or FILLED,
                "close" if action.close else FILLED,
                " or ".join(next_states(action)),
            )
            for action in fsm.ACTIONS.values()
        )
        head = ("Action", "Sends", "Tells the user", "ARTIM", "Connection", "Next state")
        return list_table(head, rows)


def next_states(action: Any) -> list[str]:
    """The state that an action leads to, and the other one where there are two."""
    from pynetdicom.upper_layer import fsm

    other = fsm.OTHERWISE.get(action.label)
    return [action.next_state] + ([other.next_state] if other is not None else [])


PLACES = {
    # state: column and row in the picture
    "Sta1": (1, 0), "Sta2": (0, 1), "Sta4": (2, 1), "Sta3": (0, 2), "Sta5": (2, 2), "Sta6": (1, 3),
    "Sta8": (0, 4), "Sta7": (2, 4), "Sta10": (1, 5), "Sta9": (3, 5), "Sta12": (1, 6),
    "Sta11": (3, 6), "Sta13": (0, 6),
}  # fmt: skip
WIDTH, HEIGHT, LEFT, TOP = 190, 84, 230, 140
ENDS = ("Sta1", "Sta13")


class FSMPicture(SphinxDirective):
    """``.. fsm-picture::``: the state machine without what aborts it, as a picture."""

    option_spec = {"alt": directives.unchanged_required}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        return [nodes.raw("", picture(self.options.get("alt", "")), format="html")]


def moves() -> dict[tuple[str, str], list[str]]:
    """State and next state, with the events and actions that lead from one to the other."""
    from pynetdicom.upper_layer import fsm

    found: dict[tuple[str, str], list[str]] = {}
    for (event, state), action in fsm.TABLE.items():
        if action.label.startswith("AA-"):
            continue
        for next_state in next_states(action):
            found.setdefault((state, next_state), []).append(f"{event}: {action.label}")
    return found


def picture(alt: str) -> str:
    """The picture as SVG: boxes and arrows; what leads out of it is said in the boxes."""
    from pynetdicom.upper_layer import fsm

    arrows, inside = [], {state: [] for state in fsm.STATES}
    for (state, next_state), labels in moves().items():
        if next_state in ENDS or next_state == state:
            where = "" if next_state == state else f" → {next_state}"
            inside[state] += [f"{label}{where}" for label in labels]
        else:
            arrows.append(_arrow(state, next_state, labels))
    boxes = [_box(state, fsm.STATES[state], inside[state]) for state in fsm.STATES]
    width = LEFT * (1 + max(column for column, _ in PLACES.values()))
    height = TOP * (1 + max(row for _, row in PLACES.values()))
    head = (
        '<marker id="head" markerWidth="9" markerHeight="7" refX="9" refY="3.5" orient="auto">'
        '<polygon points="0 0, 9 3.5, 0 7" fill="currentColor"/></marker>'
    )
    return (
        f'<svg class="fsm" role="img" aria-label="{escape(alt)}" viewBox="0 0 {width} {height}">'
        f"<defs>{head}</defs>{''.join(arrows)}{''.join(boxes)}</svg>"
    )


def _corner(state: str) -> tuple[float, float]:
    column, row = PLACES[state]
    return column * LEFT + 10, row * TOP + 20


def _box(state: str, meaning: str, lines: list[str]) -> str:
    left, top = _corner(state)
    words, rows = meaning.split(), [""]
    for word in words:
        if len(rows[-1]) + len(word) > 30:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    texts = [(state, "state"), *((row, "") for row in rows), *((line, "") for line in lines)]
    parts = [f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>']
    for number, (text, css) in enumerate(texts):
        y = top + 16 + 13 * number
        parts.append(f'<text x="{left + 8}" y="{y}" class="{css}">{escape(text)}</text>')
    return "".join(parts)


def _arrow(state: str, next_state: str, labels: list[str]) -> str:
    (left, top), (other_left, other_top) = _corner(state), _corner(next_state)
    x1, y1 = left + WIDTH / 2, top + HEIGHT / 2
    x2, y2 = other_left + WIDTH / 2, other_top + HEIGHT / 2
    start, end = _edge(x1, y1, x2, y2), _edge(x2, y2, x1, y1)
    text = escape(", ".join(labels))
    middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 4
    return (
        f'<line x1="{start[0]:.0f}" y1="{start[1]:.0f}" x2="{end[0]:.0f}" y2="{end[1]:.0f}"'
        ' marker-end="url(#head)"/>'
        f'<text x="{middle[0]:.0f}" y="{middle[1]:.0f}" text-anchor="middle" class="edge">'
        f"{text}</text>"
    )


def _edge(x: float, y: float, towards_x: float, towards_y: float) -> tuple[float, float]:
    """Where the line from the middle of a box leaves it."""
    dx, dy = towards_x - x, towards_y - y
    scale = min(
        WIDTH / 2 / abs(dx) if dx else float("inf"), HEIGHT / 2 / abs(dy) if dy else float("inf")
    )
    return x + dx * scale, y + dy * scale


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    for name, directive in {
        "status-table": StatusTable,
        "answer-table": AnswerTable,
        "attribute-table": AttributeTable,
        "type-table": TypeTable,
        "information-models": InformationModels,
        "access-roles": AccessRoles,
        "archive-keys": ArchiveKeys,
        "archive-attributes": ArchiveAttributes,
        "event-table": EventTable,
        "ups-states": UPSStates,
        "context-lists": ContextLists,
        "sop-class-table": SOPClassTable,
        "fault-table": FaultTable,
        "fsm-table": FSMTable,
        "fsm-states": FSMStates,
        "fsm-actions": FSMActions,
        "fsm-picture": FSMPicture,
    }.items():
        app.add_directive(name, directive)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
