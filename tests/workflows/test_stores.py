"""pynetdicom.workflows.stores: all or nothing, one at a time, and what is kept is kept."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pynetdicom.workflows.stores import MemoryStore, SQLiteStore, Store
from tests.peers import DEADLINE, Call


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store = MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "store")
    yield made
    made.close()


def test_records(store: Store) -> None:
    with store.begin() as records:
        assert records.get("a", "1") is None
        records.put("a", "2", b"two")
        records.put("a", "1", b"one")
        records.put("b", "1", b"other")
        assert records.get("a", "1") == b"one"
    with store.begin() as records:
        records.put("a", "1", b"uno")
        records.delete("b", "1")
        records.delete("b", "none")
    with store.begin() as records:
        assert records.items("a") == [("1", b"uno"), ("2", b"two")]
        assert records.items("b") == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_undoes_what_was_written(store: Store, error: type[BaseException]) -> None:
    with store.begin() as records:
        records.put("a", "1", b"one")
    with pytest.raises(error), store.begin() as records:  # noqa: PT012  # it comes last
        records.put("a", "1", b"uno")
        records.put("a", "2", b"two")
        records.delete("a", "1")
        raise error
    with store.begin() as records:
        assert records.items("a") == [("1", b"one")]


def test_one_at_a_time(store: Store) -> None:
    def count() -> None:
        for _ in range(50):
            with store.begin() as records:
                number = int(records.get("a", "count") or b"0")
                records.put("a", "count", b"%d" % (number + 1))

    for call in [Call(count) for _ in range(4)]:
        call.result(DEADLINE)
    with store.begin() as records:
        assert records.get("a", "count") == b"200"


def test_many_open_a_new_file_at_once(tmp_path: Path) -> None:
    for number in range(20):
        path = tmp_path / str(number)
        for call in [Call(SQLiteStore, path) for _ in range(8)]:
            call.result(DEADLINE).close()


COUNT = """
import sys
from pynetdicom.workflows.stores import SQLiteStore
store = SQLiteStore(sys.argv[1])
for _ in range(50):
    with store.begin() as records:
        number = int(records.get("a", "count") or b"0")
        records.put("a", "count", b"%d" % (number + 1))
    print(number + 1, flush=True)
"""


def test_processes_share_a_file(tmp_path: Path, python_env: dict[str, str]) -> None:
    path = str(tmp_path / "store")
    command = [sys.executable, "-c", COUNT, path]
    running = [
        subprocess.Popen(command, env=python_env, stdout=subprocess.DEVNULL) for _ in range(2)
    ]
    assert [process.wait(DEADLINE) for process in running] == [0, 0]
    store = SQLiteStore(path)
    with store.begin() as records:
        assert records.get("a", "count") == b"100"
    store.close()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL")
def test_what_was_kept_outlives_a_kill(tmp_path: Path, python_env: dict[str, str]) -> None:
    path = str(tmp_path / "store")
    process = subprocess.Popen(
        [sys.executable, "-c", COUNT, path], env=python_env, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for _ in range(10):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    said = process.communicate(timeout=DEADLINE)[0].split()
    store = SQLiteStore(path)
    with store.begin() as records:
        assert int(records.get("a", "count") or 0) in range(10 + len(said), 51)
    store.close()


@pytest.mark.parametrize("what", ["text", "database", "directory"])
def test_a_file_that_is_something_else(what: str, tmp_path: Path) -> None:
    path = tmp_path / "other"
    if what == "text":
        path.write_bytes(b"this is no database at all" * 100)
    elif what == "database":
        other: Any = sqlite3.connect(path)
        other.execute("CREATE TABLE theirs (x)")
        other.close()
    else:
        path.mkdir()
    before = path.read_bytes() if what != "directory" else b""
    with pytest.raises(ValueError, match="other is no store of workflows"):
        SQLiteStore(path)
    assert what == "directory" or path.read_bytes() == before


def test_a_file_that_cannot_be_used_any_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as one on a disk that is full: the log says which, and why."""
    path = tmp_path / "damaged"
    store = SQLiteStore(path)
    with store.begin() as records:
        for number in range(1000):
            records.put("kind", str(number), b"x" * 100)
    store.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"x" * (len(content) - 4096)
    path.write_bytes(content)
    again = SQLiteStore(path)
    with pytest.raises(sqlite3.DatabaseError), again.begin() as records:
        records.items("kind")
    again.close()
    assert f"{path}: database disk image is malformed" in caplog.text
