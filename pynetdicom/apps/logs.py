"""The log of a program: lines or JSON, on standard error or in a file.

In: records, with what `pynetdicom._logging.tell` knows of them. Out: one line for each.
"""

from __future__ import annotations

import json
import logging
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from pynetdicom._logging import FIELDS, tell

LEVELS = {
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}
SILENT = logging.CRITICAL + 1

TEXT, JSON = "text", "json"


class Lines(logging.Formatter):
    """A time, the level's first letter, the peer where there is one, and the message."""

    default_msec_format = "%s.%03d"

    def usesTime(self) -> bool:  # as in the base class
        """Whether a line has the time."""
        return True

    def formatMessage(self, record: logging.LogRecord) -> str:  # as above
        """Give the line, which names the peer once."""
        peer = getattr(record, "peer", "")
        whose = f"{peer}: " if peer and peer not in record.message else ""
        return f"{record.asctime} {record.levelname:.1}: {whose}{record.message}"


class JsonLines(logging.Formatter):
    """A JSON object a record; of the attributes in `FIELDS` those that it has."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        moment = time.localtime(record.created)
        milliseconds = int(record.created * 1000) % 1000
        found: dict[str, object] = {
            "time": time.strftime(f"%Y-%m-%dT%H:%M:%S.{milliseconds:03d}%z", moment),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields = {field: getattr(record, field, None) for field in FIELDS}
        found |= {field: value for field, value in fields.items() if value not in (None, "")}
        if record.exc_info:
            found["traceback"] = self.formatException(record.exc_info)
        return json.dumps(found, default=str)


def _told(record: logging.LogRecord) -> bool:
    tell(record)
    return True


def make_handler(args: Namespace) -> logging.Handler:
    """Make the handler that the command line asks for.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    handler: logging.Handler
    if args.log_file is None:
        handler = logging.StreamHandler()
    else:
        from logging.handlers import WatchedFileHandler

        # Which opens the file anew where another has taken its place: logrotate renames it.
        handler = WatchedFileHandler(args.log_file, encoding="utf-8")
    handler.setFormatter(JsonLines() if args.log_format == JSON else Lines())
    handler.addFilter(_told)
    return handler


@contextmanager
def logging_with(handler: logging.Handler, args: Namespace, default: int) -> Iterator[None]:
    """Give the library's log to a handler while an app runs."""
    level = LEVELS[args.log_level] if args.log_level else default
    for chosen, its_level in (
        (args.quiet, SILENT),
        (args.verbose, logging.INFO),
        (args.debug, logging.DEBUG),
    ):
        level = its_level if chosen else level
    logger = logging.getLogger("pynetdicom")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)
        handler.close()
