"""What is no handler is refused where it is given, in words that say what is due."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from pynetdicom import AE, evt
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
    assert not list(ae._servers)


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
    assert not list(ae._servers)
