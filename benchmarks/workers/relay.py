"""A way that is long: ``relay.py PORT SECONDS`` hands on what comes, so many seconds later.

Each way; it needs no DICOM, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    later = asyncio.get_running_loop().call_later
    while data := await reader.read(1 << 16):
        later(delay, writer.write, data)
    later(delay, writer.close)


async def main(port: int, delay: float) -> None:
    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(
            pump(reader, here, delay), pump(there, writer, delay), return_exceptions=True
        )

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
