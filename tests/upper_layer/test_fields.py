from __future__ import annotations

import pytest

from pynetdicom.errors import PDUDecodeError
from pynetdicom.upper_layer.fields import (
    UID,
    AETitle,
    Each,
    Flag,
    Octets,
    Reader,
    Reserved,
    Sized,
    Text,
    UInt,
    UnknownItem,
)
from pynetdicom.upper_layer.items import VersionName
from pynetdicom.upper_layer.structure import Item, Items, Nested, Structure


class Inner(Structure, item_types=(0x70,)):
    number = UInt(2, 7)


class Example(Structure, item_types=(0x60, 0x61)):
    first = UInt(1, allowed=range(1, 4), item_type=0x60)
    _1 = Reserved(2)
    flag = Flag(False)
    password = Sized(Octets(), b"", secret=True)
    uids = Sized(Each(Sized(UID())), [])
    name = Item(0x30, Text())
    inners = Items(0x70, Nested(Inner), most=2)


def reader(data: bytes, at: int = 0) -> Reader:
    return Reader(memoryview(data), at, "TEST")


class TestReader:
    def test_takes_up_to_the_end(self):
        r = reader(b"\x01\x02\x03\x04", 1)
        assert r.uint(1) == 2
        assert bytes(r.take()) == b"\x03\x04"
        assert bytes(r.take()) == b""

    def test_never_beyond_the_end(self):
        r = reader(b"\x01\x02")
        r.place = "field"
        with pytest.raises(PDUDecodeError, match="TEST field at offset 0: needs 3 bytes, 2 are"):
            r.take(3)
        assert r.at == 0

    def test_enter_checks_the_length_first(self):
        r = reader(bytes(10))
        outer = r.enter(4)
        with pytest.raises(PDUDecodeError):
            r.take(5)
        with pytest.raises(PDUDecodeError, match="length 5, but 4 bytes are left"):
            r.enter(5)
        r.take(3)
        with pytest.raises(PDUDecodeError, match="1 bytes more"):
            r.leave(outer)
        r.take(1)
        r.leave(outer)
        assert len(r.take()) == 6

    def test_items(self):
        r = reader(b"\x30\xff\x00\x02ab\x31\x00\x00\x00")
        assert [(number, bytes(r.take())) for number in r.items("x")] == [
            (0x30, b"ab"),
            (0x31, b""),
        ]

    @pytest.mark.parametrize("data", [b"\x30", b"\x30\x00\x00", b"\x30\x00\x00\x02a"])
    def test_items_cut_short(self, data):
        r = reader(data)
        with pytest.raises(PDUDecodeError):
            list(r.items("x"))


class TestStructure:
    example = Example(
        first=2,
        flag=True,
        password=b"pw",
        uids=["1.2", "1.3"],
        name="me",
        inners=[Inner(1), Inner()],
    )
    encoded = bytes.fromhex(
        "60 00 0026  02 0000 01  0002 7077  000A 0003 312E32 0003 312E33"
        "30 00 0002 6D65  70 00 0002 0001  70 00 0002 0007"
    )

    def test_encode(self):
        assert self.example.encode() == self.encoded

    def test_read(self):
        r = reader(self.encoded, 4)
        assert Example.read(r, 0x60) == self.example
        assert r.at == r.end

    def test_a_layout_per_item_type(self):
        assert Example.read(reader(bytes.fromhex("0000 01 0000 0000")), 0x61) == Example(flag=True)

    def test_unset_is_not_encoded(self):
        with pytest.raises(ValueError, match=r"Example\.first has not been set"):
            Example().encode()

    def test_none_is_unset_again(self):
        example = Example(first=1)
        example.first = None
        assert example.first is None
        with pytest.raises(TypeError, match="'flag' must be bool"):
            example.flag = None

    def test_defaults_are_not_shared(self):
        Example().uids.append("1.2")
        assert Example().uids == []

    def test_unknown_items_are_kept(self):
        data = bytes.fromhex("01 0000 00 0000 0000  99 00 0001 FF  30 00 0001 61")
        example = Example.read(reader(data), 0x60)
        assert example.name == "a"
        assert example.unknown_items == [UnknownItem(0x99, b"\xff")]
        assert Example.read(reader(example.encode(), 4), 0x60) == example

    @pytest.mark.parametrize("items", ["30000001613000000161", "700000020001" * 3])
    def test_too_many_of_an_item(self, items):
        with pytest.raises(PDUDecodeError) as caught:
            Example.read(reader(bytes.fromhex("01 0000 00 0000 0000" + items)), 0x60)
        assert caught.value.reason == 5

    def test_too_many_unknown_items(self):
        with pytest.raises(PDUDecodeError, match="255 unknown items"):
            Example.read(reader(bytes(8) + b"\x99\x00\x00\x00" * 256), 0x60)

    def test_constructor(self):
        assert Inner(3) == Inner(number=3)
        with pytest.raises(TypeError, match="no field 'x'"):
            Inner(x=1)
        with pytest.raises(TypeError, match="1 fields"):
            Inner(1, 2)

    def test_equality(self):
        assert Inner(1) == Inner(1)
        assert Inner(1) != Inner(2)
        assert Inner(1) != 1

    def test_repr_and_dump_hide_secrets(self):
        assert "pw" not in repr(self.example)
        assert self.example.dump().splitlines() == [
            "Example",
            "  first: 2",
            "  flag: True",
            "  password: '<2 bytes>'",
            "  uids: ['1.2', '1.3']",
            "  name: 'me'",
            "  inners:",
            "    Inner",
            "      number: 1",
            "    Inner",
            "      number: 7",
        ]

    def test_dump_shortens_and_escapes(self):
        class Long(Structure):
            data = Octets(b"a" * 100)
            text = Text("\n\x1b")

        assert Long().dump().splitlines()[1].endswith("… (100 bytes)")
        assert Long().dump().splitlines()[2] == r"  text: '\n\x1b'"

    def test_too_long_to_encode(self):
        with pytest.raises(ValueError, match="length field"):
            Example(first=1, password=bytes(65536)).encode()


class TestKinds:
    class All(Structure):
        number = UInt(1)
        octets = Octets()
        text = Text()
        version = VersionName()
        title = AETitle()
        uid = UID()
        uids = Each(UID())
        inner = Nested(Inner)

    @pytest.mark.parametrize(
        ("name", "value", "kept"),
        [
            ("number", 255, 255),
            ("octets", bytearray(b"a"), b"a"),
            ("text", b"a ", "a"),
            ("text", "é", "é"),
            ("version", "NAME 1", "NAME 1"),
            ("title", "  A B ", "A B"),
            ("title", b"A\0", "A"),
            ("uid", b"1.2\0", "1.2"),
            ("uids", ("1.2",), ["1.2"]),
        ],
    )
    def test_kept(self, name, value, kept):
        assert getattr(self.All(**{name: value}), name) == kept

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("number", 256),
            ("number", -1),
            ("text", "€"),
            ("version", "x" * 17),
            ("version", "a\\b"),
            ("version", "a\nb"),
            ("title", "x" * 17),
            ("uid", "1" * 65),
        ],
    )
    def test_wrong_value(self, name, value):
        with pytest.raises(ValueError):
            self.All(**{name: value})

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("number", "1"),
            ("number", 1.0),
            ("octets", "a"),
            ("text", 1),
            ("version", 1),
            ("title", 1),
            ("uid", 1),
            ("uids", "1.2"),
            ("uids", [1]),
            ("inner", 1),
        ],
    )
    def test_wrong_type(self, name, value):
        with pytest.raises(TypeError, match=name):
            self.All(**{name: value})

    def test_ae_title_is_padded(self):
        assert AETitle().write("AB") == b"AB" + b" " * 14
        assert AETitle().read(reader(b" AB" + b" " * 13)) == "AB"
        # Tolerated: padded with NUL.
        assert AETitle().read(reader(b"AB" + b"\0" * 14)) == "AB"

    def test_flag_is_1(self):
        assert [Flag().read(reader(bytes([n]))) for n in (0, 1, 2, 255)] == [
            False,
            True,
            False,
            False,
        ]
