"""C-STORE as SCP: pydicom's bundled files from DCMTK's storescu and dcmsend."""

from __future__ import annotations

import itertools
import shutil
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydicom import uid

from pynetdicom import AE, evt
from pynetdicom.network.connection import Connection
from pynetdicom.network.dul import DUL
from pynetdicom.presentation import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts
from pynetdicom.sop_class import Verification
from tests.apps.conftest import CT, CT_JPEG2000, MR, SC_RLE, TEST_FILES, US_JPEG
from tests.conftest import find_free_port
from tests.faults.peer import until
from tests.interop.conftest import is_listening
from tests.interop.test_store_scu import (
    DEFLATED,
    MR_BIG_ENDIAN,
    MR_IMPLICIT,
    MR_JPEG_LS,
    SC_JPEG_EXTENDED,
    SC_JPEG_LOSSLESS,
    SR,
    assert_same_elements,
    bundled,
    data_set_bytes,
    read,
    sendable,
    stored_in_order,
    syntax_of,
)
from tests.sampled import sampled

NO_DELAY = {"TCP_NODELAY": "1"}
TINY = sorted((TEST_FILES / "dicomdirtests" / "TINY_ALPHA").rglob("IM0*"))

# Option of DCMTK's storescu → what it then proposes, and a file of that kind.
PROPOSALS = {
    "-xe": (uid.ExplicitVRLittleEndian, CT),
    "-xb": (uid.ExplicitVRBigEndian, MR_BIG_ENDIAN),
    "-xi": (uid.ImplicitVRLittleEndian, MR_IMPLICIT),
    "-xs": (uid.JPEGLosslessSV1, SC_JPEG_LOSSLESS),
    "-xy": (uid.JPEGBaseline8Bit, US_JPEG),
    "-xx": (uid.JPEGExtended12Bit, SC_JPEG_EXTENDED),
    "-xv": (uid.JPEG2000Lossless, TEST_FILES / "MR_small_jp2klossless.dcm"),
    "-xw": (uid.JPEG2000, CT_JPEG2000),
    "-xt": (uid.JPEGLSLossless, MR_JPEG_LS),
    "-xu": (uid.JPEGLSNearLossless, TEST_FILES / "JPEGLSNearLossless_16.dcm"),
    "-xr": (uid.RLELossless, SC_RLE),
    "-xd": (uid.DeflatedExplicitVRLittleEndian, DEFLATED),
}


class Stored(NamedTuple):
    """What a handler was given."""

    context: Any
    dataset: Any
    encoded: bytes
    path: Path


class Scp:
    """A Storage SCP of ours, with event handlers."""

    def __init__(self, directory: Path) -> None:
        self.ae = AE("ANY-SCP")
        self.ae.acse_timeout = self.ae.network_timeout = 60
        self.ae.add_supported_context(Verification)
        for context in AllStoragePresentationContexts:
            self.ae.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
        self.directory = directory
        self.stored: list[Stored] = []
        self.associations: list[Any] = []
        self._names = itertools.count()
        self._closed = threading.Semaphore(0)
        self.port = 0

    def start(self, **options: Any) -> Scp:
        handlers = [
            (evt.EVT_CONN_CLOSE, self._close),
            (evt.EVT_C_STORE, self._store),
            *options.pop("evt_handlers", ()),
        ]
        server = self.ae.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=handlers, **options
        )
        assert server is not None
        self.port = server.server_address[1]
        return self

    def _store(self, event: Any) -> int:
        path = self.directory / f"{next(self._names):04}.dcm"
        event.save_as(path, overwrite=False)
        encoded = event.encoded_dataset(include_meta=False)
        self.stored.append(Stored(event.context, event.dataset, encoded, path))
        return 0x0000

    def _close(self, event: Any) -> None:
        self.associations.append(event.assoc)
        self._closed.release()

    def ended(self) -> Any:
        """How the association that ended last did so, once there is one more that has."""
        assert self._closed.acquire(timeout=300)
        return self.associations[-1].ended


@pytest.fixture
def make_scp(tmp_path: Path) -> Iterator[Callable[[], Scp]]:
    """Makes SCPs of ours, not started yet."""
    made: list[Scp] = []

    def make() -> Scp:
        directory = tmp_path / f"ours{len(made)}"
        directory.mkdir()
        made.append(Scp(directory))
        return made[-1]

    yield make
    for scp in made:
        scp.ae.shutdown()
        scp.stored.clear()  # data sets have descriptors


@pytest.fixture
def scp(make_scp: Callable[[], Scp]) -> Scp:
    return make_scp().start()


@pytest.fixture
def dcmsend(dcmtk: Any, dcmtk_tools: dict[str, str]) -> Callable[..., Any]:
    """Runs dcmsend, which is not among the tools that are always needed."""
    tool = Path(dcmtk_tools["storescu"]).with_name("dcmsend")
    if not tool.exists():
        pytest.skip("DCMTK's dcmsend is not installed")
    dcmtk._tools.setdefault("dcmsend", str(tool))

    def run(*arguments: Any, **options: Any) -> Any:
        return dcmtk.run("dcmsend", "-v", *arguments, **options)

    return run


def by_instance(stored: list[Stored]) -> dict[str, Stored]:
    return {str(item.dataset.SOPInstanceUID): item for item in stored}


@sampled("option", PROPOSALS)
def test_proposals(dcmtk: Any, scp: Scp, option: str) -> None:
    """What arrives is what was sent, and the same bytes as arrive at DCMTK's storescp."""
    syntax, path = PROPOSALS[option]
    files = [path] if option == "-xi" else [path, SR, TEST_FILES / "rtplan.dcm"]
    theirs = dcmtk.storescp("+B", "+xa", "+uf", env=NO_DELAY)
    for port in (scp.port, theirs.port):
        dcmtk.run("storescu", option, "127.0.0.1", port, *files, check=True)
    assert str(scp.ended()) == "released by the peer"
    assert len(scp.stored) == len(files)
    assert scp.stored[0].context.transfer_syntax == syntax
    for sent, ours, reference in zip(files, scp.stored, stored_in_order(theirs), strict=True):
        original, saved = bundled(sent), read(ours.path)
        assert_same_elements(original, ours.dataset)
        assert_same_elements(original, saved)
        assert data_set_bytes(ours.path) == ours.encoded
        assert saved.file_meta.TransferSyntaxUID == ours.context.transfer_syntax
        if read(reference).file_meta.TransferSyntaxUID == ours.context.transfer_syntax:
            assert ours.encoded == data_set_bytes(reference)
        else:
            assert sent != path


@pytest.mark.slow
def test_dcmsend_all_files(dcmsend: Any, dcmtk: Any, scp: Scp) -> None:
    """Each instance once; dcmsend makes as many associations as it needs."""
    files = list({str(bundled(path).SOPInstanceUID): path for path in sendable()}.values())
    assert len(files) > 100
    theirs = dcmtk.storescp("+B", "+xa", "+uf", env=NO_DELAY)
    for port in (scp.port, theirs.port):
        dcmsend("-dn", "-nuc", "+f", "127.0.0.1", port, *files, env=NO_DELAY, check=True)
    assert str(scp.ended()) == "released by the peer"
    ours = by_instance(scp.stored)
    references = {str(read(path).SOPInstanceUID): path for path in theirs.files()}
    assert len(scp.stored) == len(ours) == len(files)
    assert ours.keys() == references.keys()
    same = 0
    for path in files:
        original = bundled(path)
        item = ours[str(original.SOPInstanceUID)]
        reference = read(references[str(original.SOPInstanceUID)])
        syntax = reference.file_meta.TransferSyntaxUID
        assert_same_elements(reference, read(item.path))
        if item.context.transfer_syntax == syntax:
            same += 1
            assert item.encoded == data_set_bytes(references[str(original.SOPInstanceUID)])
        if uid.UID(syntax_of(original)).is_compressed:
            assert item.context.transfer_syntax == syntax_of(original)
    assert same > 20


@sampled("maximum", [4096, 131072])
@sampled("tool", ["storescu", "dcmsend"])
def test_pdu_sizes(dcmsend: Any, dcmtk: Any, make_scp: Any, tool: str, maximum: int) -> None:
    """Both the longest that they take, and the longest that we do."""
    scp = make_scp()
    scp.ae.maximum_pdu_size = maximum
    scp.start()
    files = [CT, TEST_FILES / "examples_overlay.dcm", TEST_FILES / "waveform_ecg.dcm"]
    dcmtk.run(tool, "-pdu", maximum, "127.0.0.1", scp.port, *files, check=True)
    assert str(scp.ended()) == "released by the peer"
    assert scp.associations[0].requestor.maximum_length == maximum
    stored = by_instance(scp.stored)
    for path in files:
        original = bundled(path)
        assert_same_elements(original, read(stored[str(original.SOPInstanceUID)].path))


@sampled("env", [{}, NO_DELAY], ids=["nagle", "nodelay"])
@sampled("tool", ["storescu", "dcmsend"])
def test_small_objects_do_not_stall(
    dcmsend: Any,
    dcmtk: Any,
    scp: Scp,
    monkeypatch: pytest.MonkeyPatch,
    tool: str,
    env: dict[str, str],
) -> None:
    """A delayed acknowledgement would cost 40 ms each where Nagle's algorithm is on."""
    files = TINY[:40]
    done: list[str] = []
    quick_ack, read = Connection.quick_ack, DUL._read

    def note(connection: Connection) -> None:
        done.append("acknowledged")
        quick_ack(connection)

    def read_and_look(dul: DUL, *args: Any) -> None:
        heard = dul.last_received
        read(dul, *args)
        if dul._in_midst and dul.provider.ended is None and dul.last_received != heard:
            done.append("left incomplete")

    monkeypatch.setattr(DUL, "_read", read_and_look)
    monkeypatch.setattr(Connection, "quick_ack", note)
    dcmtk.run(tool, "127.0.0.1", scp.port, *files, env=env, check=True)
    assert str(scp.ended()) == "released by the peer"
    assert len(scp.stored) == len(files)
    # Wherever the peer may wait for one: its command is there and its data set is not.
    after = [then for before, then in pairwise(done) if before == "left incomplete"]
    assert after or env  # without Nagle's algorithm both may come at once
    assert set(after) <= {"acknowledged"}


def test_callbacks(dcmtk: Any, free_port: int) -> None:
    """The callbacks' generation: `AE(port=…)`, `on_c_store`, `start()`, `stop()`."""
    received: list[Any] = []

    def on_c_store(dataset: Any, context: Any, info: Any) -> int:
        received.append((dataset, context, info))
        return 0x0000

    ae = AE(ae_title=b"STORESCP", port=free_port)
    ae.bind_addr = "127.0.0.1"
    for path in (CT, MR, CT_JPEG2000):
        ae.add_supported_context(bundled(path).SOPClassUID, ALL_TRANSFER_SYNTAXES)
    ae.on_c_store = on_c_store
    serving = threading.Thread(target=ae.start)
    serving.start()
    try:
        assert until(lambda: is_listening(free_port))
        files = [CT, MR, CT_JPEG2000]
        dcmtk.run("storescu", "-xw", "-aet", "MODALITY", "127.0.0.1", free_port, *files, check=True)
    finally:
        ae.stop()
        serving.join(60)
    assert not serving.is_alive()
    assert len(received) == len(files)
    for number, (path, (dataset, context, info)) in enumerate(
        zip(files, received, strict=True), start=1
    ):
        original = bundled(path)
        assert_same_elements(original, dataset)
        assert context.abstract_syntax == original.SOPClassUID
        assert info["requestor"]["ae_title"] == b"MODALITY".ljust(16)
        assert info["parameters"] == {
            "message_id": number,
            "priority": 0,
            "originator_aet": None,
            "originator_message_id": None,
        }
    assert received[2][1].transfer_syntax == uid.JPEG2000


@sampled("answer", [0xA700, 0xC001, 0xB000, "raise", None])
def test_dcmtk_is_told_of_failures(dcmtk: Any, make_scp: Any, answer: Any) -> None:
    def handle(event: Any) -> Any:
        if answer == "raise":
            raise RuntimeError("no")
        return answer

    scp = make_scp().start(evt_handlers=[(evt.EVT_C_STORE, handle)])
    result = dcmtk.run("storescu", "-d", "127.0.0.1", scp.port, CT)
    expected = {"raise": "0xc211", None: "0xc002"}.get(answer) or f"{answer:#06x}"
    assert expected in result.stdout
    assert (result.returncode == 0) == (answer == 0xB000)
    assert str(scp.ended()) == "released by the peer"


def test_a_spool_on_disk(dcmtk: Any, make_scp: Any, tmp_path: Path) -> None:
    """What is over the threshold goes to a file as it arrives, and is the same."""
    spool = tmp_path / "spool"
    spool.mkdir()
    scp = make_scp().start(spool_dir=str(spool), spool_threshold=1000)
    dcmtk.run("storescu", "-xy", "127.0.0.1", scp.port, US_JPEG, SR, MR, check=True)
    assert str(scp.ended()) == "released by the peer"
    for path, item in zip([US_JPEG, SR, MR], scp.stored, strict=True):
        assert_same_elements(bundled(path), read(item.path))
        assert data_set_bytes(item.path) == item.encoded
    scp.stored.clear()
    assert list(spool.iterdir()) == []


@pytest.mark.slow
def test_several_at_once(dcmtk: Any, scp: Scp, tmp_path: Path) -> None:
    directory = tmp_path / "images"
    directory.mkdir()
    for path in TINY[:10]:
        shutil.copy(path, directory)
    threads = [
        threading.Thread(
            target=dcmtk.run,
            args=("storescu", "+sd", "+II", "127.0.0.1", scp.port, directory),
            kwargs={"check": True},
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for _ in threads:
        assert str(scp.ended()) == "released by the peer"
    assert len({item.dataset.SOPInstanceUID for item in scp.stored}) == 40
    assert len(scp.stored) == 40


def test_a_port_of_its_own(dcmtk: Any, make_scp: Any) -> None:
    """The same AE serves on two ports."""
    scp = make_scp().start()
    second = find_free_port()
    scp.ae.start_server(
        ("127.0.0.1", second), block=False, evt_handlers=[(evt.EVT_C_STORE, scp._store)]
    )
    for port in (scp.port, second):
        dcmtk.run("storescu", "127.0.0.1", port, CT, check=True)
    assert [item.encoded for item in scp.stored] == [scp.stored[0].encoded] * 2
