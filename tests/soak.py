"""Peers of all kinds, for hours if need be: ``python -m tests.soak SECONDS [SEED]``.

A server, in a process of its own, has 32 peers at a time, with and without TLS and a window. Each
associates, asks for services by chance, and releases, aborts or vanishes; the server's handlers
abort and raise by chance, too. When a part of the time has passed, and in the end, all come to
rest, and what both processes have is counted: memory, threads, descriptors and Python objects.

It prints a line of JSON: what they had both times, and what was done meanwhile.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import json
import logging
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from pynetdicom import AE, build_role, evt
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import (
    BasicFilmSession,
    ModalityPerformedProcedureStep,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    Printer,
    PrinterInstance,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    Verification,
)
from pynetdicom.tls import client_context, server_context
from tests.conftest import open_descriptors
from tests.examples.certificates import write_certificates
from tests.faults.peer import BEGUN, BOTH, Peer, until
from tests.peers import CT, ct
from tests.scp import identifier

PEERS = 32
WARM_UP = 0.25
"""The part of the time after which is counted for the first time."""
STUCK = 300.0
"""Seconds without anything that is done."""

FIND = PatientRootQueryRetrieveInformationModelFind
GET = PatientRootQueryRetrieveInformationModelGet
MOVE = PatientRootQueryRetrieveInformationModelMove
N_SERVICES = (
    BasicFilmSession,
    ModalityPerformedProcedureStep,
    Printer,
    StorageCommitmentPushModel,
)
CLASSES = (Verification, FIND, GET, MOVE, *N_SERVICES)

Count = dict[str, int]


def count() -> Count:
    """What this process has."""
    for _ in range(3):
        gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # what was freed is not this process's
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    with open("/proc/self/status") as file:
        status = dict(line.split(":", 1) for line in file)
    return {
        "memory": int(status["VmRSS"].split()[0]) * 1024,
        "threads": threading.active_count(),
        "descriptors": len(open_descriptors()),
        "objects": len(gc.get_objects()),
    }


def ae_of(title: str) -> AE:
    ae = AE(title)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 60
    return ae


# The server


class Server:
    """One that does what it is asked for, for the most part."""

    def __init__(self, certificates: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.ae = ae_of("SCP")
        self.ae.maximum_associations = 10 * PEERS
        self.ae.window = (4, 4)
        for uid in CLASSES:
            self.ae.add_supported_context(uid)
        self.ae.add_supported_context(CT, scu_role=True, scp_role=True)
        answers: dict[Any, Callable[[evt.Event], Any]] = {
            evt.EVT_C_ECHO: self.status,
            evt.EVT_C_STORE: self.store,
            evt.EVT_C_FIND: self.find,
            evt.EVT_C_GET: self.retrieve,
            evt.EVT_C_MOVE: self.retrieve,
            evt.EVT_N_ACTION: self.action,
            evt.EVT_N_DELETE: self.status,
        }
        answers |= dict.fromkeys((evt.EVT_N_CREATE, evt.EVT_N_SET, evt.EVT_N_GET), self.attributes)
        pair = {"certificate": certificates / "scp.pem", "key": certificates / "scp.key"}
        server = self.ae.start_server(
            ("127.0.0.1", 0),
            block=False,
            evt_handlers=list(answers.items()),
            tls=server_context(**pair),
            plain_too=True,
        )
        assert server is not None
        self.server = server
        self.port: int = server.server_address[1]
        self.threads = threading.active_count()

    def status(self, event: evt.Event) -> int:
        dice = self.chance.random()
        if dice < 0.005:
            event.assoc.abort()
        elif dice < 0.01:
            raise ValueError("by chance")
        return 0x0000

    def store(self, event: evt.Event) -> int:
        assert event.dataset.PatientName is not None
        return self.status(event)

    def find(self, event: evt.Event) -> Any:
        for _ in range(self.chance.choice((0, 3, 40, 300))):
            if event.is_cancelled:
                yield 0xFE00, None
                return
            yield 0xFF00, identifier("X")
        self.status(event)

    def retrieve(self, event: evt.Event) -> Any:
        if event.event is evt.EVT_C_MOVE:
            yield "127.0.0.1", self.port
        yield 3
        for _ in range(3):
            self.status(event)
            yield 0xFF00, ct(self.chance.choice((100, 100_000)))

    def attributes(self, event: evt.Event) -> tuple[int, Dataset]:
        return self.status(event), identifier()

    def action(self, event: evt.Event) -> tuple[int, None]:
        if event.request.RequestedSOPClassUID == StorageCommitmentPushModel:
            ds = identifier()
            ds.TransactionUID = "1.2.3"
            uids = StorageCommitmentPushModel, StorageCommitmentPushModelInstance
            event.assoc.send_n_event_report(ds, 1, *uids)
        return self.status(event), None

    def serve(self) -> None:
        """Count, when all are gone, for each line that is read."""
        print(self.port, flush=True)
        for _ in sys.stdin:
            faulthandler.dump_traceback_later(STUCK, exit=True)
            until(lambda: not self.server.stats.active, STUCK)
            until(lambda: threading.active_count() <= self.threads, STUCK)
            print(json.dumps(count()), flush=True)
            faulthandler.cancel_dump_traceback_later()
        self.ae.shutdown()


# The peers


class Peers:
    """What the peers share, and what they do."""

    def __init__(self, port: int, certificates: Path, seed: int) -> None:
        self.port = port
        self.chance = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.context = client_context(authorities=certificates / "ca.pem", check_hostname=False)
        self.ae = ae_of("SCU")
        self.file = certificates / "ct.dcm"
        ct(50_000).save_as(self.file, enforce_file_format=True)
        self.errors: list[BaseException] = []
        self.ends = 0.0

    # Services

    def echo(self, assoc: Any) -> None:
        assoc.send_c_echo()

    def store(self, assoc: Any) -> None:
        assoc.send_c_store(ct(self.chance.choice((100, 10_000, 1_000_000))))

    def stores(self, assoc: Any) -> None:
        sent = assoc.send_c_stores([self.file] * 6, associations=self.chance.choice((1, 1, 2)))
        for _ in range(self.chance.choice((2, 99))):
            if next(sent, None) is None:
                break
        sent.close()

    def find(self, assoc: Any) -> None:
        for number, _ in enumerate(assoc.send_c_find(identifier(), FIND)):
            if number == 10 and self.chance.random() < 0.3:
                break

    def get(self, assoc: Any) -> None:
        for _ in assoc.send_c_get(identifier(), GET):
            pass

    def move(self, assoc: Any) -> None:
        for _ in assoc.send_c_move(identifier(), "SCP", MOVE):
            pass

    def n_create(self, assoc: Any) -> None:
        assoc.send_n_create(identifier(), ModalityPerformedProcedureStep, "1.2.3")

    def n_set(self, assoc: Any) -> None:
        assoc.send_n_set(identifier(), ModalityPerformedProcedureStep, "1.2.3")

    def n_get(self, assoc: Any) -> None:
        assoc.send_n_get([0x21100010], Printer, PrinterInstance)

    def n_action(self, assoc: Any) -> None:
        ds = identifier()
        ds.TransactionUID = "1.2.3"
        uids = StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        assoc.send_n_action(ds, 1, *uids)

    def n_delete(self, assoc: Any) -> None:
        assoc.send_n_delete(BasicFilmSession, "1.2.3")

    SERVICES = (
        *(echo, echo, store, store, stores, find, get, move),
        *(n_create, n_set, n_get, n_action, n_delete),
    )

    # Ways of coming and going

    def talk(self) -> None:
        """Associate, ask for some things, and release, abort, or forget all about it."""
        contexts = [build_context(uid) for uid in CLASSES]
        contexts += [build_context(CT, "1.2.840.10008.1.2")]
        assoc = self.ae.associate(
            "127.0.0.1",
            self.port,
            contexts,
            ext_neg=[build_role(CT, scu_role=True, scp_role=True)],
            evt_handlers=[
                (evt.EVT_C_STORE, lambda event: 0x0000),
                (evt.EVT_N_EVENT_REPORT, lambda event: (0x0000, None)),
            ],
            tls=self.context if self.chance.random() < 0.3 else None,
            window=self.chance.choice((None, (4, 1))),
        )
        for _ in range(self.chance.randrange(8)):
            if not assoc.is_established:
                break
            service = self.chance.choice(self.SERVICES)
            with contextlib.suppress(RuntimeError):  # it is over
                service(self, assoc)
                self.done[service.__name__] += 1
        how = self.chance.choice(("release", "release", "abort"))
        getattr(assoc, how)()
        self.done[how] += 1

    def vanish(self) -> None:
        """Come by a bare socket, and go in the midst of something."""
        with Peer.connect(("127.0.0.1", self.port)) as peer:
            what = self.chance.choice(("silent", "junk", "hello", "half", "associated", "object"))
            if what == "junk":
                peer.send(self.chance.randbytes(100))
            elif what == "hello":  # of TLS
                peer.send(b"\x16\x03\x01\x00\xa0\x01\x00")
            elif what == "half":
                peer.send(BOTH[:100])
            elif what in ("associated", "object"):
                peer.associate(BOTH)
                if what == "object":
                    peer.send(BEGUN)
            if self.chance.random() < 0.5:
                peer.reset()
        self.done["vanish"] += 1

    def go(self) -> None:
        while time.monotonic() < self.ends and not self.errors:
            try:
                (self.vanish if self.chance.random() < 0.2 else self.talk)()
            except (ConnectionError, EOFError):  # the server has aborted a bare socket
                continue
            except BaseException as error:
                self.errors.append(error)
                raise
            faulthandler.dump_traceback_later(STUCK, exit=True)

    def go_on(self, seconds: float) -> None:
        """All of them, for so long, and until each has come to its end."""
        self.ends = time.monotonic() + seconds
        threads = [threading.Thread(target=self.go) for _ in range(PEERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.errors:
            raise self.errors[0]
        self.ae.shutdown()
        until(lambda: threading.active_count() == 1, STUCK)


def main(seconds: float, seed: int) -> None:
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as directory:
        certificates = Path(directory)
        write_certificates(certificates)
        command = [sys.executable, "-m", "tests.soak", "server", directory, str(seed)]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        with server:
            assert server.stdin is not None
            assert server.stdout is not None
            peers = Peers(int(server.stdout.readline()), certificates, seed)
            counted: list[dict[str, Count]] = []
            for part in (WARM_UP, 1 - WARM_UP):
                peers.done.clear()
                peers.go_on(seconds * part)
                faulthandler.cancel_dump_traceback_later()
                server.stdin.write("\n")
                server.stdin.flush()
                counted.append({"server": json.loads(server.stdout.readline()), "peers": count()})
        assert server.returncode == 0
    print(json.dumps({"before": counted[0], "after": counted[1], "done": peers.done}))


if __name__ == "__main__":
    if sys.argv[1] == "server":
        logging.disable(logging.CRITICAL)
        Server(Path(sys.argv[2]), int(sys.argv[3])).serve()
    else:
        chosen = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30)
        main(float(sys.argv[1]), chosen)
