"""C-FIND, C-GET and C-MOVE as SCP: DCMTK's findscu, getscu and movescu as SCUs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import uid
from pydicom.dataset import Dataset

from pynetdicom import AE, evt
from pynetdicom.presentation import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts
from pynetdicom.sop_class import (
    ModalityWorklistInformationFind,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)
from tests.apps.conftest import CT, CT_JPEG2000, MR, SC_RLE, US_JPEG
from tests.interop.test_other_tools import tool
from tests.interop.test_store_scu import (
    MR_BIG_ENDIAN,
    MR_IMPLICIT,
    ONE_OF_EACH,
    SR,
    assert_same_elements,
    bundled,
    read,
    sendable,
    syntax_of,
)
from tests.sampled import sampled

__all__ = ["tool"]  # a fixture

PENDING = 0xFF00
MODELS = [
    ModalityWorklistInformationFind,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
]
STUDY_LEVEL = ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.3"]
UNCOMPRESSED = [CT, MR_IMPLICIT, MR_BIG_ENDIAN, SR]


class Scp:
    """An SCP of ours, whose handler for everything can be changed."""

    def __init__(self) -> None:
        self.ae = AE("ANY-SCP")
        self.ae.acse_timeout = self.ae.network_timeout = 60
        for model in (Verification, *MODELS):
            self.ae.add_supported_context(model, ALL_TRANSFER_SYNTAXES[:4])
        for context in AllStoragePresentationContexts:
            self.ae.add_supported_context(
                context.abstract_syntax, ALL_TRANSFER_SYNTAXES, scu_role=True, scp_role=True
            )
        self.handler: Callable[[Any], Any] = lambda event: ()
        self.identifiers: list[Dataset] = []
        self.closed = 0
        handlers = [
            (event, self._serve) for event in (evt.EVT_C_FIND, evt.EVT_C_GET, evt.EVT_C_MOVE)
        ]
        server = self.ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert server is not None
        self.port: int = server.server_address[1]

    def _serve(self, event: Any) -> Any:
        self.identifiers.append(event.identifier)
        given = self.handler(event)
        return given if isinstance(given, list) else self._watched(given)

    def _watched(self, items: Any) -> Iterator[Any]:
        try:
            yield from items
        finally:
            self.closed += 1


@pytest.fixture
def scp() -> Iterator[Scp]:
    made = Scp()
    yield made
    made.ae.shutdown()


def statuses(output: str) -> list[int]:
    """The statuses of responses that a tool of DCMTK's shows with -d."""
    found = re.findall(r"DIMSE Status\s*: 0x([0-9a-f]{4})", output)
    return [int(code, 16) for code in found]


def counted(output: str) -> list[tuple[int, ...]]:
    """Remaining, completed, failed and warning sub-operations of the responses, 0 for none."""
    names = ("Remaining", "Completed", "Failed", "Warning")
    columns = [
        [
            0 if value == "none" else int(value)
            for value in re.findall(rf"{name} Suboperations\s*: (\w+)", output)
        ]
        for name in names
    ]
    # getscu shows those of the final response once more.
    return list(zip(*columns, strict=True))[: len(statuses_of_retrieve(output))]


def statuses_of_retrieve(output: str) -> list[str]:
    return re.findall(r"Message Type\s*: C-(?:GET|MOVE) RSP", output)


# C-FIND

MATCH_SYNTAXES = {
    "-xi": uid.ImplicitVRLittleEndian,
    "-xe": uid.ExplicitVRLittleEndian,
    "-xb": uid.ExplicitVRBigEndian,
    "-xd": uid.DeflatedExplicitVRLittleEndian,
}


def matches() -> list[Dataset]:
    """What is in the bundled files, without pixel data and private elements."""
    found = []
    for path in (CT, MR_IMPLICIT, MR_BIG_ENDIAN, SR, SC_RLE, US_JPEG):
        ds = Dataset()
        for element in bundled(path):
            if element.VR not in ("OB", "OW", "UN") and not element.tag.is_private:
                ds.add(element)
        found.append(ds)
    return found


@sampled("option", MATCH_SYNTAXES)
def test_findscu_has_what_was_yielded(dcmtk: Any, scp: Scp, tmp_path: Path, option: str) -> None:
    contexts: list[str] = []

    def find(event: Any) -> Iterator[Any]:
        contexts.append(event.context.transfer_syntax)
        for ds in matches():
            yield PENDING, ds

    scp.ae.supported_contexts = []
    scp.ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind, MATCH_SYNTAXES[option])
    server = scp.ae.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, find)]
    )
    assert server is not None
    arguments = ["-d", option, "-X", "-od", tmp_path, *STUDY_LEVEL]
    result = dcmtk.run("findscu", *arguments, "127.0.0.1", server.server_address[1], check=True)
    assert statuses(result.stdout) == [PENDING] * 6 + [0]
    assert contexts == [MATCH_SYNTAXES[option]]
    written = sorted(tmp_path.glob("rsp*.dcm"))
    assert len(written) == 6
    for expected, path in zip(matches(), written, strict=True):
        assert_same_elements(expected, read(path))


def test_findscu_asks_for_a_worklist(dcmtk: Any, scp: Scp, tmp_path: Path) -> None:
    def find(event: Any) -> Iterator[Any]:
        item = Dataset()
        item.Modality = "CT"
        item.ScheduledStationAETitle = event.identifier.ScheduledProcedureStepSequence[
            0
        ].ScheduledStationAETitle
        ds = Dataset()
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds.PatientName = "Müller^Jörg=山田^太郎"
        ds.ScheduledProcedureStepSequence = [item]
        yield 0xFF01, ds

    scp.handler = find
    keys = ["-k", "ScheduledProcedureStepSequence[0].ScheduledStationAETitle=HERE"]
    arguments = ["-d", "-W", "-X", "-od", tmp_path, *keys]
    result = dcmtk.run("findscu", *arguments, "127.0.0.1", scp.port, check=True)
    assert statuses(result.stdout) == [0xFF01, 0]
    ds = read(tmp_path / "rsp0001.dcm")
    assert ds.PatientName == "Müller^Jörg=山田^太郎"
    assert ds.ScheduledProcedureStepSequence[0].ScheduledStationAETitle == "HERE"


def test_findscu_cancels(dcmtk: Any, scp: Scp) -> None:
    def find(event: Any) -> Iterator[Any]:
        ds = matches()[0]
        while True:
            yield PENDING, ds

    scp.handler = find
    result = dcmtk.run("findscu", "-d", "--cancel", 3, *STUDY_LEVEL, "127.0.0.1", scp.port)
    assert statuses(result.stdout)[:3] == [PENDING] * 3
    assert statuses(result.stdout)[-1] == 0xFE00
    assert scp.closed == 1


FAILURES = {
    "raises": (lambda event: 1 / 0, 0xC311),
    "refuses": (lambda event: [(0xA700, None)], 0xA700),
    "a bad status": (lambda event: [("x", None)], 0xC002),
    "no identifier": (lambda event: [(PENDING, None)], 0xC312),
}


@sampled("what", FAILURES)
def test_findscu_is_told_what_went_wrong(dcmtk: Any, scp: Scp, what: str) -> None:
    scp.handler, status = FAILURES[what]
    arguments = ["-d", "--repeat", 2, *STUDY_LEVEL]
    result = dcmtk.run("findscu", *arguments, "127.0.0.1", scp.port)
    assert statuses(result.stdout) == [status, status]


@sampled("level", ["FRAME", "PATIENT"])
def test_findscu_with_a_wrong_level(dcmtk: Any, scp: Scp, level: str) -> None:
    keys = ["-S", "-k", f"QueryRetrieveLevel={level}", "-k", "PatientName"]
    result = dcmtk.run("findscu", "-d", *keys, "127.0.0.1", scp.port)
    assert statuses(result.stdout) == [0xA900]
    assert "Query/Retrieve Level" in result.stdout
    assert scp.identifiers == []


def test_findscu_without_a_level(dcmtk: Any, scp: Scp) -> None:
    keys = ["-S", "-k", "QueryRetrieveLevel", "-k", "PatientName"]
    dcmtk.run("findscu", "-d", *keys, "127.0.0.1", scp.port)
    assert [one.QueryRetrieveLevel for one in scp.identifiers] == [""]


# C-GET


def got(directory: Path) -> dict[str, Path]:
    """SOP Instance UID → file."""
    return {str(read(path).SOPInstanceUID): path for path in directory.iterdir()}


@sampled("as_paths", [True, False])
def test_getscu_has_what_was_yielded(tool: Any, scp: Scp, tmp_path: Path, as_paths: bool) -> None:
    files = [CT, MR_IMPLICIT, SR]
    items = files if as_paths else [bundled(path) for path in files]
    scp.handler = lambda event: iter([len(items), *((PENDING, item) for item in items)])
    arguments = ["-d", "-od", tmp_path, *STUDY_LEVEL]
    result = tool("getscu").run("getscu", *arguments, "127.0.0.1", scp.port, check=True)
    assert counted(result.stdout) == [(2, 1, 0, 0), (1, 2, 0, 0), (0, 3, 0, 0), (0, 3, 0, 0)]
    assert statuses(result.stdout)[-1] == 0
    stored = got(tmp_path)
    assert len(stored) == 3
    for path in files:
        assert_same_elements(bundled(path), read(stored[bundled(path).SOPInstanceUID]))


COMPRESSED = {"+xw": CT_JPEG2000, "+xr": SC_RLE, "+xy": US_JPEG}


@sampled("option", COMPRESSED)
def test_getscu_takes_compressed_ones(tool: Any, scp: Scp, tmp_path: Path, option: str) -> None:
    path = COMPRESSED[option]
    syntax = syntax_of(bundled(path))
    scp.ae.remove_supported_context(bundled(path).SOPClassUID)
    scp.ae.add_supported_context(bundled(path).SOPClassUID, [syntax], scu_role=True, scp_role=True)
    server = scp.ae.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[(evt.EVT_C_GET, lambda event: [2, (PENDING, path), (PENDING, CT)])],
    )
    assert server is not None
    arguments = ["-d", option, "-od", tmp_path, *STUDY_LEVEL]
    result = tool("getscu").run("getscu", *arguments, "127.0.0.1", server.server_address[1])
    stored = got(tmp_path)
    file = read(stored[bundled(path).SOPInstanceUID])
    assert syntax_of(file) == syntax
    assert_same_elements(bundled(path), file)
    assert counted(result.stdout)[0] == (1, 1, 0, 0)


def test_getscu_is_told_what_failed(tool: Any, scp: Scp, tmp_path: Path) -> None:
    items = [CT, None, tmp_path / "missing", CT_JPEG2000]
    scp.handler = lambda event: iter([5, *((PENDING, item) for item in items)])
    stored = tmp_path / "stored"
    stored.mkdir()
    arguments = ["-d", "+xi", "-od", stored, *STUDY_LEVEL]
    result = tool("getscu").run("getscu", *arguments, "127.0.0.1", scp.port)
    assert statuses(result.stdout)[-1] == 0xB000
    assert counted(result.stdout)[-1] == (0, 1, 4, 0)
    # getscu says that there is an identifier, which it does not read: its release fails by that.
    assert "Data Set                      : present" in result.stdout
    assert len(got(stored)) == 1


# C-MOVE


def movescu(dcmtk: Any, scp: Scp, port: int, directory: Path, *options: object) -> Any:
    """Runs movescu as its own destination."""
    arguments = ["-d", "+P", port, "-od", directory, *options, *STUDY_LEVEL]
    return dcmtk.run("movescu", *arguments, "127.0.0.1", scp.port)


def test_movescu_receives_itself(dcmtk: Any, scp: Scp, tmp_path: Path, free_port: int) -> None:
    """Whatever is bundled, over one association, and none of it encoded anew."""
    scp.handler = lambda event: [
        ("127.0.0.1", free_port),
        len(ONE_OF_EACH),
        *((PENDING, path) for path in ONE_OF_EACH),
    ]
    result = movescu(dcmtk, scp, free_port, tmp_path, "+xa")
    assert statuses(result.stdout)[-1] == 0, result.stdout
    assert counted(result.stdout)[-1] == (0, len(ONE_OF_EACH), 0, 0)
    assert result.stdout.count("Sub-Association Received") == 1
    uids = {bundled(path).SOPInstanceUID for path in ONE_OF_EACH}
    stored = got(tmp_path)
    assert set(stored) == uids
    for path in ONE_OF_EACH:
        if sum(bundled(p).SOPInstanceUID == bundled(path).SOPInstanceUID for p in ONE_OF_EACH) > 1:
            continue  # the same instance in another transfer syntax has taken its place
        file = read(stored[bundled(path).SOPInstanceUID])
        assert syntax_of(file) == syntax_of(bundled(path))
        assert_same_elements(bundled(path), file)


def test_movescu_with_a_generator(dcmtk: Any, scp: Scp, tmp_path: Path, free_port: int) -> None:
    """Nothing is known ahead, and the usual contexts do."""
    seen: list[Any] = []

    def move(event: Any) -> Iterator[Any]:
        seen.append(event.move_destination)
        yield "127.0.0.1", free_port
        yield 3
        yield PENDING, MR
        yield PENDING, bundled(CT)
        yield PENDING, SR

    scp.handler = move
    result = movescu(dcmtk, scp, free_port, tmp_path, "-aem", "THERE")
    assert statuses(result.stdout)[-1] == 0, result.stdout
    assert result.stdout.count("Sub-Association Received") == 1
    assert seen == ["THERE"]
    assert scp.closed == 1
    stored = got(tmp_path)
    for path in (MR, CT, SR):
        assert_same_elements(bundled(path), read(stored[bundled(path).SOPInstanceUID]))


@pytest.mark.slow
def test_movescu_with_everything(dcmtk: Any, scp: Scp, tmp_path: Path, free_port: int) -> None:
    """All the bundled files that can be sent, over one association to who takes all of them."""
    paths = sendable()
    scp.handler = lambda event: [
        ("127.0.0.1", free_port),
        len(paths),
        *((PENDING, path) for path in paths),
    ]
    result = movescu(dcmtk, scp, free_port, tmp_path, "+xa", "+B", "--ignore")
    final = counted(result.stdout)[-1]
    assert sum(final) == len(paths)
    assert final[1] > 0.9 * len(paths), result.stdout[-3000:]
    assert result.stdout.count("Sub-Association Received") <= 2


def test_movescu_cancels(dcmtk: Any, scp: Scp, tmp_path: Path, free_port: int) -> None:
    def move(event: Any) -> Iterator[Any]:
        yield "127.0.0.1", free_port
        yield 60000
        while True:
            yield PENDING, CT

    scp.handler = move
    result = movescu(dcmtk, scp, free_port, tmp_path, "--cancel", 2)
    assert statuses(result.stdout)[-1] == 0xFE00
    remaining, completed, failed, warning = counted(result.stdout)[-1]
    assert completed >= 2
    assert remaining + completed + failed + warning == 60000
    assert scp.closed == 1


def test_movescu_is_told_that_the_destination_is_unknown(
    dcmtk: Any, scp: Scp, tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    own, nobody = free_ports(2)
    scp.handler = lambda event: [(None, None)]
    assert statuses(movescu(dcmtk, scp, own, tmp_path).stdout)[-1] == 0xA801
    scp.handler = lambda event: [("127.0.0.1", nobody), 1, (PENDING, CT)]
    assert statuses(movescu(dcmtk, scp, own, tmp_path).stdout)[-1] == 0xA801


def test_movescu_is_told_what_failed(dcmtk: Any, scp: Scp, tmp_path: Path, free_port: int) -> None:
    """It takes uncompressed ones only."""
    scp.handler = lambda event: [
        ("127.0.0.1", free_port),
        3,
        (PENDING, CT),
        (PENDING, CT_JPEG2000),
        (PENDING, MR),
    ]
    result = movescu(dcmtk, scp, free_port, tmp_path)
    assert statuses(result.stdout)[-1] == 0xB000
    assert counted(result.stdout)[-1] == (0, 2, 1, 0)
    assert bundled(CT_JPEG2000).SOPInstanceUID in result.stdout


def test_to_dcmtks_storescp(dcmtk: Any, scp: Scp, tmp_path: Path, free_port: int) -> None:
    """A third party, which serves one association at a time."""
    storescp = dcmtk.storescp("+xa", "+B")
    scp.handler = lambda event: iter(
        [
            ("127.0.0.1", storescp.port),
            len(ONE_OF_EACH),
            *((PENDING, path) for path in ONE_OF_EACH),
        ]
    )
    result = movescu(dcmtk, scp, free_port, tmp_path, "-aem", "STORESCP")
    assert statuses(result.stdout)[-1] == 0, result.stdout
    assert counted(result.stdout)[-1] == (0, len(ONE_OF_EACH), 0, 0)
    uids = {bundled(path).SOPInstanceUID for path in ONE_OF_EACH}
    assert {str(read(path).SOPInstanceUID) for path in storescp.files()} == uids
