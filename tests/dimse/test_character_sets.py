"""pynetdicom.dimse.character_sets: text as it is, or an error."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.charset import decode_bytes
from pydicom.valuerep import PersonName

from pynetdicom.dimse.character_sets import (
    NotInCharacterSet,
    check_default,
    check_encoded,
    declared,
    encode_name,
    encode_text,
    encodings_of,
)


@pytest.fixture(autouse=True)
def without_warnings() -> Iterator[None]:
    """Nothing here makes pydicom warn that it replaces something."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# The examples of PS3.5 annexes H, I, J and K.
STANDARD: list[tuple[Any, str, bytes]] = [
    (
        ["", "ISO 2022 IR 87"],
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
    ),
    (
        ["ISO 2022 IR 13", "ISO 2022 IR 87"],
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        (
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"
            b"=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J"
        ),
    ),
    (
        ["", "ISO 2022 IR 149"],
        "Hong^Gildong=洪^吉洞=홍^길동",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
    ),
    (
        ["", "ISO 2022 IR 58"],
        "Zhang^XiaoDong=张^小东=",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab",
    ),
    (
        "ISO_IR 192",
        "Wang^XiaoDong=王^小东=",
        b"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe4\xb8\x9c",
    ),
    ("GB18030", "Wang^XiaoDong=王^小东=", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab"),
    ("ISO_IR 100", "Buc^Jérôme", b"Buc^J\xe9r\xf4me"),
    ("ISO_IR 144", "Люкceмбypг", b"\xbb\xee\xdace\xdc\xd1yp\xd3"),
]


@pytest.mark.parametrize(("value", "text", "encoded"), STANDARD, ids=lambda v: str(v)[:20])
def test_the_examples_of_the_standard(value: Any, text: str, encoded: bytes) -> None:
    assert encode_name(PersonName(text), declared(value)) == encoded


REPRESENTABLE: list[tuple[Any, str]] = [
    (None, "Doe^Jane~\\"),
    ("ISO_IR 100", "Müller"),
    ("ISO_IR 13", "ﾔﾏﾀﾞ ABC"),
    ("ISO_IR 166", "ไทย"),
    ("GBK", "王 a\\b"),
    ("ISO 2022 IR 87", "山a"),  # which should not stand alone, but is met with
    (["ISO 2022 IR 6", "ISO 2022 IR 100"], "Müller x ü^ö"),
    (["ISO 2022 IR 100", "ISO 2022 IR 144"], "Müller Люкü\nЛюк é"),
    (["ISO 2022 IR 144", "ISO 2022 IR 100"], "Люк é\rЛюк\té"),
    (["ISO 2022 IR 144", "ISO 2022 IR 87"], "Люк山Люк^Л山"),
    (["ISO 2022 IR 13", "ISO 2022 IR 87"], "山ﾔ山 ﾔ"),
    (["", "ISO 2022 IR 87", "ISO 2022 IR 159"], "山é丂a山"),
    (["", "ISO 2022 IR 149", "ISO 2022 IR 87"], "김 やA김や"),
    (["", "ISO 2022 IR 100", "ISO 2022 IR 101", "ISO 2022 IR 126"], "üőλ aőü"),
]


@pytest.mark.parametrize(("value", "text"), REPRESENTABLE, ids=str)
def test_pydicom_decodes_what_is_encoded(value: Any, text: str) -> None:
    character_set = declared(value)
    data = encode_text(text, character_set)
    assert decode_bytes(data, list(encodings_of(character_set)), {10, 13, 9, 12}) == text


def test_latin_1_needs_its_escape_sequence_where_it_is_not_the_first() -> None:
    assert encode_text("ü", declared(["", "ISO 2022 IR 100"])) == b"\x1b-A\xfc"


def test_escape_sequences_that_pydicom_leaves_in_a_text() -> None:
    character_set = declared(["", "ISO 2022 IR 58"])
    data = encode_text("张", character_set)
    read = decode_bytes(data, list(encodings_of(character_set)), set())
    assert encode_text(read, character_set) == data


MISSING: list[tuple[Any, str]] = [
    (None, "Müller"),
    (None, "山"),
    ("", "Müller"),
    ([], "Müller"),
    (["", ""], "Müller"),
    ("ISO_IR 6", "Müller"),
    ("no such set", "Müller"),
    ("ISO_IR 100", "Łukasz"),
    ("ISO_IR 144", "Müller"),
    ("ISO_IR 13", "山"),
    ("ISO_IR 13", "¥"),  # its code is that of the backslash
    (["", "ISO 2022 IR 87"], "Müller"),
    (["", "ISO 2022 IR 87"], "é山"),
    (["", "ISO 2022 IR 149"], "뢔"),  # in Python's encoding, but not in the character set
    (["ISO 2022 IR 13", "ISO 2022 IR 87"], "¥山"),
    (["", "ISO 2022 IR 87", "ISO 2022 IR 159"], "김"),
    (["ISO 2022 IR 100", "ISO 2022 IR 144"], "\x85Л"),
    ("ISO_IR 192", "\udcfc"),
    ("ISO_IR 192", "M\N{REPLACEMENT CHARACTER}ller"),
]


@pytest.mark.filterwarnings("ignore:Unknown encoding")
@pytest.mark.parametrize(("value", "text"), MISSING, ids=ascii)
def test_what_a_character_set_lacks(value: Any, text: str) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Unknown encoding")
        with pytest.raises(NotInCharacterSet) as caught:
            encode_text(text, declared(value))
        with pytest.raises(NotInCharacterSet):
            encode_name(PersonName(f"{text}^A"), declared(value))
    assert not any(character in str(caught.value) for character in text if not character.isascii())
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_the_message_names_the_character_set() -> None:
    with pytest.raises(NotInCharacterSet, match=r"'\\\\ISO 2022 IR 87'"):
        encode_text("Müller", declared(["", "ISO 2022 IR 87"]))
    with pytest.raises(NotInCharacterSet, match="no Specific Character Set is declared"):
        encode_text("Müller", ())


def test_a_name_that_pydicom_has_encoded_for_another_character_set() -> None:
    name = PersonName("Müller")
    assert name.encode(["latin_1"]) == b"M\xfcller"  # and pydicom keeps that
    assert encode_name(name, ("ISO_IR 192",)) == b"M\xc3\xbcller"
    assert encode_name(name, ("ISO_IR 100",)) == b"M\xfcller"
    with pytest.raises(NotInCharacterSet):
        encode_name(name, ("ISO_IR 144",))
    read = PersonName(b"M\xfcller", ["latin_1"])
    assert encode_name(read, ("ISO_IR 192",)) == b"M\xc3\xbcller"


def test_what_pydicom_has_lost_before() -> None:
    name = PersonName("山")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert name.encode(["iso8859"]) == b"?"  # and pydicom keeps that
    assert encode_name(name, ("ISO_IR 192",)) == "山".encode()
    assert encode_name(name, ("GB18030",)) == "山".encode("gb18030")


def test_bytes_or_text_nobody_knows() -> None:
    name = PersonName("éA")
    assert name.encode(["latin_1"]) == b"\xe9A"  # which is 階 in GBK
    for character_set in ("GBK", "GB18030"):
        with pytest.raises(NotInCharacterSet, match="encoded before"):
            encode_name(name, (character_set,))
    assert encode_name(name, ("ISO_IR 192",)) == "éA".encode()


def test_a_name_given_as_bytes() -> None:
    name = PersonName(b"M\xc3\xbcller")
    assert encode_name(name, ("ISO_IR 192",)) == b"M\xc3\xbcller"
    with pytest.raises(NotInCharacterSet):
        encode_name(PersonName(b"\xbb\xee"), ("ISO_IR 144",))


def test_checks() -> None:
    check_default("ABC")
    with pytest.raises(NotInCharacterSet):
        check_default("É")
    check_encoded(b"ABC", ())
    check_encoded(b"M\xfcller", ("ISO_IR 100",))
    check_encoded(b"\x1b$B;3\x1b(B", declared(["", "ISO 2022 IR 87"]))
    for character_set in (), ("ISO_IR 192",):
        for data in b"M\xfcller", b"\x1b$B;3\x1b(B":
            with pytest.raises(NotInCharacterSet):
                check_encoded(data, character_set)
