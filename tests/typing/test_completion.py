"""What an editor shows: completion and hover texts, as jedi finds them."""

from __future__ import annotations

import threading
from functools import cache

import jedi
import pytest

from pynetdicom import AE, Association, evt
from pynetdicom.events import ALL_EVENTS
from tests.conftest import ROOT

PROJECT = jedi.Project(str(ROOT))
HERE = jedi.InterpreterEnvironment()  # no other process is asked
OF_EACH = {"assoc", "event", "timestamp"}


def _script(code: str) -> jedi.Script:
    return jedi.Script(code, path=ROOT / "program.py", project=PROJECT, environment=HERE)


@cache
def completed(code: str) -> frozenset[str]:
    """The names that are offered at the end of a program, those with an underscore apart."""
    found = _script(code).complete()
    return frozenset(one.name for one in found if not one.name.startswith("_"))


def hover(code: str) -> str:
    """What is shown of the last name of a program."""
    lines = code.splitlines()
    found = _script(code).help(len(lines), len(lines[-1]))
    texts = [one.docstring(raw=True) for one in found]
    return "\n".join(filter(None, texts))


def of_class(cls: type, base: type) -> set[str]:
    return {name for name in set(dir(cls)) - set(dir(base)) if not name.startswith("_")}


def test_of_an_association() -> None:
    offered = completed(
        "from pynetdicom import AE\nassoc = AE().associate('127.0.0.1', 104)\nassoc."
    )
    thread = {name for name in dir(threading.Thread) if not name.startswith("_")}
    # What it has as a thread, too: its base class offers that.
    attributes = {"ae", "mode", "lock", "stats", "requestor", "acceptor", "dul"}
    assert offered - thread == of_class(Association, threading.Thread) | attributes


def test_of_an_ae() -> None:
    offered = completed("from pynetdicom import AE\nae = AE()\nae.")
    attributes = {
        *("port", "bind_addr", "extended_negotiation", "local_socket"),
        *("maximum_object_bytes", "spool_dir", "require_user_identity"),
    }
    assert offered == of_class(AE, object) | attributes


@pytest.mark.parametrize("name", ALL_EVENTS)
def test_of_an_event_of_a_kind(name: str) -> None:
    from pynetdicom.event_kinds import CLASSES

    kind = CLASSES[ALL_EVENTS[name]].__name__
    code = f"from pynetdicom import evt\ndef handle(event: evt.{kind}):\n    event."
    assert completed(code) == OF_EACH | set(ALL_EVENTS[name].attributes)


def test_of_any_event() -> None:
    code = "from pynetdicom import evt\ndef handle(event: evt.Event):\n    event."
    attributes = {name for event in ALL_EVENTS.values() for name in event.attributes}
    assert completed(code) == OF_EACH | attributes


@pytest.mark.parametrize("name", ALL_EVENTS)
def test_what_is_shown_of_an_event(name: str) -> None:
    text = hover(f"from pynetdicom import evt\nevt.{name}")
    assert len(text) > 20
    if getattr(evt, name).is_intervention:
        assert "the handler" in text
