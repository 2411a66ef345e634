"""The option of the programs that has what they say and hear captured."""

from __future__ import annotations

import stat
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from pynetdicom import AE
from pynetdicom.sop_class import Verification
from tests.apps.conftest import CT, RunApp, ServeApp, Served, run_app, serve_app
from tests.apps.test_draining import Start, start
from tests.apps.test_security import CLIENTS, LISTENERS, parse
from tests.test_capture import Read, tshark

__all__ = ["run_app", "serve_app", "start", "tshark"]  # fixtures

WARNING = "patient data included, goes to"
DATA_SET = CT.read_bytes()[-20_000:]


def captured(served: Served, run_app: RunApp, app: str, *arguments: object) -> Path:
    path = served.directory / f"{app}.pcapng"
    done = run_app(app, "127.0.0.1", served.port, *arguments, "--capture", path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(WARNING) == 1
    return path


@pytest.mark.parametrize("app", [*CLIENTS, *LISTENERS])
def test_every_app_has_the_option(app: str) -> None:
    args: Namespace = parse(app, "--capture", "x")
    assert args.capture == "x"
    assert parse(app).capture is None


def test_echo_and_store(serve_app: ServeApp, run_app: RunApp, tshark: str, tmp_path: Path) -> None:
    """Of both sides; also where one app makes several associations."""
    path = tmp_path / "scp.pcapng"
    served = serve_app("storescp", "--capture", path, "-od", tmp_path / "stored")
    files = [captured(served, run_app, "echoscu")]
    files.append(captured(served, run_app, "storescu", CT))
    done = run_app(
        "storescu", "127.0.0.1", served.port, *[CT] * 8, "--associations", 2,
        "--capture", served.directory / "several.pcapng", "-ll", "warn",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(WARNING) == 1
    files.append(served.directory / "several.pcapng")
    assert served.stop() == 0
    assert served.errors().count(WARNING) == 1
    for file, associations, objects in zip([*files, path], (1, 1, 2, 4), (0, 1, 8, 9), strict=True):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        read = Read(tshark, file, served.port)
        assert read.complaints() == []
        assert len(set(read.values("tcp.stream"))) == associations
        assert len(read.objects) == objects
        assert all(DATA_SET in one for one in read.objects)
        assert [kind for kind in read.kinds() if kind == "0x06"] == ["0x06"] * associations


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("app", "workers"), [("qrscp", 1), ("qrscp", 2), ("workflowscp", 1)])
def test_servers_with_a_configuration(
    start: Start, run_app: RunApp, tshark: str, tmp_path: Path, app: str, workers: int
) -> None:
    """Workers share the file."""
    path = tmp_path / "scp.pcapng"
    more = ("--workers", workers) if workers > 1 else ()
    served = start(app, "--capture", path, *more)
    times = 3 * workers
    for _ in range(times):
        captured(served, run_app, "echoscu").unlink()
    assert served.stop() == 0
    read = Read(tshark, path, served.port)
    assert read.complaints() == []
    assert len(set(read.values("tcp.stream"))) == times
    assert read.kinds() == ["0x01", "0x02", "0x04", "0x04", "0x05", "0x06"] * times
    assert WARNING in served.errors()


def test_a_file_that_is_there(run_app: RunApp, tmp_path: Path) -> None:
    """Nothing is done."""
    path = tmp_path / "study.dcm"
    path.write_text("a study")
    ae = AE("SCP")
    ae.add_supported_context(Verification)
    server = ae.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    try:
        port = server.server_address[1]
        done = run_app("echoscu", "127.0.0.1", port, "--capture", path)
    finally:
        ae.shutdown()
    assert done.returncode == 1
    assert done.stderr == f"echoscu: --capture {path}: File exists\n"
    assert done.stdout == ""
    assert path.read_text() == "a study"
    assert not server.stats.ended
