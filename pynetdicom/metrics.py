"""The numbers of servers for those who watch them, by HTTP, as Prometheus reads them.

In: the `stats` of servers. Out: ``/metrics`` in the text format of Prometheus, version 0.0.4;
``/health``, which is there as long as the process is; ``/ready``, 503 when it takes nobody new.

No label has a peer in it: there may be any number of them, and they choose their titles.
"""

from __future__ import annotations

import logging
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

from pynetdicom.network import threads
from pynetdicom.stats import ServerStats

LOGGER = logging.getLogger("pynetdicom.ae")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_DAY = 86400.0
PATIENCE = 5.0
"""Seconds that a client has for its request."""


class Sample(NamedTuple):
    """A number, and of what it is."""

    labels: dict[str, str]
    value: float


class Metric(NamedTuple):
    """What has samples: its name without prefix, ``counter`` or ``gauge``, and what it means."""

    name: str
    kind: str
    help: str
    samples: list[Sample]


def of_servers(servers: Iterable[Any]) -> list[Metric]:
    """The metrics of `AssociationServer`; those of several are told apart by their ports."""
    active = Metric("associations_active", "gauge", "Associations that there are.", [])
    ended = Metric("associations_ended_total", "counter", "Associations that have ended.", [])
    count = Metric("operations_total", "counter", "DIMSE operations that have ended.", [])
    size = Metric("operation_bytes_total", "counter", "Bytes of their requests' data sets.", [])
    seconds = Metric("operation_seconds_total", "counter", "Seconds to their responses.", [])
    ends = Metric("certificate_days", "gauge", "Days until the certificate in use expires.", [])
    for server in servers:
        port = {"port": str(server.server_address[1])}
        expires: datetime | None = getattr(server.ssl_context, "expires", None)
        if expires is not None:
            days = (expires.timestamp() - time.time()) / _DAY
            ends.samples.append(Sample(port, days))
        stats: ServerStats = server.stats
        active.samples.append(Sample(port, stats.active))
        for (how, by), number in sorted(stats.ended.items()):
            ended.samples.append(Sample({**port, "how": how, "by": by}, number))
        for (side, operation, status), done in sorted(stats.operations.items()):
            labels = {**port, "side": side, "operation": operation, "status": f"0x{status:04X}"}
            count.samples.append(Sample(labels, done.count))
            size.samples.append(Sample(labels, done.bytes))
            seconds.samples.append(Sample(labels, done.seconds))
    return [active, ended, count, size, seconds, ends]


def as_text(metrics: Iterable[Metric]) -> str:
    """Metrics in the text format of Prometheus."""
    return "".join(f"{line}\n" for metric in metrics for line in _lines(metric))


def _lines(metric: Metric) -> Iterator[str]:
    name = f"pynetdicom_{metric.name}"
    yield f"# HELP {name} {metric.help}"
    yield f"# TYPE {name} {metric.kind}"
    for labels, value in metric.samples:
        inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{name}{{{inside}}} {value!r}" if inside else f"{name} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


class MetricsServer:
    """Tells the numbers of servers by HTTP, from its making until it is closed.

    Parameters
    ----------
    address : tuple of str and int
        Where to listen; port 0 takes a free one.
    servers : iterable of AssociationServer
        Whose.
    is_ready : callable, optional
        Whether somebody new may come.
    more : callable, optional
        Gives further metrics.

    Attributes
    ----------
    address : tuple
        Where it listens.

    Raises
    ------
    OSError
        The address cannot be listened on.
    """

    def __init__(
        self,
        address: tuple[str, int],
        servers: Iterable[Any],
        *,
        is_ready: Callable[[], bool] = lambda: True,
        more: Callable[[], Iterable[Metric]] = list,
    ) -> None:
        measured = list(servers)

        def answer(path: str) -> tuple[int, str]:
            if path == "/metrics":
                return 200, as_text([*of_servers(measured), *more()])
            if path == "/ready" and not is_ready():
                return 503, "stopping\n"
            return (200, "ok\n") if path in ("/health", "/ready") else (404, "not found\n")

        handler = type("_Answering", (_Handler,), {"answer": staticmethod(answer)})
        http = type("_Listening", (_HTTP,), {"address_family": _family(address[0])})
        self._http: _HTTP = http(address, handler)
        self.address: tuple[Any, ...] = self._http.server_address
        self._is_closed = False
        self._thread = threads.start("pynetdicom-metrics", self._serve)

    def _serve(self) -> None:
        while not self._is_closed:
            self._http.handle_request()

    def close(self) -> None:
        """Listen no more."""
        self._is_closed = True
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.address[0], self.address[0])
        with suppress(OSError):  # it waits for somebody to come
            socket.create_connection((host, self.address[1]), PATIENCE).close()
        self._thread.join(PATIENCE)
        self._http.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class _HTTP(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nobody's problem."""
        LOGGER.debug("metrics: a request was not answered: %s", sys.exc_info()[1])


class _Handler(BaseHTTPRequestHandler):
    timeout = PATIENCE
    server_version = "pynetdicom"
    sys_version = ""
    answer: Callable[[str], tuple[int, str]]

    def do_GET(self) -> None:  # as in the base class
        """Answer."""
        status, text = self.answer(self.path.partition("?")[0])
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # as above

    def log_message(self, format: str, *args: Any) -> None:
        """Log it, but not on standard error."""
        LOGGER.debug("metrics: %s", format % args)
