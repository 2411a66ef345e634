"""Handlers: what is none is refused in words that say what is due; which ones a thread runs."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from pynetdicom import AE, evt
from pynetdicom.handlers import HandlerItems, Handlers
from tests.pair import VERIFICATION


def handle(event: Any) -> int:
    return 0x0000


SHAPE = r"list of \(event, handler\) or \(event, handler, \[args\]\)"
MISTAKES: dict[str, tuple[Any, str]] = {
    "no list around it": ((evt.EVT_C_ECHO, handle), SHAPE),
    "events alone": ([evt.EVT_C_ECHO], SHAPE),
    "an event alone in a tuple": ([(evt.EVT_C_ECHO,)], SHAPE),
    "a dict": ({evt.EVT_C_ECHO: handle}, SHAPE),
    "too much": ([(evt.EVT_C_ECHO, handle, [1], 2)], SHAPE),
    "a name": ([("EVT_C_ECHO", handle)], "'EVT_C_ECHO' is not an event"),
    "the wrong way round": ([(handle, evt.EVT_C_ECHO)], "is not an event"),
    "None": ([(evt.EVT_C_ECHO, None)], "handler of EVT_C_ECHO must be callable"),
    "what it gave": ([(evt.EVT_C_ECHO, handle(None))], "must be callable"),
    "an argument without a list": ([(evt.EVT_C_ECHO, handle, 1)], r"must be a list: \[args\]"),
    "a text as arguments": ([(evt.EVT_C_ECHO, handle, "ab")], r"must be a list: \[args\]"),
}


@pytest.mark.parametrize("case", MISTAKES)
@pytest.mark.parametrize("side", ["server", "association"])
def test_what_is_no_handler(case: str, side: str) -> None:
    given, words = MISTAKES[case]
    ae = AE()
    ae.add_requested_context(VERIFICATION)
    ae.add_supported_context(VERIFICATION)
    begin: Callable[..., Any] = partial(ae.start_server, ("127.0.0.1", 0), block=False)
    if side == "association":
        begin = partial(ae.associate, "127.0.0.1", 1)
    with pytest.raises(TypeError, match=words):
        begin(evt_handlers=given)
    assert not ae.active_associations
    assert not list(ae._running.servers)


@pytest.mark.parametrize("args", [None, [], [1, 2], (1, 2)])
def test_arguments(args: Any) -> None:
    ae = AE()
    ae.add_supported_context(VERIFICATION)
    server = ae.make_server(("127.0.0.1", 0), evt_handlers=[(evt.EVT_C_ECHO, handle, args)])
    try:
        assert server.get_handlers(evt.EVT_C_ECHO) == (handle, (args and list(args)) or args)
    finally:
        server.server_close()


def test_a_tls_context_of_the_other_side() -> None:
    ae = AE()
    ae.add_requested_context(VERIFICATION)
    ae.add_supported_context(VERIFICATION)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(ValueError, match="PROTOCOL_TLS_SERVER"):
        ae.start_server(("127.0.0.1", 0), block=False, ssl_context=client)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.raises(ValueError, match="PROTOCOL_TLS_CLIENT"):
        ae.associate("127.0.0.1", 1, tls_args=(server, "localhost"))
    assert not ae.active_associations
    assert not list(ae._running.servers)


# Which handlers a thread is running

OWNER = Handlers(AE())


def test_items_of_a_handler() -> None:
    seen: list[Any] = []

    def generator() -> Iterator[int]:
        try:
            seen.append(OWNER.running_here())
            yield 1
            seen.append(OWNER.running_here())
            raise ValueError
        finally:
            seen.append(OWNER.running_here())

    items = HandlerItems(OWNER, evt.EVT_C_FIND, generator())
    assert iter(items) is items
    assert next(items) == 1
    assert OWNER.running_here() == []
    try:
        next(items)
    except ValueError:
        seen.append("raised")
    assert OWNER.running_here() == []
    items.close()
    assert seen == [[evt.EVT_C_FIND]] * 3 + ["raised"]


def test_closing() -> None:
    seen: list[Any] = []

    def generator() -> Iterator[int]:
        try:
            yield 1
        finally:
            seen.append(OWNER.running_here())

    items = HandlerItems(OWNER, evt.EVT_C_GET, generator())
    next(items)
    items.close()
    assert seen == [[evt.EVT_C_GET]]
    HandlerItems(OWNER, evt.EVT_C_GET, iter([1])).close()  # which has nothing to close


def test_what_a_generator_returns_is_passed_on() -> None:
    def generator() -> Any:
        yield 1
        return 5

    items = HandlerItems(OWNER, evt.EVT_C_MOVE, generator())
    next(items)
    with pytest.raises(StopIteration) as stop:
        next(items)
    assert stop.value.value == 5


def test_each_thread_has_its_own() -> None:
    elsewhere: list[Any] = []

    def generator() -> Iterator[int]:
        thread = threading.Thread(target=lambda: elsewhere.append(OWNER.running_here()))
        thread.start()
        thread.join()
        yield 1

    next(HandlerItems(OWNER, evt.EVT_C_FIND, generator()))
    assert elsewhere == [[]]
    assert Handlers(AE()).running_here() == []
