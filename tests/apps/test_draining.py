"""How servers stop, read anew, and what they tell the service manager."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import threading
import urllib.error
import urllib.request
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pynetdicom import AE
from pynetdicom.apps import acceptor
from pynetdicom.apps.notify import SOCKET, notify
from pynetdicom.apps.progress import Terminal
from pynetdicom.sop_class import Verification
from pynetdicom.transport import AssociationServer
from tests.apps.conftest import Served
from tests.faults.peer import BEGUN, BOTH, Peer, abort, p_data, pdv, until
from tests.peers import DEADLINE
from tests.sampled import sampled

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

LAST = p_data(pdv(3, 2, b"\x08\0\x18\0\x08\0\0\x001.2.3.4\0"))
Start = Callable[..., Served]


@pytest.fixture
def start(python_env: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """``start("storescp", …)`` starts a server on a free port."""
    started: list[Served] = []

    def serve(app: str, *options: object, env: dict[str, str] | None = None) -> Served:
        place = tmp_path / f"{app}{len(started)}"
        place.mkdir()
        port = ["--port", "0"] if app in ("qrscp", "workflowscp") else ["0"]
        command = [sys.executable, "-m", "pynetdicom", app, *port, "-ba", "127.0.0.1", "-v"]
        environment = {**python_env, **(env or {})}
        started.append(Served([*command, *map(str, options)], environment, place))
        return started[-1]

    yield serve
    for served in started:
        if served.process.poll() is None:
            served.process.kill()
        served.process.communicate()
        assert "Traceback" not in served.errors()


def is_refused(served: Served) -> bool:
    try:
        socket.create_connection(("127.0.0.1", served.port), DEADLINE).close()
    except OSError:
        return True
    return False


def waited_for(served: Served) -> int:
    served.process.wait(DEADLINE)
    return served.stop()


@sampled("number", [signal.SIGTERM, signal.SIGINT])
@sampled(
    ("app", "options"),
    [("storescp", ()), ("qrscp", ()), ("qrscp", ("--workers", "2"))],
)
def test_what_is_under_way_is_finished(
    start: Start, app: str, options: tuple[str, ...], number: int
) -> None:
    """An object of which half has come is taken, stored and answered; nobody else gets in."""
    served = start(app, *options, "--drain", 3600)
    with Peer.connect(("127.0.0.1", served.port)) as peer:
        peer.associate(BOTH)
        peer.send(BEGUN)
        served.process.send_signal(number)
        assert until(lambda: is_refused(served))
        assert served.process.poll() is None
        peer.send(LAST)
        assert peer.pdu()[0] == 4  # whatever it says of such an object
        assert peer.pdu() == abort(0, 0)
    assert waited_for(served) == 0


@sampled(("app", "options"), [("storescp", ()), ("qrscp", ("--workers", "2"))])
def test_a_second_signal_ends_it_at_once(start: Start, app: str, options: tuple[str, ...]) -> None:
    served = start(app, *options, "--drain", 3600)
    with Peer.connect(("127.0.0.1", served.port)) as peer:
        peer.associate(BOTH)
        peer.send(BEGUN)
        served.process.send_signal(signal.SIGTERM)
        assert until(lambda: is_refused(served))
        served.process.send_signal(signal.SIGTERM)
        assert peer.pdu() == abort(0, 0)
    assert waited_for(served) == 0


def test_it_ends_when_the_time_is_up(start: Start) -> None:
    served = start("echoscp", "--drain", 0.2)
    with Peer.connect(("127.0.0.1", served.port)) as peer:
        peer.associate(BOTH)
        peer.send(BEGUN[:20])
        served.process.send_signal(signal.SIGTERM)
        assert peer.pdu()[0] == 7
    assert waited_for(served) == 0


@sampled("app", ["echoscp", "workflowscp"])
def test_without_time_it_ends_at_once(start: Start, app: str) -> None:
    served = start(app, "--drain", 0)
    with Peer.connect(("127.0.0.1", served.port)) as peer:
        peer.associate()
        served.process.send_signal(signal.SIGTERM)
        assert peer.pdu() == abort(0, 0)
    assert waited_for(served) == 0


# ----------------------------------------------------------------------------------- reading anew


def serving(reload: Callable[[object], object] | None, ready: Callable[[int], None]) -> int:
    """Serve in the main thread, as apps do."""
    ae = AE()
    ae.add_supported_context(Verification)
    where = Namespace(bind_address="127.0.0.1", port=0)
    with acceptor.surviving_hangups():
        return acceptor.serve(
            where,
            ae,
            Terminal("x"),
            drain=1,
            reload=reload,
            ready=lambda address: ready(address[1]),
        )


@pytest.mark.skipif(acceptor.HANGUP is None, reason="there is no SIGHUP")
def test_a_hangup_has_something_read_anew(caplog: pytest.LogCaptureFixture) -> None:
    """On the main thread; what fails changes nothing, and no association is lost."""
    done: list[str] = []

    def reload(server: object) -> None:
        assert isinstance(server, AssociationServer)
        assert threading.current_thread() is threading.main_thread()
        done.append("reload")
        if len(done) == 1:
            raise ValueError("peers.toml: line 3")

    def talk(port: int) -> None:
        try:
            ae = AE()
            ae.add_requested_context(Verification)
            with ae.associate("127.0.0.1", port) as assoc:
                for number in (1, 2):
                    os.kill(os.getpid(), signal.SIGHUP)
                    assert until(lambda number=number: len(done) == number)
                    assert assoc.send_c_echo().Status == 0x0000
            done.append("released")
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    with caplog.at_level("INFO", "pynetdicom"):
        code = serving(reload, lambda port: threading.Thread(target=talk, args=(port,)).start())
    assert code == 0
    assert done == ["reload", "reload", "released"]
    assert "SIGHUP: all stays as it was: peers.toml: line 3" in caplog.messages
    assert "SIGHUP: read anew" in caplog.messages


# ------------------------------------------------------------------------------ service managers


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Who listens to `NOTIFY_SOCKET`."""
    # The path of a socket is 108 bytes long at most.
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind("notify")
        heard.settimeout(DEADLINE)
        yield heard


def told(heard: socket.socket) -> list[str]:
    return heard.recv(4096).decode().splitlines()


@sampled(("app", "options"), [("storescp", ()), ("qrscp", ()), ("qrscp", ("--workers", "2"))])
def test_a_service_manager_is_told(
    start: Start, manager: socket.socket, tmp_path: Path, app: str, options: tuple[str, ...]
) -> None:
    served = start(app, *options, env={SOCKET: str(tmp_path / "notify")})
    assert told(manager) == ["READY=1", f"STATUS=listening on 127.0.0.1:{served.port}"]
    served.process.send_signal(signal.SIGTERM)
    assert told(manager) == ["STOPPING=1"]
    assert waited_for(served) == 0
    manager.settimeout(0)
    with pytest.raises(BlockingIOError):
        manager.recv(1)


def test_reloading_is_told(
    manager: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SOCKET, str(tmp_path / "notify"))
    with acceptor.surviving_hangups(), acceptor.StopSignals(lambda: None) as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not stop.take()
    first, second = told(manager)
    assert first == "RELOADING=1"
    assert re.fullmatch(r"MONOTONIC_USEC=\d+", second)
    assert told(manager) == ["READY=1"]


@pytest.mark.skipif(sys.platform != "linux", reason="names that are in no file system")
def test_an_abstract_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"pynetdicom-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"\0{name}")
        heard.settimeout(DEADLINE)
        monkeypatch.setenv(SOCKET, f"@{name}")
        notify("READY=1")
        assert told(heard) == ["READY=1"]


def test_a_manager_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Is no reason not to serve."""
    monkeypatch.delenv(SOCKET, raising=False)
    notify("READY=1")
    monkeypatch.setenv(SOCKET, "vsock:2:1")
    notify("READY=1")
    assert not caplog.records
    monkeypatch.setenv(SOCKET, "/nowhere/at/all")
    notify("READY=1")
    assert "is not told READY=1" in caplog.text


# --------------------------------------------------------------------------------------- metrics


def status_of(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=DEADLINE) as found:
            return int(found.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@sampled("app", ["storescp", "qrscp", "workflowscp"])
def test_metrics_and_readiness(start: Start, app: str, free_port: int) -> None:
    """While it drains it is there, and not ready."""
    served = start(app, "--drain", 3600, "--metrics", free_port)
    assert status_of(free_port, "/metrics") == 200
    assert status_of(free_port, "/ready") == 200
    with Peer.connect(("127.0.0.1", served.port)) as peer:
        peer.associate(BOTH)
        peer.send(BEGUN)
        served.process.send_signal(signal.SIGTERM)
        assert until(lambda: is_refused(served))
        assert status_of(free_port, "/ready") == 503
        assert status_of(free_port, "/health") == 200
        served.process.send_signal(signal.SIGTERM)
    assert waited_for(served) == 0


@sampled(
    ("options", "words"),
    [(("--metrics", "x"), "--metrics"), (("--metrics", "127.0.0.1:99999"), "--metrics")],
)
def test_wrong_metrics(run_app: Any, options: tuple[str, ...], words: str) -> None:
    ran = run_app("echoscp", "0", "-ba", "127.0.0.1", *options)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert words in ran.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the workers are read from /proc")
def test_metrics_of_workers(start: Start) -> None:
    """Each knows its own numbers only, and has a port of its own; so has who takes its place."""
    first = next(port for port in range(20000, 60000, 7) if are_free(port, port + 1))
    served = start("qrscp", "--workers", 2, "--metrics", first)
    assert [status_of(first + place, "/metrics") for place in (0, 1)] == [200, 200]
    (pid, *_) = (
        Path(f"/proc/{served.process.pid}/task/{served.process.pid}/children").read_text().split()
    )
    os.kill(int(pid), signal.SIGKILL)
    assert until(lambda: f"worker {pid} has ended" in served.errors())
    assert until(lambda: all(answers(first + place) for place in (0, 1)))
    assert served.stop() == 0


def are_free(*ports: int) -> bool:
    try:
        for port in ports:
            socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def answers(port: int) -> bool:
    try:
        return status_of(port, "/metrics") == 200
    except OSError:
        return False


def test_metrics_where_somebody_listens(run_app: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        ran = run_app("echoscp", "0", "-ba", "127.0.0.1", "--metrics", other.getsockname()[1])
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "--metrics: cannot listen on 127.0.0.1:" in ran.stderr
