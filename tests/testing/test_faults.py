"""Every fault of the kit does what its row says, to an SCU of this library and to DCMTK's."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from pynetdicom import AE
from pynetdicom.errors import PDUTooShort
from pynetdicom.network import dul
from pynetdicom.sop_class import (
    CTImageStorage,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    Verification,
)
from pynetdicom.testing import FAULTS, DicomFactory, DicomSCP, Fault
from tests.sampled import sampled

ALL = list(FAULTS.values())
QUERY = {
    "C-FIND": PatientRootQueryRetrieveInformationModelFind,
    "C-GET": PatientRootQueryRetrieveInformationModelGet,
}


def name_of(value: Any) -> str:
    return value.name if isinstance(value, Fault) else str(value)


TIMERS = ("acse_timeout", "dimse_timeout", "network_timeout")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for the peer's close takes no 2 s."""
    monkeypatch.setattr(dul, "LINGER", 0.05)


def asking(fault: Fault) -> AE:
    """An SCU whose only short timer is the one that the fault has run out."""
    ae = AE("SCU")
    for timer in TIMERS:
        setattr(ae, timer, 0.2 if f"{timer} ran out" in fault.seen.ended else 3600)
    for uid in (Verification, CTImageStorage, *QUERY.values()):
        ae.add_requested_context(uid)
    return ae


def statuses(assoc: Any, operation: str, name: str) -> list[str]:
    """What an operation comes to."""
    if operation in QUERY:
        query = DicomFactory().worklist_item()
        query.QueryRetrieveLevel = "PATIENT"
        send = assoc.send_c_find if operation == "C-FIND" else assoc.send_c_get
        answers = []
        for status, _ in send(query, QUERY[operation]):
            answers.append(status)
            if name == "pending for ever" and len(answers) == 3:
                assoc.send_c_cancel(status.message_id, query_model=QUERY[operation])
    elif operation == "C-ECHO":
        answers = [assoc.send_c_echo()]
    else:
        try:
            answers = [assoc.send_c_store(DicomFactory()())]
        except PDUTooShort as error:
            return [f"{type(error).__name__} is raised"]
    return [f"0x{one.Status:04X}" if "Status" in one else "none" for one in answers]


def check(fault: Fault, operation: str, scp: DicomSCP) -> None:
    """An SCU meets a fault, and makes of it what the table says."""
    ae = asking(fault)
    assoc = ae.associate(*scp.address)
    status = ""
    if assoc.is_established:
        status = statuses(assoc, operation, fault.name)[-1]
        if assoc.is_established:
            assoc.release()
    if fault.seen.ended:
        assoc.join(60)
        assert str(assoc.ended).startswith(fault.seen.ended)
    ae.shutdown()
    assert status == fault.seen.status
    [association] = scp.wait_for_end()
    expected = {"released", "aborted", f"fault: {fault.name}"}
    assert association.ended in expected


@pytest.mark.parametrize("fault", ALL, ids=name_of)
def test_an_scu_sees_what_the_table_says(fault: Fault, dicom_scp: DicomSCP) -> None:
    for operation in fault.operations or ("C-STORE",):
        if operation != "C-MOVE":
            break
    dicom_scp.fault(fault.name)
    check(fault, operation, dicom_scp)


OTHER_OPERATIONS = [
    (fault, operation)
    for fault in ALL
    for operation in (fault.operations or ("C-ECHO", "C-FIND", "C-GET"))[1:]
    if operation != "C-MOVE" and fault.place in ("receiving", "answering")
]


@sampled(("fault", "operation"), OTHER_OPERATIONS, count=3, ids=name_of)
def test_other_operations_see_the_same(fault: Fault, operation: str, dicom_scp: DicomSCP) -> None:
    dicom_scp.fault(fault.name)
    check(fault, operation, dicom_scp)


def test_there_are_many_and_each_says_what_it_does() -> None:
    assert len(FAULTS) >= 30
    assert all(fault.does and fault.place for fault in ALL)
    assert all(fault.name.isprintable() and fault.name.strip() == fault.name for fault in ALL)
    assert len({fault.does for fault in ALL}) > len(ALL) - 10


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("abort in mid message", "abort in mid-message"),
        ("reject", "reject permanently: no reason given"),
        ("WRONG MESSAGE", "wrong Message ID"),
        ("nothing of the kind", "pynetdicom.testing.FAULTS"),
    ],
)
def test_a_name_that_there_is_not_is_refused_with_those_like_it(
    name: str, hint: str, dicom_scp: DicomSCP
) -> None:
    with pytest.raises(ValueError, match="no fault is called") as error:
        dicom_scp.fault(name)
    assert hint in str(error.value)


def test_a_fault_strikes_as_often_as_it_is_told(dicom_scp: DicomSCP) -> None:
    dicom_scp.fault("missing status", to="C-ECHO", skip=1, times=1)
    ae = asking(FAULTS["missing status"])
    ends = []
    for _ in range(3):
        assoc = ae.associate(*dicom_scp.address)
        ends.append(["Status" in assoc.send_c_echo()])
        if assoc.is_established:
            assoc.release()
        assoc.join(60)
    ae.shutdown()
    assert ends == [[True], [False], [True]]


# DCMTK

AGAINST_DCMTK = [fault for fault in ALL if not fault.operations or "C-STORE" in fault.operations]
SEEN_BY_DCMTK = {
    "reject permanently: called AE title not recognised": "Called AE Title Not Recognized",
    "reject transiently: temporary congestion": "Rejected Transient",
    "accepts no context": "No Acceptable Presentation Contexts",
    "abort in mid-message": "Peer aborted Association",
    "close instead of a response": "Peer aborted Association (or never connected)",
}


def dcmtk_store(tool: str, scp: DicomSCP, folder: Path) -> subprocess.CompletedProcess[str]:
    [path] = DicomFactory().write(DicomFactory()(), folder)
    timers = ["-ta", "1", "-td", "1", "-to", "1", "-ts", "1"]
    return subprocess.run(
        [tool, "-v", "-R", *timers, scp.host, str(scp.port), path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.interop
@sampled("fault", AGAINST_DCMTK, keep=[FAULTS[name] for name in SEEN_BY_DCMTK], ids=name_of)
def test_dcmtk_sees_it_too(
    fault: Fault, dicom_scp: DicomSCP, dcmtk_tools: dict[str, str], tmp_path: Path
) -> None:
    dicom_scp.fault(fault.name)
    done = dcmtk_store(dcmtk_tools["storescu"], dicom_scp, tmp_path)
    said = done.stdout + done.stderr
    assert SEEN_BY_DCMTK.get(fault.name, "") in said
    [association] = dicom_scp.wait_for_end()
    assert association.ended
