"""Warnings of what many connections may do: at most one a minute and peer, with a count."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from pynetdicom.network.addresses import address_text

_EVERY = 60.0
"""Seconds."""


_CONNECTION = "a connection from"


class Complaints:
    """The warnings of a listener: one a minute and peer, and how many more there were.

    Touched by the lobby's thread alone. No more than `most` peers are remembered; what others do
    meanwhile is counted together.

    Parameters
    ----------
    clock : callable
        Gives the time in seconds.
    """

    def __init__(
        self,
        logger: logging.Logger,
        *,
        most: int = 1000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logger
        self._most = most
        self._clock = clock
        # Peer: when it was logged, and how often it was not since; the longest ago first.
        self._peers: dict[str, tuple[float, int]] = {}
        self._others = 0

    def __len__(self) -> int:
        return len(self._peers)

    def say(
        self, address: tuple[Any, ...], what: str, how: str = "failed", who: str = _CONNECTION
    ) -> None:
        """Log what is wrong with a connection, unless its peer has been logged within a minute.

        Where it is not a connection from there but something else, that is logged once a minute and
        peer for each `who` and `what`.
        """
        now = self._clock()
        host = str(address[0])
        if who != _CONNECTION:
            host = f"{host} {who} {what}"
        at, more = self._peers.get(host, (now - _EVERY, 0))
        if now < at + _EVERY:
            self._peers[host] = (at, more + 1)
            return
        self._peers.pop(host, None)
        self._forget(now)
        if len(self._peers) >= self._most:
            self._others += 1 + more
            return
        self._peers[host] = (now, 0)
        others, self._others = self._others, 0
        counts = ((more, "more from there"), (others, "from others"))
        left_out = " and ".join(f"{count} {whose}" for count, whose in counts if count)
        self._logger.warning(
            "%s %s %s: %s%s",
            who,
            address_text(address),
            how,
            what,
            f" ({left_out} since were not logged)" if left_out else "",
        )

    def _forget(self, now: float) -> None:
        """Forget those who were logged more than a minute ago, but not what they did since."""
        while self._peers:
            host, (at, more) = next(iter(self._peers.items()))
            if now < at + _EVERY:
                return
            del self._peers[host]
            self._others += more
