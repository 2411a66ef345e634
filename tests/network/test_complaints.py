from __future__ import annotations

import logging

import pytest

from pynetdicom.network.complaints import Complaints

LOGGER = logging.getLogger("pynetdicom.lobby")


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
