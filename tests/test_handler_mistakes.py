"""A mistake in a program's own code: the log says where it is, and nothing of the patient."""

from __future__ import annotations

import functools
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pynetdicom import AE, Association, build_context, build_role, evt
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from tests.pair import CT, Pair, acceptor_of, ended
from tests.peers import ct

HERE = re.escape(__file__)
NAME = "Doe^Jane"
MODEL = "1.2.840.10008.5.1.4.1.2."


class Mistake(Exception):
    pass


def fail(*args: Any) -> Any:
    raise Mistake(f"{NAME}\nERROR: a line of its own")


def by_way_of(*args: Any) -> Any:
    return fail(*args)


WAY = rf"Mistake at {HERE}:\d+ in by_way_of > {HERE}:\d+ in fail"


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What is logged at ERROR, but for how associations end; nothing shows a value."""
    for record in caplog.records:
        assert record.getMessage().isprintable()
        assert len(record.getMessage()) < 2500
        if record.levelno > logging.DEBUG:
            assert NAME not in record.getMessage()
            assert not record.exc_info
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.ERROR and record.name != "pynetdicom.assoc"
    ]


def scp_of(*handlers: tuple[Any, ...], **callbacks: Callable[..., Any]) -> Pair:
    """An SCP of verification, storage and patient root, with these handlers or callbacks."""
    scp = AE("SCP")
    for uid in ("Verification", *(f"{MODEL}1.{n}" for n in "123")):
        scp.add_supported_context(uid)
    scp.add_supported_context(CT, scu_role=True, scp_role=True)
    for name, callback in callbacks.items():
        setattr(scp, name, callback)
    pair = Pair(scp, scp_handlers=handlers)
    for n in "123":
        pair.scu.add_requested_context(f"{MODEL}1.{n}")
    return pair


def identifier() -> Any:
    ds = ct()
    ds.QueryRetrieveLevel, ds.PatientName = "PATIENT", NAME
    return ds


def stored() -> Any:
    ds = ct(100)
    ds.PatientName = NAME
    return ds


REQUESTS: dict[str, Callable[[Association], Any]] = {
    "C_ECHO": lambda assoc: assoc.send_c_echo(),
    "C_STORE": lambda assoc: assoc.send_c_store(stored()),
    "C_FIND": lambda assoc: [status for status, _ in assoc.send_c_find(identifier(), "P")][-1],
    "C_GET": lambda assoc: [status for status, _ in assoc.send_c_get(identifier(), "P")][-1],
    "C_MOVE": lambda assoc: [status for status, _ in assoc.send_c_move(identifier(), "X", "P")][-1],
}


def serve(name: str, pair: Pair) -> Any:
    """Have a request of this name served; its status."""
    with pair:
        assoc = pair.established()
        status = REQUESTS[name](assoc)
        assoc.release()
        assert assoc.is_released
    return status.Status


@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
@pytest.mark.parametrize("name", REQUESTS)
def test_an_intervention_handler_raises(
    name: str, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(level, "pynetdicom"):
        serve(name, scp_of((getattr(evt, f"EVT_{name}"), by_way_of)))
    (text,) = errors(caplog)
    assert re.fullmatch(f"the handler of the {name.replace('_', '-')}-RQ raised {WAY}", text)
    assert any(NAME in line for line in caplog.messages) == (level == logging.DEBUG)


@pytest.mark.parametrize("name", REQUESTS)
def test_a_callback_raises(name: str, caplog: pytest.LogCaptureFixture) -> None:
    serve(name, scp_of(**{f"on_{name.lower()}": by_way_of}))
    (text,) = errors(caplog)
    assert re.fullmatch(f"the handler of the {name.replace('_', '-')}-RQ raised {WAY}", text)


def matches(event: Any) -> Iterator[Any]:
    yield 0xFF00, identifier()
    yield by_way_of()


def instances(event: Any) -> Iterator[Any]:
    if event.event is evt.EVT_C_MOVE:
        yield "127.0.0.1", 1
    yield by_way_of()


@pytest.mark.parametrize(
    ("name", "handler"), [("C_FIND", matches), ("C_GET", instances), ("C_MOVE", instances)]
)
@pytest.mark.parametrize("wrap", [lambda items: items, evt.ahead])
def test_a_generator_raises(
    name: str, handler: Any, wrap: Any, caplog: pytest.LogCaptureFixture
) -> None:
    bound = (getattr(evt, f"EVT_{name}"), lambda event: wrap(handler(event)))
    serve(name, scp_of(bound))
    (text,) = errors(caplog)
    operation = name.replace("_", "-")
    way = f"{HERE}:\\d+ in {handler.__name__} > {HERE}:\\d+ in by_way_of > {HERE}:\\d+ in fail"
    assert re.fullmatch(f"the handler of the {operation}-RQ raised Mistake at {way}", text)


def test_a_generator_that_raises_when_it_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    def handler(event: Any) -> Iterator[Any]:
        try:
            yield 0x0000, None
        finally:
            by_way_of()

    serve("C_FIND", scp_of((evt.EVT_C_FIND, handler)))
    (text,) = errors(caplog)
    way = f"{HERE}:\\d+ in handler > {HERE}:\\d+ in by_way_of > {HERE}:\\d+ in fail"
    assert re.fullmatch(f"closing a handler raised Mistake at {way}", text)


class Object:
    def __call__(self, event: Any) -> Any:
        return by_way_of(event)


@pytest.mark.parametrize(
    ("handler", "first"),
    [
        (lambda event: by_way_of(), "<lambda>"),
        (functools.partial(by_way_of, 1), "by_way_of"),
        (Object(), "__call__"),
    ],
    ids=["lambda", "partial", "object"],
)
def test_kinds_of_handlers(handler: Any, first: str, caplog: pytest.LogCaptureFixture) -> None:
    serve("C_STORE", scp_of((evt.EVT_C_STORE, handler)))
    (text,) = errors(caplog)
    assert re.search(rf"raised Mistake at {HERE}:\d+ in {first} > ", text)


def test_a_handler_that_takes_other_arguments(caplog: pytest.LogCaptureFixture) -> None:
    def handler() -> int:
        return 0

    serve("C_STORE", scp_of((evt.EVT_C_STORE, handler)))
    (text,) = errors(caplog)
    assert re.search(rf"raised TypeError at the call of \S+handler at {HERE}:\d+$", text)


def test_what_the_library_raises_in_a_handler(caplog: pytest.LogCaptureFixture) -> None:
    def handler(event: Any) -> int:
        return int(event.dataset.PatientName)

    serve("C_STORE", scp_of((evt.EVT_C_STORE, handler)))
    (text,) = errors(caplog)
    assert re.search(rf"raised TypeError at {HERE}:\d+ in handler$", text)


def test_notification_handlers_callbacks_and_hooks(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    notifications = [event for event in evt.ALL_EVENTS.values() if event.is_notification]
    names = ("requested", "accepted", "released")
    for name in names:
        monkeypatch.setattr(Association, f"debug_association_{name}", staticmethod(by_way_of))
    callbacks = {f"on_association_{name}": by_way_of for name in names}
    with scp_of(*((event, by_way_of) for event in notifications), **callbacks) as pair:
        pair.scu_handlers = [(event, by_way_of) for event in notifications]
        assoc = pair.established()
        acceptor = acceptor_of(pair)
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()
        assert assoc.is_released
        ended(acceptor)
    told = set()
    for text in errors(caplog):
        found = re.fullmatch(rf"(a handler of )?(\w+) raised {WAY}", text)
        assert found, text
        told.add(found[2])
    expected = {event.name for event in notifications} - {"EVT_REJECTED", "EVT_ABORTED"}
    expected |= {f"{kind}_association_{name}" for kind in ("on", "debug") for name in names}
    assert told == expected


@pytest.mark.parametrize(
    "event", [evt.EVT_ASYNC_OPS, evt.EVT_SOP_EXTENDED, evt.EVT_SOP_COMMON, evt.EVT_USER_ID], ids=str
)
def test_handlers_of_the_negotiation(event: Any, caplog: pytest.LogCaptureFixture) -> None:
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 2
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid, extended.service_class_application_information = CT, b"\x01"
    common = SOPClassCommonExtendedNegotiation()
    common.sop_class_uid, common.service_class_uid = CT, "1.2.840.10008.4.2"
    user = UserIdentityNegotiation()
    user.user_identity_type, user.primary_field = 1, NAME.encode()
    with scp_of((event, by_way_of)) as pair:
        assoc = pair.associate(ext_neg=[window, extended, common, user])
        assert assoc.is_established == (event is not evt.EVT_USER_ID)
        assoc.abort()
    (text,) = errors(caplog)
    assert re.fullmatch(rf"the handler of {event} raised {WAY}", text)


class Stop(BaseException):
    """What no program should raise, and what a handler of signals may."""


def test_what_ends_the_association(caplog: pytest.LogCaptureFixture) -> None:
    """Neither in the log nor in how the association has ended is what the exception says."""

    def stop(event: Any) -> Any:
        raise Stop(NAME)

    with scp_of((evt.EVT_C_ECHO, stop)) as pair:
        assoc = pair.established()
        acceptor = acceptor_of(pair)
        assert "Status" not in assoc.send_c_echo()
        ended(acceptor)
        assert str(acceptor.ended) == "aborted by the local side (no reason given): Stop"
        assert isinstance(acceptor.ended and acceptor.ended.error, Stop)
    assert errors(caplog) == []
    texts = [text for text in caplog.messages if " failed: Stop at " in text]
    assert len(texts) == 1
    assert re.search(rf"failed: Stop at {HERE}:\d+ in stop$", texts[0])


def test_our_store_handler_of_a_c_get_raises(caplog: pytest.LogCaptureFixture) -> None:
    with scp_of((evt.EVT_C_GET, lambda event: iter([1, (0xFF00, stored())]))) as pair:
        contexts = [build_context(CT), build_context(f"{MODEL}1.3")]
        assoc = pair.established(
            contexts=contexts,
            ext_neg=[build_role(CT, scp_role=True)],
            evt_handlers=[(evt.EVT_C_STORE, by_way_of)],
        )
        *_, (status, _) = assoc.send_c_get(identifier(), "P")
        assert status.Status == 0xA702
        assoc.release()
    (text,) = errors(caplog)
    assert re.fullmatch(f"the handler of the C-STORE-RQ raised {WAY}", text)


def wrong_status(value: Any) -> Any:
    from pydicom.dataset import Dataset

    ds = Dataset()
    if value is not None:
        ds.Status = value
    return ds


@pytest.mark.parametrize(
    ("name", "given", "what"),
    [
        ("C_STORE", NAME, "a str"),
        ("C_STORE", None, "None"),
        ("C_STORE", 0x10000, "an int that is not 0x0000 to 0xFFFF"),
        ("C_STORE", -1, "an int that is not 0x0000 to 0xFFFF"),
        ("C_STORE", True, "a bool"),
        ("C_STORE", (0, None), "a tuple"),
        ("C_STORE", wrong_status(None), "a Dataset without Status"),
        ("C_ECHO", NAME, "a str"),
        ("C_FIND", [NAME], "a str instead of (status, data set)"),
        ("C_FIND", [(NAME, None)], "a str"),
        ("C_FIND", [identifier()], "a Dataset instead of (status, data set)"),
        ("C_FIND", object(), "an object instead of a generator or a list"),
        ("C_GET", [1, identifier()], "a Dataset instead of (status, data set)"),
        ("C_GET", [1, (None, identifier())], "None"),
        ("C_GET", None, "None instead of a generator or a list"),
        ("C_MOVE", None, "None instead of a generator or a list"),
    ],
)
def test_a_status_that_is_none(
    name: str, given: Any, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(event: Any) -> Any:
        return given

    serve(name, scp_of((getattr(evt, f"EVT_{name}"), handler)))
    (text,) = errors(caplog)
    whose = rf"the handler of the {name.replace('_', '-')}-RQ \(\S+handler at {HERE}:\d+\)"
    assert re.match(rf"{whose} gave {re.escape(what)}(;|$)", text), text


@pytest.mark.parametrize(
    ("name", "given"), [("C_GET", [NAME]), ("C_MOVE", [("127.0.0.1", 1), NAME])]
)
def test_a_number_of_sub_operations_that_is_none(
    name: str, given: Any, caplog: pytest.LogCaptureFixture
) -> None:
    serve(name, scp_of((getattr(evt, f"EVT_{name}"), lambda event: given)))
    (text,) = errors(caplog)
    assert text.endswith("Invalid number of sub-operations: a str")
    assert re.search(rf"<lambda> at {HERE}:\d+", text)


@pytest.mark.parametrize("given", [[5], [NAME], [("host",)], [("127.0.0.1", NAME)]])
def test_a_move_destination_that_is_none(given: Any, caplog: pytest.LogCaptureFixture) -> None:
    serve("C_MOVE", scp_of((evt.EVT_C_MOVE, lambda event: given)))
    (text,) = errors(caplog)
    assert re.match(rf"the handler of the C-MOVE-RQ \(\S*<lambda> at {HERE}:\d+\)", text)
    assert "instead of (address, port) or" in text


@pytest.mark.parametrize(
    ("event", "answer", "what"),
    [
        (evt.EVT_USER_ID, NAME, "a str instead of (bool, bytes or None)"),
        (evt.EVT_USER_ID, True, "a bool instead of (bool, bytes or None)"),
        (evt.EVT_USER_ID, (True, NAME), "a str instead of bytes or None as response"),
        (evt.EVT_SOP_EXTENDED, NAME, "a str instead of a dict or None"),
        (
            evt.EVT_SOP_EXTENDED,
            {CT: NAME},
            f"a str instead of bytes that fit, for CTImageStorage ({CT})",
        ),
        (evt.EVT_SOP_COMMON, NAME, "a str instead of a dict"),
    ],
)
def test_an_answer_of_the_negotiation_that_is_none(
    event: Any, answer: Any, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid, extended.service_class_application_information = CT, b"\x01"
    common = SOPClassCommonExtendedNegotiation()
    common.sop_class_uid, common.service_class_uid = CT, "1.2.840.10008.4.2"
    user = UserIdentityNegotiation()
    user.user_identity_type, user.primary_field = 1, NAME.encode()
    user.positive_response_requested = True
    handlers = [(evt.EVT_USER_ID, lambda event: (True, None)), (event, lambda event: answer)]
    with scp_of(*handlers) as pair:
        assoc = pair.associate(ext_neg=[extended, common, user])
        assert assoc.is_established == (event is not evt.EVT_USER_ID)
        assoc.abort()
    (text,) = errors(caplog)
    assert re.fullmatch(
        rf"the handler of {event} \(\S*<lambda> at {HERE}:\d+\) gave {re.escape(what)}", text
    )


def test_it_is_seen_where_nobody_has_configured_logging(python_env: dict[str, str]) -> None:
    code = """
from pynetdicom import AE, evt

def handler(event):
    raise ValueError("Doe^Jane")

scp = AE()
scp.add_supported_context("Verification")
server = scp.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_ECHO, handler)])
scu = AE()
scu.add_requested_context("Verification")
assoc = scu.associate("127.0.0.1", server.server_address[1])
assoc.send_c_echo()
assoc.release()
server.shutdown()
"""
    result = subprocess.run(
        [sys.executable, "-c", code], env=python_env, check=True, capture_output=True, text=True
    )
    expected = "the handler of the C-ECHO-RQ raised ValueError at <string>:5 in handler\n"
    assert result.stderr == expected
