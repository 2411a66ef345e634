"""Every record of an association names its peer; none at INFO and above names a patient."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pynetdicom import AE, Association, build_role, evt
from pynetdicom._logging import FIELDS
from pynetdicom.apps.logs import JsonLines, Lines
from pynetdicom.sop_class import (
    CTImageStorage,
    ModalityPerformedProcedureStep,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    Printer,
    PrinterInstance,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    UnifiedProcedureStepPush,
    Verification,
)
from tests.pair import ended, serve

FIND = PatientRootQueryRetrieveInformationModelFind
GET = PatientRootQueryRetrieveInformationModelGet
MOVE = PatientRootQueryRetrieveInformationModelMove
MPPS = ModalityPerformedProcedureStep
SECRETS = ("Quux", "PID-471", "Secret Ward")
IMPLICIT = "1.2.840.10008.1.2"


class Records(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record)

    def named(self, *names: str) -> list[logging.LogRecord]:
        """Those of some of the library's loggers."""
        return [one for one in self.kept if one.name.removeprefix("pynetdicom.") in names]


@pytest.fixture
def records() -> Iterator[Records]:
    found = Records()
    logger = logging.getLogger("pynetdicom")
    before = logger.level
    logger.addHandler(found)
    yield found
    logger.removeHandler(found)
    logger.setLevel(before)


def patient(**more: Any) -> Dataset:
    ds = Dataset()
    ds.PatientName, ds.PatientID = "Quux^Ada", "PID-471"
    ds.ReferringPhysicianName = "Secret Ward"
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    return ds


def instance() -> Dataset:
    from pydicom.dataset import FileMetaDataset

    ds = patient(SOPClassUID=CTImageStorage, SOPInstanceUID="1.2.3.4", StudyInstanceUID="1.2")
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = IMPLICIT
    return ds


def broken(event: Any) -> Any:
    raise ValueError(f"what is wrong with {patient()}?")


def broken_generator(event: Any) -> Iterator[Any]:
    yield from ()
    broken(event)


def matching(event: Any) -> Iterator[Any]:
    yield 0xFF00, patient(QueryRetrieveLevel="PATIENT")
    yield 0xFF00, "Quux^Ada"


def getting(event: Any) -> Iterator[Any]:
    yield 1
    yield 0xFF00, instance()


def moving(event: Any) -> Iterator[Any]:
    yield None, None


def answering(event: Any) -> Any:
    return 0x0000, patient()


N_EVENTS = (
    evt.EVT_N_CREATE, evt.EVT_N_SET, evt.EVT_N_GET, evt.EVT_N_ACTION, evt.EVT_N_EVENT_REPORT,
    evt.EVT_N_DELETE,
)  # fmt: skip
GOOD = [
    (evt.EVT_C_ECHO, lambda event: 0x0000), (evt.EVT_C_STORE, lambda event: 0x0000),
    (evt.EVT_C_FIND, matching), (evt.EVT_C_GET, getting), (evt.EVT_C_MOVE, moving),
    *((event, answering) for event in N_EVENTS[:5]), (evt.EVT_N_DELETE, lambda event: 0x0000),
]  # fmt: skip
BAD = [
    (evt.EVT_C_ECHO, broken), (evt.EVT_C_STORE, broken),
    (evt.EVT_C_FIND, broken_generator), (evt.EVT_C_GET, broken_generator),
    (evt.EVT_C_MOVE, broken_generator), *((event, broken) for event in N_EVENTS),
]  # fmt: skip
ODD = [
    (evt.EVT_C_ECHO, lambda event: "Quux^Ada"), (evt.EVT_C_STORE, lambda event: patient()),
    (evt.EVT_C_FIND, lambda event: patient()), (evt.EVT_C_GET, lambda event: [patient()]),
    (evt.EVT_C_MOVE, lambda event: ["Quux^Ada", "PID-471"]),
    *((event, lambda event: ("Quux^Ada", "PID-471")) for event in N_EVENTS),
]  # fmt: skip


def do_everything(assoc: Association) -> None:
    """Have every DIMSE service asked for, with a patient in each data set that there can be."""
    query = patient(QueryRetrieveLevel="PATIENT")
    calls: list[Callable[[], Any]] = [
        assoc.send_c_echo,
        lambda: assoc.send_c_store(instance()),
        lambda: list(assoc.send_c_find(query, FIND)),
        lambda: list(assoc.send_c_get(query, GET)),
        lambda: list(assoc.send_c_move(query, "NOWHERE", MOVE)),
        lambda: list(assoc.send_c_find(patient(QueryRetrieveLevel="Quux"), FIND)),
        lambda: assoc.send_n_create(patient(), MPPS, "1.2.3"),
        lambda: assoc.send_n_set(patient(), MPPS, "1.2.3"),
        lambda: assoc.send_n_get([0x00100010], Printer, PrinterInstance),
        lambda: assoc.send_n_action(
            patient(), 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        ),
        lambda: assoc.send_n_delete(UnifiedProcedureStepPush, "1.2.3"),
    ]
    for call in calls:
        assert assoc.is_established, assoc.ended
        call()


CONTEXTS = (
    Verification, CTImageStorage, FIND, GET, MOVE, MPPS, Printer, StorageCommitmentPushModel,
    UnifiedProcedureStepPush,
)  # fmt: skip


def run_with(handlers: list[Any], *, window: int = 1) -> None:
    scp, scu = AE("SCP"), AE("SCU")
    for uid in CONTEXTS:
        scp.add_supported_context(uid, IMPLICIT, scu_role=True, scp_role=True)
        scu.add_requested_context(uid, IMPLICIT)
    scp.window = (window, window)
    with scp, scu:
        server = serve(scp, evt_handlers=handlers)
        assoc = scu.associate(
            "127.0.0.1", server.server_address[1], window=(window, window),
            ext_neg=[build_role(CTImageStorage, scu_role=True, scp_role=True)],
            evt_handlers=[(evt.EVT_C_STORE, lambda event: 0x0000)],
        )  # fmt: skip
        assert assoc.is_established, assoc.ended
        served = server.active_associations
        do_everything(assoc)
        assoc.release()
        ended(assoc, *served)
        assoc = scu.associate("127.0.0.1", server.server_address[1])
        served = server.active_associations
        assoc.abort()
        ended(assoc, *served)


@pytest.mark.parametrize("handlers", [GOOD, BAD, ODD], ids=["good", "bad", "odd"])
@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
def test_each_record_of_an_association_names_the_peer(
    records: Records, handlers: list[Any], level: int
) -> None:
    logging.getLogger("pynetdicom").setLevel(level)
    run_with(handlers)
    told = records.named("acse", "assoc", "dimse", "dul", "events", "operations", "service")
    assert told
    nameless = [one.getMessage() for one in told if not getattr(one, "peer", "")]
    assert nameless == []
    assert {one.__dict__["peer"].split(" ")[0] for one in told} <= {"SCP", "SCU", "ANY-SCP"}
    assert all(one.__dict__["association"] for one in told)


@pytest.mark.parametrize("handlers", [GOOD, BAD, ODD], ids=["good", "bad", "odd"])
@pytest.mark.parametrize("window", [1, 4])
def test_no_patient_is_named_at_info(records: Records, handlers: list[Any], window: int) -> None:
    """Neither in lines nor in JSON, whatever the handlers do."""
    logging.getLogger("pynetdicom").setLevel(logging.INFO)
    run_with(handlers, window=window)
    assert records.named("operations")
    for form in (Lines(), JsonLines()):
        for record in records.kept:
            shown = form.format(record)
            assert not any(secret in shown for secret in SECRETS), shown


def test_a_record_of_an_operation(records: Records) -> None:
    """Of both sides, for each that has ended; of a query one, not one a match."""
    logging.getLogger("pynetdicom").setLevel(logging.INFO)
    run_with(GOOD)
    told = [one.__dict__ for one in records.named("operations")]
    for how in ("performed", "invoked"):
        ops = [one["operation"] for one in told if one["msg"] and one["args"][0] == how]
        for name in ("C-ECHO", "C-GET", "C-MOVE", "N-CREATE", "N-SET", "N-GET", "N-ACTION"):
            assert ops.count(name) == 1, (how, name, ops)
        assert ops.count("C-STORE") == 2  # one of them of the C-GET
        assert ops.count("C-FIND") == 2
    for one in told:
        assert {"operation", "message_id", "sop_class", "sop_instance", *FIELDS[-3:]} <= set(one)
    (store, *_) = (one for one in told if one["operation"] == "C-STORE")
    assert store["sop_instance"] == "1.2.3.4"
    assert store["bytes"] > 0


def test_an_error_in_an_operation_says_which(records: Records) -> None:
    run_with(BAD)
    (found,) = (
        one.__dict__ for one in records.named("service", "events")
        if one.levelno == logging.ERROR and one.__dict__["operation"] == "C-STORE"
    )  # fmt: skip
    assert found["sop_instance"] == "1.2.3.4"
    assert found["peer"].startswith("SCU")


def test_nothing_is_made_where_nobody_looks(records: Records) -> None:
    logging.getLogger("pynetdicom").setLevel(logging.WARNING)
    run_with(GOOD)
    assert records.named("operations") == []
