"""pynetdicom.transport: the servers, as an application uses them."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association
from pynetdicom.network import dul, lobby
from pynetdicom.transport import (
    AddressInformation,
    AssociationServer,
    ThreadedAssociationServer,
)
from tests.faults.peer import Peer, reject, request, until
from tests.peers import CT, DEADLINE, VERIFICATION, Call


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dul, "LINGER", 0.2)
    monkeypatch.setattr(lobby, "LINGER", 0.2)


@pytest.fixture
def ae() -> Iterator[AE]:
    entity = AE("SCP")
    entity.add_supported_context(VERIFICATION)
    entity.add_requested_context(VERIFICATION)
    yield entity
    entity.shutdown()


def serve(ae: AE, **kwargs: Any) -> ThreadedAssociationServer:
    server = ae.start_server(("127.0.0.1", 0), block=False, **kwargs)
    assert server is not None
    return server


def established(ae: AE, server: AssociationServer) -> Association:
    assoc = ae.associate("127.0.0.1", server.server_address[1])
    assert assoc.is_established
    return assoc


def test_attributes(ae: AE) -> None:
    server = serve(ae, ae_title=b"TITLE  ", contexts=[build_context(CT)])
    assert isinstance(server, socketserver.TCPServer)
    assert isinstance(server, socketserver.ThreadingMixIn)
    assert (server.ae, server.ae_title) == (ae, "TITLE")
    assert [cx.abstract_syntax for cx in server.contexts] == [CT]
    assert server.ssl_context is None
    assert server.timeout == 60
    host, port = server.server_address
    assert host == "127.0.0.1"
    assert port > 0
    assert server.socket.getsockname() == (host, port)
    assert server.active_associations == []
    assert server.thread is not None
    assert server.thread.daemon


def test_active_associations(ae: AE) -> None:
    one, two = serve(ae), serve(ae)
    assoc = established(ae, one)
    assert [a.is_acceptor for a in one.active_associations] == [True]
    assert two.active_associations == []
    acceptor = one.active_associations[0]
    assoc.release()
    acceptor.join(DEADLINE)
    assert one.active_associations == []


def test_an_association_that_has_ended_is_forgotten(ae: AE) -> None:
    server = serve(ae)
    established(ae, server).release()
    for assoc in server.all_associations():
        assoc.join(DEADLINE)
    assert server.all_associations() == []
    assert ae._running.associations == set()


def test_bind_reaches_the_associations_that_are_there(ae: AE) -> None:
    server = serve(ae)
    assoc = established(ae, server)
    acceptor = server.active_associations[0]
    told: list[Any] = []
    server.bind(evt.EVT_C_ECHO, lambda event, status: status, [0x0122])
    server.bind(evt.EVT_DIMSE_RECV, told.append)
    assert assoc.send_c_echo().Status == 0x0122
    assert len(told) == 1
    assert server.get_events() == acceptor.get_events() == [evt.EVT_C_ECHO, evt.EVT_DIMSE_RECV]
    assert server.get_handlers(evt.EVT_DIMSE_RECV) == [(told.append, None)]
    server.unbind(evt.EVT_C_ECHO, server.get_handlers(evt.EVT_C_ECHO)[0])
    server.unbind(evt.EVT_DIMSE_RECV, told.append)
    assert assoc.send_c_echo().Status == 0
    assert len(told) == 1
    assert server.get_events() == []
    assert established(ae, server).send_c_echo().Status == 0


def test_bind_reaches_associations_that_are_being_made(
    ae: AE, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(ae)
    made, go_on = threading.Event(), threading.Event()
    make = Association.__init__

    def slow(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        if kwargs.get("server") is not None:
            made.set()
            go_on.wait(DEADLINE)

    monkeypatch.setattr(Association, "__init__", slow)
    call = Call(established, ae, server)
    assert made.wait(DEADLINE)
    binding = Call(server.bind, evt.EVT_C_ECHO, lambda event: 0x0122)
    binding.join(0.1)  # it waits for the one that is being made, or has missed it
    go_on.set()
    binding.result()
    assert call.result().send_c_echo().Status == 0x0122


def test_shutdown_from_a_handler(ae: AE) -> None:
    done = threading.Event()
    server = serve(ae, evt_handlers=[(evt.EVT_C_ECHO, lambda e: (server.shutdown(), done.set()))])
    assoc = established(ae, server)
    assert len(assoc.send_c_echo()) == 0
    assert done.wait(DEADLINE)
    assert assoc.is_aborted
    assert ae._running.servers == set()


def test_shutdown_at_once() -> None:
    """The listener's thread may not have begun."""
    for _ in range(50):
        ae = AE()
        ae.add_supported_context(VERIFICATION)
        server = serve(ae)
        server.shutdown()
        with pytest.raises(OSError):
            socket.create_connection(server.server_address)


def test_shutdown_before_the_thread_has_begun(ae: AE, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    run = threading.Thread.run

    def late(self: threading.Thread) -> None:
        if self.name == "pynetdicom-listener":
            go_on.wait(DEADLINE)
        run(self)

    monkeypatch.setattr(threading.Thread, "run", late)
    server = serve(ae)
    call = Call(server.shutdown)
    go_on.set()
    call.result()
    assert server.thread is not None
    assert not server.thread.is_alive()


def test_no_thread_to_listen_with(ae: AE, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: Any) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="new thread"):
            serve(ae)
    assert ae._running.servers == set()


def test_a_server_that_is_never_started(ae: AE) -> None:
    for end in ("shutdown", "server_close"):
        server = ae.make_server(("127.0.0.1", 0))
        getattr(server, end)()
        with pytest.raises(RuntimeError):
            server.serve_forever()
    ae.make_server(("127.0.0.1", 0))
    ae.shutdown()
    assert ae._running.servers == set()


def test_a_server_that_is_closed_while_it_serves(ae: AE) -> None:
    server = serve(ae)
    with socket.create_connection(server.server_address) as silent:
        server.server_close()
        with contextlib.suppress(ConnectionResetError):  # it was not accepted yet
            assert silent.recv(1) == b""
    server.shutdown()


def test_serve_forever_in_a_thread_of_the_callers(ae: AE) -> None:
    server = ae.make_server(("127.0.0.1", 0), server_class=AssociationServer)
    call = Call(server.serve_forever, 0.1)
    assoc = established(ae, server)
    assert assoc.send_c_echo().Status == 0
    server.shutdown()
    call.result()
    assert assoc.is_aborted
    with pytest.raises(RuntimeError):
        server.serve_forever()


@pytest.mark.parametrize("where", ["_dismiss", "_deadlines", "_selector"])
def test_ctrl_c_while_a_listener_closes(ae: AE, where: str) -> None:
    """All of it is closed even so: its peers' connections, and the listening socket."""
    serving = Call(ae.start_server, ("127.0.0.1", 0))
    assert until(lambda: any(one._lobby.thread for one in ae._running.servers))
    server = next(iter(ae._running.servers))
    inside: Any = server._lobby
    with Peer.connect(server.server_address) as peer:
        assert until(lambda: len(inside) == 1)
        raised: list[str] = []

        class Interrupted:
            """Stands for what is called, which Ctrl-C interrupts the first time."""

            def __init__(self, real: Any) -> None:
                self._real = real

            def __call__(self, *args: Any) -> Any:
                if not raised:
                    raised.append(where)
                    raise KeyboardInterrupt
                return self._real(*args)

            def __getattr__(self, name: str) -> Any:
                real = getattr(self._real, name)
                return Interrupted(real) if name in ("clear", "close") else real

            def __len__(self) -> int:
                return len(self._real)

            def __getitem__(self, index: int) -> Any:
                return self._real[index]

        setattr(inside, where, Interrupted(getattr(inside, where)))
        ae.shutdown()
        serving.result()
        assert raised
        assert ae._running.servers == set()
        assert server.socket.fileno() == -1
        assert peer.rest() == b""


def test_ctrl_c_while_an_association_is_being_started(
    ae: AE, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have begun all the same, and ends with the server."""
    accepted: list[Association] = []
    start = Association.start

    def interrupted(self: Association) -> None:
        start(self)
        if self.is_acceptor:
            accepted.append(self)
            raise KeyboardInterrupt

    monkeypatch.setattr(Association, "start", interrupted)
    server = ae.make_server(("127.0.0.1", 0))
    call = Call(ae.associate, "127.0.0.1", server.server_address[1])
    with pytest.raises(KeyboardInterrupt):
        server.serve_forever()
    ae._running.stop([server])
    assert not accepted[0].is_alive()
    assert accepted[0].is_aborted
    assert call.result().is_aborted


@pytest.mark.parametrize(
    "name", ["process_request", "finish_request", "verify_request", "get_request"]
)
def test_what_cannot_be_overridden(name: str) -> None:
    with pytest.raises(TypeError, match=name):
        type("Server", (AssociationServer,), {name: lambda self, *args: None})


@pytest.mark.parametrize(
    ("address", "error"),
    [
        (("127.0.0.1",), TypeError),
        (("127.0.0.1", "104"), TypeError),
        ((5, 104), TypeError),
        (("127.0.0.1", 0, 0), TypeError),
        (("no.such.host.invalid", 0), OSError),
    ],
    ids=str,
)
def test_wrong_addresses(ae: AE, address: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        ae.start_server(address, block=False)
    assert ae._running.servers == set()


def test_wrong_ssl_context(ae: AE) -> None:
    with pytest.raises(TypeError):
        serve(ae, ssl_context="tls")


def test_the_reservation_is_given_back(ae: AE, monkeypatch: pytest.MonkeyPatch) -> None:
    """An association that cannot even be made is no association."""
    ae.maximum_associations = 1
    server = serve(ae)

    def fail(self: Any, *args: Any, **kwargs: Any) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(Association, "__init__", fail)
        with Peer.connect(server.server_address) as peer:
            peer.send(request())
            assert peer.pdu() == reject(2, 3, 1)
    assert established(ae, server).send_c_echo().Status == 0


def test_a_rejection_in_the_lobby_is_told(ae: AE) -> None:
    told: list[str] = []
    closed = threading.Event()

    def tell(event: evt.Event) -> None:
        told.append(event.event.name)
        if event.event is evt.EVT_CONN_CLOSE:
            closed.set()

    ae.maximum_associations = 1
    server = serve(ae)
    assoc = established(ae, server)
    server.active_associations[0]._lifetime.negotiated.wait()
    for event in ("CONN_OPEN", "REQUESTED", "REJECTED", "ACSE_SENT", "CONN_CLOSE"):
        server.bind(getattr(evt, f"EVT_{event}"), tell)
    callbacks: list[Any] = []
    ae.on_association_rejected = callbacks.append  # type: ignore[method-assign]
    second = ae.associate("127.0.0.1", server.server_address[1])
    assert second.ended is not None
    assert (second.ended.result, second.ended.source, second.ended.reason) == (2, 3, 2)
    assert closed.wait(DEADLINE)
    assert told == [
        f"EVT_{name}" for name in ("CONN_OPEN", "REQUESTED", "ACSE_SENT", "REJECTED", "CONN_CLOSE")
    ]
    # Both sides are the same AE here.
    assert [primitive.result for primitive in callbacks] == [2, 2]
    assert assoc.send_c_echo().Status == 0


def test_address_information_is_public() -> None:
    info = AddressInformation("127.0.0.1", 104)
    assert (info.address, info.port, info.is_ipv4) == ("127.0.0.1", 104, True)
    assert info.as_tuple == ("127.0.0.1", 104)
