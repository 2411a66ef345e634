"""`AE` and `Association` as context managers."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from pynetdicom import AE, evt
from tests.pair import DEADLINE, VERIFICATION, Pair, ended, serve
from tests.peers import Call


class Problem(Exception):
    pass


def test_an_association_is_released_at_the_end() -> None:
    with Pair() as pair:
        made = pair.associate()
        with made as assoc:
            assert assoc is made
            assert assoc.is_established
            assert assoc.send_c_echo().Status == 0x0000
        assert assoc.is_released


@pytest.mark.parametrize("error", [Problem, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_association_is_aborted_by_an_exception(error: type[BaseException]) -> None:
    with Pair() as pair:
        with pytest.raises(error), pair.associate() as assoc:
            raise error
        assert assoc.is_aborted
        assert (assoc.ended.kind, assoc.ended.by) == ("aborted", "local")
        ended(assoc)


def test_an_operation_outstanding_is_over_with_the_exception() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def handler(event: evt.Event) -> int:
        begun.set()
        go_on.wait(DEADLINE)
        return 0x0000

    with Pair(scp_handlers=[(evt.EVT_C_ECHO, handler)]) as pair:
        assoc = pair.established()
        call = Call(assoc.send_c_echo)
        assert begun.wait(DEADLINE)
        with pytest.raises(Problem), assoc:
            raise Problem
        assert "Status" not in call.result()
        go_on.set()


def test_an_association_that_did_not_come_about(free_port: int) -> None:
    ae = AE()
    ae.add_requested_context(VERIFICATION)
    with ae.associate("127.0.0.1", free_port) as assoc:
        assert not assoc.is_established
    assert assoc.is_aborted
    assert assoc.ended.kind == "failed"


def test_an_association_that_was_rejected() -> None:
    with Pair() as pair:
        pair.scp.require_called_aet = True
        with pair.associate() as assoc:
            assert assoc.is_rejected
        assert assoc.is_rejected
        with pytest.raises(Problem), pair.associate() as assoc:
            raise Problem
        assert assoc.is_rejected


@pytest.mark.parametrize("end", ["release", "abort", "kill"])
@pytest.mark.parametrize("raises", [False, True])
def test_an_association_that_has_ended_inside(end: str, raises: bool) -> None:
    with Pair() as pair:
        try:
            with pair.associate() as assoc:
                getattr(assoc, end)()
                if raises:
                    raise Problem
        except Problem:
            assert raises
        assert (assoc.is_released, assoc.is_aborted) == (end == "release", end != "release")


def test_an_association_that_the_peer_aborts_inside() -> None:
    with Pair() as pair:
        with pair.associate() as assoc:
            for other in pair.server.active_associations:
                other.abort()
            ended(assoc)
        assert assoc.is_aborted
        assert assoc.ended.by == "peer"


def test_one_within_another() -> None:
    with Pair() as pair:
        with pair.associate() as assoc, assoc as same, pair.associate() as other:
            assert same is assoc
            assert other.send_c_echo().Status == assoc.send_c_echo().Status == 0x0000
        assert assoc.is_released
        assert other.is_released


@pytest.mark.threads("Ctrl-C")
def test_an_interrupt_while_it_is_released(monkeypatch: pytest.MonkeyPatch) -> None:
    with Pair() as pair:
        assoc = pair.established()

        def interrupted() -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(assoc, "release", interrupted)
        with pytest.raises(KeyboardInterrupt), assoc:
            pass
        ended(assoc)
        assert assoc.is_aborted


@pytest.mark.threads("the DUL thread's own wait")
def test_where_it_cannot_be_released() -> None:
    """On the DUL thread, which must not wait for itself."""
    seen: list[Any] = []

    def handler(event: evt.Event) -> None:
        if not seen and event.pdu.pdu_type == 4:
            try:
                with event.assoc:
                    seen.append(event.assoc)
            except RuntimeError as error:
                seen.append(error)

    with Pair(scu_handlers=[(evt.EVT_PDU_RECV, handler)]) as pair:
        assoc = pair.established()
        assert "Status" not in assoc.send_c_echo()
        ended(assoc)
        assert assoc.is_aborted
        assert isinstance(seen[1], RuntimeError)


def test_the_acceptor_s_side_in_a_handler() -> None:
    """The release is done when the handler's answer has been sent."""

    def handler(event: evt.Event) -> int:
        with event.assoc:
            return 0x0107

    with Pair(scp_handlers=[(evt.EVT_C_ECHO, handler)]) as pair:
        assoc = pair.established()
        assert assoc.send_c_echo().Status == 0x0107
        ended(assoc)
        assert assoc.is_released
        assert assoc.ended.by == "peer"


def test_an_ae_is_shut_down_at_the_end() -> None:
    with AE("SCP") as scp, AE("SCU") as scu:
        scp.add_supported_context(VERIFICATION)
        server = scp.start_server(("127.0.0.1", 0), block=False)
        assert server is not None
        port = server.server_address[1]
        scu.add_requested_context(VERIFICATION)
        assoc = scu.associate("127.0.0.1", port)
        assert assoc.is_established
    ended(assoc)
    assert assoc.is_aborted
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


@pytest.mark.parametrize("error", [Problem, KeyboardInterrupt])
def test_an_ae_is_shut_down_by_an_exception(error: type[BaseException]) -> None:
    ae = AE()
    ae.add_supported_context(VERIFICATION)
    server = serve(ae)
    with pytest.raises(error), ae:
        raise error
    assert server.socket.fileno() == -1


def test_an_ae_may_be_used_again_and_within_itself() -> None:
    ae = AE()
    ae.add_supported_context(VERIFICATION)
    ae.add_requested_context(VERIFICATION)
    for _ in range(2):
        with ae, ae as same:
            assert same is ae
            server = ae.start_server(("127.0.0.1", 0), block=False)
            assert server is not None
            with ae.associate(*server.server_address) as assoc:
                assert assoc.send_c_echo().Status == 0x0000
            ae.shutdown()
        assert assoc.is_released
