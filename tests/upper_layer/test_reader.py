from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator

import pytest

from pynetdicom.upper_layer.reader import HAS_EPOLL, ReaderRole
from pynetdicom.upper_layer.transport import Connection

pytestmark = pytest.mark.skipif(not HAS_EPOLL, reason="hand-over of the reader's role needs epoll")

DEADLINE = 300.0
NEVER = 3600.0
"""No wait of a test lasts so long: what ends it has woken it."""


def is_mine(role: ReaderRole) -> bool:
    """Whether the calling thread has the role."""
    return role.holder == threading.get_ident()


class Pair:
    def __init__(self) -> None:
        ours, self.peer = socket.socketpair()
        self.connection = Connection(ours)
        self.role = ReaderRole(self.connection)

    def close(self) -> None:
        self.role.close()
        self.connection.close()
        self.peer.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.close()


def in_thread(call):
    """Run `call` in a thread; gives the thread and the list that its result goes to."""
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    return thread, results


def is_woken(role: ReaderRole) -> bool:
    """Whether the DUL thread gets the role because it is woken, not because its time is up."""
    return role.wait(NEVER)


def test_dul_thread_gets_the_role_when_something_arrives(pair: Pair) -> None:
    pair.peer.send(b"x")
    assert is_woken(pair.role)
    assert is_mine(pair.role)
    pair.role.give_back()
    assert not is_mine(pair.role)


def test_one_event_wakes_the_dul_thread_once(pair: Pair) -> None:
    pair.peer.send(b"x")
    assert is_woken(pair.role)
    # Not armed: neither what was not read nor what comes now wakes anybody.
    pair.peer.send(b"y")
    assert not pair.role.wait(0)
    pair.role.give_back()
    assert is_woken(pair.role)
    pair.role.give_back()


def test_dul_thread_sleeps_while_a_waiter_reads(pair: Pair) -> None:
    assert pair.role.take(from_dul_thread=True)
    pair.peer.send(b"x")
    assert pair.role.wait_readable(DEADLINE)

    assert pair.role._epoll.poll(0.05) == [], "it would be woken for what the waiter reads"
    thread, results = in_thread(lambda: pair.role.wait(0))
    thread.join(DEADLINE)
    assert results == [False]
    pair.role.give_back()
    assert is_woken(pair.role), "what the waiter left unread is the DUL thread's again"
    pair.role.give_back()


def test_role_is_taken_by_one_thread_at_a_time(pair: Pair) -> None:
    assert pair.role.take(from_dul_thread=True)
    thread, results = in_thread(lambda: (pair.role.take(from_dul_thread=True), is_mine(pair.role)))
    thread.join(DEADLINE)
    assert results == [(False, False)]
    pair.role.give_back()


def test_dul_thread_that_was_woken_before_finds_the_role_taken_and_is_woken_again(
    pair: Pair,
) -> None:
    pair.peer.send(b"x")
    assert pair.role._epoll.poll(NEVER)  # the DUL thread is on its way
    assert pair.role.take(from_dul_thread=True)
    thread, results = in_thread(pair.role.take)
    thread.join(DEADLINE)
    assert results == [False]
    pair.role.give_back()
    assert is_woken(pair.role)
    pair.role.give_back()


def test_wake_ends_the_holders_wait(pair: Pair) -> None:
    taken = threading.Event()

    def waiter() -> bool:
        assert pair.role.take(from_dul_thread=True)
        taken.set()
        try:
            return pair.role.wait_readable(NEVER)
        finally:
            pair.role.give_back()

    thread, results = in_thread(waiter)
    assert taken.wait(DEADLINE)
    pair.role.wake()
    thread.join(DEADLINE)
    assert results == [False]


def test_closing_ends_the_holders_wait() -> None:
    """Also where the connection has not been shut down, which would end it too."""
    pair = Pair()
    taken = threading.Event()

    def waiter() -> bool:
        assert pair.role.take(from_dul_thread=True)
        taken.set()
        try:
            return pair.role.wait_readable(NEVER)
        finally:
            pair.role.give_back()

    thread, results = in_thread(waiter)
    assert taken.wait(DEADLINE)
    pair.close()
    thread.join(DEADLINE)
    assert results == [False]


def lasts(pair: Pair) -> bool:
    """Whether the holder's wait lasts until its time is up: nothing is there to wake it."""
    return not pair.role._poll.poll(50) and not pair.role.wait_readable(0.01)


def test_wake_is_harmless_when_nobody_waits(pair: Pair) -> None:
    pair.role.wake()
    assert pair.role.take(from_dul_thread=True)
    assert lasts(pair)
    pair.role.wake()
    pair.peer.send(b"x")
    assert pair.role.wait_readable(DEADLINE)
    pair.role.give_back()


def test_a_finalizer_wakes_its_own_thread_that_is_about_to_wait(pair: Pair) -> None:
    assert pair.role.take(from_dul_thread=True)
    pair.role.wake()
    assert not pair.role.wait_readable(NEVER)
    assert lasts(pair)  # it was woken once
    pair.role.give_back()


def test_wake_waits_for_no_lock_and_is_not_lost(pair: Pair) -> None:
    """It comes in the midst of another, or of `close`."""
    assert pair.role.take(from_dul_thread=True)
    woken = pair.role._waker.set

    def set_and_wake() -> None:
        woken()
        pair.role._waker.clear()  # the holder was quick
        pair.role._waker.set = woken  # type: ignore[method-assign]
        pair.role.wake()  # as in a finalizer, which runs here

    pair.role._waker.set = set_and_wake  # type: ignore[method-assign]
    pair.role.wake()
    assert select.select([pair.role._waker.fileno()], [], [], 0)[0]
    with pair.role._waking:
        thread, results = in_thread(pair.role.wake)
        thread.join(DEADLINE)
        assert results == [None]
    pair.role.give_back()


def test_while_paused_the_dul_thread_sleeps_until_it_is_resumed(pair: Pair) -> None:
    pair.peer.send(b"x")
    assert pair.role.wait(DEADLINE)
    pair.role.is_paused = True
    pair.role.give_back()
    assert pair.role._epoll.poll(0.05) == []
    assert pair.role.wait(0)  # time is up
    assert not pair.role.has_hung_up
    pair.role.give_back()
    thread, results = in_thread(lambda: (pair.role.wait(NEVER), pair.role.give_back()))
    pair.role.resume()
    thread.join(DEADLINE)
    assert results == [(True, None)]
    assert not pair.role.is_paused
    assert is_woken(pair.role), "what was left unread wakes it again"
    pair.role.give_back()


def test_while_paused_the_dul_thread_is_woken_by_the_peers_end(pair: Pair) -> None:
    assert pair.role.take(from_dul_thread=True)
    pair.role.is_paused = True
    pair.role.give_back()
    pair.peer.send(b"x")
    pair.peer.shutdown(socket.SHUT_WR)
    assert pair.role.wait(NEVER)
    assert pair.role.has_hung_up
    pair.role.give_back()


def test_resuming_while_the_pause_is_being_armed(pair: Pair) -> None:
    pair.peer.send(b"x")
    assert pair.role.take(from_dul_thread=True)
    pair.role.is_paused = True
    arm = pair.role._arm

    def slowly(events: int) -> None:
        pair.role._arm = arm  # type: ignore[method-assign]
        pair.role.resume()
        arm(events)

    pair.role._arm = slowly  # type: ignore[method-assign]
    pair.role.give_back()
    assert is_woken(pair.role)
    assert is_mine(pair.role)
    pair.role.give_back()


def test_a_waiter_that_finished_wakes_the_dul_thread(pair: Pair) -> None:
    assert pair.role.take(from_dul_thread=True)
    pair.role.give_back(wake_dul_thread=True)
    assert is_woken(pair.role), "though nothing arrived"
    pair.role.give_back()


def test_giving_back_what_another_thread_has(pair: Pair) -> None:
    assert pair.role.take(from_dul_thread=True)
    thread, _ = in_thread(pair.role.give_back)
    thread.join(DEADLINE)
    assert is_mine(pair.role)
    pair.role.give_back()


def test_who_lost_the_role_in_his_wait_is_woken_and_keeps_others_from_waiting() -> None:
    """As by the handler of a signal, which runs in his thread."""
    pair = Pair()
    assert pair.role.take(from_dul_thread=True)
    waker = pair.role._waker
    assert waker is not None
    pair.role._poller = threading.get_ident()
    pair.role.give_back()
    assert select.select([waker.fileno()], [], [], 0)[0]
    assert not pair.role.take(from_dul_thread=True)
    assert pair.role.take()
    pair.role.give_back()
    # What he waits for stays open until he is out.
    pair.close()
    assert select.select([waker.fileno()], [], [], 0)[0]


def test_closed_role_cannot_be_taken() -> None:
    pair = Pair()
    pair.close()
    assert not pair.role.take()
    assert not pair.role.take(from_dul_thread=True)
    pair.role.wake()
    pair.role.holder = 1  # somebody who has not noticed
    pair.role.wake()
    assert not pair.role.wait_readable(None)
    # And whoever tried does not keep it from others.
    thread, results = in_thread(lambda: pair.role._lock.acquire(blocking=False))
    thread.join(DEADLINE)
    assert results == [True]
