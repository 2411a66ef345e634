"""How long workflows take: ``workflows.py WORK NUMBER…``, with one of `WORKS`; ours only.

Where there is no network, a request is handed to the handlers of the SCP as an association does,
and its data set is decoded from the bytes that would have come.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset

import pynetdicom
from pynetdicom import AE, evt
from pynetdicom.dsutils import decode, encode
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    StorageCommitmentPushModel,
    UnifiedProcedureStepEvent,
)
from pynetdicom.workflows import commitment, mpps, ups
from pynetdicom.workflows.providing import handlers
from pynetdicom.workflows.stores import SQLiteStore

HOST = "127.0.0.1"
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
FEW = 3000
"""Instances of the commitment that another one is compared with."""


def made(**values: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


class Direct:
    """An association without a network: the handlers of a provider are called at once."""

    def __init__(self, provider: Any = None) -> None:
        self._handlers = {} if provider is None else provider.handlers
        self.sent = b""

    def _ask(self, event: Any, request: dict[str, Any], name: str, ds: Dataset, **more: Any) -> Any:
        self.sent = encode(ds, False, True) or b""
        asked = SimpleNamespace(
            event=event,
            request=SimpleNamespace(name=event.name[4:].replace("_", "-"), **request),
            context=SimpleNamespace(abstract_syntax=ModalityPerformedProcedureStep),
            assoc=SimpleNamespace(remote={"ae_title": "BENCHSCU"}, accepted_contexts=[]),
            **{name: decode(self.sent, False, True)},
            **more,
        )
        taken = self._handlers.get(event, lambda _: (made(Status=0x0000), None))
        return taken(asked)

    def send_n_create(self, ds: Dataset, class_uid: str, uid: str) -> Any:
        request = {"AffectedSOPClassUID": class_uid, "AffectedSOPInstanceUID": uid}
        return self._ask(evt.EVT_N_CREATE, request, "attribute_list", ds)

    def send_n_action(self, ds: Dataset, action: int, class_uid: str, uid: str, **_: Any) -> Any:
        request = {"RequestedSOPClassUID": class_uid, "RequestedSOPInstanceUID": uid}
        more = {"action_type": action}
        return self._ask(evt.EVT_N_ACTION, request, "action_information", ds, **more)


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


# Performed procedure steps


def beginning() -> Dataset:
    """What `mpps.begin` sends of a step, with all that is empty."""
    begun: Any = Direct()
    mpps.begin(
        begun,
        made(
            SpecificCharacterSet="ISO_IR 192",
            ScheduledStepAttributesSequence=[made(StudyInstanceUID="1.2.3")],
            PatientName="Müller^Jörg",
            PatientID="4711",
            PerformedProcedureStepID="PPS1",
            PerformedStationAETitle="CT_ROOM",
            PerformedProcedureStepStartDate="20261129",
            PerformedProcedureStepStartTime="1015",
            Modality="CT",
        ),
    )
    return decode(begun.sent, False, True)


def pydicom_alone(count: int) -> dict[str, Any]:
    """Read each value of the same data sets, and write them, and nothing else."""
    written = encode(beginning(), False, True) or b""

    def work() -> None:
        nonlocal written
        for _ in range(count):
            read = dcmread(BytesIO(written), force=True)
            for _ in read.iterall():
                pass
            file = BytesIO()
            dcmwrite(file, read, implicit_vr=False, little_endian=True)
            written = file.getvalue()

    return {"seconds": timed(work)}


def creations(count: int) -> dict[str, Any]:
    step, provider = beginning(), mpps.Provider()
    assoc = Direct(provider)

    def work() -> None:
        for number in range(count):
            status, _ = assoc.send_n_create(step, ModalityPerformedProcedureStep, f"1.2.{number}")
            if status.Status != 0x0000:
                sys.exit("a step was refused")

    return {"seconds": timed(work)}


# Unified procedure steps


def scheduled() -> Dataset:
    return made(
        ProcedureStepLabel="Plan",
        ScheduledProcedureStepPriority="HIGH",
        ScheduledProcedureStepStartDateTime="20261129",
        InputReadinessState="READY",
    )


def claims(held: int, count: int) -> dict[str, Any]:
    """Schedule and claim, where so many are there already."""
    provider = ups.Provider(AE())
    for _ in range(held):
        provider.schedule(scheduled())
    assoc: Any = Direct(provider)

    def work() -> None:
        for _ in range(count):
            ups.claim(assoc, ups.push(assoc, scheduled()))

    seconds = timed(work)
    provider.close()
    return {"seconds": seconds}


class Watchers:
    """AEs that listen, and are counted."""

    def __init__(self, count: int) -> None:
        self.addresses: dict[str, Any] = {}
        self.heard: dict[str, list[str]] = {f"W{number}": [] for number in range(count)}
        self._all = threading.Condition()
        self._aes = []
        for title in self.heard:
            ae = AE(title)
            ae.add_supported_context(UnifiedProcedureStepEvent, scu_role=False, scp_role=True)
            bound = ups.listening(self._hearing(title))
            server: Any = ae.start_server((HOST, 0), block=False, evt_handlers=bound)
            self.addresses[title] = server.server_address[:2]
            self._aes.append(ae)

    def _hearing(self, title: str) -> Callable[[str, int, Dataset], None]:
        def hear(uid: str, event_type: int, information: Dataset) -> None:
            with self._all:
                self.heard[title].append(uid)
                self._all.notify_all()

        return hear

    def wait(self, wanted: list[str]) -> None:
        with self._all:
            everything = len(wanted) * len(self.heard)
            self._all.wait_for(lambda: sum(map(len, self.heard.values())) >= everything, 600)
        if any(heard != wanted for heard in self.heard.values()):
            sys.exit("not each watcher has heard each step, in order")

    def close(self) -> None:
        for ae in self._aes:
            ae.shutdown()


def reports(held: int, steps: int, count: int) -> dict[str, Any]:
    """Tell so many watchers of so many steps; seconds until the last has heard the last."""
    watchers = Watchers(count)
    scp = AE("RIS")
    provider = ups.Provider(scp, where=watchers.addresses.get, limit=max(10_000, steps))
    for _ in range(held):
        provider.schedule(scheduled())
    assoc: Any = Direct(provider)
    for title in watchers.addresses:
        ups.subscribe(assoc, title)
    seconds = timed(lambda: watchers.wait([provider.schedule(scheduled()) for _ in range(steps)]))
    provider.close()
    scp.shutdown()
    watchers.close()
    return {"seconds": seconds}


# Storage commitment


def instances(count: int) -> Iterator[tuple[str, str]]:
    return ((CT_IMAGE_STORAGE, f"1.2.826.0.1.3680043.8.498.{'1' * 30}.{n}") for n in range(count))


def peak() -> int:
    """Peak resident memory in KiB."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))


def commitments(count: int) -> dict[str, Any]:
    """Ask for few and for many, over loopback; both sides in this process, records in a file."""
    scp, scu = AE(), AE()
    scp.add_supported_context(StorageCommitmentPushModel)
    scu.add_requested_context(StorageCommitmentPushModel)
    with tempfile.TemporaryDirectory() as directory:
        store = SQLiteStore(Path(directory, "store"))
        provider = commitment.Provider(scp, lambda instance: 0, store=store)
        bound = handlers(provider)
        server: Any = scp.start_server((HOST, 0), block=False, evt_handlers=bound)
        assoc = scu.associate(HOST, server.server_address[1])

        def ask(number: int) -> float:
            start = time.perf_counter()
            result = commitment.commit(assoc, instances(number), timeout=600)
            if not result.is_complete:
                sys.exit("not all is committed")
            return time.perf_counter() - start

        ask(FEW)
        few, before = ask(FEW), peak()
        many = ask(count)
        grown = peak() - before
        assoc.release()
        provider.close()
        scp.shutdown()
        store.close()
    return {"few": few / FEW, "many": many / count, "seconds": many, "grown": grown}


WORKS: dict[str, Callable[..., dict[str, Any]]] = {
    "pydicom": pydicom_alone,
    "mpps": creations,
    "claims": claims,
    "reports": reports,
    "commitment": commitments,
}


def main() -> None:
    report = WORKS[sys.argv[1]](*map(int, sys.argv[2:]))
    print(json.dumps({**report, "version": pynetdicom.__version__}))


if __name__ == "__main__":
    main()
