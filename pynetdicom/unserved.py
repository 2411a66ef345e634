"""What a program counts on and this version does not do is said once, where it is set up.

By the log, not by `warnings`: servers keep a log, and where nobody has configured one, Python's
last resort prints it; a warning could be turned into an exception that keeps a server from
starting.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from pynetdicom.services import registry
from pynetdicom.services.classes import ANSWERS, SERVED, UNRECOGNIZED_OPERATION

LOGGER = logging.getLogger("pynetdicom.ae")

# What has been said by this process. Two threads may say the same at once, which does no harm.
_said: set[str] = set()


UNSERVED = frozenset(ANSWERS) - SERVED
"""The DIMSE operations whose requests are not served."""


def note_event(name: str) -> None:
    """Say that the handler of an event, such as ``EVT_N_GET``, will not be called."""
    operation = name.removeprefix("EVT_").replace("_", "-")
    if operation in UNSERVED:
        _say(f"a handler is bound to {name}", operation)


def note_callbacks(names: Iterable[str]) -> None:
    """Say of assigned callbacks, such as ``on_n_get``, that they will not be called."""
    for name in names:
        operation = name.removeprefix("on_").replace("_", "-").upper()
        if operation in UNSERVED:
            _say(f"{name} is assigned", operation)


def note_contexts(abstract_syntaxes: Iterable[str]) -> None:
    """Say of services whose SOP Classes are supported which of their operations are not served."""
    for uid in abstract_syntaxes:
        declared = registry.declared(uid)
        if declared is not None and not UNSERVED.isdisjoint(declared[1]):
            service = declared[0]
            lacking = [name for name in service.operations if name in UNSERVED]
            _say(f"{service.name or uid} is supported", ", ".join(lacking))


def _say(what: str, operations: str) -> None:
    if what not in _said:
        _said.add(what)
        answer = f"requests are answered with 0x{UNRECOGNIZED_OPERATION:04X}"
        LOGGER.warning("%s, but this version does not serve %s: %s", what, operations, answer)
