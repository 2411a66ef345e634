"""The state machine against Table 9-10 and Tables 9-6 to 9-9 of PS3.8, cell by cell."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from pynetdicom.upper_layer.fsm import (
    ACTIONS,
    DATA_STATES,
    EVENT_OF_PDU,
    EVENTS,
    OTHERWISE,
    SENDING_STATES,
    STATES,
    TABLE,
    TABLES,
)

with (Path(__file__).parent.parent / "data" / "ps3.8_table_9-10.tsv").open() as file:
    CELLS = {
        (row["event"], row["state"]): row["action"] for row in csv.DictReader(file, delimiter="\t")
    }

NEXT = {
    # Tables 9-6 to 9-9: the state that each action leads to, for a requestor
    "AE-1": "Sta4", "AE-2": "Sta5", "AE-3": "Sta6", "AE-4": "Sta1", "AE-5": "Sta2", "AE-6": "Sta3",
    "AE-7": "Sta6", "AE-8": "Sta13", "DT-1": "Sta6", "DT-2": "Sta6", "AR-1": "Sta7", "AR-2": "Sta8",
    "AR-3": "Sta1", "AR-4": "Sta13", "AR-5": "Sta1", "AR-6": "Sta7", "AR-7": "Sta8", "AR-8": "Sta9",
    "AR-9": "Sta11", "AR-10": "Sta12", "AA-1": "Sta13", "AA-2": "Sta1", "AA-3": "Sta1",
    "AA-4": "Sta1", "AA-5": "Sta1", "AA-6": "Sta13", "AA-7": "Sta13", "AA-8": "Sta13",
}  # fmt: skip
SENT = {
    "AE-2": "A-ASSOCIATE-RQ", "AE-7": "A-ASSOCIATE-AC", "AE-8": "A-ASSOCIATE-RJ",
    "DT-1": "P-DATA-TF", "AR-1": "A-RELEASE-RQ", "AR-4": "A-RELEASE-RP",
    "AR-7": "P-DATA-TF", "AR-9": "A-RELEASE-RP",
    "AA-1": "A-ABORT", "AA-7": "A-ABORT", "AA-8": "A-ABORT",
}  # fmt: skip


def test_the_table_has_123_cells() -> None:
    assert len(CELLS) == 123
    assert len(STATES) == 13
    assert len(EVENTS) == 19


@pytest.mark.parametrize(("event", "state"), sorted(CELLS))
def test_cell(event: str, state: str) -> None:
    action = TABLE[event, state]
    assert action.label == CELLS[event, state]
    assert action.next_state == NEXT[action.label]


@pytest.mark.parametrize("label", sorted(NEXT))
def test_what_an_action_sends(label: str) -> None:
    assert ACTIONS[label].send == SENT.get(label, "")


def test_all_actions_are_used_and_known() -> None:
    assert set(ACTIONS) == set(CELLS.values()) == set(NEXT)


def test_artim() -> None:
    started = {label for label, action in ACTIONS.items() if action.artim == "start"}
    stopped = {label for label, action in ACTIONS.items() if action.artim == "stop"}
    assert started == {"AE-5", "AE-8", "AR-4", "AA-1", "AA-8"}
    assert stopped == {"AE-6", "AR-5", "AA-2", "AA-5"}


def test_the_transport_connection_is_closed_by() -> None:
    assert {label for label, action in ACTIONS.items() if action.close} == {
        "AE-4",
        "AR-3",
        "AA-2",
        "AA-3",
    }


def test_we_never_close_without_a_word() -> None:
    """But before anything was sent, in Sta4: no wish of the local user closes the connection."""
    wishes = {"Evt1", "Evt2", "Evt7", "Evt8", "Evt9", "Evt11", "Evt14", "Evt15"}
    closing = {(e, s) for (e, s), action in TABLE.items() if action.close and e in wishes}
    assert closing == {("Evt15", "Sta4")}


@pytest.mark.parametrize("state", sorted(set(STATES) - {"Sta1", "Sta4"}))
@pytest.mark.parametrize("event", [*EVENT_OF_PDU.values(), "Evt17", "Evt19"])
def test_whatever_the_peer_does_is_in_the_table(event: str, state: str) -> None:
    assert (event, state) in TABLE


def test_there_are_no_others() -> None:
    assert set(TABLE) == set(CELLS)


def test_what_is_otherwise() -> None:
    for label, action in OTHERWISE.items():
        assert action.label == label
    assert OTHERWISE["AE-6"].next_state == "Sta13"
    assert OTHERWISE["AR-8"].next_state == "Sta10"
    assert {key for key in TABLE if TABLES["acceptor"][key] is not TABLE[key]} == {
        ("Evt12", "Sta7")
    }


def test_what_ends_an_association() -> None:
    assert {label for label, action in ACTIONS.items() if action.ends} == {
        "AE-4", "AE-8", "AR-3", "AR-4", "AA-1", "AA-2", "AA-3", "AA-4", "AA-5", "AA-8",
    }  # fmt: skip


def test_data_states() -> None:
    assert {s for e, s in CELLS if e == "Evt10" and CELLS[e, s] in ("DT-2", "AR-6")} == DATA_STATES
    assert {s for e, s in CELLS if e == "Evt9"} == SENDING_STATES
