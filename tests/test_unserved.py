"""What is set up and will not be served is said once."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from pynetdicom import (
    AE,
    ModalityPerformedPresentationContexts,
    UnifiedProcedurePresentationContexts,
    build_context,
    evt,
    register_uid,
    unserved,
)
from pynetdicom.service_class_n import PrintManagementServiceClass
from pynetdicom.services.classes import ANSWERS, SERVED, SERVICE_CLASSES
from tests.pair import CT, VERIFICATION, Pair, serve

N_EVENTS = [event for name, event in evt.ALL_EVENTS.items() if name.startswith("EVT_N_")]
DISPLAY = "1.2.840.10008.5.1.1.40"


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unserved, "_said", set())


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    def lines() -> list[str]:
        found = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        caplog.clear()
        return found

    with caplog.at_level("WARNING", "pynetdicom"):
        yield lines


def nothing(event: evt.Event) -> tuple[int, None]:
    return 0x0000, None


@pytest.mark.parametrize("event", N_EVENTS)
def test_a_handler_that_will_not_be_called(event: evt.InterventionEvent, said: Any) -> None:
    with Pair(scp_handlers=[(event, nothing)]) as pair:
        (line,) = said()
        assert event.name in line
        assert event.name[4:].replace("_", "-") in line
        assert "0x0211" in line
        pair.established().release()
        pair.server.bind(event, nothing)
        pair.established(evt_handlers=[(event, nothing)]).release()
        assert said() == []


def test_a_handler_that_is_bound_later_or_as_requestor(said: Any) -> None:
    with Pair() as pair:
        assert said() == []
        pair.server.bind(evt.EVT_N_CREATE, nothing)
        assert len(said()) == 1
        pair.established(evt_handlers=[(evt.EVT_N_EVENT_REPORT, nothing)]).release()
        assert len(said()) == 1


def test_handlers_that_will_be_called(said: Any) -> None:
    handlers = [(event, nothing) for event in evt.ALL_EVENTS.values() if event not in N_EVENTS]
    with Pair(scp_handlers=handlers):
        assert said() == []


def test_callbacks_that_will_not_be_called(said: Any) -> None:
    class Scp(AE):
        def on_n_create(self, dataset: Any, context: Any, info: Any) -> Any:
            return 0x0000, None

    ae = Scp()
    ae.on_n_event_report = lambda *args: (0x0000, None)  # type: ignore[method-assign]
    ae.on_c_store = lambda *args: 0x0000  # type: ignore[method-assign]
    ae.add_supported_context(VERIFICATION)
    for _ in range(2):
        with ae:
            serve(ae)
    create, report = said()
    assert "on_n_create is assigned" in create
    assert "N-EVENT-REPORT" in report


def test_contexts_that_are_not_served(said: Any) -> None:
    ae = AE()
    ae.supported_contexts = ModalityPerformedPresentationContexts
    ae.supported_contexts += UnifiedProcedurePresentationContexts
    ae.add_supported_context(DISPLAY)
    ae.add_supported_context(CT)
    with ae:
        lines = {line.partition(" is supported")[0]: line for line in said()}
        assert set(lines) == {
            "Procedure Step", "Unified Procedure Step", "Display System Management",
        }  # fmt: skip
        assert "C-FIND" not in lines["Unified Procedure Step"]  # which is served
        assert "N-ACTION" in lines["Unified Procedure Step"]
        assert "N-GET" in lines["Display System Management"]
        serve(ae)
        serve(ae, contexts=[build_context(DISPLAY)])
        ae.supported_contexts = ae.supported_contexts
        assert said() == []


def test_contexts_of_one_server(said: Any) -> None:
    with AE() as ae:
        serve(ae, contexts=[build_context("1.2.840.10008.1.20.1")])
        (line,) = said()
        assert line.startswith("Storage Commitment is supported")


def test_a_private_class_of_a_service(said: Any) -> None:
    register_uid("1.2.3.4.5.6", "PrivatePrint", PrintManagementServiceClass)
    with AE() as ae:
        ae.add_supported_context("1.2.3.4.5.6")
        ae.add_supported_context("1.2.3.4.5.7")  # of no service: nothing can be said of it
        serve(ae)
        (line,) = said()
        assert line.startswith("Print Management is supported")


@pytest.mark.parametrize("service_class", SERVICE_CLASSES)
def test_what_is_said_is_so(service_class: Any, said: Any) -> None:
    unserved.note_contexts(service_class.sop_classes)
    lacking = {op for ops in service_class.sop_classes.values() for op in ops} - SERVED
    assert bool(said()) == bool(lacking)


def test_every_operation_is_served_or_said_not_to_be() -> None:
    assert set(evt.OPERATION_EVENTS) == set(ANSWERS)
    assert {event.name for event in N_EVENTS} == {
        str(evt.OPERATION_EVENTS[operation]) for operation in set(ANSWERS) - SERVED
    }


def test_it_is_seen_in_the_first_script(python_env: dict[str, str]) -> None:
    code = """
from pynetdicom import AE, evt
with AE() as ae:
    ae.add_supported_context("1.2.840.10008.3.1.2.3.3")
    handlers = [(evt.EVT_N_CREATE, lambda event: (0x0000, None))]
    ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
"""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=python_env, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert result.stderr.count("\n") == 2
    assert "EVT_N_CREATE" in result.stderr
    assert "Procedure Step is supported" in result.stderr
