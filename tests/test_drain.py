"""Draining a server: nobody new comes, what is under way is finished, and it ends in time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pynetdicom import AE, Association, evt
from pynetdicom.dimse.command import decode as decode_command
from tests.faults.peer import (
    BOTH,
    RELEASE_RP,
    RELEASE_RQ,
    Peer,
    abort,
    p_data,
    pdv,
    store_command,
    until,
)
from tests.pair import Pair, acceptor_of, ended, serve
from tests.peers import CT, DEADLINE, VERIFICATION, Call, ct

LONG = 3600.0
SOON = 0.1


class Busy:
    """A handler that does not return before it may."""

    def __init__(self) -> None:
        self.begun, self.may_return = threading.Event(), threading.Event()

    def __call__(self, event: Any) -> int:
        self.begun.set()
        assert self.may_return.wait(DEADLINE)
        return 0x0000


@pytest.fixture
def busy() -> Iterator[Busy]:
    found = Busy()
    yield found
    found.may_return.set()


def refuses(pair: Pair) -> bool:
    try:
        socket.create_connection(("127.0.0.1", pair.port), DEADLINE).close()
    except ConnectionRefusedError:
        return True
    return False


def until_refused(pair: Pair, assoc: Association) -> None:
    """Wait until nobody new gets in, which is before the associations are told."""
    until(lambda: assoc._link.idle_timeout is not None)
    assert refuses(pair)


def is_in_the_midst(assoc: Association) -> bool:
    return bool(assoc._performer._indications.assembler.context_id)


def test_without_associations_it_is_at_once() -> None:
    with Pair() as pair:
        assert pair.server.drain(LONG) == 0
        assert refuses(pair)
        assert pair.scp._running.servers == set()


def test_an_operation_under_way_is_finished_and_more_may_follow(busy: Busy) -> None:
    """The peer goes on until it releases: nothing is aborted."""
    with Pair(scp_handlers=[(evt.EVT_C_ECHO, busy)]) as pair:
        assoc = pair.established()
        acceptor = acceptor_of(pair)
        echo = Call(assoc.send_c_echo)
        assert busy.begun.wait(DEADLINE)
        drain = Call(pair.server.drain, LONG, idle=LONG)
        until_refused(pair, acceptor)
        busy.may_return.set()
        assert echo.result().Status == 0x0000
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()
        assert drain.result() == 0
        assert assoc.is_released
        assert acceptor.is_released


def test_who_has_nothing_to_do_is_aborted_first(busy: Busy) -> None:
    """Though there is time left; who has something to do is not."""
    with Pair(scp_handlers=[(evt.EVT_C_ECHO, busy)]) as pair:
        idle, at_work = pair.established(), pair.established()
        echo = Call(at_work.send_c_echo)
        assert busy.begun.wait(DEADLINE)
        drain = Call(pair.server.drain, LONG, idle=SOON)
        ended(idle)
        assert idle.ended is not None
        assert (idle.ended.kind, idle.ended.by, idle.ended.source) == ("aborted", "peer", 0)
        assert at_work.is_established
        busy.may_return.set()
        assert echo.result().Status == 0x0000
        assert drain.result() == 0
        ended(at_work)
        assert at_work.is_aborted


def test_who_is_in_the_midst_of_a_message_is_not_idle() -> None:
    """It is answered; what it does not send is not waited for after that."""
    with Pair(scp_handlers=[(evt.EVT_C_STORE, lambda event: 0x0000)]) as pair:
        idle = pair.established()
        with Peer.connect(("127.0.0.1", pair.port)) as peer:
            peer.associate(BOTH)
            peer.send(p_data(pdv(3, 3, store_command())) + p_data(pdv(3, 0, bytes(500))))
            until(lambda: any(map(is_in_the_midst, pair.server.active_associations)))
            drain = Call(pair.server.drain, LONG, idle=SOON)
            ended(idle)
            peer.send(p_data(pdv(3, 2, b"\x08\0\x18\0\x08\0\0\x001.2.3.4\0")))
            assert decode_command(peer.pdu()[12:])[0]["Status"] == 0x0000
            assert peer.pdu() == abort(0, 0)
        assert drain.result() == 0


def test_who_releases_is_answered(busy: Busy) -> None:
    with Pair() as pair, Peer.connect(("127.0.0.1", pair.port)) as peer:
        peer.associate(BOTH)
        drain = Call(pair.server.drain, LONG, idle=LONG)
        until_refused(pair, pair.server.all_associations()[0])
        peer.send(RELEASE_RQ)
        assert peer.pdu() == RELEASE_RP
        assert drain.result() == 0


def test_when_the_time_is_up_the_rest_is_aborted(
    busy: Busy, caplog: pytest.LogCaptureFixture
) -> None:
    with Pair(scp_handlers=[(evt.EVT_C_ECHO, busy)]) as pair:
        assoc = pair.established()
        echo = Call(assoc.send_c_echo)
        assert busy.begun.wait(DEADLINE)
        assert pair.server.drain(SOON) == 1
        assert assoc.is_aborted
        busy.may_return.set()
        assert "Status" not in echo.result()
    assert "1 associations are aborted, their time is up" in caplog.text


def test_shutdown_ends_it_at_once(busy: Busy) -> None:
    with Pair(scp_handlers=[(evt.EVT_C_ECHO, busy)]) as pair:
        assoc = pair.established()
        acceptor = acceptor_of(pair)
        echo = Call(assoc.send_c_echo)
        assert busy.begun.wait(DEADLINE)
        drain = Call(pair.server.drain, LONG, idle=LONG)
        until_refused(pair, acceptor)
        busy.may_return.set()
        pair.scp.shutdown()
        drain.result()
        echo.result()
        assert not assoc.is_established


def test_associations_that_we_requested_go_on() -> None:
    """And those of other servers of the AE."""
    with Pair() as other:
        ae = AE("BOTH")
        ae.add_requested_context(VERIFICATION)
        ae.add_supported_context(VERIFICATION)
        with ae:
            one, two = serve(ae), serve(ae)
            ours = ae.associate("127.0.0.1", other.port)
            theirs = ae.associate("127.0.0.1", two.server_address[1])
            assert one.drain(LONG) == 0
            assert ours.send_c_echo().Status == 0x0000
            assert theirs.send_c_echo().Status == 0x0000


def test_a_window_of_several_operations(busy: Busy) -> None:
    """As long as one of them is served, nobody is idle."""
    scp = AE("SCP")
    scp.window = (4, 4)
    scp.add_supported_context(CT)
    scp.add_supported_context(VERIFICATION)
    handlers = [(evt.EVT_C_STORE, lambda event: 0x0000), (evt.EVT_C_ECHO, busy)]
    with Pair(scp, scp_handlers=handlers) as pair:
        idle, assoc = pair.established(), pair.established(window=(4, 4))
        echo = Call(assoc.send_c_echo)
        assert busy.begun.wait(DEADLINE)
        drain = Call(pair.server.drain, LONG, idle=SOON)
        ended(idle)
        assert assoc.send_c_store(ct()).Status == 0x0000
        busy.may_return.set()
        assert echo.result().Status == 0x0000
        assert drain.result() == 0
