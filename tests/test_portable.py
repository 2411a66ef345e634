"""What the library asks of a system: see `windows`, under which this is run once more."""

from __future__ import annotations

import ast
import gc
import os
import select
import selectors
import socket
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

import pynetdicom
from pynetdicom import AE, evt
from pynetdicom.data_sets import descriptor
from pynetdicom.data_sets.provisional import ProvisionalFile
from pynetdicom.network import addresses, lobby
from pynetdicom.network.runtime import THREADS
from pynetdicom.network.waking import Waker, wait_for
from tests import windows
from tests.faults.peer import Peer, until
from tests.pair import VERIFICATION, Pair, ended, serve
from tests.peers import ct

PACKAGE = Path(pynetdicom.__file__).parent
NOT_EVERYWHERE = {"fcntl", "resource", "pwd", "grp", "termios", "pty", "tty", "syslog", "posix"}


def test_no_module_that_only_some_systems_have() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert NOT_EVERYWHERE.isdisjoint(alias.name for alias in node.names), path
            elif isinstance(node, ast.ImportFrom):
                assert node.module not in NOT_EVERYWHERE, path


@pytest.mark.parametrize("is_socket", [True, False])
def test_a_waker_takes_any_number(monkeypatch: pytest.MonkeyPatch, is_socket: bool) -> None:
    if is_socket:
        monkeypatch.delattr(os, "eventfd", raising=False)
    waker = Waker()
    if not hasattr(os, "eventfd"):
        assert stat.S_ISSOCK(os.fstat(waker.fileno()).st_mode)
    for _ in range(100_000):
        waker.set()
    assert select.select([waker.fileno()], [], [], 0)[0]
    while select.select([waker.fileno()], [], [], 0)[0]:
        waker.clear()
    waker.close()
    waker.set()
    assert waker.fileno() == -1


def test_who_sets_a_waker_that_is_being_closed_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its descriptors are not somebody else's by the time that it is written to."""
    waker = Waker()
    fd, put = waker.fileno(), waker._put
    before = os.fstat(fd)

    def slow() -> None:
        waker.close()
        assert os.fstat(fd) == before
        put()

    monkeypatch.setattr(waker, "_put", slow)
    waker.set()
    with pytest.raises(OSError):
        os.fstat(fd)
    assert waker.fileno() == -1


def test_select_alone_takes_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lobby never waits for more sockets than `select` takes on Windows."""
    assert lobby._MOST_SELECTED < windows.MOST_SOCKETS
    monkeypatch.setattr(selectors, "DefaultSelector", selectors.SelectSelector)
    monkeypatch.setattr(lobby, "_MOST_SELECTED", 3)
    with Pair() as pair:
        peers = [Peer.connect(("127.0.0.1", pair.port)) for _ in range(5)]
        assert until(lambda: len(pair.server._lobby) == 3, 10)
        assert peers[0].rest() == b""
        assoc = pair.established()
        assert assoc.send_c_echo().Status == 0
        assoc.release()
        ended(assoc)
        for peer in peers:
            peer.close()


def test_a_port_is_had_by_one_server() -> None:
    ae = AE("SCP")
    ae.add_supported_context(VERIFICATION)
    server = serve(ae)
    with pytest.raises(OSError, match="in use"):
        ae.start_server(server.server_address, block=False)
    fd = server.fileno()
    if not descriptor.POSIX:
        assert addresses.OURS_ALONE == windows.EXCLUSIVE
        assert not server.allow_reuse_address
        assert fd in windows.exclusive
    server.shutdown()
    again = ae.start_server(server.server_address, block=False)
    assert again is not None
    again.shutdown()


def test_giving_up_an_attempt_to_connect_needs_no_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ending a connection that is not there yet is no way to wake who waits for it."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    waiting = [socket.socket() for _ in range(8)]
    for sock in waiting:  # its queue is full after these
        sock.setblocking(False)
        sock.connect_ex(listener.getsockname())
    ae = AE("SCU")
    ae.add_requested_context(VERIFICATION)
    ae.connection_timeout = None
    ae.acse_timeout = None
    waits = threading.Event()

    def wait(*args: Any, **kwargs: Any) -> bool:
        waits.set()
        return wait_for(*args, **kwargs)

    monkeypatch.setattr(THREADS, "wait_for", wait)
    assoc = ae._prepare("127.0.0.1", listener.getsockname()[1])
    assoc.start()
    assert waits.wait(60)
    assoc.abort()
    ended(assoc)
    assert assoc.is_aborted
    for sock in [listener, *waiting]:
        sock.close()


def test_a_file_that_is_still_read_is_removed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptor, "POSIX", False)
    monkeypatch.setattr("pynetdicom.data_sets.provisional._has_unnamed_files", lambda: False)
    real = os.unlink
    is_read = True

    def unlink(path: Any, **kwargs: Any) -> None:
        if is_read:
            raise PermissionError(13, "the file is used by a process")
        real(path, **kwargs)

    monkeypatch.setattr(os, "unlink", unlink)
    ProvisionalFile(str(tmp_path)).close()
    assert len(list(tmp_path.iterdir())) == 1
    is_read = False
    ProvisionalFile(str(tmp_path)).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("threshold", [0, 1 << 20])
def test_what_is_received_is_saved_read_and_gone(
    tmp_path: Path, keeps: bool, threshold: int
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    kept: list[Any] = []

    def store(event: evt.Event) -> int:
        event.save_as(tmp_path / event.file_name)
        event.save_as(tmp_path / f"again-{event.file_name}", overwrite=False, sync=True)
        with open(event.dataset_path, "rb") as file:
            assert file.read(132)[128:] == b"DICM"
        if keeps:
            kept.append(event.dataset)
        return 0

    scp = AE("SCP")
    scp.spool_dir = str(spool)
    with Pair(scp, scp_handlers=[(evt.EVT_C_STORE, store)]) as pair:
        pair.server.spool_threshold = threshold
        assoc = pair.established()
        assert assoc.send_c_store(ct(300_000)).Status == 0
        if keeps:
            assert len(kept.pop().EncapsulatedDocument) == 300_000
            gc.collect()
        (tmp_path / "1.2.3.4.dcm").unlink()
        (tmp_path / "again-1.2.3.4.dcm").unlink()
        assert assoc.send_c_store(ct(300_000)).Status == 0
        kept.clear()
        gc.collect()
        assoc.release()
        ended(assoc)
    ProvisionalFile(str(spool)).close()
    assert list(spool.iterdir()) == []


@pytest.mark.skipif(descriptor.POSIX, reason="is about what `windows` takes away")
def test_it_is_all_taken_away() -> None:
    assert not hasattr(select, "poll")
    assert not hasattr(os, "pread")
    assert not hasattr(socket.socket, "sendmsg") or isinstance(socket.socket.sendmsg, property)
    reader, writer = os.pipe()
    with pytest.raises(OSError, match="is no socket"):
        select.select([reader], [], [], 0)
    os.close(reader)
    os.close(writer)
