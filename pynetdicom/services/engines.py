"""How a request is served: the ways from a handler's answer to a response.

A handler is handed in as a callable; what it returns, yields or raises becomes a status of the
service class (`ANSWERS`). `single` is here, with what the other two engines share with it;
`matching` serves C-FIND, `retrieval` C-GET and C-MOVE.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pynetdicom import raised
from pynetdicom._logging import printable
from pynetdicom.services.classes import ANSWERS, PENDING
from pynetdicom.services.statuses import to_code

if TYPE_CHECKING:
    from pynetdicom.dimse.messages import Message
    from pynetdicom.dimse.primitives import Primitive

LOGGER = logging.getLogger("pynetdicom.service")

# What a handler may add to its status, beside Status itself (PS3.7 Annex C).
_STATUS_ELEMENTS = ("ErrorComment", "OffendingElement", "ErrorID", "AttributeIdentifierList")
_OF_N_SERVICES = ("AffectedSOPClassUID", "AffectedSOPInstanceUID", "ActionTypeID", "EventTypeID")


_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)

HANDLER_ERRORS = (Exception, SystemExit)
"""What a handler may raise without the association suffering from it."""

END: Final = object()
"""What `Yielded.next` gives when there is nothing more."""


class NoHandler(Exception):
    """Nobody has bound a handler, nor assigned a callback."""


class NotIterable(Exception):
    """The handler has not given what can be gone through, but what the message says."""


class Undecodable(Exception):
    """The data set does not decode, before the handler was called."""


Bound = Callable[[], Any]
"""Gives the callable that was bound or assigned as handler, for the log."""


def single(request: Primitive, handler: Callable[[], Any], bound: Bound) -> Primitive:
    """Serve an operation that has one response without a data set: C-ECHO, C-STORE.

    Parameters
    ----------
    request : Primitive
    handler : callable
        Gives the status: an integer of any type, or a pydicom `Dataset` with a Status.
    bound : callable
        See `Bound`.

    Returns
    -------
    Primitive
        The response.
    """
    try:
        status = handler()
    except HANDLER_ERRORS as error:
        return failed(request, error, bound)
    response = with_status(request, status, bound)
    return response if response.Status not in PENDING else pending(request, bound)


class Invocation(NamedTuple):
    """An operation that is to be performed, with what an engine needs to have several responses.

    Attributes
    ----------
    message : Message
        The request, which knows whether the peer has cancelled it, or is gone.
    handler : callable
        Gives what the handler returned: an iterable, such as a generator.
    send : callable
        Sends a response that is not the last one.
    transfer_syntax : str
        How data sets are encoded on the presentation context of the request.
    bound : callable
        See `Bound`.
    why_no_more : callable or None
        Says, of the number of matches that were sent, why no more may follow; nothing if they may.
    aside : callable
        Calls what reads files.
    """

    message: Message
    handler: Callable[[], Any]
    send: Callable[[Primitive], object]
    transfer_syntax: str
    bound: Bound
    why_no_more: Callable[[int], str] | None = None
    aside: Callable[..., Any] = lambda call, *args: call(*args)


class Yielded:
    """What a handler yields, asked for one by one, and closed, on the calling thread.

    Parameters
    ----------
    given : iterable or status
        What the handler returned: a generator or another iterable; or a status, alone or with
        None, by which it refuses.

    Attributes
    ----------
    ahead : sequence
        All of it, where the handler has returned a list or a tuple; otherwise empty.
    may_run_ahead : bool
        Whether the next item may be asked for before the last one has been dealt with.
    """

    def __init__(self, given: Any) -> None:
        if to_code(given) is not None or hasattr(given, "group_dataset"):
            given = [(given, None)]
        elif isinstance(given, tuple) and len(given) == 2 and given[1] is None:
            given = [given]
        self.ahead: Any = given if isinstance(given, (list, tuple)) else ()
        self.may_run_ahead: bool = bool(self.ahead) or getattr(given, "may_run_ahead", False)
        if not hasattr(given, "__iter__") and not hasattr(given, "__getitem__"):
            raise NotIterable(raised.kind(given))
        self._iterator = iter(given)

    def next(self) -> Any:
        """The next item; `END` when there is none.

        Raises
        ------
        Exception
            What the handler raises.
        """
        try:
            return next(self._iterator)
        except StopIteration as stop:
            # A generator may refuse by returning a status.
            value = stop.value
            return END if value is None else value if isinstance(value, tuple) else (value, None)

    def close(self) -> None:
        """Close the handler, which may have more to yield."""
        close = getattr(self._iterator, "close", None)
        if close is None:
            return
        try:
            close()
        except HANDLER_ERRORS as error:
            raised.log(LOGGER, "closing a handler raised", error, close)


def split(item: Any) -> tuple[Any, Any]:
    """Take a yielded (status, data set) apart; what is not such a pair has no valid status."""
    if isinstance(item, (tuple, list)) and len(item) == 2:
        return item[0], item[1]
    return _NoPair(raised.kind(item)), None


class _NoPair(NamedTuple):
    """What stands for the status of something that has none."""

    kind: str


def code_of(item: Any) -> int | None:
    """The status code of a yielded (status, data set); None where it has none."""
    status, _ = split(item)
    if hasattr(status, "group_dataset"):
        status = status.get("Status")
    return to_code(status)


def failed(request: Primitive, error: BaseException, bound: Bound) -> Primitive:
    """Make the response to a request whose handler has raised."""
    answers = ANSWERS[request.name]
    if isinstance(error, NoHandler):
        LOGGER.error("%s", error)
        return failure(request, answers.failed, "No handler for this operation")
    if isinstance(error, Undecodable):
        LOGGER.error("the data set of the %s cannot be decoded: %s", request.message_name, error)
        return failure(request, answers.undecodable, "Data set cannot be decoded")
    if isinstance(error, NotIterable):
        LOGGER.error("%s gave %s instead of a generator or a list", name_of(request, bound), error)
        return failure(request, answers.failed, "Unable to process")
    # Its text may be about the patient.
    raised.log(LOGGER, f"the handler of the {request.message_name} raised", error, bound())
    if request.name == "C-STORE" and isinstance(error, OSError) and error.errno in _NO_SPACE:
        return failure(request, answers.no_resources, os.strerror(error.errno))
    return failure(request, answers.failed, "Unable to process")


def with_status(request: Primitive, status: Any, bound: Bound) -> Primitive:
    """Make a response of what a handler gave as status."""
    answers = ANSWERS[request.name]
    number = status if type(status) is int else to_code(status)
    if number is not None:
        if 0 <= number <= 0xFFFF:
            return request.response(number)
        _note_bad_status(request, bound, "an int that is not 0x0000 to 0xFFFF")
        return failure(request, answers.bad_status, "Invalid status")
    if hasattr(status, "group_dataset"):  # a pydicom Dataset, which need not be imported to tell
        value = status.get("Status")
        code = to_code(value)
        if code is None or not 0 <= code <= 0xFFFF:
            what = "without Status" if value is None else "whose Status is not 0x0000 to 0xFFFF"
            _note_bad_status(request, bound, f"a Dataset {what}")
            return failure(request, answers.no_status, "No status")
        response = request.response(code)
        is_normalized = request.name.startswith("N-")
        for keyword in _STATUS_ELEMENTS + _OF_N_SERVICES * is_normalized:
            if keyword in status and keyword in response.parameters:
                try:
                    setattr(response, keyword, getattr(status, keyword))
                except (TypeError, ValueError) as error:  # its text may quote the value
                    whose, what = name_of(request, bound), raised.kind(status.get(keyword))
                    LOGGER.error("%s gave as %s %s that cannot be sent", whose, keyword, what)
                    LOGGER.debug("why it cannot be sent: %s", printable(str(error)))
        return response
    is_pair = not isinstance(status, _NoPair)
    what = raised.kind(status) if is_pair else f"{status.kind} instead of (status, data set)"
    _note_bad_status(request, bound, what)
    return failure(request, answers.bad_status, "Invalid status")


def pending(request: Primitive, bound: Bound) -> Primitive:
    """Make the response where a handler says that more will come, of an operation that has one."""
    _note_bad_status(request, bound, "a pending status, though there is one response")
    return failure(request, ANSWERS[request.name].bad_status, "Invalid status")


def _note_bad_status(request: Primitive, bound: Bound, what: str) -> None:
    """Log what kind of thing a handler gave; not the thing, which may be about the patient."""
    LOGGER.error(
        "%s gave %s; a status is an int of 0x0000 to 0xFFFF, or a Dataset with Status",
        name_of(request, bound),
        what,
    )


def name_of(request: Primitive, bound: Bound) -> str:
    """What the log calls the handler of a request."""
    return f"the handler of the {request.message_name} ({raised.named(bound())})"


def failure(request: Primitive, status: int, comment: str) -> Primitive:
    """Make a response that says why."""
    response = request.response(status)
    if status and "ErrorComment" in response.parameters:
        response.ErrorComment = comment[:64]
    return response
