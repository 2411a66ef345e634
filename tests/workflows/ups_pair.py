"""An SCP of procedure steps, and an SCU that asks it and is told of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from types import SimpleNamespace
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from pynetdicom import AE, evt
from pynetdicom.sop_class import UnifiedProcedureStepEvent
from pynetdicom.workflows import ups
from pynetdicom.workflows.attributes import Row, table
from pynetdicom.workflows.providing import handlers
from tests.pair import Seen, serve
from tests.peers import DEADLINE

ROWS = table("ups")
VALUES = {
    "AE": "WS",
    "CS": "CT",
    "DA": "20261129",
    "DS": "1",
    "DT": "20261129",
    "IS": "1",
    "LO": "text",
    "LT": "text",
    "PN": "A^B",
    "SH": "1",
    "ST": "text",
    "TM": "1015",
    "UI": "1.2.3",
    "UR": "http://a",
    "US": 1,
    "UT": "text",
}
KNOWN = {
    "ProcedureStepState": ups.SCHEDULED,
    "ScheduledProcedureStepPriority": "HIGH",
    "InputReadinessState": "READY",
    "SpecificCharacterSet": "ISO_IR 100",
    "TransactionUID": None,
    "SOPClassUID": None,
    "SOPInstanceUID": None,
    "ScheduledProcedureStepModificationDateTime": None,
}


def value_of(row: Row, operation: str) -> Any:
    if row.keyword in KNOWN:
        return KNOWN[row.keyword]
    vr = dictionary_VR(row.tag)
    if vr != "SQ":
        return VALUES[vr]
    inner = full(row.items, operation)
    return [inner] if len(inner) or not row.items else []


def full(rows: Any = ROWS, operation: str = "n_create") -> Dataset:
    """A data set with all attributes that an operation may have."""
    made = Dataset()
    for row in rows:
        if row.types[operation] != "-":
            setattr(made, row.keyword, value_of(row, operation))
    return made


FULL = full()


def step(**values: Any) -> Dataset:
    """Attributes of a new step: few, or others by keyword."""
    return made(
        **{
            "ScheduledProcedureStepPriority": "HIGH",
            "ProcedureStepLabel": "Plan",
            "ScheduledProcedureStepStartDateTime": "20261129",
            "InputReadinessState": "READY",
            **values,
        }
    )


def made(**values: Any) -> Dataset:
    data_set = Dataset()
    for keyword, value in values.items():
        setattr(data_set, keyword, value)
    return data_set


def code(text: str = "1") -> Dataset:
    return made(CodeValue=text, CodingSchemeDesignator="99X", CodeMeaning=text)


def performed() -> Dataset:
    """What a step has to have to be completed."""
    return made(
        UnifiedProcedureStepPerformedProcedureSequence=[
            made(
                PerformedStationNameCodeSequence=[code()],
                PerformedProcedureStepStartDateTime="20261129",
                PerformedWorkitemCodeSequence=[code()],
                PerformedProcedureStepEndDateTime="20261129",
                OutputInformationSequence=[],
            )
        ]
    )


def canceled() -> Dataset:
    """What a step has to have to be canceled."""
    return made(
        ProcedureStepProgressInformationSequence=[
            made(
                ProcedureStepCancellationDateTime="20261129",
                ProcedureStepDiscontinuationReasonCodeSequence=[code()],
            )
        ]
    )


def copy_of_full() -> Dataset:
    return deepcopy(FULL)


class Watcher:
    """An AE that is told of steps."""

    def __init__(self, ae_title: str) -> None:
        self.ae = AE(ae_title)
        self.ae.add_supported_context(UnifiedProcedureStepEvent, scu_role=False, scp_role=True)
        self.heard = Seen()
        self.server = serve(self.ae, evt_handlers=ups.listening(self._hear))

    def _hear(self, uid: str, event_type: int, information: Dataset) -> None:
        self.heard.add((uid, event_type, information))

    @property
    def address(self) -> tuple[str, int]:
        return self.server.server_address[:2]

    def events(self, count: int) -> list[tuple[str, int]]:
        """So many events, once they are there."""
        return [(uid, event_type) for uid, event_type, _ in self.heard.wait(count)]


class RIS:
    """An SCP, and an SCU called WS; watchers as they are wanted."""

    def __init__(self) -> None:
        self.scp, self.scu = AE("RIS"), AE("WS")
        # Some tests between others need no network, and take their time on a busy machine.
        self.scp.network_timeout = self.scu.network_timeout = None
        for context in ups.contexts():
            self.scp.add_supported_context(context.abstract_syntax)
        self.scu.requested_contexts = ups.contexts()
        self.watchers: dict[str, Watcher] = {}
        self.providers: list[ups.Provider] = []
        self.ports: list[int] = []

    def where(self, ae_title: str) -> Any:
        watcher = self.watchers.get(ae_title)
        return None if watcher is None else watcher.address

    def provide(self, **how: Any) -> ups.Provider:
        how = {"where": self.where, "delays": (0.05,), **how}
        provider = ups.Provider(self.scp, **how)
        self.providers.append(provider)
        server = serve(self.scp, evt_handlers=handlers(provider))
        self.ports.append(server.server_address[1])
        return provider

    @property
    def port(self) -> int:
        return self.ports[-1]

    def watch(self, ae_title: str) -> Watcher:
        self.watchers[ae_title] = watcher = Watcher(ae_title)
        return watcher

    def associate(self, **how: Any) -> Any:
        assoc = self.scu.associate("127.0.0.1", self.port, ae_title="RIS", **how)
        assert assoc.is_established
        return assoc

    def close(self) -> None:
        for provider in self.providers:
            provider.close()
        self.scp.shutdown()
        self.scu.shutdown()
        for watcher in self.watchers.values():
            watcher.ae.shutdown()


class Direct:
    """Asks a provider as an association does, without a network."""

    def __init__(self, provider: ups.Provider) -> None:
        self._handlers: Any = provider.handlers

    def _ask(self, event: Any, class_uid: str, uid: str, **more: Any) -> Any:
        request = {"RequestedSOPClassUID": class_uid, "RequestedSOPInstanceUID": uid}
        if event is evt.EVT_N_CREATE:
            request = {"AffectedSOPClassUID": class_uid, "AffectedSOPInstanceUID": uid}
        name = event.name.removeprefix("EVT_").replace("_", "-")
        asked = SimpleNamespace(
            request=SimpleNamespace(name=name, **request),
            assoc=SimpleNamespace(remote={"ae_title": "WS"}, accepted_contexts=[]),
            **more,
        )
        return self._handlers[event](asked)

    def send_n_create(self, sent: Dataset, class_uid: str, uid: str) -> Any:
        return self._ask(evt.EVT_N_CREATE, class_uid, uid, attribute_list=sent)

    def send_n_set(self, sent: Dataset, class_uid: str, uid: str, meta_uid: str = "") -> Any:
        return self._ask(evt.EVT_N_SET, class_uid, uid, modification_list=sent)

    def send_n_get(self, tags: list[str], class_uid: str, uid: str, meta_uid: str = "") -> Any:
        return self._ask(evt.EVT_N_GET, class_uid, uid, attribute_identifiers=tags)

    def send_n_action(
        self, sent: Dataset | None, action: int, class_uid: str, uid: str, meta_uid: str = ""
    ) -> Any:
        information = Dataset() if sent is None else sent
        return self._ask(
            evt.EVT_N_ACTION, class_uid, uid, action_type=action, action_information=information
        )


@contextmanager
def ris() -> Iterator[RIS]:
    one = RIS()
    try:
        yield one
    finally:
        one.close()


def at_once(*works: Any, within: float = DEADLINE) -> None:
    """Do these in threads of their own, all at the same time."""
    start = threading.Barrier(len(works))

    def run(work: Any) -> None:
        start.wait(DEADLINE)
        work()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(within)
        assert not thread.is_alive()
