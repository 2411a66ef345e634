"""What is captured, read by Wireshark."""

from __future__ import annotations

import gc
import logging
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pynetdicom import AE, capture, evt
from pynetdicom.capture import Capture
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import Verification
from pynetdicom.tls import client_context, server_context
from tests.conftest import REQUIRE_INTEROP
from tests.examples.certificates import write_certificates
from tests.faults.peer import RELEASE_RP, RELEASE_RQ, until
from tests.pair import Pair
from tests.peers import DEADLINE, Acceptor, ct, listening, requestor

ALL_PDUS = [f"0x{number:02x}" for number in range(1, 8)]


@pytest.fixture(scope="module")
def tshark() -> str:
    found = shutil.which("tshark")
    if found is None:
        missing = pytest.fail if os.environ.get(REQUIRE_INTEROP) else pytest.skip
        missing("tshark is not installed")
    return str(found)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "captured.pcapng"


class Read:
    """What Wireshark makes of a file, whose checksums it verifies.

    Attributes
    ----------
    packets : list of dict
        Their fields, by the names in `FIELDS`.
    objects : list of bytes
        What was stored, as files.
    """

    FIELDS = (
        *("tcp.stream", "tcp.srcport", "frame.len", "ip.src", "ipv6.src"),
        *("dicom.pdu.type", "tcp.flags.fin", "_ws.expert.message", "_ws.malformed"),
    )

    def __init__(self, tshark: str, path: Path, port: int) -> None:
        out = path.parent / f"{path.stem}-objects"
        options = ["-d", f"tcp.port=={port},dicom", "--export-objects", f"dicom,{out}"]
        for protocol in ("tcp", "ip"):
            options += ["-o", f"{protocol}.check_checksum:TRUE"]
        fields = [part for field in self.FIELDS for part in ("-e", field)]
        done = subprocess.run(
            [tshark, "-r", path, *options, "-T", "fields", "-E", "separator=;", *fields],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE * 4,
            check=False,
        )
        # It says on standard error what it holds against the file, or that it is root's.
        assert done.returncode == 0, done.stderr
        assert "cut short" not in done.stderr
        lines = done.stdout.splitlines()
        self.packets = [
            dict(zip(self.FIELDS, line.split(";"), strict=True)) for line in lines if ";" in line
        ]
        self.objects = [file.read_bytes() for file in sorted(out.glob("*"))] if out.is_dir() else []

    def values(self, field: str) -> list[str]:
        return [value for one in self.packets for value in one[field].split(",") if value]

    def complaints(self) -> list[str]:
        """Beginnings and ends of connections and associations are not."""
        said = self.values("_ws.expert.message") + self.values("_ws.malformed")
        usual = ("Connection ", "This frame ", "Association ")
        return [text for text in said if not text.startswith(usual)]

    def kinds(self) -> list[str]:
        """Types of PDUs, each once for the packets that it is in."""
        return self.values("dicom.pdu.type")


class Captured(Pair):
    """A pair, each of whose sides has what it says and hears captured, and is over in the end."""

    def __init__(self, directory: Path, host: str = "127.0.0.1", **server_options: Any) -> None:
        self.captures = [Capture(directory / f"{side}.pcapng") for side in ("scu", "scp")]
        super().__init__(scu_handlers=self.captures[0].handlers)
        handlers = [(evt.EVT_C_STORE, lambda event: 0x0000), *self.captures[1].handlers]
        server_options |= {"block": False, "evt_handlers": handlers}
        try:
            self.server = self.scp.start_server((host, 0), **server_options)
        except OSError:
            self.end()
            raise
        self.host, self.port = host, self.server.server_address[1]

    def associate(self, **kwargs: Any) -> Any:
        kwargs.setdefault("evt_handlers", self.scu_handlers)
        return self.scu.associate(self.host, self.port, **kwargs)

    def close(self) -> None:
        assert until(lambda: not self.server.stats.active)
        self.end()

    def end(self) -> None:
        super().close()
        for one in self.captures:
            one.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("certificates")
    write_certificates(place)
    return place


@pytest.fixture(params=["IPv4", "IPv6", "TLS"])
def captured(request: pytest.FixtureRequest, certificates: Path, tmp_path: Path) -> Iterator[Any]:
    """A pair, and what TLS is made with by who associates."""
    host = "::1" if request.param == "IPv6" else "127.0.0.1"
    server: dict[str, Any] = {}
    client: dict[str, Any] = {}
    if request.param == "TLS":
        pair = {"certificate": certificates / "scp.pem", "key": certificates / "scp.key"}
        server["tls"] = server_context(**pair)
        context = client_context(authorities=certificates / "ca.pem", check_hostname=False)
        client["tls"] = context
    try:
        made = Captured(tmp_path, host, **server)
    except OSError:
        pytest.skip(f"{host} is not to be had")
    with made:
        yield made, client


def test_each_pdu_of_associations(captured: Any, tshark: str, tmp_path: Path) -> None:
    """Each type of PDU, by both sides, in order; the objects are there byte by byte."""
    pair, how = captured
    sent = ct(200_000)
    assoc = pair.established(**how)
    assert assoc.send_c_echo().Status == 0x0000
    assert assoc.send_c_store(sent).Status == 0x0000
    assoc.release()
    pair.established(**how).abort()
    pair.scp.require_called_aet = True
    assert pair.associate(ae_title="NOBODY", **how).is_rejected
    pair.close()
    for side in ("scu", "scp"):
        read = Read(tshark, tmp_path / f"{side}.pcapng", pair.port)
        assert read.complaints() == []
        assert sorted(set(read.kinds())) == ALL_PDUS
        first = [one for one in read.packets if one["tcp.stream"] == "0"]
        kinds = [kind for one in first for kind in one["dicom.pdu.type"].split(",") if kind]
        assert [kind for kind in kinds if kind != "0x04"] == ["0x01", "0x02", "0x05", "0x06"]
        assert kinds[2:4] == ["0x04"] * 2
        (stored,) = read.objects
        data = encode(sent, True, True)
        assert data is not None
        assert stored.endswith(data)
        assert set(read.values("tcp.stream")) == {"0", "1", "2"}
        assert len([flag for flag in read.values("tcp.flags.fin") if flag in ("1", "True")]) == 6
        family = "ipv6.src" if pair.host == "::1" else "ip.src"
        assert set(read.values(family)) == {pair.host}


def test_ipv4_by_a_socket_of_ipv6(tshark: str, tmp_path: Path) -> None:
    """It is shown as what it is, on both sides."""
    try:
        pair = Captured(tmp_path, "::")
    except OSError:
        pytest.skip("there is no IPv6")
    with pair:
        pair.host = "127.0.0.1"
        pair.established().release()
    for side in ("scu", "scp"):
        read = Read(tshark, tmp_path / f"{side}.pcapng", pair.port)
        assert read.complaints() == []
        assert set(read.values("ip.src")) == {"127.0.0.1"}
        assert read.kinds() == ["0x01", "0x02", "0x05", "0x06"]


def test_long_pdus_are_cut(tshark: str, tmp_path: Path) -> None:
    with Captured(tmp_path) as pair:
        pair.scp.maximum_pdu_size = pair.scu.maximum_pdu_size = 0
        assoc = pair.established()
        assert assoc.send_c_store(ct(3_000_000)).Status == 0x0000
        assoc.release()
    for side in ("scu", "scp"):
        read = Read(tshark, tmp_path / f"{side}.pcapng", pair.port)
        assert read.complaints() == []
        assert max(map(int, read.values("frame.len"))) < 1 << 16
        assert len(read.objects[0]) > 3_000_000


def test_associations_at_the_same_time(tshark: str, tmp_path: Path) -> None:
    """Those of a server are in one file; each object is whole."""
    sizes = [10_000 * number for number in range(1, 9)]
    with Captured(tmp_path) as pair:

        def send(size: int) -> None:
            assoc = pair.established(evt_handlers=[])
            for _ in range(3):
                assoc.send_c_store(ct(size))
            assoc.release()

        threads = [threading.Thread(target=send, args=(size,)) for size in sizes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
    read = Read(tshark, tmp_path / "scp.pcapng", pair.port)
    assert read.complaints() == []
    assert len(set(read.values("tcp.stream"))) == len(sizes)
    assert len(read.objects) == 3 * len(sizes)
    assert sorted({len(one) // 10_000 for one in read.objects}) == list(range(1, 9))


KILLED = """
import os, signal, sys
from pynetdicom import AE
from pynetdicom.capture import Capture
from tests.peers import ct

ae = AE("SCU")
ae.add_requested_context("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2")
handlers = Capture(sys.argv[1]).handlers
assoc = ae.associate("127.0.0.1", int(sys.argv[2]), evt_handlers=handlers)
assert assoc.send_c_store(ct(100_000)).Status == 0
{end}
"""


def run(end: str, path: Path, port: int, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A program that associates, and has that captured."""
    root = str(Path(__file__).parent.parent)
    return subprocess.run(
        [sys.executable, "-c", KILLED.format(end=end), str(path), str(port)],
        env={**env, "PYTHONPATH": root},
        cwd=root,
        capture_output=True,
        text=True,
        timeout=DEADLINE * 4,
        check=False,
    )


def test_a_process_that_is_killed(path: Path, tshark: str, python_env: dict[str, str]) -> None:
    """All that was answered is there."""
    with Pair(scp_handlers=[(evt.EVT_C_STORE, lambda event: 0x0000)]) as pair:
        done = run("os.kill(os.getpid(), signal.SIGKILL)", path, pair.port, python_env)
        assert done.returncode == -signal.SIGKILL, done.stderr
        read = Read(tshark, path, pair.port)
    assert read.complaints() == []
    assert len(read.objects[0]) > 100_000


FULL = """
import resource
size = os.path.getsize(sys.argv[1]) + 1000
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
for _ in range(20):
    assert assoc.send_c_echo is not None and assoc.send_c_store(ct(100)).Status == 0
assoc.release()
assert assoc.is_released
"""


def test_no_room(path: Path, tshark: str, python_env: dict[str, str]) -> None:
    """The association goes on, the log says it once, and what there is can be read."""
    pytest.importorskip("resource")
    with Pair(scp_handlers=[(evt.EVT_C_STORE, lambda event: 0x0000)]) as pair:
        done = run(FULL, path, pair.port, python_env)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("nothing more is captured") == 1
    said = subprocess.run([tshark, "-r", path], capture_output=True, text=True, check=False)
    assert len(said.stdout.splitlines()) > 3


def test_it_is_its_owners_alone(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = os.umask(0)
    try:
        with Capture(path) as made:
            assert made.warning in caplog.text
    finally:
        os.umask(before)
    assert caplog.records[0].levelno == logging.WARNING
    assert "patient data" in made.warning
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_there_is_not_overwritten(path: Path) -> None:
    path.write_text("a study")
    with pytest.raises(FileExistsError):
        Capture(path)
    link = path.with_name("link")
    link.symlink_to(path.with_name("nowhere"))
    with pytest.raises(FileExistsError):
        Capture(link)
    assert path.read_text() == "a study"


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="reads /proc")
def test_a_path_will_do(tshark: str, tmp_path: Path) -> None:
    """For a server and a requestor; a file is closed when the last one is gone that has it."""
    ae = AE()
    ae.add_supported_context(Verification)
    ae.add_requested_context(Verification)
    paths = [str(tmp_path / f"{side}.pcapng") for side in ("scp", "scu")]
    server = ae.start_server(("127.0.0.1", 0), block=False, capture=paths[0])
    assert server is not None
    address = server.server_address[:2]
    assoc = ae.associate(*address, capture=paths[1])
    assert assoc.send_c_echo().Status == 0x0000
    assoc.release()
    with pytest.raises(FileExistsError):
        ae.associate(*address, capture=paths[1])
    ae.shutdown()
    del assoc, server
    for path in paths:
        read = Read(tshark, Path(path), address[1])
        assert (read.complaints(), set(read.values("tcp.stream"))) == ([], {"0"})
        assert len(read.kinds()) == 6

    def is_closed() -> bool:
        gc.collect()
        return not any(path in targets() for path in paths)

    assert until(is_closed)


def targets() -> list[str]:
    """What this process has open."""
    return [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]


def test_it_is_over_when_closed(path: Path) -> None:
    """Associations go on, and it may be closed again."""
    with Pair() as pair:
        made = Capture(path)
        assoc = pair.established(evt_handlers=made.handlers)
        made.close()
        size = path.stat().st_size
        assert assoc.send_c_echo().Status == 0x0000
        made.close()
        assoc.release()
    assert path.stat().st_size == size > 0


def test_an_abort_in_the_midst_of_a_block(
    path: Path, tshark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the handler of a signal does it, on the thread that is writing."""
    with Pair() as pair:
        made = Capture(path)
        assoc = pair.established(evt_handlers=made.handlers)
        write = os.write
        aborts = [assoc.abort]

        def interrupted(file: int, data: bytes) -> int:
            while aborts:
                aborts.pop()()
            return write(file, data)

        monkeypatch.setattr(capture.os, "write", interrupted)
        assoc.send_c_echo()
        assoc.join(DEADLINE)
        assert assoc.is_aborted
        monkeypatch.undo()
        made.close()
        read = Read(tshark, path, pair.port)
    assert read.complaints() == []
    assert read.kinds()[-1] == "0x07"


def test_an_association_from_its_midst_on(path: Path, tshark: str) -> None:
    """Handlers may be bound at any time."""
    with Pair() as pair, Capture(path) as made:
        assoc = pair.established()
        for event, handler in made.handlers:
            assoc.bind(event, handler)
        assoc.send_c_echo()
        assoc.release()
        assert until(lambda: not assoc.is_alive())
        read = Read(tshark, path, pair.port)
    assert read.kinds() == ["0x04", "0x04", "0x05", "0x06"]


def test_what_is_sent_is_told_before_it_can_be_answered() -> None:
    """Messages and other PDUs: when the handlers run, the peer has nothing to read yet."""
    sockets: list[Any] = []
    told: list[tuple[int, bool]] = []
    go = threading.Semaphore(0)

    def script(peer: Acceptor) -> None:
        peer.accept()
        sockets.append(peer.socket)
        assert go.acquire(timeout=DEADLINE)
        peer.serve_echo()
        assert go.acquire(timeout=DEADLINE)
        assert peer.pdu() == RELEASE_RQ
        peer.send(RELEASE_RP)

    def sent(event: evt.Event) -> None:
        told.append((event.data[0], bool(select.select(sockets, [], [], 0)[0])))
        go.release()

    with listening(script) as listener:
        assoc = requestor().associate("127.0.0.1", listener.port)
        assert until(lambda: sockets)
        assoc.bind(evt.EVT_DATA_SENT, sent)
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()
        assert assoc.is_released
    assert told == [(4, False), (5, False)]
