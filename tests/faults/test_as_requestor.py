"""Faults as requestor: what an acceptor does wrong, and what becomes of it."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pynetdicom import _config, evt
from pynetdicom.dimse.primitives import C_ECHO, C_STORE, Primitive
from pynetdicom.errors import NothingAccepted
from pynetdicom.network import dul
from pynetdicom.testing.pdus import acceptance
from pynetdicom.upper_layer import items
from tests.faults import tls
from tests.faults.peer import CT, IMPLICIT, RELEASE_RP, VERIFICATION, abort, p_data, pdv, reject
from tests.peers import Acceptor, ct, listening, requestor

EXPLICIT = "1.2.840.10008.1.2.1"
NONE_OF_THEM = "none of the transfer syntaxes is supported"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for the peer's close takes 0.2 s instead of 2."""
    monkeypatch.setattr(dul, "LINGER", 0.2)


@contextlib.contextmanager
def associated(script: Any, **kwargs: Any) -> Iterator[Any]:
    """An association with an acceptor that has the script."""
    with listening(script) as listener:
        ae = requestor()
        try:
            yield ae.associate("127.0.0.1", listener.port, **kwargs)
        finally:
            ae.shutdown()


def answer(context_id: int, result: int = 0, syntax: str = IMPLICIT) -> Any:
    return items.PresentationContextAC(context_id=context_id, result=result, transfer_syntax=syntax)


def releases(peer: Acceptor) -> None:
    assert peer.pdu()[0] == 5
    peer.send(RELEASE_RP)


@pytest.mark.parametrize(
    ("answers", "usable"),
    [
        ([answer(1), answer(5)], [1]),
        ([answer(1), answer(3), answer(3)], [1]),
        ([answer(1), answer(3, 0, EXPLICIT)], [1]),
        ([answer(1), answer(3, 5)], [1]),
        ([answer(1), answer(3, 255)], [1]),
        ([answer(1)], [1]),
    ],
    ids=["unproposed", "twice", "syntax", "result 5", "result 255", "unanswered"],
)
def test_contexts(answers: list[Any], usable: list[int]) -> None:
    def script(peer: Acceptor) -> None:
        peer.accept(*answers)
        peer.serve_echo()
        releases(peer)

    with associated(script) as assoc:
        assert assoc.is_established
        assert [c.context_id for c in assoc.accepted_contexts] == usable
        assert {c.context_id for c in assoc.rejected_contexts} == {1, 3} - set(usable)
        named = rf"no accepted presentation context for CTImageStorage \({CT}\)"
        with pytest.raises(ValueError, match=named):
            assoc.send_c_store(ct())
        assert assoc.send_c_echo().Status == 0
        assoc.release()
        assert assoc.is_released


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        (
            [answer(5), answer(1, 0, EXPLICIT), answer(3), answer(3)],
            (
                "it was accepted with a transfer syntax that was not proposed",
                "it was answered more than once",
            ),
        ),
        ([answer(5)], ("it was not answered", "it was not answered")),
        ([answer(1, 3), answer(3, 1)], ("abstract syntax not supported", "user rejected")),
        ([answer(1, 2), answer(3, 255)], ("provider rejected", "result 255")),
        (
            [answer(1, 4), answer(3, 4)],
            2 * (f"{NONE_OF_THEM}: ImplicitVRLittleEndian ({IMPLICIT})",),
        ),
    ],
    ids=["unusable", "unanswered", "refused", "other results", "transfer syntaxes"],
)
def test_no_context_is_accepted(answers: list[Any], why: tuple[str, str]) -> None:
    aborts = []

    def script(peer: Acceptor) -> None:
        peer.accept(*answers)
        aborts.append(peer.pdu())

    with associated(script) as assoc:
        assert not assoc.is_established
        assert assoc.is_aborted
        assert isinstance(assoc.ended.error, NothingAccepted)
        assert str(assoc.ended) == (
            "aborted by the local side: no presentation context was accepted:"
            f" Verification ({VERIFICATION}): {why[0]}; CTImageStorage ({CT}): {why[1]}"
        )
        assert {c.context_id for c in assoc.rejected_contexts} == {1, 3}
        with pytest.raises(RuntimeError):
            assoc.send_c_echo()
    assert aborts == [abort(0, 0)]


def test_answers_to_what_was_not_proposed(caplog: pytest.LogCaptureFixture) -> None:
    def script(peer: Acceptor) -> None:
        ac = acceptance(peer.expect("A-ASSOCIATE-RQ"))
        role = items.SCP_SCU_RoleSelectionNegotiation(
            sop_class_uid=VERIFICATION, scu_role=False, scp_role=True
        )
        window = items.AsynchronousOperationsWindowNegotiation(
            maximum_number_operations_invoked=7, maximum_number_operations_performed=7
        )
        identity = items.UserIdentityNegotiation(server_response=b"\x1b[31m")
        ac.user_information += [role, window, identity]
        peer.send(ac.encode())
        peer.serve_echo()
        releases(peer)

    with associated(script) as assoc:
        assert assoc.send_c_echo().Status == 0
        assoc.release()
    assert caplog.text.count("ignored") == 3


@pytest.mark.parametrize("values", [(9, 9, 9), (0, 0, 0), (1, 1, 200), (2, 3, 2)])
def test_rejections(values: tuple[int, int, int], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    seen: list[Any] = []

    def script(peer: Acceptor) -> None:
        peer.pdu()
        peer.send(reject(*values))
        assert peer.rest() == b""

    handlers = [(evt.EVT_REJECTED, seen.append)]
    with associated(script, evt_handlers=handlers) as assoc:
        assert assoc.is_rejected
        assert not assoc.is_established
        assert not assoc.is_aborted
        ended = assoc.ended
        assert (ended.result, ended.source, ended.reason) == values
        assert ended.by == "peer"
        if values != (2, 3, 2):
            assert all(str(value) in str(ended) for value in values[1:])
        assoc.join(60)
    assert len(seen) == 1
    # Seen where nobody has configured logging, as all that a request came to nothing for.
    told = [r for r in caplog.records if "rejected" in r.getMessage()]
    assert [r.levelname for r in told] == ["ERROR"]


@pytest.mark.parametrize("fault", ["RJ", "AC junk", "abort"])
def test_socket_kept_open(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever keeps the socket does not keep us: ARTIM in Sta13, or AA-3 and AE-4 close at once."""
    sent = {"RJ": reject(1, 1, 1), "AC junk": b"\x02\0\0\0\0\4junk", "abort": abort(0, 0)}[fault]

    if fault == "abort":
        monkeypatch.setattr(dul, "LINGER", 3600)

    def script(peer: Acceptor) -> None:
        peer.pdu()
        peer.send(sent)
        rest = peer.rest()  # we close; the peer never does
        assert rest[:9] == (abort(2, 6)[:9] if fault == "AC junk" else b"")

    with associated(script) as assoc:
        assert not assoc.is_established
        assert assoc.is_rejected is (fault == "RJ")
        assert assoc.is_aborted is (fault != "RJ")
        assoc.join(60)
        assert not assoc.is_alive()


def echo_rsp(message_id: int, status: int | None = 0) -> Primitive:
    return C_ECHO(
        MessageIDBeingRespondedTo=message_id, AffectedSOPClassUID=VERIFICATION, Status=status
    )


def test_stray_responses_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    def script(peer: Acceptor) -> None:
        peer.accept()
        context_id, request = peer.command()
        for number in range(50):
            peer.respond(context_id, echo_rsp(1000 + number, 0xC000))
        peer.respond(context_id, request.response(0))
        releases(peer)

    with associated(script) as assoc:
        assert assoc.send_c_echo().Status == 0
        assoc.release()
        assert assoc.is_released
    assert caplog.text.count("answers nothing") == 50


def test_too_many_stray_responses() -> None:
    assert _config.MAXIMUM_STRAY_RESPONSES == 100

    def script(peer: Acceptor) -> None:
        peer.accept()
        context_id, _ = peer.command()
        for number in range(101):
            peer.respond(context_id, echo_rsp(1000 + number))
        assert peer.exactly(10) == abort(0, 0)

    with associated(script) as assoc:
        assert len(assoc.send_c_echo()) == 0
        assert (assoc.ended.kind, assoc.ended.by) == ("aborted", "local")


WRONG: dict[str, Callable[[int], tuple[int, Primitive]]] = {
    "another kind": lambda i: (
        1,
        C_STORE(
            MessageIDBeingRespondedTo=i,
            AffectedSOPClassUID=CT,
            AffectedSOPInstanceUID="1.2",
            Status=0,
        ),
    ),
    "another context": lambda i: (3, echo_rsp(i)),
    "without Status": lambda i: (1, echo_rsp(i, None)),
}


@pytest.mark.parametrize("fault", WRONG)
def test_wrong_responses(fault: str) -> None:
    def script(peer: Acceptor) -> None:
        peer.accept()
        _, request = peer.command()
        assert request.MessageID is not None
        peer.respond(*WRONG[fault](request.MessageID))
        assert peer.exactly(10) == abort(0, 0)

    with associated(script) as assoc:
        status = assoc.send_c_echo()
        assert len(status) == 0
        assert "Status" not in status
        assert (assoc.ended.kind, assoc.ended.by) == ("aborted", "local")
        assert assoc.ended.error is not None
        with pytest.raises(RuntimeError):
            assoc.send_c_echo()


def test_a_data_set_that_was_not_announced() -> None:
    def script(peer: Acceptor) -> None:
        peer.accept()
        context_id, request = peer.command()
        response = request.response(0).encode()
        peer.send(p_data(pdv(context_id, 3, response), pdv(context_id, 2, b"data")))
        assert peer.exactly(10) == abort(0, 0)

    with associated(script) as assoc:
        status = assoc.send_c_echo()
        assert status.get("Status", 0) == 0  # it was answered before that came
        assoc.join(60)
        assert (assoc.ended.kind, assoc.ended.by) == ("aborted", "local")


def test_more_responses_after_the_final_one(caplog: pytest.LogCaptureFixture) -> None:
    def script(peer: Acceptor) -> None:
        peer.accept()
        for _ in range(3):
            context_id, request = peer.command()
            peer.respond(context_id, request.response(0))
            peer.respond(context_id, request.response(0xC000))
        releases(peer)

    with associated(script) as assoc:
        for _ in range(3):
            assert assoc.send_c_echo().Status == 0
        assoc.release()
        assert assoc.is_released
    assert caplog.text.count("answers nothing") == 3


def test_more_responses_for_a_chosen_message_id() -> None:
    """A late answer never fits the next operation, unless the caller himself says so."""

    def script(peer: Acceptor) -> None:
        peer.accept()
        context_id, request = peer.command()
        peer.respond(context_id, request.response(0))
        peer.respond(context_id, request.response(0x0122))
        context_id, request = peer.command()
        peer.respond(context_id, request.response(0))
        releases(peer)

    with associated(script) as assoc:
        assert assoc.send_c_echo(msg_id=1).Status == 0
        status = assoc.send_c_echo()
        assert (status.Status, status.message_id != 1) == (0, True)
        assoc.release()


def test_a_request_that_is_answered_before_it_is_complete() -> None:
    """A peer that is full says so early; the rest is sent all the same."""

    def script(peer: Acceptor) -> None:
        peer.accept()
        context_id, request = peer.command()
        peer.respond(context_id, request.response(0xA700))
        while peer.pdu()[11] != 2:
            pass
        peer.serve_echo()
        releases(peer)

    with associated(script) as assoc:
        assert assoc.send_c_store(ct(3_000_000)).Status == 0xA700
        assert assoc.send_c_echo().Status == 0
        assoc.release()
        assert assoc.is_released


def test_the_peer_releases_while_an_answer_is_awaited() -> None:
    def script(peer: Acceptor) -> None:
        peer.accept()
        peer.command()
        peer.send(bytes.fromhex("05 00 00000004 00000000"))
        assert peer.pdu() == RELEASE_RP

    with associated(script) as assoc:
        assert len(assoc.send_c_echo()) == 0
        # Known as soon as the caller has nothing.
        assert (assoc.ended.kind, assoc.ended.by) == ("released", "peer")


def test_the_peer_releases_in_the_midst_of_files(tmp_path: Any) -> None:
    path = tmp_path / "ct.dcm"
    ct().save_as(path, enforce_file_format=True)

    def script(peer: Acceptor) -> None:
        peer.accept()
        peer.command()
        peer.pdu()
        peer.send(bytes.fromhex("05 00 00000004 00000000"))
        assert peer.pdu() == RELEASE_RP

    with associated(script) as assoc:
        results = list(assoc.send_c_stores([path] * 10))
        assert len(results) == 10, "each file is named, those that were not sent as well"
        assert all("released by the peer" in status.problem for _, status in results)


@pytest.mark.parametrize("reset", [False, True])
def test_the_connection_is_lost(reset: bool) -> None:
    def script(peer: Acceptor) -> None:
        peer.accept()
        peer.command()
        peer.reset() if reset else peer.close()

    with associated(script) as assoc:
        assert len(assoc.send_c_echo()) == 0
        assert assoc.is_aborted
        assert assoc.ended.by == "network"


def test_a_peer_that_falls_silent() -> None:
    """With nothing outstanding either way."""

    def script(peer: Acceptor) -> None:
        peer.accept()
        peer.serve_echo()
        assert peer.exactly(10) == abort(0, 0)

    with listening(script) as listener:
        assoc = requestor().associate("127.0.0.1", listener.port)
        assert assoc.send_c_echo().Status == 0
        assoc.network_timeout = 0.3
        assoc.join(60)
        assert (assoc.ended.kind, assoc.ended.by) == ("aborted", "local")
        assert assoc.ended.timer == "network_timeout"


# No association comes about


def check_failed(assoc: Any, kind: str = "failed", by: str = "network") -> Any:
    assert not assoc.is_established
    assert assoc.is_aborted
    assert not assoc.is_rejected
    assert (assoc.ended.kind, assoc.ended.by) == (kind, by)
    assert "\n" not in str(assoc.ended)
    assoc.join(60)
    assert not assoc.is_alive()
    return assoc.ended


def test_refused(free_port: int) -> None:
    assoc = requestor().associate("127.0.0.1", free_port)
    assert isinstance(check_failed(assoc).error, ConnectionRefusedError)


@pytest.mark.parametrize("code", [errno.ENETUNREACH, errno.EHOSTUNREACH])
def test_unreachable(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    class Unreachable(socket.socket):
        def connect_ex(self, address: Any) -> int:
            return code

    monkeypatch.setattr(socket, "socket", Unreachable)
    assoc = requestor().associate("127.0.0.1", 104)
    ended = check_failed(assoc)
    assert ended.error.errno == code
    assert ended.timer is None
    assert "127.0.0.1 port 104" in str(ended)


def test_name_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    assoc = requestor().associate("no.such.host.invalid", 104)
    check_failed(assoc)
    assert "cannot be looked up" in str(assoc.ended)


def test_connection_timeout() -> None:
    """A listener whose queue is full answers nothing."""
    with socket.socket() as full, contextlib.ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        ae = requestor(connection_timeout=0.2)
        assoc = ae.associate("127.0.0.1", full.getsockname()[1])
        assert check_failed(assoc).timer == "connection_timeout"


def test_acse_timeout() -> None:
    def script(peer: Acceptor) -> None:
        peer.pdu()
        assert peer.exactly(10) == abort(0, 0)

    with listening(script) as listener:
        assoc = requestor(acse_timeout=0.2).associate("127.0.0.1", listener.port)
        assert check_failed(assoc, "aborted", "local").timer == "acse_timeout"


def test_closed_instead_of_an_answer() -> None:
    def script(peer: Acceptor) -> None:
        peer.pdu()
        peer.close()

    with associated(script) as assoc:
        check_failed(assoc, "aborted", "network")


def test_aborted_instead_of_an_answer() -> None:
    def script(peer: Acceptor) -> None:
        peer.pdu()
        peer.send(abort(2, 0))

    with associated(script) as assoc:
        check_failed(assoc, "aborted", "peer")


def test_tls_refused_by_a_peer_without() -> None:
    _, client = tls.contexts()

    def script(peer: Acceptor) -> None:
        peer.socket.recv(100)
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peer.rest()

    with associated(script, tls_args=(client, "127.0.0.1")) as assoc:
        check_failed(assoc)
        assert isinstance(assoc.ended.error, ssl.SSLError)


def test_tls_certificate_not_trusted() -> None:
    server, _ = tls.contexts()

    def script(peer: Acceptor) -> None:
        with (
            contextlib.suppress(OSError),
            server.wrap_socket(peer.socket, server_side=True) as secured,
        ):
            secured.recv(1)

    with associated(script, tls_args=(ssl.create_default_context(), "127.0.0.1")) as assoc:
        check_failed(assoc)
        assert isinstance(assoc.ended.error, ssl.SSLCertVerificationError)
