"""pynetdicom.data_sets.character_sets: text as it is, or an error."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.charset import decode_bytes
from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from pynetdicom.data_sets.character_sets import (
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


SAMPLES = {
    "": "abc",
    "ISO 2022 IR 6": "abc",
    "ISO 2022 IR 100": "üñé",
    "ISO 2022 IR 101": "őłň",
    "ISO 2022 IR 109": "ĥŝĝ",
    "ISO 2022 IR 110": "ķļģ",
    "ISO 2022 IR 144": "Джб",
    "ISO 2022 IR 127": "قبا",
    "ISO 2022 IR 126": "Διο",
    "ISO 2022 IR 138": "שרו",
    "ISO 2022 IR 148": "şğı",
    "ISO 2022 IR 13": "ﾔﾏﾀ",
    "ISO 2022 IR 166": "นาม",
    "ISO 2022 IR 87": "山田太",
    "ISO 2022 IR 159": "丂丄丅",
    "ISO 2022 IR 149": "홍길동",
    "ISO 2022 IR 58": "张王小",
}
PAIRS = [
    (first, second)
    for first in SAMPLES
    for second in SAMPLES
    if second and first != second and first not in ("ISO 2022 IR 87", "ISO 2022 IR 159")
]


def layouts(a: str, b: str) -> list[list[str]]:
    """Values in which one set or the other comes before and after each kind of delimiter."""
    return [
        [f"{b}^{b[0]}", f"{a}^x{a[0]}"],
        [f"{a}{b}", f"{b}{a}", a, b, f"{b}x{b}"],
        [f"A^B={b}^{b}={a}^{b[:2]}", f"{a}={b}", f"{b}={a}^^{a}"],
        [f"{b}^{a}", "plain^ascii", f"{a}"],
        [f"{a}", f"{b}{b}^", f"^{a}"],
    ]


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_all_pairs_of_sets(pair: tuple[str, str]) -> None:
    """Values, name parts and component groups begin with the initial sets, for any reader."""
    from pynetdicom.data_sets.data_set import encode_dataset
    from pynetdicom.services.matching import encoded as encoded_match

    a, b = SAMPLES[pair[0]], SAMPLES[pair[1]]
    for values in layouts(a, b):
        ds = Dataset()
        ds.SpecificCharacterSet = list(pair)
        ds.OtherPatientNames = values
        ds.OtherPatientIDs = [value.replace("^", " ").replace("=", "-") for value in values]
        ds.AdditionalPatientHistory = "\r\n".join(values) + "\t" + a + "\f" + b + "\v" + a
        for encode in (encode_dataset, encoded_match):
            for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1"):
                read = encode(ds, syntax).decode()
                # pydicom leaves the escape sequence of IR 58 in what it decodes.
                names = [str(name).replace("\x1b$)A", "") for name in read.OtherPatientNames]
                ids = [text.replace("\x1b$)A", "") for text in read.OtherPatientIDs]
                history = read.AdditionalPatientHistory.replace("\x1b$)A", "")
                assert names == values
                assert ids == [v.rstrip() for v in ds.OtherPatientIDs]
                assert history == ds.AdditionalPatientHistory
                conforming = read_by_the_standard(
                    encode(ds, syntax).peek(0x00101001)[0x00101001], pair
                )
                assert conforming == "\\".join(values)


def read_by_the_standard(data: bytes, pair: tuple[str, str]) -> str:
    """What a reader makes of names that keeps G0 and G1 apart and sets both back by itself."""
    from pydicom.charset import CODES_TO_ENCODINGS, ENCODINGS_TO_CODES

    first = encodings_of(declared(list(pair)))[0]
    initial = None if first in ("iso8859", "euc_kr", "iso_ir_58") else first
    g0, g1 = b"", initial
    text, at = "", 0
    while at < len(data):
        code = next((c for c in CODES_TO_ENCODINGS if data.startswith(c, at)), None)
        if code is not None:
            encoding = CODES_TO_ENCODINGS[code]
            if code[1:2] in b"-)" or code[1:3] == b"$)":
                g1 = encoding
            else:
                g0 = code if code[1:2] == b"$" else b""
            at += len(code)
            continue
        byte = data[at]
        if g0 and byte < 0x80:
            encoding = CODES_TO_ENCODINGS[g0]
            text += (g0 + data[at : at + 2] + b"\x1b(B").decode(encoding)
            at += 2
        elif byte < 0x80:
            if chr(byte) in "\\^=":
                assert g1 == initial or initial is None, (data, at)
                assert not g0
                g1 = initial
            text += chr(byte)
            at += 1
        else:
            assert g1 is not None, (data, at)
            size = 2 if g1 in ("euc_kr", "iso_ir_58") else 1
            prefix = ENCODINGS_TO_CODES[g1] if g1 == "iso_ir_58" else b""
            text += (prefix + data[at : at + size]).decode(g1).lstrip("\x1b$)A")
            at += size
    return text.rstrip(" ")


def test_the_second_value_is_not_in_the_first_ones_set() -> None:
    character_set = declared(["ISO 2022 IR 100", "ISO 2022 IR 144"])
    names = [encode_name(PersonName(name), character_set) for name in ("Дж^Б", "Müller^Jörg")]
    assert names == [
        b"\x1b-L\xb4\xd6\x1b-A^\x1b-L\xb1\x1b-A",
        b"M\xfcller^J\xf6rg",
    ]
