"""Performed procedure steps, `workflows.mpps`, with pynetdicom 3.0.4 and odil on the other side."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pynetdicom import AE, build_role
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepNotification,
    ModalityPerformedProcedureStepRetrieve,
)
from pynetdicom.workflows import mpps
from pynetdicom.workflows.providing import Refused, handlers
from tests.conftest import find_free_port
from tests.interop.conftest import is_listening
from tests.interop.test_n_services import Side, old_python
from tests.interop.test_witness import cannot
from tests.peers import DEADLINE
from tests.programs import Program
from tests.workflows.test_mpps import change, full

__all__ = ["old_python"]  # a fixture

SCRIPT = str(Path(__file__).with_name("steps.py"))
UIDS = (
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepRetrieve,
    ModalityPerformedProcedureStepNotification,
)
END = {
    "PerformedProcedureStepEndDate": "20261129",
    "PerformedProcedureStepEndTime": "1045",
}


def bare() -> dict[str, str]:
    """The environment of the other version."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.fixture
def theirs(old_python: str) -> Iterator[Side]:
    side = Side(old_python, bare(), SCRIPT)
    yield side
    side.process.kill()
    side.process.communicate()


@pytest.mark.slow
def test_our_modality(theirs: Side) -> None:
    """What it is told is what we know of the step, at each time."""
    ae = AE("CT_ROOM")
    for uid in UIDS:
        ae.add_requested_context(uid)
    roles = [build_role(UIDS[-1], scp_role=True)]
    attributes = full()
    with ae.associate("127.0.0.1", theirs.port, ext_neg=roles) as assoc:
        step = mpps.begin(assoc, attributes)
        begun = step.attributes.to_json_dict()
        with pytest.raises(Refused) as refused:
            mpps.begin(assoc, attributes, step.uid)
        comment = change(
            CommentsOnThePerformedProcedureStep="Müller", SpecificCharacterSet="ISO_IR 100"
        )
        step.update(comment)
        changed = mpps.get(assoc, step.uid, ["CommentsOnThePerformedProcedureStep"])
        step.complete(change(**END))
        ended = mpps.get(assoc, step.uid)
        status = mpps.notify(assoc, step.uid, 2)
        other = mpps.begin(assoc, attributes)
        other.discontinue(change(**END))
    assert refused.value.status.Status == 0x0111
    assert changed.CommentsOnThePerformedProcedureStep == "Müller"
    assert ended == step.attributes
    assert status.Status == 0x0000
    told = theirs.told()
    assert [(name, uid) for name, uid, _ in told] == [
        ("N-CREATE", step.uid),
        ("N-CREATE", step.uid),
        ("N-SET", step.uid),
        ("N-GET", step.uid),
        ("N-SET", step.uid),
        ("N-GET", step.uid),
        ("N-EVENT-REPORT", step.uid),
        ("N-CREATE", other.uid),
        ("N-SET", other.uid),
    ]
    assert told[0][2] == told[1][2] == begun
    assert Dataset.from_json(told[2][2]) == comment
    wanted = change(**END, PerformedProcedureStepStatus="COMPLETED")
    wanted.SpecificCharacterSet = "ISO_IR 100"
    assert Dataset.from_json(told[4][2]) == wanted
    assert told[6][2] == 2
    assert Dataset.from_json(told[8][2]).PerformedProcedureStepStatus == "DISCONTINUED"


@pytest.mark.slow
def test_our_provider(old_python: str) -> None:
    """It judges by the table and the state, and says why; the step is as it was told."""
    provider = mpps.Provider()
    ae = AE("RIS")
    for uid in UIDS:
        ae.add_supported_context(uid, scu_role=True, scp_role=True)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers(provider))
    assert server is not None
    attributes = full()
    absent, empty, ended = full(), full(), full()
    del absent.PerformedProcedureStepID
    empty.Modality = None
    ended.PerformedProcedureStepStatus = "COMPLETED"
    completed = change(**END, PerformedProcedureStepStatus="COMPLETED")
    calls = [
        ("create", "1.2.1", attributes),
        ("create", "1.2.1", attributes),
        ("create", "1.2.2", absent),
        ("create", "1.2.2", empty),
        ("create", "1.2.2", ended),
        ("set", "1.2.2", completed),
        ("set", "1.2.1", change(PatientID="4711")),
        ("set", "1.2.1", change(StudyID="4711", CommentsOnThePerformedProcedureStep="done")),
        ("set", "1.2.1", change(CommentsOnThePerformedProcedureStep="done")),
        ("get", "1.2.1", [0x00400280, 0x00400252]),
        ("get", "1.2.2", []),
        ("set", "1.2.1", completed),
        ("set", "1.2.1", change(CommentsOnThePerformedProcedureStep="no")),
        ("get", "1.2.1", []),
    ]
    sent = [
        (name, uid, given.to_json_dict() if isinstance(given, Dataset) else given)
        for name, uid, given in calls
    ]
    try:
        done = subprocess.run(
            [old_python, SCRIPT, "scu", str(server.server_address[1])],
            input=json.dumps(sent),
            stdout=subprocess.PIPE,
            env=bare(),
            text=True,
            timeout=DEADLINE,
            check=True,
        )
    finally:
        ae.shutdown()
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    told: list[tuple[str, Dataset, Any]] = [
        (name, Dataset.from_json(status), None if given is None else Dataset.from_json(given))
        for name, status, given in answers
    ]
    assert [(name, status.Status) for name, status, _ in told] == [
        ("create", 0x0000),
        ("create", 0x0111),
        ("create", 0x0120),
        ("create", 0x0121),
        ("create", 0x0106),
        ("set", 0x0112),
        ("set", 0x0105),
        ("set", 0x0105),
        ("set", 0x0000),
        ("get", 0x0000),
        ("get", 0x0112),
        ("set", 0x0000),
        ("set", 0x0110),
        ("get", 0x0000),
    ]
    _, statuses, data_sets = zip(*told, strict=True)
    # It gives its user neither the tags nor the data set of a failure.
    assert (statuses[12].ErrorID, statuses[12].ErrorComment) == (0xA710, mpps.NO_LONGER)
    assert data_sets[9].CommentsOnThePerformedProcedureStep == "done"
    assert data_sets[9].PerformedProcedureStepStatus == "IN PROGRESS"
    attributes.update(completed)
    attributes.CommentsOnThePerformedProcedureStep = "done"
    attributes.SpecificCharacterSet = "ISO_IR 192"  # as it is kept
    assert data_sets[13] == provider.get("1.2.1") == attributes


@pytest.fixture(scope="session")
def odil() -> list[str]:
    """How to run the script with the interpreter that has odil, the system's."""
    python = "/usr/bin/python3"
    try:
        subprocess.run([python, "-c", "import odil"], check=True, capture_output=True, env=bare())
    except (OSError, subprocess.CalledProcessError):
        cannot("odil is not installed")
    return [python, str(Path(__file__).with_name("odil_steps.py"))]


def test_our_modality_and_odil(odil: list[str], tmp_path: Path) -> None:
    port = find_free_port()
    log = tmp_path / "odil.log"
    theirs = Program([*odil, "scp", str(port)], log, lambda: is_listening(port), bare())
    ae = AE("CT_ROOM")
    ae.add_requested_context(ModalityPerformedProcedureStep)
    attributes = full()
    attributes.PatientName = "Müller"
    try:
        with ae.associate("127.0.0.1", port) as assoc:
            step = mpps.begin(assoc, attributes)
            begun = step.attributes.to_json_dict()
            step.complete(change(**END))
            status, _ = assoc.send_n_set(attributes, ModalityPerformedProcedureStep, step.uid)
        assert theirs.process.wait(DEADLINE) == 0
    finally:
        theirs.stop()
    assert (step.status.Status, status.Status) == (0x0000, 0x0110)
    told = [json.loads(line) for line in theirs.output().splitlines()]
    assert [row[:2] for row in told[:-1]] == [
        ["N-CREATE", step.uid],
        ["N-SET", step.uid],
        ["N-SET", step.uid],
    ]
    assert told[-1] == ["released"]
    assert Dataset.from_json(told[0][2]) == Dataset.from_json(begun)
    assert Dataset.from_json(told[1][2]) == change(
        **END, PerformedProcedureStepStatus="COMPLETED", SpecificCharacterSet="ISO_IR 100"
    )


def test_odil_and_our_provider(odil: list[str]) -> None:
    provider = mpps.Provider()
    ae = AE("RIS")
    ae.add_supported_context(ModalityPerformedProcedureStep)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers(provider))
    assert server is not None
    attributes, absent = full(), full()
    # It sends text as UTF-8, whatever character set it is given.
    attributes.SpecificCharacterSet, attributes.PatientName = "ISO_IR 192", "Müller"
    del absent.PerformedProcedureStepID
    completed = change(**END, PerformedProcedureStepStatus="COMPLETED")
    calls = [
        ("create", "1.2.1", attributes),
        ("create", "1.2.1", attributes),
        ("create", "1.2.2", absent),
        ("set", "1.2.1", completed),
        ("set", "1.2.1", completed),
    ]
    sent = [(name, uid, given.to_json_dict()) for name, uid, given in calls]
    try:
        done = subprocess.run(
            [*odil, "scu", str(server.server_address[1])],
            input=json.dumps(sent),
            stdout=subprocess.PIPE,
            env=bare(),
            text=True,
            timeout=DEADLINE,
            check=True,
        )
    finally:
        ae.shutdown()
    *told, released = [json.loads(line) for line in done.stdout.splitlines()]
    assert released == ["released"]
    answers = [(number, Dataset.from_json(command)) for _, number, command in told]
    assert all(answer.MessageIDBeingRespondedTo == number for number, answer in answers)
    assert [answer.Status for _, answer in answers] == [0x0000, 0x0111, 0x0120, 0x0000, 0x0110]
    assert answers[2][1].AttributeIdentifierList == 0x00400253
    assert (answers[4][1].ErrorID, answers[4][1].ErrorComment) == (0xA710, mpps.NO_LONGER)
    attributes.update(completed)
    assert provider.get("1.2.1") == attributes
