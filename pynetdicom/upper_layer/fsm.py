"""The upper layer state machine, Table 9-10 of PS3.8, without sockets, threads or clocks.

Theory of operation. `TABLE` says which action an event causes in a state; `ACTIONS` says what each
action is made of: the PDU to send, whether the service user gets an indication or confirmation,
what happens to ARTIM and to the transport connection, how the association ends by it, and the next
state. `provider.Provider` looks the action up and moves on; its driver (the DUL, or the lobby) then
carries the action out. Nothing else changes a state.

What the table leaves blank cannot happen: from the local side it is refused, and from the peer
every event is in the table for every state that has a transport connection.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

STATES: dict[str, str] = {
    "Sta1": "Idle",
    "Sta2": "Transport connection open, awaiting A-ASSOCIATE-RQ",
    "Sta3": "Awaiting local A-ASSOCIATE response",
    "Sta4": "Awaiting transport connection",
    "Sta5": "Awaiting A-ASSOCIATE-AC or A-ASSOCIATE-RJ",
    "Sta6": "Association established, ready for data transfer",
    "Sta7": "Awaiting A-RELEASE-RP",
    "Sta8": "Awaiting local A-RELEASE response",
    "Sta9": "Release collision, requestor: awaiting local A-RELEASE response",
    "Sta10": "Release collision, acceptor: awaiting A-RELEASE-RP",
    "Sta11": "Release collision, requestor: awaiting A-RELEASE-RP",
    "Sta12": "Release collision, acceptor: awaiting local A-RELEASE response",
    "Sta13": "Awaiting transport connection close",
}

EVENTS: dict[str, str] = {
    "Evt1": "A-ASSOCIATE request (local user)",
    "Evt2": "Transport connection confirmed",
    "Evt3": "A-ASSOCIATE-AC received",
    "Evt4": "A-ASSOCIATE-RJ received",
    "Evt5": "Transport connection indication",
    "Evt6": "A-ASSOCIATE-RQ received",
    "Evt7": "A-ASSOCIATE response accept (local user)",
    "Evt8": "A-ASSOCIATE response reject (local user)",
    "Evt9": "P-DATA request (local user)",
    "Evt10": "P-DATA-TF received",
    "Evt11": "A-RELEASE request (local user)",
    "Evt12": "A-RELEASE-RQ received",
    "Evt13": "A-RELEASE-RP received",
    "Evt14": "A-RELEASE response (local user)",
    "Evt15": "A-ABORT request (local user)",
    "Evt16": "A-ABORT received",
    "Evt17": "Transport connection closed",
    "Evt18": "ARTIM timer expired",
    "Evt19": "Unrecognized or invalid PDU received",
}

EVENT_OF_PDU: dict[int, str] = {
    0x01: "Evt6",
    0x02: "Evt3",
    0x03: "Evt4",
    0x04: "Evt10",
    0x05: "Evt12",
    0x06: "Evt13",
    0x07: "Evt16",
}
"""The event that the receipt of a PDU of each type is."""


class Action(NamedTuple):
    """What an action of Tables 9-6 to 9-9 does."""

    label: str
    next_state: str
    send: str = ""
    """The PDU to send."""
    indicate: bool = False
    """Whether the service user gets an indication or a confirmation."""
    artim: str = ""
    """What happens to ARTIM: ``"start"``, ``"stop"`` or nothing."""
    close: bool = False
    """Whether the transport connection is closed."""
    ends: Literal["", "released", "aborted", "rejected"] = ""
    """How the association ends by it, if it had not ended before."""
    by: Literal["local", "peer", "network"] = "local"
    """Who ends it so."""
    source: int = 0
    """Of the A-ABORT that is sent: 0 the service user, 2 the service provider."""


_ALL = (
    # Table 9-6, association establishment
    Action("AE-1", "Sta4"),
    Action("AE-2", "Sta5", send="A-ASSOCIATE-RQ"),
    Action("AE-3", "Sta6", indicate=True),
    Action("AE-4", "Sta1", indicate=True, close=True, ends="rejected", by="peer"),
    Action("AE-5", "Sta2", artim="start"),
    Action("AE-6", "Sta3", indicate=True, artim="stop"),
    Action("AE-7", "Sta6", send="A-ASSOCIATE-AC"),
    Action("AE-8", "Sta13", send="A-ASSOCIATE-RJ", artim="start", ends="rejected"),
    # Table 9-7, data transfer
    Action("DT-1", "Sta6", send="P-DATA-TF"),
    Action("DT-2", "Sta6", indicate=True),
    # Table 9-8, association release
    Action("AR-1", "Sta7", send="A-RELEASE-RQ"),
    Action("AR-2", "Sta8", indicate=True),
    Action("AR-3", "Sta1", indicate=True, close=True, ends="released"),
    Action("AR-4", "Sta13", send="A-RELEASE-RP", artim="start", ends="released", by="peer"),
    Action("AR-5", "Sta1", artim="stop"),
    Action("AR-6", "Sta7", indicate=True),
    Action("AR-7", "Sta8", send="P-DATA-TF"),
    Action("AR-8", "Sta9", indicate=True),
    Action("AR-9", "Sta11", send="A-RELEASE-RP"),
    Action("AR-10", "Sta12", indicate=True),
    # Table 9-9, association abort
    Action("AA-1", "Sta13", send="A-ABORT", artim="start", ends="aborted"),
    Action("AA-2", "Sta1", artim="stop", close=True, ends="aborted"),
    Action("AA-3", "Sta1", indicate=True, close=True, ends="aborted", by="peer"),
    Action("AA-4", "Sta1", indicate=True, ends="aborted", by="network"),
    Action("AA-5", "Sta1", artim="stop", ends="aborted", by="network"),
    Action("AA-6", "Sta13"),
    Action("AA-7", "Sta13", send="A-ABORT", source=2),
    Action("AA-8", "Sta13", send="A-ABORT", indicate=True, artim="start", ends="aborted", source=2),
)

ACTIONS: dict[str, Action] = {action.label: action for action in _ALL}

OTHERWISE: dict[str, Action] = {
    # the service provider itself rejects, sends A-ASSOCIATE-RJ and starts ARTIM again
    "AE-6": Action("AE-6", "Sta13", send="A-ASSOCIATE-RJ", artim="start", ends="rejected"),
    # the local side is the association acceptor
    "AR-8": Action("AR-8", "Sta10", indicate=True),
}
"""What an action with two outcomes is in the second case."""

_ROWS: dict[str, str] = {
    # event: action by state, in the table's order; "6-12:AA-8" is for each of these states
    "Evt1": "1:AE-1",
    "Evt2": "4:AE-2",
    "Evt3": "2:AA-1 3:AA-8 5:AE-3 6-12:AA-8 13:AA-6",
    "Evt4": "2:AA-1 3:AA-8 5:AE-4 6-12:AA-8 13:AA-6",
    "Evt5": "1:AE-5",
    "Evt6": "2:AE-6 3:AA-8 5-12:AA-8 13:AA-7",
    "Evt7": "3:AE-7",
    "Evt8": "3:AE-8",
    "Evt9": "6:DT-1 8:AR-7",
    "Evt10": "2:AA-1 3:AA-8 5:AA-8 6:DT-2 7:AR-6 8-12:AA-8 13:AA-6",
    "Evt11": "6:AR-1",
    "Evt12": "2:AA-1 3:AA-8 5:AA-8 6:AR-2 7:AR-8 8-12:AA-8 13:AA-6",
    "Evt13": "2:AA-1 3:AA-8 5-6:AA-8 7:AR-3 8-9:AA-8 10:AR-10 11:AR-3 12:AA-8 13:AA-6",
    "Evt14": "8:AR-4 9:AR-9 12:AR-4",
    "Evt15": "3:AA-1 4:AA-2 5-12:AA-1",
    "Evt16": "2:AA-2 3:AA-3 5-12:AA-3 13:AA-2",
    "Evt17": "2:AA-5 3-12:AA-4 13:AR-5",
    "Evt18": "2:AA-2 13:AA-2",
    "Evt19": "2:AA-1 3:AA-8 5-12:AA-8 13:AA-7",
}


def _spell_out(rows: dict[str, str]) -> dict[tuple[str, str], Action]:
    """The cells of the table, one entry for each event and state."""
    table = {}
    for event, row in rows.items():
        for cell in row.split():
            states, label = cell.split(":")
            first, _, last = states.partition("-")
            for number in range(int(first), int(last or first) + 1):
                table[event, f"Sta{number}"] = ACTIONS[label]
    return table


TABLE: dict[tuple[str, str], Action] = _spell_out(_ROWS)
"""Table 9-10: the action for each event and state."""

# The release that the acceptor answers at last in a collision was its own wish, too.
TABLE["Evt14", "Sta12"] = ACTIONS["AR-4"]._replace(by="local")

TABLES: dict[str, dict[tuple[str, str], Action]] = {
    "requestor": TABLE,
    "acceptor": {**TABLE, ("Evt12", "Sta7"): OTHERWISE["AR-8"]},
}
"""The table as either side of an association has it."""

EVENT_OF_REQUEST: dict[str, str] = {
    action.send: event
    for (event, _), action in TABLE.items()
    if action.send not in ("", "P-DATA-TF", "A-ABORT")
}
"""The event that the local side's wish to send a PDU is, by its name; not of data and aborts."""

DATA_STATES = frozenset(("Sta6", "Sta7"))
"""The states in which P-DATA-TF from the peer is expected (DT-2, AR-6)."""

SENDING_STATES = frozenset(("Sta6", "Sta8"))
"""The states in which P-DATA-TF may be sent (DT-1, AR-7)."""

COLLIDING_STATES = frozenset(("Sta9", "Sta12"))
"""Release collisions in which the provider answers by itself, since both sides have asked."""
