"""pynetdicom.data_sets.representations: VRs of what does not say its own."""

from __future__ import annotations

import pytest
from pydicom.datadict import DicomDictionary
from pydicom.valuerep import VR

from pynetdicom.data_sets.element_walk import Encoding
from pynetdicom.data_sets.representations import (
    Scope,
    begins_element,
    can_hold,
    is_creator,
    is_whole,
    name_of,
    padding,
    representation,
)

EXPLICIT = Encoding(False, True, False)


def test_every_element_of_the_dictionary_has_one_vr() -> None:
    scope = Scope(bool)
    known = {vr.value.encode() for vr in VR if len(vr.value) == 2}
    for tag in DicomDictionary:
        if tag >> 16 != 0xFFFE:
            assert representation(tag, scope) in known, hex(tag)


@pytest.mark.parametrize(
    ("tag", "vr"),
    [
        (0x00100010, b"PN"),
        (0x00100000, b"UL"),
        (0x00101234, b"UN"),
        (0x00010001, b"UN"),
        (0x50023000, b"OB"),
        (0x60FE3000, b"OW"),
        (0x00283006, b"OW"),
        (0x00090010, b"LO"),
        (0x00091001, b"UN"),
    ],
)
def test_vrs(tag: int, vr: bytes) -> None:
    assert representation(tag, Scope(bool)) == vr


def test_private_blocks_have_their_creators() -> None:
    scope = Scope(bool)
    scope.add_creator(0x00090010, b"GEMS_IDEN_01")
    scope.add_creator(0x00090020, b"no such creator ")
    assert representation(0x00091001, scope) == b"LO"
    assert representation(0x00092001, scope) == b"UN"
    assert representation(0x00091001, Scope(scope.has_signed_pixels)) == b"UN"
    assert not is_creator(0x00100010)
    assert not is_creator(0x00091010)


def test_signed_pixels() -> None:
    asked: list[bool] = []
    root = Scope(lambda: bool(asked.append(True)) or True)
    item = Scope(Scope(root.has_signed_pixels).has_signed_pixels)
    assert representation(0x00280106, item) == b"SS"
    item.is_signed = False
    assert representation(0x00280106, item) == b"US"
    assert representation(0x00280106, root) == b"SS"
    assert len(asked) == 1
    assert representation(0x00280106, Scope(bool)) == b"US"


def test_lengths() -> None:
    assert can_hold(b"US", 4)
    assert not can_hold(b"US", 3)
    assert not can_hold(b"FD", 4)
    assert not can_hold(b"AT", 2)
    assert can_hold(b"OW", 3)
    assert not is_whole(b"OW", 3)
    assert is_whole(b"LO", 3)
    assert not is_whole(b"SQ", 4)
    assert not is_whole(b"ZZ", 4)
    assert padding(b"LO") == b" "
    assert padding(b"UI") == padding(b"UN") == b"\0"


def test_names() -> None:
    assert name_of(0x00100010) == "(0010,0010) PatientName"
    assert name_of(0x00091001) == "(0009,1001)"


@pytest.mark.parametrize(
    ("data", "last", "begins"),
    [
        (b"\x10", 0x00080018, False),
        (b"\0\0", 0x00080018, False),
        (b"  ", 0x00080018, False),
        (b"\x10\0", 0x00080018, True),
        (b"\x08\0", 0x00100018, False),
        (b"\x08\0\x05\0", 0x00080018, False),
        (b"\x08\0\x20\0", 0x00080018, True),
        (b"\x08\0\x20\0D", 0x00080018, True),
        (b"\x08\0\x20\0DA\x08", 0x00080018, True),
        (b"\x08\0\x20\0\0\0\x08", 0x00080018, False),
        (b"stray", 0x00080018, False),
        (b"\r\n", 0x00080018, False),
        (b"\1\2\3", 0x00080018, False),
        (b"\1\2\3\4\5", 0x00080018, False),
        (b"\x0d\x0a\x01\x10L", 0x00100020, False),
        (b"\x0d\x0a\x10\0L", 0x00100020, True),
        (b"\x11\0\x01\x10L", 0x00100020, True),
        (b"\x11\0", 0x00110010, True),
        (b"\x11\0\x01\x10LO", 0x00110010, True),
        (b"\x04\0", 0x00020010, False),
    ],
)
def test_the_beginning_of_an_element(data: bytes, last: int, begins: bool) -> None:
    assert begins_element(data, last, EXPLICIT) is begins
