from __future__ import annotations

import pytest

from pynetdicom.upper_layer.ended import Ended

TEXTS = [
    (Ended("released", "local"), "released by the local side"),
    (Ended("released", "peer"), "released by the peer"),
    (Ended("aborted", "peer", 0, 0), "aborted by the peer"),
    (Ended("aborted", "peer", 2, 1), "aborted by the peer (unrecognized PDU)"),
    (Ended("aborted", "local", 2, 6), "aborted by the local side (invalid PDU parameter value)"),
    (Ended("aborted", "peer", 2, 3), "aborted by the peer (reason 3)"),
    (
        Ended("aborted", "local", 0, 0, timer="dimse_timeout"),
        "aborted by the local side, dimse_timeout ran out",
    ),
    (Ended("aborted", "network"), "connection lost"),
    (Ended("aborted", "network", error=OSError("reset")), "connection lost: reset"),
    (
        Ended("aborted", "local", 0, 0, error=KeyboardInterrupt()),
        "aborted by the local side: KeyboardInterrupt",
    ),
    (
        Ended("failed", "network", timer="connection_timeout"),
        "no connection, connection_timeout ran out",
    ),
    (
        Ended("rejected", "peer", 1, 7, 1),
        "rejected permanently by the peer: called AE title not recognised",
    ),
    (
        Ended("rejected", "local", 3, 2, 2),
        "rejected transiently by the local side: local limit exceeded",
    ),
    (Ended("rejected", "peer", 9, 9, 9), "rejected with result 9 by the peer: source 9, reason 9"),
]


@pytest.mark.parametrize(("ended", "text"), TEXTS)
def test_one_line_for_the_user(ended: Ended, text: str) -> None:
    assert str(ended) == text


def test_it_does_not_change() -> None:
    ended = Ended("released", "peer")
    with pytest.raises(AttributeError):
        ended.kind = "aborted"  # type: ignore[misc]
