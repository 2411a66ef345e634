"""pynetdicom.workflows.providing: what a status refuses is the same for all who ask."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pynetdicom.services.statuses import TABLES, code_to_category, status_dict
from pynetdicom.workflows import availability, commitment, mpps, ups, worklist
from pynetdicom.workflows.providing import Refused, is_done
from tests.workflows.test_availability import full as notification
from tests.workflows.test_mpps import change, full
from tests.workflows.ups_pair import step

CODES: dict[int | None, bool] = {
    # status: whether it was done
    0x0000: True,
    0x0001: True,
    0x0107: True,
    0x0116: True,
    0xB305: True,
    0xB0FE: True,  # in no table
    0x0110: False,
    0x0124: False,
    0xA700: False,
    0xC302: False,
    0xA0FE: False,  # in no table, as all that follow
    0xC0FE: False,
    0x01FE: False,
    0x0002: False,
    0xD000: False,
    0xFE00: False,  # cancel
    0xFF00: False,  # pending, and nothing comes
    None: False,  # no answer
}


class Peer:
    """Answers whatever it is asked with one status."""

    accepted_contexts = ()

    def __init__(self, code: int | None) -> None:
        self.status = Dataset()
        if code is not None:
            self.status.Status = code

    def _answer(self, *what: Any, **how: Any) -> tuple[Dataset, Dataset | None]:
        return self.status, None

    send_n_create = send_n_set = send_n_get = send_n_action = send_n_event_report = _answer

    def send_c_find(self, *what: Any) -> Iterator[tuple[Dataset, Dataset | None]]:
        yield self.status, None

    def get_handlers(self, event: Any) -> tuple[None, None]:
        return None, None

    def bind(self, event: Any, handler: Any) -> None:
        pass

    unbind = bind


def commit(peer: Any) -> None:
    with suppress(TimeoutError):  # which says that it was taken
        commitment.commit(peer, [("1.2.840.10008.5.1.4.1.1.2", "1.2.3")], timeout=0)


def performance(peer: Any) -> ups.Performance:
    return ups.Performance(peer, "1.2.3", "1.2.4")


def step_to_push() -> Dataset:
    from tests.workflows.test_ups import new

    return new()


COMMENT = change(CommentsOnThePerformedProcedureStep="late")

CALLS: dict[str, Callable[[Any], Any]] = {
    "mpps.begin": lambda peer: mpps.begin(peer, full()),
    "mpps.Step.update": lambda peer: mpps.resume(peer, "1.2.3").update(COMMENT),
    "mpps.Step.complete": lambda peer: mpps.resume(peer, "1.2.3").complete(),
    "mpps.get": lambda peer: mpps.get(peer, "1.2.3"),
    "availability.notify": lambda peer: availability.notify(peer, notification()),
    "commitment.commit": commit,
    "worklist.find": lambda peer: worklist.find(peer),
    "ups.push": lambda peer: ups.push(peer, step()),
    "ups.claim": lambda peer: ups.claim(peer, "1.2.3"),
    "ups.Performance.set": lambda peer: performance(peer).set(Dataset()),
    "ups.Performance.progress": lambda peer: performance(peer).progress(10),
    "ups.Performance.complete": lambda peer: performance(peer).complete(),
    "ups.Performance.cancel": lambda peer: performance(peer).cancel(),
    "ups.get": lambda peer: ups.get(peer, "1.2.3"),
    "ups.request_cancel": lambda peer: ups.request_cancel(peer, "1.2.3"),
    "ups.subscribe": lambda peer: ups.subscribe(peer, "WATCHER"),
    "ups.unsubscribe": lambda peer: ups.unsubscribe(peer, "WATCHER"),
    "ups.suspend": lambda peer: ups.suspend(peer, "WATCHER"),
}
FINDING = {"ups.find": lambda peer: list(ups.find(peer, Dataset()))}
"""A generator's end, which pending does not refuse: the library never ends so."""


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("call", [*CALLS, *FINDING])
def test_what_refuses_what_was_asked_for(
    call: str, code: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    asked = {**CALLS, **FINDING}[call]
    peer = Peer(code)
    if CODES[code] or (call in FINDING and code == 0xFF00):
        with caplog.at_level(logging.WARNING, "pynetdicom"):
            asked(peer)
        said = [record.getMessage() for record in caplog.records]
        assert any("0xB0FE, an unknown warning" in text for text in said) == (code == 0xB0FE)
        return
    with pytest.raises(Refused) as caught:
        asked(peer)
    assert caught.value.status == peer.status
    assert ("not answered" if code is None else f"0x{code:04X}") in str(caught.value)


def test_what_a_refusal_means() -> None:
    with pytest.raises(Refused, match=r"answered with 0xC307 \(No such UPS is managed"):
        ups.get(Peer(0xC307), "1.2.3")


@pytest.mark.parametrize("table", TABLES)
def test_every_status_of_the_tables(table: str) -> None:
    for code, (category, _) in status_dict(table).items():
        assert is_done(code) == (category in ("Success", "Warning")), hex(code)
    assert not is_done(None)


def test_every_code_that_there_can_be() -> None:
    done = {code for code in range(0x10000) if is_done(code)}
    assert done == {0x0000, 0x0001, 0x0107, 0x0116, *range(0xB000, 0xC000)}
    assert all(code_to_category(code) in ("Success", "Warning") for code in done)
