"""The faults of an SCP for tests, by name: what each one does, and what an SCU sees of it.

`FAULTS` is the table. Most of its rows are made of two small ones, of what is done and where.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from pynetdicom.testing import pdus as made
from pynetdicom.testing import spoiling as do
from pynetdicom.testing.script import ACCEPTING, ANSWERING, RECEIVING, RELEASING
from pynetdicom.testing.spoiling import Do
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.ended import ABORT_REASONS, REJECT_REASONS

QUERIES = ("C-FIND", "C-GET", "C-MOVE")
RETRIEVES = ("C-GET", "C-MOVE")
FIND = ("C-FIND",)
SINGLE = ("C-ECHO", "C-STORE")


class Seen(NamedTuple):
    """What an SCU of this library makes of a fault.

    Attributes
    ----------
    status : str
        What the operation comes to: a status, or ``"none"``; empty where there is no association.
    ended : str
        How the association ends: the beginning of ``str(assoc.ended)``.
    """

    status: str
    ended: str


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
    seen : Seen
        What an SCU of this library makes of it.
    act : callable
        Does it.
    operations : tuple of str
        The operations that it is for; none: all.
    """

    name: str
    place: str
    does: str
    seen: Seen
    act: Do
    operations: tuple[str, ...] = ()


WELL = Seen("0x0000", "released by the local side")
EITHER = Seen("0x0000", "released by the ")
_ABORTED = "aborted by the local side"
REFUSED = Seen("none", _ABORTED)
MALFORMED = Seen("none", f"{_ABORTED} (invalid PDU parameter value)")
NOT_ACCEPTED = Seen("none", f"{_ABORTED} (unexpected PDU parameter)")
NO_ANSWER = Seen("none", f"{_ABORTED}, dimse_timeout ran out")
NO_CONTEXT = Seen("", f"{_ABORTED}: no presentation context was accepted")

Act = tuple[str, str, Do, str]
"""What is done, in a word and in words; how it is done; how the association ends."""

_WHAT: tuple[Act, ...] = (
    ("silence", "says nothing more, and keeps the connection open", do.hold, _ABORTED),
    ("close", "closes the connection", do.close, "connection lost"),
    ("reset", "closes the connection with a reset", do.reset, "connection lost"),
    ("abort", "sends an A-ABORT, as a service user", do.abort(0, 0), "aborted by the peer"),
    ("junk bytes", "sends what is no PDU: an HTTP response", do.say(do.JUNK), _ABORTED),
    ("unknown PDU", "sends a PDU of type 0x0F", do.say(do.UNKNOWN_PDU), _ABORTED),
    ("oversize length", "begins a PDU of 4,294,967,295 bytes", do.say(do.OVERSIZE), _ABORTED),
)
_OF_A_PDU: tuple[Act, ...] = (
    (
        *("close half-way through", "closes the connection within the PDU"),
        *(do.close_half_way, "connection lost"),
    ),
    (
        *("silence half-way through", "stops within the PDU, and is silent"),
        *(do.silence_half_way, _ABORTED),
    ),
    ("slow drip of", "sends what is right, byte by byte", do.drip, WELL.ended),
)
_WHERE = (
    # where, the PDU, place, when, the timer that runs out, within the PDU, status
    ("instead of accepting", "the A-ASSOCIATE-AC", ACCEPTING, "asked for an association",
     "acse_timeout", "acse_timeout", ""),
    ("in mid-message", "", RECEIVING, "the first PDU of a request has come",
     "dimse_timeout", "", "none"),
    ("instead of a response", "a response", ANSWERING, "a request is to be answered",
     "dimse_timeout", "network_timeout", "none"),
    ("instead of releasing", "the A-RELEASE-RP", RELEASING, "asked for the release",
     "acse_timeout", "acse_timeout", "0x0000"),
)  # fmt: skip


def _products() -> Iterator[Fault]:
    for where, pdu, place, when, timer, within, status in _WHERE:
        names = [(f"{act[0]} {where}", act, timer) for act in _WHAT]
        names += [(f"{act[0]} {pdu}", act, within) for act in _OF_A_PDU if pdu]
        for name, (what, does, act, ended), runs_out in names:
            if what.startswith("silence"):
                ended = f"{ended}, {runs_out} ran out"
            seen = WELL if act is do.drip else Seen(status, ended)
            yield Fault(name, place, f"when {when}, {does}", seen, act)


def _rejections() -> Iterator[Fault]:
    by = {1: "service user", 2: "ACSE provider", 3: "presentation provider"}
    for result, how in ((1, "permanently"), (2, "transiently")):
        for (source, reason), why in REJECT_REASONS.items():
            of = " by the provider" if (source, reason) == (2, 1) else ""
            data = pdus.A_ASSOCIATE_RJ(result=result, source=source, reason=reason).encode()
            does = (
                f"rejects the association, result {result}, source {source} ({by[source]}),"
                f" reason {reason}"
            )
            seen = Seen("", f"rejected {how} by the peer: {why}")
            yield Fault(f"reject {how}: {why}{of}", ACCEPTING, does, seen, do.say(data))


def _aborts() -> Iterator[Fault]:
    for reason, why in ABORT_REASONS.items():
        does = f"when a request is to be answered, sends an A-ABORT, source 2, reason {reason}"
        seen = Seen("none", f"aborted by the peer ({why})")
        yield Fault(f"abort by the provider: {why}", ANSWERING, does, seen, do.abort(2, reason))


Row = tuple[str, str, Do, tuple[str, ...], Seen]

_ACCEPTANCES: tuple[Row, ...] = (
    ("accepts no context", "accepts none of the contexts", do.accepts_nothing, (), NO_CONTEXT),
    ("answers no context", "accepts, and says nothing of contexts", do.leaves_out, (), NO_CONTEXT),
    (
        *("accepts another transfer syntax", "accepts each context with one not proposed"),
        *(do.other_syntax, (), NO_CONTEXT),
    ),
    (
        *("accepts a context not proposed", "accepts context 255 beside those proposed"),
        *(do.unproposed, (), WELL),
    ),
    ("answers contexts twice", "answers each context twice", do.answers_twice, (), NO_CONTEXT),
    ("tiny maximum PDU", "takes PDUs of 16 bytes, 10 of a message", do.limit(16), (), WELL),
    (
        *("impossible maximum PDU", "takes PDUs of 6 bytes, which have no room for a message"),
        *(do.limit(6), (), Seen("PDUTooShort is raised", "")),
    ),
    ("no maximum PDU", "takes PDUs of any length", do.limit(0), (), WELL),
    ("other protocol version", "accepts with version 2", do.other_protocol, (), WELL),
)

_RESPONSES: tuple[Row, ...] = (
    ("wrong Message ID", "answers another Message ID", do.wrong_message_id, (), NO_ANSWER),
    (
        *("wrong Affected SOP Class", "answers with another Affected SOP Class UID"),
        *(do.changed(AffectedSOPClassUID="1.2.840.10008.5.1.4.1.1.9999"), (), WELL),
    ),
    (
        *("wrong Affected SOP Instance", "answers with another Affected SOP Instance UID"),
        *(do.changed(AffectedSOPInstanceUID="1.2.3.4.5.6.7.8.9"), ("C-STORE",), WELL),
    ),
    ("response on a wrong context", "answers on context 253", do.on_context(253), (), NOT_ACCEPTED),
    ("response on an even context", "answers on context 2", do.on_context(2), (), NOT_ACCEPTED),
    ("missing status", "answers without Status", do.changed(Status=None), (), REFUSED),
    (
        *("missing Message ID", "answers without Message ID Being Responded To"),
        *(do.changed(MessageIDBeingRespondedTo=None), (), REFUSED),
    ),
    ("missing Command Field", "answers without Command Field", do.raw(do.no_field), (), REFUSED),
    (
        *("missing Command Data Set Type", "answers without Command Data Set Type"),
        *(do.changed(CommandDataSetType=None), (), REFUSED),
    ),
    (
        *("unknown status", "answers 0x1234, which no service has"),
        *(do.changed(Status=0x1234), (), Seen("0x1234", WELL.ended)),
    ),
    (
        *("pending to what has one response", "answers pending, and then as it is right"),
        *(do.pending_first, SINGLE, Seen("0xFF00", WELL.ended)),
    ),
    ("double response", "answers twice", do.twice, (), WELL),
    ("stray response", "answers what was not asked, and then what was", do.stray, (), WELL),
    ("response of another operation", "answers as if to another", do.other_operation, (), REFUSED),
    (
        *("request instead of a response", "sends a C-ECHO-RQ of its own"),
        *(do.request_instead, (), NO_ANSWER),
    ),
    (
        *("unexpected data set", "answers with a data set where none belongs"),
        *(do.with_data_set(do.A_NAME), SINGLE, WELL),
    ),
    (
        *("data set left out", "says that a data set follows, and is silent"),
        *(do.data_set_left_out, (), Seen("none", f"{_ABORTED}, network_timeout ran out")),
    ),
    (
        *("data set without a command", "sends a data set that belongs to nothing"),
        *(do.without_command, (), REFUSED),
    ),
    ("truncated command set", "leaves out its last byte", do.raw(do.cut), (), REFUSED),
    ("PDV beyond its PDU", "sends a PDV longer than its PDU", do.bad_pdv, (), MALFORMED),
    ("empty P-DATA", "sends a P-DATA-TF without a PDV", do.say(made.p_data()), (), MALFORMED),
    ("PDU longer than announced", "sends more than the SCU takes", do.too_long, (), MALFORMED),
    (
        *("pending for ever", "sends the same match, again and again, until cancelled"),
        *(do.pending_for_ever, QUERIES, Seen("0xFE00", WELL.ended)),
    ),
    ("never final", "sends a pending response, and is silent", do.never_final, QUERIES, NO_ANSWER),
    (
        *("undecodable data set", "sends a match that does not decode"),
        *(do.undecodable_match, FIND, WELL),
    ),
    (
        *("pending without a data set", "sends a match without data set"),
        *(do.match_left_out, FIND, REFUSED),
    ),
    (
        *("bad sub-operation counts", "says that 3 remain, 65535 are completed and 2 failed"),
        *(do.changed(**do.counters(3, 65535, 2)), RETRIEVES, WELL),
    ),
    (
        *("missing sub-operation counts", "ends without the numbers of sub-operations"),
        *(do.changed(**dict.fromkeys(do.counters(0, 0, 0))), RETRIEVES, WELL),
    ),
    (
        *("release instead of a response", "requests the release while it is asked for something"),
        *(do.release_instead, (), Seen("none", "released by the peer")),
    ),
    (
        *("release after a response", "answers, and requests the release"),
        *(do.release_after, (), EITHER),
    ),
)

_RELEASES: tuple[Row, ...] = (
    ("release collision", "requests the release, too, at the same time", do.collide, (), WELL),
    (
        *("response instead of releasing", "sends a stray response before it releases"),
        *(do.response_first, (), WELL),
    ),
)


def _all() -> Iterator[Fault]:
    yield from _rejections()
    yield from _products()
    yield from _aborts()
    for place, rows in (
        (ACCEPTING, _ACCEPTANCES),
        (ANSWERING, _RESPONSES),
        (RELEASING, _RELEASES),
    ):
        for name, does, act, operations, seen in rows:
            yield Fault(name, place, does, seen, act, operations)


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
