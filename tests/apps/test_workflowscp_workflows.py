"""workflowscp: the worklist of a directory, UPS, notifications, TLS, and what is switched off."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pynetdicom import AE, build_context, evt
from pynetdicom.apps.workflowscp import Forgetting
from pynetdicom.sop_class import (
    InstanceAvailabilityNotification,
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepNotification,
    ModalityPerformedProcedureStepRetrieve,
    ModalityWorklistInformationFind,
    StorageCommitmentPushModel,
    UnifiedProcedureStepEvent,
    Verification,
)
from pynetdicom.workflows import mpps, ups, worklist
from tests.apps.conftest import RunApp, Served
from tests.apps.test_workflowscp import Start, new_step_end, place, start
from tests.pair import Seen, serve
from tests.workflows.test_worklist import begun, scheduled
from tests.workflows.ups_pair import performed, ris
from tests.workflows.ups_pair import step as new_ups

__all__ = ["place", "start"]  # fixtures

MPPS = (ModalityPerformedProcedureStep, ModalityPerformedProcedureStepRetrieve)
UPS = [context.abstract_syntax for context in ups.contexts()]


@pytest.fixture
def scu() -> Iterator[AE]:
    ae = AE("CT_ROOM")
    yield ae
    ae.shutdown()


def associate(ae: AE, scp: Served, *uids: str, title: str = "RIS", **how: Any) -> Any:
    contexts = [build_context(uid) for uid in uids]
    assoc = ae.associate("127.0.0.1", scp.port, contexts, ae_title=title, **how)
    assert assoc.is_established, assoc.ended
    return assoc


def write(path: Path, *items: Dataset, age: float = 10.0) -> None:
    """Write a worklist file, by its ending, which was not changed for some time."""
    if path.suffix == ".json":
        found: Any = [item.to_json_dict() for item in items]
        path.write_text(json.dumps(found if len(found) > 1 else found[0]), "utf-8")
    else:
        [item] = items
        item.SOPClassUID, item.SOPInstanceUID = ModalityWorklistInformationFind, "1.2.3"
        item.save_as(path, implicit_vr=False, little_endian=True)
        from pydicom import dcmread, dcmwrite

        read = dcmread(path, force=True)
        read.ensure_file_meta()
        read.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
        dcmwrite(path, read, enforce_file_format=True)
    then = path.stat().st_mtime - age
    os.utime(path, (then, then))


def studies(assoc: Any) -> list[str]:
    return [str(item.StudyInstanceUID) for item in worklist.find(assoc)]


def test_a_worklist_is_that_of_the_directory(start: Start, scu: AE, place: Path) -> None:
    items = place / "worklist"
    (items / "RIS").mkdir(parents=True)
    write(items / "1.wl", scheduled("1.2.1", "S1"))
    write(items / "2.json", scheduled("1.2.2", "S1"), scheduled("1.2.3", "S1"))
    write(items / "RIS" / "1.json", scheduled("1.2.4", "S1"))
    (items / "wrong.wl").write_bytes(b"no DICOM")
    (items / "wrong.json").write_bytes(b'{"00100010": 1}')
    scp = start("--worklist", "worklist")
    asked = (ModalityWorklistInformationFind, *MPPS)
    with associate(scu, scp, *asked) as assoc, associate(scu, scp, *asked, title="CT") as other:
        assert studies(assoc) == ["1.2.1", "1.2.2", "1.2.3", "1.2.4"]
        assert studies(other) == ["1.2.1", "1.2.2", "1.2.3"]
        # Another item in the same file, one that is gone, and a new one.
        write(items / "2.json", scheduled("1.2.5", "S1"), age=0.0)
        (items / "1.wl").unlink()
        write(items / "RIS" / "2.wl", scheduled("1.2.6", "S1"))
        assert studies(assoc) == ["1.2.5", "1.2.4", "1.2.6"]
        write(items / "2.json", scheduled("1.2.7", "S1"), age=0.0)
        assert studies(assoc) == ["1.2.7", "1.2.4", "1.2.6"]
        # What is done is told no more, and what is discontinued is.
        first, second, _ = worklist.find(assoc)
        begun(assoc, first).complete(new_step_end())
        begun(assoc, second).discontinue(new_step_end())
        assert studies(assoc) == ["1.2.4", "1.2.6"]
    errors = scp.errors()
    assert "worklist file wrong.wl: " in errors
    assert "worklist file wrong.json: not DICOM JSON" in errors
    assert scp.stop() == 0
    scp = start("--worklist", "worklist")
    with associate(scu, scp, *asked) as assoc:
        assert studies(assoc) == ["1.2.4", "1.2.6"]


class Viewer:
    """A peer that is told of steps of both kinds."""

    def __init__(self, **how: Any) -> None:
        self.ae, self.told = AE("VIEWER"), Seen()
        self.events = (UnifiedProcedureStepEvent, ModalityPerformedProcedureStepNotification)
        for uid in self.events:
            self.ae.add_supported_context(uid, scu_role=False, scp_role=True)

        self.handlers = [(evt.EVT_N_EVENT_REPORT, self._take)]
        self.port = serve(self.ae, evt_handlers=self.handlers, **how).server_address[1]

    def _take(self, event: Any) -> Any:
        self.told.add((str(event.request.AffectedSOPInstanceUID), event.event_type))
        return 0x0000, None


@pytest.fixture
def viewer() -> Iterator[Viewer]:
    made = Viewer()
    yield made
    made.ae.shutdown()


TELLING = """
[mpps]
notify = ["VIEWER"]
[ups]
watchers = ["VIEWER"]
[[peer]]
ae_title = "VIEWER"
address = "localhost"
port = {port}
"""


def test_peers_are_told(start: Start, scu: AE, place: Path, viewer: Viewer) -> None:
    (place / "scp.toml").write_text(TELLING.format(port=viewer.port))
    scp = start("-c", "scp.toml")
    assert viewer.told.wait(1) == [("1.2.840.10008.5.1.4.34.5", ups.STATUS_CHANGE)]
    with associate(scu, scp, *MPPS, *UPS) as assoc:
        step = begun(assoc, scheduled("1.2.1", "S1"))
        assert viewer.told.wait(2)[-1] == (step.uid, 1)
        step.complete(new_step_end())
        assert viewer.told.wait(3)[-1] == (step.uid, 2)
        ups.subscribe(assoc, "VIEWER")
        uid = ups.push(assoc, new_ups())
        # In its input readiness and in its assignment it is new, too, as it may be told.
        assert (uid, ups.STATE_REPORT) in viewer.told.wait(4)


def test_a_viewer_without_address_is_told_on_its_association(
    start: Start, scu: AE, place: Path, viewer: Viewer
) -> None:
    text = TELLING.replace("address", "# address").replace("port", "# port")
    (place / "scp.toml").write_text(text.replace('watchers = ["VIEWER"]', ""))
    scp = start("-c", "scp.toml")
    with associate(viewer.ae, scp, *viewer.events, evt_handlers=viewer.handlers):
        with associate(scu, scp, *MPPS) as assoc:
            step = begun(assoc, scheduled("1.2.1", "S1"))
            assert viewer.told.wait(1) == [(step.uid, 1)]
        assert scp.stop() == 0


@pytest.mark.parametrize("keep", [0.0, 86400.0, None])
def test_finished_procedure_steps_are_forgotten_in_time(keep: float | None) -> None:
    with ris() as office:
        forgetting = Forgetting(keep)
        forgetting.provider = provider = office.provide(changed=forgetting.changed)
        with office.associate() as assoc:
            done, other = ups.push(assoc, new_ups()), ups.push(assoc, new_ups())
            ups.claim(assoc, done).complete(performed())
            ups.push(assoc, new_ups())
        kept = {uid for uid, _ in provider.steps()}
    assert (done in kept) == (keep != 0.0)
    assert other in kept


SERVED: dict[str, tuple[str, ...]] = {
    "mpps": MPPS,
    "availability": (InstanceAvailabilityNotification,),
    "ups": (*UPS, UnifiedProcedureStepEvent),
    "worklist": (ModalityWorklistInformationFind,),
    "commitment": (StorageCommitmentPushModel,),
    "notification": (ModalityPerformedProcedureStepNotification,),
}
ON = {"mpps", "availability", "ups"}
CONFIGURATIONS = {
    "": ON,
    "[mpps]\nenabled = false": ON - {"mpps"},
    "[availability]\nenabled = false": ON - {"availability"},
    "[ups]\nenabled = false": ON - {"ups"},
    '[worklist]\ndirectory = "."': ON | {"worklist"},
    '[commitment]\nobjects = "objects"': ON | {"commitment"},
    '[mpps]\nnotify = ["A"]\n[[peer]]\nae_title = "A"': ON | {"notification"},
}


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_what_is_switched_off_is_not_negotiated(
    text: str, start: Start, scu: AE, place: Path
) -> None:
    (place / "scp.toml").write_text(text)
    scp = start("-c", "scp.toml", "-v")
    uids = [uid for served in SERVED.values() for uid in served]
    with associate(scu, scp, Verification, *uids) as assoc:
        accepted = {context.abstract_syntax for context in assoc.accepted_contexts}
    wanted = {uid for name in CONFIGURATIONS[text] for uid in SERVED[name]}
    assert accepted == {Verification, *wanted}
    assert "serving " in scp.errors()


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    made = tmp_path / "certificates"
    made.mkdir()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", "own.key", "-out", "own.pem"],
        cwd=made, check=True, capture_output=True,
    )  # fmt: skip
    return made


def test_it_listens_and_tells_over_tls(
    start: Start, scu: AE, place: Path, certificates: Path, run_app: RunApp
) -> None:
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(certificates / "own.pem", certificates / "own.key")
    theirs.load_verify_locations(certificates / "own.pem")
    theirs.verify_mode = ssl.CERT_REQUIRED
    viewer = Viewer(ssl_context=theirs)
    text = TELLING.format(port=viewer.port) + "tls = true\n"
    text += f'[tls]\ncertificate = "{certificates}/own.pem"\nkey = "{certificates}/own.key"\n'
    (place / "scp.toml").write_text(text + f'authorities = "{certificates}/own.pem"\n')
    try:
        scp = start("-c", "scp.toml")
        ours = ssl.create_default_context(cafile=str(certificates / "own.pem"))
        ours.load_cert_chain(certificates / "own.pem", certificates / "own.key")
        with associate(scu, scp, *MPPS, tls_args=(ours, "localhost")) as assoc:
            step = begun(assoc, scheduled("1.2.1", "S1"))
            assert mpps.get(assoc, step.uid).PatientID == "one"
            assert (step.uid, 1) in viewer.told.wait(2)
        assert run_app("echoscu", "127.0.0.1", scp.port).returncode == 1
    finally:
        viewer.ae.shutdown()


def test_a_certificate_that_is_not_there(run_app: RunApp, tmp_path: Path) -> None:
    (tmp_path / "scp.toml").write_text('[tls]\ncertificate = "own.pem"\n')
    result = run_app("workflowscp", "-c", "scp.toml", "--port", "0")
    assert result.returncode == 1
    assert "[tls] certificate: " in result.stderr
    assert result.stderr.count("\n") == 1
