"""movescu: to somebody, and to itself."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from pynetdicom.data_sets.data_set import InMemory
from pynetdicom.query_models import query_model_uid
from tests.apps.conftest import CT, MR, SC_RLE, RunApp
from tests.apps.query_scp import QueryScp, started
from tests.apps.test_getscu import CT_CLASS, KEYS, STUDY, names, uid_of
from tests.peers import DEADLINE
from tests.sampled import sampled

MakeScp = Callable[[Callable[[Any], Any]], QueryScp]


@pytest.fixture
def make_scp() -> Iterator[MakeScp]:
    started: list[QueryScp] = []

    def make(handler: Callable[[Any], Any]) -> QueryScp:
        started.append(QueryScp("C-MOVE", handler))
        return started[-1]

    yield make
    for scp in started:
        scp.close()


def sending(port: int, *paths: Any) -> Callable[[Any], Iterator[Any]]:
    """A handler that sends to a port of this host, whatever the AE title."""

    def handler(event: Any) -> Iterator[Any]:
        yield "127.0.0.1", port
        yield len(paths)
        for path in paths:
            yield 0xFF00, path

    return handler


def test_to_itself(make_scp: MakeScp, run_app: RunApp, free_port: int, tmp_path: Path) -> None:
    scp = make_scp(sending(free_port, CT, MR, SC_RLE))
    out = tmp_path / "out"
    ran = run_app(
        "movescu", "127.0.0.1", scp.port, "-S", *STUDY, "-od", out,
        "--store", "--store-port", free_port, "--store-aet", "MYSELF",
    )  # fmt: skip
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "3 objects stored\n", "")
    assert names(out) == sorted(f"{uid_of(path)}.dcm" for path in (CT, MR, SC_RLE))
    for path in (CT, MR, SC_RLE):
        stored = dcmread(out / f"{uid_of(path)}.dcm")
        assert stored == dcmread(path)
        assert stored.file_meta.TransferSyntaxUID == dcmread(path).file_meta.TransferSyntaxUID
    (request,) = scp.requests
    assert request.AffectedSOPClassUID == query_model_uid("C-MOVE", "S")
    assert request.MoveDestination == "MYSELF"
    assert scp.released.wait(DEADLINE)


def test_to_somebody_else(make_scp: MakeScp, run_app: RunApp, serve_app: Any) -> None:
    served = serve_app("storescp", "-aet", "OTHER")
    scp = make_scp(sending(served.port, CT, MR))
    ran = run_app("movescu", "127.0.0.1", scp.port, *KEYS, "-aem", "OTHER")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "2 objects sent to OTHER\n", "")
    assert scp.requests[0].MoveDestination == "OTHER"
    assert len(served.files()) == 2


@pytest.mark.slow
def test_json_of_what_was_stored(make_scp: MakeScp, run_app: RunApp, free_port: int) -> None:
    scp = make_scp(sending(free_port, CT))
    store = ("--store", "--store-port", free_port, "--ignore", "--json")
    ran = run_app("movescu", "127.0.0.1", scp.port, *KEYS, *store)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert Dataset.from_json(ran.stdout).SOPInstanceUID == uid_of(CT)
    assert scp.requests[0].MoveDestination == "STORESCP"


def test_nothing_but_json_on_standard_output(
    make_scp: MakeScp, run_app: RunApp, serve_app: Any
) -> None:
    """Also where there is nothing to say in JSON, since others store."""
    served = serve_app("storescp", "-aet", "OTHER")
    scp = make_scp(sending(served.port, CT, MR))
    ran = run_app("movescu", "127.0.0.1", scp.port, *KEYS, "-aem", "OTHER", "--json")
    assert (ran.returncode, ran.stdout) == (0, "")
    assert ran.stderr == "movescu: 2 objects sent to OTHER\n"


@pytest.mark.slow
def test_what_went_to_somebody_else(
    make_scp: MakeScp, run_app: RunApp, serve_app: Any, free_port: int
) -> None:
    """The peer sends elsewhere than here, and says that all is well."""
    served = serve_app("storescp")
    scp = make_scp(sending(served.port, CT, MR))
    store = ("--store", "--store-port", free_port)
    ran = run_app("movescu", "127.0.0.1", scp.port, *KEYS, *store)
    assert (ran.returncode, ran.stdout) == (1, "0 objects stored\n")
    (line,) = ran.stderr.splitlines()
    assert "has sent 2, none arrived here" in line
    assert "STORESCP" in line
    assert str(free_port) in line


def test_a_destination_that_the_peer_does_not_know(make_scp: MakeScp, run_app: RunApp) -> None:
    scp = make_scp(lambda event: iter([(None, None)]))
    ran = run_app("movescu", "127.0.0.1", scp.port, *KEYS, "-aem", "NOBODY")
    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert "0xA801" in line


def test_failures_are_listed(
    make_scp: MakeScp, run_app: RunApp, serve_app: Any, tmp_path: Path
) -> None:
    served = serve_app("storescp")
    hostile = dcmread(CT)
    hostile.SOPInstanceUID = "1.2.x"
    scp = make_scp(sending(served.port, hostile, MR))
    ran = run_app("movescu", "127.0.0.1", scp.port, *KEYS)
    assert ran.returncode == 1
    assert "0xB000" in ran.stderr
    assert "1 completed" in ran.stderr
    assert "1 failed" in ran.stderr


@pytest.mark.slow
def test_a_port_that_is_taken(run_app: RunApp) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        ran = run_app("movescu", "127.0.0.1", 1, *KEYS, "--store", "--store-port", port)
    assert (ran.returncode, ran.stdout) == (1, "")
    (line,) = ran.stderr.splitlines()
    assert f"cannot listen on port {port}" in line


@pytest.mark.slow
def test_cancelling_after_some(
    make_scp: MakeScp, run_app: RunApp, free_port: int, tmp_path: Path
) -> None:
    def handler(event: Any) -> Iterator[Any]:
        yield "127.0.0.1", free_port
        yield 1000
        for number in range(1000):
            if event.is_cancelled:
                yield 0xFE00, None
                return
            ds = dcmread(CT)
            ds.SOPInstanceUID = f"1.2.{number}"
            yield 0xFF00, ds

    scp = make_scp(handler)
    store = ("--store", "--store-port", free_port, "--cancel", 2)
    ran = run_app("movescu", "127.0.0.1", scp.port, *KEYS, *store)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert 2 <= len(names(tmp_path)) < 1000
    assert ran.stdout == f"{len(names(tmp_path))} objects stored\n"
    assert scp.released.wait(DEADLINE)


@pytest.mark.slow
def test_several_responses_to_one_object_are_one_object(
    make_scp: MakeScp, run_app: RunApp, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that takes long is reported again and again; --cancel counts what was sent."""
    monkeypatch.setattr("pynetdicom.association.pending_reports.REPORT_EVERY", 0.01)
    ticks = threading.Event()

    class Slow(InMemory):
        """Takes a while to be read."""

        def parts(self, multiple: int = 1) -> Iterator[memoryview]:
            ticks.wait(0.2)
            return super().parts(multiple)

    def handler(event: Any) -> Iterator[Any]:
        yield "127.0.0.1", free_port
        yield 3
        for number in range(3):
            if event.is_cancelled:
                yield 0xFE00, None
                return
            held: Any = Slow(b"\x10\x00\x10\x00PN\x04\x00A^B ", "1.2.840.10008.1.2.1")
            held.sop_class_uid, held.sop_instance_uid = CT_CLASS, f"1.2.{number}"
            yield 0xFF00, held

    scp = make_scp(handler)
    store = ("--store", "--store-port", free_port, "--ignore", "--cancel", 3)
    ran = run_app("movescu", "127.0.0.1", scp.port, *KEYS, *store)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "3 objects received\n", "")


def test_ctrl_c_cancels(
    make_scp: MakeScp, python_env: dict[str, str], free_port: int, tmp_path: Path
) -> None:
    """What has arrived by then is stored."""
    sent, cancelled = threading.Event(), threading.Event()

    def handler(event: Any) -> Iterator[Any]:
        yield "127.0.0.1", free_port
        yield 1000
        ticks = threading.Event()
        for number in range(1000):
            if event.is_cancelled:
                cancelled.set()
                yield 0xFE00, None
                return
            ds = dcmread(CT)
            ds.SOPInstanceUID = f"1.2.{number}"
            yield 0xFF00, ds
            if number == 2:
                sent.set()
            ticks.wait(0.05)

    scp = make_scp(handler)
    out = tmp_path / "out"
    arguments = ("127.0.0.1", scp.port, *KEYS, "--store", "--store-port", free_port, "-od", out)
    with started("movescu", *arguments, env=python_env, cwd=tmp_path) as process:
        assert sent.wait(DEADLINE)
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=DEADLINE)
    assert (process.returncode, errors) == (130, "movescu: interrupted\n")
    assert cancelled.is_set()
    assert printed == f"{len(names(out))} objects stored\n"
    for path in out.iterdir():
        assert dcmread(path).SOPInstanceUID == path.stem
    assert scp.released.wait(DEADLINE)


@sampled(
    "arguments",
    [(), ("-aem", "A" * 17, *KEYS), ("--store-port", "0", *KEYS), ("-W", *KEYS)],
)
def test_wrong_arguments(run_app: RunApp, arguments: tuple[str, ...]) -> None:
    ran = run_app("movescu", "127.0.0.1", 1, *arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert len(ran.stderr.splitlines()) == 1


def test_a_destination_with_another_title_than_the_own(
    make_scp: MakeScp, run_app: RunApp, free_port: int
) -> None:
    scp = make_scp(sending(free_port, CT))
    store = ("--store", "--store-port", free_port, "-aem", "OTHER")
    ran = run_app("movescu", "127.0.0.1", scp.port, *KEYS, *store)
    assert ran.returncode == 0
    (line,) = ran.stderr.splitlines()
    assert "OTHER" in line
    assert "STORESCP" in line
