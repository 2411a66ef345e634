"""Threads of the library's own: what goes wrong on one is logged there, and ends nothing else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from pynetdicom import raised

LOGGER = logging.getLogger("pynetdicom.dul")


def start(
    name: str, call: Callable[[], Any], *, failed: Callable[[], Any] | None = None
) -> threading.Thread:
    """Have `call` called on a daemon thread, and `failed` on it when that raises.

    Raises
    ------
    RuntimeError
        No thread can be started.
    """

    def run() -> None:
        try:
            call()
        except BaseException as error:  # SystemExit, too: a handler may have been called
            try:
                raised.log(LOGGER, f"the thread {name} failed:", error)
            finally:
                if failed is not None:
                    failed()

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread
