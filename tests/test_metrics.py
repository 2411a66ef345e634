"""The numbers of servers by HTTP, in the format of Prometheus."""

from __future__ import annotations

import re
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pynetdicom import evt
from pynetdicom.metrics import CONTENT_TYPE, Metric, MetricsServer, Sample, as_text, of_servers
from pynetdicom.tls import server_context
from tests.examples.certificates import write_certificates
from tests.faults.peer import until
from tests.pair import Pair, serve
from tests.peers import DEADLINE, ct

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (-?[0-9.e+-]+|NaN|[+-]Inf)")


def get(address: Any, path: str) -> tuple[int, str, str]:
    """Status, content type and text."""
    url = f"http://127.0.0.1:{address[1]}{path}"
    try:
        with urllib.request.urlopen(url, timeout=DEADLINE) as found:
            return found.status, found.headers["Content-Type"], found.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


def samples(text: str) -> dict[str, float]:
    """The samples of a text, which is in the format: each metric's help and type come first."""
    found: dict[str, float] = {}
    kinds: dict[str, str] = {}
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert kind in ("counter", "gauge")
            assert name not in kinds
            kinds[name] = kind
            continue
        parts = SAMPLE.fullmatch(line)
        assert parts, line
        assert parts[1] == list(kinds)[-1]
        assert kinds[parts[1]] == "gauge" or parts[1].endswith("_total")
        assert line.rpartition(" ")[0] not in found
        found[line.rpartition(" ")[0]] = float(parts[3])
    return found


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Pair(scp_handlers=[(evt.EVT_C_STORE, lambda event: 0x0000)]) as found:
        yield found


def test_what_a_server_has_done(pair: Pair) -> None:
    with MetricsServer(("127.0.0.1", 0), [pair.server]) as metrics:
        assoc = pair.established()
        assoc.send_c_echo()
        assoc.send_c_store(ct())
        assoc.release()
        assert until(lambda: pair.server.stats.active == 0)
        status, kind, text = get(metrics.address, "/metrics")
        assert (status, kind) == (200, CONTENT_TYPE)
        found = samples(text)
        port = f'port="{pair.port}"'
        assert found[f"pynetdicom_associations_active{{{port}}}"] == 0
        ended = f'pynetdicom_associations_ended_total{{{port},how="released",by="peer"}}'
        assert found[ended] == 1
        for operation in ("C-ECHO", "C-STORE"):
            labels = f'{{{port},side="performed",operation="{operation}",status="0x0000"}}'
            assert found[f"pynetdicom_operations_total{labels}"] == 1
            assert found[f"pynetdicom_operation_seconds_total{labels}"] > 0
            size = found[f"pynetdicom_operation_bytes_total{labels}"]
            assert (size > 1000) == (operation == "C-STORE")


@pytest.mark.parametrize("days", [100, -3])
def test_the_end_of_a_certificate(tmp_path: Path, days: int) -> None:
    """Of the one that is in use, less than none where it has ended; none without TLS."""
    write_certificates(tmp_path, days=days)
    context = server_context(certificate=tmp_path / "scp.pem", key=tmp_path / "scp.key")
    with Pair() as pair:
        secure = serve(pair.scp, tls=context)
        found = samples(as_text(of_servers([pair.server, secure])))
        name = f'pynetdicom_certificate_days{{port="{secure.server_address[1]}"}}'
        assert days - 1 < found[name] <= days
        assert sum("certificate" in one for one in found) == 1


def test_no_peer_is_named(pair: Pair) -> None:
    with MetricsServer(("127.0.0.1", 0), [pair.server]) as metrics:
        pair.established().abort()
        assert until(lambda: pair.server.stats.ended)
        text = get(metrics.address, "/metrics")[2]
    assert "SCU" not in text
    assert "127.0.0.1" not in text


def test_health_and_readiness(pair: Pair) -> None:
    ready = threading.Event()
    with MetricsServer(("127.0.0.1", 0), [pair.server], is_ready=ready.is_set) as metrics:
        assert get(metrics.address, "/health")[0] == 200
        assert get(metrics.address, "/ready")[0] == 503
        ready.set()
        assert get(metrics.address, "/ready")[0] == 200
        assert get(metrics.address, "/ready?x=1")[0] == 200
        assert get(metrics.address, "/")[0] == 404


def test_other_metrics_beside() -> None:
    def more() -> list[Metric]:
        return [Metric("days", "gauge", "Days.", [Sample({"file": 'a"\\\n'}, 1.5), Sample({}, 2)])]

    with MetricsServer(("127.0.0.1", 0), [], more=more) as metrics:
        found = samples(get(metrics.address, "/metrics")[2])
    assert found == {'pynetdicom_days{file="a\\"\\\\\\n"}': 1.5, "pynetdicom_days": 2}


def test_one_who_says_nothing_holds_nobody_up(pair: Pair) -> None:
    """Nor does one that goes away in the midst; and the end waits for neither."""
    metrics = MetricsServer(("127.0.0.1", 0), [pair.server])
    with socket.create_connection(metrics.address, DEADLINE) as silent:
        with socket.create_connection(metrics.address, DEADLINE) as going:
            going.sendall(b"GET /metrics HTTP/1.1\r\n")
        assert get(metrics.address, "/health")[0] == 200
        metrics.close()
        assert not metrics._thread.is_alive()
        silent.sendall(b"x")
    with pytest.raises(OSError):
        socket.create_connection(metrics.address, DEADLINE)


def test_an_address_in_use(pair: Pair) -> None:
    with pytest.raises(OSError):
        MetricsServer(("127.0.0.1", pair.port), [])


@pytest.mark.parametrize("host", ["0.0.0.0", "::1", "::"])
def test_addresses(host: str) -> None:
    try:
        metrics = MetricsServer((host, 0), [])
    except OSError:
        pytest.skip(f"{host} is not to be had")
    metrics.close()
    assert not metrics._thread.is_alive()


def test_text_without_samples() -> None:
    assert as_text([Metric("x", "gauge", "X.", [])]) == (
        "# HELP pynetdicom_x X.\n# TYPE pynetdicom_x gauge\n"
    )
