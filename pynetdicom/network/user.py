"""What the DUL service asks of whoever uses it, and tells: implemented by `Association`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Assembler(Protocol):
    """What puts messages together, on the thread that reads."""

    @property
    def context_id(self) -> int:
        """Of the message that has begun and is not complete; 0 between messages."""

    def feed(self, context_id: int, control: int, data: memoryview, pdv_done: bool) -> None:
        """Take a part of a PDV; a message may be complete by it."""

    def flush(self) -> None:
        """Copy or write what `feed` was given; the buffer is about to be used again."""


class User(Protocol):
    """What the DUL service needs of the association that uses it.

    All of it must be quick. They are called on whatever thread it happens, and
    without a lock, but for these: `on_ended` and what is sent by `send_data` may be told by a
    thread that is writing.
    """

    watches_data: bool
    watches_pdus: bool
    watches_transitions: bool

    @property
    def assembler(self) -> Assembler:
        """What takes the content of P-DATA-TF."""

    @property
    def network_timeout(self) -> float | None:
        """That of the association."""

    def outstanding(self) -> int:
        """How many requests of ours the peer has not answered, so that it will send something."""

    def on_associate(self, pdu: Any) -> frozenset[int]:
        """An A-ASSOCIATE-AC came; returns the accepted context IDs."""

    def on_release(self, answer: Callable[[], bool]) -> None:
        """The peer requests release; `answer` does so at once, if it gives True."""

    def on_paused(self) -> None:
        """Reading was paused for as long as it may be, or the peer has hung up: it goes on."""

    def on_ended(self) -> None:
        """`Provider.ended` is set: wake everybody. Two threads may tell it at the same time."""

    def on_data(self, data: bytes, sent: bool) -> None:
        """Bytes were received or sent."""

    def on_pdu(self, pdu: Any, sent: bool) -> None:
        """A PDU was received or sent."""

    def on_transition(self, action: str, state: str, event: str, next_state: str) -> None:
        """The state machine has moved."""
