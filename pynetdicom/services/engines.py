"""How a request is served: the ways from a handler's answer to a response.

A handler is handed in as a callable; what it returns, or raises, becomes a status of the service
class (`ANSWERS`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pynetdicom.services.classes import ANSWERS

if TYPE_CHECKING:
    from pynetdicom.dimse.primitives import Primitive

LOGGER = logging.getLogger("pynetdicom.service")

# What a handler may add to its status, beside Status itself (PS3.7 Annex C).
_STATUS_ELEMENTS = ("ErrorComment", "OffendingElement", "ErrorID", "AttributeIdentifierList")


class NoHandler(Exception):
    """Nobody has bound a handler, nor assigned a callback."""


class Undecodable(Exception):
    """The data set does not decode, before the handler was called."""


def single(request: Primitive, handler: Callable[[], Any]) -> Primitive:
    """Serve an operation that has one response without a data set: C-ECHO, C-STORE.

    Parameters
    ----------
    request : Primitive
    handler : callable
        Gives the status: an int, or a pydicom `Dataset` with a Status.

    Returns
    -------
    Primitive
        The response.
    """
    answers = ANSWERS[request.name]
    try:
        status = handler()
    except NoHandler as error:
        LOGGER.error("%s", error)
        return _failure(request, answers.failed, str(error))
    except Undecodable as error:
        LOGGER.error("the data set of the %s cannot be decoded: %s", request.message_name, error)
        return _failure(request, answers.undecodable, "Data set cannot be decoded")
    except (Exception, SystemExit) as error:
        # Its text may be about the patient.
        LOGGER.error("the handler of the %s raised %s", request.message_name, _where(error))
        LOGGER.debug("what the handler raised", exc_info=True)
        return _failure(request, answers.failed, "Unable to process")
    return with_status(request, status)


def with_status(request: Primitive, status: Any) -> Primitive:
    """Make a response of what a handler gave as status."""
    answers = ANSWERS[request.name]
    if isinstance(status, int) and not isinstance(status, bool):
        if 0 <= status <= 0xFFFF:
            return request.response(int(status))
        LOGGER.error("the handler of the %s gave the status %r", request.message_name, status)
        return _failure(request, answers.bad_status, "Invalid status")
    if hasattr(status, "group_dataset"):  # a pydicom Dataset, which need not be imported to tell
        code = status.get("Status")
        if not isinstance(code, int) or not 0 <= code <= 0xFFFF:
            LOGGER.error(
                "the handler of the %s gave a Dataset without Status", request.message_name
            )
            return _failure(request, answers.no_status, "No status")
        response = request.response(code)
        for keyword in _STATUS_ELEMENTS:
            if keyword in status and keyword in response.parameters:
                try:
                    setattr(response, keyword, getattr(status, keyword))
                except (TypeError, ValueError) as error:
                    LOGGER.error("the handler's %s cannot be sent: %s", keyword, error)
        return response
    LOGGER.error("the handler of the %s gave %r as status", request.message_name, type(status))
    return _failure(request, answers.bad_status, "Invalid status")


def _failure(request: Primitive, status: int, comment: str) -> Primitive:
    response = request.response(status)
    if status and "ErrorComment" in response.parameters:
        response.ErrorComment = comment[:64]
    return response


def _where(error: BaseException) -> str:
    """The kind of an exception and the line that raised it."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    name = type(error).__name__
    if traceback is None:
        return name
    return f"{name} at {traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"
