"""The responses to a C-FIND, C-GET or C-MOVE of ours, as an iterator.

In: responses in the order in which the peer sent them, from `Invoker.response_to`. Out: status
and identifier of each, decoded when they are asked for.

Whoever leaves it early need not say so. `close` may come from any thread; a finalizer may run in
any thread and in the midst of anything, so that it leaves all there is to do to others.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pynetdicom import _config, debug_log
from pynetdicom._logging import working_on
from pynetdicom.association.invoking import prepare_statuses
from pynetdicom.dimse.operations import PENDING, Operation
from pynetdicom.errors import DataSetDecodeError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.association.invoking import Invoker
    from pynetdicom.association.link import Link
    from pynetdicom.association.response_status import ResponseStatus
    from pynetdicom.dimse.primitives import Primitive

LOGGER = logging.getLogger("pynetdicom.service")

# Whether there is an identifier follows from the status: who has looked at that need not ask again.
Response = tuple["ResponseStatus", "Dataset | Any"]

SUCCESS = 0x0000
_FAILED_LIST = "FailedSOPInstanceUIDList"
FAILED_SOP_INSTANCE_UID_LIST = 0x00080058


class Responses(Generator["Response", None, None]):
    """The responses to a C-FIND, C-GET or C-MOVE: an iterator of (status, identifier).

    The status is a `pydicom.dataset.Dataset` with Status and whatever else the peer said, such as
    the numbers of sub-operations; its attribute ``message_id`` is that of the request, and its
    attribute ``problem`` says, if it is not None, why there is no identifier or no further
    response. The identifier is a `pydicom.dataset.Dataset`, or None where the response has none:
    matches of a C-FIND have one. So has the final response of a C-GET or C-MOVE that did not
    succeed: it lists what has failed as Failed SOP Instance UID List, and is empty where the peer
    sends none.

    When there is no (further) answer, ``(Dataset(), None)`` comes once as the last.

    Leaving it before the final response, by ``break``, an exception, `close`, or dropping it, has a
    C-CANCEL sent (PS3.7 9.3.2.3); what the peer still sends is dropped. It is a context manager
    which closes it. One thread at a time asks for the next one: another is refused by ValueError.

    Attributes
    ----------
    message_id : int
        The Message ID of the request.
    """

    def __init__(self, invoker: Invoker, request: Primitive, operation: Operation | None) -> None:
        self.message_id = request.MessageID or 0
        self._invoker = invoker
        self._operation = operation
        # Its final response was given, or it was closed.
        self._is_over = False
        # The call that asks for the next one. A dict's own operations are atomic.
        self._asking: dict[str, object] = {}

    def __next__(self) -> Response:
        me = object()
        try:
            try:
                if self._asking.setdefault("", me) is not me and not self._is_over:
                    raise ValueError("another thread is waiting for the next response already")
                return self._find_next()
            finally:
                if self._asking.get("") is me:
                    self._asking.clear()
        except (Exception, GeneratorExit):
            raise
        except BaseException:  # Ctrl-C, which may have come in the midst of `finally`
            self.close()
            raise

    def _find_next(self) -> Response:
        operation = self._operation
        if self._is_over:
            raise StopIteration
        if operation is not None and operation.replies.empty():
            self._invoker.check_wait()
        try:
            response = self._invoker.response_to(operation)
        except BaseException:  # Ctrl-C as well
            self.close()
            raise
        if operation is not None and operation.is_abandoned:
            self._is_over = True
            raise StopIteration
        status = prepare_statuses()(response, self.message_id)
        if response is None:
            self._is_over = True
            status.__dict__["problem"] = self._invoker.why_no_answer()
            return status, None
        is_pending = response.Status in PENDING
        self._is_over = not is_pending
        problem = operation.problem if operation is not None and not is_pending else None
        status.__dict__["problem"] = problem
        identifier = None
        if is_pending is (response.name == "C-FIND"):
            identifier = _identifier(response, status, self._invoker.link)
            if response.data_set is None and not is_pending and response.Status != SUCCESS:
                identifier = _without_identifier(response)
        elif response.data_set is not None:
            # Tolerated: an identifier where the standard has none; it is no match.
            LOGGER.debug("the data set of a %s is ignored", response.message_name)
        return status, identifier

    @property
    def _is_another_there(self) -> bool:
        """Whether another response is there already, so that nobody would wait for it."""
        operation = self._operation
        return not self._is_over and operation is not None and not operation.replies.empty()

    def send(self, value: None = None) -> Response:
        """Give the next response, as ``next()`` does."""
        return next(self)

    def throw(self, kind: Any, value: object = None, tb: TracebackType | None = None) -> Response:
        """Close it and raise an exception."""
        self.close()
        error = kind
        if not isinstance(error, BaseException):
            if isinstance(value, BaseException):
                error = value
            else:
                error = kind() if value is None else kind(value)
        raise error if tb is None else error.with_traceback(tb)

    def close(self) -> None:
        """Drop what has not been asked for; cancel the operation, if that is still outstanding.

        May be called from any thread; one that waits for the next response finds the end instead.
        """
        if not self._is_over:
            if self._operation is not None:
                self._invoker.abandon(self._operation)
            self._is_over = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        # No lock is taken here, see above.
        if not getattr(self, "_is_over", True) and self._operation is not None:
            self._is_over = True
            self._operation.is_abandoned = True
            self._invoker.cancel_later(self._operation)


def _without_identifier(response: Primitive) -> Dataset:
    """What stands for the identifier of a retrieve that did not succeed, if the peer sent none."""
    from pydicom.dataset import Dataset

    from pynetdicom.services.retrieval import failed_uids

    identifier = Dataset()
    # Tolerated: the list of what failed is in the command set.
    raw = response.__dict__.get("extra", {}).get(FAILED_SOP_INSTANCE_UID_LIST)
    if raw is not None:
        identifier.FailedSOPInstanceUIDList = failed_uids({_FAILED_LIST: raw})
    return identifier


def _identifier(
    response: Primitive, status: ResponseStatus, link: Link | None = None
) -> Dataset | None:
    """The identifier of a response."""
    from pydicom.dataset import Dataset

    from pynetdicom.association.response_dataset import ResponseDataset

    identifier = decoded(response, status, "identifier", link)
    if identifier is None:
        return None
    if response.name != "C-FIND" and isinstance(identifier.get(_FAILED_LIST), bytes):
        from pynetdicom.services.retrieval import failed_uids

        # It was too long for an explicit UI (PS3.5 6.2.2), but for nobody's use.
        identifier.FailedSOPInstanceUIDList = failed_uids(identifier)
    if _config.LOG_RESPONSE_IDENTIFIERS and LOGGER.isEnabledFor(logging.DEBUG):
        with working_on(link):
            debug_log.show_identifier(LOGGER, response, identifier)
    if type(identifier) is Dataset:
        identifier.__class__ = ResponseDataset
    return identifier


def decoded(
    response: Primitive, status: ResponseStatus, what: str, link: Link | None
) -> Dataset | None:
    """The decoded data set; None, and a word on it in the status, if it does not decode."""
    data_set = response.data_set
    if data_set is None:
        return None
    try:
        return data_set.decode()
    except (DataSetDecodeError, OSError) as error:
        if isinstance(error, OSError):
            problem = f"the {what} could not be kept: {error.strerror}"
        else:
            problem = f"the {what} cannot be decoded: {error}"
        status.__dict__["problem"] = problem
        with working_on(link):
            LOGGER.error("%s %s: %s", response.message_name, status.message_id, problem)
        return None
