"""pynetdicom.dimse.command: command sets ↔ bytes."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynetdicom import _config
from pynetdicom.dimse import command
from pynetdicom.dimse.parameters import ROWS
from pynetdicom.dimse.primitives import C_ECHO
from pynetdicom.errors import DIMSEDecodeError


def element(number: int, value: bytes, group: int = 0) -> bytes:
    return struct.pack("<HHI", group, number, len(value)) + value


def test_elements_are_those_of_the_standards_dictionary() -> None:
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    for keyword, row in ROWS.items():
        assert tag_for_keyword(keyword) == row.element, keyword
        assert dictionary_VR(row.element) == row.vr, keyword


def test_encode_known_vector() -> None:
    assert C_ECHO(MessageID=7, AffectedSOPClassUID="1.2.840.10008.1.1").encode() == (
        b"\x00\x00\x00\x00\x04\x00\x00\x00\x38\x00\x00\x00"
        b"\x00\x00\x02\x00\x12\x00\x00\x001.2.840.10008.1.1\x00"
        b"\x00\x00\x00\x01\x02\x00\x00\x00\x30\x00"
        b"\x00\x00\x10\x01\x02\x00\x00\x00\x07\x00"
        b"\x00\x00\x00\x08\x02\x00\x00\x00\x01\x01"
    )


def test_encodes_what_pydicom_decodes() -> None:
    from io import BytesIO

    from pydicom.filereader import read_dataset

    values = {
        "MoveDestination": "STORESCP",
        "OffendingElement": [0x00100010, 0x7FE00010],
        "ErrorComment": "no such thing",
        "AffectedSOPInstanceUID": "1.2.3",
        "NumberOfFailedSuboperations": 65535,
    }
    raw = b"".join(command.encode_element(*item) for item in values.items())
    ds = read_dataset(BytesIO(raw), is_implicit_VR=True, is_little_endian=True)
    assert list(ds.OffendingElement) == values["OffendingElement"]
    assert ds.ErrorComment == "no such thing"
    assert ds.MoveDestination == "STORESCP"
    assert ds.AffectedSOPInstanceUID == "1.2.3"
    assert ds.NumberOfFailedSuboperations == 65535
    assert command.decode(raw) == (values, {})


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        (element(0x0110, b""), {}),
        (element(0x0110, b"\x05"), {"MessageID": 5}),
        (element(0x0110, b"\x05\x00\x06\x00"), {"MessageID": 5}),
        (element(0x0002, b"1.2.3 "), {"AffectedSOPClassUID": "1.2.3"}),
        (element(0x0002, b"1.2.3\0\0\0"), {"AffectedSOPClassUID": "1.2.3"}),
        (element(0x0002, b"1.2.3"), {"AffectedSOPClassUID": "1.2.3"}),
        (element(0x0002, b"\0\0"), {}),
        (element(0x0600, b"  A B   "), {"MoveDestination": "A B"}),
        (element(0x0600, b"\xff\xe4"), {"MoveDestination": "ÿä"}),
        (element(0x0901, b"\x10\0\x20\0\x08"), {"OffendingElement": [0x00100020]}),
        (element(0x0901, b"\x10\0"), {}),
        # Tolerated: out of order, twice (the last counts), a wrong group length.
        (element(0x0900, b"\1\0") + element(0x0110, b"\2\0"), {"Status": 1, "MessageID": 2}),
        (element(0x0900, b"\1\0") + element(0x0900, b"\2\0"), {"Status": 2}),
        (element(0, b"\xff\xff\xff\xff") + element(0x0900, b"\1\0"), {"Status": 1}),
    ],
)
def test_decode_tolerates(raw: bytes, values: dict[str, object]) -> None:
    assert command.decode(raw) == (values, {})


def test_unknown_elements_are_kept() -> None:
    raw = element(0x0001, b"\4\0\0\0") + element(0x0900, b"\0\0") + element(0x5110, b"x")
    values, extra = command.decode(raw)
    assert values == {"Status": 0}
    assert extra == {0x0001: b"\4\0\0\0", 0x5110: b"x"}
    known = [command.encode_element("Status", 0)]
    assert b"".join(command.with_extra(known, extra)) == raw


def test_elements_of_other_groups_are_kept_too() -> None:
    raw = element(0x0900, b"\0\0") + element(0x0058, b"1.2\\1.3\0", group=0x0008)
    values, extra = command.decode(raw)
    assert values == {"Status": 0}
    assert extra == {0x00080058: b"1.2\\1.3\0"}
    known = [command.encode_element("Status", 0)]
    assert b"".join(command.with_extra(known, extra)) == raw
    assert b"".join(command.with_extra(known, {0x0900: b"\1\0"})) == known[0]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (element(0x0110, b"\1\0")[:-1], "offset 0 overruns"),
        (element(0x0110, b"\1\0") + b"\0\0\0\1", "ends within an element header at offset 10"),
        (struct.pack("<HHI", 0, 0x0002, 0xFFFFFFFF), "overruns"),
        (
            element(0x0900, b"\1\0") + element(0x20, b"1", group=0x10)[:-1],
            r"\(0010,0020\) .*overruns",
        ),
    ],
)
def test_decode_faults(raw: bytes, text: str) -> None:
    with pytest.raises(DIMSEDecodeError, match=text):
        command.decode(raw)


def test_error_comment_is_cut_and_cleaned() -> None:
    raw = command.encode_element("ErrorComment", "a\\b\nc" + "x" * 100)
    assert raw[8:] == b"a b c" + b"x" * 59


def test_long_uid_of_a_peer_is_sent_back() -> None:
    for length in (63, 64, 65, 66, 201):
        raw = command.encode_element("AffectedSOPInstanceUID", "1" * length)
        assert len(raw) == 8 + length + length % 2
        assert command.decode(raw)[0] == {"AffectedSOPInstanceUID": "1" * length}


def test_ae_title_length(monkeypatch: pytest.MonkeyPatch) -> None:
    assert command.encode_element("MoveDestination", "ABC")[8:] == b"ABC "
    monkeypatch.setattr(_config, "USE_SHORT_DIMSE_AET", False)
    assert command.encode_element("MoveDestination", "ABC")[8:] == b"ABC".ljust(16)


def test_codecs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert command.encode_element("ErrorComment", "schön")[8:] == b"sch?n "
    monkeypatch.setattr(_config, "CODECS", ("ascii", "utf8"))
    raw = command.encode_element("ErrorComment", "schön")
    assert raw[8:] == "schön".encode()
    assert command.decode(raw)[0] == {"ErrorComment": "schön"}


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_raise(raw: bytes) -> None:
    with contextlib.suppress(DIMSEDecodeError):
        command.decode(raw)


def encoded(values: dict[str, Any], extra: dict[int, bytes]) -> bytes:
    layout = command.layout_of(k for k, value in values.items() if value is not None)
    return b"".join(command.with_extra([pack(values[k]) for k, pack in layout], extra))


numbers = st.sampled_from([row.element for row in ROWS.values()])


@given(st.lists(st.tuples(numbers | st.integers(1, 0xFFFF), st.binary(max_size=20))))
def test_decode_encode_decode(elements: list[tuple[int, bytes]]) -> None:
    values, extra = command.decode(b"".join(element(*pair) for pair in elements))
    # The text is cleaned when it is encoded: what is encoded twice does not change any more.
    values["ErrorComment"] = values.get("ErrorComment", "").encode("ascii", "ignore").hex() or None
    first = encoded(values, extra)
    assert encoded(*command.decode(first)) == first
