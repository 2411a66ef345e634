"""pynetdicom.dimse.messages: fragments out, assembly in."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynetdicom import _config
from pynetdicom.data_sets.data_set import EncodedDataSet, InFile, InMemory
from pynetdicom.data_sets.spool import Place
from pynetdicom.dimse.messages import (
    BATCH_BUFFERS,
    BATCH_BYTES,
    Assembler,
    Batch,
    Message,
    fragments,
)
from pynetdicom.dimse.primitives import C_ECHO, C_STORE, Primitive
from pynetdicom.errors import DIMSEDecodeError, PDUTooShort, TruncatedFile

IMPLICIT = "1.2.840.10008.1.2"
PDV = tuple[int, int, bytes]


class InParts(EncodedDataSet):
    """A data set in parts of any lengths, each overwritten when the next is asked for."""

    def __init__(self, pieces: Iterable[bytes], size: int | None = None) -> None:
        self.pieces = list(pieces)
        super().__init__(IMPLICIT, sum(map(len, self.pieces)) if size is None else size)

    def parts(self, multiple: int = 1) -> Iterator[memoryview]:
        for piece in self.pieces:
            buffer = bytearray(piece)
            yield memoryview(buffer)
            buffer[:] = b"\xee" * len(buffer)


def echo() -> bytes:
    return C_ECHO(MessageID=1, AffectedSOPClassUID="1.2.840.10008.1.1").encode()


def store(size: int = 10) -> Primitive:
    return C_STORE(
        MessageID=1,
        AffectedSOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        AffectedSOPInstanceUID="1.2.3",
        Priority=2,
        data_set=InMemory(bytes(size), IMPLICIT),
    )


def parse(batches: Iterable[Batch], maximum_length: int) -> list[PDV]:
    """Take the PDVs out of batches, each of which has to be whole PDUs."""
    pdvs = []
    for batch in batches:
        assert 0 < len(batch) <= BATCH_BUFFERS
        raw = b"".join(batch)
        # The last fragment may come on top.
        assert len(raw) <= 2 * BATCH_BYTES
        while raw:
            pdu_type, length, item_length, context_id, control = struct.unpack_from(">BxIIBB", raw)
            assert pdu_type == 4
            assert length == item_length + 4
            assert maximum_length == 0 or length <= maximum_length
            assert len(raw) >= length + 6
            pdvs.append((context_id, control, raw[12 : length + 6]))
            raw = raw[length + 6 :]
    return pdvs


def check(pdvs: list[PDV], context_id: int, command: bytes, data: bytes | None) -> None:
    commands = [pdv for pdv in pdvs if pdv[1] & 1]
    rest = pdvs[len(commands) :]
    assert all(pdv[0] == context_id for pdv in pdvs)
    assert b"".join(pdv[2] for pdv in commands) == command
    assert [pdv[1] for pdv in commands] == [1] * (len(commands) - 1) + [3]
    assert all(len(pdv[2]) % 2 == 0 for pdv in (*commands[:-1], *rest[:-1]))
    if data is None:
        assert not rest
    else:
        assert b"".join(pdv[2] for pdv in rest) == data
        assert [pdv[1] for pdv in rest] == [0] * (len(rest) - 1) + [2]


def test_a_small_message_is_one_buffer() -> None:
    (batch,) = fragments(5, echo(), None, 16382)
    assert len(batch) == 1
    check(parse([batch], 16382), 5, echo(), None)


def test_command_and_data_share_a_batch() -> None:
    data = bytes(range(256)) * 2000
    batches = list(fragments(1, echo(), InMemory(data, IMPLICIT), 16382))
    assert len(batches) == 1
    pdvs = parse(batches, 16382)
    assert len(pdvs) == 1 + -(-len(data) // 16376)
    check(pdvs, 1, echo(), data)


@pytest.mark.parametrize("maximum_length", [8, 9, 10, 17, 4096, 16382, 16384, 131072, 2**32 - 1, 0])
@pytest.mark.parametrize("size", [0, 2, 9, 16376, 16378, 3 * 16376, 2500000])
def test_fragments_from_memory_and_file(tmp_path: Path, maximum_length: int, size: int) -> None:
    if maximum_length < 20:
        size = min(size, 20000)
    data = (b"\1\2\3\4\5\6\7" * (size // 7 + 1))[:size]
    check(
        parse(fragments(3, echo(), InMemory(data, IMPLICIT), maximum_length), maximum_length),
        3,
        echo(),
        data,
    )
    path = tmp_path / "f"
    path.write_bytes(b"head" + data)
    in_file = InFile(path, 4, size, IMPLICIT)
    check(parse(fragments(3, echo(), in_file, maximum_length), maximum_length), 3, echo(), data)


def test_long_command_set() -> None:
    command = echo() * 2000
    check(parse(fragments(3, command, None, 30), 30), 3, command, None)
    data = InMemory(b"abc", IMPLICIT)
    check(parse(fragments(3, command, data, 30), 30), 3, command, b"abc")


@given(st.lists(st.binary(max_size=60)), st.integers(8, 60))
def test_parts_with_any_boundaries(pieces: list[bytes], maximum_length: int) -> None:
    batches = (
        [bytes(b) for b in batch] for batch in fragments(1, echo(), InParts(pieces), maximum_length)
    )
    check(parse(batches, maximum_length), 1, echo(), b"".join(pieces))


@pytest.mark.parametrize("maximum_length", [1, 7])
def test_no_room(maximum_length: int) -> None:
    with pytest.raises(PDUTooShort, match="too little"):
        next(fragments(1, echo(), None, maximum_length))


def test_file_that_became_shorter(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(100))
    with pytest.raises(TruncatedFile):
        list(fragments(1, echo(), InFile(path, 0, 200, IMPLICIT), 16382))
    with pytest.raises(TruncatedFile):
        list(fragments(1, echo(), InParts([b"abc"], 5), 16382))


def test_parts_beyond_the_size_are_not_sent() -> None:
    check(parse(fragments(1, echo(), InParts([b"abcd", b"ef"], 4), 60), 60), 1, echo(), b"abcd")


def assembler(opened: list[tuple[int, Primitive]] | None = None) -> Collector:
    def open_data_set(context_id: int, primitive: Primitive) -> tuple[Place, bytes]:
        if opened is not None:
            opened.append((context_id, primitive))
        return Place(IMPLICIT), b""

    return Collector(open_data_set)


class Collector(Assembler):
    """Keeps the message that came last."""

    def __init__(self, open_data_set: Callable[[int, Primitive], tuple[Place, bytes]]) -> None:
        super().__init__(open_data_set, self.take, self.take)
        self.message: Message | None = None

    def take(self, message: Message) -> None:
        self.message = message


def feed(
    target: Collector, context_id: int, control: int, data: bytes, done: bool = True
) -> Message | None:
    """Give the message that is complete by this."""
    target.message = None
    target.feed(context_id, control, memoryview(data), done)
    return target.message


def test_message_without_data_set() -> None:
    target = assembler()
    assert target.context_id == 0
    message = feed(target, 5, 3, echo())
    assert message is not None
    assert message.context_id == 5
    assert message.name == "C-ECHO-RQ"
    assert message.data_set is None
    assert message.size == 0
    assert message.command_set.MessageID == 1
    assert message.command_set.CommandGroupLength == len(echo()) - 12
    assert "C-ECHO-RQ" in repr(message)
    assert target.context_id == 0


def test_message_with_data_set() -> None:
    opened: list[tuple[int, Primitive]] = []
    target = assembler(opened)
    command = store().encode()
    assert feed(target, 3, 3, command) is None
    assert opened == [(3, store())]
    assert target.context_id
    assert feed(target, 3, 0, b"ab") is None
    assert feed(target, 3, 0, b"") is None
    target.flush()
    assert feed(target, 3, 2, b"c", done=False) is None
    message = feed(target, 3, 2, b"d")
    assert message is not None
    assert message.data_set is not None
    assert message.data_set.getvalue() == b"abcd"
    assert message.size == 4
    assert target.context_id == 0
    # The next one.
    assert feed(target, 1, 3, echo()) is not None


def test_slices_are_not_copied_before_flush() -> None:
    target = assembler()
    feed(target, 3, 3, store().encode())
    buffer = bytearray(b"abcd")
    target.feed(3, 0, memoryview(buffer), True)
    buffer[:] = b"efgh"
    target.flush()
    buffer[:] = b"ijkl"
    message = feed(target, 3, 2, b"")
    assert message is not None
    assert message.data_set is not None
    assert message.data_set.getvalue() == b"efgh"


def test_reserved_bits_are_not_looked_at() -> None:
    target = assembler()
    assert feed(target, 3, 0xFC | 3, store().encode()) is None
    assert feed(target, 3, 0xFC, b"ab") is None
    message = feed(target, 3, 0xFC | 2, b"cd")
    assert message is not None
    assert message.data_set is not None
    assert message.data_set.getvalue() == b"abcd"


def test_discard() -> None:
    target = assembler()
    feed(target, 3, 3, store().encode())
    feed(target, 3, 0, b"ab")
    target.discard()
    assert target.context_id == 0
    target.flush()
    feed(target, 3, 1, b"\0\0")
    assert target.context_id
    target.discard()
    assert feed(target, 3, 3, echo()) is not None


STORE = store().encode()


@pytest.mark.parametrize(
    ("pdvs", "text"),
    [
        ([(1, 0, b"ab")], "before the command set"),
        ([(1, 2, b"ab")], "before the command set"),
        ([(1, 1, b"ab"), (1, 0, b"ab")], "before the command set"),
        ([(1, 1, b"ab"), (3, 3, b"ab")], "different contexts"),
        ([(1, 3, STORE), (1, 3, echo())], "C-STORE-RQ: a command set in the midst"),
        ([(1, 3, STORE), (1, 0, b"ab"), (3, 3, echo())], "in the midst"),
        ([(1, 3, STORE), (3, 0, b"ab")], "another context"),
        ([(1, 3, STORE), (1, 0, b"ab"), (3, 0, b"ab")], "another context"),
        ([(1, 3, echo()), (1, 2, b"ab")], "before the command set"),
        ([(1, 3, b"abc")], "element header"),
        ([(1, 3, b"")], "no Command Field"),
        ([(1, 3, b"\0\0\0\1\2\0\0\0\x30\0")], "no MessageID"),
        ([(1, 1, bytes(40000)), (1, 1, bytes(40000))], "longer than 65536"),
        ([(1, 3, bytes(_config.MAXIMUM_COMMAND_SET + 1))], "longer than 65536"),
    ],
)
def test_faults(pdvs: list[PDV], text: str) -> None:
    target = assembler()
    for pdv in pdvs[:-1]:
        assert feed(target, *pdv) is None or pdv[2] == echo()
    with pytest.raises(DIMSEDecodeError, match=text):
        feed(target, *pdvs[-1])
    target.discard()
    assert feed(target, 1, 3, echo()) is not None


@given(st.data(), st.integers(8, 80), st.binary(max_size=300))
def test_what_goes_out_comes_in_whatever_the_slices(
    data: st.DataObject, maximum_length: int, content: bytes
) -> None:
    primitive = store()
    primitive.data_set = InMemory(content, IMPLICIT)
    pdvs = parse(
        fragments(7, primitive.encode(), primitive.data_set, maximum_length), maximum_length
    )
    target = assembler()
    message = None
    for context_id, control, raw in pdvs:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=3)))
        for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True):
            assert message is None
            done = stop == len(raw) and (start, stop) == ([0, *cuts][-1], len(raw))
            message = feed(target, context_id, control, raw[start:stop], done)
            if data.draw(st.booleans()):
                target.flush()
            if done:
                break
    assert message is not None
    assert message.primitive == primitive
    assert message.data_set is not None
    assert message.data_set.getvalue() == content


@given(st.lists(st.tuples(st.sampled_from([1, 3]), st.integers(0, 4), st.binary(max_size=40))))
def test_any_pdvs_give_messages_or_raise(pdvs: list[PDV]) -> None:
    target = assembler()
    try:
        for pdv in pdvs:
            feed(target, *pdv)
    except DIMSEDecodeError:
        target.discard()
