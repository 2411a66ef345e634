"""The names, signatures and defaults that programs rely on."""

from __future__ import annotations

import contextvars
import importlib
import inspect
import logging
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import pynetdicom
import pynetdicom3
from pynetdicom import AE, Association, _config, debug_logger, evt
from pynetdicom.transport import AssociationServer, ThreadedAssociationServer
from tests.pair import CT, DEADLINE, VERIFICATION, Pair, acceptor_of, ct, ended, serve
from tests.peers import Call

CONTEXT_LISTS = {
    # name without its end: how many
    "AllStorage": 170, "ApplicationEventLogging": 2, "BasicWorklistManagement": 1,
    "ColorPalette": 3, "DefinedProcedureProtocol": 3, "DisplaySystem": 1, "HangingProtocol": 3,
    "ImplantTemplate": 9, "InstanceAvailability": 1, "MediaCreationManagement": 1,
    "MediaStorage": 1, "ModalityPerformed": 3, "NonPatientObject": 9, "PrintManagement": 11,
    "ProcedureStep": 3, "ProtocolApproval": 3, "QueryRetrieve": 13,
    "RelevantPatientInformation": 3, "RTMachineVerification": 2, "StorageCommitment": 1,
    "SubstanceAdministration": 2, "UnifiedProcedure": 5, "Verification": 1,
}  # fmt: skip
NAMES = [
    "AE", "Association", "evt", "build_context", "build_role", "debug_logger", "register_uid",
    "DEFAULT_TRANSFER_SYNTAXES", "ALL_TRANSFER_SYNTAXES", "PYNETDICOM_UID_PREFIX",
    "PYNETDICOM_IMPLEMENTATION_VERSION", "PYNETDICOM_IMPLEMENTATION_UID", "__version__",
    "StoragePresentationContexts", *(f"{name}PresentationContexts" for name in CONTEXT_LISTS),
]  # fmt: skip
IN_MODULES = {
    "ae": ["ApplicationEntity"],
    "association": ["Association"],
    "presentation": [
        "PresentationContext", "PresentationContextTuple", "build_context", "build_role",
        "negotiate_as_acceptor", "negotiate_as_requestor", "negotiate_unrestricted",
        "DEFAULT_TRANSFER_SYNTAXES", "ALL_TRANSFER_SYNTAXES", "VerificationPresentationContexts",
    ],
    "pdu_primitives": [
        "SCP_SCU_RoleSelectionNegotiation", "AsynchronousOperationsWindowNegotiation",
        "SOPClassExtendedNegotiation", "SOPClassCommonExtendedNegotiation",
        "UserIdentityNegotiation", "MaximumLengthNotification",
        "ImplementationClassUIDNotification", "ImplementationVersionNameNotification",
        "A_ASSOCIATE", "A_RELEASE", "A_ABORT", "A_P_ABORT", "P_DATA",
    ],
    "events": [
        "Event", "NotificationEvent", "InterventionEvent", "trigger", "get_default_handler",
    ],
    "status": ["code_to_status", "code_to_category", "Status"],
    "dsutils": [
        "decode", "encode", "encode_element", "pretty_dataset", "pretty_element",
        "create_file_meta", "encode_file_meta", "split_dataset",
    ],
    "utils": [
        "validate_ae_title", "pretty_bytes", "decode_bytes", "make_target", "set_ae", "set_uid",
        "validate_uid", "set_timer_resolution",
    ],
    "sop_class": ["SOPClass", "uid_to_sop_class", "uid_to_service_class", "register_uid"],
    "service_class": ["ServiceClass"],
    "service_class_n": [],
    "transport": ["AddressInformation", "AssociationServer", "ThreadedAssociationServer"],
    "dimse_primitives": ["C_ECHO", "C_STORE"],
}  # fmt: skip


# Names


@pytest.mark.parametrize("name", NAMES)
def test_name_of_the_package(name: str) -> None:
    assert name in pynetdicom.__all__
    assert name in dir(pynetdicom)
    assert name in dir(pynetdicom3)
    value, other = getattr(pynetdicom, name), getattr(pynetdicom3, name)
    if not name.endswith("Contexts"):
        assert other is value


def test_all_names_nothing_twice_and_nothing_that_is_missing() -> None:
    assert sorted(pynetdicom.__all__) == sorted(set(NAMES))
    names: dict[str, object] = {}
    exec("from pynetdicom import *", names)
    assert set(NAMES) <= set(names)


@pytest.mark.parametrize("package", ["pynetdicom", "pynetdicom3"])
@pytest.mark.parametrize("module", IN_MODULES)
def test_names_of_a_module(package: str, module: str) -> None:
    imported = importlib.import_module(f"{package}.{module}")
    for name in IN_MODULES[module]:
        assert hasattr(imported, name), name
        assert name in dir(imported)
    assert module in dir(pynetdicom)


def test_names_that_do_not_exist() -> None:
    with pytest.raises(AttributeError, match="Nonsense"):
        _ = pynetdicom.Nonsense  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        _ = pynetdicom.NonsensePresentationContexts  # type: ignore[attr-defined]


def test_what_the_names_are() -> None:
    from pynetdicom.ae import ApplicationEntity

    assert AE is ApplicationEntity
    assert evt is sys.modules["pynetdicom.events"]
    assert pynetdicom._config is _config
    assert issubclass(Association, threading.Thread)
    assert issubclass(ThreadedAssociationServer, AssociationServer)
    assert pynetdicom.PYNETDICOM_IMPLEMENTATION_UID.startswith(pynetdicom.PYNETDICOM_UID_PREFIX)
    assert len(pynetdicom.PYNETDICOM_IMPLEMENTATION_VERSION) <= 16
    assert pynetdicom.__version__.split(".")[0] == "4"


@pytest.mark.parametrize(("name", "count"), CONTEXT_LISTS.items())
def test_length_of_a_context_list(name: str, count: int) -> None:
    assert len(getattr(pynetdicom, f"{name}PresentationContexts")) == count


def test_lengths_of_the_other_lists() -> None:
    assert len(pynetdicom.StoragePresentationContexts) <= 115
    assert len(pynetdicom.DEFAULT_TRANSFER_SYNTAXES) == 4
    assert len(pynetdicom.ALL_TRANSFER_SYNTAXES) == 45


def test_context_lists_are_the_caller_s_own() -> None:
    first = pynetdicom.VerificationPresentationContexts
    first[0].add_transfer_syntax("1.2.840.10008.1.2.4.50")
    first.clear()
    (context,) = pynetdicom.VerificationPresentationContexts
    assert len(context.transfer_syntax) == 4


# Signatures

NO_DEFAULT = inspect.Parameter.empty
SIGNATURES: list[tuple[Any, dict[str, Any]]] = [
    (AE.__init__, {"ae_title": "PYNETDICOM", "port": 0}),
    (
        AE.associate,
        {
            "addr": NO_DEFAULT, "port": NO_DEFAULT, "contexts": None, "ae_title": "ANY-SCP",
            "max_pdu": 16382, "ext_neg": None, "bind_address": None, "tls_args": None,
            "evt_handlers": None,
        },
    ),
    (
        AE.start_server,
        {
            "address": NO_DEFAULT, "block": True, "ssl_context": None, "evt_handlers": None,
            "ae_title": None, "contexts": None,
        },
    ),
    (
        AE.make_server,
        {
            "address": NO_DEFAULT, "ae_title": None, "contexts": None, "ssl_context": None,
            "evt_handlers": None, "server_class": None,
        },
    ),
    (AE.start, {"select_timeout": 0.5}),
    (AE.stop, {}),
    (AE.quit, {}),
    (AE.shutdown, {}),
    (AE.cleanup_associations, {}),
    (AE.add_requested_context, {"abstract_syntax": NO_DEFAULT, "transfer_syntax": None}),
    (AE.remove_requested_context, {"abstract_syntax": NO_DEFAULT, "transfer_syntax": None}),
    (
        AE.add_supported_context,
        {
            "abstract_syntax": NO_DEFAULT, "transfer_syntax": None, "scu_role": None,
            "scp_role": None,
        },
    ),
    (AE.remove_supported_context, {"abstract_syntax": NO_DEFAULT, "transfer_syntax": None}),
    (Association.release, {}),
    (Association.abort, {"block": True}),
    (Association.kill, {}),
    (Association.request, {}),
    (Association.send_c_echo, {"msg_id": None}),
    (
        Association.send_c_store,
        {
            "dataset": NO_DEFAULT, "msg_id": None, "priority": 2, "originator_aet": None,
            "originator_id": None,
        },
    ),
    (
        Association.send_c_stores,
        {"paths": NO_DEFAULT, "priority": 2, "originator_aet": None, "originator_id": None},
    ),
    (Association.bind, {"event": NO_DEFAULT, "handler": NO_DEFAULT, "args": None}),
    (Association.unbind, {"event": NO_DEFAULT, "handler": NO_DEFAULT}),
    (Association.get_events, {}),
    (Association.get_handlers, {"event": NO_DEFAULT}),
    (AssociationServer.bind, {"event": NO_DEFAULT, "handler": NO_DEFAULT, "args": None}),
    (AssociationServer.unbind, {"event": NO_DEFAULT, "handler": NO_DEFAULT}),
    (AssociationServer.shutdown, {}),
    (AssociationServer.server_close, {}),
    (evt.Event.encoded_dataset, {"include_meta": True}),
    (debug_logger, {}),
    (pynetdicom.build_context, {"abstract_syntax": NO_DEFAULT, "transfer_syntax": None}),
    (pynetdicom.build_role, {"uid": NO_DEFAULT, "scu_role": False, "scp_role": False}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("function", "expected"),
    SIGNATURES,
    ids=[function.__qualname__ for function, _ in SIGNATURES],
)
def test_signature(function: Any, expected: dict[str, Any]) -> None:
    parameters = dict(inspect.signature(function).parameters)
    parameters.pop("self", None)
    found = {name: parameter.default for name, parameter in parameters.items()}
    # More may follow, for those who name them.
    assert list(found.items())[: len(expected)] == list(expected.items())
    further = list(parameters.values())[len(expected) :]
    assert all(p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD) for p in further)


@pytest.mark.parametrize(
    "name",
    [
        "is_established", "is_rejected", "is_aborted", "is_released", "is_acceptor",
        "is_requestor", "mode", "ae", "requestor", "acceptor", "accepted_contexts",
        "rejected_contexts", "local", "remote", "acse_timeout", "dimse_timeout",
        "network_timeout", "connection_timeout", "network_timeout_response", "acse", "dimse",
        "dul", "lock", "ended",
    ],
)  # fmt: skip
def test_attribute_of_an_association(name: str) -> None:
    with Pair() as pair:
        assoc = pair.established()
        assert hasattr(assoc, name)
        assert assoc.daemon
        assoc.release()


def test_what_the_attributes_say() -> None:
    with Pair() as pair:
        assoc = pair.established(ae_title="CALLED")
        acceptor = acceptor_of(pair)
        assert (assoc.mode, acceptor.mode) == ("requestor", "acceptor")
        assert (assoc.is_requestor, assoc.is_acceptor) == (True, False)
        assert (acceptor.is_requestor, acceptor.is_acceptor) == (False, True)
        assert assoc.ae is pair.scu
        assert acceptor.ae is pair.scp
        assert assoc.local["ae_title"] == acceptor.remote["ae_title"] == b"SCU             "
        assert assoc.local["port"] == acceptor.remote["port"]
        assert acceptor.local["ae_title"] == b"SCP             "
        assert assoc.remote["port"] == acceptor.local["port"] == pair.port
        assert [c.abstract_syntax for c in assoc.accepted_contexts] == [VERIFICATION, CT]
        assert assoc.rejected_contexts == []
        assert assoc.network_timeout_response == "A-ABORT"
        assert assoc.ended is None
        flags = ("is_established", "is_released", "is_aborted", "is_rejected")
        assert [getattr(assoc, flag) for flag in flags] == [True, False, False, False]
        assoc.release()
        assert [getattr(assoc, flag) for flag in flags] == [False, True, False, False]
        for call in (assoc.release, assoc.abort, assoc.kill):
            call()
        assert assoc.is_released
        with pytest.raises(RuntimeError):
            assoc.send_c_echo()
        with pytest.raises(RuntimeError):
            assoc.send_c_store(ct())


# Message IDs


def test_message_ids_are_counted_up_by_the_library() -> None:
    with Pair() as pair:
        assoc = pair.established()
        assert [assoc.send_c_echo().message_id for _ in range(3)] == [1, 2, 3]
        assert assoc.send_c_echo(msg_id=1).message_id == 1
        assert assoc.send_c_echo(msg_id=5).message_id == 5
        # Not the one that was just used, in case its answer comes twice.
        assert [assoc.send_c_echo().message_id for _ in range(3)] == [4, 6, 7]
        assert assoc.send_c_store(ct(), msg_id=65535).message_id == 65535
        assoc.release()


def test_each_association_counts_by_itself() -> None:
    with Pair() as pair:
        first, second = pair.established(), pair.established()
        assert first.send_c_echo().message_id == second.send_c_echo().message_id == 1
        pair.scu.shutdown()


def test_message_id_that_is_outstanding() -> None:
    served, go_on = threading.Event(), threading.Event()

    def handler(event: evt.Event) -> int:
        served.set()
        go_on.wait(DEADLINE)
        return 0x0000

    with Pair(scp_handlers=[(evt.EVT_C_ECHO, handler)]) as pair:
        assoc = pair.established()
        call = Call(assoc.send_c_echo, 7)
        assert served.wait(DEADLINE)
        with pytest.raises(ValueError, match="7"):
            assoc.send_c_echo(msg_id=7)
        with pytest.raises(ValueError, match="7"):
            assoc.send_c_store(ct(), 7)
        go_on.set()
        assert call.result().Status == 0x0000
        assert assoc.send_c_echo(7).Status == 0x0000
        assoc.release()


@pytest.mark.parametrize(
    ("msg_id", "error"), [(-1, ValueError), (65536, ValueError), ("1", TypeError)]
)
def test_message_id_that_cannot_be_sent(msg_id: Any, error: type[Exception]) -> None:
    with Pair() as pair:
        assoc = pair.established()
        with pytest.raises(error):
            assoc.send_c_echo(msg_id=msg_id)
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()


# Logging


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("pynetdicom")
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers, logger.level = handlers, level


def test_debug_logger_replaces_the_handlers(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    logger.addHandler(logging.StreamHandler())
    debug_logger()
    debug_logger()
    (handler,) = logger.handlers
    assert type(handler) is logging.StreamHandler
    assert logger.level == logging.DEBUG
    logging.getLogger("pynetdicom.assoc").debug("said once")
    captured = capsys.readouterr()
    assert captured.err == "D: said once\n"
    assert captured.out == ""


@pytest.mark.parametrize("package", ["pynetdicom", "pynetdicom3"])
def test_import_adds_a_null_handler_only(package: str, python_env: dict[str, str]) -> None:
    code = (
        f"import logging, {package}; logger = logging.getLogger('pynetdicom');"
        "print(*(type(h).__name__ for h in logger.handlers), logger.level, logger.propagate);"
        "print(len(logging.getLogger().handlers));"
        "logger.warning('not to be seen')"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], env=python_env, check=True, capture_output=True, text=True
    )
    assert result.stdout.split("\n") == ["NullHandler 0 True", "0", ""]
    assert result.stderr == ""


# _config


@pytest.mark.parametrize(
    ("option", "default"),
    [
        ("LOG_HANDLER_LEVEL", "standard"),
        ("ENFORCE_UID_CONFORMANCE", False),
        ("USE_SHORT_DIMSE_AET", True),
        ("LOG_REQUEST_IDENTIFIERS", True),
        ("LOG_RESPONSE_IDENTIFIERS", True),
        ("STORE_SEND_CHUNKED_DATASET", False),
        ("STORE_RECV_CHUNKED_DATASET", False),
        ("PASS_CONTEXTVARS", False),
        ("UNRESTRICTED_STORAGE_SERVICE", False),
        ("WINDOWS_TIMER_RESOLUTION", 1),
        ("CODECS", ("ascii",)),
    ],
)
def test_option(option: str, default: Any) -> None:
    assert getattr(_config, option) == default
    assert type(getattr(_config, option)) is type(default)


@pytest.mark.parametrize(
    ("vr", "value", "valid"),
    [
        ("AE", "A" * 16, True),
        ("AE", "A" * 17, False),
        ("AE", "", False),
        ("AE", "A\\B", False),
        ("AE", "A\nB", False),
        ("AE", "Ä", False),
        ("UI", "1.2.840.10008.1.1", True),
        ("UI", "1" * 64, True),
        ("UI", "1" * 65, False),
        ("UI", "", False),
        ("UI", "1.2\n", False),
        ("UI", "1.Ä", False),
    ],
)
def test_option_validators_by_default(vr: str, value: str, valid: bool) -> None:
    assert set(_config.VALIDATORS) == {"AE", "UI"}
    found, why = _config.VALIDATORS[vr](value)
    assert (found, bool(why)) == (valid, not valid)


def test_an_option_validator_that_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks are those of the library then, too."""
    monkeypatch.delitem(_config.VALIDATORS, "AE")
    monkeypatch.delitem(_config.VALIDATORS, "UI")
    with pytest.raises(ValueError):
        AE("A" * 17)
    with pytest.raises(ValueError):
        AE().add_requested_context("1" * 65)


def test_option_validators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_config.VALIDATORS, "AE", lambda title: (title != "NO", "not that one"))
    assert AE("A" * 20).ae_title == "A" * 20
    with pytest.raises(ValueError, match="not that one"):
        AE("NO")
    monkeypatch.setitem(_config.VALIDATORS, "UI", lambda uid: (uid != "1.2", "not that one"))
    with pytest.raises(ValueError, match="not that one"):
        AE().add_requested_context("1.2")


def test_option_codecs(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError):
        AE("Ä".encode())
    monkeypatch.setattr(_config, "CODECS", ("ascii", "utf-8"))
    from pynetdicom.utils import decode_bytes

    assert decode_bytes("Ä".encode()) == "Ä"


@pytest.mark.parametrize(("option", "expected"), [(True, "inside"), (False, "default")])
def test_option_pass_contextvars(
    option: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = contextvars.ContextVar("variable", default="default")
    monkeypatch.setattr(_config, "PASS_CONTEXTVARS", option)
    seen: dict[str, str] = {}

    def note(side: str) -> Any:
        return lambda event: seen.__setitem__(side, variable.get())

    scp, scu = AE(), AE()
    scp.add_supported_context(VERIFICATION)
    scu.add_requested_context(VERIFICATION)

    def run() -> None:
        variable.set("inside")
        server = serve(scp, evt_handlers=[(evt.EVT_ESTABLISHED, note("acceptor"))])
        assoc = scu.associate(
            "127.0.0.1",
            server.server_address[1],
            evt_handlers=[(evt.EVT_ESTABLISHED, note("requestor"))],
        )
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()

    contextvars.copy_context().run(run)
    scp.shutdown()
    assert seen == {"acceptor": expected, "requestor": expected}


def test_options_without_effect_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    for option in ("STORE_SEND_CHUNKED_DATASET", "STORE_RECV_CHUNKED_DATASET"):
        monkeypatch.setattr(_config, option, True)
    monkeypatch.setattr(_config, "WINDOWS_TIMER_RESOLUTION", None)
    sizes: list[int] = []

    def handler(event: evt.Event) -> int:
        sizes.append(len(event.dataset.EncapsulatedDocument))
        return 0x0000

    with Pair(scp_handlers=[(evt.EVT_C_STORE, handler)]) as pair:
        assoc = pair.established()
        assert assoc.send_c_store(ct(100_000)).Status == 0x0000
        assoc.release()
    assert sizes == [100_000]


# Serving in the foreground


def test_ctrl_c_ends_start_in_order(free_port: int) -> None:
    opened = threading.Event()

    class Told(AE):
        def servers_changed(self, server: Any, *, added: bool) -> None:
            super().servers_changed(server, added=added)
            opened.set()

    ae = Told(b"SCP", free_port)
    ae.bind_addr = "127.0.0.1"
    ae.add_supported_context(VERIFICATION)
    scu = AE()
    scu.add_requested_context(VERIFICATION)

    def interrupt() -> Association:
        assert opened.wait(DEADLINE)
        assoc = scu.associate("127.0.0.1", free_port)
        established = assoc.is_established  # so it is served by now
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        assert established
        return assoc

    call = Call(interrupt)
    ae.start()
    assoc = call.result()
    ended(assoc)
    assert assoc.is_aborted
    assert ae.active_associations == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", free_port))


def test_summaries_are_left_to_handlers_where_asked_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ae = AE()
    ae.add_supported_context("1.2.840.10008.1.1")
    ae.add_requested_context("1.2.840.10008.1.1")
    server = ae.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    said = {}
    try:
        for level in ("standard", "none"):
            monkeypatch.setattr(_config, "LOG_HANDLER_LEVEL", level)
            caplog.clear()
            with caplog.at_level("INFO", logger="pynetdicom"):
                ae.associate("127.0.0.1", server.server_address[1]).release()
                for assoc in server.active_associations:
                    assoc.join(5)
            said[level] = len(caplog.records)
    finally:
        ae.shutdown()
    assert said["standard"] >= 3
    assert said["none"] == 0
