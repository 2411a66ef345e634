"""The names, signatures and defaults that programs rely on."""

from __future__ import annotations

import ast
import contextlib
import contextvars
import csv
import enum
import importlib
import inspect
import logging
import re
import socket
import socketserver
import subprocess
import sys
import threading
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pynetdicom
import pynetdicom3
from pynetdicom import AE, Association, _config, debug_logger, evt
from pynetdicom.transport import AssociationServer, ThreadedAssociationServer
from tests.pair import CT, DEADLINE, VERIFICATION, Pair, acceptor_of, ended, serve
from tests.peers import Call, ct, interrupted_when

with (Path(__file__).parent / "data" / "public_api.tsv").open() as file:
    FACTS = [tuple(row.values()) for row in csv.DictReader(file, delimiter="\t")]
"""What programs rely on, a fact a row: the section of the API's description (5.x for what was
decided between its generations), of what (an expression), the name, and what is to be so of it."""

NAMES = sorted({name for _, of, name, _, _ in FACTS if of == "pynetdicom"} - {"_config"})
OWNERS = dict.fromkeys(of for section, of, *_ in FACTS if section != "3")
APPS = dict.fromkeys(of for section, of, *_ in FACTS if section == "3")
MODULES = sorted(
    set(re.findall(r'import_module\("pynetdicom\.(\w+)"\)$', "\n".join(OWNERS), re.MULTILINE))
)


# The table


def facts_of(owner: str) -> list[tuple[str, ...]]:
    return [(name, kind, expected) for _, of, name, kind, expected in FACTS if of == owner]


def parameters(signature: str) -> list[inspect.Parameter]:
    names: dict[str, Any] = {}
    exec(f"def function{signature}: ...", names)
    return list(inspect.signature(names["function"]).parameters.values())


def is_called(function: Any, signature: str) -> bool:
    """Whether a function takes these parameters in this order; what it takes besides has to be
    named."""
    expected = parameters(signature)
    star = [p for p in expected if p.kind is p.VAR_KEYWORD]
    expected = [p for p in expected if p not in star]
    for variant in typing.get_overloads(function) or [function]:
        found = list(inspect.signature(variant).parameters.values())
        if len(found) < len(expected):
            continue
        same = all(
            (ours.name, ours.kind) == (theirs.name, theirs.kind)
            # An ellipsis stands for a value of the implementation's own.
            and (ours.default == theirs.default or theirs.default is ...)
            for ours, theirs in zip(found, expected, strict=False)
        )
        further = found[len(expected) :]
        named = all(p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD) for p in further)
        if same and named and (not star or any(p.kind is p.VAR_KEYWORD for p in further)):
            return True
    return False


def is_so(owner: Any, name: str, kind: str, expected: str, names: dict[str, Any]) -> bool:
    """Whether a fact holds."""
    if kind == "later":  # whoever adds it changes the row
        return not hasattr(owner, name)
    if kind == "declared":
        return hasattr(owner, name) or name in owner.__annotations__
    value = getattr(owner, name)
    if kind == "name":
        return not isinstance(owner, types.ModuleType) or name in dir(owner)
    if kind == "call":
        return is_called(value, expected)
    if kind == "no arguments":
        return value() is not None
    if kind == "length":
        return len(value) == int(expected)
    if kind == "at most":
        return 0 < len(value) <= int(expected)
    if kind == "same":
        return value is eval(expected, names)
    if kind == "has":
        return eval(expected, names) in value
    if kind == "keys":
        return list(value) == ast.literal_eval(expected)
    assert kind == "value", kind
    literal = ast.literal_eval(expected)
    # A number of seconds may be of either type, and True is none.
    return value == literal and isinstance(value, bool) is isinstance(literal, bool)


@pytest.mark.parametrize("owner", OWNERS)
def test_facts(owner: str) -> None:
    names: dict[str, Any] = {
        "AE": AE, "Association": Association, "evt": evt, "pynetdicom": pynetdicom,
        "build_context": pynetdicom.build_context, "import_module": importlib.import_module,
        "threading": threading, "socketserver": socketserver, "enum": enum,
    }  # fmt: skip
    with contextlib.ExitStack() as stack:
        if re.search(r"\b(assoc|acceptor|server)\b", owner):
            pair = stack.enter_context(Pair(scp=AE()))
            pair.scu.ae_title = "PYNETDICOM"
            names |= {"assoc": pair.established(), "server": pair.server}
            names["acceptor"] = acceptor_of(pair)
        found = eval(owner, names)
        wrong = [fact for fact in facts_of(owner) if not is_so(found, *fact, names)]
    assert wrong == []


@pytest.mark.parametrize("app", APPS)
def test_options_of_an_app(app: str) -> None:
    parser = importlib.import_module(f"pynetdicom.apps.{app}").make_parser()
    options = {flag: action for action in parser._actions for flag in action.option_strings}
    positional = [action.dest for action in parser._actions if not action.option_strings]
    wrong = []
    for name, kind, expected in facts_of(app):
        flags = name.split("/")
        if kind == "positional":
            good = name in positional
        elif kind == "later":
            good = not any(flag in options for flag in flags)
        else:
            actions = {id(options.get(flag)) for flag in flags}
            good = len(actions) == 1 and flags[0] in options
            if good and expected:
                good = options[flags[0]].default == ast.literal_eval(expected)
        if not good:
            wrong.append((name, kind, expected))
    assert wrong == []
    assert {"-h", "--version"} <= set(options)


def test_a_fact_that_does_not_hold_is_noticed() -> None:
    assert is_called(pynetdicom.build_role, "(uid, scu_role=False, scp_role=False)")
    for signature in (
        "(uid, scu_role=False)",
        "(uid, scu_role=False, scp_role=True)",
        "(uid, scp_role=False, scu_role=False)",
        "(uid, scu_role=False, scp_role=False, **kwargs)",
        "(abstract_syntax, scu_role=False, scp_role=False)",
    ):
        assert not is_called(pynetdicom.build_role, signature)
    for name, kind, expected in (
        ("port", "value", "False"),
        ("port", "value", "1"),
        ("supported_contexts", "length", "1"),
        ("ae_title", "later", ""),
        ("__class__", "same", "int"),
    ):
        assert not is_so(AE(), name, kind, expected, {})


# Names


@pytest.mark.parametrize("name", NAMES)
def test_name_of_the_package(name: str) -> None:
    assert name in pynetdicom.__all__
    assert name in dir(pynetdicom)
    assert name in dir(pynetdicom3)
    value, other = getattr(pynetdicom, name), getattr(pynetdicom3, name)
    if name == "AE":  # which takes arguments of version 0.9, too
        assert issubclass(other, value)
    elif not name.endswith("Contexts"):
        assert other is value


def test_all_names_nothing_twice_and_nothing_that_is_missing() -> None:
    assert sorted(pynetdicom.__all__) == NAMES
    names: dict[str, object] = {}
    exec("from pynetdicom import *", names)
    assert set(NAMES) <= set(names)


@pytest.mark.parametrize("module", MODULES)
def test_modules_have_one_instance_under_both_names(module: str) -> None:
    real = importlib.import_module(f"pynetdicom.{module}")
    assert importlib.import_module(f"pynetdicom3.{module}") is real
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


def test_context_lists_are_the_caller_s_own() -> None:
    first = pynetdicom.VerificationPresentationContexts
    first[0].add_transfer_syntax("1.2.840.10008.1.2.4.50")
    first.clear()
    (context,) = pynetdicom.VerificationPresentationContexts
    assert len(context.transfer_syntax) == 4


# Attributes


def test_what_the_attributes_say() -> None:
    with Pair() as pair:
        assoc = pair.established(ae_title="CALLED")
        acceptor = acceptor_of(pair)
        assert (assoc.mode, acceptor.mode) == ("requestor", "acceptor")
        assert (assoc.is_requestor, assoc.is_acceptor) == (True, False)
        assert (acceptor.is_requestor, acceptor.is_acceptor) == (False, True)
        assert assoc.ae is pair.scu
        assert acceptor.ae is pair.scp
        assert assoc.local["ae_title"] == acceptor.remote["ae_title"] == "SCU"
        assert assoc.local["port"] == acceptor.remote["port"]
        assert acceptor.local["ae_title"] == "SCP"
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
def test_import_adds_no_handler(package: str, python_env: dict[str, str]) -> None:
    """So that what is wrong is seen where nobody has configured logging."""
    code = (
        f"import logging, {package}; logger = logging.getLogger('pynetdicom');"
        "print(logger.handlers, logger.level, logger.propagate, logging.getLogger().handlers);"
        "logging.getLogger('pynetdicom.assoc').warning('to be seen');"
        "logger.info('not to be seen')"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], env=python_env, check=True, capture_output=True, text=True
    )
    assert result.stdout == "[] 0 True []\n"
    assert result.stderr == "to be seen\n"


def test_a_handler_s_mistake_is_seen_in_the_first_script(python_env: dict[str, str]) -> None:
    code = """
from pynetdicom import AE, evt

def handle(event):
    raise KeyError("x")

with_handler = [(evt.EVT_C_STORE, handle)]
ae = AE()
ae.add_supported_context("1.2.840.10008.5.1.4.1.1.2")
ae.add_requested_context("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2")
server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=with_handler)
assoc = ae.associate("127.0.0.1", server.server_address[1])
from tests.peers import ct
assert assoc.send_c_store(ct()).Status == 0xC211
assoc.release()
ae.shutdown()
"""
    result = subprocess.run(
        [sys.executable, "-c", code], env=python_env, check=True, capture_output=True, text=True
    )
    assert "KeyError" in result.stderr


# _config


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

    class Told(set[Any]):
        def add(self, server: Any) -> None:
            super().add(server)
            opened.set()

    ae = AE(b"SCP", free_port)
    ae._running.servers = Told()
    ae.bind_addr = "127.0.0.1"
    ae.add_supported_context(VERIFICATION)
    scu = AE()
    scu.add_requested_context(VERIFICATION)

    associations: list[Association] = []

    def is_served() -> bool:
        assert opened.wait(DEADLINE)
        associations.append(scu.associate("127.0.0.1", free_port))
        return associations[0].is_established

    with interrupted_when(is_served):
        ae.start()
    (assoc,) = associations
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
                for assoc in server.all_associations():
                    assoc.join(60)
            said[level] = len(caplog.records)
    finally:
        ae.shutdown()
    assert said["standard"] >= 3
    assert said["none"] == 0
