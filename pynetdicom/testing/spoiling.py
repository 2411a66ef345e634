"""What faults do: an association is at some place, and something else is said than what is right.

An act says what is wrong, and goes on, or ends the association by raising `Over`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from pynetdicom.dimse.primitives import C_ECHO, C_FIND, Primitive
from pynetdicom.testing import pdus as made
from pynetdicom.testing.conversation import Over, Situation
from pynetdicom.upper_layer import pdu as pdus

Do = Callable[[Situation], object]

JUNK = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
UNKNOWN_PDU = struct.pack(">BxI", 0x0F, 4) + bytes(4)
OVERSIZE = struct.pack(">BxI", 0x04, 0xFFFFFFFF)


def hold(at: Situation) -> None:
    """Say nothing more, and read what comes, until the peer closes."""
    at.peer.socket.settimeout(None)  # woken by the peer's close, or by the end of the SCP
    while at.peer.socket.recv(65536):
        pass
    raise Over


def say(data: bytes) -> Do:
    """Say that instead, and nothing more."""

    def act(at: Situation) -> None:
        at.peer.send(data)
        hold(at)

    return act


def abort(source: int, reason: int) -> Do:
    """Send an A-ABORT."""
    return say(pdus.A_ABORT(source=source, reason=reason).encode())


def close(at: Situation) -> None:
    """Close, in order."""
    at.peer.shut()
    hold(at)


def reset(at: Situation) -> None:
    """Close with a reset."""
    at.peer.reset()
    raise Over


def _half(at: Situation) -> None:
    data = at.data
    at.peer.send(data[: len(data) // 2])


def close_half_way(at: Situation) -> None:
    """Say half of what is right, and close."""
    _half(at)
    close(at)


def silence_half_way(at: Situation) -> None:
    """Say half of what is right, and hold."""
    _half(at)
    hold(at)


def drip(at: Situation) -> None:
    """Say what is right byte by byte."""
    for byte in at.data:
        at.conversation.host.pause(PACE)
        at.peer.send(bytes((byte,)))
    if isinstance(at.right, pdus.A_ASSOCIATE_AC):
        at.peer.settle(at.right)


PACE = 0.002
"""Seconds between two bytes that drip, and between two matches that never end."""


# Acceptances


def _accept(at: Situation, **changes: Any) -> None:
    right: Any = at.right
    for name, value in changes.items():
        setattr(right, name, value)
    at.peer.send(right)


def accepts_nothing(at: Situation) -> None:
    """Refuse each context."""
    contexts = [made.answer(one.context_id, one.transfer_syntax, 3) for one in _answers(at)]
    _accept(at, presentation_contexts=contexts)


def _answers(at: Situation) -> Any:
    right: Any = at.right
    return right.presentation_contexts


def other_syntax(at: Situation) -> None:
    """Accept with a transfer syntax that nobody proposed."""
    syntax = "1.2.840.10008.1.2.4.999"
    contexts = [made.answer(one.context_id, syntax) for one in _answers(at)]
    _accept(at, presentation_contexts=contexts)


def unproposed(at: Situation) -> None:
    """Accept one context more than were proposed."""
    extra = made.answer(255, made.IMPLICIT_VR_LITTLE_ENDIAN)
    _accept(at, presentation_contexts=[*_answers(at), extra])


def leaves_out(at: Situation) -> None:
    """Answer no context."""
    _accept(at, presentation_contexts=[])


def answers_twice(at: Situation) -> None:
    """Answer each context twice."""
    _accept(at, presentation_contexts=[*_answers(at), *_answers(at)])


def limit(maximum: int) -> Do:
    """Take PDUs of that length at most."""

    def act(at: Situation) -> None:
        right: Any = at.right
        right.user_information[0].maximum_length_received = maximum
        _accept(at)

    return act


def other_protocol(at: Situation) -> None:
    """Accept with another version."""
    _accept(at, protocol_version=2)


# Responses


def _response(at: Situation, **changes: Any) -> bytes:
    """The right response with elements changed, whatever they are; None takes one out."""
    right: Any = at.right
    response = right.__class__.__new__(right.__class__)
    response.__dict__.update(right.__dict__)
    for keyword, value in changes.items():
        if value is None:
            response.__dict__.pop(keyword, None)
        else:
            response.__dict__[keyword] = value
    return made.message(at.context_id, response, at.peer.maximum_length)


def changed(**changes: Any) -> Do:
    """Change elements of the response, or take them out."""
    return lambda at: at.peer.send(_response(at, **changes))


def wrong_message_id(at: Situation) -> None:
    """Answer another operation."""
    right: Any = at.right
    number = right.MessageIDBeingRespondedTo ^ 0x5555
    at.peer.send(_response(at, MessageIDBeingRespondedTo=number))


def stray(at: Situation) -> None:
    """Answer another operation first."""
    right: Any = at.right
    number = right.MessageIDBeingRespondedTo ^ 0x5555
    at.peer.send(_response(at, MessageIDBeingRespondedTo=number))
    at.do_right()


def twice(at: Situation) -> None:
    """Answer twice."""
    at.do_right()
    at.do_right()


def on_context(context_id: int) -> Do:
    """Answer on that context."""

    def act(at: Situation) -> None:
        at.context_id = context_id
        at.do_right()

    return act


def other_operation(at: Situation) -> None:
    """Answer an operation of another kind."""
    right: Any = at.right
    kind: type[Primitive] = C_FIND if isinstance(right, C_ECHO) else C_ECHO
    number = right.MessageIDBeingRespondedTo
    at.peer.send(kind(MessageIDBeingRespondedTo=number, Status=0x0000), context_id=at.context_id)


def request_instead(at: Situation) -> None:
    """Request something."""
    number = getattr(at.right, "MessageIDBeingRespondedTo", 1)
    echo = C_ECHO(MessageID=number, AffectedSOPClassUID=made.VERIFICATION)
    at.peer.send(echo, context_id=at.context_id)


def with_data_set(data: bytes) -> Do:
    """Answer with that data set."""

    def act(at: Situation) -> None:
        right: Any = at.right
        right.data_set = made.encoded(data, made.IMPLICIT_VR_LITTLE_ENDIAN)
        at.do_right()

    return act


def data_set_left_out(at: Situation) -> None:
    """Announce a data set."""
    at.peer.send(_response(at, CommandDataSetType=0x0001))
    hold(at)


def without_command(at: Situation) -> None:
    """Send a data set alone."""
    say(made.p_data(made.pdv(at.context_id, 2, bytes(100))))(at)


def raw(change: Callable[[bytes], bytes]) -> Do:
    """Change the command set's bytes, in a PDU that fits them."""

    def act(at: Situation) -> None:
        right: Any = at.right
        command = change(right.encode())
        at.peer.send(made.p_data(made.pdv(at.context_id, 3, command)))
        hold(at)

    return act


def cut(command: bytes) -> bytes:
    """Take the last byte away."""
    return command[:-1]


def no_field(command: bytes) -> bytes:
    """Take the Command Field away."""
    start = command.index(struct.pack("<HHI", 0, 0x0100, 2))
    return command[:start] + command[start + 10 :]


def bad_pdv(at: Situation) -> None:
    """Send a PDV that is longer than its PDU."""
    data = at.data
    longer = struct.pack(">I", int.from_bytes(data[6:10], "big") + 100)
    say(data[:6] + longer + data[10:])(at)


def too_long(at: Situation) -> None:
    """Send a PDU that is longer than was announced."""
    right: Any = at.right
    association = at.conversation.association
    assert association is not None
    filler = association.maximum_length + 1000
    extra = struct.pack("<HHI", 0x0000, 0x0902, filler) + b" " * filler
    command = right.encode() + extra
    at.peer.send(made.p_data(made.pdv(at.context_id, 3, command)))
    hold(at)


def pending_for_ever(at: Situation) -> None:
    """Send a match until it is cancelled."""
    right: Any = at.right
    request = at.request
    assert request is not None
    conversation = at.conversation
    data_set = made.encoded(request.data or b"", request.transfer_syntax)
    numbers: dict[str, Any] = {} if request.operation == "C-FIND" else counters(1, 0, 0)
    pending = request.command.response(0xFF00, **numbers)
    if request.operation == "C-FIND":
        pending.data_set = data_set
    while not conversation.cancelled(request):
        at.peer.send(pending, context_id=at.context_id)
        conversation.host.pause(PACE)
    right.Status = request.status = 0xFE00
    at.do_right()


def counters(remaining: int, completed: int, failed: int, warning: int = 0) -> dict[str, int]:
    """Give the numbers of sub-operations as elements."""
    return {
        "NumberOfRemainingSuboperations": remaining,
        "NumberOfCompletedSuboperations": completed,
        "NumberOfFailedSuboperations": failed,
        "NumberOfWarningSuboperations": warning,
    }


def never_final(at: Situation) -> None:
    """Send one pending response."""
    request = at.request
    assert request is not None
    pending = request.command.response(0xFF00)
    if request.operation == "C-FIND":
        pending.data_set = made.encoded(request.data or b"", request.transfer_syntax)
    at.peer.send(pending, context_id=at.context_id)
    hold(at)


def undecodable_match(at: Situation) -> None:
    """Send a match that is none."""
    request = at.request
    assert request is not None
    pending = request.command.response(0xFF00)
    pending.data_set = made.encoded(UNDECODABLE, request.transfer_syntax)
    at.peer.send(pending, context_id=at.context_id)
    at.do_right()


def match_left_out(at: Situation) -> None:
    """Send a match without data set."""
    request = at.request
    assert request is not None
    at.peer.send(request.command.response(0xFF00), context_id=at.context_id)
    at.do_right()


def pending_first(at: Situation) -> None:
    """Answer pending before the answer."""
    request = at.request
    assert request is not None
    at.peer.send(request.command.response(0xFF00), context_id=at.context_id)
    at.do_right()


# Releases


def collide(at: Situation) -> None:
    """Request the release, too, and go on as the acceptor has to (PS3.8 Sta10, Sta12)."""
    at.peer.send("A-RELEASE-RQ")
    at.peer.expect("A-RELEASE-RP")
    at.do_right()
    raise Over


release_instead = say(pdus.A_RELEASE_RQ().encode())
"""Request the release."""


def release_after(at: Situation) -> None:
    """Answer, and request the release."""
    at.do_right()
    at.peer.send("A-RELEASE-RQ")


def response_first(at: Situation) -> None:
    """Send a response before the A-RELEASE-RP."""
    late = C_ECHO(MessageIDBeingRespondedTo=1, Status=0x0000)
    at.peer.send(late, context_id=at.context_id)
    at.do_right()


A_NAME = struct.pack("<HHI", 0x0010, 0x0010, 4) + b"NAME"
UNDECODABLE = struct.pack("<HHI", 0x0010, 0x0010, 1000) + b"NAME"
"""An element that is longer than the data set."""
