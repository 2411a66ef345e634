"""Where a write that the kernel took only in part goes on: arithmetic on lists of buffers."""

from __future__ import annotations

from collections.abc import Sequence

Buffer = bytes | bytearray | memoryview


def advance(buffers: Sequence[Buffer], count: int) -> list[Buffer]:
    """What is left of `buffers` after `count` bytes."""
    for index, buffer in enumerate(buffers):
        if count < len(buffer):
            return (
                [memoryview(buffer)[count:], *buffers[index + 1 :]]
                if count
                else list(buffers[index:])
            )
        count -= len(buffer)
    return []


def rest_of_pdu(buffers: Sequence[Buffer], sent: int) -> list[Buffer]:
    """The bytes that complete the PDU in whose middle `sent` lies; none at a boundary."""
    index = position = 0
    while index < len(buffers) and position < sent:
        first, start = index, position
        left = 6 + int.from_bytes(bytes(buffers[index][2:6]), "big")
        while left > 0:
            left -= len(buffers[index])
            position += len(buffers[index])
            index += 1
        if position > sent:
            return advance(buffers[first:index], sent - start)
    return []
