"""storescu: which files it sends, what it proposes, and what it says about what it cannot send."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pynetdicom import AE, evt
from pynetdicom.apps import options, storescu
from pynetdicom.apps.progress import Terminal
from pynetdicom.apps.storescu import File, contexts_for, find_paths, plan, read_files
from pynetdicom.association import storing
from pynetdicom.sop_class import MRImageStorage
from tests import warm
from tests.apps.conftest import (
    CT,
    CT_JPEG2000,
    LIST_IMPORTS,
    MR,
    MR_TRUNCATED,
    SC_RLE,
    TEST_FILES,
    US_JPEG,
    WITHOUT_UIDS,
    copies,
    imported,
)
from tests.association.test_spreading import Peers as Spread
from tests.association.test_spreading import aborts_at
from tests.association.test_succession import Peers
from tests.peers import DEADLINE, listening
from tests.sampled import sampled

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT, BIG, IMPLICIT = (
    options.EXPLICIT_LITTLE,
    options.EXPLICIT_BIG,
    options.IMPLICIT_LITTLE,
)
RLE = "1.2.840.10008.1.2.5"


@pytest.fixture
def terminal() -> Terminal:
    return Terminal("storescu")


def choices(requested: str | None = None, required: bool = False) -> Namespace:
    return Namespace(requested=requested, required_contexts=required)


# ------------------------------------------------------------------------------------ finding


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b", "a", "sub/d", "sub/c"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "tree"


def test_a_directory_gives_its_files(tree: Path, terminal: Terminal) -> None:
    found = find_paths([str(tree)], False, terminal)
    assert [os.path.relpath(path, tree) for path in found] == ["a", "b"]


def test_a_directory_is_searched_recursively_when_told_so(tree: Path, terminal: Terminal) -> None:
    found = find_paths([str(tree)], True, terminal)
    assert [os.path.relpath(path, tree) for path in found] == ["a", "b", "sub/c", "sub/d"]


def test_files_keep_the_order_of_the_command_line(tree: Path, terminal: Terminal) -> None:
    paths = [str(tree / "b"), str(tree / "missing"), str(tree / "a")]
    assert list(find_paths(paths, False, terminal)) == paths


def test_a_directory_without_files_is_a_problem(
    tmp_path: Path, terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(find_paths([str(tmp_path)], True, terminal)) == []
    assert terminal.problems == 1
    assert str(tmp_path) in capsys.readouterr().err


# ------------------------------------------------------------------------------------ reading


def test_files_are_told_by_what_they_hold(terminal: Terminal) -> None:
    ct, rle = read_files([str(CT), str(SC_RLE)], terminal)
    assert ct.kind == (CT_CLASS, EXPLICIT)
    assert 0 < ct.size < CT.stat().st_size
    assert rle.kind == ("1.2.840.10008.5.1.4.1.1.7", RLE)
    assert terminal.problems == 0


def test_files_that_cannot_be_sent_are_named_and_the_others_given(
    tmp_path: Path, terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not DICOM at all, but long enough to hold a preamble " * 10)
    empty = tmp_path / "empty"
    empty.touch()
    bad = [tmp_path / "missing", text, empty, WITHOUT_UIDS]
    assert [file.path for file in read_files(map(str, [*bad, CT]), terminal)] == [str(CT)]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == terminal.problems == len(bad)
    for path, line in zip(bad, lines, strict=True):
        assert line.startswith(f"storescu: {path}: ")
        assert len(line) > len(f"storescu: {path}: ")


# ----------------------------------------------------------------------------------- planning


@pytest.mark.parametrize(
    ("syntax", "args", "proposed"),
    [
        (EXPLICIT, choices(), {EXPLICIT, IMPLICIT}),
        (IMPLICIT, choices(), {EXPLICIT, IMPLICIT}),
        (BIG, choices(), {BIG, EXPLICIT, IMPLICIT}),
        (RLE, choices(), {RLE}),
        (EXPLICIT, choices(required=True), {EXPLICIT}),
        (RLE, choices(required=True), {RLE}),
        (EXPLICIT, choices(requested=IMPLICIT), {IMPLICIT}),
        (BIG, choices(requested=BIG), {BIG}),
        (RLE, choices(requested=EXPLICIT), {RLE}),
    ],
)
def test_transfer_syntaxes_proposed(syntax: str, args: Namespace, proposed: set[str]) -> None:
    contexts = contexts_for(args)((CT_CLASS, syntax))
    assert set(contexts) == {(CT_CLASS, uid) for uid in proposed}


def files_of(*kinds: tuple[str, str]) -> list[File]:
    return [File(f"file{number}", 1, kind) for number, kind in enumerate(kinds)]


def test_one_association_if_the_contexts_fit() -> None:
    files = files_of(("1.2.1", EXPLICIT), ("1.2.2", RLE), ("1.2.1", EXPLICIT))
    ((contexts, members),) = plan(files, contexts_for(choices()))
    assert contexts == [("1.2.1", EXPLICIT), ("1.2.1", IMPLICIT), ("1.2.2", RLE)]
    assert members == files


def test_no_association_without_files() -> None:
    assert list(plan([], contexts_for(choices()))) == []


@pytest.mark.parametrize("count", [64, 65, 128, 129, 300])
def test_never_more_than_128_contexts(count: int) -> None:
    files = files_of(*((f"1.2.{number}", EXPLICIT) for number in range(count))) * 2
    batches = list(plan(files, contexts_for(choices())))
    assert len(batches) == -(-count * 2 // 128)
    for contexts, members in batches:
        assert len(contexts) <= 128
        assert {file.kind for file in members} <= set(contexts)
    assert sorted(file for _, members in batches for file in members) == sorted(files)


# ------------------------------------------------------------------------------------ sending


class Result(NamedTuple):
    path: str
    status: int | None
    problem: str | None = None


class FakeAssociation:
    ended = "aborted by the peer"


class Counter:
    size = 0

    def advance(self, size: int) -> None:
        self.size += size


def send(terminal: Terminal, count: int, *results: Result) -> tuple[int, int]:
    files = files_of(*[(CT_CLASS, EXPLICIT)] * count)
    counter = Counter()
    association: Any = FakeAssociation()
    display: Any = counter
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storing, "store_files", lambda *args, **kwargs: iter(results))
        return storescu.send(association, files, terminal, display), counter.size


def test_success_is_silent(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    assert send(terminal, 1, Result("file0", 0x0000)) == (1, 1)
    assert capsys.readouterr() == ("", "")


def test_a_warning_counts_as_stored(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    assert send(terminal, 1, Result("file0", 0xB000)) == (1, 1)
    assert "file0: stored with warning 0xB000" in capsys.readouterr().err
    assert terminal.problems == 0


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC001, 0x0122, 0x9999])
def test_a_refusal_is_a_problem(
    terminal: Terminal, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    assert send(terminal, 1, Result("file0", status)) == (0, 1)
    assert f"storescu: file0: refused with 0x{status:04X}" in capsys.readouterr().err
    assert terminal.problems == 1


def test_what_was_not_sent_is_named_with_the_reason(
    terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    results = [Result("file0", 0), Result("file1", None, "truncated")]
    assert send(terminal, 4, *results) == (1, 2)
    assert capsys.readouterr().err.splitlines() == [
        "storescu: file1: truncated",
        "storescu: file2: not sent: aborted by the peer",
        "storescu: file3: not sent: aborted by the peer",
    ]
    assert terminal.problems == 3


def test_results_come_in_any_order(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    """Those without one are named as not sent."""
    results = [Result("file2", 0), Result("file0", None, "truncated")]
    assert send(terminal, 4, *results) == (1, 2)
    assert capsys.readouterr().err.splitlines() == [
        "storescu: file0: truncated",
        "storescu: file1: not sent: aborted by the peer",
        "storescu: file3: not sent: aborted by the peer",
    ]


# -------------------------------------------------------------------------- as a program


def test_files_are_stored_as_they_are(run_app: Any, serve_app: Any) -> None:
    from pynetdicom.data_sets.part10 import read_header

    scp = serve_app("storescp")
    sent = [CT, MR, CT_JPEG2000, SC_RLE, US_JPEG]
    result = run_app("storescu", "127.0.0.1", scp.port, *sent)
    assert (result.returncode, result.stderr) == (0, "")
    assert "5 files stored" in result.stdout
    assert len(scp.files()) == 5
    for path in sent:
        with read_header(str(path)) as header:
            copy = scp.directory / f"{header.sop_instance_uid}.dcm"
            with read_header(str(copy)) as stored:
                assert stored.transfer_syntax == header.transfer_syntax
                assert copy.read_bytes()[stored.offset :] == path.read_bytes()[header.offset :]


def test_each_file_and_its_status_is_named_with_v(run_app: Any, serve_app: Any) -> None:
    scp = serve_app("storescp", "--ignore")
    ran = run_app("storescu", "127.0.0.1", scp.port, CT, MR, "-v")
    assert (ran.returncode, ran.stdout) == (0, "2 files stored\n")
    for path in (CT, MR):
        (line,) = (line for line in ran.stderr.splitlines() if str(path) in line)
        assert line.endswith(f"{path}: stored with 0x0000")


def test_images_are_sent_and_stored_without_pydicom(run_app: Any, serve_app: Any) -> None:
    """Importing pydicom takes as long as sending a hundred images."""
    scp = serve_app("storescp", env=LIST_IMPORTS)
    result = run_app("storescu", "127.0.0.1", scp.port, CT, CT_JPEG2000, env=LIST_IMPORTS)
    assert result.returncode == 0
    assert scp.stop() == 0
    for errors in (result.stderr, scp.errors()):
        assert "pynetdicom.dimse.messages" in imported(errors)
        assert not imported(errors) & {"pydicom", "numpy.version"}


def test_what_cannot_be_sent_does_not_keep_the_others(
    run_app: Any, serve_app: Any, tmp_path: Path
) -> None:
    scp = serve_app("storescp")
    text = tmp_path / "notes.txt"
    text.write_text("no DICOM " * 50)
    bad = [tmp_path / "missing.dcm", text, WITHOUT_UIDS, MR_TRUNCATED]
    result = run_app("storescu", "127.0.0.1", scp.port, *bad, CT, SC_RLE)
    assert result.returncode == 1
    for path in bad:
        assert f"storescu: {path}: " in result.stderr
    assert result.stderr.count("\n") <= len(bad) + 1
    assert len(scp.files()) == 2


def test_a_directory_is_sent(run_app: Any, serve_app: Any, tmp_path: Path) -> None:
    scp = serve_app("storescp")
    deep = tmp_path / "images" / "deep"
    deep.mkdir(parents=True)
    shutil.copy(CT, deep)
    shutil.copy(MR, deep.parent)
    assert run_app("storescu", "127.0.0.1", scp.port, "images").returncode == 0
    assert len(scp.files()) == 1
    assert run_app("storescu", "127.0.0.1", scp.port, "-r", "images").returncode == 0
    assert len(scp.files()) == 2


@pytest.mark.slow
def test_a_context_that_is_not_accepted(run_app: Any, serve_app: Any) -> None:
    scp = serve_app("storescp", "-xi")
    result = run_app("storescu", "127.0.0.1", scp.port, "-cx", CT_JPEG2000, CT)
    assert result.returncode == 1
    assert f"storescu: {CT_JPEG2000}: " in result.stderr
    assert f"storescu: {CT}: no accepted presentation context for CTImageStorage (" in result.stderr
    assert scp.files() == []
    result = run_app("storescu", "127.0.0.1", scp.port, CT_JPEG2000, CT)
    assert result.returncode == 1
    assert f"storescu: {CT_JPEG2000}: " in result.stderr
    assert f"storescu: {CT}: " not in result.stderr
    assert len(scp.files()) == 1


@sampled(
    ("flag", "name", "uid"),
    [
        ("-xe", "MR_small_implicit.dcm", EXPLICIT),
        ("-xi", "MR_small.dcm", IMPLICIT),
        ("-xb", "MR_small_bigendian.dcm", BIG),
        ("-xe", "image_dfl.dcm", EXPLICIT),
    ],
)
def test_an_uncompressed_file_is_sent_in_the_requested_syntax(
    run_app: Any, serve_app: Any, flag: str, name: str, uid: str
) -> None:
    from pydicom import dcmread

    scp = serve_app("storescp")
    result = run_app("storescu", "127.0.0.1", scp.port, flag, TEST_FILES / name)
    assert (result.returncode, result.stderr) == (0, "")
    (stored,) = (dcmread(path) for path in scp.directory.iterdir())
    assert stored.file_meta.TransferSyntaxUID == uid
    assert stored == dcmread(TEST_FILES / name)


@pytest.mark.slow
def test_pixels_are_turned_round(run_app: Any, serve_app: Any) -> None:
    """Word by word, as all values are."""
    from pydicom import dcmread

    scp = serve_app("storescp")
    result = run_app("storescu", "127.0.0.1", scp.port, "-xb", MR)
    assert (result.returncode, result.stderr) == (0, "")
    (stored,) = (dcmread(path) for path in scp.directory.iterdir())
    assert stored.file_meta.TransferSyntaxUID == BIG
    assert (stored.pixel_array == dcmread(MR).pixel_array).all()


def test_a_bad_file_costs_none_of_the_others(run_app: Any, tmp_path: Path) -> None:
    """The peer aborts at it, and another association is made for those after it."""
    paths = copies(MR, tmp_path / "many", 4)
    peers = Peers("1.2.3.1")
    with listening(peers) as listener:
        result = run_app("storescu", "127.0.0.1", listener.port, *paths)
    assert result.returncode == 1
    assert result.stdout == "3 files stored\n"
    problems = [line for line in result.stderr.splitlines() if line.startswith("storescu: ")]
    assert problems[0] == f"storescu: {paths[1]}: no answer: aborted by the peer"
    assert peers.stored == ["1.2.3.0", "1.2.3.2", "1.2.3.3"]
    assert len(peers.seen) == 2


@pytest.mark.slow
def test_a_peer_that_is_gone_for_good(run_app: Any, tmp_path: Path) -> None:
    """Each file is accounted for."""
    from pydicom import dcmread

    peers = Peers(str(dcmread(MR).SOPInstanceUID), limit=1)
    with listening(peers) as listener:
        result = run_app("storescu", "127.0.0.1", listener.port, MR, MR, MR)
    assert result.returncode == 1
    assert result.stderr.count("no answer: aborted by the peer") == 1
    assert result.stderr.count("not sent: aborted by the peer, and no other association") == 2
    assert "3 of 3 files were not stored" in result.stderr
    assert len(peers.seen) == 2


@pytest.mark.slow
def test_a_refused_connection_is_one_line(run_app: Any, free_port: int) -> None:
    result = run_app("storescu", "127.0.0.1", free_port, CT, MR)
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert f"ANY-SCP at 127.0.0.1:{free_port}" in lines[0]
    assert "refused" in lines[0].lower()
    assert "2 of 2 files were not stored" in lines[1]


@pytest.mark.slow
def test_no_file_to_send_makes_no_association(run_app: Any, free_port: int, tmp_path: Path) -> None:
    result = run_app("storescu", "127.0.0.1", free_port, tmp_path / "missing")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "127.0.0.1" not in result.stderr


@pytest.mark.slow
def test_quiet_prints_nothing(run_app: Any, free_port: int) -> None:
    result = run_app("storescu", "127.0.0.1", free_port, "-q", CT)
    assert (result.returncode, result.stdout, result.stderr) == (1, "", "")


@pytest.mark.slow
def test_more_contexts_than_one_association_holds(
    run_app: Any, serve_app: Any, tmp_path: Path
) -> None:
    from pydicom import dcmread

    ds = dcmread(MR)
    del ds.PixelData
    directory = tmp_path / "many"
    directory.mkdir()
    for number in range(130):
        ds.SOPClassUID = f"1.2.826.0.1.99.{number}"
        ds.SOPInstanceUID = f"1.2.826.0.1.98.{number}"
        ds.save_as(directory / f"{number}.dcm")
    scp = serve_app("storescp")
    result = run_app("storescu", "127.0.0.1", scp.port, "-cx", directory)
    assert (result.returncode, result.stderr) == (0, "")
    assert len(scp.files()) == 130


def test_several_associations(run_app: Any, serve_app: Any, tmp_path: Path) -> None:
    copies(MR, tmp_path / "many", 30)
    scp = serve_app("storescp")
    result = run_app("storescu", "127.0.0.1", scp.port, "many", CT, CT, "--associations", "4")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "32 files stored\n"
    assert len(scp.files()) == 31


def test_several_associations_of_which_one_dies(run_app: Any, tmp_path: Path) -> None:
    """The peer grants two, aborts one at its second file, and grants none in its place."""
    paths = copies(MR, tmp_path / "many", 20)
    peers = Spread(aborts_at(2), limit=2)
    with listening(peers) as listener:
        result = run_app("storescu", "127.0.0.1", listener.port, *paths, "--associations=4")
    assert result.returncode == 1
    assert result.stdout == "19 files stored\n"
    (problem,) = (line for line in result.stderr.splitlines() if "no answer" in line)
    assert problem.endswith(": no answer: aborted by the peer")
    assert peers.all_seen == sorted(f"1.2.3.{number}" for number in range(20))


class Window:
    """An SCP that answers when so many requests are outstanding, or nothing more can come."""

    def __init__(self, size: int, store: Callable[[Any], int] | None = None) -> None:
        self.offered: list[tuple[int, int]] = []
        self.seen: list[str] = []
        self._store = store
        self._all = threading.Barrier(size)
        self._ae = AE()
        self._ae.window = (1, size)
        self._ae.add_supported_context(MRImageStorage)

    @contextlib.contextmanager
    def listening(self) -> Iterator[int]:
        handlers = [(evt.EVT_C_STORE, self.store), (evt.EVT_REQUESTED, self.requested)]
        server = self._ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        try:
            yield server.server_address[1]
        finally:
            self._ae.shutdown()

    def requested(self, event: Any) -> None:
        self.offered.append(event.assoc.requestor.asynchronous_operations)

    def store(self, event: Any) -> int:
        self.seen.append(event.request.AffectedSOPInstanceUID)
        if len(self.offered) == 1:
            self._all.wait(DEADLINE)
        return 0x0000 if self._store is None else self._store(event)


def test_several_at_a_time_on_one_association(run_app: Any, tmp_path: Path) -> None:
    """As many as the peer grants; it answers none before it has that many."""
    copies(MR, tmp_path / "many", 12)
    scp = Window(3)
    with scp.listening() as port:
        result = run_app("storescu", "127.0.0.1", port, "many", "--window", "8")
    assert (result.returncode, result.stdout, result.stderr) == (0, "12 files stored\n", "")
    assert scp.offered == [(8, 1)]
    assert sorted(scp.seen) == sorted(f"1.2.3.{number}" for number in range(12))


def test_no_window_is_offered_unless_asked_for(run_app: Any, tmp_path: Path) -> None:
    """There are products that drop the connection when they are offered one."""
    copies(MR, tmp_path / "many", 2)
    scp = Window(1)
    with scp.listening() as port:
        assert run_app("storescu", "127.0.0.1", port, "many").stdout == "2 files stored\n"
    assert scp.offered == [(1, 1)]


def test_an_abort_costs_all_that_was_on_its_way(run_app: Any, tmp_path: Path) -> None:
    """Each of these is named, and sent no second time; the others are sent all the same."""
    copies(MR, tmp_path / "many", 9)

    def abort(event: Any) -> int:
        if len(scp.offered) == 1:
            event.assoc.abort()
        return 0x0000

    scp = Window(3, abort)
    with scp.listening() as port:
        result = run_app("storescu", "127.0.0.1", port, "many", "--window", "3")
    assert (result.returncode, result.stdout) == (1, "6 files stored\n")
    lost = [line for line in result.stderr.splitlines() if ": no answer: " in line]
    assert sorted(Path(line.split(":")[1].strip()).name for line in lost) == [
        "0.dcm", "1.dcm", "2.dcm"
    ]  # fmt: skip
    assert "3 of 9 files were not stored" in result.stderr
    assert sorted(scp.seen) == sorted(f"1.2.3.{number}" for number in range(9))


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT")
def test_ctrl_c_over_several_associations(python_env: dict[str, str], tmp_path: Path) -> None:
    """While no answer comes on any."""
    copies(MR, tmp_path / "many", 8)
    go_on = threading.Event()

    def store(peer: Any, seen: int) -> None:
        assert go_on.wait(DEADLINE)

    peers = Spread(store, store, store)
    with listening(peers) as listener:
        command = [sys.executable, "-m", "pynetdicom", "storescu", "127.0.0.1", str(listener.port)]
        process = warm.Popen(
            [*command, "many", "--associations", "3", "--dimse-timeout", "3600"],
            cwd=tmp_path, env=python_env, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert peers.wait(lambda: len(peers.all_seen) == 3)
        errors = None
        while errors is None:  # one that comes just before it waits is not seen while it does
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                _, errors = process.communicate(timeout=20)
        go_on.set()
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert len(peers.all_seen) == 3
