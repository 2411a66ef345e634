"""pynetdicom.data_sets.provisional: files that nobody sees before they are complete."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pynetdicom.data_sets import provisional
from pynetdicom.data_sets.provisional import (
    ProvisionalFile,
    copy_file,
    remove_parts,
    this_host,
    write_all,
)

needs_unnamed = pytest.mark.skipif(not provisional._has_unnamed_files(), reason="no O_TMPFILE here")


def test_write_all_after_any_partial_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffers: list[bytes | memoryview] = [b"abc", b"", memoryview(b"defg"), b"h"]
    for count in range(9):
        monkeypatch.setattr(
            os, "writev", lambda fd, bs, n=count: os.write(fd, b"".join(map(bytes, bs))[:n])
        )
        with open(tmp_path / "file", "wb", buffering=0) as file:
            write_all(file.fileno(), buffers)
        assert (tmp_path / "file").read_bytes() == b"abcdefgh"


@pytest.fixture(scope="module")
def gone() -> int:
    """The ID of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_remove_parts(tmp_path: Path, gone: int) -> None:
    here, there = this_host(), "0" * 12
    stale = [
        tmp_path / f".pynetdicom-{here}-{gone}-abc.part",
        tmp_path / f".pynetdicom-{gone}-old.part",
        tmp_path / f".pynetdicom-{here}-{1 << 80}-abc.part",  # no process can have that number
    ]
    keep = [
        tmp_path / f".pynetdicom-{here}-{os.getpid()}-abc.part",
        tmp_path / f".pynetdicom-{here}-{os.getppid()}-abc.part",
        tmp_path / f".pynetdicom-{there}-{gone}-abc.part",
        tmp_path / f".pynetdicom-{gone}-abc.part",
        tmp_path / f".pynetdicom-{os.getppid()}-old.part",
        tmp_path / ".pynetdicom-x-abc.part",
        tmp_path / f".pynetdicom-{here}-²-abc.part",  # a digit, and no number
        tmp_path / ".pynetdicom-.part",
        tmp_path / "1.2.3.dcm",
        tmp_path / "other.part",
    ]
    for path in (*stale, *keep):
        path.touch()
        if "-old." in path.name or "0000" in path.name:
            os.utime(path, (0, 0))
    assert remove_parts(str(tmp_path)) == len(stale)
    assert sorted(tmp_path.iterdir()) == sorted(keep)


def test_another_host_does_not_remove_what_is_being_received(
    tmp_path: Path, gone: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = ProvisionalFile(str(tmp_path))
    name = part.name_it()
    monkeypatch.setattr(provisional, "is_alive", lambda pid: False)  # it sees no such process
    monkeypatch.setattr(provisional, "this_host", lambda: "another")
    assert remove_parts(str(tmp_path)) == 0
    assert os.listdir(tmp_path) == [os.path.basename(name)]
    monkeypatch.undo()
    monkeypatch.setattr(provisional, "is_alive", lambda pid: False)
    assert remove_parts(str(tmp_path)) == 1
    part.close()


@pytest.mark.skipif(not os.path.exists("/proc/self/ns/pid"), reason="no namespaces here")
def test_what_tells_hosts_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {this_host()}
    for module, name, value in (
        ("socket", "gethostname", "elsewhere"),
        ("os", "readlink", "pid:[1]"),
    ):
        this_host.cache_clear()
        with monkeypatch.context() as context:
            context.setattr(f"{module}.{name}", lambda *_, value=value: value)
            seen.add(this_host())
    this_host.cache_clear()
    assert len(seen) == 3
    assert this_host() in seen
    assert re.fullmatch("[0-9a-f]{12}", this_host())


def test_nothing_is_left_of_what_is_not_published(tmp_path: Path) -> None:
    part = ProvisionalFile(str(tmp_path))
    write_all(part.fd, [b"abc"])
    name = part.name_it()
    assert Path(name).read_bytes() == b"abc"
    assert part.name_it() == name
    part.close()
    assert list(tmp_path.iterdir()) == []
    part.close()


def test_copy_without_the_kernels_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 10000)

    def refuse(*args: object) -> int:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    for replacement in (refuse, lambda *args: 0):
        monkeypatch.setattr(os, "copy_file_range", replacement, raising=False)
        with open(source, "rb") as read, open(tmp_path / "copy", "wb") as write:
            copy_file(read.fileno(), write.fileno(), 2_000_000)
        assert (tmp_path / "copy").read_bytes() == source.read_bytes()[:2_000_000]
    with (
        open(source, "rb") as read,
        open(tmp_path / "copy", "wb") as write,
        pytest.raises(OSError, match="shorter"),
    ):
        copy_file(read.fileno(), write.fileno(), 3_000_000)
