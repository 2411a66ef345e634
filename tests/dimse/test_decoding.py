"""Command sets that are like an earlier one: what comes out is what the bytes say, always."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynetdicom.dimse import decoding
from pynetdicom.dimse.decoding import decode_command
from pynetdicom.dimse.parameters import ROWS
from pynetdicom.dimse.primitives import (
    C_ECHO,
    C_FIND,
    C_GET,
    C_STORE,
    N_DELETE,
    N_GET,
    N_SET,
    Primitive,
)
from pynetdicom.errors import DIMSEDecodeError

CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_alike", {})


def element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(value)) + value


def elements(*rows: tuple[int, bytes]) -> bytes:
    """A command set of these, with a Command Group Length that nobody needs."""
    return GROUP_LENGTH + b"".join(element(number, value) for number, value in rows)


def store(message_id: int, instance: str, **parameters: Any) -> C_STORE:
    request = C_STORE(
        MessageID=message_id,
        AffectedSOPClassUID=CT,
        AffectedSOPInstanceUID=instance,
        Priority=2,
        **parameters,
    )
    request.__dict__["CommandDataSetType"] = 1
    return request


def known() -> int:
    return len(decoding._alike)


def in_full(raw: bytes) -> tuple[Any, ...]:
    """What the bytes say when nothing is known."""
    before = dict(decoding._alike)
    decoding._alike.clear()
    try:
        return outcome(raw)
    finally:
        decoding._alike.clear()
        decoding._alike.update(before)


def outcome(raw: bytes) -> tuple[Any, ...]:
    try:
        primitive = decode_command(raw)
    except DIMSEDecodeError as error:
        return (str(error),)
    return type(primitive), primitive.__dict__


@pytest.mark.parametrize(
    "make",
    [
        lambda n: C_ECHO(MessageID=n, AffectedSOPClassUID="1.2.840.10008.1.1"),
        lambda n: C_ECHO(MessageID=n, AffectedSOPClassUID="1.2.840.10008.1.1").response(0),
        lambda n: store(n, f"1.2.3.{n % 10}"),
        lambda n: store(n, f"1.2.3.4.{n % 10}").response(0xB007),
        lambda n: C_FIND(MessageID=n, AffectedSOPClassUID="1.2.3", Priority=0),
        lambda n: C_FIND(MessageID=n, AffectedSOPClassUID="1.2.3", Priority=0).response(0xFF00),
        lambda n: N_SET(
            MessageID=n, RequestedSOPClassUID="1.2", RequestedSOPInstanceUID="1.2.3"
        ).response(0),
    ],
    ids=["echo", "echo response", "store", "store response", "find", "match", "set response"],
)
def test_the_second_is_compared_with_the_first(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = decode_command(make(1).encode())
    assert known() == 1
    monkeypatch.setattr(decoding, "_decode", None)  # nothing is taken apart any more
    for number in (2, 0xFFFF, 256):
        assert decode_command(make(number).encode()) == make(number)
    assert first == make(1)


def test_what_came_of_one_is_not_the_other_ones() -> None:
    first = decode_command(store(1, "1.2.3").encode())
    second = decode_command(store(2, "1.2.4").encode())
    second.Priority = 0
    third = decode_command(store(3, "1.2.5").encode())
    assert (first.MessageID, first.AffectedSOPInstanceUID, first.Priority) == (1, "1.2.3", 2)
    assert (third.MessageID, third.AffectedSOPInstanceUID, third.Priority) == (3, "1.2.5", 2)


GROUP_LENGTH = element(0, b"\0\0\0\0")
BEGINNING = element(2, b"1.2\0") + element(0x100, b"\x30\0")
NO_DATA_SET = element(0x800, b"\1\1")


@pytest.mark.parametrize(
    "raw",
    [
        C_GET(MessageID=1, AffectedSOPClassUID="1.2", Priority=0)
        .response(0xFF00, NumberOfRemainingSuboperations=3, NumberOfCompletedSuboperations=4)
        .encode(),
        store(1, "1.2.3", MoveOriginatorMessageID=7).encode(),
        store(1, "1.2.3").response(0xA700, ErrorComment="full").encode(),
        N_GET(
            MessageID=1,
            RequestedSOPClassUID="1.2",
            RequestedSOPInstanceUID="1.2.3",
            AttributeIdentifierList=[0x00100010],
        ).encode(),
        GROUP_LENGTH + BEGINNING + element(0x110, b"\7\0\0\0") + NO_DATA_SET,
        BEGINNING + element(0x110, b"\7\0") + NO_DATA_SET,
        GROUP_LENGTH
        + BEGINNING
        + element(0x110, b"\7\0")
        + element(0x110, b"\x08\0")
        + NO_DATA_SET,
        GROUP_LENGTH + BEGINNING + element(0x110, b"\7\0") + NO_DATA_SET + element(0x5010, b"x "),
    ],
    ids=[
        "more numbers",
        "elements after the instance",
        "a comment",
        "a list",
        "a long Message ID",
        "no group length",
        "two Message IDs",
        "an element of no message",
    ],
)
def test_what_is_not_of_that_kind_is_taken_apart_each_time(raw: bytes) -> None:
    first = outcome(raw)
    assert known() == 0
    assert outcome(raw) == first == in_full(raw)


def test_an_instance_uid_of_nothing_but_padding_is_none() -> None:
    decode_command(store(1, "1.2.3").encode())
    raw = store(2, "1.2.3").encode()
    raw = raw[:-6] + b"\0\0  \0\0"
    assert known() == 1
    assert outcome(raw) == in_full(raw)
    assert decode_command(raw).missing() == ["AffectedSOPInstanceUID"]


def test_what_follows_the_instance_is_not_forgotten() -> None:
    decode_command(store(1, "1.2.3").encode())
    other = store(2, "1.2.4", MoveOriginatorMessageID=7)
    assert known() == 1
    assert decode_command(other.encode()) == other
    # Nor if the Command Group Length does not count it.
    raw = store(3, "1.2.5").encode() + element(0x1031, b"\7\0")
    assert decode_command(raw).MoveOriginatorMessageID == 7


def test_an_instance_that_is_named_twice() -> None:
    for end in (b"1.2.4\0", b"\0\0\0\0\0\0"):
        raw = elements(
            (0x1000, b"1.2.3\0"),
            (0x100, b"\1\0"),
            (0x110, b"\7\0"),
            (0x700, b"\0\0"),
            (0x800, b"\1\0"),
            (0x1000, end),
        )
        assert outcome(raw) == in_full(raw)


def test_a_short_instance_right_after_the_message_id() -> None:
    for number in (1, 2):
        request = N_DELETE(
            MessageID=number, RequestedSOPClassUID="1.2", RequestedSOPInstanceUID="1.2"
        )
        assert decode_command(request.encode()) == request
    assert known() == 1


def test_lists_are_not_shared() -> None:
    raw = elements(
        (2, b"1.2\0"),
        (0x100, b"\x20\x80"),
        (0x120, b"\7\0"),
        (0x900, b"\0\0"),
        (0x901, b"\x10\0\x20\0"),
    )
    first = decode_command(raw)
    assert first.OffendingElement is not None
    first.OffendingElement.append(0)
    assert decode_command(raw).OffendingElement == [0x00100020]


def test_only_so_many_are_kept() -> None:
    for number in range(600):
        decode_command(C_ECHO(MessageID=1, AffectedSOPClassUID=f"1.2.{number}").encode())
        assert 0 < known() <= decoding._LIMIT


MESSAGES: list[Primitive] = [
    C_ECHO(MessageID=1, AffectedSOPClassUID="1.2.840.10008.1.1"),
    C_ECHO(MessageID=1, AffectedSOPClassUID="1.2.840.10008.1.1").response(0),
    store(1, "1.2.3.4"),
    store(1, "1.2.3.4").response(0),
    C_FIND(MessageID=1, AffectedSOPClassUID="1.2.3", Priority=0).response(0xFF00),
]


@given(
    st.sampled_from(MESSAGES),
    st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=4), st.integers(0, 4)), max_size=4),
)
def test_whatever_is_changed_is_seen(
    message: Primitive, changes: list[tuple[int, bytes, int]]
) -> None:
    for one in MESSAGES:
        decode_command(one.encode())
    raw = message.encode()
    for place, put, cut in changes:
        place %= len(raw) + 1
        raw = raw[:place] + put + raw[place + cut :]
        assert outcome(raw) == in_full(raw)
        assert outcome(raw) == in_full(raw)  # now that it may be known itself


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*(row.element for row in ROWS.values()), 0, 0x5010]),
            st.sampled_from(
                [b"", b"\1\0", b"\x30\0", b"\1\0\0\0", b"1.2.3\0", b"1.2.840.1", b"x" * 300]
            ),
        ),
        max_size=8,
    ),
    st.integers(0, 0xFFFF),
)
def test_elements_in_any_order_and_number(pairs: list[tuple[int, bytes]], message_id: int) -> None:
    rows = [element(number, value) for number, value in pairs]
    middle = element(0x100, b"\x30\0") + element(0x110, message_id.to_bytes(2, "little"))
    for raw in (b"".join(rows), b"".join(rows[:2]) + middle + b"".join(rows[2:])):
        assert outcome(raw) == in_full(raw)
        assert outcome(raw) == in_full(raw)
