from __future__ import annotations

import contextvars
import subprocess
import sys
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from pynetdicom import _config
from pynetdicom.utils import (
    decode_bytes,
    make_target,
    pretty_bytes,
    printable,
    set_ae,
    set_timer_resolution,
    set_uid,
    validate_ae_title,
    validate_uid,
)


class TestSetAE:
    @pytest.mark.parametrize(
        "value", ["A", " A ", "A" * 16, "A" + " " * 15, "a b/c", "", "   ", " " * 16]
    )
    def test_str_is_kept_as_given(self, value: str) -> None:
        assert set_ae(value, "x") == value

    @pytest.mark.parametrize(
        ("value", "title"),
        [
            (b"ABC             ", "ABC"),
            (b"  ABC ", "ABC"),
            (b"ABC\0", "ABC"),
            (b"A" * 20, "A" * 16),
            (b"", ""),
            (b" " * 16, ""),
        ],
    )
    def test_bytes_are_decoded_stripped_and_cut(self, value: bytes, title: str) -> None:
        assert set_ae(value, "x") == title

    @pytest.mark.parametrize(
        "value", ["A" * 17, "A" + " " * 16, " " * 17, "A\\", "A\n", "\0A", "A\x7f", "Ä", b"\xc4"]
    )
    def test_bad_value(self, value: str | bytes) -> None:
        with pytest.raises(ValueError):
            set_ae(value, "x")

    @pytest.mark.parametrize("value", ["", " ", " " * 16, " " * 17, b"", b"  "])
    def test_empty_where_it_may_not_be(self, value: str | bytes) -> None:
        with pytest.raises(ValueError, match=r"'called' value .* must not be empty"):
            set_ae(value, "called", allow_empty=False)

    @pytest.mark.parametrize("value", [1, 1.0, ["A"], UID])
    def test_bad_type(self, value: object) -> None:
        with pytest.raises(TypeError, match="'x' must be str, bytes or None, not"):
            set_ae(value, "x")

    def test_none(self) -> None:
        assert set_ae(None, "x") is None
        with pytest.raises(TypeError, match="'x' must be str or bytes, not 'NoneType'"):
            set_ae(None, "x", allow_none=False)

    def test_the_error_shows_the_value_on_one_line(self) -> None:
        with pytest.raises(ValueError) as error:
            set_ae("A\nB", "x")
        assert "\n" not in str(error.value)

    def test_validator(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(_config.VALIDATORS, "AE", lambda value: (value == "Ä" * 20, "no"))
        assert set_ae("Ä" * 20, "x") == "Ä" * 20
        assert set_ae("", "x") == ""
        with pytest.raises(ValueError, match="'x' value 'A' - no"):
            set_ae("A", "x")


class TestValidateAETitle:
    @pytest.mark.parametrize(
        "value", ["ABC", "  ABC ", b"ABC", b" ABC            ", "ABC" + " " * 30]
    )
    def test_padded_bytes(self, value: str | bytes) -> None:
        assert validate_ae_title(value) == b"ABC             "

    @pytest.mark.parametrize("value", ["A" * 20, b"A" * 20])
    def test_cut(self, value: str | bytes) -> None:
        assert validate_ae_title(value) == b"A" * 16

    @pytest.mark.parametrize("value", ["", "  ", b"", b"  ", "A\\B", b"A\nB", "A\x1b", "Ä"])
    def test_bad_value(self, value: str | bytes) -> None:
        with pytest.raises(ValueError):
            validate_ae_title(value)

    @pytest.mark.parametrize("value", [1, None, ["A"]])
    def test_bad_type(self, value: str) -> None:
        with pytest.raises(TypeError):
            validate_ae_title(value)


class TestUID:
    @pytest.mark.parametrize("value", ["1.2.3", b"1.2.3", UID("1.2.3"), b"1.2.3\0", " 1.2.3 "])
    def test_set_uid(self, value: str | bytes) -> None:
        uid = set_uid(value, "x")
        assert type(uid) is UID
        assert uid == "1.2.3"

    def test_none_and_empty(self) -> None:
        assert set_uid(None, "x") is None
        assert set_uid("", "x") == ""
        with pytest.raises(TypeError, match="'x' must be str, bytes or UID, not 'NoneType'"):
            set_uid(None, "x", allow_none=False)
        with pytest.raises(ValueError, match="'x' value - must not be empty"):
            set_uid("", "x", allow_empty=False)

    def test_bad_type(self) -> None:
        with pytest.raises(TypeError, match="'x' must be str, bytes, UID or None, not 'int'"):
            set_uid(12, "x")

    def test_what_does_not_conform_is_taken(self) -> None:
        assert set_uid("1.02", "x") == "1.02"
        assert set_uid("1" * 64, "x") == "1" * 64
        with pytest.raises(ValueError):
            set_uid("1" * 65, "x")
        assert set_uid("1" * 65, "x", validate=False) == "1" * 65

    def test_unless_conformance_is_enforced(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_config, "ENFORCE_UID_CONFORMANCE", True)
        assert set_uid("1.20.0", "x") == "1.20.0"
        for value in ("1.02", "abc", "1..2", "1.2."):
            with pytest.raises(ValueError):
                set_uid(value, "x")

    def test_validator(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(_config.VALIDATORS, "UI", lambda value: (value == "1.2", "no"))
        assert set_uid("1.2", "x") == "1.2"
        with pytest.raises(ValueError, match="no"):
            set_uid("1.3", "x")

    @pytest.mark.parametrize(
        ("value", "lenient", "strict"),
        [
            ("1.2.3", True, True),
            ("1" * 64, True, True),
            ("0.0", True, True),
            ("1.02", True, False),
            ("abc", True, False),
            ("1" * 65, False, False),
            ("", False, False),
        ],
    )
    def test_validate_uid(
        self, value: str, lenient: bool, strict: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert validate_uid(UID(value, validation_mode=0)) is lenient
        monkeypatch.setattr(_config, "ENFORCE_UID_CONFORMANCE", True)
        assert validate_uid(value) is strict


class TestDecodeBytes:
    def test_ascii(self) -> None:
        assert decode_bytes(b"abc ") == "abc "

    def test_codecs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ValueError, match=r"cannot be decoded \(ascii\)"):
            decode_bytes(b"\xe9")
        monkeypatch.setattr(_config, "CODECS", ("ascii", "utf-8", "latin-1"))
        assert decode_bytes(b"\xe9") == decode_bytes(b"\xc3\xa9") == "é"


class TestPrintable:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("plain text", "plain text"),
            (b"bytes \xe9\0", r"bytes \xe9\x00"),
            ("two\r\nlines", r"two\r\nlines"),
            ("\x1b[31mred", r"\x1b[31mred"),
            ("\x7f\x9b\u2028\u202e", r"\x7f\x9b\u2028\u202e"),
            ("back\\slash", r"back\\slash"),
            ("\ud800", r"\ud800"),
            ("", ""),
        ],
    )
    def test_escapes(self, text: str | bytes, shown: str) -> None:
        assert printable(text) == shown

    def test_limit(self) -> None:
        assert printable("a" * 512) == "a" * 512
        assert printable("a" * 513) == "a" * 509 + "..."
        assert printable("abcdef", limit=5) == "ab..."
        assert printable("abcdef", limit=2) == ".."

    @given(st.text() | st.binary(), st.integers(0, 40))
    def test_is_one_bounded_line_of_ascii(self, text: str | bytes, limit: int) -> None:
        shown = printable(text, limit)
        assert len(shown) <= limit
        assert shown.isascii()
        assert shown.isprintable()


class TestPrettyBytes:
    def test_lines(self) -> None:
        assert pretty_bytes(bytes(range(18))) == [
            "  00  01  02  03  04  05  06  07  08  09  0a  0b  0c  0d  0e  0f",
            "  10  11",
        ]
        assert pretty_bytes(b"") == []

    def test_options(self) -> None:
        assert pretty_bytes(BytesIO(b"abcdef"), "<", "-", 2, 3, ">") == [
            "<Only dumping 3 bytes.",
            "<61-62>",
            "<63>",
        ]

    def test_all(self) -> None:
        assert len(pretty_bytes(bytes(1024))) == 33
        assert len(pretty_bytes(bytes(1024), max_size=None)) == 64


def test_make_target(monkeypatch: pytest.MonkeyPatch) -> None:
    variable = contextvars.ContextVar("variable", default=0)

    def target(add: int, *, times: int = 1) -> int:
        return (variable.get() + add) * times

    assert make_target(target) is target
    monkeypatch.setattr(_config, "PASS_CONTEXTVARS", True)
    variable.set(5)
    wrapped = make_target(target)
    variable.set(7)
    assert wrapped(1, times=2) == 12


@pytest.mark.parametrize("resolution", [None, 1, 0.5])
def test_set_timer_resolution(resolution: float | None) -> None:
    with set_timer_resolution(resolution):
        pass


def test_ae_titles_are_checked_without_pydicom() -> None:
    code = (
        "import sys; from pynetdicom import utils; utils.set_ae('A', 'x'); utils.printable('x');"
        "assert 'pydicom' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
