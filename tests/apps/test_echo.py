"""echoscu and echoscp."""

from __future__ import annotations

import signal
import socket
from typing import Any

import pytest

from tests.apps.conftest import LIST_IMPORTS, imported
from tests.sampled import sampled


@pytest.fixture
def scp(serve_app: Any) -> Any:
    return serve_app("echoscp")


def test_echo(run_app: Any, scp: Any) -> None:
    result = run_app("echoscu", "127.0.0.1", scp.port)
    assert (result.returncode, result.stderr) == (0, "")
    assert f"ANY-SCP at 127.0.0.1:{scp.port} answers in" in result.stdout


@sampled("flag", ["-xe", "-xb", "-xi"])
def test_echo_in_each_transfer_syntax(run_app: Any, scp: Any, flag: str) -> None:
    assert run_app("echoscu", "127.0.0.1", scp.port, flag).returncode == 0


@pytest.mark.slow
def test_repeat_and_abort(run_app: Any, scp: Any) -> None:
    result = run_app("echoscu", "localhost", scp.port, "--repeat", "3", "--abort")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.count("answers in") == 3


@sampled("seconds", ["inf", "1e9", "1e300", "2147484"])
def test_time_outs_of_any_length(run_app: Any, serve_app: Any, seconds: str) -> None:
    flags = ["-ta", seconds, "-td", seconds, "-tn", seconds]
    scp = serve_app("echoscp", *flags)
    result = run_app("echoscu", "127.0.0.1", scp.port, *flags)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.slow
def test_quiet(run_app: Any, scp: Any) -> None:
    result = run_app("echoscu", "127.0.0.1", scp.port, "-q")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_verification_that_is_not_accepted(run_app: Any, serve_app: Any) -> None:
    scp = serve_app("storescp", "--no-echo", "-xi")
    result = run_app("echoscu", "127.0.0.1", scp.port)
    assert result.returncode == 1
    assert "does not accept verification" in result.stderr
    assert result.stderr.count("\n") == 1
    scp = serve_app("echoscp", "-xi")
    assert run_app("echoscu", "127.0.0.1", scp.port, "-xe").returncode == 1
    assert run_app("echoscu", "127.0.0.1", scp.port).returncode == 0


def test_refused_connection(run_app: Any, free_port: int) -> None:
    result = run_app("echoscu", "127.0.0.1", free_port)
    assert result.returncode == 1
    assert "refused" in result.stderr.lower()
    assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_unknown_host(run_app: Any) -> None:
    result = run_app("echoscu", "nowhere.invalid", "104")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "nowhere.invalid" in result.stderr


def test_a_silent_peer_ends_by_the_timeout(run_app: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = run_app("echoscu", "127.0.0.1", silent.getsockname()[1], "-ta", "0.5")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1


@sampled("app", ["echoscp", "storescp"])
@sampled("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_server(serve_app: Any, app: str, number: int) -> None:
    scp = serve_app(app)
    with socket.create_connection(("127.0.0.1", scp.port)):
        assert scp.stop(number) == 0
    assert scp.errors() == ""


@sampled("app", ["echoscp", "storescp"])
def test_a_port_in_use(run_app: Any, app: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run_app(app, port, "-ba", "127.0.0.1")
    assert result.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_an_address_that_is_not_ours(run_app: Any) -> None:
    result = run_app("echoscp", "0", "-ba", "192.0.2.1")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1


def test_an_interrupt_ends_a_requestor(python_env: dict[str, str]) -> None:
    import subprocess
    import sys

    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "pynetdicom",
                "echoscu",
                "127.0.0.1",
                str(silent.getsockname()[1]),
            ],
            stderr=subprocess.PIPE,
            text=True,
            env=python_env,
        )
        connection, _ = silent.accept()
        with connection:
            connection.recv(1)  # it waits for an answer now
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert errors == "echoscu: interrupted\n"


def test_echo_imports_no_numpy(run_app: Any, scp: Any) -> None:
    result = run_app("echoscu", "127.0.0.1", scp.port, env=LIST_IMPORTS)
    assert result.returncode == 0
    modules = imported(result.stderr)
    assert "pynetdicom.association" in modules
    assert not {name for name in modules if name.startswith("numpy.")}
