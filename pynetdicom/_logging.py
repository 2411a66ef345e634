"""The library's loggers: whatever their handlers and filters raise, no association suffers."""

from __future__ import annotations

import logging

ROOT = "pynetdicom"
NAMES = ("acse", "ae", "assoc", "dimse", "dsutils", "dul", "events", "lobby", "service")
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
