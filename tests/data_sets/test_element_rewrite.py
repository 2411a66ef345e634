"""pynetdicom.data_sets.element_rewrite: headers written anew, values copied."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from pynetdicom.data_sets import element_walk, encoded
from pynetdicom.data_sets.data_set import (
    EncodedDataSet,
    InFile,
    InMemory,
    change_syntax,
    encode_dataset,
    for_wire,
)
from pynetdicom.data_sets.element_walk import encoding_of, walk
from pynetdicom.data_sets.part10 import header_builder, read_header
from pynetdicom.data_sets.pieces import NotEncodable, Pieced
from pynetdicom.data_sets.read_buffers import CHUNK
from pynetdicom.errors import DataSetDecodeError, FileProblem
from pynetdicom.presentation import PresentationContext
from pynetdicom.services.instances import StoreParameters, take

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG = "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.50"
UNDEFINED = 0xFFFFFFFF
DATA = Path(pydicom.__file__).parent / "data"
INPUTS = Path(__file__).parent.parent / "data" / "inputs"


def short(tag: int, vr: str, value: bytes, order: str = "<") -> bytes:
    head = struct.pack(order + "HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(value))
    return head + value


def long(tag: int, vr: str, value: bytes, length: int | None = None, order: str = "<") -> bytes:
    length = len(value) if length is None else length
    return struct.pack(order + "HH2sxxI", tag >> 16, tag & 0xFFFF, vr.encode(), length) + value


def implicit(tag: int, value: bytes, length: int | None = None, order: str = "<") -> bytes:
    length = len(value) if length is None else length
    return struct.pack(order + "HHI", tag >> 16, tag & 0xFFFF, length) + value


def item(value: bytes, length: int | None = None, order: str = "<") -> bytes:
    return implicit(0xFFFEE000, value, length, order)


END_ITEM = implicit(0xFFFEE00D, b"")
END = implicit(0xFFFEE0DD, b"")


def wire(data: bytes, syntax: str) -> bytes:
    sent = for_wire(InMemory(data, syntax))
    again = InMemory(sent.getvalue(), syntax)
    assert for_wire(again) is again
    return sent.getvalue()


def changed(data: bytes, syntax: str, target: str) -> bytes:
    encoded = change_syntax(InMemory(data, syntax), target)
    assert encoded.transfer_syntax == target
    encoded.check_encoding()
    return encoded.getvalue()


# Odd lengths


@pytest.mark.parametrize(
    ("vr", "pad"),
    [
        *((vr, b" ") for vr in ("AE", "CS", "DA", "IS", "LO", "LT", "PN", "SH", "ST", "TM")),
        *((vr, b"\0") for vr in ("UI", "US", "FD", "AT")),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_short_value_is_padded_as_its_vr_is(vr: str, pad: bytes, order: str) -> None:
    syntax = EXPLICIT if order == "<" else BIG
    after = short(0x00200010, "SH", b"ab", order)
    data = short(0x00100020, vr, b"1", order) + after
    assert wire(data, syntax) == short(0x00100020, vr, b"1" + pad, order) + after


@pytest.mark.parametrize(("vr", "pad"), [("OB", b"\0"), ("UN", b"\0"), ("UT", b" "), ("UC", b" ")])
def test_a_long_value_is_padded_as_its_vr_is(vr: str, pad: bytes) -> None:
    data = long(0x7FE00010, vr, b"12345")
    assert wire(data, EXPLICIT) == long(0x7FE00010, vr, b"12345" + pad)


@pytest.mark.parametrize(
    ("tag", "pad"),
    [(0x00100010, b" "), (0x00080018, b"\0"), (0x7FE00010, b"\0"), (0x00191001, b"\0")],
)
def test_a_value_without_a_vr_is_padded_as_the_dictionary_has_it(tag: int, pad: bytes) -> None:
    assert wire(implicit(tag, b"1.2"), IMPLICIT) == implicit(tag, b"1.2" + pad)


def test_a_private_value_is_padded_as_the_private_dictionary_has_it() -> None:
    creator = implicit(0x00190010, b"SIEMENS MR HEADER ")
    data = creator + implicit(0x00191008, b"IMA") + implicit(0x00191108, b"IMA")
    even = creator + implicit(0x00191008, b"IMA ") + implicit(0x00191108, b"IMA\0")
    assert wire(data, IMPLICIT) == even


def test_lengths_around_an_odd_value_follow() -> None:
    odd, even = short(0x00100020, "LO", b"abc"), short(0x00100020, "LO", b"abc ")
    for inner, outer in ((odd, even), (odd + odd, even + even)):
        data = long(0x00081140, "SQ", item(long(0x00081199, "SQ", item(inner) + item(b""))))
        expected = long(0x00081140, "SQ", item(long(0x00081199, "SQ", item(outer) + item(b""))))
        assert wire(data + odd, EXPLICIT) == expected + even
    open_ended = long(0x00081140, "SQ", item(odd + END_ITEM, UNDEFINED) + END, UNDEFINED)
    expected = long(0x00081140, "SQ", item(even + END_ITEM, UNDEFINED) + END, UNDEFINED)
    assert wire(open_ended, EXPLICIT) == expected
    in_un = long(0x00091001, "UN", item(implicit(0x00100020, b"abc")) + END, UNDEFINED)
    expected = long(0x00091001, "UN", item(implicit(0x00100020, b"abc ")) + END, UNDEFINED)
    assert wire(in_un, EXPLICIT) == expected
    without_vr = implicit(0x00081140, item(implicit(0x00100020, b"abc")))
    assert wire(without_vr, IMPLICIT) == implicit(0x00081140, item(implicit(0x00100020, b"abc ")))


@pytest.mark.parametrize("tag", [0x52009229, 0x54000100, 0x00091001, 0x7FE11001])
def test_sequences_of_unusual_groups(tag: int) -> None:
    """As their lengths follow, they are no opaque values with a byte too many."""
    creator = implicit(tag & 0xFFFF0000 | 0x10, b"nobody") if tag & 0x10000 else b""
    odd, even = implicit(0x00100020, b"abc"), implicit(0x00100020, b"abc ")
    data = creator + implicit(tag, item(odd))
    assert wire(data, IMPLICIT) == creator + implicit(tag, item(even))
    if not creator:
        explicit = long(tag, "SQ", item(short(0x00100020, "LO", b"abc ")))
        assert changed(data, IMPLICIT, EXPLICIT) == explicit
        assert changed(explicit, EXPLICIT, IMPLICIT) == implicit(tag, item(even))


def test_private_sequences_of_the_private_dictionary() -> None:
    creator = implicit(0x00710010, b"AGFA-AG_HPState ")
    data = creator + implicit(0x00711018, item(implicit(0x00100020, b"ab")))
    assert changed(data, IMPLICIT, EXPLICIT) == short(0x00710010, "LO", b"AGFA-AG_HPState ") + long(
        0x00711018, "SQ", item(short(0x00100020, "LO", b"ab"))
    )


def test_odd_fragments_are_padded() -> None:
    fragments = item(b"") + item(b"abc") + item(b"abcd") + item(b"e")
    even = item(b"") + item(b"abc\0") + item(b"abcd") + item(b"e\0")
    data = long(0x7FE00010, "OB", fragments + END, UNDEFINED)
    assert wire(data, JPEG) == long(0x7FE00010, "OB", even + END, UNDEFINED)


def test_fragments_that_stay_as_they_are_are_read_together() -> None:
    """Whoever sends a long film with one odd frame does not read it frame by frame."""
    reads: list[int] = []

    class Counting(InMemory):
        def read_into(self, part: memoryview, offset: int) -> None:
            reads.append(offset)
            super().read_into(part, offset)

    even = item(b"ab") * 500
    data = long(0x7FE00010, "OB", even + item(b"abc") + even + END, UNDEFINED)
    sent = for_wire(Counting(data * 10, JPEG))
    padded = long(0x7FE00010, "OB", even + item(b"abc\0") + even + END, UNDEFINED)
    assert b"".join(map(bytes, sent.parts())) == padded * 10
    assert len(reads) < 100


def test_a_value_that_is_too_long_when_padded_becomes_unknown() -> None:
    data = short(0x00204000, "LT", b"x" * 0xFFFF)
    assert wire(data, EXPLICIT) == long(0x00204000, "UN", b"x" * 0xFFFF + b" ")


def test_what_only_looks_like_a_sequence_stays_as_it_is() -> None:
    value = item(b"no items here"[:9])
    data = implicit(0x00191001, value[:-1] + b"!!")
    assert wire(implicit(0x00100020, b"abc") + data, IMPLICIT).endswith(data)


def test_stray_bytes_are_left_off() -> None:
    data = short(0x00100020, "LO", b"ab")
    for count in range(1, 8):
        for stray in (bytes(count), b"\xff" * count, b"Z" * count):
            encoded = InMemory(data + stray, EXPLICIT)
            assert for_wire(encoded).getvalue() == data
            assert encoded.decode().PatientID == "ab"
            assert for_wire(encoded).mended == (f"bytes after the last element: {count}",)


def test_what_was_mended_is_told_without_values() -> None:
    data = short(0x00100020, "LO", b"abc") * 2 + b"\0"
    assert for_wire(InMemory(data, EXPLICIT)).mended == (
        "values of odd length: 2, the first of them (0010,0020)",
        "bytes after the last element: 1",
    )


@pytest.mark.parametrize("count", range(1, 12))
def test_a_header_that_is_read_in_two_parts(count: int) -> None:
    """Where a data set is read piecewise, a header may be in two of the pieces."""
    filler = bytes(element_walk.WINDOW - 8 - count)
    value = b"x" * 5000
    data = short(0x00080070, "LT", filler) + long(0x00090010, "UT", value)
    even = filler + b" " * (len(filler) % 2)
    expected = implicit(0x00080070, even) + implicit(0x00090010, value)
    assert changed(data, EXPLICIT, IMPLICIT) == expected


def test_what_does_not_walk_is_left_as_it_is() -> None:
    encoded = InMemory(b"abc" * 100, EXPLICIT)
    assert for_wire(encoded) is encoded


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The walks that are begun."""
    begun = []

    def counted(*args: Any, **kwargs: Any) -> Any:
        begun.append(kwargs)
        return walk(*args, **kwargs)

    for module in element_walk, encoded:
        monkeypatch.setattr(module, "walk", counted)
    return begun


def test_an_even_data_set_is_walked_once(walks: list[Any]) -> None:
    encoded = InMemory(short(0x00100020, "LO", b"ab"), EXPLICIT)
    encoded.check()
    assert for_wire(encoded) is encoded is for_wire(encoded)
    encoded.decode()
    assert len(walks) == 1


@pytest.mark.parametrize("pixels", [b"", bytes(1 << 20)])
def test_a_file_that_is_sent_is_walked_once(
    walks: list[Any], tmp_path: Path, pixels: bytes
) -> None:
    path = tmp_path / "file.dcm"
    build = header_builder(EXPLICIT, implementation_class_uid="1.2.3")
    uids = short(0x00080016, "UI", b"1.2\0") + short(0x00080018, "UI", b"1.3\0")
    path.write_bytes(build("1.2", "1.3") + uids + long(0x7FE00010, "OB", pixels))
    instance = take(path)
    context = PresentationContext("1.2", [EXPLICIT])
    assert instance.sop_instance == "1.3"
    assert for_wire(instance.request(context, StoreParameters(0)).data_set).size > len(pixels)
    assert len(walks) == 1
    instance.close()
    assert take(InFile(path, len(build("1.2", "1.3")), 36 + len(pixels), EXPLICIT)).sop_class
    assert len(walks) == 2


def test_the_values_of_a_long_file_are_not_in_memory(tmp_path: Path) -> None:
    size = 64 * CHUNK + 1
    path = tmp_path / "big"
    head = short(0x00100020, "LO", b"abc")
    with path.open("wb") as file:
        file.write(head + long(0x7FE00010, "OB", b"", size))
        file.truncate(len(head) + 12 + size)
    source = InFile(path, 0, len(head) + 12 + size, EXPLICIT)
    for make in (for_wire, lambda it: change_syntax(it, IMPLICIT)):
        result: EncodedDataSet = make(source)
        assert isinstance(result, Pieced)
        lengths = [len(part) for part in result.parts(16376)]
        assert max(lengths) <= CHUNK
        assert sum(lengths) == result.size == source.size + (2 if make is for_wire else -2)
        assert all(length % 2 == 0 for length in lengths)


# Other transfer syntaxes


NUMBERS = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "AT": 4, "OW": 2, "OB": 2}
NUMBERS.update(OF=4, OD=8, UV=8, SV=8, OL=4, OV=8)

KNOWN = [
    # Tags in the order of the standard, private ones with their creator.
    (0x00080005, "CS", b"ISO_IR 100"),
    (0x00080016, "UI", b"1.2.840\0"),
    (0x00080018, "UI", b"1.2\0"),
    (0x00082112, "SQ", None),
    (0x00090010, "LO", b"GEMS_IDEN_01"),
    (0x00091001, "LO", None),
    (0x00100010, "PN", None),
    (0x00101030, "DS", None),
    (0x00186060, "FL", None),
    (0x00189073, "FD", None),
    (0x00200013, "IS", None),
    (0x00280008, "IS", None),
    (0x00280009, "AT", None),
    (0x00280010, "US", None),
    (0x00280103, "US", b"\1\0"),
    (0x00280106, "SS", None),
    (0x00281201, "OW", None),
    (0x00400275, "SQ", None),
    (0x0040A040, "CS", None),
    (0x00660016, "OF", None),
    (0x00660022, "OD", None),
    (0x7FE00010, "OW", None),
]


@st.composite
def data_sets(draw: st.DrawFn, depth: int = 0) -> bytes:
    """A data set in explicit VR, of elements that the dictionaries know."""
    chosen = draw(st.sets(st.sampled_from(range(len(KNOWN))), max_size=8))
    if any(KNOWN[index][0] == 0x00091001 for index in chosen):
        chosen |= {index for index, known in enumerate(KNOWN) if known[0] == 0x00090010}
    if any(KNOWN[index][0] == 0x00280106 for index in chosen):
        chosen |= {index for index, known in enumerate(KNOWN) if known[0] == 0x00280103}
    parts = []
    for index in sorted(chosen):
        tag, vr, value = KNOWN[index]
        length: int | None = None
        if vr == "SQ":
            items = draw(st.lists(data_sets(depth + 1), max_size=2)) if depth < 3 else []
            value = b""
            for one in items:
                is_open = draw(st.booleans())
                value += item(one + END_ITEM, UNDEFINED) if is_open else item(one)
            if draw(st.booleans()):
                value, length = value + END, UNDEFINED
            parts.append(long(tag, vr, value, length))
            continue
        if value is None:
            count = draw(st.integers(0, 3))
            if vr in ("FL", "FD"):  # not what is no number, and so not equal to itself
                value = bytes(range(NUMBERS[vr])) * count
            elif vr in NUMBERS:
                value = draw(st.binary(min_size=count * NUMBERS[vr], max_size=count * NUMBERS[vr]))
            else:
                value = draw(st.sampled_from([b"", b"12", b"1\\2 "]))
        make = long if vr in ("OB", "OW", "OF", "OD") else short
        parts.append(make(tag, vr, value))
    return b"".join(parts)


def read(data: bytes, syntax: str) -> Dataset:
    encoding = encoding_of(syntax)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = read_dataset(pydicom.filebase.DicomBytesIO(data), *encoding[:2])
        ds.decode()
        return ds


@given(data_sets())
def test_there_and_back(explicit: bytes) -> None:
    """Every other transfer syntax, and back to the same bytes; pydicom reads the same."""
    without_vr = changed(explicit, EXPLICIT, IMPLICIT)
    assert changed(without_vr, IMPLICIT, EXPLICIT) == explicit
    big = changed(explicit, EXPLICIT, BIG)
    assert changed(big, BIG, EXPLICIT) == explicit
    assert changed(big, BIG, IMPLICIT) == without_vr
    assert changed(without_vr, IMPLICIT, BIG) == big
    for syntax, data in ((EXPLICIT, explicit), (IMPLICIT, without_vr), (BIG, big)):
        deflated = change_syntax(InMemory(data, syntax), DEFLATED)
        assert deflated.size % 2 == 0
        assert change_syntax(deflated, syntax).getvalue() == data
        assert change_syntax(deflated, EXPLICIT).getvalue() == explicit
    expected = read(explicit, EXPLICIT)
    assert read(without_vr, IMPLICIT) == expected
    for element in read(big, BIG).iterall():
        if element.VR in ("OW", "OF", "OD"):
            element.value = b""
    assert list(read(big, BIG).keys()) == list(expected.keys())


@given(st.binary(max_size=200), st.sampled_from([IMPLICIT, EXPLICIT, BIG]))
def test_any_bytes_are_encoded_otherwise_or_refused(data: bytes, syntax: str) -> None:
    for target in (IMPLICIT, EXPLICIT, BIG):
        try:
            encoded = change_syntax(InMemory(data, syntax), target)
        except (NotEncodable, DataSetDecodeError):
            continue
        if target != syntax:
            assert encoded.size % 2 == 0
    assert for_wire(InMemory(data, syntax)).getvalue() is not None


def files() -> list[Any]:
    found = []
    for path in sorted(DATA.rglob("*.dcm")):
        try:
            with read_header(path) as header:
                header.check()
                header.check_encoding()
                if header.transfer_syntax in (IMPLICIT, EXPLICIT, BIG):
                    found.append(pytest.param(path, id=path.name))
        except FileProblem:
            continue
    return found


@pytest.mark.parametrize("path", files())
def test_real_files(path: Path) -> None:
    """pydicom reads the same in each of them."""
    with read_header(path) as header:
        encoded = header.data_set()
        syntax = header.transfer_syntax
    original = read(encoded.getvalue(), syntax)
    even = for_wire(encoded).getvalue()
    for target in (IMPLICIT, EXPLICIT, BIG):
        other = change_syntax(encoded, target)
        if target == syntax:
            continue
        assert change_syntax(other, syntax).size % 2 == 0
        if syntax != BIG and target != BIG:
            again = read(other.getvalue(), target)
            assert list(again.keys()) == list(original.keys())
            for tag in again.keys():  # noqa: SIM118 - its elements are not its keys
                if again[tag].VR == original[tag].VR != "SQ":
                    assert again[tag].value == original[tag].value, tag
        if target == IMPLICIT:
            continue  # of which implicit VR does not keep the VRs
        assert change_syntax(other, syntax).getvalue() == even


def test_vrs_from_the_dictionaries() -> None:
    data = (
        implicit(0x00090010, b"GEMS_IDEN_01")
        + implicit(0x00091001, b"AB")
        + implicit(0x000910EE, b"AB")
        + implicit(0x00111001, b"AB")
        + implicit(0x00280103, b"\1\0")
        + implicit(0x00280106, b"\1\0")
        + implicit(0x50040030, b"AB")
        + implicit(0x50003000, b"AB")
        + implicit(0x60023000, b"AB")
        + implicit(0x60020010, b"AB")
        + implicit(0x00092233, b"")[:8]
    )
    assert changed(data, IMPLICIT, EXPLICIT) == (
        short(0x00090010, "LO", b"GEMS_IDEN_01")
        + short(0x00091001, "LO", b"AB")
        + long(0x000910EE, "UN", b"AB")
        + long(0x00111001, "UN", b"AB")
        + short(0x00280103, "US", b"\1\0")
        + short(0x00280106, "SS", b"\1\0")
        + short(0x50040030, "SH", b"AB")
        + long(0x50003000, "OB", b"AB")
        + long(0x60023000, "OW", b"AB")
        + short(0x60020010, "US", b"AB")
        + long(0x00092233, "UN", b"")
    )


def test_pixel_representation_of_the_data_set_and_of_an_item() -> None:
    smallest, unsigned = implicit(0x00280106, b"ab"), implicit(0x00280103, b"\0\0")
    early = implicit(0x00221008, b"")
    data = (
        early
        + implicit(0x00189004, item(smallest) + item(unsigned + smallest))[:0]
        + implicit(0x00082112, item(smallest) + item(unsigned + smallest))
        + implicit(0x00280103, b"\1\0")
        + smallest
    )
    encoded = changed(data, IMPLICIT, EXPLICIT)
    assert [encoded[at + 4 : at + 6] for at in _finds(encoded, b"\x28\0\x06\1")] == [
        b"SS",
        b"US",
        b"SS",
    ]


def _finds(data: bytes, what: bytes) -> list[int]:
    return [at for at in range(len(data)) if data.startswith(what, at)]


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (0x00120064, b"text, no sequence "),
        (0x00120064, item(b"text, no elements ")),
        (0x00280010, b"123"),
        (0x00280106, b"123"),
        (0x00189073, b"1234"),
        (0x00010001, b"ABCD"),
        (0x00091001, b"odd"),
        (0x00204000, b"x" * 0x10000),
        (0x00204000, b"x" * 0xFFFF),
    ],
)
def test_what_the_vr_cannot_hold_goes_as_unknown(tag: int, value: bytes) -> None:
    padded = value + b"\0 "[tag == 0x00204000 :][:1] * (len(value) % 2)
    inner, expected = implicit(tag, value), long(tag, "UN", padded)
    for target in (EXPLICIT, BIG):
        order = ">" if target == BIG else "<"
        expected = long(tag, "UN", padded, None, order)
        assert changed(inner, IMPLICIT, target) == expected
        in_item = implicit(0x00082112, item(inner))
        assert changed(in_item, IMPLICIT, target) == long(
            0x00082112, "SQ", item(expected, None, order), None, order
        )
        in_open = implicit(0x00082112, item(inner + END_ITEM, UNDEFINED) + END, UNDEFINED)
        assert expected in changed(in_open, IMPLICIT, target)
    assert wire(inner, IMPLICIT) == implicit(tag, padded)


def test_unknown_sequences_stay_in_implicit_vr() -> None:
    items = item(implicit(0x00100020, b"ab") + END_ITEM, UNDEFINED) + END
    data = implicit(0x00091001, items, UNDEFINED)
    assert changed(data, IMPLICIT, EXPLICIT) == long(0x00091001, "UN", items, UNDEFINED)
    assert changed(long(0x00091001, "UN", items, UNDEFINED), EXPLICIT, IMPLICIT) == data
    closed = implicit(0x00091001, item(implicit(0x00100020, b"ab")))
    assert changed(closed, IMPLICIT, EXPLICIT) == long(
        0x00091001, "UN", item(implicit(0x00100020, b"ab"))
    )


def test_unknown_sequences_among_big_endian_elements() -> None:
    """They are in little endian, which readers that see an undefined length do not expect."""
    items = item(implicit(0x00100020, b"ab") + END_ITEM, UNDEFINED)
    after = implicit(0x00204000, b"ab"), short(0x00204000, "LT", b"ab")
    for data, syntax in (
        (implicit(0x00091001, items + END, UNDEFINED) + after[0], IMPLICIT),
        (long(0x00091001, "UN", items + END, UNDEFINED) + after[1], EXPLICIT),
    ):
        out = changed(data, syntax, BIG)
        assert out.startswith(long(0x00091001, "UN", items, None, ">"))
        assert InMemory(out, BIG).decode()[0x00204000].value == "ab"


@pytest.mark.parametrize("tag", [0x00104000, 0x00280010, 0x00321060])
def test_a_sequence_where_the_dictionary_has_none(tag: int) -> None:
    inner = implicit(0x00100020, b"ab")
    items = item(inner + END_ITEM, UNDEFINED)
    for target, order in ((EXPLICIT, "<"), (BIG, ">")):
        assert changed(implicit(tag, items), IMPLICIT, target) == long(
            tag, "UN", items, None, order
        )
    # What cannot be items is what the dictionary says, and so is what may be anything.
    assert changed(implicit(0x00104000, items[:-2]), IMPLICIT, EXPLICIT)[4:6] == b"LT"
    assert changed(implicit(0x00282000, items), IMPLICIT, EXPLICIT)[4:6] == b"OB"


def test_items_in_implicit_vr_within_explicit_vr() -> None:
    data = long(0x00082112, "SQ", item(implicit(0x00100020, b"ab")))
    assert changed(data, EXPLICIT, IMPLICIT) == implicit(
        0x00082112, item(implicit(0x00100020, b"ab"))
    )


def test_group_lengths_stay_right() -> None:
    group = short(0x00100020, "LO", b"ab") + long(0x00100030, "UT", b"ab")
    data = (
        short(0x00080000, "UL", struct.pack("<I", 12))
        + short(0x00080016, "UI", b"1.2\0")
        + short(0x00100000, "UL", struct.pack("<I", len(group)))
        + group
        + short(0x00200000, "UL", struct.pack("<I", 77))
        + short(0x00200010, "SH", b"ab")
    )
    without_vr = changed(data, EXPLICIT, IMPLICIT)
    assert implicit(0x00100000, struct.pack("<I", len(group) - 4)) in without_vr
    assert implicit(0x00200000, struct.pack("<I", 77)) in without_vr
    assert struct.pack(">I", 77) in changed(data, EXPLICIT, BIG)
    assert changed(changed(data, EXPLICIT, BIG), BIG, EXPLICIT) == data
    odd = short(0x00100000, "UL", struct.pack("<I", 11)) + short(0x00100020, "LO", b"abc")
    assert wire(odd, EXPLICIT)[8:12] == struct.pack("<I", 12)


@pytest.mark.parametrize(
    ("data", "syntax", "target", "name"),
    [
        (short(0x00280010, "US", b"abc", ">"), BIG, IMPLICIT, r"\(0028,0010\) Rows"),
        (short(0x00280010, "ZZ", b"ab", ">"), BIG, EXPLICIT, r"\(0028,0010\) Rows"),
        (long(0x7FE00010, "OB", item(b"") + END, UNDEFINED), EXPLICIT, IMPLICIT, "PixelData"),
        (long(0x00082112, "SQ", item(b"junk" * 3)), EXPLICIT, IMPLICIT, "SourceImageSequence"),
    ],
)
def test_what_is_refused_is_named(data: bytes, syntax: str, target: str, name: str) -> None:
    with pytest.raises(NotEncodable, match=name):
        change_syntax(InMemory(data, syntax), target)


def test_only_uncompressed_transfer_syntaxes() -> None:
    for syntax, target in ((JPEG, EXPLICIT), (EXPLICIT, JPEG)):
        with pytest.raises(ValueError, match="re-encoded"):
            change_syntax(InMemory(b"", syntax), target)
    same = InMemory(b"", JPEG)
    assert change_syntax(same, JPEG) is same


def test_long_words_are_turned_round_in_parts(tmp_path: Path) -> None:
    pixels = bytes(range(256)) * (9 * CHUNK // 512)
    data = implicit(0x00280010, b"\1\0") + implicit(0x7FE00010, pixels)
    path = tmp_path / "long"
    path.write_bytes(data)
    big = change_syntax(InFile(path, 0, len(data), IMPLICIT), BIG)
    for multiple in (1, 3, 16376):
        value = b"".join(map(bytes, big.parts(multiple)))
        assert value[-len(pixels) :][:8] == bytes((1, 0, 3, 2, 5, 4, 7, 6))
        assert InMemory(value, BIG).decode().Rows == 1
    assert change_syntax(big, IMPLICIT).getvalue() == data
    assert big.decode().Rows == 1
    assert big.peek(0x00280010) == {0x00280010: b"\0\1"}
    with big.open() as file:
        assert len(file.read()) == big.size


def test_nesting() -> None:
    data = b""
    for _ in range(64):
        data = long(0x00082112, "SQ", item(data))
    assert changed(changed(data, EXPLICIT, IMPLICIT), IMPLICIT, EXPLICIT) == data


def test_what_real_devices_send() -> None:
    for path in sorted(INPUTS.glob("*.dcm")):
        with read_header(path) as header:
            header.check()
            encoded = header.data_set()
            for target in (IMPLICIT, EXPLICIT, BIG, DEFLATED):
                other = for_wire(change_syntax(encoded, target))
                assert other.size % 2 == 0
                assert other.peek(0x00080018)[0x00080018].startswith(b"1.2.8")
                assert for_wire(other) is other
    with read_header(INPUTS / "odd.dcm") as header:
        assert for_wire(header.data_set()).getvalue().endswith(b"OB\0\0\6\0\0\0\1\2\3\4\5\0")


def test_pydicoms_data_sets_are_the_same() -> None:
    ds = Dataset()
    ds.PatientID = "ab"
    ds.Rows = 3
    encoded = encode_dataset(ds, EXPLICIT)
    assert for_wire(encoded) is encoded
