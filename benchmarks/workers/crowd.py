"""Hold connections that never associate: ``crowd.py PORT SILENT SLOW``.

They are closed when the standard input ends. The slow ones send a byte each second.
"""

from __future__ import annotations

import json
import select
import socket
import sys

import pynetdicom

ADDRESS = "127.0.0.1"
BEGINNING = bytes((1, 0, 0, 0, 1, 0, 0, 1)) + bytes(200)
"""Of an A-ASSOCIATE-RQ of 256 bytes."""


def main() -> None:
    port, silent, slow = map(int, sys.argv[1:4])
    connections = [socket.create_connection((ADDRESS, port)) for _ in range(silent + slow)]
    print(json.dumps({"version": pynetdicom.__version__}), flush=True)
    for byte in BEGINNING:
        for connection in connections[silent:]:
            try:
                connection.send(bytes((byte,)))
            except OSError:
                sys.exit("a slow connection was closed")
        if select.select([sys.stdin], [], [], 1.0)[0]:
            return


if __name__ == "__main__":
    main()
