"""workflowscp: what it keeps, what it answers, and how it ends."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pynetdicom import AE, Association, build_context, evt
from pynetdicom.apps import workflow_config
from pynetdicom.apps.configuring import ConfigError
from pynetdicom.apps.workflow_config import Config, Peer, load
from pynetdicom.sop_class import (
    CTImageStorage,
    InstanceAvailabilityNotification,
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepRetrieve,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    UnifiedProcedureStepPush,
    Verification,
)
from pynetdicom.workflows import availability, mpps
from pynetdicom.workflows.commitment import Results, commit
from pynetdicom.workflows.providing import Refused
from pynetdicom.workflows.stores import SQLiteStore
from tests.apps.conftest import CT, RunApp, Served
from tests.apps.test_kept_files import reference_of
from tests.pair import serve
from tests.peers import DEADLINE

CONTEXTS = (
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepRetrieve,
    StorageCommitmentPushModel,
    InstanceAvailabilityNotification,
)
Start = Callable[..., Served]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "workflowscp"
    (place / "objects").mkdir(parents=True)
    shutil.copy(CT, place / "objects")
    return place


@pytest.fixture
def start(python_env: dict[str, str], place: Path) -> Iterator[Start]:
    """``start("--objects", …)`` starts it on a free port, each time in the same directory."""
    started: list[Served] = []

    def serve(*options: object) -> Served:
        command = [*(sys.executable, "-m", "pynetdicom", "workflowscp"), "-ba", "127.0.0.1"]
        started.append(Served([*command, "--port", "0", *map(str, options)], python_env, place))
        return started[-1]

    yield serve
    for served in started:
        if served.process.poll() is None:
            assert served.stop() == 0, served.errors()
        assert "Traceback" not in served.errors()


def associate(ae: AE, scp: Served, **how: Any) -> Association:
    ae.requested_contexts = []
    for uid in CONTEXTS:
        ae.add_requested_context(uid)
    assoc = ae.associate("127.0.0.1", scp.port, **how)
    assert assoc.is_established, assoc.ended
    return assoc


@pytest.fixture
def scu() -> Iterator[AE]:
    ae = AE("CT_ROOM")
    yield ae
    ae.shutdown()


def new_step(**elements: Any) -> Dataset:
    step = Dataset()
    step.PerformedProcedureStepID = "1"
    step.PerformedStationAETitle = "CT_ROOM"
    step.PerformedProcedureStepStartDate = "20261129"
    step.PerformedProcedureStepStartTime = "1015"
    step.Modality = "CT"
    step.ScheduledStepAttributesSequence = [Dataset()]
    step.ScheduledStepAttributesSequence[0].StudyInstanceUID = "1.2.7"
    for keyword, value in elements.items():
        setattr(step, keyword, value)
    return step


def test_what_it_serves(start: Start, scu: AE, place: Path) -> None:
    scp = start("--objects", "objects", "-v")
    with associate(scu, scp) as assoc:
        step = mpps.begin(assoc, new_step(PatientName="Doe^J"), "1.2.3")
        assert mpps.get(assoc, step.uid).PatientName == "Doe^J"
        result = commit(assoc, [CT, (CTImageStorage, "1.2.404")], timeout=DEADLINE)
        assert result.committed == [reference_of(CT)]
        assert [failure.reason for failure in result.failed] == [0x0112]
        availability.notify(assoc, availability.notification_of([CT], "ARCHIVE"), "1.2.4")
        with pytest.raises(Refused):
            mpps.resume(assoc, "1.2.404").update(new_step_end())
    assert scp.stop() == 0
    lines = scp.errors().splitlines()
    pattern = r" I: CT_ROOM at [0-9.:]+: performed (\S+) \d+ of .* (\S+): (0x\w{4}), "
    assert [found.groups() for line in lines if (found := re.search(pattern, line))] == [
        ("N-CREATE", "1.2.3", "0x0000"),
        ("N-GET", "1.2.3", "0x0000"),
        ("N-ACTION", StorageCommitmentPushModelInstance, "0x0000"),
        ("N-CREATE", "1.2.4", "0x0000"),
        ("N-SET", "1.2.404", "0x0112"),
    ]
    assert "Doe" not in scp.errors()
    assert any("reported to CT_ROOM" in line for line in lines)
    store = SQLiteStore(place / "workflows.sqlite")
    assert [uid for uid, _ in mpps.Provider(store).steps()] == ["1.2.3"]
    assert [uid for uid, _ in availability.Provider(store).notifications()] == ["1.2.4"]
    store.close()


def test_the_programs_of_the_other_side(start: Start, run_app: RunApp) -> None:
    scp = start("--objects", "objects", "--verify-bytes")
    begun = run_app(
        *("mppsscu", "127.0.0.1", scp.port, "begin", "--uid", "1.2.3", "-k", "Modality=CT"),
        *("-k", "PerformedProcedureStepID=1"),
        *("-k", "ScheduledStepAttributesSequence[0].StudyInstanceUID=1.2.7"),
    )
    assert (begun.returncode, begun.stderr) == (0, "")
    result = run_app("stgcmtscu", "127.0.0.1", scp.port, CT)
    assert (result.returncode, result.stderr) == (0, "")
    assert run_app("echoscu", "127.0.0.1", scp.port).returncode == 0


def test_no_objects_no_commitment(start: Start, run_app: RunApp) -> None:
    scp = start()
    result = run_app("stgcmtscu", "127.0.0.1", scp.port, CT)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1


def test_who_comes_under_a_rule(start: Start, place: Path) -> None:
    rule = '[[access]]\nname = "rooms"\ncalling = ["CT_*"]\nmay = ["echo", "mpps"]\n'
    (place / "scp.toml").write_text(rule)
    scp = start("--config", "scp.toml")
    contexts = [build_context(Verification), build_context(UnifiedProcedureStepPush)]
    contexts.append(build_context(ModalityPerformedProcedureStep))
    with AE("CT_2").associate("127.0.0.1", scp.port, contexts) as assoc:
        assert [one.abstract_syntax for one in assoc.rejected_contexts] == [
            UnifiedProcedureStepPush
        ]
        assert assoc.send_c_echo().Status == 0x0000
    stranger = AE("STRANGER").associate("127.0.0.1", scp.port, contexts)
    assert stranger.ended is not None
    assert (stranger.ended.kind, stranger.ended.reason) == ("rejected", 3)
    assert "no access rule is for that calling AE title" in scp.errors()


def test_results_go_to_peers_that_are_known(start: Start, scu: AE, place: Path) -> None:
    results = Results()
    scu.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    port = serve(scu, evt_handlers=results.handlers).server_address[1]
    (place / "scp.toml").write_text(
        f"""
        [workflows]
        known_peers_only = true
        [commitment]
        objects = "objects"
        verify = "bytes"
        retrieve_ae_title = "ARCHIVE"
        [[peer]]
        ae_title = "CT_ROOM"
        address = "127.0.0.1"
        port = {port}
        """
    )
    scp = start("--config", "scp.toml")
    assoc = associate(scu, scp)
    result = commit(assoc, [CT], results=results, release=True, timeout=DEADLINE)
    assert result.is_complete
    assert result.retrieve_ae_titles == {reference_of(CT): "ARCHIVE"}
    stranger = AE("STRANGER").associate(
        "127.0.0.1", scp.port, scu.requested_contexts, ae_title="WORKFLOWSCP"
    )
    assert stranger.is_rejected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_while_a_peer_does_not_answer(
    number: int, start: Start, scu: AE, place: Path
) -> None:
    """Its result is reported to the peer when it is started again."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(DEADLINE)
        path = place / "scp.toml"
        text = '[commitment]\nobjects = "objects"\n[[peer]]\nae_title = "CT_ROOM"\n'
        text += 'address = "127.0.0.1"\nport = {}\n'
        path.write_text(text.format(silent.getsockname()[1]))
        scp = start("-c", path, "-ta", "3600", "-tn", "3600")
        # Nobody takes the result here: it goes to the one that does not answer.
        busy = [(evt.EVT_N_EVENT_REPORT, lambda event: (0x0110, None))]
        assoc = associate(scu, scp, evt_handlers=busy)
        request = Dataset()
        request.TransactionUID = "1.2.3"
        request.ReferencedSOPSequence = [Dataset()]
        one = request.ReferencedSOPSequence[0]
        one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = reference_of(CT)
        status, _ = assoc.send_n_action(
            request, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        assert status.Status == 0x0000
        assoc.abort()
        connection, _ = silent.accept()
        with connection:
            assert connection.recv(1)
            assert scp.stop(number) == 0
    told: SimpleQueue[str] = SimpleQueue()

    def take(event: Any) -> Any:
        told.put(event.event_information.TransactionUID)
        return 0x0000, None

    scu.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    port = serve(scu, evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)]).server_address[1]
    path.write_text(text.format(port))
    start("-c", path)
    assert told.get(timeout=DEADLINE) == "1.2.3"


def new_step_end() -> Dataset:
    end = Dataset()
    end.PerformedProcedureStepEndDate = "20261129"
    end.PerformedProcedureStepEndTime = "1030"
    end.PerformedSeriesSequence = [Dataset()]
    series = end.PerformedSeriesSequence[0]
    series.SeriesInstanceUID = "1.2.7.1"
    series.ProtocolName = "HEAD"
    for keyword in (
        *("RetrieveAETitle", "SeriesDescription", "PerformingPhysicianName", "OperatorsName"),
        *("ReferencedImageSequence", "ReferencedNonImageCompositeSOPInstanceSequence"),
    ):
        setattr(series, keyword, None)
    return end


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-c", "nothing.toml"], "nothing.toml"),
        (["--objects", "nothing"], "objects: nothing: there is no such directory"),
        (["--worklist", "nothing"], "worklist: nothing: there is no such directory"),
        (["--store", "nothing/store"], "nothing/store is no store of workflows"),
        (["--store", "other.sqlite"], "other.sqlite is no store of workflows"),
        (["-ba", "192.0.2.1", "--port", "0"], "cannot listen on 192.0.2.1"),
    ],
)
def test_what_it_cannot_start_with(
    arguments: list[str], said: str, run_app: RunApp, tmp_path: Path
) -> None:
    (tmp_path / "other.sqlite").write_text("something else")
    result = run_app("workflowscp", *arguments)
    assert result.returncode == 1
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


# The configuration


def test_all_keys_of_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "scp.toml"
    path.write_text(
        """
        [workflows]
        ae_title = "RIS"
        bind_address = "127.0.0.1"
        port = 104
        known_peers_only = true
        store = "db/workflows.sqlite"
        [limits]
        maximum_associations = 7
        max_pdu = 0
        acse_timeout = 1
        dimse_timeout = 2
        network_timeout = 3.5
        connection_timeout = 4
        shutdown_timeout = 5
        keep_days = 30
        [mpps]
        enabled = false
        notify = ["CT_ROOM"]
        [worklist]
        directory = "worklist"
        removed_by = ["COMPLETED", "DISCONTINUED"]
        names = "exact"
        [availability]
        enabled = false
        [ups]
        enabled = false
        deletion_locks = false
        watchers = ["MR_ROOM"]
        worklist_label = "CT"
        [tls]
        certificate = "own.pem"
        key = "own.key"
        authorities = "ca.pem"
        [commitment]
        objects = "../objects"
        verify = "bytes"
        retrieve_ae_title = "ARCHIVE"
        [[peer]]
        ae_title = "CT_ROOM"
        [[peer]]
        ae_title = "MR_ROOM"
        address = "mr.example.org"
        port = 105
        tls = true
        """
    )
    assert load(str(path)) == Config(
        ae_title="RIS",
        bind_address="127.0.0.1",
        port=104,
        known_peers_only=True,
        store=str(tmp_path / "db" / "workflows.sqlite"),
        maximum_associations=7,
        max_pdu=0,
        acse_timeout=1.0,
        dimse_timeout=2.0,
        network_timeout=3.5,
        connection_timeout=4.0,
        shutdown_timeout=5.0,
        keep_days=30,
        mpps=False,
        notify=("CT_ROOM",),
        availability=False,
        worklist=str(tmp_path / "worklist"),
        removed_by=("COMPLETED", "DISCONTINUED"),
        exact_names=True,
        ups=False,
        deletion_locks=False,
        watchers=("MR_ROOM",),
        worklist_label="CT",
        tls_certificate=str(tmp_path / "own.pem"),
        tls_key=str(tmp_path / "own.key"),
        tls_authorities=str(tmp_path / "ca.pem"),
        objects=str(tmp_path.parent / "objects"),
        verify_bytes=True,
        retrieve_ae_title="ARCHIVE",
        peers={
            "CT_ROOM": Peer("CT_ROOM"),
            "MR_ROOM": Peer("MR_ROOM", "mr.example.org", 105, tls=True),
        },
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[archive]", "[archive]: there is no such section; there are workflows, limits"),
        ("[workflows]\nports = 1", "[workflows] ports: there is no such key; there are ae_title"),
        ("[commitment]\nverify = true", "[commitment] verify: True is not headers or bytes"),
        ("[workflows]\nknown_peers_only = true", "known_peers_only: there is no [[peer]]"),
        ("[[access]]\nname = 'x'", "[[access]] number 1: may is missing: a list of some of echo"),
        ("[[peer]]\nport = 1", "[[peer]] number 1: ae_title is missing"),
        ('[[peer]]\nae_title = "A"\ntls = true', "[[peer]] number 1 tls: needs an address too"),
        ('[mpps]\nnotify = ["A"]', "[mpps] notify: there is no [[peer]] 'A'"),
        ('[mpps]\nnotify = "A"', "[mpps] notify: 'A' is not a list of AE titles"),
        ('[ups]\nwatchers = ["A"]', "[ups] watchers: there is no [[peer]] 'A'"),
        ('[worklist]\nremoved_by = ["DONE"]', "is not a list of some of COMPLETED, DISCONTINUED"),
        ("[tls]", "[tls]: needs a certificate"),
        ('[tls]\nkey = "own.key"', "[tls] key: needs a certificate too"),
    ],
)
def test_what_is_wrong_in_the_configuration(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "scp.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        workflow_config.load(str(path))
    assert said in str(raised.value)
