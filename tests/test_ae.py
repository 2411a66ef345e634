"""pynetdicom.ae and ae_settings: attributes, associating, listening, ending."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydicom.uid import UID

from pynetdicom import AE, DEFAULT_TRANSFER_SYNTAXES, _config, build_context, debug_logger, evt
from pynetdicom._version import (
    PYNETDICOM_IMPLEMENTATION_UID,
    PYNETDICOM_IMPLEMENTATION_VERSION,
)
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.network import dul
from pynetdicom.presentation import (
    QueryRetrievePresentationContexts,
    StoragePresentationContexts,
)
from pynetdicom.transport import AssociationServer, ThreadedAssociationServer
from tests.peers import CT, DEADLINE, VERIFICATION, Acceptor, Call, listening, requestor

IMPLICIT, EXPLICIT = DEFAULT_TRANSFER_SYNTAXES[:2]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dul, "LINGER", 0.2)


@pytest.fixture
def ae() -> Iterator[AE]:
    entity = AE()
    yield entity
    entity.shutdown()


def warned(caplog: pytest.LogCaptureFixture) -> bool:
    found = any(record.levelno == logging.WARNING for record in caplog.records)
    caplog.clear()
    return found


# Attributes


def test_defaults() -> None:
    ae = AE()
    assert isinstance(ae, ApplicationEntity)
    assert ae.ae_title == "PYNETDICOM"
    assert (ae.port, ae.bind_addr, ae.local_socket) == (0, "", None)
    assert (ae.acse_timeout, ae.dimse_timeout, ae.network_timeout) == (30, 30, 60)
    assert ae.connection_timeout is None
    assert ae.maximum_associations == 10
    assert ae.maximum_pdu_size == 16382
    assert ae.require_calling_aet == []
    assert ae.require_called_aet is False
    assert ae.implementation_class_uid == PYNETDICOM_IMPLEMENTATION_UID
    assert isinstance(ae.implementation_class_uid, UID)
    assert ae.implementation_version_name == PYNETDICOM_IMPLEMENTATION_VERSION
    assert ae.requested_contexts == ae.supported_contexts == ae.active_associations == []
    assert ae.extended_negotiation == []
    socket.inet_aton(ae.address)


@pytest.mark.parametrize(
    ("given", "title"),
    [
        ("ABC", "ABC"),
        (b"ABC", "ABC"),
        (b"ABC             ", "ABC"),
        (b"ABCDEFGHIJKLMNOPQR", "ABCDEFGHIJKLMNOP"),
        ("A title with 16_", "A title with 16_"),
    ],
)
def test_ae_title(given: Any, title: str) -> None:
    assert AE(given).ae_title == title
    ae = AE()
    ae.ae_title = given
    assert ae.ae_title == title


@pytest.mark.parametrize("given", ["", "   ", b"", b"   ", "A" * 17, "A\\B", "A\nB", b"A\\B", "\t"])
def test_ae_title_wrong_value(given: Any) -> None:
    with pytest.raises(ValueError):
        AE(given)


@pytest.mark.parametrize("given", [None, 5, ["A"], 1.5])
def test_ae_title_wrong_type(given: Any) -> None:
    with pytest.raises(TypeError):
        AE(given)


@pytest.mark.parametrize("given", [-1, "104", 1.5, None])
def test_port_wrong(given: Any) -> None:
    with pytest.raises(ValueError):
        AE(port=given)


@pytest.mark.parametrize(
    ("name", "otherwise"),
    [
        ("acse_timeout", 30),
        ("dimse_timeout", 30),
        ("network_timeout", 60),
        ("connection_timeout", None),
    ],
)
def test_timeouts(name: str, otherwise: Any, caplog: pytest.LogCaptureFixture) -> None:
    ae = AE()
    for value in (None, 5, 0.5):
        setattr(ae, name, value)
        assert getattr(ae, name) == value
    assert not warned(caplog)
    for wrong in (-1, "5", [1], float("nan"), True):
        setattr(ae, name, wrong)
        assert getattr(ae, name) == otherwise
        assert warned(caplog)
    setattr(ae, name, float("inf"))
    assert getattr(ae, name) is None
    setattr(ae, name, 0)
    assert getattr(ae, name) == (otherwise if name == "connection_timeout" else 0)


def test_maximum_associations(caplog: pytest.LogCaptureFixture) -> None:
    ae = AE()
    ae.maximum_associations = 3
    assert ae.maximum_associations == 3
    for wrong in (0, -1, "5", 2.5, None):
        ae.maximum_associations = wrong  # type: ignore[assignment]
        assert ae.maximum_associations == 1
        assert warned(caplog)


def test_maximum_pdu_size(caplog: pytest.LogCaptureFixture) -> None:
    ae = AE()
    for value in (0, 1, 1 << 20):
        ae.maximum_pdu_size = value
        assert ae.maximum_pdu_size == value
    ae.maximum_pdu_size = -1
    assert ae.maximum_pdu_size == 1 << 20
    assert warned(caplog)


def test_required_titles() -> None:
    ae = AE()
    ae.require_calling_aet = ["ONE", b"TWO  "]
    assert ae.require_calling_aet == ["ONE", "TWO"]
    ae.require_calling_aet = b"LONE  "
    assert ae.require_calling_aet == ["LONE"]
    ae.require_calling_aet = []
    assert ae.require_calling_aet == []
    ae.require_called_aet = 1  # type: ignore[assignment]
    assert ae.require_called_aet is True
    with pytest.raises(ValueError):
        ae.require_calling_aet = ["A" * 17]
    with pytest.raises(TypeError):
        ae.require_calling_aet = [5]  # type: ignore[list-item]


def test_implementation_class_uid() -> None:
    ae = AE()
    ae.implementation_class_uid = "1.2.3"  # type: ignore[assignment]
    assert ae.implementation_class_uid == UID("1.2.3")
    for wrong in (None, 5):
        with pytest.raises(TypeError):
            ae.implementation_class_uid = wrong  # type: ignore[assignment]
    for wrong in ("", "1." * 40 + "1"):
        with pytest.raises(ValueError):
            ae.implementation_class_uid = wrong
    assert ae.implementation_class_uid == "1.2.3"


def test_implementation_version_name() -> None:
    ae = AE()
    for value in (None, "A", "A" * 16):
        ae.implementation_version_name = value
        assert ae.implementation_version_name == value
    ae.implementation_version_name = b"BYTES"  # type: ignore[assignment]
    assert ae.implementation_version_name == "BYTES"
    for wrong in ("", "A" * 17):
        with pytest.raises(ValueError):
            ae.implementation_version_name = wrong
    with pytest.raises(TypeError):
        ae.implementation_version_name = 5  # type: ignore[assignment]


def test_str() -> None:
    ae = AE("MY_TITLE")
    assert "none" in str(ae)
    ae.add_requested_context(VERIFICATION)
    ae.add_supported_context(CT)
    text = str(ae)
    assert "MY_TITLE" in text
    assert "Verification" in text
    assert "CT Image Storage" in text
    assert len(text.splitlines()) > 10


# Presentation contexts


def test_requested_contexts_are_added_to() -> None:
    ae = AE()
    ae.requested_contexts = [build_context(VERIFICATION)]
    ae.requested_contexts = [build_context(CT, IMPLICIT), build_context(CT, EXPLICIT)]
    assert [cx.abstract_syntax for cx in ae.requested_contexts] == [VERIFICATION, CT, CT]
    assert ae.requested_contexts[2].transfer_syntax == [EXPLICIT]
    ae.requested_contexts = []
    assert ae.requested_contexts == []
    ae.add_requested_context(CT)
    ae.requested_contexts = None
    assert ae.requested_contexts == []


def test_requested_contexts_do_not_copy_roles() -> None:
    context = build_context(CT)
    context.scu_role = context.scp_role = True
    ae = AE()
    ae.requested_contexts = [context]
    assert ae.requested_contexts[0].scp_role is None
    assert ae.requested_contexts[0] is not context


def test_query_retrieve_and_storage_fit_together() -> None:
    ae = AE()
    ae.requested_contexts = QueryRetrievePresentationContexts
    ae.requested_contexts = StoragePresentationContexts
    assert len(ae.requested_contexts) <= 128


def test_129_requested_contexts() -> None:
    ae = AE()
    for _ in range(128):
        ae.add_requested_context(CT)
    with pytest.raises(ValueError):
        ae.add_requested_context(CT)
    with pytest.raises(ValueError):
        ae.requested_contexts = [build_context(CT)]
    assert len(ae.requested_contexts) == 128


def test_contexts_of_another_type() -> None:
    ae = AE()
    for name in ("requested_contexts", "supported_contexts"):
        with pytest.raises(ValueError):
            setattr(ae, name, [build_context(CT), CT])
        assert getattr(ae, name) == []


def test_remove_requested_context() -> None:
    ae = AE()
    ae.add_requested_context(CT, [IMPLICIT, EXPLICIT])
    ae.add_requested_context(CT, EXPLICIT)
    ae.add_requested_context(VERIFICATION)
    ae.remove_requested_context(CT, EXPLICIT)
    assert [cx.transfer_syntax for cx in ae.requested_contexts][:1] == [[IMPLICIT]]
    assert len(ae.requested_contexts) == 2
    ae.remove_requested_context(UID(CT))
    ae.remove_requested_context("1.2.3")
    assert [cx.abstract_syntax for cx in ae.requested_contexts] == [VERIFICATION]


def test_supported_contexts_are_merged_and_sorted() -> None:
    ae = AE()
    ae.add_supported_context(CT, IMPLICIT, scu_role=True, scp_role=False)
    ae.add_supported_context(VERIFICATION)
    ae.add_supported_context(CT, [IMPLICIT, EXPLICIT], scu_role=False, scp_role=True)
    assert [cx.abstract_syntax for cx in ae.supported_contexts] == [VERIFICATION, CT]
    context = ae.supported_contexts[1]
    assert context.transfer_syntax == [IMPLICIT, EXPLICIT]
    assert (context.scu_role, context.scp_role) == (False, True)
    ae.supported_contexts = [build_context("1.2.840.10008.5.1.4.1.1.4")]
    assert len(ae.supported_contexts) == 3
    ae.supported_contexts = []
    assert ae.supported_contexts == []
    with pytest.raises(TypeError):
        ae.add_supported_context(CT, scu_role=1)  # type: ignore[arg-type]


def test_remove_supported_context() -> None:
    ae = AE()
    ae.add_supported_context(CT, [IMPLICIT, EXPLICIT])
    ae.remove_supported_context(CT, [IMPLICIT])
    assert ae.supported_contexts[0].transfer_syntax == [EXPLICIT]
    ae.remove_supported_context(CT, EXPLICIT)
    ae.remove_supported_context(CT)
    assert ae.supported_contexts == []


# associate()


@pytest.mark.parametrize("addr", [5, None, b"127.0.0.1", ("::1", 0), (1, 0, 0)])
def test_associate_wrong_addr(addr: Any) -> None:
    with pytest.raises(TypeError):
        requestor().associate(addr, 104)


@pytest.mark.parametrize("port", ["104", None, 1.5, True])
def test_associate_wrong_port(port: Any) -> None:
    with pytest.raises(TypeError):
        requestor().associate("127.0.0.1", port)


@pytest.mark.parametrize(
    "given",
    [
        {"tls_args": "tls"},
        {"tls_args": (None, "host")},
        {"tls_args": (ssl.create_default_context(),)},
        {"tls_args": (ssl.create_default_context(), 5)},
        {"bind_address": "127.0.0.1"},
        {"bind_address": ("127.0.0.1",)},
        {"bind_address": (5, 0)},
        {"ext_neg": ["item"]},
        {"ae_title": 5},
        {"evt_handlers": [("EVT_C_ECHO", print)]},
        {"evt_handlers": [(evt.EVT_C_ECHO, None)]},
    ],
    ids=range(11),
)
def test_associate_wrong_types(given: dict[str, Any]) -> None:
    ae = requestor()
    with pytest.raises(TypeError):
        ae.associate("127.0.0.1", 104, **given)
    assert ae._running.associations == set()


def test_associate_wrong_values() -> None:
    ae = AE()
    with pytest.raises(RuntimeError):
        ae.associate("127.0.0.1", 104)
    with pytest.raises(RuntimeError):
        requestor().associate("127.0.0.1", 104, contexts=[])
    for contexts in ([CT], [build_context(CT)] * 129):
        with pytest.raises(ValueError):
            ae.associate("127.0.0.1", 104, contexts=contexts)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        requestor().associate("127.0.0.1", 104, ae_title="A" * 17)
    with pytest.raises(ValueError):
        requestor().associate("127.0.0.1", 104, max_pdu=-1)


@pytest.mark.parametrize("port", [0, 65536, -1])
def test_associate_with_a_port_that_is_none(port: int) -> None:
    assoc = requestor().associate("127.0.0.1", port)
    assert assoc.is_aborted
    assert assoc.ended is not None
    assert assoc.ended.kind == "failed"


def test_associate_what_is_proposed(ae: AE) -> None:
    seen: list[Any] = []
    ae.requested_contexts = [build_context(CT), build_context(VERIFICATION)]
    contexts = [build_context(CT, EXPLICIT), build_context(CT, IMPLICIT)]
    with listening(lambda peer: seen.append((peer.accept(), peer.rest_until_abort()))) as listener:
        assoc = ae.associate(
            "127.0.0.1", listener.port, contexts=contexts, ae_title=b"THEM  ", max_pdu=0
        )
        assert assoc.is_established
        assert [cx.context_id for cx in assoc.accepted_contexts] == [1, 3]
        assert assoc.acceptor.ae_title == "THEM"
        assoc.abort()
    rq = seen[0][0]
    assert (rq.called_ae_title, rq.calling_ae_title) == ("THEM", "PYNETDICOM")
    assert [(cx.context_id, cx.transfer_syntaxes) for cx in rq.presentation_contexts] == [
        (1, [EXPLICIT]),
        (3, [IMPLICIT]),
    ]
    assert rq.user_information[0].maximum_length_received == 0
    assert [cx.context_id for cx in contexts] == [None, None]


def test_associate_binds_to_bind_address_only(ae: AE, free_port: int) -> None:
    ae.port = 11112
    ae.add_requested_context(VERIFICATION)
    ports: list[int] = []

    def script(peer: Acceptor) -> None:
        ports.append(peer.socket.getpeername()[1])
        peer.accept()
        peer.rest_until_abort()

    with listening(script) as listener:
        ae.associate("127.0.0.1", listener.port, bind_address=("127.0.0.1", free_port)).abort()
        ae.associate("127.0.0.1", listener.port).abort()
    assert ports[0] == free_port
    assert ports[1] not in (free_port, 11112)


def test_failure_is_told_by_flags(ae: AE, free_port: int) -> None:
    ae.add_requested_context(VERIFICATION)
    assoc = ae.associate("127.0.0.1", free_port)
    assert not assoc.is_established
    assert (assoc.is_aborted, assoc.is_rejected, assoc.is_released) == (True, False, False)
    assert ae.active_associations == []


def test_no_thread_to_be_had(ae: AE, monkeypatch: pytest.MonkeyPatch) -> None:
    ae.add_requested_context(VERIFICATION)

    def start(self: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Association, "start", start)
    with pytest.raises(RuntimeError, match="new thread"):
        ae.associate("127.0.0.1", 104)
    assert ae._running.associations == set()


def test_timeouts_reach_live_associations(ae: AE) -> None:
    ae.add_requested_context(VERIFICATION)
    with listening(lambda peer: (peer.accept(), peer.rest_until_abort())) as listener:
        assoc = ae.associate("127.0.0.1", listener.port)
        ae.acse_timeout, ae.dimse_timeout, ae.network_timeout = 1, 2, 3
        ae.connection_timeout = 4
        assert (assoc.acse_timeout, assoc.dimse_timeout, assoc.network_timeout) == (1, 2, 3)
        assert assoc.connection_timeout == 4
        ae.shutdown()


def test_callbacks_generation_of_an_scu() -> None:
    """As in 1.1: bytes everywhere, `start` and `stop` have other uses."""
    ae = AE(ae_title=b"SCU", port=0)
    ae.add_requested_context(VERIFICATION)
    with listening(lambda peer: (peer.accept(), peer.serve_echo(), peer.rest())) as listener:
        assoc = ae.associate("127.0.0.1", listener.port, ae_title=b"ANY-SCP")
        assert assoc.send_c_echo().Status == 0
        ae.stop()
        assert assoc.is_aborted


# Listening


def test_start_blocks_until_stop() -> None:
    ae = AE(port=0)
    ae.bind_addr = "127.0.0.1"
    ae.add_supported_context(VERIFICATION)
    call = Call(ae.start, 0.1)
    while not ae._running.servers:
        threading.Event().wait(0.01)
    address = next(iter(ae._running.servers)).server_address
    with socket.create_connection(address):
        ae.stop()
    assert call.result() is None
    with pytest.raises(OSError):
        socket.create_connection(address)


def test_nothing_is_supported(ae: AE, monkeypatch: pytest.MonkeyPatch) -> None:
    for start in (ae.start, lambda: ae.start_server(("127.0.0.1", 0), block=False)):
        with pytest.raises(ValueError):
            start()
    server = ae.start_server(("127.0.0.1", 0), block=False, unrestricted_storage=True)
    assert server is not None
    server.shutdown()
    monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", True)
    assert ae.start_server(("127.0.0.1", 0), block=False) is not None


@pytest.mark.parametrize("roles", [(True, None), (None, False)])
def test_half_set_roles(ae: AE, roles: Any) -> None:
    ae.add_supported_context(CT, scu_role=roles[0], scp_role=roles[1])
    with pytest.raises(ValueError):
        ae.start()
    assert ae._running.servers == set()


def test_make_server_is_not_started(ae: AE) -> None:
    class Server(AssociationServer):
        pass

    server = ae.make_server(
        ("127.0.0.1", 0),
        ae_title="OTHER",
        contexts=[build_context(CT)],
        server_class=Server,
    )
    assert type(server) is Server
    assert (server.ae, server.ae_title) == (ae, "OTHER")
    assert [cx.abstract_syntax for cx in server.contexts] == [CT]
    server.server_close()
    assert ae._running.servers == set()


def test_server_class_must_be_ours(ae: AE) -> None:
    ae.add_supported_context(CT)
    for wrong in (dict, "AssociationServer", AssociationServer):
        if wrong is AssociationServer:
            ae.make_server(("127.0.0.1", 0)).server_close()
            continue
        with pytest.raises(TypeError):
            ae.make_server(("127.0.0.1", 0), server_class=wrong)  # type: ignore[arg-type]


def test_address_in_use(ae: AE) -> None:
    ae.add_supported_context(CT)
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(OSError):
        ae.start_server(other.getsockname(), block=False)
    assert ae._running.servers == set()


def test_shutdown_stops_everything(ae: AE) -> None:
    ae.add_supported_context(VERIFICATION)
    ae.add_requested_context(VERIFICATION)
    servers = [ae.start_server(("127.0.0.1", 0), block=False) for _ in range(3)]
    assocs = [ae.associate("127.0.0.1", server.server_address[1]) for server in servers if server]
    assert isinstance(servers[0], ThreadedAssociationServer)
    assert len(ae.active_associations) == 6
    ae.cleanup_associations()
    ae.shutdown()
    assert all(assoc.is_aborted for assoc in assocs)
    assert ae.active_associations == []
    ae.quit()


def test_stopping_one_server_leaves_the_others(ae: AE) -> None:
    ae.add_supported_context(VERIFICATION)
    ae.add_requested_context(VERIFICATION)
    one, two = (ae.start_server(("127.0.0.1", 0), block=False) for _ in range(2))
    assert one is not None
    assert two is not None
    first = ae.associate("127.0.0.1", one.server_address[1])
    second = ae.associate("127.0.0.1", two.server_address[1])
    one.shutdown()
    first.join(DEADLINE)
    assert first.is_aborted
    assert second.send_c_echo().Status == 0
    assert ae.associate("127.0.0.1", one.server_address[1]).is_aborted


def test_the_limit_is_of_accepted_associations(ae: AE) -> None:
    ae.maximum_associations = 1
    ae.add_supported_context(VERIFICATION)
    ae.add_requested_context(VERIFICATION)
    server = ae.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    first = ae.associate("127.0.0.1", server.server_address[1])
    assert first.is_established
    assert ae.associate("127.0.0.1", server.server_address[1]).is_rejected


def test_debug_logger() -> None:
    logger = logging.getLogger("pynetdicom")
    handlers, level = list(logger.handlers), logger.level
    try:
        debug_logger()
        debug_logger()
        assert len(logger.handlers) == 1
        assert isinstance(logger.handlers[0], logging.StreamHandler)
        assert logger.level == logging.DEBUG
    finally:
        logger.handlers, logger.level = handlers, level


def test_the_called_title_of_a_server_is_its_own(ae: AE) -> None:
    ae.require_called_aet = True
    ae.add_supported_context(VERIFICATION)
    ae.add_requested_context(VERIFICATION)
    server = ae.start_server(("127.0.0.1", 0), block=False, ae_title="OTHER")
    assert server is not None
    associate: Callable[..., Association] = ae.associate
    assert associate("127.0.0.1", server.server_address[1], ae_title="OTHER").is_established
    assert associate("127.0.0.1", server.server_address[1], ae_title="PYNETDICOM").is_rejected
