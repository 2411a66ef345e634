from __future__ import annotations

import ssl

import pytest

from pynetdicom.upper_layer.ended import Ended, unanswered
from pynetdicom.upper_layer.framing import TLSRecord
from pynetdicom.upper_layer.tls_faults import in_words, is_ssl, of_handshake


def ssl_error(reason: str, verify_message: str = "") -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] {reason.lower()} (_ssl.c:1006)")
    error.reason = reason
    if verify_message:
        error.verify_message = verify_message  # type: ignore[attr-defined]  # as a subclass has it
    return error


class TestWords:
    @pytest.mark.parametrize(
        ("reason", "words"),
        [
            ("WRONG_VERSION_NUMBER", "the peer does not speak TLS"),
            ("TLSV1_ALERT_UNKNOWN_CA", "does not trust the authority of our certificate"),
            ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "requires a certificate"),
            ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "has sent no certificate"),
            ("UNSUPPORTED_PROTOCOL", "no TLS version that is allowed here"),
            ("TLSV1_ALERT_PROTOCOL_VERSION", "none of the TLS versions that we offer"),
            ("NO_SHARED_CIPHER", "no cipher suite"),
            ("SSLV3_ALERT_HANDSHAKE_FAILURE", "refuses the handshake"),
            ("SSL/TLS_ALERT_HANDSHAKE_FAILURE", "refuses the handshake"),
            ("SOMETHING_NEW", "something new"),
        ],
    )
    def test_reasons(self, reason: str, words: str) -> None:
        error = ssl_error(reason)
        assert is_ssl(error)
        text = in_words(error)
        assert text.startswith("TLS: ")
        assert words in text
        assert text.endswith(f"({reason})")
        assert str(Ended("failed", "network", error=error)) == f"no connection: {text}"

    def test_certificates(self) -> None:
        error = ssl_error("CERTIFICATE_VERIFY_FAILED", "certificate has expired")
        expected = "TLS: the peer's certificate is not accepted: certificate has expired"
        assert in_words(error) == expected

    @pytest.mark.parametrize("error", [ConnectionResetError(104, "x"), BrokenPipeError(32, "x")])
    def test_closed(self, error: OSError) -> None:
        assert in_words(error, ": why?") == "TLS: the peer closed the connection: why?"
        eof = ssl_error("UNEXPECTED_EOF_WHILE_READING")
        assert "closed the connection: why?" in in_words(eof, ": why?")

    @pytest.mark.parametrize("error", [ssl.SSLError(), ssl.SSLError("a\nb"), ValueError("x")])
    def test_others_are_one_line(self, error: Exception) -> None:
        assert in_words(error).isprintable()

    @pytest.mark.parametrize(
        ("heard", "words"),
        [
            (b"\x01\x00\x00", "an A-ASSOCIATE-RQ without TLS"),
            (b"GET", "something without TLS"),
            (b"\x16\x03\x01", "the peer does not speak TLS"),
        ],
    )
    def test_of_the_side_that_listens(self, heard: bytes, words: str) -> None:
        assert words in of_handshake(heard, ssl_error("WRONG_VERSION_NUMBER"))


def test_a_tls_record_instead_of_a_pdu() -> None:
    ended = Ended("aborted", "local", 2, 1, error=TLSRecord("type 0x15", reason=1))
    assert str(ended).endswith(": type 0x15: does the peer expect TLS?")


@pytest.mark.parametrize("error", [None, ConnectionResetError(104, "x")])
def test_unanswered(error: OSError | None) -> None:
    expected = "the peer closed the connection: does it expect TLS?"
    assert str(unanswered(error, False)) == expected
    assert unanswered(error, False).__cause__ is error
    assert "certificate" in str(unanswered(error, True))
    other = OSError("other")
    assert unanswered(other, False) is other
