"""pynetdicom.running: which handlers a thread is running."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pynetdicom import evt
from pynetdicom.running import HandlerItems, handled_here

ASSOC: Any = object()


def test_items_of_a_handler() -> None:
    seen: list[Any] = []

    def generator() -> Iterator[int]:
        try:
            seen.append(handled_here(ASSOC))
            yield 1
            seen.append(handled_here(ASSOC))
            raise ValueError
        finally:
            seen.append(handled_here(ASSOC))

    items = HandlerItems(ASSOC, evt.EVT_C_FIND, generator())
    assert iter(items) is items
    assert next(items) == 1
    assert handled_here(ASSOC) == []
    try:
        next(items)
    except ValueError:
        seen.append("raised")
    assert handled_here(ASSOC) == []
    items.close()
    assert seen == [[evt.EVT_C_FIND]] * 3 + ["raised"]


def test_closing() -> None:
    seen: list[Any] = []

    def generator() -> Iterator[int]:
        try:
            yield 1
        finally:
            seen.append(handled_here(ASSOC))

    items = HandlerItems(ASSOC, evt.EVT_C_GET, generator())
    next(items)
    items.close()
    assert seen == [[evt.EVT_C_GET]]
    HandlerItems(ASSOC, evt.EVT_C_GET, iter([1])).close()  # which has nothing to close


def test_what_a_generator_returns_is_passed_on() -> None:
    def generator() -> Any:
        yield 1
        return 5

    items = HandlerItems(ASSOC, evt.EVT_C_MOVE, generator())
    next(items)
    with pytest.raises(StopIteration) as stop:
        next(items)
    assert stop.value.value == 5


def test_each_thread_has_its_own() -> None:
    elsewhere: list[Any] = []

    def generator() -> Iterator[int]:
        thread = threading.Thread(target=lambda: elsewhere.append(handled_here(ASSOC)))
        thread.start()
        thread.join()
        yield 1

    next(HandlerItems(ASSOC, evt.EVT_C_FIND, generator()))
    assert elsewhere == [[]]
    assert handled_here(object()) == []  # type: ignore[arg-type]
