from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from pynetdicom import _config, uids
from pynetdicom.services import registry
from pynetdicom.services.classes import StorageServiceClass
from pynetdicom.uids import abstract_syntax_uid, checked, named, named_all, transfer_syntax_uid

CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture
def private(forget_registered: None) -> str:
    registry.register_uid("1.2.3.4", "OurStorage", StorageServiceClass)
    return "1.2.3.4"


class TestNamed:
    @pytest.mark.parametrize(
        ("uid", "text"),
        [
            (CT, f"CTImageStorage ({CT})"),
            ("1.2.840.10008.1.2.4.50", "JPEGBaseline8Bit (1.2.840.10008.1.2.4.50)"),
            ("1.2.840.10008.1.2.4.110", "JPEGXLLossless (1.2.840.10008.1.2.4.110)"),
            ("1.2.840.10008.5.1.1.17", "PrinterInstance (1.2.840.10008.5.1.1.17)"),
            # The dictionary has these, without a keyword.
            ("1.2.840.10008.5.1.4.1.1.40", "1.2.840.10008.5.1.4.1.1.40"),
            ("1.2.840.10008.99", "1.2.840.10008.99"),
            ("1.2.3", "1.2.3"),
            ("", ""),
        ],
    )
    def test_keyword_and_uid(self, uid: str, text: str) -> None:
        assert named(uid) == text

    def test_what_is_registered(self, private: str) -> None:
        assert named(private) == "OurStorage (1.2.3.4)"

    def test_what_a_peer_sent_is_escaped_and_bounded(self) -> None:
        assert named("1.2\nERROR: x") == "1.2\\nERROR: x"
        assert len(named("1" * 5000)) == 64
        assert named(CT + "\n") == CT + "\\n"

    def test_several(self) -> None:
        assert named_all([CT, "1.2"]) == f"CTImageStorage ({CT}), 1.2"

    def test_a_name_that_cannot_be_loaded_is_left_out(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails() -> None:
            raise ImportError("the interpreter exits")

        monkeypatch.setattr(uids, "uid_dictionary", fails)
        assert named(CT) == CT

    def test_pydicom_is_loaded_for_a_name_only(self, python_env: dict[str, str]) -> None:
        code = (
            "import sys; from pynetdicom import uids; uids.named('1.2.3');"
            "uids.abstract_syntax_uid('1.2.840.10008.1.1');"
            "assert 'pydicom' not in sys.modules; uids.named('1.2.840.10008.1.1');"
            "assert 'pydicom' in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True, env=python_env)


class TestGiven:
    @pytest.mark.parametrize(
        ("given", "uid"),
        [
            ("CTImageStorage", CT),
            ("CTImageStorage\0 ", CT),
            (b"CTImageStorage", CT),
            (CT, CT),
            (CT.encode() + b"\0", CT),
            ("Verification", "1.2.840.10008.1.1"),
            ("VerificationSOPClass", "1.2.840.10008.1.1"),
            ("StorageCommitmentPushModelSOPClass", "1.2.840.10008.1.20.1"),
            ("PrinterInstance", "1.2.840.10008.5.1.1.17"),
            ("BasicGrayscalePrintManagementMeta", "1.2.840.10008.5.1.1.9"),
            ("CTImageStorageForProcessing", "1.2.840.10008.5.1.4.1.1.2.3"),
            # Longer than a UID may be.
            (
                "WideFieldOphthalmicPhotographyStereographicProjectionImageStorage",
                "1.2.840.10008.5.1.4.1.1.77.1.5.5",
            ),
            ("1.2.3.04", "1.2.3.04"),
            ("1" * 65, "1" * 65),  # whether it is a valid UID is not decided here
            ("", ""),
        ],
    )
    def test_abstract_syntax(self, given: str | bytes, uid: str) -> None:
        found = abstract_syntax_uid(given)
        assert found == uid
        assert type(found) is str

    def test_registered(self, private: str) -> None:
        assert abstract_syntax_uid("OurStorage") == private

    @pytest.mark.parametrize(
        ("given", "uid"),
        [
            ("JPEGBaseline8Bit", "1.2.840.10008.1.2.4.50"),
            ("ImplicitVRLittleEndian", "1.2.840.10008.1.2"),
            ("JPEGXL", "1.2.840.10008.1.2.4.112"),
            ("1.2.840.10008.1.2", "1.2.840.10008.1.2"),
        ],
    )
    def test_transfer_syntax(self, given: str, uid: str) -> None:
        assert transfer_syntax_uid(given) == uid

    @pytest.mark.parametrize(
        ("given", "like"),
        [
            ("CTImageStorag", "did you mean CTImageStorage"),
            ("ctimagestorage", "did you mean CTImageStorage"),
            ("CT Image Storage", "did you mean CTImageStorage"),
            ("Verfication", "did you mean Verification"),
            ("1.2.840.10008.1.1a", ""),
            ("1.2.840.10008.1.1\n", ""),
            (" 1.2.840.10008.1.1", ""),
            ("Größe", ""),
            ("x" * 100_000, ""),
            ("ImplicitVRLittleEndian", ""),  # is a transfer syntax
        ],
    )
    def test_neither(self, given: str, like: str) -> None:
        with pytest.raises(ValueError, match="neither a UID") as caught:
            abstract_syntax_uid(given)
        text = str(caught.value)
        assert like in text
        assert "abstract_syntax" in text
        assert text.isprintable()
        assert len(text) < 500

    def test_neither_of_transfer_syntaxes(self) -> None:
        with pytest.raises(ValueError, match=r"JPEGBaseline'.*did you mean JPEGBaseline8Bit"):
            transfer_syntax_uid("JPEGBaseline")
        with pytest.raises(ValueError, match="transfer_syntax"):
            transfer_syntax_uid("CTImageStorage")

    @pytest.mark.parametrize("given", [None, 1, 1.2, ["1.2"], object()])
    def test_another_type(self, given: object) -> None:
        with pytest.raises(TypeError, match="abstract_syntax"):
            abstract_syntax_uid(given)
        with pytest.raises(TypeError, match="transfer_syntax"):
            transfer_syntax_uid(given)


class TestChecked:
    @pytest.mark.parametrize("value", ["1.2.3", b"1.2.3", "1.2.3\0", "1.2.3 "])
    def test_good(self, value: Any) -> None:
        assert checked("UI", value, "x") == "1.2.3"
        assert type(checked("UI", value, "x")) is str

    def test_of_pydicom(self) -> None:
        from pydicom.uid import UID as PydicomUID

        assert type(checked("UI", PydicomUID("1.2.3"), "x")) is str

    @pytest.mark.parametrize("value", ["", "1" * 65, "1.ä"])
    def test_bad_value(self, value: Any) -> None:
        with pytest.raises(ValueError, match="'x'"):
            checked("UI", value, "x")

    @pytest.mark.parametrize("value", [None, 1, ["1.2"]])
    def test_bad_type(self, value: Any) -> None:
        with pytest.raises(TypeError, match="'x'"):
            checked("UI", value, "x")

    def test_conformance_is_an_option(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert checked("UI", "1.02", "x") == "1.02"
        monkeypatch.setattr(_config, "ENFORCE_UID_CONFORMANCE", True)
        with pytest.raises(ValueError, match=r"PS3\.5"):
            checked("UI", "1.02", "x")
        assert checked("UI", "1.0.2", "x") == "1.0.2"

    def test_own_validator(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(_config.VALIDATORS, "UI", lambda uid: (uid == "no uid", "never"))
        assert checked("UI", "no uid", "x") == "no uid"
        with pytest.raises(ValueError, match="never"):
            checked("UI", "1.2", "x")


@pytest.mark.parametrize("value", ["STORE", b"STORE           ", " STORE\0"])
def test_ae_title(value: str | bytes) -> None:
    assert checked("AE", value, "x") == "STORE"


@pytest.mark.parametrize("value", ["", " ", "A" * 17, "A\\B", "A\nB", b"\xc4"])
def test_none_is_an_ae_title(value: str | bytes) -> None:
    with pytest.raises(ValueError, match="Invalid 'x' value"):
        checked("AE", value, "x")


def test_a_comment_may_be_anything() -> None:
    assert checked("LO", "ä\\b" * 99, "x") == "ä\\b" * 99
