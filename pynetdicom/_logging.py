"""The library's loggers, what their records are told, and what they show of a peer's text.

A thread that works for an association says so in `HERE`, and a record that is made on it is told of
that: a thread only sets an attribute, and what it stands for is looked up when there is a record.

Whatever their handlers and filters raise, no association suffers.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

ROOT = "pynetdicom"
NAMES = (
    *("acse", "ae", "assoc", "dimse", "dsutils", "dul", "events", "lobby", "operations", "service"),
    "tls",
    "workflows",
)
"""The children of the root logger that the library logs to."""

FIELDS = (
    *("peer", "association", "operation", "message_id", "sop_class", "sop_instance"),
    *("bytes", "milliseconds", "status"),
)
"""The attributes that records have beside those of `logging`, as far as they are known."""

_SHORTEST, _LONGEST = 64, 512


class _Here(threading.local):
    """What the calling thread works on.

    Attributes
    ----------
    link : Link or None
        The association.
    request : Primitive or None
        The peer's request that is being served.
    """

    link: Any = None
    request: Any = None


HERE = _Here()


@contextmanager
def working_on(link: Any) -> Iterator[None]:
    """Say that what is logged here and now is about an association."""
    before = HERE.link
    HERE.link = link
    try:
        yield
    finally:
        HERE.link = before


def about(request: Any) -> dict[str, Any]:
    """What a record has of a request."""
    found = {"operation": request.name, "message_id": getattr(request, "MessageID", None)}
    for field, what in (("sop_class", "SOPClassUID"), ("sop_instance", "SOPInstanceUID")):
        uid = getattr(request, f"Affected{what}", None) or getattr(request, f"Requested{what}", "")
        found[field] = printable(uid or "", _SHORTEST)
    return found


def tell(record: logging.LogRecord) -> None:
    """Tell a record which association, and which operation, it is about."""
    known = record.__dict__
    link = HERE.link
    if "peer" not in known:
        known["peer"] = "" if link is None else link.peer_name
    if link is not None:
        known.setdefault("association", link.number)
        if HERE.request is not None and "operation" not in known:
            known.update(about(HERE.request))


# It reports as handlers do that fail in the standard way.
_reporter = logging.Handler()


class _Guarded(logging.Logger):
    def handle(self, record: logging.LogRecord) -> None:
        try:
            tell(record)
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


def printable(text: str | bytes, limit: int = _LONGEST) -> str:
    """Return a peer's text as one line of at most `limit` ASCII characters.

    Control characters, backslashes and whatever is not ASCII are escaped as in Python, so that a
    log line is one line and means one thing.
    """
    if isinstance(text, bytes):
        text = text[: limit + 1].decode("latin-1")
    shown = text[: limit + 1].encode("unicode_escape").decode("ascii")
    return shown if len(shown) <= limit else shown[: max(limit - 3, 0)] + "..."[:limit]
