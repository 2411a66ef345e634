"""pynetdicom.services.matching: what becomes of what a C-FIND handler yields."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from pynetdicom.data_sets.data_set import InFile, InMemory
from pynetdicom.network.dul import Stopped
from pynetdicom.services.engines import NoHandler, Undecodable
from pynetdicom.services.matching import encoded, matches
from tests.services.invoked import EXPLICIT, IMPLICIT, Requestor, Watched, find, status


def match(number: int = 1) -> Dataset:
    ds = status(SpecificCharacterSet="ISO_IR 100")
    ds.PatientName = "Müller^Jörg"
    ds.PatientID = str(number)
    return ds


def raising(error: BaseException) -> Callable[[], Any]:
    def handler() -> Any:
        raise error

    return handler


def raising_after(count: int, error: BaseException) -> Iterator[Any]:
    for number in range(count):
        yield 0xFF00, match(number)
    raise error


def returning(value: Any) -> Iterator[Any]:
    yield 0xFF00, match()
    return value


def unencodable() -> Dataset:
    ds = Dataset()
    ds.PatientID = "1"
    ds["PatientID"]._value = object()
    return ds


HANDLERS: dict[str, tuple[Callable[[], Any], int, int]] = {
    # what the handler does: how many matches are sent, and the final status
    "nothing": (lambda: iter(()), 0, 0x0000),
    "just ends": (lambda: iter([(0xFF00, match()), (0xFF01, match())]), 2, 0x0000),
    "ends with success": (lambda: iter([(0xFF00, match()), (0x0000, None)]), 1, 0x0000),
    "goes on after the end": (lambda: iter([(0x0000, None), (0xFF00, match())]), 0, 0x0000),
    "a failure": (lambda: iter([(0xFF00, match()), (0xA700, None)]), 1, 0xA700),
    "more than one match": (lambda: iter([(0xC100, None)]), 0, 0xC100),
    "a warning": (lambda: iter([(0xFF00, match()), (0xB001, None)]), 1, 0xB001),
    "cancelled by itself": (lambda: iter([(0xFE00, None)]), 0, 0xFE00),
    "a list": (lambda: [(0xFF00, match()), (0xFF00, match())], 2, 0x0000),
    "a tuple": (lambda: ((0xFF00, match()), (0x0000, None)), 1, 0x0000),
    "refuses by a status": (lambda: 0xA700, 0, 0xA700),
    "refuses by a Dataset": (lambda: status(Status=0xA900), 0, 0xA900),
    "refuses by a pair": (lambda: (0xA700, None), 0, 0xA700),
    "a generator that returns a pair": (lambda: returning((0xA700, None)), 1, 0xA700),
    "a generator that returns nonsense": (lambda: returning((1, 2, 3)), 1, 0xC002),
    "a generator that returns a status": (lambda: returning(0xA700), 1, 0xA700),
    "a Dataset as status": (lambda: iter([(status(Status=0xFF01), match())]), 1, 0x0000),
    "a Dataset without Status": (lambda: iter([(Dataset(), match())]), 0, 0xC001),
    "a status that is text": (lambda: iter([("pending", match())]), 0, 0xC002),
    "a status that is True": (lambda: iter([(True, match())]), 0, 0xC002),
    "a status too large": (lambda: iter([(0x1FF00, match())]), 0, 0xC002),
    "no pair": (lambda: iter([0xFF00]), 0, 0xC002),
    "a triple": (lambda: iter([(0xFF00, match(), 1)]), 0, 0xC002),
    "None as item": (lambda: iter([None]), 0, 0xC002),
    "a data set as item": (lambda: iter([match()]), 0, 0xC002),
    "text": (lambda: "matches", 0, 0xC002),
    "None": (lambda: None, 0, 0x0000),
    "an empty list": (list, 0, 0x0000),
    "a generator that ends at once": (lambda: iter(()), 0, 0x0000),
    "numpy's statuses": (
        lambda: [(np.uint16(0xFF00), match()), (np.int64(0xA700), None)],
        1,
        0xA700,
    ),
    "refuses by a status of numpy's": (lambda: np.uint16(0xA700), 0, 0xA700),
    "a Dataset with a status of numpy's": (
        lambda: [(status(Status=np.int64(0xB001)), None)],
        0,
        0xB001,
    ),
    "a status that is numpy's True": (lambda: [(np.True_, match())], 0, 0xC002),
    "a status that is a float": (lambda: [(np.float64(0xFF00), match())], 0, 0xC002),
    "a match without identifier": (lambda: iter([(0xFF00, match()), (0xFF00, None)]), 1, 0xC312),
    "an identifier that is text": (lambda: iter([(0xFF00, "*")]), 0, 0xC312),
    "identifier bytes": (lambda: iter([(0xFF00, b"\0\0\0\0")]), 0, 0xC312),
    "an identifier that cannot be encoded": (lambda: iter([(0xFF00, unencodable())]), 0, 0xC312),
    "a command element": (lambda: iter([(0xFF00, status(Status=0))]), 0, 0xC312),
    "an exception": (raising(ValueError("no")), 0, 0xC311),
    "an exception between matches": (lambda: raising_after(3, KeyError("x")), 3, 0xC311),
    "StopIteration by hand": (lambda: raising_after(1, StopIteration()), 1, 0xC311),
    "sys.exit()": (sys.exit, 0, 0xC311),
    "sys.exit() between matches": (lambda: raising_after(1, SystemExit(1)), 1, 0xC311),
    "nobody": (raising(NoHandler("nobody")), 0, 0xC311),
    "undecodable": (raising(Undecodable("overrun")), 0, 0xC310),
}


@pytest.mark.parametrize("what", HANDLERS)
def test_statuses(what: str) -> None:
    handler, count, final = HANDLERS[what]
    peer = Requestor(find())
    response = matches(peer.invocation(handler))
    assert len(peer.responses) == count
    assert response.Status == final
    assert response.data_set is None
    assert response.missing() == []
    for sent in (*peer.responses, response):
        assert sent.MessageIDBeingRespondedTo == 7
        assert sent.message_name == "C-FIND-RSP"
    for sent in peer.responses:
        assert sent.Status in (0xFF00, 0xFF01)
        assert sent.data_set is not None
        assert sent.data_set.decode().PatientName == "Müller^Jörg"
    if 0xC300 <= final <= 0xC3FF or final in (0xC001, 0xC002):
        assert response.ErrorComment


def test_elements_of_the_status_are_sent() -> None:
    peer = Requestor(find())
    final = status(Status=0xA900, ErrorComment="no level", OffendingElement=0x00080052)
    response = matches(peer.invocation(lambda: [(final, None)]))
    assert response.ErrorComment == "no level"
    assert response.OffendingElement == [0x00080052]


def test_the_order_is_kept_and_nothing_is_collected() -> None:
    """A match is sent before the next one is asked for."""
    peer = Requestor(find())

    def handler() -> Iterator[Any]:
        for number in range(1000):
            assert len(peer.responses) == number
            yield 0xFF00, match(number)

    assert matches(peer.invocation(handler)).Status == 0
    numbers = [int(r.data_set.decode().PatientID) for r in peer.responses if r.data_set]
    assert numbers == list(range(1000))


def test_cancelled_at_once() -> None:
    """The request was cancelled while it waited: the handler is still asked for its next item."""
    peer = Requestor(find(), cancel_after=0)
    handler = Watched(iter((0xFF00, match(n)) for n in range(5)))
    response = matches(peer.invocation(lambda: handler))
    assert response.Status == 0xFE00
    assert peer.responses == []
    assert handler.asked == 1
    assert handler.closed_by == [threading.current_thread()]


def test_cancelled_in_the_midst() -> None:
    peer = Requestor(find(), cancel_after=2)
    handler = Watched(iter((0xFF00, match(n)) for n in range(5)))
    response = matches(peer.invocation(lambda: handler))
    assert response.Status == 0xFE00
    assert len(peer.responses) == 2
    assert handler.asked == 3
    assert len(handler.closed_by) == 1


@pytest.mark.parametrize("ends", ["by itself", "with success"])
def test_cancelled_before_the_last_response(ends: str) -> None:
    peer = Requestor(find(), cancel_after=1)
    last = [] if ends == "by itself" else [(0x0000, None)]
    response = matches(peer.invocation(lambda: [(0xFF00, match()), *last]))
    assert response.Status == 0xFE00


def test_a_handler_that_answers_the_cancel_itself() -> None:
    peer = Requestor(find(), cancel_after=0)
    own = status(Status=0xFE00, ErrorComment="as you like")
    response = matches(peer.invocation(lambda: iter([(own, None)])))
    assert response.Status == 0xFE00
    assert response.ErrorComment == "as you like"


def test_the_handler_is_closed_when_the_peer_is_gone() -> None:
    peer = Requestor(find())
    handler = Watched(iter((0xFF00, match(n)) for n in range(5)))
    peer.is_gone = True
    with pytest.raises(Stopped):
        matches(peer.invocation(lambda: handler))
    assert handler.closed_by == [threading.current_thread()]


@pytest.mark.parametrize("what", ["success", "failure", "wrong", "raises"])
def test_the_handler_is_closed_however_it_ends(what: str) -> None:
    items = {"success": (0, None), "failure": (0xA700, None), "wrong": None, "raises": "raises"}

    def generator() -> Iterator[Any]:
        if what == "raises":
            raise ValueError
        yield items[what]
        yield 0xFF00, match()

    handler = Watched(generator())
    matches(Requestor(find()).invocation(lambda: handler))
    assert len(handler.closed_by) == 1


def test_a_handler_that_does_not_want_to_be_closed(caplog: pytest.LogCaptureFixture) -> None:
    def stubborn() -> Iterator[Any]:
        try:
            yield 0x0000, None
        finally:
            raise ValueError("Doe^John")

    with caplog.at_level(logging.INFO):
        assert matches(Requestor(find()).invocation(stubborn)).Status == 0
    assert "ValueError" in caplog.text
    assert "Doe" not in caplog.text


def test_nothing_of_the_patient_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    ds = match()
    ds.Rows = None
    ds["Rows"]._value = "Doe^John"
    with caplog.at_level(logging.INFO):
        response = matches(Requestor(find()).invocation(lambda: [(0xFF00, ds)]))
        matches(Requestor(find()).invocation(lambda: raising_after(0, ValueError("Doe^John"))))
    assert response.Status == 0xC312
    assert "Doe" not in caplog.text
    assert "Doe" not in (response.ErrorComment or "")


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, EXPLICIT + ".99"])
@pytest.mark.parametrize("character_set", [None, "ISO_IR 100"])
def test_a_name_that_its_character_set_lacks(
    character_set: str | None, syntax: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is an error, and not sent as some other name."""
    ds = match()
    ds.PatientName = "Łukasz"
    if character_set:
        ds.SpecificCharacterSet = character_set
    peer = Requestor(find())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        response = matches(peer.invocation(lambda: [(0xFF00, match()), (0xFF00, ds)], syntax))
    assert response.Status == 0xC312
    assert len(peer.responses) == 1
    assert "(0010,0010) PatientName has a character" in caplog.text
    assert "ukasz" not in caplog.text + str(response.ErrorComment)


def test_encoded_bytes_go_out_as_they_are(tmp_path: Path) -> None:
    data = b"\x10\x00\x20\x00LO\x02\x001 "
    held = InMemory(data, EXPLICIT)
    (tmp_path / "match").write_bytes(b"head" + data)
    filed = InFile(str(tmp_path / "match"), 4, len(data), EXPLICIT)
    peer = Requestor(find())
    response = matches(peer.invocation(lambda: [(0xFF00, held), (0xFF00, filed)], EXPLICIT))
    assert response.Status == 0
    assert peer.responses[0].data_set is held
    assert peer.responses[1].data_set is filed
    filed.close()


def test_encoded_bytes_of_another_transfer_syntax_are_encoded_anew() -> None:
    held = InMemory(b"\x10\x00\x20\x00LO\x02\x001 ", EXPLICIT)
    sent = encoded(held, IMPLICIT)
    assert sent.getvalue() == b"\x10\x00\x20\x00\x02\x00\x00\x001 "
    with pytest.raises(ValueError, match="does not decode"):
        encoded(InMemory(b"\x10\x00\x20\x00LO\xf2\x001 ", EXPLICIT), IMPLICIT)


def test_encoded_bytes_that_cannot_be_read(tmp_path: Path) -> None:
    filed = InFile(str(tmp_path / "missing"), 0, 10, EXPLICIT)
    peer = Requestor(find())
    assert matches(peer.invocation(lambda: [(0xFF00, filed)], IMPLICIT)).Status == 0xC312


def test_an_empty_identifier_is_one() -> None:
    peer = Requestor(find())
    assert matches(peer.invocation(lambda: [(0xFF00, Dataset())])).Status == 0
    assert peer.responses[0].has_data_set
