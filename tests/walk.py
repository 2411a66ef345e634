"""Threads that do whatever comes to their minds: ``python -m tests.walk SEED COUNT``.

Several threads share a few associations; each of them asks for something, cancels, leaves, aborts,
releases or shuts down by chance, while the handlers of the peer are slow, abort and raise. It says
how many threads and descriptors are left in the end. What does not end is shown, with all stacks.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import logging
import random
import sys
import threading
from typing import Any

from pynetdicom import AE, build_role, evt
from pynetdicom.presentation import build_context
from tests.conftest import open_descriptors
from tests.faults.peer import until
from tests.injection import CT, FILE, FIND, GET, VERIFICATION, instance
from tests.scp import identifier

THREADS = 6
DEADLINE = 60.0
"""Seconds for one action; each time-out of the library is far below."""

ACTIONS = (
    *("associate", "echo", "echo", "store", "stores", "find", "leave", "get", "cancel", "abort"),
    *("release", "kill", "shutdown", "timeout", "bind", "collect"),
)


class Walk:
    """What the threads share."""

    def __init__(self, seed: int, count: int) -> None:
        self.seed, self.left = seed, [None] * count
        self.chance = random.Random(seed)
        self.scp = self.ae("SCP")
        self.scp.maximum_associations = 1000
        for uid in (VERIFICATION, FIND, GET):
            self.scp.add_supported_context(uid)
        self.scp.add_supported_context(CT, scu_role=True, scp_role=True)
        self.handlers = [
            (evt.EVT_C_STORE, self.store),
            (evt.EVT_C_FIND, self.find),
            (evt.EVT_C_GET, self.get),
        ]
        server = self.scp.start_server(("127.0.0.1", 0), False, evt_handlers=self.handlers)
        assert server is not None
        self.port = server.server_address[1]
        self.aes = [self.ae("SCU") for _ in range(3)]
        self.assocs: list[Any] = []

    @staticmethod
    def ae(title: str) -> AE:
        ae = AE(title)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 10
        return ae

    # What the peer does

    def misbehave(self, event: evt.Event) -> None:
        dice = self.chance.random()
        if dice < 0.01:
            event.assoc.abort()
        elif dice < 0.02:
            event.assoc.release()
        elif dice < 0.03:
            raise ValueError("by chance")

    def store(self, event: evt.Event) -> int:
        self.misbehave(event)
        return 0

    def find(self, event: evt.Event) -> Any:
        for _ in range(self.chance.choice((3, 40, 600))):
            if event.is_cancelled:
                yield 0xFE00, None
                return
            yield 0xFF00, identifier("X")
        self.misbehave(event)

    def get(self, event: evt.Event) -> Any:
        yield 3
        for _ in range(3):
            self.misbehave(event)
            yield 0xFF00, instance()

    # What is asked for

    def associate(self) -> None:
        contexts = [build_context(uid) for uid in (VERIFICATION, FIND, GET)]
        contexts += [build_context(CT, ["1.2.840.10008.1.2" + end]) for end in ("", ".1")]
        assoc = self.chance.choice(self.aes).associate(
            "127.0.0.1",
            self.port,
            contexts,
            ext_neg=[build_role(CT, scp_role=True, scu_role=True)],
            evt_handlers=[(evt.EVT_C_STORE, self.store)],
        )
        self.assocs = [*self.assocs[-7:], assoc]

    def act(self, action: str, assoc: Any) -> None:
        chance = self.chance
        if action == "echo":
            assoc.send_c_echo()
        elif action == "store":
            assoc.send_c_store(instance())
        elif action == "stores":
            how = {"send_ahead": chance.random() < 0.5, "associations": chance.choice((1, 1, 3))}
            files = assoc.send_c_stores([FILE] * 5, **how)
            for _ in range(chance.randrange(7)):
                next(files, None)
        elif action in ("find", "leave", "get"):
            send = assoc.send_c_get if action == "get" else assoc.send_c_find
            responses = send(identifier(), GET if action == "get" else FIND)
            for _ in responses:
                if action == "leave":
                    break
        elif action == "cancel":
            for operation in assoc.dimse.outstanding():
                assoc.send_c_cancel(operation.message_id)
        elif action == "timeout":
            assoc.network_timeout = chance.choice((None, 10, 0.05))
        elif action == "bind":
            change = chance.choice((assoc.bind, assoc.unbind))
            change(chance.choice((evt.EVT_PDU_SENT, evt.EVT_FSM_TRANSITION)), len_of)
        elif action == "shutdown":
            chance.choice(self.aes).shutdown()
        elif action == "collect":
            gc.collect()
        else:
            getattr(assoc, action)()

    def go(self) -> None:
        while self.left:
            with contextlib.suppress(IndexError):  # another thread took the last one
                self.left.pop()
            assoc = self.chance.choice(self.assocs) if self.assocs else None
            action = self.chance.choice(ACTIONS)
            with contextlib.suppress(RuntimeError, ValueError):  # it is over, or not outstanding
                if assoc is None or action == "associate" or not assoc.is_established:
                    self.associate()
                else:
                    self.act(action, assoc)
            # As long as anybody goes on; the last of them is waited for for so long.
            faulthandler.dump_traceback_later(DEADLINE, exit=True)


def len_of(event: evt.Event) -> None:
    """A handler."""
    len(str(event))


def main(seed: int, count: int) -> None:
    logging.disable(logging.CRITICAL)
    threads, descriptors = threading.active_count(), len(open_descriptors())
    faulthandler.dump_traceback_later(DEADLINE, exit=True)
    walk = Walk(seed, count)
    walkers = [threading.Thread(target=walk.go) for _ in range(THREADS)]
    for walker in walkers:
        walker.start()
    for walker in walkers:
        walker.join()
    for ae in (*walk.aes, walk.scp):
        ae.shutdown()
    walk.assocs.clear()
    gc.collect()
    until(lambda: threading.active_count() <= threads, DEADLINE / 2)
    until(lambda: len(open_descriptors()) <= descriptors, DEADLINE / 2)
    print(threading.active_count() - threads, len(open_descriptors()) - descriptors)
    faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
