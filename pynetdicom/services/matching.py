"""The engine *matches*: C-FIND, one pending response a match (PS3.4 C.4.1, K.4.1, Q.2, V.4).

In: what the handler yields, ``(status, identifier)``. Out: responses, each sent before the next
match is asked for. So a peer that does not read holds the handler up, and a million matches take
the memory of one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from pynetdicom import raised
from pynetdicom.data_sets.data_set import EncodedDataSet, change_syntax, encode_dataset
from pynetdicom.data_sets.element_walk import UNCOMPRESSED
from pynetdicom.errors import DataSetDecodeError, FileProblem
from pynetdicom.services import engines
from pynetdicom.services.classes import ANSWERS, CANCELLED, PENDING

if TYPE_CHECKING:
    from pynetdicom.dimse.primitives import Primitive

LOGGER = logging.getLogger("pynetdicom.service")


def matches(invocation: engines.Invocation) -> Primitive:
    """Serve an operation that has a response with an identifier for each match: C-FIND.

    The handler yields ``(0xFF00, identifier)`` or ``(0xFF01, identifier)`` for each match and may
    end with another status; if it just ends, or returns None, that is success. An identifier is a
    pydicom `Dataset`, or an `EncodedDataSet`, whose bytes go out as they are if its transfer syntax
    is the context's.

    Returns
    -------
    Primitive
        The final response, which is left to be sent.
    """
    request, bound = invocation.message.primitive, invocation.bound
    why_no_more, sent = invocation.why_no_more, 0
    try:
        given = invocation.handler()
        # A handler that returns nothing has found nothing.
        items = engines.Yielded(() if given is None else given)
    except engines.HANDLER_ERRORS as error:
        return engines.failed(request, error, bound)
    with closing(items):
        while True:
            try:
                item = items.next()
            except engines.HANDLER_ERRORS as error:
                return engines.failed(request, error, bound)
            if invocation.message.is_cancelled and engines.code_of(item) != CANCELLED:
                return request.response(CANCELLED)
            if item is engines.END:
                return _limited(why_no_more, 0, request) or request.response(0x0000)
            status, identifier = engines.split(item)
            response = engines.with_status(request, status, bound)
            if response.Status not in PENDING:
                # A handler that ends itself when its time is up says that it was cancelled.
                is_ended = response.Status == CANCELLED and not invocation.message.is_cancelled
                return (is_ended and _limited(why_no_more, 0, request)) or response
            if why_no_more is not None and (over := _limited(why_no_more, sent, request)):
                return over
            sent += 1
            try:
                response.data_set = encoded(identifier, invocation.transfer_syntax)
            except Exception as error:
                return _not_encodable(invocation, error)
            try:
                invocation.send(response)
            except (OSError, FileProblem) as error:  # the match was in a file
                return _not_encodable(invocation, error)


def _limited(
    why_no_more: Callable[[int], str] | None, sent: int, request: Primitive
) -> Primitive | None:
    """The final response of a query beyond its limits, if it is (PS3.4 Table C.4-1)."""
    why = why_no_more(sent) if why_no_more is not None else ""
    comment = f"Ended: {why}"
    return engines.failure(request, ANSWERS[request.name].no_resources, comment) if why else None


def _not_encodable(invocation: engines.Invocation, error: Exception) -> Primitive:
    request = invocation.message.primitive
    # Unless it is of our own making, its text may be about the patient.
    why = error if isinstance(error, (ValueError, FileProblem)) else type(error).__name__
    whose = engines.name_of(request, invocation.bound)
    LOGGER.error("a match of %s cannot be sent: %s", whose, why)
    return engines.failure(request, ANSWERS[request.name].not_encodable, "Match cannot be encoded")


def encoded(data_set: Any, transfer_syntax: str) -> EncodedDataSet:
    """Give a data set as it goes out in `transfer_syntax`.

    Parameters
    ----------
    data_set : pydicom.dataset.Dataset or EncodedDataSet

    Raises
    ------
    ValueError
        If it is neither, or cannot be encoded so.
    """
    if isinstance(data_set, EncodedDataSet):
        if data_set.transfer_syntax == transfer_syntax:
            return data_set
        try:
            if UNCOMPRESSED.issuperset((data_set.transfer_syntax, transfer_syntax)):
                return change_syntax(data_set, transfer_syntax)
            data_set = data_set.decode()
        except DataSetDecodeError as error:
            raise ValueError(f"it does not decode: {error}") from error
    if not hasattr(data_set, "group_dataset"):
        raise ValueError(f"{raised.kind(data_set)} is not a data set")
    return encode_dataset(data_set, transfer_syntax)
