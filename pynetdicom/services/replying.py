"""The engine *reply*: one response, which may have a data set: the six N-services (PS3.7 10.1).

In: what the handler returns, a status or ``(status, data set)``. Out: the response, left to be
sent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from pynetdicom.errors import FileProblem
from pynetdicom.services.classes import ANSWERS, PENDING
from pynetdicom.services.engines import (
    HANDLER_ERRORS,
    Bound,
    failed,
    failure,
    name_of,
    pending,
    with_status,
)
from pynetdicom.services.matching import encoded
from pynetdicom.services.statuses import SUCCESS, WARNING, code_to_category

if TYPE_CHECKING:
    from pynetdicom.dimse.primitives import Primitive

LOGGER = logging.getLogger("pynetdicom.service")

MISSING_ATTRIBUTE = 0x0120


def reply(
    request: Primitive,
    handler: Callable[[], Any],
    transfer_syntax: str,
    bound: Bound,
    read: list[Any],
) -> Primitive:
    """Serve an operation that has one response, with or without a data set.

    Parameters
    ----------
    request : Primitive
    handler : callable
        Gives the status, as for `single`; or a pair of that and a data set, a pydicom `Dataset` or
        an `EncodedDataSet`, or None.
    transfer_syntax : str
        How data sets are encoded on the presentation context of the request.
    bound : callable
        See `Bound`.
    read : list
        The request's data set, if the handler has read it.

    Returns
    -------
    Primitive
        The response.
    """
    try:
        given = handler()
    except HANDLER_ERRORS as error:
        missing = _missing_from(read, error)
        if missing is None:
            return failed(request, error, bound)
        tag, keyword = missing
        LOGGER.warning("%s lacks an attribute: %s", request.message_name, keyword)
        response = failure(request, MISSING_ATTRIBUTE, f"{keyword} is missing")
        response.AttributeIdentifierList = [tag]
        return response
    is_pair = isinstance(given, (tuple, list)) and len(given) == 2
    status, data_set = given if is_pair else (given, None)
    response = with_status(request, status, bound)
    if response.Status in PENDING:
        return pending(request, bound)
    try:
        if request.name == "N-CREATE":
            data_set = _name_created(response, data_set)
        if data_set is not None and request.name != "N-DELETE":
            response.data_set = encoded(data_set, transfer_syntax)
    except Exception as error:
        # Unless it is of our own making, its text may be about the patient.
        why = error if isinstance(error, (ValueError, FileProblem)) else type(error).__name__
        LOGGER.error("what %s gave cannot be sent: %s", name_of(request, bound), why)
        return failure(request, ANSWERS[request.name].not_encodable, "Reply cannot be encoded")
    return response


def _missing_from(read: list[Any], error: BaseException) -> tuple[int, str] | None:
    """The attribute that a handler has looked for in vain in the request's data set."""
    if not isinstance(error, AttributeError) or not any(_holds(top, error.obj) for top in read):
        return None
    from pydicom.datadict import tag_for_keyword

    keyword = error.name or ""
    tag = tag_for_keyword(keyword)
    return None if tag is None else (tag, keyword)


def _holds(data_set: Any, wanted: Any) -> bool:
    """Whether it is that data set, or has it in a sequence."""
    return data_set is wanted or any(
        _holds(item, wanted) for element in data_set if element.VR == "SQ" for item in element.value
    )


def _name_created(response: Primitive, data_set: Any) -> Any:
    """See that the response names what was created, where the request has left that to us.

    PS3.7 10.1.5.1.4: it is in the handler's status, or in its data set.
    """
    named = getattr(data_set, "AffectedSOPInstanceUID", None)
    if named is not None:  # it is of the command set
        # Not `copy`: that shares the elements, and the handler may give the same one again.
        data_set = deepcopy(data_set)
        del data_set.AffectedSOPInstanceUID
    if response.AffectedSOPInstanceUID is None:
        response.AffectedSOPInstanceUID = named or getattr(data_set, "SOPInstanceUID", None)
    is_created = code_to_category(response.Status or 0) in (SUCCESS, WARNING)
    if is_created and response.AffectedSOPInstanceUID is None:
        raise ValueError("neither the request nor the handler names the SOP Instance created")
    return data_set
