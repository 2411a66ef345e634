"""A task is cancelled at any moment: what it asked for ends at the peer, and nothing is mixed up.

Some moments; ``make test-cancel`` takes 10,000, as many as ``PYNETDICOM_CANCELS`` in the
environment says. How soon the peer knows is measured by ``python -m benchmarks --only faces``.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from pynetdicom import AE, aio, build_context, evt
from tests.peers import DEADLINE, ct

COUNT = int(os.environ.get("PYNETDICOM_CANCELS", "200"))
VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in "123")
MPPS = "1.2.840.10008.3.1.2.3.3"
CONTEXTS = [VERIFICATION, CT, FIND, MOVE, GET, MPPS]
PENDING, CANCEL = 0xFF00, 0xFE00
STEPS = 12
"""Most of an operation is done when the loop has gone round so often."""


def identifier() -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel, ds.PatientID = "STUDY", "1"
    return ds


class Scp:
    """Its handlers go on until they are closed, cancelled, or told to answer."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.running: set[int] = set()
        self.at_rest = asyncio.Event()
        self.at_rest.set()
        self.cancels = 0
        self.port = 0
        """Where C-MOVEs go: to itself."""

    def _enter(self, event: Any) -> None:
        self.running.add(id(event))
        self.at_rest.clear()
        self.begun.set()

    def _leave(self, event: Any) -> None:
        self.running.discard(id(event))
        if not self.running:
            self.at_rest.set()

    async def answers(self, event: Any) -> AsyncIterator[Any]:
        """Matches without end, or a retrieve whose first sub-operation is long in coming."""
        self._enter(event)
        try:
            if event.event is evt.EVT_C_MOVE:
                yield "127.0.0.1", self.port, {"contexts": [build_context(CT)]}
            if event.event is not evt.EVT_C_FIND:
                yield 1
            while event.event is evt.EVT_C_FIND or not event.is_cancelled:
                if event.event is evt.EVT_C_FIND:
                    yield PENDING, identifier()
                await asyncio.sleep(0)
            yield CANCEL, None
        finally:
            self.cancels += event.is_cancelled
            self._leave(event)

    async def holds(self, event: Any) -> Any:
        """Answers nothing before the association has ended."""
        self._enter(event)
        try:
            while event.assoc.is_established:
                await asyncio.sleep(0)
        finally:
            self._leave(event)
        return (0x0000, None) if event.event is evt.EVT_N_CREATE else 0x0000

    def handlers(self) -> list[Any]:
        return [
            *((event, self.answers) for event in (evt.EVT_C_FIND, evt.EVT_C_GET, evt.EVT_C_MOVE)),
            *((event, self.holds) for event in (evt.EVT_C_STORE, evt.EVT_N_CREATE)),
        ]


async def all_of(responses: Any) -> None:
    async for _ in responses:
        pass


IMAGE = ct()
FILE: Any = get_testdata_file("CT_small.dcm")
OPERATIONS: dict[str, Callable[[aio.Association], Any]] = {
    "find": lambda assoc: all_of(assoc.c_find(identifier(), FIND)),
    "get": lambda assoc: all_of(assoc.c_get(identifier(), GET)),
    "move": lambda assoc: all_of(assoc.c_move(identifier(), "DEST", MOVE)),
    "store": lambda assoc: assoc.c_store(IMAGE),
    # Which a thread reads, and sends.
    "store a file": lambda assoc: assoc.c_store(FILE),
    "create": lambda assoc: assoc.n_create(identifier(), MPPS, "1.2.3"),
}
LEFT_TO_THE_PEER = ("find", "get", "move")
"""Those that a C-CANCEL ends: the association goes on."""


async def cancel_one(
    scp: Scp, assoc: aio.Association, name: str, chance: random.Random, seen: Counter[str]
) -> None:
    scp.begun.clear()
    task = asyncio.ensure_future(OPERATIONS[name](assoc))
    if chance.random() < 0.3:
        await scp.begun.wait()
    for _ in range(chance.randrange(STEPS)):
        await asyncio.sleep(0)
    assert task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    if assoc.is_established:
        seen[f"{name}: goes on"] += 1
        # It is the answer to this one, and comes once the peer has done with the other.
        assert (await assoc.c_echo()).Status == 0x0000
    else:
        seen[f"{name}: aborted"] += 1
        assert name not in LEFT_TO_THE_PEER, assoc.ended
        assert assoc.is_aborted
    await scp.at_rest.wait()


async def walk(seed: int) -> Counter[str]:
    chance = random.Random(seed)
    seen: Counter[str] = Counter()
    scp, ae = Scp(), AE("SCP")
    ae.dimse_timeout = ae.network_timeout = ae.acse_timeout = DEADLINE
    options: dict[str, Any] = {"ae": ae, "contexts": CONTEXTS}
    async with aio.serve(("127.0.0.1", 0), evt_handlers=scp.handlers(), **options) as server:
        scp.port = server.server_address[1]
        assoc: aio.Association | None = None
        for number in range(COUNT):
            if assoc is None or not assoc.is_established:
                assoc = await aio.associate("127.0.0.1", scp.port, **options)
            names = list(OPERATIONS)
            await cancel_one(scp, assoc, names[number % len(names)], chance, seen)
        assert assoc is not None
        await assoc.release()
    seen["cancelled at the peer"] = scp.cancels
    return seen


@pytest.mark.timeout(300 + COUNT)
def test_what_is_cancelled_at_any_moment_ends() -> None:
    seed = random.randrange(1 << 30)
    seen = asyncio.run(walk(seed))
    assert sum(seen.values()) - seen["cancelled at the peer"] == COUNT, seed
    for name in OPERATIONS:
        usual = "goes on" if name in LEFT_TO_THE_PEER else "aborted"
        assert seen[f"{name}: {usual}"], (seed, seen)
    assert seen["cancelled at the peer"], (seed, seen)
