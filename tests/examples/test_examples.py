"""Every example runs as a program: against its counterpart, and against DCMTK's tools."""

from __future__ import annotations

import queue
import re
import shutil
import signal
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from pynetdicom import AE, evt
from pynetdicom.dsutils import split_dataset
from pynetdicom.sop_class import (
    HangingProtocolStorage,
    InventoryCreation,
    ModalityPerformedProcedureStep,
    SecondaryCaptureImageStorage,
    StorageManagementInstance,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
)
from pynetdicom.workflows import availability, mpps, ups
from pynetdicom.workflows.providing import handlers
from tests.conftest import find_free_port
from tests.examples.certificates import write_certificates
from tests.examples.conftest import (
    EXAMPLES,
    Scripts,
    pydicom_file,
    qrscp_arguments,
    wait_for_output,
)
from tests.interop.conftest import Dcmtk
from tests.interop.test_other_tools import tool
from tests.interop.test_query_scu import worklist
from tests.programs import DEADLINE
from tests.sampled import sampled

__all__ = ["tool", "worklist"]  # fixtures

CT = pydicom_file("CT_small.dcm")
MR = pydicom_file("MR_small.dcm")
CT_JPEG2000 = pydicom_file("693_J2KI.dcm")
WITHOUT_UIDS = pydicom_file("priv_SQ.dcm")
STYLES = ("events", "callbacks")
LOCAL = "127.0.0.1"

STATES = {
    "SCHEDULED": {"IN PROGRESS": 0x0000, "COMPLETED": 0xC310, "CANCELED": 0xC310},
    "IN PROGRESS": {"IN PROGRESS": 0xC302, "COMPLETED": 0x0000, "CANCELED": 0x0000},
    "COMPLETED": {"IN PROGRESS": 0xC300, "COMPLETED": 0xB306, "CANCELED": 0xC300},
    "CANCELED": {"IN PROGRESS": 0xC300, "COMPLETED": 0xC300, "CANCELED": 0xB304},
}
"""The status of a change of a step's state, by the state before and the one that is wanted."""


def data_set_bytes(path: Path) -> bytes:
    """The data set of a file as it is encoded, without what precedes it."""
    _, offset = split_dataset(path)
    return path.read_bytes()[offset:]


def without_padding(path: Path) -> Dataset:
    """The data set of a file, without the padding that DCMTK does not send."""
    ds = dcmread(path)
    if 0xFFFCFFFC in ds:
        del ds[0xFFFCFFFC]
    return ds


def test_every_example_is_tested_and_listed() -> None:
    names = {path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.py")}
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    readme = (EXAMPLES / "README.rst").read_text()
    for name in names:
        assert name in readme
        folder, _, script = name.rpartition("/")
        assert f'"{script}"' in tests or f'"{script.removesuffix(".py")}"' in tests, name
        assert not folder or folder in (*STYLES, "tutorials")


PROGRAMS = sorted(
    path.relative_to(EXAMPLES) for path in EXAMPLES.rglob("*.py") if "__main__" in path.read_text()
)


@sampled("name", PROGRAMS)
def test_help(name: Path, scripts: Scripts) -> None:
    result = scripts.run(EXAMPLES / name, "--help")
    assert result.returncode == 0
    assert "host" in result.stdout


# Verification


@sampled("scu", STYLES)
@sampled("scp", STYLES)
def test_echo(scp: str, scu: str, scripts: Scripts) -> None:
    port = find_free_port()
    server = scripts.serve(EXAMPLES / scp / "echo_scp.py", port)
    result = scripts.run(EXAMPLES / scu / "echo_scu.py", LOCAL, port)
    assert result.returncode == 0, result.stderr
    assert "answered with 0x0000" in result.stdout
    wait_for_output(server, f"C-ECHO from ECHO_EXAMPLE at {LOCAL}")
    assert server.stop(signal.SIGINT) == 0


@pytest.mark.slow
@sampled("scu", STYLES)
def test_echo_without_a_peer(scu: str, scripts: Scripts, free_port: int) -> None:
    result = scripts.run(EXAMPLES / scu / "echo_scu.py", LOCAL, free_port)
    assert result.returncode == 1
    assert "no association: no connection" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("scp", ["events", "tls"])
def test_sigterm_ends_a_server(scp: str, scripts: Scripts, tmp_path: Path) -> None:
    script = EXAMPLES / "events" / "echo_scp.py"
    arguments: list[object] = []
    if scp == "tls":
        script = EXAMPLES / "tls_scp.py"
        arguments = _tls_arguments(tmp_path, "scp")
    server = scripts.serve(script, find_free_port(), *arguments)
    assert server.stop(signal.SIGTERM) == 0


@pytest.mark.interop
@sampled("scp", STYLES)
def test_dcmtk_asks(scp: str, scripts: Scripts, dcmtk: Dcmtk) -> None:
    server = scripts.serve(EXAMPLES / scp / "echo_scp.py", find_free_port())
    result = dcmtk.run("echoscu", "-v", LOCAL, server.port, check=True)
    assert "Received Echo Response" in result.stdout
    wait_for_output(server, "C-ECHO from ECHOSCU")


@pytest.mark.interop
@sampled("scu", STYLES)
def test_dcmtk_answers(scu: str, scripts: Scripts, dcmtk: Dcmtk) -> None:
    peer = dcmtk.storescp()
    result = scripts.run(EXAMPLES / scu / "echo_scu.py", LOCAL, peer.port)
    assert result.returncode == 0, result.stderr


# Storage


@sampled("scu", STYLES)
@sampled("scp", STYLES)
def test_store(scp: str, scu: str, scripts: Scripts) -> None:
    server = scripts.serve(
        EXAMPLES / scp / "store_scp.py", find_free_port(), "--directory", "stored"
    )
    result = scripts.run(EXAMPLES / scu / "store_scu.py", LOCAL, server.port, CT, MR)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("0x0000 (Success)") == 2
    stored = {path.stem: path for path in (server.directory / "stored").iterdir()}
    for path in (CT, MR):
        ds = dcmread(path)
        copy = dcmread(stored.pop(ds.SOPInstanceUID))
        if scu == "callbacks":  # which changes the data set
            assert copy.InstitutionName == "Example Hospital"
            copy.InstitutionName = ds.get("InstitutionName")
            if "InstitutionName" not in ds:
                del copy.InstitutionName
        assert copy == ds
    assert stored == {}
    assert server.stop(signal.SIGINT) == 0


def test_stored_bytes_are_those_sent(scripts: Scripts) -> None:
    server = scripts.serve(
        EXAMPLES / "events" / "store_scp.py", find_free_port(), "--directory", "stored"
    )
    scu = EXAMPLES / "events" / "store_scu.py"
    result = scripts.run(scu, LOCAL, server.port, CT, CT_JPEG2000)
    assert result.returncode == 0, result.stderr
    for path in (CT, CT_JPEG2000):
        copy = server.directory / "stored" / f"{dcmread(path).SOPInstanceUID}.dcm"
        assert data_set_bytes(copy) == data_set_bytes(path)
        assert (
            dcmread(copy).file_meta.TransferSyntaxUID == dcmread(path).file_meta.TransferSyntaxUID
        )


@pytest.mark.slow
@sampled("scu", STYLES)
def test_store_what_the_peer_does_not_take(scu: str, scripts: Scripts) -> None:
    # the callbacks' SCP supports uncompressed transfer syntaxes only
    server = scripts.serve(EXAMPLES / "callbacks" / "store_scp.py", find_free_port())
    result = scripts.run(EXAMPLES / scu / "store_scu.py", LOCAL, server.port, CT_JPEG2000, CT)
    assert result.returncode == 1
    assert "no accepted presentation context" in result.stderr
    assert "0x0000 (Success)" in result.stdout


@pytest.mark.slow
@sampled("scu", STYLES)
def test_store_without_files(scu: str, scripts: Scripts) -> None:
    result = scripts.run(EXAMPLES / scu / "store_scu.py")
    assert result.returncode == 2
    assert "which files?" in result.stderr


@pytest.mark.interop
@sampled("scp", STYLES)
def test_dcmtk_sends(scp: str, scripts: Scripts, dcmtk: Dcmtk) -> None:
    server = scripts.serve(
        EXAMPLES / scp / "store_scp.py", find_free_port(), "--directory", "stored"
    )
    result = dcmtk.run("storescu", "-v", LOCAL, server.port, CT, MR, check=True)
    assert result.stdout.count("Received Store Response (Success)") == 2
    for path in (CT, MR):
        ds = without_padding(path)
        assert dcmread(server.directory / "stored" / f"{ds.SOPInstanceUID}.dcm") == ds


@pytest.mark.interop
@sampled("scu", STYLES)
def test_dcmtk_stores(scu: str, scripts: Scripts, dcmtk: Dcmtk) -> None:
    peer = dcmtk.storescp("+xa")
    result = scripts.run(EXAMPLES / scu / "store_scu.py", LOCAL, peer.port, CT, CT_JPEG2000)
    assert result.returncode == 0, result.stderr
    assert len(peer.files()) == 2


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory of files to send, in two levels."""
    found = tmp_path / "images"
    (found / "mr").mkdir(parents=True)
    for path, copy in ((CT, "ct.dcm"), (CT_JPEG2000, "compressed.dcm"), (MR, "mr/mr.dcm")):
        shutil.copy(path, found / copy)
    return found


def test_store_directory(directory: Path, scripts: Scripts) -> None:
    server = scripts.serve(
        EXAMPLES / "events" / "store_scp.py", find_free_port(), "--directory", "stored"
    )
    result = scripts.run(EXAMPLES / "store_directory.py", LOCAL, server.port, directory)
    assert result.returncode == 0, result.stderr
    assert "3 of 3 files stored" in result.stdout
    assert len(list((server.directory / "stored").iterdir())) == 3


@pytest.mark.slow
def test_store_directory_names_what_cannot_be_sent(directory: Path, scripts: Scripts) -> None:
    shutil.copy(WITHOUT_UIDS, directory / "bad.dcm")
    (directory / "empty.dcm").write_bytes(b"")
    server = scripts.serve(EXAMPLES / "events" / "store_scp.py", find_free_port())
    result = scripts.run(EXAMPLES / "store_directory.py", LOCAL, server.port, directory)
    assert result.returncode == 1
    assert "bad.dcm: " in result.stderr
    assert "empty.dcm: " in result.stderr
    assert "3 of 5 files stored" in result.stdout


@pytest.mark.slow
@pytest.mark.interop
def test_store_directory_to_dcmtk(directory: Path, scripts: Scripts, dcmtk: Dcmtk) -> None:
    peer = dcmtk.storescp("+xa")
    result = scripts.run(EXAMPLES / "store_directory.py", LOCAL, peer.port, directory)
    assert result.returncode == 0, result.stderr
    assert len(peer.files()) == 3


# Workflows


def test_a_modalitys_day(scripts: Scripts) -> None:
    server = scripts.serve(
        EXAMPLES / "department_scp.py", find_free_port(), "--directory", "archive"
    )
    result = scripts.run(EXAMPLES / "modalitys_day.py", LOCAL, server.port, "--images", 2)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "2 steps are scheduled",
        "1001: 2 of 2 images stored, 2 committed",
        "1002: 2 of 2 images stored, 2 committed",
        "0 steps are left",
    ]
    assert list((scripts.directory / "modality").iterdir()) == []
    kept = [dcmread(path) for path in (server.directory / "archive").glob("*.dcm")]
    assert {str(image.PatientName) for image in kept} == {"Müller^Jörg", "Citizen^Jan"}
    assert len({image.StudyInstanceUID for image in kept}) == 2
    assert len({image.SOPInstanceUID for image in kept}) == 4
    assert server.stop(signal.SIGINT) == 0

    # What is done is still done for the next process.
    server = scripts.serve(
        EXAMPLES / "department_scp.py",
        find_free_port(),
        "--directory",
        server.directory / "archive",
    )
    result = scripts.run(EXAMPLES / "modalitys_day.py", LOCAL, server.port)
    assert result.stdout.splitlines() == ["0 steps are scheduled", "0 steps are left"]


@sampled("scu", STYLES)
@sampled("scp", STYLES)
def test_performed_procedure_steps(scp: str, scu: str, scripts: Scripts) -> None:
    server = scripts.serve(EXAMPLES / scp / "mpps_scp.py", find_free_port())
    script = EXAMPLES / scu / "mpps_scu.py"
    result = scripts.run(script, LOCAL, server.port, "4711", "Citizen^Jan")
    assert (result.returncode, result.stderr) == (0, "")
    assert re.fullmatch(r"begun ([\d.]+)\ndone \1\n", result.stdout)
    assert server.output().splitlines() == ["IN PROGRESS 4711", "COMPLETED 4711"]
    assert server.stop(signal.SIGINT) == 0


@pytest.mark.slow
@sampled("style", STYLES)
def test_the_states_of_performed_procedure_steps(style: str, scripts: Scripts) -> None:
    server = scripts.serve(EXAMPLES / style / "mpps_scp.py", find_free_port())
    ae = AE()
    ae.add_requested_context(ModalityPerformedProcedureStep)
    with ae.associate(LOCAL, server.port) as assoc:
        for send, uid, state, code in (
            (assoc.send_n_create, "1.2", "COMPLETED", 0x0106),
            (assoc.send_n_set, "1.2", "COMPLETED", 0x0112),
            (assoc.send_n_create, "1.2", "IN PROGRESS", 0x0000),
            (assoc.send_n_create, "1.2", "IN PROGRESS", 0x0111),
            (assoc.send_n_set, "1.2", "DONE", 0x0106),
            (assoc.send_n_set, "1.2", "DISCONTINUED", 0x0000),
            (assoc.send_n_set, "1.2", "COMPLETED", 0x0110),
        ):
            sent = Dataset()
            sent.PerformedProcedureStepStatus = state
            status, _ = send(sent, ModalityPerformedProcedureStep, uid)
            assert status.Status == code, (uid, state)
        assert status.ErrorID == 0xA710
    assert server.stop(signal.SIGINT) == 0


@sampled("scu", STYLES)
@sampled("scp", STYLES)
def test_storage_commitment(scp: str, scu: str, scripts: Scripts) -> None:
    """Of two images one is kept; of the other only the name is."""
    kept = scripts.directory / "kept"
    kept.mkdir()
    ct, mr = (dcmread(path).SOPInstanceUID for path in (CT, MR))
    shutil.copy(CT, kept / f"{ct}.dcm")
    shutil.copy(CT, kept / f"{mr}.dcm")
    report = ["--report-port", find_free_port()]
    server = scripts.serve(
        EXAMPLES / scp / "commitment_scp.py", find_free_port(),
        "--directory", kept, *(report if scp == "callbacks" else []),
    )  # fmt: skip
    script = EXAMPLES / scu / "commitment_scu.py"
    result = scripts.run(script, LOCAL, server.port, CT, *report)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{ct} is kept\n"
    result = scripts.run(script, LOCAL, server.port, CT, MR, *report)
    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout == f"{ct} is kept\n{mr} is not kept: 0x0119\n"
    result = scripts.run(script, LOCAL, server.port, CT_JPEG2000, *report)
    assert (result.returncode, result.stderr) == (1, "")
    assert "is not kept: 0x0112" in result.stdout
    assert server.stop(signal.SIGINT) == 0
    assert server.output().splitlines() == ["told: 0"] * 3


@sampled("scu", STYLES)
@sampled("scp", STYLES)
def test_instance_availability(scp: str, scu: str, scripts: Scripts) -> None:
    server = scripts.serve(EXAMPLES / scp / "availability_scp.py", find_free_port())
    script = EXAMPLES / scu / "availability_scu.py"
    for given, code, said in (
        ("ONLINE", 0, "told: 0x0000\n"),
        ("NEARLINE", 0, "told: 0x0000\n"),
        ("SOMEWHERE", 1, "told: 0x0106\n"),
    ):
        result = scripts.run(script, LOCAL, server.port, CT, "--availability", given)
        assert (result.returncode, result.stderr, result.stdout) == (code, "", said)
    uid = dcmread(CT).SOPInstanceUID
    heard = [f"{uid} {given} ARCHIVE" for given in ("ONLINE", "NEARLINE")]
    assert server.output().splitlines() == heard
    assert server.stop(signal.SIGINT) == 0


@sampled("scu", STYLES)
@sampled("scp", STYLES)
def test_unified_procedure_steps(scp: str, scu: str, scripts: Scripts) -> None:
    server = scripts.serve(EXAMPLES / scp / "ups_scp.py", find_free_port())
    script = EXAMPLES / scu / "ups_scu.py"
    for label in ("Plan", "Contour"):
        result = scripts.run(script, LOCAL, server.port, "--push", label)
        assert (result.returncode, result.stderr) == (0, "")
    for said in ("done Plan\ndone Contour\n", ""):
        result = scripts.run(script, LOCAL, server.port)
        assert (result.returncode, result.stderr, result.stdout) == (0, "", said)
    states = ("IN PROGRESS", "COMPLETED")
    told = [f"{state} {label}" for label in ("Plan", "Contour") for state in states]
    assert server.output().splitlines() == told
    assert server.stop(signal.SIGINT) == 0


@pytest.mark.slow
@sampled("style", STYLES)
def test_the_states_of_unified_procedure_steps(style: str, scripts: Scripts) -> None:
    """Each operation in each state, as the package's own SCP answers it."""
    server = scripts.serve(EXAMPLES / style / "ups_scp.py", find_free_port())
    states = ("SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED")
    ae = AE()
    ae.requested_contexts = ups.contexts()[:2]
    with ae.associate(LOCAL, server.port) as assoc:

        def act(uid: str, state: str, key: str) -> int:
            sent = Dataset()
            sent.ProcedureStepState, sent.TransactionUID = state, key
            how: Any = {"meta_uid": UnifiedProcedureStepPull}
            return int(assoc.send_n_action(sent, 1, UnifiedProcedureStepPush, uid, **how)[0].Status)

        step = Dataset()
        step.ProcedureStepState = "SCHEDULED"
        for before in states:
            for key in ("1.1", "1.2"):
                for number, after in enumerate(states):
                    uid = f"1.3.{states.index(before)}.{key}.{number}"
                    assoc.send_n_create(step, UnifiedProcedureStepPush, uid)
                    if before != "SCHEDULED":
                        assert act(uid, "IN PROGRESS", "1.1") == 0x0000
                    if before not in states[:2]:
                        assert act(uid, before, "1.1") == 0x0000
                    is_owner = key == "1.1" or before == "SCHEDULED"
                    code = STATES[before].get(after) if is_owner else 0xC301
                    wanted = 0xC303 if after == "SCHEDULED" else code
                    assert act(uid, after, key) == wanted, (before, after, key)
        assert act("1.4", "IN PROGRESS", "1.1") == 0xC307
    assert server.stop(signal.SIGINT) == 0


@sampled("scu", STYLES)
def test_they_ask_what_checks_each_attribute(scu: str, scripts: Scripts) -> None:
    """The package's own SCPs take what the examples send."""
    heard: list[str] = []
    ae = AE()
    step = mpps.Provider(changed=lambda uid, step, event: heard.append(mpps.EVENTS[event]))
    work = ups.Provider(ae, changed=lambda uid, step, event: heard.append(step.ProcedureStepState))
    told = availability.Provider(notified=lambda uid, notification: heard.append("available"))
    for provider in (step, told):
        for sop_class in provider.sop_classes:
            ae.add_supported_context(sop_class)
    for context in ups.contexts():
        ae.add_supported_context(context.abstract_syntax)
    bound = handlers(step, work, told)
    server = ae.start_server((LOCAL, 0), block=False, evt_handlers=bound)
    port = server.server_address[1]
    for script, arguments in (
        ("mpps_scu.py", ("4711", "Citizen^Jan")),
        ("availability_scu.py", (CT,)),
        ("ups_scu.py", ("--push", "Plan")),
        ("ups_scu.py", ()),
    ):
        result = scripts.run(EXAMPLES / scu / script, LOCAL, port, *arguments)
        assert (result.returncode, result.stderr) == (0, "")
    work.close()
    ae.shutdown()
    assert heard == [
        *("in progress", "completed", "available"),
        *("SCHEDULED", "IN PROGRESS", "IN PROGRESS", "COMPLETED"),
    ]


@pytest.mark.slow
def test_a_modality_without_a_department(scripts: Scripts, free_port: int) -> None:
    result = scripts.run(EXAMPLES / "modalitys_day.py", LOCAL, free_port)
    assert result.returncode == 1
    assert "no association: no connection" in result.stderr


# Router


def route(scripts: Scripts, destination: int) -> Any:
    router = EXAMPLES / "events" / "router_scp.py"
    return scripts.serve(router, find_free_port(), "--to-port", destination)


def test_router(scripts: Scripts) -> None:
    destination = scripts.serve(
        EXAMPLES / "events" / "store_scp.py", find_free_port(), "--directory", "stored"
    )
    router = route(scripts, destination.port)
    scu = EXAMPLES / "events" / "store_scu.py"
    for _ in range(2):  # one sender after another
        result = scripts.run(scu, LOCAL, router.port, CT, MR, CT_JPEG2000)
        assert result.returncode == 0, result.stderr
        assert result.stdout.count("0x0000 (Success)") == 3
    for path in (CT, MR, CT_JPEG2000):
        copy = destination.directory / "stored" / f"{dcmread(path).SOPInstanceUID}.dcm"
        assert data_set_bytes(copy) == data_set_bytes(path)
    assert router.stop(signal.SIGTERM) == 0


@pytest.mark.slow
def test_router_without_destination(scripts: Scripts, free_port: int) -> None:
    """The sender is told, and the router goes on: also with a destination that takes less."""
    router = route(scripts, free_port)
    scu = EXAMPLES / "events" / "store_scu.py"
    result = scripts.run(scu, LOCAL, router.port, CT, MR)
    assert result.returncode == 1
    assert result.stdout.count("0xA700 (Failure)") == 2
    # the callbacks' SCP supports uncompressed transfer syntaxes only
    scripts.serve(EXAMPLES / "callbacks" / "store_scp.py", free_port)
    result = scripts.run(scu, LOCAL, router.port, CT_JPEG2000, CT)
    assert result.returncode == 1
    assert result.stdout.count("0xA700 (Failure)") == 1
    assert result.stdout.count("0x0000 (Success)") == 1
    assert router.stop(signal.SIGTERM) == 0


@pytest.mark.slow
@pytest.mark.interop
def test_router_between_dcmtk(scripts: Scripts, dcmtk: Dcmtk) -> None:
    peer = dcmtk.storescp("+xa")
    router = route(scripts, peer.port)
    dcmtk.run("storescu", "-v", LOCAL, router.port, CT, MR, check=True)
    assert len(peer.files()) == 2
    assert router.stop(signal.SIGTERM) == 0


# TLS


def _tls_arguments(directory: Path, name: str) -> list[object]:
    certificates = directory / "certificates"
    if not certificates.exists():
        certificates.mkdir()
        write_certificates(certificates, ("scp", "scu"))
    files = (f"{name}.pem", f"{name}.key", "ca.pem")
    options = ("--certificate", "--key", "--ca")
    return [
        part
        for option, file in zip(options, files, strict=True)
        for part in (option, certificates / file)
    ]


@sampled("raw", [[], ["--raw"]])
def test_tls(scripts: Scripts, tmp_path: Path, raw: list[str]) -> None:
    server = scripts.serve(
        EXAMPLES / "tls_scp.py", find_free_port(), *_tls_arguments(tmp_path, "scp"), *raw
    )
    scu = EXAMPLES / "tls_scu.py"
    result = scripts.run(scu, LOCAL, server.port, *_tls_arguments(tmp_path, "scu"), *raw)
    assert result.returncode == 0, result.stderr
    assert "answered over TLS" in result.stdout
    assert server.stop(signal.SIGTERM) == 0


@pytest.mark.slow
def test_tls_with_a_certificate_that_nobody_vouches_for(scripts: Scripts, tmp_path: Path) -> None:
    server = scripts.serve(
        EXAMPLES / "tls_scp.py", find_free_port(), *_tls_arguments(tmp_path, "scp")
    )
    other = tmp_path / "other"
    other.mkdir()
    scu = EXAMPLES / "tls_scu.py"
    result = scripts.run(scu, LOCAL, server.port, *_tls_arguments(other, "scu"))
    assert result.returncode == 1
    assert "no association" in result.stderr


@pytest.mark.slow
@pytest.mark.interop
def test_tls_with_dcmtk(scripts: Scripts, tmp_path: Path, dcmtk: Dcmtk) -> None:
    server = scripts.serve(
        EXAMPLES / "tls_scp.py", find_free_port(), *_tls_arguments(tmp_path, "scp")
    )
    folder = tmp_path / "certificates"
    options = ["+tls", folder / "scu.key", folder / "scu.pem", "+cf", folder / "ca.pem"]
    result = dcmtk.run("echoscu", "-v", *options, LOCAL, server.port)
    if "unknown option" in result.stdout.lower():
        assert ssl.HAS_TLSv1_2
        subject = "DCMTK's tools were built without TLS"
        pytest.skip(subject)
    assert result.returncode == 0, result.stdout
    assert "Received Echo Response" in result.stdout


# Extended negotiation


def negotiate(scripts: Scripts, *options: str) -> subprocess.CompletedProcess[str]:
    server = scripts.serve(EXAMPLES / "negotiation_scp.py", find_free_port(), CT, MR)
    result = scripts.run(EXAMPLES / "negotiation_scu.py", LOCAL, server.port, *options)
    assert server.stop(signal.SIGTERM) == 0
    return result


def test_negotiation(scripts: Scripts) -> None:
    result = negotiate(scripts)
    assert result.returncode == 0, result.stderr
    assert "CT Image Storage: SCU False, SCP True" in result.stdout
    assert "answered with b'\\x02\\x00" in result.stdout
    assert "2 received, released by the peer" in result.stdout


@pytest.mark.slow
def test_negotiation_with_a_wrong_passcode(scripts: Scripts) -> None:
    result = negotiate(scripts, "--passcode", "guess")
    assert result.returncode == 1
    assert "no association: rejected permanently" in result.stderr


@pytest.mark.slow
def test_negotiation_without_an_identity(scripts: Scripts) -> None:
    server = scripts.serve(EXAMPLES / "negotiation_scp.py", find_free_port(), CT)
    ae = AE()
    ae.add_requested_context("1.2.840.10008.1.1")
    assert ae.associate(LOCAL, int(server.port)).is_rejected
    assert server.stop(signal.SIGTERM) == 0


# Queries


@sampled("scu", STYLES)
@sampled("scp", STYLES)
def test_find(scp: str, scu: str, scripts: Scripts) -> None:
    port = find_free_port()
    server = scripts.serve(EXAMPLES / scp / "find_scp.py", port)
    result = scripts.run(EXAMPLES / scu / "find_scu.py", LOCAL, port, "CITIZEN*")
    assert result.returncode == 0, result.stderr
    *found, last = result.stdout.splitlines()
    assert found == ["CITIZEN^JAN 1.2.3.1", "CITIZEN^SNIPS 1.2.3.2"]
    assert "answered with 0x0000" in last
    assert server.stop(signal.SIGINT) == 0


@pytest.mark.slow
def test_find_until_there_are_enough(scripts: Scripts) -> None:
    server = scripts.serve(EXAMPLES / "events" / "find_scp.py", find_free_port())
    scu = EXAMPLES / "events" / "find_scu.py"
    result = scripts.run(scu, LOCAL, server.port, "--most", 1)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "CITIZEN^JAN 1.2.3.1",
        "the peer answered with 0xFF00",
    ]


@pytest.mark.slow
@sampled("scu", STYLES)
@pytest.mark.parametrize("script", ["find_scu.py", "worklist_scu.py"])
def test_find_without_a_peer(scu: str, script: str, scripts: Scripts, free_port: int) -> None:
    result = scripts.run(EXAMPLES / scu / script, LOCAL, free_port)
    assert result.returncode == 1
    assert "no association" in result.stderr


@pytest.mark.slow
@sampled("scu", STYLES)
@pytest.mark.parametrize("script", ["find_scu.py", "worklist_scu.py", "get_scu.py", "move_scu.py"])
def test_a_peer_that_does_something_else(scu: str, script: str, scripts: Scripts) -> None:
    """The association is accepted, its one context is not."""
    server = scripts.serve(EXAMPLES / "events" / "echo_scp.py", find_free_port())
    options: list[object] = ["1.2.3"] if script[:3] in ("get", "mov", "rel") else []
    if script == "move_scu.py":
        options += ["--store-port", find_free_port()]
    result = scripts.run(EXAMPLES / scu / script, LOCAL, server.port, *options)
    assert result.returncode == 1
    assert "no presentation context was accepted" in result.stderr


@pytest.mark.slow
@pytest.mark.interop
@sampled("scp", STYLES)
def test_dcmtk_finds(scp: str, scripts: Scripts, dcmtk: Dcmtk) -> None:
    server = scripts.serve(EXAMPLES / scp / "find_scp.py", find_free_port())
    keys = ("QueryRetrieveLevel=STUDY", "PatientName=CITIZEN*", "StudyInstanceUID")
    query = [part for key in keys for part in ("-k", key)]
    result = dcmtk.run("findscu", "-v", "-S", *query, LOCAL, server.port, check=True)
    for name in ("JAN", "SNIPS"):
        assert f"CITIZEN^{name}" in result.stdout
    assert "ANNE" not in result.stdout
    assert "Received Final Find Response (Success)" in result.stdout


@pytest.mark.slow
@pytest.mark.interop
@sampled("scu", STYLES)
def test_dcmtk_is_asked(scu: str, scripts: Scripts, dcmqrscp: tuple[int, int]) -> None:
    called = ("--called", "ARCHIVE")
    result = scripts.run(EXAMPLES / scu / "find_scu.py", LOCAL, dcmqrscp[0], *called)
    assert result.returncode == 0, result.stderr
    for path in (CT, MR):
        assert dcmread(path).StudyInstanceUID in result.stdout


# Worklist


def ask_worklist(style: str, scripts: Scripts, port: int, *options: str) -> list[str]:
    """The matches that are printed."""
    result = scripts.run(EXAMPLES / style / "worklist_scu.py", LOCAL, port, *options)
    assert result.returncode == 0, result.stderr
    *found, last = result.stdout.splitlines()
    assert last == "the peer answered with 0x0000"
    return found


JAN = "20240102 CT PID1 CITIZEN^JAN"
SNIPS = "20240102 MR PID2 CITIZEN^SNIPS"
ANNE = "20240105 CT PID3 OTHER^ANNE"


@sampled("scu", STYLES)
@sampled("scp", STYLES)
def test_worklist(scp: str, scu: str, scripts: Scripts) -> None:
    server = scripts.serve(EXAMPLES / scp / "worklist_scp.py", find_free_port())
    for options, expected in (
        ((), [JAN, SNIPS, ANNE]),
        (("--modality", "CT"), [JAN, ANNE]),
        (("--station", "MR_ROOM"), [SNIPS]),
        (("--date", "20240103-"), [ANNE]),
        (("--date", "20240101-20240104", "--modality", "CT"), [JAN]),
        (("--modality", "US"), []),
    ):
        assert ask_worklist(scu, scripts, server.port, *options) == expected
    assert server.stop(signal.SIGINT) == 0


@pytest.mark.slow
@pytest.mark.interop
@sampled("scp", STYLES)
def test_dcmtk_asks_for_a_worklist(scp: str, scripts: Scripts, dcmtk: Dcmtk) -> None:
    server = scripts.serve(EXAMPLES / scp / "worklist_scp.py", find_free_port())
    step = "ScheduledProcedureStepSequence[0]"
    keys = (
        "PatientName",
        f"{step}.Modality=CT",
        f"{step}.ScheduledProcedureStepStartDate=-20240104",
    )
    query = [part for key in keys for part in ("-k", key)]
    result = dcmtk.run("findscu", "-v", "-W", *query, LOCAL, server.port, check=True)
    assert "CITIZEN^JAN" in result.stdout
    assert not any(name in result.stdout for name in ("SNIPS", "ANNE"))
    assert "Received Final Find Response (Success)" in result.stdout


@pytest.mark.slow
@pytest.mark.interop
@sampled("scu", STYLES)
def test_dcmtk_has_a_worklist(scu: str, scripts: Scripts, worklist: Any) -> None:
    scp = worklist(4)
    options = ("--called", "WORKLIST", "--modality", "MR", "--date", "20240102")
    found = ask_worklist(scu, scripts, scp.port, *options)
    assert sorted(line.rsplit(" ", 1)[0] for line in found) == [
        "20240102 MR PID1",
        "20240102 MR PID3",
    ]


# Relevant patient information


@pytest.mark.slow
@sampled("scu", STYLES)
@sampled("scp", STYLES)
def test_relevant_patient(scp: str, scu: str, scripts: Scripts) -> None:
    server = scripts.serve(EXAMPLES / scp / "relevant_patient_scp.py", find_free_port())
    script = EXAMPLES / scu / "relevant_patient_scu.py"
    for patient, code, said in (
        ("PID1", 0, "CITIZEN^JAN 19700101 F"),
        ("PID2", 1, "several patients"),
        ("PID3", 1, "does not know the patient"),
    ):
        result = scripts.run(script, LOCAL, server.port, patient)
        assert result.returncode == code
        assert said in result.stdout + result.stderr
    assert server.stop(signal.SIGINT) == 0


# Substance administration


@pytest.mark.slow
@sampled("scu", STYLES)
@sampled("scp", STYLES)
def test_substance(scp: str, scu: str, scripts: Scripts) -> None:
    server = scripts.serve(EXAMPLES / scp / "substance_scp.py", find_free_port())
    script = EXAMPLES / scu / "substance_scu.py"
    for package, patient, code, said in (
        ("04012345678901", "PID1", 0, "Contrast agent 300 20271231\napproved"),
        ("04012345678901", "PID2", 1, "not approved allergy"),
        ("1", "PID1", 1, "the package is not known"),
    ):
        result = scripts.run(script, LOCAL, server.port, package, patient)
        assert result.returncode == code, result.stderr
        assert said in result.stdout
    assert server.stop(signal.SIGINT) == 0


# Printing


@sampled("scu", STYLES)
@sampled("scp", STYLES)
def test_print(scp: str, scu: str, scripts: Scripts) -> None:
    server = scripts.serve(EXAMPLES / scp / "print_scp.py", find_free_port(), "--directory", "out")
    script = EXAMPLES / scu / "print_scu.py"
    result = scripts.run(script, LOCAL, server.port, CT, MR, CT, "--format", "1,2")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "printer: NORMAL NORMAL\nfilm printed\nfilm printed\n"
    printed = [dcmread(path) for path in (server.directory / "out").iterdir()]
    sizes = [(ds.Rows, ds.Columns) for ds in map(dcmread, (CT, MR, CT))]
    assert sorted((ds.Rows, ds.Columns) for ds in printed) == sorted(sizes)
    for ds in printed:
        assert (ds.SOPClassUID, ds.BitsAllocated) == (SecondaryCaptureImageStorage, 8)
        assert (min(ds.PixelData), max(ds.PixelData)) == (0, 255)
    result = scripts.run(script, LOCAL, server.port, CT_JPEG2000)
    assert (result.returncode, "compressed" in result.stderr) == (1, True)
    result = scripts.run(script, LOCAL, server.port, CT, "--format", "11,10")
    assert (result.returncode, result.stderr) == (1, "not printed: the film: 0x0106\n")
    assert server.stop(signal.SIGINT) == 0


# The rarer N-services


@pytest.mark.slow
@sampled("scu", STYLES)
@sampled("scp", STYLES)
def test_media_creation(scp: str, scu: str, scripts: Scripts) -> None:
    script = EXAMPLES / scp / "media_creation_scp.py"
    server = scripts.serve(script, find_free_port(), "--directory", "out")
    script = EXAMPLES / scu / "media_creation_scu.py"
    result = scripts.run(script, LOCAL, server.port, CT, MR, "--copies", 2)
    assert (result.returncode, result.stderr, result.stdout) == (0, "", "discs: 2\n")
    [listed] = (server.directory / "out").iterdir()
    lines = [f"{ds.SOPClassUID} {ds.SOPInstanceUID}" for ds in map(dcmread, (CT, MR))]
    assert listed.read_text().splitlines() == lines * 2
    listed.unlink()
    (server.directory / "out").rmdir()  # so that there is no place for the next one
    result = scripts.run(script, LOCAL, server.port, CT)
    assert (result.returncode, result.stderr) == (1, "not made: SUPPLY EMPTY\n")
    assert server.stop(signal.SIGINT) == 0


@pytest.mark.slow
@sampled("scu", STYLES)
@sampled("scp", STYLES)
def test_event_logging(scp: str, scu: str, scripts: Scripts) -> None:
    server = scripts.serve(EXAMPLES / scp / "event_logging_scp.py", find_free_port())
    script = EXAMPLES / scu / "event_logging_scu.py"
    for arguments, code, said in (
        (("PID1", "catheter in place", "--study", "1.2.3.1"), 0, "logged 0x0000"),
        (("PID1", "balloon inflated"), 0, "logged 0xB102"),
        (("PID1", "of another patient", "--study", "1.2.3.2"), 1, "not logged 0xC104"),
        (("PID3", "of nobody"), 1, "not logged 0xC103"),
        (("PID1", ""), 1, "not logged 0xC102"),
        (("PID2", "10 ml", "--product", "4711"), 0, "logged 0x0000"),
        (("PID3", "10 ml", "--product", "4711"), 1, "not logged 0xC110"),
    ):
        result = scripts.run(script, LOCAL, server.port, *arguments)
        assert (result.returncode, result.stderr, result.stdout.strip()) == (code, "", said)
    assert (server.directory / "events.txt").read_text().splitlines() == [
        "1.2.3.1 catheter in place",
        "1.2.3.1 balloon inflated",
        "PID2 4711 10 ml",
    ]
    assert server.stop(signal.SIGINT) == 0


@pytest.mark.slow
@sampled("scu", STYLES)
@sampled("scp", STYLES)
def test_display_system(scp: str, scu: str, scripts: Scripts) -> None:
    server = scripts.serve(EXAMPLES / scp / "display_system_scp.py", find_free_port())
    result = scripts.run(EXAMPLES / scu / "display_system_scu.py", LOCAL, server.port)
    assert (result.returncode, result.stderr) == (1, "")
    said = ["Example Two displays WARNING", "1 left NORMAL", "2 right WARNING"]
    assert result.stdout.splitlines() == said
    assert server.stop(signal.SIGINT) == 0


REFUSED = "not verified: the beam: "


@pytest.mark.slow
@sampled("scu", STYLES)
@sampled("scp", STYLES)
def test_rt_verification(scp: str, scu: str, scripts: Scripts) -> None:
    server = scripts.serve(EXAMPLES / scp / "rt_verification_scp.py", find_free_port())
    script = EXAMPLES / scu / "rt_verification_scu.py"
    for arguments, code, said in (
        (("1.2.3.4", "--meterset", "100"), 0, "VERIFIED"),
        (("1.2.3.4", "--beam", "2", "--meterset", "80.45", "--ion"), 0, "VERIFIED"),
        (("1.2.3.4", "--meterset", "101"), 1, "NOT_VERIFIED"),
        (("1.2.3.5", "--meterset", "1"), 1, REFUSED + "0xC227"),
        (
            ("1.2.3.4", "--fraction-group", "2", "--meterset", "1"),
            1,
            "not verified: the beam: 0xC221",
        ),
        (("1.2.3.4", "--beam", "3", "--meterset", "1"), 1, REFUSED + "0xC224"),
    ):
        result = scripts.run(script, LOCAL, server.port, *arguments)
        assert (result.returncode, (result.stdout + result.stderr).strip()) == (code, said)
    assert server.stop(signal.SIGINT) == 0


@pytest.mark.slow
@sampled("scu", STYLES)
@sampled("scp", STYLES)
def test_inventory(scp: str, scu: str, scripts: Scripts) -> None:
    images = scripts.directory / "images"
    images.mkdir()
    for path in (CT, MR):
        shutil.copy(path, images)
    script = EXAMPLES / scp / "inventory_scp.py"
    server = scripts.serve(script, find_free_port(), "--directory", images)
    for _ in range(2):
        result = scripts.run(EXAMPLES / scu / "inventory_scu.py", LOCAL, server.port)
        assert (result.returncode, result.stderr) == (0, "")
        assert re.fullmatch(r"[\d.]+ 2 studies\n", result.stdout)
    assert server.stop(signal.SIGINT) == 0


INVENTORIES = InventoryCreation, StorageManagementInstance


def steer(assoc: Any, action: int, **elements: Any) -> tuple[int, Dataset | None]:
    """Ask the SCP of inventories for an action; its status, and what it replies."""
    information = Dataset()
    for keyword, value in elements.items():
        setattr(information, keyword, value)
    status, reply = assoc.send_n_action(information, action, *INVENTORIES)
    return status.Status, reply


@pytest.mark.slow
@sampled("style", STYLES)
def test_an_inventory_is_steered(style: str, scripts: Scripts) -> None:
    """All of its actions, and the reports that there are of them."""
    server = scripts.serve(EXAMPLES / style / "inventory_scp.py", find_free_port())
    reports: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def handle(event: Any) -> int:
        reports.put((event.event_type, event.event_information.TransactionStatus))
        return 0x0000

    ae = AE()
    ae.add_requested_context(InventoryCreation)
    handlers = [(evt.EVT_N_EVENT_REPORT, handle)]
    with ae.associate(LOCAL, server.port, evt_handlers=handlers) as assoc:
        job: Any = {"TransactionUID": "1.2"}
        whole: Any = {**job, "InventoryLevel": "STUDY", "ScopeOfInventorySequence": []}
        assert steer(assoc, 12, **job)[0] == 0x0112
        assert steer(assoc, 11, **job)[0] == 0x0120  # which level, and of what
        assert steer(assoc, 11, **{**whole, "InventoryLevel": "SERIES"})[0] == 0x0212
        assert steer(assoc, 11, **whole) == (0x0000, None)
        assert reports.get(timeout=DEADLINE) == (11, "COMPLETE")
        assert steer(assoc, 11, **whole)[0] == 0x0111
        status, reply = steer(assoc, 12, **job)
        assert reply is not None
        assert (status, reply.TransactionStatus) == (0x0000, "COMPLETE")
        for action in (14, 15, 13):
            assert steer(assoc, action, **job)[0] == 0x0000
        assert steer(assoc, 16, **job)[0] == 0x0123
        part = {**whole, "TransactionUID": "1.3", "ScopeOfInventorySequence": [Dataset()]}
        assert steer(assoc, 11, **part)[0] == 0xB010
        assert reports.get(timeout=DEADLINE) == (11, "COMPLETE")
    assert server.stop(signal.SIGINT) == 0


# Hanging protocols


@pytest.fixture
def protocols(tmp_path: Path) -> Path:
    """A directory of hanging protocols."""
    directory = tmp_path / "protocols"
    directory.mkdir()
    for number, name in enumerate(("Chest PA", "Chest CT", "Hand"), 1):
        ds = Dataset()
        ds.SOPClassUID, ds.SOPInstanceUID = HangingProtocolStorage, f"1.2.3.{number}"
        ds.HangingProtocolName = name
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.save_as(directory / f"{number}.dcm", enforce_file_format=True)
    return directory


@pytest.mark.slow
@sampled("scu", STYLES)
@sampled("scp", STYLES)
def test_hanging_protocols(scp: str, scu: str, scripts: Scripts, protocols: Path) -> None:
    port = find_free_port()
    script = EXAMPLES / scp / "hanging_protocol_scp.py"
    server = scripts.serve(script, port, "--directory", protocols)
    result = scripts.run(EXAMPLES / scu / "hanging_protocol_scu.py", LOCAL, port, "Chest*")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "Chest PA 1.2.3.1 0x0000",
        "Chest CT 1.2.3.2 0x0000",
    ]
    for number in (1, 2):
        stored = scripts.directory / f"1.2.3.{number}.dcm"
        assert dcmread(stored) == dcmread(protocols / f"{number}.dcm")
        stored.unlink()
    (scripts.directory / "1.2.3.3.dcm").mkdir()  # in the way
    result = scripts.run(EXAMPLES / scu / "hanging_protocol_scu.py", LOCAL, port, "Hand")
    assert result.returncode == 1
    assert "cannot store 1.2.3.3" in result.stderr
    assert server.stop(signal.SIGINT) == 0


# Retrieval


STUDY = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"


def archive(style: str, scripts: Scripts, *arguments: object) -> Any:
    images = scripts.directory / "images"
    images.mkdir()
    for path in (CT, MR):
        shutil.copy(path, images)
    return scripts.serve(
        EXAMPLES / style / "qr_scp.py", find_free_port(), "--directory", images, *arguments
    )


@sampled("scu", STYLES)
@sampled("scp", STYLES)
def test_retrieve(scp: str, scu: str, scripts: Scripts) -> None:
    store_port = find_free_port()
    server = archive(scp, scripts, "--destination", f"WORKSTATION:{LOCAL}:{store_port}")
    found = scripts.run(EXAMPLES / scu / "find_scu.py", LOCAL, server.port)
    assert STUDY in found.stdout
    assert len(found.stdout.splitlines()) == 3
    stored = scripts.directory / f"{dcmread(CT).SOPInstanceUID}.dcm"
    for script, options in (
        ("get_scu.py", ()),
        ("move_scu.py", ("--store-port", store_port)),
    ):
        result = scripts.run(EXAMPLES / scu / script, LOCAL, server.port, STUDY, *options)
        assert (result.returncode, result.stderr) == (0, "")
        assert "0x0000, 1 objects" in result.stdout
        assert without_padding(stored) == without_padding(CT)
        stored.unlink()
    assert server.stop(signal.SIGINT) == 0


@pytest.mark.slow
@sampled("scu", STYLES)
@pytest.mark.parametrize("script", ["get_scu.py", "move_scu.py"])
def test_retrieve_what_cannot_be_stored(scu: str, script: str, scripts: Scripts) -> None:
    """What lies in the way is a directory."""
    store_port = find_free_port()
    server = archive("events", scripts, "--destination", f"WORKSTATION:{LOCAL}:{store_port}")
    in_the_way = scripts.directory / f"{dcmread(CT).SOPInstanceUID}.dcm"
    in_the_way.mkdir()
    options = ("--store-port", store_port) if script == "move_scu.py" else ()
    result = scripts.run(EXAMPLES / scu / script, LOCAL, server.port, STUDY, *options)
    assert result.returncode == 1
    assert "cannot store" in result.stderr
    assert "0xA702, 0 objects" in result.stdout


@pytest.mark.slow
def test_a_move_that_goes_to_somebody_else(scripts: Scripts) -> None:
    other = scripts.serve(EXAMPLES / "events" / "store_scp.py", find_free_port())
    server = archive("events", scripts, "--destination", f"WORKSTATION:{LOCAL}:{other.port}")
    result = scripts.run(
        EXAMPLES / "events" / "move_scu.py",
        LOCAL, server.port, STUDY, "--store-port", find_free_port(),
    )  # fmt: skip
    assert result.returncode == 1
    assert "only 0 have arrived" in result.stderr


@pytest.mark.slow
@sampled("scu", STYLES)
def test_a_destination_that_is_not_known(scu: str, scripts: Scripts) -> None:
    server = archive("callbacks", scripts)
    result = scripts.run(
        EXAMPLES / scu / "move_scu.py",
        LOCAL, server.port, STUDY, "--store-port", find_free_port(),
    )  # fmt: skip
    assert result.returncode == 1
    assert "0xA801" in result.stdout


@pytest.fixture
def dcmqrscp(dcmtk: Dcmtk, tmp_path: Path) -> tuple[int, int]:
    """DCMTK's archive, with two studies: its port, and that of the destination WORKSTATION."""
    folder = tmp_path / "dcmqrscp"
    folder.mkdir()
    port, store_port = find_free_port(), find_free_port()
    arguments = qrscp_arguments(folder, port, "ARCHIVE", store_port)
    dcmtk.start("dcmqrscp", *arguments, port=port)
    dcmtk.run("storescu", "-aec", "ARCHIVE", LOCAL, port, CT, MR, check=True)
    return port, store_port


@pytest.mark.slow
@pytest.mark.interop
@sampled("scu", STYLES)
def test_retrieve_from_dcmtk(scu: str, scripts: Scripts, dcmqrscp: tuple[int, int]) -> None:
    port, store_port = dcmqrscp
    stored = scripts.directory / f"{dcmread(CT).SOPInstanceUID}.dcm"
    for script, options in (
        ("get_scu.py", ()),
        ("move_scu.py", ("--store-port", store_port)),
    ):
        result = scripts.run(
            EXAMPLES / scu / script, LOCAL, port, STUDY, "--called", "ARCHIVE", *options
        )
        assert (result.returncode, result.stderr) == (0, "")
        assert "0x0000, 1 objects" in result.stdout
        assert without_padding(stored) == without_padding(CT)
        stored.unlink()


@pytest.mark.interop
@sampled("style", STYLES)
def test_dcmtk_retrieves(style: str, scripts: Scripts, tool: Any, tmp_path: Path) -> None:
    server = archive(style, scripts)
    query = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}")
    tool("getscu").run("getscu", "-S", "-od", tmp_path, *query, LOCAL, server.port, check=True)
    [stored] = tmp_path.glob("CT.*")
    assert without_padding(stored) == without_padding(CT)


@pytest.mark.slow
@pytest.mark.interop
@sampled("style", STYLES)
def test_dcmtk_has_a_study_moved(style: str, scripts: Scripts, dcmtk: Dcmtk) -> None:
    peer = dcmtk.storescp()
    server = archive(style, scripts, "--destination", f"WORKSTATION:{LOCAL}:{peer.port}")
    query = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}")
    options = ("-v", "-S", "-aem", "WORKSTATION", *query)
    result = dcmtk.run("movescu", *options, LOCAL, server.port, check=True)
    assert "Received Final Move Response (Success)" in result.stdout
    [stored] = peer.files()
    assert without_padding(stored) == without_padding(CT)
