"""pynetdicom.services.engines: what becomes of a handler's answer."""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pynetdicom.dimse.primitives import C_ECHO, C_STORE, Primitive
from pynetdicom.services import engines
from pynetdicom.services.engines import NoHandler, Undecodable

STORE = C_STORE(
    MessageID=7, AffectedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", AffectedSOPInstanceUID="1.2.3"
)
ECHO = C_ECHO(MessageID=8, AffectedSOPClassUID="1.2.840.10008.1.1")


def single(request: Primitive, handler: Callable[[], Any]) -> Primitive:
    return engines.single(request, handler, bound=lambda: handler)


def status(**elements: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def raises(error: BaseException) -> Callable[[], Any]:
    def handler() -> Any:
        raise error

    return handler


class Code(IntEnum):
    ODD = 0xB007


ANSWERS: dict[str, tuple[Callable[[], Any], int, int]] = {
    # what the handler does: the status of a C-STORE, and of a C-ECHO
    "success": (lambda: 0, 0, 0),
    "a warning": (lambda: 0xB000, 0xB000, 0xB000),
    "an unknown status": (lambda: 0x1234, 0x1234, 0x1234),
    "an IntEnum": (lambda: Code.ODD, 0xB007, 0xB007),
    "a Dataset": (lambda: status(Status=0xA700), 0xA700, 0xA700),
    "a Dataset without Status": (Dataset, 0xC001, 0),
    "a Dataset with an empty Status": (lambda: status(Status=None), 0xC001, 0),
    "None": (lambda: None, 0xC002, 0),
    "text": (lambda: "0x0000", 0xC002, 0),
    "True": (lambda: True, 0xC002, 0),
    "a float": (lambda: 0.0, 0xC002, 0),
    "a tuple": (lambda: (0, None), 0xC002, 0),
    "too much": (lambda: 0x10000, 0xC002, 0),
    "less than nothing": (lambda: -1, 0xC002, 0),
    "an exception": (raises(ValueError("no")), 0xC211, 0),
    "NotImplementedError": (raises(NotImplementedError()), 0xC211, 0),
    "sys.exit()": (sys.exit, 0xC211, 0),
    "nobody": (raises(NoHandler("nobody")), 0xC211, 0),
    "no space": (raises(OSError(errno.ENOSPC, "no")), 0xA700, 0),
    "no quota": (raises(OSError(errno.EDQUOT, "no")), 0xA700, 0),
    "a file that is not there": (raises(FileNotFoundError(errno.ENOENT, "no")), 0xC211, 0),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_statuses(what: str) -> None:
    handler, stored, echoed = ANSWERS[what]
    for request, code in ((STORE, stored), (ECHO, echoed)):
        response = single(request, handler)
        assert response.Status == code
        assert response.message_name.endswith("-RSP")
        assert response.MessageIDBeingRespondedTo == request.MessageID
        assert response.missing() == []
        assert type(response).__mro__ == type(request).__mro__
        response.encode()


def test_undecodable() -> None:
    assert single(STORE, raises(Undecodable("overrun"))).Status == 0xC210


def test_further_elements_of_the_status_are_sent() -> None:
    answer = status(Status=0xA900, ErrorComment="does not match", OffendingElement=[0x00080016])
    response = single(STORE, lambda: answer)
    assert response.ErrorComment == "does not match"
    assert response.OffendingElement == [0x00080016]


def test_an_element_that_cannot_be_sent_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    answer = status(Status=0xA900, ErrorID=5)
    answer["ErrorID"]._value = "five"
    response: Primitive = single(STORE, lambda: answer)
    assert response.Status == 0xA900
    assert response.ErrorID is None


def test_nothing_of_the_patient_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        response = single(STORE, raises(ValueError("Doe^John\nE: forged line")))
    assert "Doe" not in caplog.text
    assert "ValueError" in caplog.text
    assert __file__ in caplog.text  # where it was raised
    assert response.ErrorComment == "Unable to process"


def test_what_was_raised_is_shown_when_debugging(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        single(STORE, raises(ValueError("the reason")))
    assert "the reason" in caplog.text
