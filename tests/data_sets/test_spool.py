"""pynetdicom.data_sets.spool: where received data sets go."""

from __future__ import annotations

import errno
import gc
import logging
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from pynetdicom.data_sets import provisional
from pynetdicom.data_sets import spool as module
from pynetdicom.data_sets.data_set import encode_dataset
from pynetdicom.data_sets.part10 import header_builder
from pynetdicom.data_sets.provisional import IOV_MAX, PART_PREFIX
from pynetdicom.data_sets.spool import Place, ReceivedDataSet, Spool, received
from pynetdicom.errors import DataSetDecodeError

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
HEADER = header_builder(EXPLICIT, implementation_class_uid="2.25.1")(CT, "1.2.3")
SHM = Path("/dev/shm")


def encoded(pixels: int = 100_000) -> bytes:
    ds = Dataset()
    ds.SOPClassUID = CT
    ds.SOPInstanceUID = "1.2.3"
    ds.add_new("PixelData", "OW", bytes(range(250)) * (pixels // 250))
    return encode_dataset(ds, EXPLICIT).getvalue()


DATA = encoded()


@pytest.fixture(params=["unnamed", "part"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "part":
        monkeypatch.setattr(provisional, "_has_unnamed_files", lambda: False)
    elif not provisional._has_unnamed_files():
        pytest.skip("no O_TMPFILE")
    return str(request.param)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "spool"
    path.mkdir()
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(path))
    yield path
    gc.collect()
    assert list(path.iterdir()) == []


def receive(
    directory: Path | None, data: bytes = DATA, *, threshold: int = 65536, step: int = 16376
) -> ReceivedDataSet:
    place = Place(EXPLICIT, str(directory) if directory else None, threshold)
    spool = Spool(place, HEADER)
    buffer = bytearray(step)
    for start in range(0, len(data), step):
        piece = data[start : start + step]
        buffer[: len(piece)] = piece
        spool.add(memoryview(buffer)[: len(piece)])
        spool.flush()
        assert spool.size == start + len(piece)
    return spool.finish()


@pytest.mark.parametrize("threshold", [0, 10, 65536, 1 << 20])
@pytest.mark.parametrize("size", [0, 1, 65536, 65537, len(DATA)])
def test_what_is_received(kind: str, directory: Path, threshold: int, size: int) -> None:
    data = DATA[:size]
    received = receive(directory, data, threshold=threshold)
    assert (received.memory is None) == (size > threshold)
    assert received.size == size
    assert received.error is None
    assert received.header == HEADER
    assert received.getvalue() == data
    assert b"".join(map(bytes, received.parts())) == data
    assert received.file_bytes() == HEADER + data
    assert received.open().read() == data
    received.close()


def test_nothing_is_visible_meanwhile(directory: Path) -> None:
    received = receive(directory, threshold=0)
    assert list(directory.iterdir()) == []
    received.close()


def test_many_slices_of_one_read(kind: str, directory: Path) -> None:
    spool = Spool(Place(EXPLICIT, directory=str(directory), threshold=0), HEADER)
    view = memoryview(DATA)
    for start in range(0, len(DATA), 20):
        spool.add(view[start : start + 20])
    assert len(DATA) // 20 > 4 * IOV_MAX
    received = spool.finish()
    assert received.getvalue() == DATA
    received.close()


def test_partial_writes(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "writev", lambda fd, buffers: os.write(fd, bytes(buffers[0])[:7]))
    received = receive(directory, DATA[:70_000], step=5000)
    assert received.getvalue() == DATA[:70_000]
    received.close()


def full_disk(fd: int, buffers: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_full_disk(kind: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(Place(EXPLICIT, directory=str(directory), threshold=0), HEADER)
    spool.add(memoryview(b"abcd"))
    spool.flush()
    monkeypatch.setattr(os, "writev", full_disk)
    spool.add(memoryview(b"abcd"))
    spool.flush()
    assert spool.error is not None
    monkeypatch.undo()
    spool.add(memoryview(b"abcd"))
    received = spool.finish()
    assert received.size == 12
    assert received.error is spool.error
    for use in (received.getvalue, received.decode, received.file_bytes, lambda: received.path):
        with pytest.raises(OSError, match="No space"):
            use()
    with pytest.raises(OSError, match="No space"):
        received.save_as(directory / "x")
    received.close()


def test_no_directory(tmp_path: Path) -> None:
    received = receive(tmp_path / "nothing", threshold=0)
    assert received.error is not None
    assert received.error.errno == errno.ENOENT


def test_maximum(directory: Path) -> None:
    spool = Spool(Place(EXPLICIT, directory=str(directory), threshold=10, maximum=25), HEADER)
    for _ in range(3):
        spool.add(memoryview(b"0123456789"))
        spool.flush()
    received = spool.finish()
    assert received.error is not None
    assert "longer than 25" in str(received.error)
    assert received.size == 30


def test_discard(kind: str, directory: Path) -> None:
    spool = Spool(Place(EXPLICIT, directory=str(directory), threshold=0), HEADER)
    spool.add(memoryview(b"abcd"))
    spool.flush()
    spool.add(memoryview(b"abcd"))
    spool.discard()
    assert list(directory.iterdir()) == []
    with pytest.raises(OSError, match="dropped"):
        spool.finish().getvalue()


@pytest.mark.parametrize("threshold", [0, 1 << 20])
@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("sync", [True, False])
def test_save_as(
    kind: str, directory: Path, tmp_path: Path, threshold: int, overwrite: bool, sync: bool
) -> None:
    received = receive(directory, threshold=threshold)
    target = tmp_path / "saved.dcm"
    received.save_as(target, overwrite=overwrite, sync=sync)
    assert target.read_bytes() == HEADER + DATA
    assert received.getvalue() == DATA
    assert pydicom.dcmread(target).file_meta.MediaStorageSOPInstanceUID == "1.2.3"
    assert target.stat().st_nlink == 1
    received.close()
    assert target.read_bytes() == HEADER + DATA
    assert sorted(tmp_path.iterdir()) == sorted((target, directory))


@pytest.mark.parametrize("threshold", [0, 1 << 20])
def test_a_synced_file_is_on_the_disk_before_its_name_and_then_its_name(
    kind: str, directory: Path, tmp_path: Path, threshold: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "saved.dcm"
    synced: list[tuple[bool, bool]] = []
    fsync = os.fsync

    def note(fd: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(fd).st_mode), target.exists()))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", note)
    received = receive(directory, threshold=threshold)
    received.save_as(target, sync=True)
    received.close()
    assert synced == [(False, False), (True, True)]


@pytest.mark.parametrize("threshold", [0, 1 << 20])
def test_save_as_where_a_file_is(
    kind: str, directory: Path, tmp_path: Path, threshold: int
) -> None:
    received = receive(directory, threshold=threshold)
    target = tmp_path / "saved.dcm"
    target.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        received.save_as(target, overwrite=False)
    assert target.read_bytes() == b"old"
    with open(target, "rb") as reader:
        received.save_as(str(target))
        assert reader.read() == b"old"
    assert target.read_bytes() == HEADER + DATA
    assert sorted(tmp_path.iterdir()) == sorted((target, directory))
    with pytest.raises(IsADirectoryError):
        received.save_as(directory)
    with pytest.raises(FileNotFoundError):
        received.save_as(tmp_path / "nothing" / "file")
    assert sorted(tmp_path.iterdir()) == sorted((target, directory))
    received.close()


@pytest.mark.parametrize("threshold", [0, 1 << 20])
def test_save_as_again_gives_copies(
    kind: str, directory: Path, tmp_path: Path, threshold: int
) -> None:
    received = receive(directory, threshold=threshold)
    targets = [tmp_path / name for name in ("one", "two", "three")]
    for target in (*targets, targets[0]):
        received.save_as(target)
    assert len({target.stat().st_ino for target in targets}) == 3
    targets[1].write_bytes(b"changed")
    assert targets[2].read_bytes() == HEADER + DATA
    received.close()


def test_saving_is_no_copy(kind: str, directory: Path, tmp_path: Path) -> None:
    received = receive(directory, threshold=0)
    part = received._part
    assert part is not None
    inode = os.fstat(part.fd).st_ino
    received.save_as(tmp_path / "saved")
    assert (tmp_path / "saved").stat().st_ino == inode
    received.close()


@pytest.mark.skipif(
    not SHM.is_dir() or SHM.stat().st_dev == Path("/tmp").stat().st_dev, reason="one file system"
)
def test_save_as_on_another_file_system(kind: str, tmp_path: Path) -> None:
    received = receive(SHM, threshold=0)
    target = tmp_path / "saved"
    received.save_as(target, overwrite=False)
    assert target.read_bytes() == HEADER + DATA
    received.save_as(target, sync=True)
    assert target.read_bytes() == HEADER + DATA
    assert received.getvalue() == DATA
    received.close()
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]
    assert not list(SHM.glob(PART_PREFIX + "*"))


def test_in_the_working_directory(
    kind: str, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for threshold in (0, 1 << 20):
        received = receive(directory, threshold=threshold)
        received.save_as("saved", sync=True)
        assert (tmp_path / "saved").read_bytes() == HEADER + DATA
        received.close()


@pytest.mark.parametrize("threshold", [0, 1 << 20])
@pytest.mark.parametrize("use_path", [True, False])
def test_permissions(
    kind: str, directory: Path, tmp_path: Path, threshold: int, use_path: bool
) -> None:
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    received = receive(directory, threshold=threshold)
    if use_path:
        assert stat.S_IMODE(os.stat(received.path).st_mode) == 0o600
    received.save_as(tmp_path / "saved")
    assert (tmp_path / "saved").stat().st_mode == ordinary.stat().st_mode
    received.close()


@pytest.mark.parametrize("threshold", [0, 1 << 20])
def test_path(kind: str, directory: Path, tmp_path: Path, threshold: int) -> None:
    received = receive(directory, threshold=threshold)
    path = received.path
    assert received.path == path
    assert Path(path).read_bytes() == HEADER + DATA
    # Other programs can read it, too.
    script = f"import sys; sys.exit(open({path!r}, 'rb').read(132)[128:] != b'DICM')"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
    received.save_as(tmp_path / "saved")
    assert received.path == path
    assert Path(path).read_bytes() == HEADER + DATA
    received.close()
    assert not os.path.exists(path)
    assert (tmp_path / "saved").read_bytes() == HEADER + DATA


def test_path_after_saving(kind: str, directory: Path, tmp_path: Path) -> None:
    received = receive(directory, threshold=0)
    received.save_as(tmp_path / "saved")
    mode = (tmp_path / "saved").stat().st_mode
    path = received.path
    # What was saved is the same file under another name: whoever may read it still may.
    assert (tmp_path / "saved").stat().st_mode == mode
    assert path != str(tmp_path / "saved")
    assert Path(path).read_bytes() == HEADER + DATA
    received.close()
    assert not os.path.exists(path)


def test_path_taken_away_by_the_handler(kind: str, directory: Path, tmp_path: Path) -> None:
    received = receive(directory, threshold=0)
    os.rename(received.path, tmp_path / "mine")
    received.close()
    assert (tmp_path / "mine").read_bytes() == HEADER + DATA


def test_closed(directory: Path) -> None:
    for threshold in (0, 1 << 20):
        received = receive(directory, threshold=threshold)
        received.close()
        received.close()
        with pytest.raises(ValueError, match="closed"):
            received.getvalue()
        with pytest.raises(ValueError, match="closed"):
            received.save_as(directory / "x")


def test_decoded_data_set_outlives_everything(kind: str, directory: Path, tmp_path: Path) -> None:
    received = receive(directory, threshold=0)
    ds = received.decode()
    received.save_as(tmp_path / "saved")
    received.close()
    (tmp_path / "saved").unlink()
    assert ds.PixelData == bytes(range(250)) * 400


def test_undecodable(directory: Path) -> None:
    for threshold in (0, 1 << 20):
        received = receive(directory, DATA[:-1], threshold=threshold)
        with pytest.raises(DataSetDecodeError):
            received.decode()
        received.close()


def test_descriptors_go_with_their_owner(kind: str, directory: Path) -> None:
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    received = [receive(directory, threshold=0) for _ in range(10)]
    assert len(os.listdir("/proc/self/fd")) == before + 10
    del received
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_reader_never_sees_a_torn_file(kind: str, directory: Path, tmp_path: Path) -> None:
    target = tmp_path / "saved"
    sizes = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            try:
                sizes.add(len(target.read_bytes()))
            except FileNotFoundError:
                sizes.add(-1)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        for number in range(200):
            received = receive(directory, threshold=(number % 2) << 20)
            received.save_as(target)
            received.close()
    finally:
        done.set()
        thread.join()
    assert sizes <= {-1, len(HEADER) + len(DATA)}


def test_file_system_without_links(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provisional, "_has_unnamed_files", lambda: False)

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    for threshold in (0, 1 << 20):
        received = receive(directory, threshold=threshold)
        target = tmp_path / f"saved{threshold}"
        received.save_as(target, overwrite=False)
        assert target.read_bytes() == HEADER + DATA
        with pytest.raises(FileExistsError):
            received.save_as(target, overwrite=False)
        received.save_as(target)
        received.close()


def test_file_system_without_unnamed_files(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not hasattr(os, "O_TMPFILE"):
        pytest.skip("no O_TMPFILE")
    real = os.open

    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    received = receive(directory, threshold=0)
    assert len(list(directory.iterdir())) == 1
    received.save_as(tmp_path / "saved")
    assert list(directory.iterdir()) == []
    received.close()
    assert (tmp_path / "saved").read_bytes() == HEADER + DATA


@pytest.mark.skipif(not SHM.is_dir(), reason="no /dev/shm")
def test_memory_backed_directory_is_worth_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(SHM))
    monkeypatch.setattr(module, "MEMORY_BACKED_WARNING", 70_000)
    module._warn_if_memory_backed.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            receive(None).close()
    assert caplog.text.count("in memory") == 1
    caplog.clear()
    receive(SHM).close()
    assert not caplog.text


@pytest.mark.parametrize(("size", "fails"), [(10, False), (20, False), (25, False), (26, True)])
def test_one_that_came_in_one_piece(directory: Path, size: int, fails: bool) -> None:
    place = Place(EXPLICIT, directory=str(directory), threshold=10, maximum=25)
    data_set = received(place, HEADER, memoryview(bytes(size)))
    assert (data_set.error is not None) == fails
    if not fails:
        assert data_set.file_bytes() == HEADER + bytes(size)
    data_set.close()
