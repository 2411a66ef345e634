"""DCMTK's other tools: dcmrecv and dcmqrscp store, getscu, findscu and movescu negotiate."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from pydicom import uid

from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.presentation import AllStoragePresentationContexts
from pynetdicom.sop_class import (
    CTImageStorage,
    MRImageStorage,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    Verification,
)
from tests.apps.conftest import CT, CT_JPEG2000, MR, US_JPEG, RunApp, ServeApp, run_app, serve_app
from tests.conftest import find_free_port
from tests.interop.test_store_scp import NO_DELAY, Scp, make_scp
from tests.interop.test_store_scu import (
    DEFLATED,
    ONE_OF_EACH,
    SR,
    ae_for,
    assert_same_elements,
    assert_stored,
    bundled,
    data_set_bytes,
    proposals,
    read,
    sendable,
    syntax_of,
)
from tests.sampled import sampled

__all__ = ["make_scp", "run_app", "serve_app"]  # fixtures

# As DCMTK's configuration files call them.
SYNTAX_NAMES = [
    "JPEG2000LosslessOnly",
    "JPEG2000",
    "JPEGBaseline",
    "JPEGExtended:Process2+4",
    "JPEGLossless:Non-hierarchical-1stOrderPrediction",
    "JPEGLSLossless",
    "JPEGLSLossy",
    "RLELossless",
    "DeflatedLittleEndianExplicit",
    "LittleEndianExplicit",
    "BigEndianExplicit",
    "LittleEndianImplicit",
]
SYNTAXES_OF_ALL = {
    uid.JPEG2000Lossless,
    uid.JPEG2000,
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEGLSNearLossless,
    uid.RLELossless,
    uid.DeflatedExplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.ImplicitVRLittleEndian,
}

PATIENT_LEVEL = ["-P", "-k", "0008,0052=PATIENT", "-k", "0010,0020=NOBODY"]


def profile(
    path: Path, sop_classes: Iterable[str], syntax_names: Iterable[str] = SYNTAX_NAMES
) -> list[object]:
    """Options that make a tool use contexts of these SOP Classes, with all transfer syntaxes."""
    lines = ["[[TransferSyntaxes]]", "[All]"]
    lines += [f"TransferSyntax{n} = {name}" for n, name in enumerate(syntax_names, 1)]
    lines += ["[[PresentationContexts]]", "[Storage]"]
    classes = dict.fromkeys([Verification, *sop_classes])
    lines += [f"PresentationContext{n} = {name}\\All" for n, name in enumerate(classes, 1)]
    lines += ["[[Profiles]]", "[Everything]", "PresentationContexts = Storage", ""]
    path.write_text("\n".join(lines))
    return ["-xf", path, "Everything"]


@pytest.fixture
def tool(dcmtk: Any, dcmtk_tools: dict[str, str]) -> Callable[[str], Any]:
    """``tool(name)``: DCMTK's tools, one that is not among those always needed included."""

    def find(name: str) -> Any:
        path = Path(dcmtk_tools["storescu"]).with_name(name)
        if not path.exists():
            pytest.skip(f"DCMTK's {name} is not installed")
        dcmtk._tools.setdefault(name, str(path))
        return dcmtk

    return find


@pytest.fixture
def dcmrecv(tool: Any, tmp_path: Path) -> Callable[..., Any]:
    """Starts dcmrecv, which stores as it receives."""

    def start(*options: object) -> Any:
        directory = tmp_path / "received"
        directory.mkdir()
        port = find_free_port()
        arguments = [*options, "+B", "-od", directory, port]
        return tool("dcmrecv").start("dcmrecv", *arguments, port=port, directory=directory)

    return start


def once_each() -> list[Path]:
    """The bundled files that DCMTK has a name for the transfer syntax of; an instance once."""
    files = {
        str(bundled(path).SOPInstanceUID): path
        for path in sendable()
        if syntax_of(bundled(path)) in SYNTAXES_OF_ALL
    }
    return list(files.values())


def by_instance(paths: Iterable[Path]) -> dict[str, Path]:
    return {str(read(path).SOPInstanceUID): path for path in paths}


# dcmrecv


@pytest.mark.slow
def test_storescu_to_dcmrecv(run_app: RunApp, dcmrecv: Any, tmp_path: Path) -> None:
    """Everything that pydicom bundles, as it is."""
    files = once_each()
    assert len(files) > 100
    classes = [sop_class for sop_class, _ in proposals(files)]
    scp = dcmrecv(*profile(tmp_path / "profile.cfg", classes))
    result = run_app("storescu", "-cx", "127.0.0.1", scp.port, *files)
    assert (result.returncode, result.stderr) == (0, "")
    stored = by_instance(scp.files())
    assert len(stored) == len(files)
    for path in files:
        assert_stored(path, stored[str(bundled(path).SOPInstanceUID)])


@sampled("maximum", [4096, 131072])
def test_the_longest_pdu_of_dcmrecv(dcmrecv: Any, tmp_path: Path, maximum: int) -> None:
    ae = ae_for(ONE_OF_EACH)
    classes = [sop_class for sop_class, _ in proposals(ONE_OF_EACH)]
    scp = dcmrecv("-pdu", maximum, *profile(tmp_path / "profile.cfg", classes))
    assoc = ae.associate("127.0.0.1", scp.port)
    assert assoc.acceptor.maximum_length == maximum
    assert {status.Status for _, status in assoc.send_c_stores(ONE_OF_EACH)} == {0x0000}
    assoc.release()
    stored = by_instance(scp.files())
    for path in once_each():
        if path in ONE_OF_EACH:
            assert_stored(path, stored[str(bundled(path).SOPInstanceUID)])


def test_dcmrecv_without_a_profile(dcmrecv: Any, run_app: RunApp) -> None:
    """It then takes C-ECHO only."""
    scp = dcmrecv()
    result = run_app("storescu", "127.0.0.1", scp.port, CT, MR)
    assert result.returncode == 1
    assert "rejected permanently by the peer" in result.stderr
    assert "2 of 2 files were not stored" in result.stderr
    assert scp.files() == []


# dcmqrscp


@pytest.fixture
def dcmqrscp(tool: Any, tmp_path: Path) -> Callable[..., Any]:
    """Starts dcmqrscp with an archive named ARCHIVE."""

    def start(*options: object, access: str = "RW") -> Any:
        directory = tmp_path / "archive"
        directory.mkdir()
        port = find_free_port()
        config = tmp_path / "dcmqrscp.cfg"
        config.write_text(
            f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 4\n"
            "HostTable BEGIN\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\nARCHIVE {directory} {access} (100, 1024mb) ANY\nAETable END\n"
        )
        arguments = ["-v", "-c", config, *options]
        return tool("dcmqrscp").start("dcmqrscp", *arguments, port=port, directory=directory)

    return start


@pytest.mark.slow
def test_an_archive(dcmqrscp: Any, run_app: RunApp, tool: Any, tmp_path: Path) -> None:
    """What an archive has from us is what DCMTK's getscu gets from it."""
    scp = dcmqrscp()
    files = [CT, MR, SR]
    result = run_app("storescu", "-aec", "ARCHIVE", "127.0.0.1", scp.port, *files)
    assert (result.returncode, result.stderr) == (0, "")
    stored = by_instance(path for path in scp.files() if path.name != "index.dat")
    assert len(stored) == len(files)
    directory = tmp_path / "got"
    directory.mkdir()
    for path in files:
        original = bundled(path)
        assert_same_elements(original, read(stored[str(original.SOPInstanceUID)]))
        keys = ["-k", "0008,0052=PATIENT", "-k", f"0010,0020={original.PatientID}"]
        arguments = ["+B", "-P", *keys, "-od", directory, "-aec", "ARCHIVE"]
        tool("getscu").run("getscu", *arguments, "127.0.0.1", scp.port, check=True)
    got = by_instance(directory.iterdir())
    for path in (CT, MR):
        assert_same_elements(bundled(path), read(got[str(bundled(path).SOPInstanceUID)]))


def test_titles_and_access(dcmqrscp: Any) -> None:
    scp = dcmqrscp(access="R")
    ae = ae_for([CT])
    unknown = ae.associate("127.0.0.1", scp.port, ae_title="NOBODY")
    assert unknown.is_rejected
    assert (unknown.ended.source, unknown.ended.reason) == (1, 7), "called AE title"
    read_only = ae.associate("127.0.0.1", scp.port, ae_title="ARCHIVE")
    assert [context.result for context in read_only.rejected_contexts] == [1]
    assert read_only.is_aborted
    assert "CTImageStorage (1.2.840.10008.5.1.4.1.1.2): user rejected" in str(read_only.ended)


def test_an_archive_that_refuses(dcmqrscp: Any) -> None:
    scp = dcmqrscp("--refuse")
    assoc = ae_for([CT]).associate("127.0.0.1", scp.port, ae_title="ARCHIVE")
    assert assoc.is_rejected
    assert assoc.ended.by == "peer"


def test_our_roles(dcmqrscp: Any) -> None:
    """We offer to be the SCP of storage for a C-GET, and are taken for one."""
    scp = dcmqrscp()
    ae = AE("SCU")
    ae.add_requested_context(PatientRootQueryRetrieveInformationModelGet)
    ae.add_requested_context(CTImageStorage)
    ae.add_requested_context(MRImageStorage)
    ae.add_requested_context(Verification)
    roles = [
        build_role(CTImageStorage, scp_role=True),
        build_role(MRImageStorage, scu_role=True, scp_role=True),
    ]
    assoc = ae.associate("127.0.0.1", scp.port, ae_title="ARCHIVE", ext_neg=roles)
    assert assoc.is_established
    is_scp = {context.abstract_syntax: context.as_scp for context in assoc.accepted_contexts}
    assert is_scp[CTImageStorage]
    assert is_scp[MRImageStorage]
    assert not is_scp[Verification]
    assert not is_scp[PatientRootQueryRetrieveInformationModelGet]
    assert assoc.send_c_echo().Status == 0x0000
    assoc.release()
    assert assoc.is_released


@sampled("name", ["dcmrecv", "dcmqrscp"])
def test_echo(request: pytest.FixtureRequest, name: str) -> None:
    scp = request.getfixturevalue(name)()
    ae = AE("ECHOSCU")
    ae.add_requested_context(Verification)
    for _ in range(2):
        assoc = ae.associate("127.0.0.1", scp.port, ae_title="ARCHIVE")
        assert [assoc.send_c_echo().Status for _ in range(10)] == [0x0000] * 10
        assoc.release()
        assert assoc.is_released


# getscu, findscu, movescu


def accepted(scp: Scp) -> dict[str, Any]:
    """Abstract syntax → context, of the association that ended last."""
    assert str(scp.ended()) == "released by the peer"
    return {
        str(context.abstract_syntax): context for context in scp.associations[-1].accepted_contexts
    }


def test_getscu_is_a_storage_scp(tool: Any, make_scp: Callable[[], Scp], tmp_path: Path) -> None:
    """Who requested as SCP of storage is sent an object on his own association."""
    statuses: list[Any] = []

    def send(event: Any) -> None:
        # Before its C-GET is looked at, the answer to which it waits for: as a sub-operation.
        statuses.append(event.assoc.send_c_store(CT))

    scp = make_scp()
    scp.ae.supported_contexts = []
    scp.ae.add_supported_context(PatientRootQueryRetrieveInformationModelGet)
    scp.ae.add_supported_context(
        CTImageStorage, uid.ExplicitVRLittleEndian, scu_role=False, scp_role=True
    )
    scp.ae.add_supported_context(MRImageStorage)
    scp.start(evt_handlers=[(evt.EVT_ESTABLISHED, send)])
    directory = tmp_path / "got"
    directory.mkdir()
    arguments = ["-v", "+B", "-od", directory, *PATIENT_LEVEL]
    result = tool("getscu").run("getscu", *arguments, "127.0.0.1", scp.port)
    assert "Received C-GET Response" in result.stdout
    contexts = accepted(scp)
    assert (contexts[CTImageStorage].as_scu, contexts[CTImageStorage].as_scp) == (True, False)
    assert not contexts[PatientRootQueryRetrieveInformationModelGet].as_scu
    assert MRImageStorage not in contexts or not contexts[MRImageStorage].as_scu
    assert [status.Status for status in statuses] == [0x0000], result.stdout
    (stored,) = directory.iterdir()
    assert_same_elements(bundled(CT), read(stored))


@pytest.mark.slow
def test_getscu_proposes_many(tool: Any, make_scp: Callable[[], Scp]) -> None:
    """More than a hundred contexts, each with a role of its own."""
    scp = make_scp()
    scp.ae.supported_contexts = []
    scp.ae.add_supported_context(PatientRootQueryRetrieveInformationModelGet)
    for context in AllStoragePresentationContexts:
        scp.ae.add_supported_context(context.abstract_syntax, scu_role=True, scp_role=True)
    scp.start()
    result = tool("getscu").run("getscu", "-v", *PATIENT_LEVEL, "127.0.0.1", scp.port)
    assert "Received C-GET Response" in result.stdout
    contexts = accepted(scp)
    model = contexts.pop(PatientRootQueryRetrieveInformationModelGet)
    assert (model.as_scu, model.as_scp) == (False, True)
    assert len(contexts) > 90
    assert {(context.as_scu, context.as_scp) for context in contexts.values()} == {(True, False)}


def test_findscu_and_movescu(tool: Any, make_scp: Callable[[], Scp]) -> None:
    models = {
        "findscu": [PatientRootQueryRetrieveInformationModelFind],
        "movescu": [
            PatientRootQueryRetrieveInformationModelFind,
            PatientRootQueryRetrieveInformationModelMove,
        ],
    }
    scp = make_scp()
    for model in models["movescu"]:
        scp.ae.add_supported_context(model)
    scp.start()
    for name, expected in models.items():
        result = tool(name).run(name, "-v", *PATIENT_LEVEL, "127.0.0.1", scp.port)
        assert "Association Accepted" in result.stdout
        contexts = accepted(scp)
        assert list(contexts) == expected
        assert all(context.as_scp for context in contexts.values())


@sampled("name", ["getscu", "findscu", "movescu", "termscu"])
def test_models_that_we_do_not_have(tool: Any, make_scp: Callable[[], Scp], name: str) -> None:
    scp = make_scp()
    scp.ae.supported_contexts = []
    scp.ae.add_supported_context(Verification)
    scp.start()
    keys = [] if name == "termscu" else PATIENT_LEVEL
    result = tool(name).run(name, *keys, "127.0.0.1", scp.port)
    assert result.returncode != 0
    assert "No Acceptable Presentation Contexts" in result.stdout
    assert scp.ended().by == "network", "they close the connection"
    tool("echoscu").run("echoscu", "127.0.0.1", scp.port, check=True)


# storescu and dcmsend


@sampled("option", ["-xs", "-xy", "-xw", "-xr", "-xd"])
def test_transfer_syntaxes_in_one_context(dcmtk: Any, make_scp: Any, option: str) -> None:
    """Of several that are proposed together, our order decides."""
    scp = make_scp()
    scp.ae.supported_contexts = []
    order = [uid.ExplicitVRBigEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian]
    scp.ae.add_supported_context(bundled(SR).SOPClassUID, order)
    scp.start()
    dcmtk.run("storescu", option, "+C", "-R", "127.0.0.1", scp.port, SR, check=True)
    (context,) = accepted(scp).values()
    assert context.transfer_syntax == [uid.ExplicitVRBigEndian]
    (stored,) = scp.stored
    assert_same_elements(bundled(SR), stored.dataset)
    assert stored.dataset.original_encoding == (False, False)


@pytest.mark.slow
def test_profiles(dcmtk: Any, make_scp: Callable[[], Scp], tmp_path: Path) -> None:
    """Many contexts of all transfer syntaxes; ours takes what the files are in."""
    for path in (CT_JPEG2000, US_JPEG, DEFLATED, MR):
        syntax = syntax_of(bundled(path))
        scp = make_scp()
        scp.ae.supported_contexts = []
        scp.ae.add_supported_context(bundled(path).SOPClassUID, syntax)
        scp.start()
        classes = [context.abstract_syntax for context in AllStoragePresentationContexts][:110]
        options = profile(tmp_path / "profile.cfg", [bundled(path).SOPClassUID, *classes])
        dcmtk.run("storescu", *options, "127.0.0.1", scp.port, path, check=True)
        (context,) = accepted(scp).values()
        assert context.transfer_syntax == [syntax]
        assert len(scp.associations[0].rejected_contexts) > 100
        (stored,) = scp.stored
        assert_same_elements(bundled(path), stored.dataset)
        scp.stored.clear()


@sampled("tool_name", ["storescu", "dcmsend"])
def test_shorter_pdus_than_we_take(tool: Any, make_scp: Callable[[], Scp], tool_name: str) -> None:
    scp = make_scp().start()
    options = ["--max-send-pdu", 4096]
    tool(tool_name).run(tool_name, *options, "127.0.0.1", scp.port, CT, MR, SR, check=True)
    assert str(scp.ended()) == "released by the peer"
    for path, item in zip([CT, MR, SR], scp.stored, strict=True):
        assert_same_elements(bundled(path), item.dataset)


@pytest.mark.slow
def test_an_object_again_and_again(dcmtk: Any, make_scp: Callable[[], Scp]) -> None:
    """Each time a new instance, on one association."""
    scp = make_scp().start()
    arguments = ["+II", "--repeat", 60, "127.0.0.1", scp.port, MR]
    dcmtk.run("storescu", *arguments, env=NO_DELAY, check=True)
    assert str(scp.ended()) == "released by the peer"
    assert len({item.dataset.SOPInstanceUID for item in scp.stored}) == 60
    assert {item.dataset.PixelData for item in scp.stored} == {bundled(MR).PixelData}


# All of them


@pytest.mark.slow
def test_a_chain(
    run_app: RunApp, serve_app: ServeApp, dcmrecv: Any, dcmtk: Any, tmp_path: Path
) -> None:
    """DCMTK to us, we to DCMTK: no byte changes on the way from our storescp on."""
    files = [CT, MR, SR, CT_JPEG2000]
    first = serve_app("storescp")
    dcmtk.run("storescu", "-xw", "127.0.0.1", first.port, *files, env=NO_DELAY, check=True)
    second = dcmtk.storescp("+B", "+xa", env=NO_DELAY)
    result = run_app("storescu", "-cx", "127.0.0.1", second.port, first.directory)
    assert (result.returncode, result.stderr) == (0, "")
    classes = [sop_class for sop_class, _ in proposals(files)]
    third = dcmrecv(*profile(tmp_path / "profile.cfg", classes))
    result = run_app("storescu", "-cx", "127.0.0.1", third.port, second.directory)
    assert (result.returncode, result.stderr) == (0, "")
    kept = by_instance(first.directory.iterdir())
    passed_on = by_instance(third.files())
    for path in files:
        instance = str(bundled(path).SOPInstanceUID)
        assert data_set_bytes(passed_on[instance]) == data_set_bytes(kept[instance])
        assert_same_elements(bundled(path), read(passed_on[instance]))


def test_both_ways_at_once(dcmtk: Any, make_scp: Callable[[], Scp], dcmtk_tools: Any) -> None:
    """One process of ours is SCU and SCP of several peers at the same time."""
    scp = make_scp().start()
    command = [dcmtk_tools["storescu"], "--repeat", "10", "+II", "127.0.0.1", str(scp.port), CT, MR]
    senders = [subprocess.Popen(command, env=NO_DELAY) for _ in range(3)]
    try:
        theirs = dcmtk.storescp("+B", "+uf")
        scp.ae.requested_contexts = [build_context(CTImageStorage), build_context(MRImageStorage)]
        assoc = scp.ae.associate("127.0.0.1", theirs.port)
        assert {status.Status for _, status in assoc.send_c_stores([CT, MR] * 10)} == {0x0000}
        assoc.release()
        assert [process.wait(300) for process in senders] == [0, 0, 0]
    finally:
        for process in senders:
            process.kill()
            process.wait()
    for _ in senders:
        assert str(scp.ended()) == "released by the peer"
    assert len(scp.stored) == 60
    assert len(theirs.files()) == 20
