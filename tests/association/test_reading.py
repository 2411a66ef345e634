"""Who reads: the Association thread wherever it waits, and the DUL thread once that is busy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pynetdicom import AE, Association, evt
from pynetdicom.handlers import Handlers
from pynetdicom.testing import pdus
from tests.faults.peer import Peer, abort, echo_rq, request, until
from tests.peers import DEADLINE, VERIFICATION, Acceptor, Call, listening, requestor

pytestmark = pytest.mark.threads("in a loop there is a strand that reads, from the first")


@contextmanager
def serving(*handlers: Any) -> Iterator[tuple[AE, tuple[Any, ...]]]:
    ae = AE("SCP")
    ae.add_supported_context(VERIFICATION)
    # Nobody is to be helped by a time-out.
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 3600
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers))
    assert server is not None
    with ae:
        yield ae, server.server_address[:2]


@contextmanager
def asked(*handlers: Any) -> Iterator[tuple[Peer, Association]]:
    """A peer that has associated, and the acceptor."""
    with serving(*handlers) as (ae, address), Peer.connect(address) as peer:
        peer.associate(request())
        assert until(lambda: ae.active_associations, DEADLINE)
        (acceptor,) = ae.active_associations
        yield peer, acceptor


def readers() -> list[str]:
    return sorted(one.name for one in threading.enumerate() if one.name.endswith("-DUL"))


def test_the_dul_thread_is_started_for_the_first_handler() -> None:
    during: list[list[str]] = []

    def handle(event: evt.Event) -> int:
        during.append(readers())
        return 0x0000

    with serving() as (_, address):
        scu = requestor(VERIFICATION)
        with scu.associate(*address) as assoc:
            assert [assoc.send_c_echo().Status for _ in range(3)] == [0, 0, 0]
            assert readers() == []  # nothing was called
    with serving((evt.EVT_C_ECHO, handle)) as (_, address):
        with scu.associate(*address) as assoc:
            assert readers() == []
            assert [assoc.send_c_echo().Status for _ in range(3)] == [0, 0, 0]
            assert during == [["pynetdicom-acceptor-DUL"]] * 3
        assert until(lambda: not readers(), DEADLINE)
        with scu.associate(*address, evt_handlers=[(evt.EVT_ACCEPTED, handle)]) as assoc:
            assert during.pop() == ["pynetdicom-requestor-DUL"]
            assert assoc.send_c_echo().Status == 0x0000
    assert until(lambda: not readers(), DEADLINE)


@pytest.mark.parametrize("says", [abort(0, 0), b""], ids=["A-ABORT", "closes"])
def test_the_end_is_seen_in_the_first_handler(says: bytes) -> None:
    """And so in one that is told of the negotiation."""
    begun, seen = threading.Event(), threading.Event()

    def handle(event: evt.Event) -> int:
        begun.set()
        if until(lambda: event.assoc.ended, DEADLINE):
            seen.set()
        return 0x0000

    for event in (evt.EVT_C_ECHO, evt.EVT_ESTABLISHED, evt.EVT_REQUESTED, evt.EVT_CONN_OPEN):
        begun.clear()
        seen.clear()
        with serving((event, handle)) as (_, address), Peer.connect(address) as peer:
            peer.send(request())
            if event is evt.EVT_C_ECHO:
                peer.pdu()
                peer.send(echo_rq())
            assert begun.wait(DEADLINE)
            peer.send(says)
            peer.shut()
            assert seen.wait(DEADLINE)


def test_it_ends_while_it_waits_for_the_peer_to_read() -> None:
    """The Association thread writes an answer for which no handler was asked."""
    with asked() as (peer, acceptor):
        waits = threading.Event()

        def wait_writable(*args: Any) -> bool:
            waits.set()
            return not until(lambda: acceptor.ended, DEADLINE)

        connection: Any = acceptor.dul.connection
        connection.wait_writable = wait_writable
        connection.push = lambda buffers: 0  # the kernel takes nothing
        peer.send(echo_rq())
        assert waits.wait(DEADLINE)
        peer.send(abort(0, 0))
        assert until(lambda: acceptor.ended, DEADLINE)
        assert (acceptor.ended.kind, acceptor.ended.by) == ("aborted", "peer")
        acceptor.join(DEADLINE)
        assert not acceptor.is_alive()


def test_it_ends_while_it_waits_for_its_turn_to_write() -> None:
    with asked() as (peer, acceptor):

        def write() -> None:
            peer.send(echo_rq())
            # The one that would answer it waits for this thread.
            assert until(lambda: acceptor.dul.is_alive(), DEADLINE)
            peer.send(abort(0, 0))
            assert until(lambda: acceptor.ended, DEADLINE)

        acceptor.dul.driver.writer.hold.run(write)
        assert (acceptor.ended.kind, acceptor.ended.by) == ("aborted", "peer")


def test_what_the_peer_said_before_our_write_failed() -> None:
    """The Association thread finds the connection broken when it answers, and has not read."""
    with asked() as (peer, acceptor):
        connection: Any = acceptor.dul.connection

        def push(buffers: Any) -> int:
            peer.send(abort(2, 6))
            raise BrokenPipeError

        connection.push = push
        peer.send(echo_rq())
        assert until(lambda: acceptor.ended, DEADLINE)
        assert (acceptor.ended.kind, acceptor.ended.by) == ("aborted", "peer")
        assert acceptor.ended.reason == 6


@pytest.mark.parametrize("how", ["release", "abort", "kill", "time-out", "server"])
def test_it_is_woken_where_it_reads(how: str) -> None:
    """By any other thread that wants something of it."""
    with serving() as (ae, address):
        assoc = requestor(VERIFICATION).associate(*address)
        assert assoc.send_c_echo().Status == 0x0000
        (acceptor,) = ae.active_associations
        assert until(lambda: assoc.dul.reader and acceptor.dul.reader, DEADLINE)
        assert assoc.dul.reader == assoc.ident
        calls: dict[str, Callable[[], Any]] = {
            "release": assoc.release,
            "abort": assoc.abort,
            "kill": assoc.kill,
            "time-out": lambda: setattr(assoc, "network_timeout", 0.01),
            "server": ae.shutdown,
        }
        Call(calls[how]).result()
        for one in (assoc, acceptor):
            one.join(DEADLINE)
            assert not one.is_alive()
            assert one.dul.connection.fileno() == -1
        assert assoc.is_released is (how == "release")


def test_a_finalizer_where_it_reads() -> None:
    """One that runs when the thread has looked and is about to wait: it wants something of it."""
    with serving() as (_, address):
        assoc = requestor(VERIFICATION).associate(*address)
        watch: Any = assoc.dul._watch
        wait = watch.wait

        def finalized(*args: Any, **kwargs: Any) -> bool:
            if threading.get_ident() == assoc.ident:
                watch.wait = wait
                assoc._release_later()
            return bool(wait(*args, **kwargs))

        watch.wait = finalized
        assert assoc.send_c_echo().Status == 0x0000  # after which it waits again
        assoc.join(DEADLINE)
        assert assoc.is_released


def test_a_finalizer_that_asks_on_the_association_thread() -> None:
    """Where that is about to wait, and nobody reads: its request is answered all the same."""
    with serving() as (_, address):
        assoc = requestor(VERIFICATION).associate(*address)
        performer: Any = assoc._performer
        patience, statuses = performer._patience, []

        def finalized() -> Any:
            performer._patience = patience
            statuses.append(assoc.send_c_echo().get("Status"))
            return patience()

        performer._patience = finalized
        assoc._link.inbox.put(None)
        assert until(lambda: statuses, DEADLINE)
        assert statuses == [0x0000]
        assert assoc.dul.is_alive()
        assoc.release()
        assert assoc.is_released


def test_another_thread_leaves_reading_as_a_handler_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is called before a handler is there when it is looked for, and gone after that."""
    looked: list[Callable[[], None]] = [lambda: None]
    before = property(lambda self: looked.pop() if looked else None, lambda self, value: None)
    monkeypatch.setattr(Handlers, "before", before)
    assert Handlers(AE()).run(evt.EVT_C_ECHO, lambda: 7) == 7
    assert not looked


def test_no_thread_for_the_first_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The association is aborted: nobody would hear the peer meanwhile."""
    start = threading.Thread.start

    def refuse(self: threading.Thread) -> None:
        if self.name.endswith("acceptor-DUL"):
            raise RuntimeError("can't start new thread")
        start(self)

    with asked((evt.EVT_C_ECHO, lambda event: 0x0000)) as (peer, acceptor):
        monkeypatch.setattr(threading.Thread, "start", refuse)
        peer.send(echo_rq())
        assert peer.rest() == abort(2, 0)
        assert isinstance(acceptor.ended.error, RuntimeError)
        acceptor.join(DEADLINE)
        assert not acceptor.is_alive()


def test_requests_that_come_together_are_all_served() -> None:
    """The first of them has a handler called, so that another thread reads what is left."""
    handled: list[int] = []

    def handle(event: evt.Event) -> int:
        handled.append(event.message_id)
        return 0x0000

    with asked((evt.EVT_C_ECHO, handle)) as (peer, _):
        numbers = range(1, 9)
        peer.send(b"".join(echo_rq(number) for number in numbers))
        for _ in numbers:
            peer.pdu()
        peer.send(echo_rq(9)[:-7])
        peer.send(echo_rq(9)[-7:])
        peer.pdu()
        assert handled == [*numbers, 9]
        peer.release()


def test_what_comes_with_the_acceptance() -> None:
    """The peer's own request is in the same segment as its A-ASSOCIATE-AC."""
    answered = threading.Event()

    def script(peer: Acceptor) -> None:
        acceptance = pdus.acceptance(peer.expect("A-ASSOCIATE-RQ")).encode()
        peer.send(acceptance + echo_rq(7))
        peer.command()
        answered.set()
        peer.rest()

    with listening(script) as listener:
        assoc = requestor(VERIFICATION).associate("127.0.0.1", listener.port)
        assert assoc.is_established
        assert answered.wait(DEADLINE)
        assoc.abort()
