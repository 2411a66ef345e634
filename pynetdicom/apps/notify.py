"""What a service manager is told of a server, by systemd's protocol: one datagram each.

Nothing is told where ``NOTIFY_SOCKET`` is not set, as it is for a unit of ``Type=notify``.
"""

from __future__ import annotations

import logging
import os
import socket
import time

LOGGER = logging.getLogger(__name__)

SOCKET = "NOTIFY_SOCKET"
READY = "READY=1"
STOPPING = "STOPPING=1"


def notify(*lines: str) -> None:
    """Tell the service manager, if there is one."""
    where = os.environ.get(SOCKET, "")
    if not where.startswith(("/", "@")) or not hasattr(socket, "AF_UNIX"):
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            # "@" is how the environment spells the zero byte of a name that is in no file system.
            sender.sendto("\n".join(lines).encode(), where.replace("@", "\0", 1))
    except OSError as error:
        LOGGER.warning("the service manager is not told %s: %s", lines[0], error.strerror)


def reloading() -> tuple[str, str]:
    """What is told before something is read anew; `READY` follows when that is done."""
    return "RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}"
