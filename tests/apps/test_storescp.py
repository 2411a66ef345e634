"""storescp: nothing outside its directory, nothing overwritten, no partial file."""

from __future__ import annotations

import errno
import hashlib
import os
import resource
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from pynetdicom.apps import storescp
from pynetdicom.data_sets.part10 import read_header
from pynetdicom.dimse.command import decode as decode_command
from pynetdicom.sop_class import MRImageStorage as MR_CLASS
from pynetdicom.utils import is_file_name
from tests.apps.conftest import CT, MR, SC_RLE, copies
from tests.faults.peer import BOTH, Peer, p_data, pdv, store_command
from tests.faults.peer import CT as CT_CLASS

UID = "1.2.826.0.1.1"


# ---------------------------------------------------------------------------------- file names


@pytest.mark.parametrize("uid", ["1", "1.2.3", "1" * 64, "0.1", ".1", "1..2", "1."])
def test_digits_and_dots_are_a_file_name(uid: str) -> None:
    assert is_file_name(uid)


@pytest.mark.parametrize(
    "uid",
    [
        "", ".", "..", "...", "1" * 65, "../1", "1/2", "1\\2", "/etc/1", "C:1", "1\0", "1\n", " 1",
        "1 ", "1a", "٣", "²", "1-2", "1_2",
    ],
)  # fmt: skip
def test_anything_else_is_not(uid: str) -> None:
    assert not is_file_name(uid)


ODD_UIDS = [
    b"..", b"../1", b"/tmp/1", b"1/2", b"1\\2", b"C:1", b"1\x002", b"1\n2", b"1 2", b"1a", b"1_2",
    b"1" * 65, b"1." * 150, b"\xe9.1", b"\xd9\xa1", b"\xff" * 64, b"%s%n", b"sha256-1",
]  # fmt: skip
"""What peers may say is a UID, and cannot be a file name: bytes, of no repertoire."""


def hashed(uid: bytes) -> str:
    return f"sha256-{hashlib.sha256(uid).hexdigest()}.dcm"


def name_of(uid: bytes) -> str | None:
    return storescp.name_of(uid.decode("latin-1"), hashed=True)


@pytest.mark.parametrize("uid", ODD_UIDS)
def test_the_digest_of_what_is_not(uid: bytes) -> None:
    name = name_of(uid)
    assert f"{name}.dcm" == hashed(uid)
    assert not storescp.is_file_name(str(name))
    # Another instance may say of itself that it is of that name.
    assert name_of(str(name).encode()) != name
    assert storescp.name_of(uid.decode("latin-1"), hashed=False) is None


@pytest.mark.parametrize("uid", ["1", "1.2.3", "1" * 64, ".1", "1.."])
def test_a_uid_that_can_be_a_file_name_is_not_hashed(uid: str) -> None:
    assert storescp.name_of(uid, hashed=True) == storescp.name_of(uid, hashed=False) == uid


def test_without_a_uid_there_is_no_name() -> None:
    assert name_of(b"") is None


def test_names_differ_as_uids_do() -> None:
    assert len({name_of(uid) for uid in ODD_UIDS}) == len(ODD_UIDS)


# --------------------------------------------------------------------------------- the handler


def event_of(data: bytes, uid: str = UID, error: OSError | None = None) -> Any:
    """An event whose object is `data`, or whose saving fails."""

    class DataSet:
        transfer_syntax = "1.2.840.10008.1.2.1"
        size = len(data)

        def open(self) -> Any:
            import io

            return io.BytesIO(data)

    def save_as(path: str, overwrite: bool = True) -> None:
        if error is not None:
            raise error
        with open(path, "wb" if overwrite else "xb") as file:
            file.write(data)

    request = SimpleNamespace(AffectedSOPInstanceUID=uid, data_set=DataSet())
    return SimpleNamespace(request=request, save_as=save_as)


@pytest.fixture
def raw_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files hold a data set and nothing else."""

    def same(received: Any, path: str) -> bool:
        return bool(received.open().read() == Path(path).read_bytes())

    monkeypatch.setattr(storescp, "same_data_set", same)


@pytest.mark.usefixtures("raw_files")
def test_second_copies(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def stored() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    directory = str(tmp_path)
    assert storescp.store(event_of(b"one"), directory) == 0x0000
    assert storescp.store(event_of(b"one"), directory) == 0x0000
    assert stored() == {f"{UID}.dcm": b"one"}
    assert not caplog.records
    for data in (b"two", b"three", b"two", b"one"):
        assert storescp.store(event_of(data), directory) == 0x0000
    assert stored() == {f"{UID}.dcm": b"one", f"{UID}_2.dcm": b"two", f"{UID}_3.dcm": b"three"}
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert f"{UID}_2.dcm" in caplog.messages[0]
    assert f"{UID}_3.dcm" in caplog.messages[1]


@pytest.mark.usefixtures("raw_files")
def test_the_padding_of_a_uid_is_not_part_of_the_name(tmp_path: Path) -> None:
    for uid in (UID, f"{UID}\0", f"{UID} "):
        assert storescp.store(event_of(b"one", uid), str(tmp_path)) == 0x0000
    assert os.listdir(tmp_path) == [f"{UID}.dcm"]


@pytest.mark.parametrize("uid", ["../1", "/tmp/1", "..", "", "1\n2"])
def test_a_uid_that_is_no_file_name_is_refused(tmp_path: Path, uid: str) -> None:
    directory = tmp_path / "out"
    directory.mkdir()
    assert storescp.store(event_of(b"one", uid), str(directory)) == 0x0117
    assert [path.name for path in tmp_path.rglob("*")] == ["out"]


@pytest.mark.usefixtures("raw_files")
def test_second_copies_of_a_hashed_uid(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for data, uid in ((b"one", "../1"), (b"one", "../1\0"), (b"two", "../1"), (b"two", "../1")):
        assert storescp.store(event_of(data, uid), str(tmp_path), True) == 0x0000
    stem = hashed(b"../1").removesuffix(".dcm")
    stored = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert stored == {f"{stem}.dcm": b"one", f"{stem}_2.dcm": b"two"}
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "../1" not in caplog.messages[0]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EIO])
def test_a_file_system_that_fails_is_answered_with_out_of_resources(
    tmp_path: Path, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    event = event_of(b"one", error=OSError(number, os.strerror(number)))
    assert storescp.store(event, str(tmp_path)) == 0xA700
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert os.strerror(number) in caplog.messages[0]
    assert UID in caplog.messages[0]


# -------------------------------------------------------------------------------- as a program


def send(port: int, *data_sets: Dataset) -> list[int | None]:
    """Send data sets over one association; the statuses."""
    from pynetdicom import AE

    ae = AE()
    for ds in data_sets:
        ae.add_requested_context(ds.SOPClassUID, ds.file_meta.TransferSyntaxUID)
    assoc = ae.associate("127.0.0.1", port)
    assert assoc.is_established, assoc.ended
    statuses = [assoc.send_c_store(ds).get("Status") for ds in data_sets]
    assoc.release()
    assert assoc.is_released
    return statuses


def test_several_at_a_time(run_app: Any, serve_app: Any, tmp_path: Path) -> None:
    """As many as it is to grant, to who asks for it."""
    from pynetdicom import AE

    paths = copies(MR, tmp_path / "many", 24)
    ae = AE()
    ae.add_requested_context(MR_CLASS)
    for option, granted in (((), 1), (("--window", 4), 4)):
        scp = serve_app("storescp", *option)
        with ae.associate("127.0.0.1", scp.port, window=(16, 1)) as assoc:
            assert assoc.acceptor.asynchronous_operations == (granted, 1)
            sent = [status.Status for _, status in assoc.send_c_stores(paths)]
        assert sent == [0x0000] * len(paths)
        result = run_app("storescu", "127.0.0.1", scp.port, "many", CT, "--window", "3")
        assert (result.returncode, result.stdout, result.stderr) == (0, "25 files stored\n", "")
        assert scp.files() == sorted(
            f"{uid}.dcm" for uid in (*(f"1.2.3.{n}" for n in range(24)), dcmread(CT).SOPInstanceUID)
        )
        assert "differs" not in scp.errors()


def test_stores_under_the_instance_uid(serve_app: Any) -> None:
    scp = serve_app("storescp")
    ds = dcmread(CT)
    assert send(scp.port, ds) == [0x0000]
    assert scp.files() == [f"{ds.SOPInstanceUID}.dcm"]
    stored = dcmread(scp.directory / scp.files()[0])
    assert stored == ds
    assert stored.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
    assert stored.file_meta.TransferSyntaxUID == ds.file_meta.TransferSyntaxUID


def test_a_second_copy_is_kept_beside_the_first(serve_app: Any) -> None:
    scp = serve_app("storescp")
    one, other = dcmread(MR), dcmread(MR)
    other.PatientName = "Other^Patient"
    assert send(scp.port, one, one, other, other, one) == [0x0000] * 5
    uid = one.SOPInstanceUID
    assert scp.files() == [f"{uid}.dcm", f"{uid}_2.dcm"]
    assert dcmread(scp.directory / f"{uid}.dcm") == one
    assert dcmread(scp.directory / f"{uid}_2.dcm") == other
    assert scp.errors().count(f"{uid}_2.dcm") == 1
    assert "Patient" not in scp.errors()


def test_uids_from_the_peer_never_lead_out_of_the_directory(serve_app: Any, tmp_path: Path) -> None:
    scp = serve_app("storescp", directory=tmp_path / "a")
    for uid in ("../1.2", "/tmp/1.2", "..", "1.2/3", "a.1", "1.2\\3"):
        ds = dcmread(MR)
        ds["SOPInstanceUID"]._value = uid
        assert send(scp.port, ds) == [0x0117], uid
    assert scp.files() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.stderr"]
    assert send(scp.port, dcmread(MR)) == [0x0000]


def element(group: int, number: int, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", group, number, len(value)) + value


def store_raw(port: int, *uids: bytes, patient: bytes = b"P1") -> list[int]:
    """Send an object of each UID, whatever bytes these are, over one association; the statuses."""
    statuses = []
    with Peer.connect(("127.0.0.1", port)) as peer:
        peer.associate(BOTH)
        for uid in uids:
            command = store_command()
            at = command.index(element(0, 0x1000, b"1.2.3.4"))
            command = command[:at] + element(0, 0x1000, uid)
            data = (
                element(0x0008, 0x0016, CT_CLASS.encode())
                + element(0x0008, 0x0018, uid)
                + element(0x0010, 0x0020, patient)
                + element(0x0020, 0x000D, b"1.2.1")
                + element(0x0020, 0x000E, b"1.2.2")
            )
            peer.send(p_data(pdv(3, 3, command)) + p_data(pdv(3, 2, data)))
            statuses.append(decode_command(peer.pdu()[12:])[0]["Status"])
        peer.release()
    return statuses


def test_uids_that_cannot_be_file_names_are_hashed(serve_app: Any, tmp_path: Path) -> None:
    directory = tmp_path / "a"
    scp = serve_app("storescp", "--hash-uids", "-v", directory=directory)
    expected = sorted([*map(hashed, ODD_UIDS), "1.2.3.dcm"])
    for _ in range(2):
        assert store_raw(scp.port, *ODD_UIDS, b"1.2.3") == [0x0000] * (len(ODD_UIDS) + 1)
        assert scp.files() == expected, "what comes again finds its first copy"
    for uid in ODD_UIDS:
        with read_header(str(directory / hashed(uid))) as header:
            assert header.sop_instance_uid.encode("latin-1") == uid
            assert element(0x0010, 0x0020, b"P1") in header.data_set().getvalue()
    assert store_raw(scp.port, b"../1", b"1.2.3", patient=b"P2") == [0x0000, 0x0000]
    other = hashed(b"../1").replace(".dcm", "_2.dcm")
    assert scp.files() == sorted([*expected, other, "1.2.3_2.dcm"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.stderr"]
    assert scp.errors().count("W: ") == 2
    assert scp.errors().isascii()


@pytest.mark.slow
def test_an_object_without_uid_is_refused(serve_app: Any) -> None:
    scp = serve_app("storescp", "--hash-uids")
    assert store_raw(scp.port, b"", b" ", b"\0\0", b"1.2.3") == [0x0212, 0x0212, 0x0212, 0x0000]
    assert scp.files() == ["1.2.3.dcm"]


@pytest.mark.slow
def test_nothing_is_hashed_unless_that_is_asked_for(serve_app: Any) -> None:
    scp = serve_app("storescp")
    assert store_raw(scp.port, *ODD_UIDS) == [0x0117] * len(ODD_UIDS)
    assert scp.files() == []


@pytest.mark.slow
def test_private_and_unlisted_classes_are_stored(serve_app: Any) -> None:
    scp = serve_app("storescp")
    ds = dcmread(MR)
    ds.SOPClassUID = "1.2.826.0.1.99"
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    assert send(scp.port, ds) == [0x0000]
    assert len(scp.files()) == 1


@pytest.mark.slow
def test_ignore_stores_nothing(serve_app: Any) -> None:
    scp = serve_app("storescp", "--ignore")
    assert send(scp.port, dcmread(CT), dcmread(SC_RLE)) == [0x0000, 0x0000]
    assert scp.files() == []


@pytest.mark.slow
def test_an_output_directory_is_made(serve_app: Any, tmp_path: Path) -> None:
    scp = serve_app("storescp", "-od", tmp_path / "new" / "deep")
    assert send(scp.port, dcmread(CT)) == [0x0000]
    assert len(list((tmp_path / "new" / "deep").iterdir())) == 1


@pytest.mark.slow
def test_a_directory_that_cannot_be_written(run_app: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for directory in (tmp_path / "file", "/proc"):
        result = run_app("storescp", "0", "-od", directory)
        assert result.returncode == 1
        assert f"storescp: {directory}: cannot write there: " in result.stderr
        assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_many_associations_store_the_same_instance(
    serve_app: Any, python_env: dict[str, str], tmp_path: Path
) -> None:
    """Identical copies end as one file, different ones as one each, whoever comes first."""
    scp = serve_app("storescp")
    ds = dcmread(MR)
    for number in range(3):
        ds.PatientID = f"copy {number}"
        ds.save_as(tmp_path / f"{number}.dcm")
    senders = [
        subprocess.Popen(
            [sys.executable, "-m", "pynetdicom", "storescu", "127.0.0.1", str(scp.port)]
            + [str(tmp_path / f"{(first + number) % 3}.dcm") for number in range(3)],
            env=python_env,
        )
        for first in (0, 1, 2, 0, 1, 2)
    ]
    assert [sender.wait(timeout=300) for sender in senders] == [0] * 6
    uid = ds.SOPInstanceUID
    assert scp.files() == [f"{uid}.dcm", f"{uid}_2.dcm", f"{uid}_3.dcm"]
    stored = {dcmread(path).PatientID for path in scp.directory.iterdir()}
    assert stored == {"copy 0", "copy 1", "copy 2"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB, where one may be mounted."""
    directory = tmp_path / "disk"
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(directory)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("may not mount a small file system")
    yield directory
    subprocess.run(["umount", "--lazy", str(directory)], check=True)


def large_data_set() -> Dataset:
    ds = dcmread(MR)
    ds.PixelData = bytes(3_000_000)
    ds.SOPInstanceUID = UID
    return ds


def assert_answers_out_of_resources_and_goes_on(scp: Any) -> None:
    small = dcmread(MR)
    assert send(scp.port, large_data_set(), small) == [0xA700, 0x0000]
    assert scp.files() == [f"{small.SOPInstanceUID}.dcm"]
    assert send(scp.port, large_data_set()) == [0xA700]
    assert scp.files() == [f"{small.SOPInstanceUID}.dcm"]


def test_a_full_disk(serve_app: Any, small_disk: Path) -> None:
    scp = serve_app("storescp", directory=small_disk)
    assert_answers_out_of_resources_and_goes_on(scp)
    assert scp.stop() == 0


@pytest.mark.slow
def test_a_file_that_may_not_grow(serve_app: Any) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    scp = serve_app("storescp")
    resource.prlimit(scp.process.pid, resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    assert_answers_out_of_resources_and_goes_on(scp)
