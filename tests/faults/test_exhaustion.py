"""Faults, sections 2 and 3 as SCP: many, slow peers, and peers that stop."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pynetdicom import AE, Association, _config, association, evt
from pynetdicom.network import dul, lobby, sending, visitors
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.items import (
    PresentationContextRQ,
    SCP_SCU_RoleSelectionNegotiation,
)
from tests.clock import Clock
from tests.faults import tls
from tests.faults.conftest import Server
from tests.faults.peer import (
    BEGUN,
    BOTH,
    RELEASE_RP,
    RELEASE_RQ,
    VERIFICATION,
    Peer,
    abort,
    echo_rq,
    is_served,
    p_data,
    pdv,
    reject,
    request,
    until,
)
from tests.peers import LONG, Call

Make = Callable[..., Server]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


needs_proc = pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="counts descriptors in /proc"
)


# Connections that never associate


def attended(server: Server) -> list[visitors.Visitor]:
    """Whom the lobby reads from: a visitor each time, kept here so that none is taken for two."""
    lobby = server.server._lobby
    seen: list[Any] = []
    attend = lobby._attend

    def note(visitor: Any) -> None:
        seen.append(visitor)
        attend(visitor)

    lobby._attend = note
    return seen


def crowd(
    server: Server, stack: contextlib.ExitStack, silent: int, slow: int
) -> Callable[[], None]:
    """Silent connections, and some that send a byte at each call of what is returned."""
    for _ in range(silent):
        stack.enter_context(server.connect())
    loris = [stack.enter_context(server.connect()) for _ in range(slow)]
    position = iter(range(10_000))
    data = request()

    def trickle() -> None:
        at = next(position)
        for peer in loris:
            with contextlib.suppress(OSError):
                peer.send(data[at : at + 1])

    return trickle


@pytest.mark.parametrize(
    ("silent", "slow"), [(120, 20), pytest.param(500, 50, marks=pytest.mark.slow)]
)
def test_a_crowd_is_in_nobodys_way(server: Server, silent: int, slow: int) -> None:
    server.ae.maximum_associations = 1
    with contextlib.ExitStack() as stack:
        trickle = crowd(server, stack, silent, slow)
        assert until(lambda: len(server.server._lobby) == silent + slow)
        crowded = list(server.server._lobby._visitors)
        seen = attended(server)
        for _ in range(100):
            trickle()
            is_served(server.address)
            server.end()  # junk takes up no slot, and each of these must have its own
        assert len(server.server._lobby) == silent + slow
        seen = list(seen)
    # The silent ones cost nothing, the slow ones what they send, the others what they always do.
    heard = [visitor for visitor in crowded if visitor in seen]
    assert len(heard) == slow
    assert len({id(visitor) for visitor in seen}) == slow + 100
    assert len(seen) <= slow * 100 + 100 * 3


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Both ends of a thousand connections are ours."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"no more than {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
def test_a_thousand_in_the_lobby(server: Server) -> None:
    """As many as there may be by default; the next one makes room."""
    count = 1000
    with contextlib.ExitStack() as stack:
        crowd(server, stack, count - 50, 50)()
        assert until(lambda: len(server.server._lobby) == count)
        first = min(server.server._lobby._visitors, key=lambda one: one.opened)
        for _ in range(50):
            is_served(server.address)
        assert until(lambda: first not in server.server._lobby._visitors)
        assert len(server.server._lobby) == count - 1  # the first of 50 made room for all of them
    assert until(lambda: len(server.server._lobby) == 0)
    is_served(server.address)


def test_a_full_lobby_closes_the_one_silent_longest(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_config, "MAXIMUM_LOBBY", 5)
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(server.connect()) for _ in range(5)]
        assert until(lambda: len(server.server._lobby) == 5)
        is_served(server.address)
        assert peers[0].rest() == b""
        assert all(peer.silent(0.01) for peer in peers[1:])


@needs_proc
def test_a_storm_leaves_nothing(server: Server) -> None:
    is_served(server.address)
    server.end()
    before = descriptors()
    for number in range(300):
        peer = server.connect()
        if number % 4 == 1:
            peer.send(b"junk")
        elif number % 4 == 2:
            peer.send(request()[:50])
        peer.reset()
    assert until(lambda: descriptors() <= before)
    is_served(server.address)


def test_junk_never_rejects_others(server: Server) -> None:
    server.ae.maximum_associations = 1
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            peer = stack.enter_context(server.connect())
            peer.send(b"GET / HTTP/1.1\r\n\r\n")
        is_served(server.address)


def test_the_largest_legal_request(server: Server) -> None:
    """128 contexts of 60 transfer syntaxes, 210 kB."""
    transfer = [f"1.2.840.10008.1.2.4.{n}" for n in range(59)] + ["1.2.840.10008.1.2"]
    contexts = [
        PresentationContextRQ(
            context_id=n, abstract_syntax=VERIFICATION, transfer_syntaxes=transfer
        )
        for n in range(1, 256, 2)
    ]
    data = request(*contexts)
    assert 200_000 < len(data) < 256 * 1024
    with server.connect() as peer:
        ac = peer.associate(data)
        assert [c.result for c in ac.presentation_contexts] == [0] * 128
        peer.echo()
        peer.release()


@pytest.mark.parametrize(("count", "is_taken"), [(255, True), (256, False)])
def test_as_many_user_items_as_are_taken(server: Server, count: int, is_taken: bool) -> None:
    with server.connect() as peer:
        peer.send(with_user_items(count))
        if is_taken:
            assert peer.pdu()[0] == 2
            peer.echo()
            peer.release()
        else:
            assert peer.exactly(10) == abort(0, 0)
    is_served(server.address)


@pytest.mark.parametrize(("timeout", "artim"), [(30, 30), (None, 30), (5, 5)])
def test_how_long_artim_is(
    server: Server, monkeypatch: pytest.MonkeyPatch, timeout: float | None, artim: float
) -> None:
    clock = Clock(monkeypatch, lobby, visitors)
    assert AE().acse_timeout == 30
    server.ae.acse_timeout = timeout
    with server.connect():
        assert until(lambda: len(server.server._lobby) == 1)
        (visitor,) = server.server._lobby._visitors
        assert visitor.deadline == clock.now + artim


def test_how_long_artim_is_without_a_timeout_is_configured(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.ae.acse_timeout = None
    monkeypatch.setattr(_config, "ARTIM", 60.0)
    with monkeypatch.context() as patch:
        clock = Clock(patch, lobby, visitors)
        with server.connect():
            assert until(lambda: len(server.server._lobby) == 1)
            (visitor,) = server.server._lobby._visitors
            assert visitor.deadline == clock.now + 60
    monkeypatch.setattr(_config, "ARTIM", 0.2)
    with server.connect() as peer:
        assert peer.rest() == b""


def with_contexts(count: int) -> bytes:
    return request(
        *(
            PresentationContextRQ(
                context_id=n, abstract_syntax=VERIFICATION, transfer_syntaxes=["1.2.840.10008.1.2"]
            )
            for n in range(1, 2 * count, 2)
        )
    )


def with_user_items(count: int) -> bytes:
    rq = pdus.decode_pdu(request())
    assert isinstance(rq, pdus.A_ASSOCIATE_RQ)
    rq.user_information += [
        SCP_SCU_RoleSelectionNegotiation(f"1.2.{number}", True, False)
        for number in range(count - len(rq.user_information))
    ]
    return rq.encode()


def with_length(count: int) -> bytes:
    """An A-ASSOCIATE-RQ of so many bytes behind its header."""
    data = bytearray(request())
    while room := count + 6 - len(data):  # is filled with items that nobody knows
        size = min(room - 4, 60_000)
        size -= 4 if 0 < room - 4 - size < 4 else 0
        data += struct.pack(">BxH", 0x77, size) + bytes(size)
    struct.pack_into(">I", data, 2, count)
    return bytes(data)


@pytest.mark.parametrize(
    ("setting", "most", "make"),
    [
        ("MAXIMUM_CONTEXTS", 3, with_contexts),
        ("MAXIMUM_USER_ITEMS", 5, with_user_items),
        ("MAXIMUM_USER_ITEMS", 400, with_user_items),
        ("MAXIMUM_ASSOCIATE_PDU", 400, with_length),
        ("MAXIMUM_ASSOCIATE_PDU", 600_000, with_length),
    ],
)
def test_bounds_of_a_request_are_configured(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    most: int,
    make: Callable[[int], bytes],
) -> None:
    monkeypatch.setattr(_config, setting, most)
    with server.connect() as peer:
        peer.associate(make(most))
        peer.echo()
        peer.release()
    with server.connect() as peer:
        peer.send(make(most + 1))
        assert peer.exactly(10) == abort(0, 0)


# How many associations


def test_the_limit_counts_over_all_servers(make_server: Make) -> None:
    server = make_server().start()
    ae = server.ae
    ae.maximum_associations = 3
    others = [ae.start_server(("127.0.0.1", 0), block=False) for _ in range(2)]
    addresses = [server.address, *(other.server_address for other in others)]
    gate = threading.Barrier(12)
    answers: list[bytes] = []
    peers = [Peer.connect(addresses[n % 3]) for n in range(12)]

    def ask(peer: Peer) -> None:
        gate.wait(60)
        peer.send(request())
        answers.append(peer.pdu())

    threads = [threading.Thread(target=ask, args=(peer,)) for peer in peers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answer[0] for answer in answers) == [2] * 3 + [3] * 9
    assert {answer for answer in answers if answer[0] == 3} == {reject(2, 3, 2)}
    for peer in peers:
        peer.close()
    assert until(lambda: not ae.active_associations)
    is_served(server.address)


@pytest.mark.parametrize("how", ["released", "aborted"])
def test_an_association_that_is_over_takes_up_no_slot(server: Server, how: str) -> None:
    server.ae.maximum_associations = 1
    with server.connect() as peer:
        peer.associate()
        if how == "released":
            peer.release()
        else:
            peer.send(b"junk!!")
            assert peer.exactly(10) == abort(2, 1)
        is_served(server.address)  # while the first keeps its socket


def test_a_rejection_takes_up_no_slot(server: Server) -> None:
    server.ae.maximum_associations = 1
    for _ in range(5):
        with server.connect() as peer:
            peer.send(request(application_context_name="1.2.3"))
            assert peer.exactly(10) == reject(1, 1, 2)
    is_served(server.address)


# Peers that stop


def deaf_peer(server: Server) -> Peer:
    """A peer that asks and asks and never reads an answer."""
    peer = server.connect(receive_buffer=4096)
    peer.associate(request(called_ae_title="ANY-SCP"))
    return peer


def test_a_peer_that_never_reads(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Aborted by `network_timeout`, and cut off by `LAST_PDU`; others are served meanwhile."""
    monkeypatch.setattr(_config, "MAXIMUM_PENDING_REQUESTS", 1_000_000)
    monkeypatch.setattr(sending, "LAST_PDU", 0.2)
    with deaf_peer(server) as peer:
        assoc = server.assoc()
        assoc.network_timeout = 0.3
        # The kernel's buffers are large: with small ones there is less to be sent.
        sock = assoc.dul.connection.socket
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        stop = threading.Event()

        def ask() -> None:
            with contextlib.suppress(OSError):
                for number in range(1, 60_000):
                    if stop.is_set():
                        return
                    peer.send(echo_rq(number))

        thread = threading.Thread(target=ask)
        thread.start()
        assert until(lambda: assoc.dul.driver.writer.waker is not None or assoc.ended is not None)
        is_served(server.address)
        assoc.join(60)
        assert not assoc.is_alive()
        assert assoc.ended.timer == "network_timeout"
        stop.set()
        thread.join(60)
    is_served(server.address)


@pytest.mark.parametrize("sent", [BEGUN, BEGUN[:-5], b"\x04"])
def test_a_peer_that_stops_in_mid_message(server: Server, sent: bytes) -> None:
    with server.connect() as peer:
        peer.associate(BOTH)
        server.assoc().network_timeout = 0.2
        peer.send(sent)
        assert peer.exactly(10) == abort(0, 0)
    ended = server.end()
    assert (ended.kind, ended.by, ended.timer) == ("aborted", "local", "network_timeout")
    is_served(server.address)


def test_a_peer_that_falls_silent(server: Server) -> None:
    with server.connect() as peer:
        peer.associate()
        peer.echo()
        server.assoc().network_timeout = 0.2
        assert peer.exactly(10) == abort(0, 0)
    assert server.end().timer == "network_timeout"
    is_served(server.address)


def test_no_timer_runs_while_a_handler_works(make_server: Make) -> None:
    go_on = threading.Event()

    def handle(event: Any) -> int:
        event.assoc.network_timeout = 0.1
        go_on.wait(60)
        event.assoc.network_timeout = 3600
        return 0

    server = make_server(evt_handlers=[(evt.EVT_C_ECHO, handle)]).start()
    with server.connect() as peer:
        peer.associate()
        peer.send(echo_rq())
        assert peer.silent(0.3)
        go_on.set()
        assert peer.pdu()[0] == 4
        peer.release()


# Ending it all


def test_shutdown_with_every_kind_of_peer(make_server: Make) -> None:
    """It waits for none of them, though all are still there."""
    held = threading.Event()
    server = make_server(evt_handlers=[(evt.EVT_C_ECHO, lambda event: held.wait(60) and 0)]).start()
    with contextlib.ExitStack() as stack:
        kinds: list[bytes] = [b"", request()[:20], b"junk"]
        for data in kinds:
            stack.enter_context(server.connect()).send(data)
        for data in (b"", BEGUN, BEGUN[:-3], echo_rq(), echo_rq() + RELEASE_RQ):
            peer = stack.enter_context(server.connect())
            peer.associate(BOTH)
            peer.send(data)
        peer = stack.enter_context(server.connect())
        peer.associate()
        peer.send(RELEASE_RQ)
        assert peer.pdu() == RELEASE_RP
        Call(server.ae.shutdown).result()
        assert not held.is_set()  # a handler works on
        held.set()
    with pytest.raises(OSError):
        server.connect()


def test_shutdown_says_abort(server: Server) -> None:
    with server.connect() as peer:
        peer.associate()
        server.assoc()
        thread = threading.Thread(target=server.ae.shutdown)
        thread.start()
        assert peer.exactly(10) == abort(0, 0)
        peer.close()
        thread.join(60)
    assert (server.end().kind, server.server.active_associations) == ("aborted", [])


@needs_proc
def test_nothing_is_left_however_it_ends(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (association, dul, lobby):
        monkeypatch.setattr(module, "LINGER", 0.2)
    is_served(server.address)
    server.end()
    threads, before = threading.active_count(), descriptors()
    endings: list[bytes] = [RELEASE_RQ, abort(0, 0), b"", b"junk", BEGUN, echo_rq() + RELEASE_RQ]
    for number in range(60):
        peer = server.connect()
        if number % 7 == 6:
            peer.send(request(application_context_name="1.2"))
        else:
            peer.associate(BOTH)
            peer.send(endings[number % 7])
        (peer.reset if number % 2 else peer.close)()
    assert until(lambda: descriptors() <= before and threading.active_count() <= threads)
    is_served(server.address)


def one_association(server: Server, number: int) -> None:
    """A connection that ends in one of nine ways."""
    way = number % 9
    is_over = number % 90 == 0
    server.ae.acse_timeout = 0.2 if is_over else 3600
    with server.connect() as peer:
        if way == 0:  # silent in negotiation, until ARTIM or the peer's end
            peer.send(request()[:40])
            if is_over:
                assert peer.rest() == b""
            return
        if way == 1:
            peer.send(request(application_context_name="1.2.3"))
            assert peer.pdu() == reject(1, 1, 2)
            return
        peer.associate(BOTH)
        if way == 2:
            peer.echo()
            peer.release()
        elif way == 3:
            peer.send(abort(0, 0))
            assert peer.rest() == b""
        elif way == 4:
            peer.echo()
            peer.reset()
        elif way == 5:
            peer.send(b"junk!!")
            assert peer.pdu() == abort(2, 1)
        elif way == 6:
            server.assocs[peer.socket.getsockname()[1]].abort(block=False)
            assert peer.pdu() == abort(0, 0)
        elif way == 7:
            peer.send(BEGUN)
            peer.reset()
        else:
            peer.send(echo_rq())


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


@needs_proc
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_growth_however_associations_end(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither threads nor descriptors nor memory; 10,000 with PYNETDICOM_SOAK=10000."""
    count = int(os.environ.get("PYNETDICOM_SOAK", "900"))
    server.ae.maximum_associations = 100
    caplog.set_level("CRITICAL", "pynetdicom")  # records are kept
    is_served(server.address)
    server.end()
    threads, before = threading.active_count(), descriptors()

    def associations() -> list[Association]:
        gc.collect()
        return [thing for thing in gc.get_objects() if isinstance(thing, Association)]

    # Of tests that ran before this one; kept, so that nothing else has their identity.
    others = associations()

    def run(numbers: range) -> tuple[int, int]:
        for number in numbers:
            one_association(server, number)
            if number % 90 == 89:
                server.forget()
        assert until(lambda: threading.active_count() <= threads)
        assert until(lambda: descriptors() <= before)
        assert not server.ae.active_associations
        server.forget()
        assert not [one for one in associations() if all(one is not other for other in others)]
        return len(gc.get_objects()), resident()

    objects, size = run(range(180))
    objects_after, size_after = run(range(180, count))
    assert objects_after - objects < 100
    # The heap and tables such as that of the interpreter's threads find their size early.
    assert size_after - size < 24 << 20
    is_served(server.address)


# Where it listens


@pytest.mark.parametrize("host", ["::1", "::"])
def test_ipv6(make_server: Make, host: str) -> None:
    try:
        server = make_server().start((host, 0))
    except OSError:
        pytest.skip("no IPv6 here")
    port = server.address[1]
    is_served(("::1", port, 0, 0))
    if host == "::":
        is_served(("127.0.0.1", port))  # dual stack
        assert server.assoc().requestor.address
    else:
        with pytest.raises(OSError):
            Peer.connect(("127.0.0.1", port))


# TLS, from end to end


@pytest.fixture
def secured(make_server: Make) -> tuple[Server, Any]:
    context, client = tls.contexts()
    server = make_server(ssl_context=context)
    return server.start(), client


def scu() -> AE:
    ae = AE()
    ae.add_requested_context(VERIFICATION)
    for name, value in LONG.items():
        setattr(ae, name, value)
    return ae


def test_tls_from_end_to_end(secured: tuple[Server, Any]) -> None:
    server, client = secured
    assoc = scu().associate(*server.address, tls_args=(client, "127.0.0.1"))
    assert assoc.is_established
    for _ in range(5):
        assert assoc.send_c_echo().Status == 0x0000
    assoc.release()
    assert assoc.is_released
    ended = server.end()
    assert (ended.kind, ended.by) == ("released", "peer")


def test_tls_abort_reaches_the_peer(secured: tuple[Server, Any]) -> None:
    server, client = secured
    assoc = scu().associate(*server.address, tls_args=(client, "127.0.0.1"))
    assert assoc.is_established
    assoc.abort()
    assert (assoc.ended.kind, assoc.ended.by) == ("aborted", "local")
    ended = server.end()
    assert (ended.kind, ended.by) == ("aborted", "peer")


def test_plaintext_scu_to_tls(secured: tuple[Server, Any]) -> None:
    server, client = secured
    assoc = scu().associate(*server.address)
    assert not assoc.is_established
    assert assoc.is_aborted
    assoc = scu().associate(*server.address, tls_args=(client, "127.0.0.1"))
    assert assoc.is_established
    assoc.release()


def test_tls_scu_to_plaintext(server: Server) -> None:
    _, client = tls.contexts()
    assoc = scu().associate(*server.address, tls_args=(client, "127.0.0.1"))
    assert not assoc.is_established
    assert (assoc.ended.kind, assoc.ended.by) == ("failed", "network")
    is_served(server.address)


def test_tls_a_crowd_in_the_handshake(secured: tuple[Server, Any]) -> None:
    server, client = secured
    with contextlib.ExitStack() as stack:
        for number in range(30):
            peer = stack.enter_context(server.connect())
            peer.send((b"", b"\x16\x03\x01\x02", b"\x16")[number % 3])
        assoc = scu().associate(*server.address, tls_args=(client, "127.0.0.1"))
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()


def test_tls_large_objects(secured: tuple[Server, Any]) -> None:
    """Records that hold more than one PDU, and PDUs that take more than one record."""
    server, client = secured
    with (
        server.connect() as raw,
        client.wrap_socket(raw.socket, server_hostname="127.0.0.1") as sock,
    ):
        peer = Peer(sock)
        peer.associate(BOTH)
        command = BEGUN[: 6 + int.from_bytes(BEGUN[2:6], "big")]
        body = b"".join(p_data(pdv(3, 0, bytes(16000))) for _ in range(20))
        for _ in range(3):
            peer.send(command + body + p_data(pdv(3, 2, b"end!")))
            assert peer.pdu()[0] == 4
        peer.release()
    assert [len(data) for data in server.stored] == [320_004] * 3
