"""pynetdicom.association.invoking: C-ECHO, Message IDs, and what ends the wait for an answer."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pynetdicom import AE, evt
from pynetdicom.dimse.primitives import C_ECHO
from pynetdicom.network import dul
from pynetdicom.testing.pdus import acceptance
from pynetdicom.upper_layer import items
from pynetdicom.upper_layer import pdu as pdus
from tests.faults.peer import VERIFICATION, p_data, pdv
from tests.peers import DEADLINE, Acceptor, Call, listening, requestor


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dul, "LINGER", 0.2)


@pytest.fixture
def assoc() -> Iterator[Any]:
    """An association with an SCP of ours."""
    scp, scu = AE(), requestor()
    scp.add_supported_context(VERIFICATION)
    server = scp.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    yield scu.associate("127.0.0.1", server.server_address[1])
    scu.shutdown()
    scp.shutdown()


def test_the_status_is_a_data_set(assoc: Any) -> None:
    status = assoc.send_c_echo()
    assert isinstance(status, Dataset)
    assert status.Status == 0
    assert status[0x00000900].VR == "US"
    assert len(status) == 1
    status.Status = 5  # it is the caller's own
    assert assoc.send_c_echo().Status == 0


def test_message_ids_are_counted_up_unless_given(assoc: Any) -> None:
    assert [assoc.send_c_echo().message_id for _ in range(3)] == [1, 2, 3]
    assert assoc.send_c_echo(msg_id=5).message_id == 5
    assert assoc.send_c_echo(5).message_id == 5
    # 5 is not reused at once: a late answer to it must not fit.
    assert [assoc.send_c_echo().message_id for _ in range(2)] == [4, 6]


@pytest.mark.parametrize(
    ("msg_id", "error"), [(-1, ValueError), (65536, ValueError), ("1", TypeError), (1.0, TypeError)]
)
def test_message_ids_that_are_none(assoc: Any, msg_id: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        assoc.send_c_echo(msg_id)
    assert assoc.send_c_echo(0).Status == 0
    assert assoc.send_c_echo(65535).Status == 0


def test_a_message_id_that_is_outstanding() -> None:
    asked, go_on = threading.Event(), threading.Event()

    def script(peer: Acceptor) -> None:
        peer.accept()
        context_id, request = peer.command()
        asked.set()
        go_on.wait(DEADLINE)
        peer.respond(context_id, request.response(0))
        peer.rest_until_abort()

    with listening(script) as listener:
        ae = requestor()
        assoc = ae.associate("127.0.0.1", listener.port)
        call = Call(assoc.send_c_echo, 9)
        assert asked.wait(DEADLINE)
        with pytest.raises(ValueError, match="9"):
            assoc.send_c_echo(9)
        go_on.set()
        assert call.result().Status == 0
        ae.shutdown()


def test_several_threads_are_served_in_turn(assoc: Any) -> None:
    """None of them waits for ever while another sends in a loop."""
    over = threading.Event()

    def loop(count: int = 20) -> bool:
        while count > 0 or not over.is_set():
            assert assoc.send_c_echo().Status == 0
            count -= 1
        return True

    loops = [Call(loop) for _ in range(3)]
    for _ in range(20):
        assert Call(assoc.send_c_echo).result().Status == 0
    over.set()
    assert all(call.result() for call in loops)


def test_a_peer_that_takes_no_message_at_all() -> None:
    """Its PDUs may have 4 bytes."""

    def script(peer: Acceptor) -> None:
        ac = acceptance(peer.expect("A-ASSOCIATE-RQ"))
        ac.user_information[0] = items.MaximumLengthNotification(maximum_length_received=4)
        peer.send(ac.encode())
        peer.rest_until_abort()

    with listening(script) as listener:
        ae = requestor()
        assoc = ae.associate("127.0.0.1", listener.port)
        assert assoc.acceptor.maximum_length == 4
        for _ in range(2):
            with pytest.raises(ValueError, match="4 bytes"):
                assoc.send_c_echo()
        assert assoc.is_established
        ae.shutdown()


def test_dimse_timeout() -> None:
    with listening(lambda peer: (peer.accept(), peer.rest_until_abort())) as listener:
        ae = requestor(dimse_timeout=0.1)
        assoc = ae.associate("127.0.0.1", listener.port)
        assert len(assoc.send_c_echo()) == 0
        assert (assoc.ended.kind, assoc.ended.timer) == ("aborted", "dimse_timeout")
        with pytest.raises(RuntimeError):
            assoc.send_c_echo()
        ae.shutdown()


def test_dimse_timeout_of_who_waits_for_his_turn() -> None:
    with listening(lambda peer: (peer.accept(), peer.rest_until_abort())) as listener:
        ae = requestor(dimse_timeout=0.2)
        assoc = ae.associate("127.0.0.1", listener.port)
        calls = [Call(assoc.send_c_echo) for _ in range(4)]
        for call in calls:
            assert len(call.result()) == 0
        assert assoc.ended.timer == "dimse_timeout"
        ae.shutdown()


@pytest.mark.parametrize("count", [100])
def test_answers_in_any_slices(count: int) -> None:
    """Byte by byte, and many in one: each is given to the one who asked."""

    def script(peer: Acceptor) -> None:
        peer.accept()
        for number in range(count):
            context_id, request = peer.command()
            response = request.response(0)
            response.ErrorComment = str(request.MessageID)
            whole = p_data(pdv(context_id, 3, response.encode()))
            cut = number % len(whole)
            peer.send(whole[:cut])
            peer.send(whole[cut:])
        peer.rest_until_abort()

    with listening(script) as listener:
        ae = requestor()
        assoc = ae.associate("127.0.0.1", listener.port)
        for _ in range(count):
            status = assoc.send_c_echo()
            assert status.ErrorComment == str(status.message_id)
        ae.shutdown()


def test_an_abort_wakes_its_caller_also_before_pydicom_was_ever_imported(
    python_env: dict[str, str],
) -> None:
    """The import takes longer than an abort may; it comes before the request."""
    script = (
        "import sys\n"
        "from pynetdicom.association.invoking import prepare_statuses\n"
        "from pynetdicom import AE, evt\n"
        "imported = []\n"
        "scp = AE(); scp.add_supported_context('1.2.840.10008.1.1')\n"
        "def look(event): imported.append('pydicom.dataset' in sys.modules); return 0\n"
        "handlers = [(evt.EVT_C_ECHO, look)]\n"
        "server = scp.start_server(('127.0.0.1', 0), False, evt_handlers=handlers, preload=False)\n"
        "scu = AE(); scu.add_requested_context('1.2.840.10008.1.1')\n"
        "assoc = scu.associate('127.0.0.1', server.server_address[1])\n"
        "assert 'pydicom.dataset' not in sys.modules\n"
        "assoc.send_c_echo()\n"
        "assoc.release(); scp.shutdown()\n"
        "assert imported == [True]\n"
    )
    subprocess.run([sys.executable, "-c", script], env=python_env, check=True, timeout=300)


def test_notifications_on_the_callers_thread_do_not_change_the_answer(assoc: Any) -> None:
    def fail(event: Any) -> None:
        raise ZeroDivisionError

    for event in (evt.EVT_DIMSE_SENT, evt.EVT_DIMSE_RECV, evt.EVT_PDU_SENT, evt.EVT_DATA_SENT):
        assoc.bind(event, fail)
    assert assoc.send_c_echo().Status == 0


def test_a_response_without_its_mandatory_fields() -> None:
    def script(peer: Acceptor) -> None:
        peer.accept()
        context_id, request = peer.command()
        response = C_ECHO(MessageIDBeingRespondedTo=request.MessageID)
        peer.respond(context_id, response)
        assert peer.rest_until_abort()[-2:] == b"\0\0"

    with listening(script) as listener:
        ae = requestor()
        assoc = ae.associate("127.0.0.1", listener.port)
        assert len(assoc.send_c_echo()) == 0
        assert "Status" in str(assoc.ended)
        ae.shutdown()


def test_an_answer_to_what_was_aborted_is_dropped_without_a_word(
    assoc: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The DUL thread has it in its hands while a handler of its PDU aborts."""

    def abort(event: Any) -> None:
        if isinstance(event.pdu, pdus.P_DATA_TF):
            event.assoc.abort()

    assoc.bind(evt.EVT_PDU_RECV, abort)
    assert "Status" not in assoc.send_c_echo()
    assoc.join(DEADLINE)
    assert assoc.is_aborted
    assert "answers nothing" not in caplog.text
