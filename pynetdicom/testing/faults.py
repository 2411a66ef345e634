"""The faults of an SCP for tests, by name: what each one does, and what an SCU sees of it.

`FAULTS` is the table. Most of its rows are made of two small ones, of what is done and where.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pynetdicom.testing import pdus as made
from pynetdicom.testing import spoiling as do
from pynetdicom.testing.script import ACCEPTING, ANSWERING, RECEIVING, RELEASING
from pynetdicom.testing.spoiling import Do
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.ended import ABORT_REASONS, REJECT_REASONS

QUERIES = ("C-FIND", "C-GET", "C-MOVE")
RETRIEVES = ("C-GET", "C-MOVE")


@dataclass(frozen=True)
class Fault:
    """Something that an SCP does wrong.

    Attributes
    ----------
    name : str
    place : str
        When: ``"accepting"``, ``"receiving"``, ``"answering"`` or ``"releasing"``.
    does : str
        What it does, in words.
    act : callable
        Does it.
    operations : tuple of str
        The operations that it is for; none: all.
    """

    name: str
    place: str
    does: str
    act: Do
    operations: tuple[str, ...] = ()


_WHAT: tuple[tuple[str, str, Do], ...] = (
    ("silence", "says nothing more, and keeps the connection open", do.hold),
    ("close", "closes the connection", do.close),
    ("reset", "closes the connection with a reset", do.reset),
    ("abort", "sends an A-ABORT, as a service user", do.abort(0, 0)),
    ("junk bytes", "sends what is no PDU: an HTTP response", do.say(do.JUNK)),
    ("unknown PDU", "sends a PDU of type 0x0F", do.say(do.UNKNOWN_PDU)),
    ("oversize length", "begins a PDU that is 4,294,967,295 bytes long", do.say(do.OVERSIZE)),
)
_HALVES: tuple[tuple[str, str, Do], ...] = (
    ("close half-way through", "closes the connection within the PDU", do.close_half_way),
    ("silence half-way through", "stops within the PDU, and is silent", do.silence_half_way),
    ("slow drip of", "sends what is right, byte by byte", do.drip),
)
_WHERE = (
    ("instead of accepting", "the A-ASSOCIATE-AC", ACCEPTING, "when asked for an association"),
    ("in mid-message", "", RECEIVING, "when the first PDU of a request has come"),
    ("instead of a response", "a response", ANSWERING, "when a request is to be answered"),
    ("instead of releasing", "the A-RELEASE-RP", RELEASING, "when asked for the release"),
)


def _products() -> Iterator[Fault]:
    for where, what_pdu, place, when in _WHERE:
        for what, does, act in _WHAT:
            yield Fault(f"{what} {where}", place, f"{when}, {does}", act)
        for what, does, act in _HALVES if what_pdu else ():
            yield Fault(f"{what} {what_pdu}", place, f"{when}, {does}", act)


def _rejections() -> Iterator[Fault]:
    by = {1: "service user", 2: "ACSE provider", 3: "presentation provider"}
    for result, how in ((1, "permanently"), (2, "transiently")):
        for (source, reason), why in REJECT_REASONS.items():
            name = f"reject {how}: {why}" + (
                " by the provider" if (source, reason) == (2, 1) else ""
            )
            data = pdus.A_ASSOCIATE_RJ(result=result, source=source, reason=reason).encode()
            does = f"rejects the association, result {result}, source {source} ({by[source]})"
            yield Fault(name, ACCEPTING, f"{does}, reason {reason}", do.say(data))


def _aborts() -> Iterator[Fault]:
    for reason, why in ABORT_REASONS.items():
        does = f"when a request is to be answered, sends an A-ABORT, source 2, reason {reason}"
        yield Fault(f"abort by the provider: {why}", ANSWERING, does, do.abort(2, reason))


_ACCEPTANCES = (
    ("accepts no context", "accepts the association, and none of its contexts", do.accepts_nothing),
    (
        "answers no context",
        "accepts the association, and does not mention a context",
        do.leaves_out,
    ),
    (
        "accepts another transfer syntax",
        "accepts every context with a transfer syntax that was not proposed",
        do.other_syntax,
    ),
    ("accepts a context not proposed", "accepts context 255 beside those proposed", do.unproposed),
    ("answers contexts twice", "answers each context twice", do.answers_twice),
    ("tiny maximum PDU", "takes PDUs of 16 bytes: 10 bytes of a message in each", do.limit(16)),
    ("impossible maximum PDU", "takes PDUs of 6 bytes, which have no room for data", do.limit(6)),
    ("no maximum PDU", "takes PDUs of any length", do.limit(0)),
    ("other protocol version", "accepts with protocol version 2", do.other_protocol),
)


_RESPONSES: tuple[tuple[str, str, Do, tuple[str, ...]], ...] = (
    ("wrong Message ID", "answers another Message ID", do.wrong_message_id, ()),
    (
        "wrong Affected SOP Class",
        "answers with another Affected SOP Class UID",
        do.changed(AffectedSOPClassUID="1.2.840.10008.5.1.4.1.1.9999"),
        (),
    ),
    (
        "wrong Affected SOP Instance",
        "answers with another Affected SOP Instance UID",
        do.changed(AffectedSOPInstanceUID="1.2.3.4.5.6.7.8.9"),
        ("C-STORE",),
    ),
    ("response on a wrong context", "answers on context 253", do.on_context(253), ()),
    ("response on an even context", "answers on context 2", do.on_context(2), ()),
    ("missing status", "answers without Status", do.changed(Status=None), ()),
    (
        "missing Message ID",
        "answers without Message ID Being Responded To",
        do.changed(MessageIDBeingRespondedTo=None),
        (),
    ),
    ("missing Command Field", "answers without Command Field", do.raw(do.no_field), ()),
    (
        "missing Command Data Set Type",
        "answers without Command Data Set Type",
        do.changed(CommandDataSetType=None),
        (),
    ),
    ("unknown status", "answers 0x1234, which no service has", do.changed(Status=0x1234), ()),
    (
        "pending to what has one response",
        "answers pending, and then as it is right",
        do.pending_first,
        ("C-ECHO", "C-STORE"),
    ),
    ("double response", "answers twice", do.twice, ()),
    ("stray response", "answers what was not asked, before what was", do.stray, ()),
    ("response of another operation", "answers as if to another operation", do.other_operation, ()),
    ("request instead of a response", "sends a C-ECHO-RQ of its own", do.request_instead, ()),
    (
        "unexpected data set",
        "answers with a data set where none belongs",
        do.with_data_set(do.A_NAME),
        ("C-ECHO", "C-STORE"),
    ),
    ("data set left out", "says that a data set follows, and is silent", do.data_set_left_out, ()),
    (
        "data set without a command",
        "sends a data set that belongs to nothing",
        do.without_command,
        (),
    ),
    ("truncated command set", "leaves out the command set's last byte", do.raw(do.cut), ()),
    ("PDV beyond its PDU", "sends a PDV that is longer than its PDU", do.bad_pdv, ()),
    ("empty P-DATA", "sends a P-DATA-TF without a PDV", do.say(made.p_data()), ()),
    ("PDU longer than announced", "sends a longer PDU than the SCU takes", do.too_long, ()),
    (
        "pending for ever",
        "sends the same match, again and again, until cancelled",
        do.pending_for_ever,
        QUERIES,
    ),
    ("never final", "sends a pending response, and is silent", do.never_final, QUERIES),
    (
        "undecodable data set",
        "sends a match that does not decode",
        do.undecodable_match,
        ("C-FIND",),
    ),
    (
        "pending without a data set",
        "sends a match without data set",
        do.match_left_out,
        ("C-FIND",),
    ),
    (
        "bad sub-operation counts",
        "says at the end that 3 remain, 65535 are completed and 2 failed",
        do.changed(**do.counters(3, 65535, 2)),
        RETRIEVES,
    ),
    (
        "missing sub-operation counts",
        "ends without the numbers of sub-operations",
        do.changed(**dict.fromkeys(do.counters(0, 0, 0))),
        RETRIEVES,
    ),
)

_RELEASES = (
    ("release collision", "requests the release, too, at the same time", do.collide),
    (
        "response instead of releasing",
        "sends a stray response before it releases",
        do.response_first,
    ),
)
_OTHERS = (
    Fault(
        "release instead of a response",
        ANSWERING,
        "requests the release while it is asked for something",
        do.say(pdus.A_RELEASE_RQ().encode()),
    ),
    Fault(
        "release after a response", ANSWERING, "answers, and requests the release", do.release_after
    ),
)


def _all() -> Iterator[Fault]:
    yield from _rejections()
    yield from _products()
    yield from _aborts()
    for name, does, act in _ACCEPTANCES:
        yield Fault(name, ACCEPTING, does, act)
    for name, does, act, operations in _RESPONSES:
        yield Fault(name, ANSWERING, does, act, operations)
    for name, does, act in _RELEASES:
        yield Fault(name, RELEASING, does, act)
    yield from _OTHERS


FAULTS: Mapping[str, Fault] = MappingProxyType({fault.name: fault for fault in _all()})
"""Name → fault, of all that there are."""


def find(name: str) -> Fault:
    """Give a fault by its name; raises ValueError, with those that are like it."""
    fault = FAULTS.get(name)
    if fault is None:
        alike = [other for other in FAULTS if name.lower() in other.lower()]
        alike = alike or difflib.get_close_matches(name, FAULTS, 5, 0.5)
        hint = f"; did you mean {'; '.join(alike)}?" if alike else ""
        raise ValueError(f"no fault is called {name!r}{hint} All are in pynetdicom.testing.FAULTS")
    return fault
