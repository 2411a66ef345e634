from __future__ import annotations

import logging
import ssl

import pytest

from pynetdicom.upper_layer.ended import Ended, unanswered
from pynetdicom.upper_layer.framing import TLSRecord
from pynetdicom.upper_layer.tls_faults import Complaints, in_words, is_ssl, of_handshake

LOGGER = logging.getLogger("pynetdicom.lobby")


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


class TestComplaints:
    @pytest.fixture(autouse=True)
    def set_up(self, caplog: pytest.LogCaptureFixture) -> None:
        self.now = 1000.0
        self.caplog = caplog

    def make(self, most: int = 1000) -> Complaints:
        return Complaints(LOGGER, most=most, clock=lambda: self.now)

    def said(self) -> list[str]:
        texts = list(self.caplog.messages)
        assert all(record.levelno == logging.WARNING for record in self.caplog.records)
        self.caplog.clear()
        return texts

    def test_one_a_minute_and_peer_with_a_count(self) -> None:
        complaints = self.make()
        for number in range(10):
            complaints.say(("127.0.0.1", number), "why")
        assert self.said() == ["a connection from 127.0.0.1:0 failed: why"]
        self.now += 59.9
        complaints.say(("127.0.0.1", 10), "why")
        assert self.said() == []
        self.now += 0.1
        complaints.say(("127.0.0.1", 11), "something else")
        complaints.say(("127.0.0.1", 12), "something else")
        (text,) = self.said()
        assert text.startswith("a connection from 127.0.0.1:11 failed: something else (")
        assert text.endswith(" (10 more from there since were not logged)")

    def test_each_peer_has_its_own(self) -> None:
        complaints = self.make()
        for _ in range(3):
            for host in ("10.0.0.1", "10.0.0.2", "fe80::1"):
                complaints.say((host, 104), "why")
        assert self.said() == [
            "a connection from 10.0.0.1:104 failed: why",
            "a connection from 10.0.0.2:104 failed: why",
            "a connection from [fe80::1]:104 failed: why",
        ]

    def test_peers_are_forgotten_and_what_they_did_is_not(self) -> None:
        complaints = self.make()
        for number in range(100):
            for _ in range(3):
                complaints.say((f"10.0.0.{number}", 104), "why")
        assert len(self.said()) == len(complaints) == 100
        self.now += 60
        complaints.say(("10.0.1.1", 104), "why")
        assert len(complaints) == 1
        (text,) = self.said()
        assert text.endswith(" (200 from others since were not logged)")

    def test_many_addresses_take_no_more_memory(self) -> None:
        complaints = self.make(most=50)
        for number in range(10_000):
            complaints.say((f"host {number}", 104), "why")
            assert len(complaints) <= 50
        assert len(self.said()) == 50
        complaints.say(("host 0", 104), "why")  # is remembered
        assert self.said() == []
        self.now += 60
        complaints.say(("host 9999", 104), "why")
        (text,) = self.said()
        assert text.endswith(" (9951 from others since were not logged)")

    def test_a_peer_whose_turn_comes_when_there_are_too_many(self) -> None:
        complaints = self.make(most=1)
        complaints.say(("a", 1), "why")
        complaints.say(("a", 1), "why")
        self.now += 30
        complaints.say(("b", 1), "why")
        self.now += 30
        complaints.say(("b", 1), "why")
        assert self.said() == [
            "a connection from a:1 failed: why",
            "a connection from b:1 failed: why (2 from others since were not logged)",
        ]
