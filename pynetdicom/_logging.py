"""The library's loggers, and what they show of a peer's text.

Whatever their handlers and filters raise, no association suffers.
"""

from __future__ import annotations

import logging

ROOT = "pynetdicom"
NAMES = (
    *("acse", "ae", "assoc", "dimse", "dsutils", "dul", "events", "lobby", "service", "tls"),
    "workflows",
)
"""The children of the root logger that the library logs to."""

# It reports as handlers do that fail in the standard way.
_reporter = logging.Handler()


class _Guarded(logging.Logger):
    def handle(self, record: logging.LogRecord) -> None:
        try:
            super().handle(record)
        except Exception:
            _reporter.handleError(record)


def guard() -> None:
    """Have the failure of a handler reported on standard error, as `logging` does, and no more."""
    for name in NAMES:
        logger = logging.getLogger(f"{ROOT}.{name}")
        kind = type(logger)
        if not issubclass(kind, _Guarded):
            # The program may have its own kind of logger, and may have made this one already.
            plain = kind is logging.Logger
            logger.__class__ = _Guarded if plain else type(kind.__name__, (_Guarded, kind), {})


def printable(text: str | bytes, limit: int = 512) -> str:
    """Return a peer's text as one line of at most `limit` ASCII characters.

    Control characters, backslashes and whatever is not ASCII are escaped as in Python, so that a
    log line is one line and means one thing.
    """
    if isinstance(text, bytes):
        text = text[: limit + 1].decode("latin-1")
    shown = text[: limit + 1].encode("unicode_escape").decode("ascii")
    return shown if len(shown) <= limit else shown[: max(limit - 3, 0)] + "..."[:limit]
