"""Any number of seconds is a time-out: also one that no call of the system waits for."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from queue import Empty
from typing import Any

import numpy as np
import pytest

from pynetdicom import AE, _config, evt
from pynetdicom.dimse import inbox, waiting
from pynetdicom.dimse.inbox import Inbox
from pynetdicom.network import addresses, deadlines, waking
from pynetdicom.network.waking import Waker, wait_for
from pynetdicom.upper_layer import pdu as pdus
from tests.faults import tls
from tests.faults.peer import Peer, request
from tests.pair import CT, IMPLICIT, VERIFICATION, Pair, ended
from tests.peers import DEADLINE, Acceptor, ct, listening

TIMEOUTS = ("acse_timeout", "dimse_timeout", "network_timeout", "connection_timeout")
LONG = [
    2**31 - 1,
    10**7,
    2_147_484,  # poll's milliseconds just do not take it
    2**40,
    2**2000,
    1e9,
    1e300,
    float("inf"),
    None,
    45.5,
    np.float32(60),
    np.float64(1e10),
    np.int64(2**40),
    np.int16(50),
    Fraction(121, 2),
    Fraction(2**2000, 3),
    Decimal("1e12"),
    Decimal("Infinity"),
]
WRONG = [-1, -1e9, float("nan"), -float("inf"), True, "5", b"5", [1], 1j, Decimal("nan"), {}]
WRONG += [Decimal("sNaN"), -(10**400), np.float64("nan"), np.bool_(True)]


STORED = [(evt.EVT_C_STORE, lambda event: 0)]


def name_of(value: Any) -> str:
    return f"{type(value).__name__}-{str(value)[:12]}"


def exchange(pair: Pair, **kwargs: Any) -> None:
    """All that time-outs are for: connecting, asking, answering, idling, releasing."""
    assoc = pair.established(**kwargs)
    assert assoc.send_c_echo().Status == 0
    assert assoc.send_c_store(ct(200_000)).Status == 0
    assoc.release()
    assert assoc.is_released, assoc.ended
    ended(assoc)


@pytest.mark.parametrize("value", LONG, ids=name_of)
def test_an_exchange_with_such_time_outs(
    value: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_config, "ARTIM", value)
    with Pair(scp_handlers=STORED) as pair:
        for ae in (pair.scu, pair.scp):
            for name in TIMEOUTS:
                setattr(ae, name, value)
        exchange(pair)
    assert [record.message for record in caplog.records if record.levelname != "INFO"] == []


@pytest.mark.parametrize("name", TIMEOUTS)
@pytest.mark.parametrize("value", [2**31 - 1, 1e9, float("inf"), Fraction(10**9, 7)], ids=name_of)
def test_one_of_them_alone(name: str, value: Any) -> None:
    with Pair(scp_handlers=STORED) as pair:
        setattr(pair.scp, name, value)
        setattr(pair.scu, name, value)
        exchange(pair)


@pytest.mark.parametrize("value", LONG, ids=name_of)
def test_set_on_a_live_association(value: Any) -> None:
    with Pair(scp_handlers=STORED) as pair:
        assoc = pair.established()
        (acceptor,) = pair.server.active_associations
        for one in (assoc, acceptor):
            for name in TIMEOUTS:
                setattr(one, name, value)
        assert assoc.send_c_echo().Status == 0
        assert assoc.send_c_store(ct()).Status == 0
        assoc.release()
        assert assoc.is_released, assoc.ended
        ended(assoc)


@pytest.mark.parametrize("value", LONG, ids=name_of)
def test_over_tls(value: Any) -> None:
    scp = AE("SCP")
    scp.add_supported_context(VERIFICATION)
    scp.acse_timeout = value
    ours, theirs = tls.contexts()
    server = scp.start_server(("127.0.0.1", 0), block=False, ssl_context=ours)
    assert server is not None
    try:
        scu = AE("SCU")
        scu.add_requested_context(VERIFICATION)
        scu.acse_timeout = scu.connection_timeout = value
        assoc = scu.associate("127.0.0.1", server.server_address[1], tls_args=(theirs, "localhost"))
        assert assoc.is_established, assoc.ended
        assert assoc.send_c_echo().Status == 0
        assoc.release()
        ended(assoc)
    finally:
        scp.shutdown()


@pytest.mark.parametrize("value", LONG, ids=name_of)
@pytest.mark.parametrize("name", TIMEOUTS)
def test_what_is_read_back(name: str, value: Any) -> None:
    ae = AE()
    setattr(ae, name, value)
    seconds = getattr(ae, name)
    if value is None or "inf" in str(value).lower() or len(str(value)) > 400:
        assert seconds is None
    else:
        assert isinstance(seconds, (int, float))
        assert seconds == float(value)


@pytest.mark.parametrize("value", WRONG, ids=name_of)
def test_no_number_of_seconds_is_the_default(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    defaults = {name: getattr(AE(), name) for name in TIMEOUTS}
    with Pair(scp_handlers=STORED) as pair:
        assoc = pair.established()
        for name in TIMEOUTS:
            for owner in (pair.scu, assoc):
                caplog.clear()
                setattr(owner, name, value)
                assert getattr(owner, name) == defaults[name]
                assert f"{name} must be a number of seconds or None" in caplog.text
        assert assoc.send_c_echo().Status == 0
        assoc.release()
        ended(assoc)


@pytest.mark.parametrize("zero", [0, Fraction(0)], ids=name_of)
def test_zero_is_at_once(zero: Any) -> None:
    """A peer that never answers is not waited for."""

    def silent(peer: Acceptor) -> None:
        peer.rest()

    with listening(silent) as listener:
        ae = AE()
        ae.add_requested_context(VERIFICATION)
        ae.connection_timeout = 5
        ae.acse_timeout = zero
        assoc = ae.associate("127.0.0.1", listener.port)
        assert assoc.ended is not None
        assert assoc.ended.timer == "acse_timeout"
        ended(assoc)


def test_zero_for_an_answer() -> None:
    def silent(peer: Acceptor) -> None:
        peer.accept()
        peer.rest()

    with listening(silent) as listener:
        ae = AE()
        ae.add_requested_context(VERIFICATION)
        ae.dimse_timeout = 0
        assoc = ae.associate("127.0.0.1", listener.port)
        assert not assoc.send_c_echo()
        assert assoc.ended is not None
        assert assoc.ended.timer == "dimse_timeout"
        ended(assoc)


# A stretch that has become tiny


class Stretches(float):
    """The longest stretch; counts the waits that were cut to it."""

    def __new__(cls) -> Stretches:
        return super().__new__(cls, 0.01)

    def __init__(self) -> None:
        self.count = 0
        self.changed = threading.Condition()

    def __gt__(self, seconds: float) -> bool:
        is_short = float(self) > seconds
        if not is_short:
            self._cut()
        return is_short

    def __lt__(self, seconds: float) -> bool:
        is_long = float(self) < seconds
        if is_long:
            self._cut()
        return is_long

    def _cut(self) -> None:
        with self.changed:
            self.count += 1
            self.changed.notify_all()

    def wait(self, count: int = 8) -> None:
        """Wait until so many more waits have been cut."""
        with self.changed:
            until = self.count + count
            assert self.changed.wait_for(lambda: self.count >= until, DEADLINE)


@pytest.fixture
def stretches(monkeypatch: pytest.MonkeyPatch) -> Stretches:
    one = Stretches()
    for module in (deadlines, inbox, waiting, waking):
        monkeypatch.setattr(module, "LONGEST", one)
    return one


def far(ae: AE) -> AE:
    for name in TIMEOUTS:
        setattr(ae, name, 1e9)
    return ae


@pytest.fixture
def scu() -> AE:
    ae = far(AE("SCU"))
    ae.add_requested_context(VERIFICATION, IMPLICIT)
    ae.add_requested_context(CT, IMPLICIT)
    return ae


def test_each_wait_of_the_requestor_goes_on(scu: AE, stretches: Stretches) -> None:
    def slow(peer: Acceptor) -> None:
        stretches.wait()
        peer.accept()
        context_id, echo = peer.command()
        stretches.wait()
        peer.respond(context_id, echo.response(0))
        assert peer.pdu()[0] == 5
        stretches.wait()
        peer.send(pdus.A_RELEASE_RP().encode())

    with listening(slow) as listener:
        assoc = scu.associate("127.0.0.1", listener.port)
        assert assoc.is_established, assoc.ended
        assert assoc.send_c_echo().Status == 0
        assoc.release()
        assert assoc.is_released, assoc.ended
        ended(assoc)


def test_a_write_goes_on(scu: AE, stretches: Stretches) -> None:
    def reads_late(peer: Acceptor) -> None:
        peer.accept()
        stretches.wait()
        peer.rest()

    with listening(reads_late, receive_buffer=4096) as listener:
        assoc = scu.associate("127.0.0.1", listener.port)
        done = threading.Thread(target=assoc.send_c_store, args=(ct(8 << 20),))
        done.start()
        stretches.wait(30)
        assert assoc.is_established, assoc.ended
        assoc.abort()
        done.join(DEADLINE)
        assert not done.is_alive()
        ended(assoc)


def test_each_wait_of_the_acceptor_goes_on(stretches: Stretches) -> None:
    with Pair(far(AE("SCP"))) as pair, socket.create_connection(("127.0.0.1", pair.port)) as sock:
        peer = Peer(sock)
        stretches.wait()  # in the lobby
        data = request()
        peer.send(data[:20])
        stretches.wait()
        peer.send(data[20:])
        assert peer.pdu()[0] == 2
        (acceptor,) = pair.server.active_associations
        stretches.wait()  # idle
        assert acceptor.is_established
        peer.send(pdus.A_RELEASE_RQ().encode())
        assert peer.pdu()[0] == 6


def test_a_look_up_goes_on(scu: AE, stretches: Stretches, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def slow(host: Any, *args: Any, **kwargs: Any) -> Any:
        stretches.wait()
        return real("127.0.0.1", *args, **kwargs)

    monkeypatch.setattr(addresses.socket, "getaddrinfo", slow)
    with Pair(scp_handlers=STORED) as pair:
        assoc = scu.associate("somewhere.test", pair.port)
        assert assoc.is_established, assoc.ended
        assoc.release()
        ended(assoc)


def test_waiting_for_the_window_goes_on(scu: AE, stretches: Stretches) -> None:
    def slow(peer: Acceptor) -> None:
        peer.accept()
        first = peer.command()
        stretches.wait(30)
        peer.respond(first[0], first[1].response(0))
        peer.serve_echo()
        assert peer.pdu()[0] == 5
        peer.send(pdus.A_RELEASE_RP().encode())

    with listening(slow) as listener:
        assoc = scu.associate("127.0.0.1", listener.port)
        statuses: list[int] = []

        def echo() -> None:
            statuses.append(assoc.send_c_echo().Status)

        threads = [threading.Thread(target=echo) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        assert statuses == [0, 0], assoc.ended
        assoc.release()
        ended(assoc)


def test_a_release_waits_on_for_a_handler(stretches: Stretches) -> None:
    def handle(event: evt.Event) -> int:
        stretches.wait()
        return 0

    with Pair(scp_handlers=[(evt.EVT_C_ECHO, handle)]) as pair:
        far(pair.scu)
        assoc = pair.established()
        thread = threading.Thread(target=assoc.send_c_echo)
        thread.start()
        stretches.wait(2)
        assoc.release()
        assert assoc.is_released, assoc.ended
        thread.join(DEADLINE)
        ended(assoc)


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("has_poll", [True, False])
def test_waiting_for_a_socket_goes_on(
    has_poll: bool,
    sockets: tuple[socket.socket, socket.socket],
    stretches: Stretches,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not has_poll:
        monkeypatch.setattr(waking, "_Selector", selectors.SelectSelector)
    ours, theirs = sockets
    waker = Waker()

    def after_a_while(act: Callable[[], Any]) -> threading.Thread:
        def run() -> None:
            stretches.wait()
            act()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    thread = after_a_while(lambda: theirs.send(b"x"))
    assert wait_for(ours.fileno(), 1e9, waker=waker)
    thread.join(DEADLINE)
    ours.recv(1)
    thread = after_a_while(waker.set)
    assert not wait_for(ours.fileno(), 1e9, waker=waker)
    thread.join(DEADLINE)
    waker.clear()
    assert not wait_for(ours.fileno(), 0.05, waker=waker)
    waker.close()


def test_an_inbox_waits_on(stretches: Stretches) -> None:
    inbox = Inbox()
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(inbox.get(1e9)))
    thread.start()
    stretches.wait()
    assert not found
    inbox.put(None)
    thread.join(DEADLINE)
    assert found == [None]
    with pytest.raises(Empty):
        inbox.get(0.05)
