"""Framing: byte vectors, every way to slice them, and whatever hypothesis thinks of."""

from __future__ import annotations

import contextlib
import io
import itertools
import struct
import tracemalloc
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynetdicom import _config
from pynetdicom.errors import PDUDecodeError
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.framing import LARGEST_SIZE, Framer

MAXIMUM = 1000
CONTEXTS = frozenset((1, 3))

RELEASE_RQ = bytes.fromhex("05 00 00000004 00000000")
RELEASE_RP = bytes.fromhex("06 00 00000004 00000000")
ABORT = bytes.fromhex("07 00 00000004 00 00 02 06")
REJECT = bytes.fromhex("03 00 00000004 00 01 01 07")


def pdv(context_id: int, control: int, data: bytes) -> bytes:
    return struct.pack(">IBB", len(data) + 2, context_id, control) + data


def p_data(*items: bytes) -> bytes:
    body = b"".join(items)
    return struct.pack(">BxI", 4, len(body)) + body


def put(framer: Framer, data: bytes) -> None:
    """Have it read `data`, as much at a time as it has room for."""
    stream = io.BytesIO(data)
    while framer.fill(stream.readinto):
        pass


def frames(framer: Framer, feed: Any) -> Iterator[Any]:
    """All that was received, one by one."""
    return iter(lambda: framer.next(feed), None)


class Reader:
    """A framer, and what came out of it: PDUs as bytes, PDVs as (context ID, control, data)."""

    def __init__(self, *, size: int = 64, maximum: int = MAXIMUM, accepts: bool = True) -> None:
        self.framer = Framer(maximum, size)
        self.framer.accepts_data = accepts
        self.framer.context_ids = CONTEXTS
        self.out: list[Any] = []
        self.error: PDUDecodeError | None = None
        self._data = b""

    def feed(self, context_id: int, control: int, data: memoryview, pdv_done: bool) -> Any:
        self._data += data
        if not pdv_done:
            return None
        whole, self._data = self._data, b""
        return (context_id, control, whole)

    def read(self, data: bytes) -> None:
        while data and self.error is None:
            count = self.framer.fill(io.BytesIO(data).readinto)
            assert count
            data = data[count:]
            try:
                self.out.extend(frames(self.framer, self.feed))
            except PDUDecodeError as error:
                self.error = error

    def read_all(self, slices: Iterable[bytes]) -> tuple[list[Any], int | None]:
        for data in slices:
            self.read(data)
        return self.out, self.error and self.error.reason


def splits(data: bytes) -> Iterator[list[bytes]]:
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    yield from ([data[:i], data[i:]] for i in range(1, len(data)))


GOOD = {
    "release": (RELEASE_RQ, [RELEASE_RQ]),
    "two PDUs": (RELEASE_RQ + ABORT, [RELEASE_RQ, ABORT]),
    "reject": (REJECT, [REJECT]),
    "one PDV": (p_data(pdv(1, 3, b"abcd")), [(1, 3, b"abcd")]),
    "empty last PDV": (p_data(pdv(1, 2, b"")) + RELEASE_RP, [(1, 2, b""), RELEASE_RP]),
    "only empty PDVs": (p_data(pdv(1, 0, b""), pdv(1, 2, b"")), [(1, 0, b""), (1, 2, b"")]),
    "several PDVs": (
        p_data(pdv(1, 3, b"ab"), pdv(3, 0, b""), pdv(3, 2, b"x" * 70)) + ABORT,
        [(1, 3, b"ab"), (3, 0, b""), (3, 2, b"x" * 70), ABORT],
    ),
    "longer than the buffer": (p_data(pdv(3, 2, bytes(range(200)))), [(3, 2, bytes(range(200)))]),
    "exactly the maximum": (p_data(pdv(1, 0, bytes(MAXIMUM - 6))), [(1, 0, bytes(MAXIMUM - 6))]),
}
BAD = {
    # name: (bytes, what comes before the error, reason of PS3.8 9.3.8)
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", [], 1),
    "TLS hello": (bytes.fromhex("16 03 01 0200 0100 01fc"), [], 1),
    "type 0": (bytes(10), [], 1),
    "type 8": (b"\x08" + bytes(9), [], 1),
    "junk after a PDU": (RELEASE_RQ + b"\xff", [RELEASE_RQ], 1),
    "longer than the maximum": (struct.pack(">BxI", 4, MAXIMUM + 1), [], 6),
    "2^32 - 1": (struct.pack(">BxI", 4, 0xFFFFFFFF), [], 6),
    "no PDV": (struct.pack(">BxI", 4, 0), [], 6),
    "no room for a PDV": (struct.pack(">BxI", 4, 5) + bytes(6), [], 6),
    "PDV of length 0": (p_data(struct.pack(">IBB", 0, 1, 3)), [], 6),
    "PDV of length 1": (p_data(struct.pack(">IBB", 1, 1, 3)), [], 6),
    "PDV overruns": (p_data(struct.pack(">IBB", 9, 1, 3) + b"abcd"), [], 6),
    "PDV of 2^32 - 1": (p_data(struct.pack(">IBB", 0xFFFFFFFF, 1, 3) + b"abcd"), [], 6),
    "rest after a PDV": (p_data(pdv(1, 3, b"ab"), b"\0\0\0\2\1") + ABORT, [(1, 3, b"ab")], 6),
    "context not accepted": (p_data(pdv(5, 3, b"ab")), [], 5),
    "context even": (p_data(pdv(2, 3, b"ab")), [], 5),
    "context 0": (p_data(pdv(0, 3, b"ab")), [], 5),
    "release too long": (b"\x05" + bytes(4) + b"\x05" + bytes(5), [], 6),
    "release too short": (b"\x05" + bytes(4) + b"\x03" + bytes(3), [], 6),
    "release empty": (b"\x06" + bytes(5), [], 6),
    "abort of 2^32 - 1": (struct.pack(">BxI", 7, 0xFFFFFFFF), [], 6),
    "request over the cap": (struct.pack(">BxI", 1, 256 * 1024 + 1), [], 6),
    "accept over the cap": (struct.pack(">BxI", 2, 256 * 1024 + 1), [], 6),
}


@pytest.mark.parametrize("name", GOOD)
def test_well_formed(name: str) -> None:
    data, expected = GOOD[name]
    for slices in splits(data):
        reader = Reader()
        assert reader.read_all(slices) == (expected, None)
        assert not reader.framer.in_pdu


@pytest.mark.parametrize("name", BAD)
def test_faults(name: str) -> None:
    data, before, reason = BAD[name]
    for slices in splits(data):
        assert Reader().read_all(slices) == (before, reason)


@pytest.mark.parametrize("length", range(1, 16))
def test_a_pdu_has_begun(length: int) -> None:
    data = p_data(pdv(1, 3, b"abcd"))
    reader = Reader()
    assert not reader.framer.in_pdu
    reader.read(data[:length])
    assert reader.framer.in_pdu
    reader.read(data[length:])
    assert not reader.framer.in_pdu


def test_more_pdvs_are_to_come() -> None:
    reader = Reader()
    data = p_data(pdv(1, 1, b"ab"), pdv(1, 2, b"cd"))
    reader.read(data[:14])
    assert reader.framer.in_p_data
    reader.read(data[14:])
    assert not reader.framer.in_p_data


def test_no_limit_takes_any_length_and_no_memory() -> None:
    reader = Reader(maximum=0)
    given: list[int] = []

    def feed(context_id: int, control: int, data: memoryview, pdv_done: bool) -> None:
        given.append(len(data))

    framer = reader.framer
    put(framer, struct.pack(">BxIIBB", 4, 0xFFFFFFFF, 0xFFFFFFFF - 4, 1, 0))
    assert list(frames(framer, feed)) == []
    tracemalloc.start()
    for _ in range(64):
        framer.fill(len)
        assert list(frames(framer, feed)) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(given) > 16 * LARGEST_SIZE
    assert peak < 3 * LARGEST_SIZE
    assert framer.in_pdu


def test_a_declared_length_takes_no_memory() -> None:
    for data in (
        struct.pack(">BxI", 1, _config.MAXIMUM_ASSOCIATE_PDU),
        struct.pack(">BxIIBB", 4, 0xFFFFFFF0, 0xFFFFFF00, 1, 0),
    ):
        framer = Framer(0)
        framer.accepts_data = True
        framer.context_ids = CONTEXTS
        put(framer, data)
        tracemalloc.start()
        assert list(frames(framer, lambda *_: None)) == []
        framer.space()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 10_000


def test_the_buffer_grows_while_reads_fill_it() -> None:
    framer = Framer(0, size=1024)
    framer.accepts_data = True
    framer.context_ids = CONTEXTS
    put(framer, struct.pack(">BxIIBB", 4, 0xFFFFFFF0, 0xFFFFFF00, 1, 0))
    sizes: list[Any] = []
    for _ in range(12):
        sizes.append(framer.fill(len))
        list(frames(framer, lambda *_: None))
    assert sizes == sorted(sizes)
    assert sizes[-1] == LARGEST_SIZE


def test_the_buffer_stays_while_reads_do_not_fill_it() -> None:
    framer = Framer(0, size=1024)
    for _ in range(20):
        assert framer.fill(io.BytesIO(RELEASE_RQ).readinto) == 10
        assert len(framer.space()) == 1024 - 10
        assert list(frames(framer, lambda *_: None)) == [RELEASE_RQ]


def test_what_is_kept_does_not_change_when_the_buffer_moves() -> None:
    reader = Reader(size=16)
    request = pdus.A_ASSOCIATE_RQ(called_ae_title="A", calling_ae_title="B").encode()
    assert reader.read_all([RELEASE_RQ + request[:5], request[5:30], request[30:]]) == (
        [RELEASE_RQ, request],
        None,
    )


def test_the_largest_legal_request() -> None:
    length = _config.MAXIMUM_ASSOCIATE_PDU
    data = struct.pack(">BxI", 1, length) + bytes(length)
    reader = Reader(size=4096)
    assert reader.read_all([data]) == ([data], None)


def test_the_cap_can_be_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "MAXIMUM_ASSOCIATE_PDU", 100)
    assert Reader().read_all([struct.pack(">BxI", 1, 101)]) == ([], 6)
    assert Reader().read_all([struct.pack(">BxI", 1, 100)]) == ([], None)


@pytest.mark.parametrize("length", [0, 5, 100, 5000])
def test_unexpected_data_is_skipped(length: int) -> None:
    data = struct.pack(">BxI", 4, length) + bytes(length)
    for size in (1, 7, 5000):
        reader = Reader(accepts=False)
        slices = [data[i : i + size] for i in range(0, len(data), size)]
        assert reader.read_all([*slices, ABORT]) == ([data[:6], ABORT], None)


def test_data_that_comes_to_be_expected_in_its_midst_is_skipped() -> None:
    data = p_data(pdv(1, 3, b"abcd"))
    reader = Reader(accepts=False)
    reader.read(data[:8])
    reader.framer.accepts_data = True
    reader.read(data[8:] + data)
    assert reader.out == [data[:6], (1, 3, b"abcd")]


def test_a_pdv_goes_on_when_data_is_no_longer_expected() -> None:
    data = p_data(pdv(1, 3, b"abcd"))
    reader = Reader()
    reader.read(data[:13])
    reader.framer.accepts_data = False
    reader.read(data[13:] + ABORT)
    assert reader.out == [(1, 3, b"abcd"), ABORT]


# Any bytes, in any slices


def cut(data: bytes, points: list[int]) -> list[bytes]:
    edges = sorted({min(p, len(data)) for p in points} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


pieces = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([RELEASE_RQ, RELEASE_RP, ABORT, REJECT]),
    st.lists(
        st.builds(pdv, st.sampled_from([1, 3, 5]), st.integers(0, 255), st.binary(max_size=90)),
        min_size=1,
        max_size=4,
    ).map(lambda items: p_data(*items)),
    st.builds(struct.Struct(">BxI").pack, st.integers(0, 8), st.integers(0, 2**32 - 1)),
)
points = st.lists(st.integers(0, 400), max_size=8)


@given(
    st.lists(pieces, max_size=6).map(b"".join),
    points,
    st.sampled_from([0, 60, MAXIMUM]),
    st.booleans(),
)
def test_every_slicing_gives_the_same(
    data: bytes, where: list[int], maximum: int, accepts: bool
) -> None:
    whole = Reader(maximum=maximum, accepts=accepts, size=1024).read_all([data])
    assert Reader(maximum=maximum, accepts=accepts).read_all(cut(data, where)) == whole
    for item in whole[0]:
        if isinstance(item, bytes) and item[0] != 4:
            with contextlib.suppress(PDUDecodeError):
                pdus.decode_pdu(item)
