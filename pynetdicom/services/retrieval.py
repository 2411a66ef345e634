"""The engine *retrieve*: C-GET and C-MOVE, one C-STORE sub-operation an instance (PS3.4 C.4).

In: what the handler yields: for a C-MOVE first its destination, then the number of sub-operations,
then ``(status, data set)``. Out: sub-operations, a pending response after each, and the final one.
The two services differ only in where the sub-operations go, which `begin` says: it takes what it
needs of the items and gives a `Destination`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Protocol

from pynetdicom import raised
from pynetdicom._logging import printable
from pynetdicom.data_sets.element_walk import encoding_of
from pynetdicom.data_sets.encoded import InMemory, deflate
from pynetdicom.data_sets.representations import heads_for
from pynetdicom.services import engines
from pynetdicom.services.classes import ANSWERS, CANCELLED, PENDING
from pynetdicom.services.instances import Instance, instance_uid_of, take, why_not
from pynetdicom.services.statuses import SUCCESS, WARNING, code_to_category, to_code

if TYPE_CHECKING:
    from pynetdicom.dimse.primitives import Primitive

LOGGER = logging.getLogger("pynetdicom.service")

SUB_OPERATIONS_FAILED = 0xB000
"""Some sub-operations of a C-GET or C-MOVE failed or had a warning (PS3.4 C.4.2.1.5, C.4.3.1.4)."""

ALL_SUB_OPERATIONS_FAILED = 0xA702

MAXIMUM_SUB_OPERATIONS = 65535
"""What the counters of a response can say."""

_SHOWN_FAILURES = 10


class Outcome(NamedTuple):
    """What became of a sub-operation."""

    status: int | None
    """The status of the C-STORE response; None when there is none."""
    sop_instance: str
    """The SOP Instance UID; empty when it is not known."""
    problem: str = ""
    """Why there is no status."""


class Destination(Protocol):
    """Where the sub-operations of a retrieve go."""

    def store(
        self, what: Instance, report: Callable[[], None], meanwhile: Callable[[], None] | None
    ) -> Outcome:
        """Have an instance stored there.

        Parameters
        ----------
        what : Instance
            Which is closed afterwards.
        report : callable
            Sends another pending response. It may be called, from another thread too, while the
            data set is on its way for long, since the requestor hears nothing else of that.
        meanwhile : callable or None
            Called, if it comes to that, when the data set has been sent and its answer is awaited.

        Raises
        ------
        Refusal
            It never was to be reached; nothing has been stored.
        """

    def close(self) -> None:
        """Let go of it."""


class Refusal(Exception):
    """The retrieve cannot begin, or go on.

    Parameters
    ----------
    status : int
    comment : str
        Why, without patient data.
    given : str
        What kind of thing the handler gave instead of what was due, for the log.
    """

    def __init__(self, status: int, comment: str, given: str = "") -> None:
        super().__init__(comment)
        self.status = status
        self.comment = comment
        self.given = given


class _Over(Exception):
    """The retrieve is over; with the final response, which lacks the counters."""

    def __init__(self, response: Primitive) -> None:
        super().__init__()
        self.response = response


Begin = Callable[[Callable[[str], Any], Any], Destination]
"""``begin(ask, ahead)`` gives the destination.

``ask(missing)`` is the handler's next item, where `missing` says what it lacks if there is none;
``ahead`` are all its items, where it has returned a list.
"""


def retrieve(invocation: engines.Invocation, begin: Begin) -> Primitive:
    """Serve an operation that has data sets stored: C-GET, C-MOVE.

    Parameters
    ----------
    invocation : Invocation
    begin : callable
        Gives the destination; see `Begin`.

    Returns
    -------
    Primitive
        The final response, which is left to be sent.
    """
    try:
        items = engines.Yielded(invocation.handler())
    except engines.HANDLER_ERRORS as error:
        response = engines.failed(invocation.message.primitive, error, invocation.bound)
        return _Retrieval(invocation, engines.Yielded(())).finish(response)
    with closing(items):
        retrieval = _Retrieval(invocation, items)
        return retrieval.finish(retrieval.perform(begin))


class _Retrieval:
    """One C-GET or C-MOVE, and its counters."""

    def __init__(self, invocation: engines.Invocation, items: engines.Yielded) -> None:
        self._invocation = invocation
        self._request = invocation.message.primitive
        self._bound = invocation.bound
        self._answers = ANSWERS[self._request.name]
        self._items = items
        self._announced: int | None = None
        self._completed = self._failed = self._warned = 0
        # Those that failed, in order, each once.
        self._failed_uids: dict[str, None] = {}
        # The handler's next item, or what it has raised, if it was asked already.
        self._fetched: tuple[Any, BaseException | None] | None = None

    def perform(self, begin: Begin) -> Primitive:
        """Perform the sub-operations; the final response, without the counters."""
        try:
            destination = begin(self._ask, self._items.ahead)
            try:
                self._count()
                self._store_all(destination)
            finally:
                if self._fetched is not None:
                    _let_go(engines.split(self._fetched[0])[1])
                destination.close()
        except _Over as over:
            return over.response
        except Refusal as refusal:
            whose = engines.name_of(self._request, self._bound)
            LOGGER.error("%s: %s%s", whose, refusal.comment, refusal.given and f": {refusal.given}")
            return engines.failure(self._request, refusal.status, refusal.comment)

    def _ask(self, missing: str = "") -> Any:
        """The handler's next item; where something else than a status is due, `missing` is that.

        Raises
        ------
        _Over
            There is none, or the handler raises or refuses, or the operation was cancelled.
        """
        request = self._request
        try:
            item = self._next()
        except engines.HANDLER_ERRORS as error:
            raise _Over(engines.failed(request, error, self._bound)) from error
        if self._invocation.message.is_cancelled and engines.code_of(item) != CANCELLED:
            _let_go(engines.split(item)[1])
            raise _Over(request.response(CANCELLED))
        if item is engines.END:
            if not missing:
                raise _Over(request.response(0x0000))
            answers = self._answers
            raise Refusal(answers.no_destination or answers.bad_count, missing)
        if missing and engines.code_of(item) not in (None, *PENDING):  # it refuses
            raise _Over(engines.with_status(request, engines.split(item)[0], self._bound))
        return item

    def _next(self) -> Any:
        if self._fetched is None:
            return self._items.next()
        (item, error), self._fetched = self._fetched, None
        if error is not None:
            raise error
        return item

    def _fetch(self) -> None:
        """Ask the handler for its next item, and read it, while the peer works on the last one."""
        try:
            item = self._items.next()
        except engines.HANDLER_ERRORS as error:
            self._fetched = None, error
            return
        if engines.code_of(item) in PENDING:
            status, data_set = engines.split(item)
            item = status, self._invocation.aside(_read, data_set)
        self._fetched = item, None

    def _count(self) -> None:
        """Ask how many sub-operations there will be."""
        item = self._ask("The handler gave no number of sub-operations")
        count = to_code(item)
        if count is None or count < 0:
            comment = "Invalid number of sub-operations"
            raise Refusal(self._answers.bad_count, comment, raised.kind(item))
        if count > MAXIMUM_SUB_OPERATIONS:
            comment = f"More than {MAXIMUM_SUB_OPERATIONS} sub-operations"
            raise Refusal(self._answers.too_many, comment)
        self._announced = count

    def _store_all(self, destination: Destination) -> NoReturn:
        fetch = self._fetch if self._items.may_run_ahead else None
        while True:
            status, data_set = engines.split(self._ask())
            response = engines.with_status(self._request, status, self._bound)
            if response.Status not in PENDING:
                if hasattr(data_set, "group_dataset"):  # what the handler itself says has failed
                    self._failed_uids.update(dict.fromkeys(failed_uids(data_set)))
                raise _Over(response)
            if not self._remaining:  # the handler goes on beyond the number that it has announced
                self._failed = min(self._failed + 1, MAXIMUM_SUB_OPERATIONS)
                comment = f"More sub-operations than the {self._announced} announced"
                raise Refusal(SUB_OPERATIONS_FAILED, comment)
            what = self._taken(data_set)
            try:
                if isinstance(what, Outcome):
                    outcome = what
                else:
                    outcome = destination.store(what, self._report, fetch)
            except Refusal as refusal:
                self._note(Outcome(None, what.sop_instance, refusal.comment))
                raise
            finally:
                _let_go(what)
            self._note(outcome)
            response.Status = PENDING[0]  # these services have one only
            self._report(response)

    def _taken(self, data_set: Any) -> Instance | Outcome:
        """Take what the handler has yielded; a path is that of a file to be read."""
        if isinstance(data_set, (str, os.PathLike)):
            found: Instance | Outcome = self._invocation.aside(taken, data_set)
            return found
        return taken(data_set)

    def _report(self, response: Primitive | None = None) -> None:
        """Send a pending response with the counters."""
        if response is None:
            response = self._request.response(PENDING[0])
        self._add_counters(response)
        response.NumberOfRemainingSuboperations = self._remaining
        self._invocation.send(response)

    def _note(self, outcome: Outcome) -> None:
        """Count a sub-operation."""
        category = None if outcome.status is None else code_to_category(outcome.status)
        if category == SUCCESS:
            self._completed += 1
        elif category == WARNING:
            self._warned += 1
        else:
            self._failed += 1
            why = outcome.problem or f"status 0x{outcome.status or 0:04X}"
            level = logging.WARNING if self._failed <= _SHOWN_FAILURES else logging.DEBUG
            what = printable(why)
            LOGGER.log(level, "a sub-operation of the %s failed: %s", self._request.name, what)
            if outcome.sop_instance:
                self._failed_uids[outcome.sop_instance] = None

    @property
    def _remaining(self) -> int:
        done = self._completed + self._failed + self._warned
        return max(0, (self._announced or 0) - done)

    def _add_counters(self, response: Primitive) -> None:
        response.NumberOfCompletedSuboperations = self._completed
        response.NumberOfFailedSuboperations = self._failed
        response.NumberOfWarningSuboperations = self._warned

    def finish(self, response: Primitive) -> Primitive:
        """Add to the final response what the counters say (PS3.4 C.4.2.1.5 ff., C.4.2.3.1)."""
        if self._announced is not None:  # or else it has not begun, and there is nothing to count
            self._count_what_is_left(response)
        if response.Status != 0x0000:  # what is no success has an identifier, if only an empty list
            syntax = self._invocation.transfer_syntax
            response.data_set = failed_list(self._failed_uids, syntax)
        return response

    def _count_what_is_left(self, response: Primitive) -> None:
        if response.Status == CANCELLED:
            response.NumberOfRemainingSuboperations = self._remaining
        else:
            # What the handler has announced and will not yield any more has failed.
            self._failed += self._remaining
        if response.Status == 0x0000 and (self._failed or self._warned):
            succeeded = self._completed or self._warned
            response.Status = SUB_OPERATIONS_FAILED if succeeded else ALL_SUB_OPERATIONS_FAILED
            response.ErrorComment = f"{self._failed} failed, {self._warned} with a warning"
        self._add_counters(response)


def taken(data_set: Any) -> Instance | Outcome:
    """Take what a handler has yielded; the failure, if it cannot be sent. Twice is as once."""
    if isinstance(data_set, Outcome):
        return data_set
    try:
        return take(data_set)
    except Exception as error:
        return Outcome(None, instance_uid_of(data_set), printable(why_not(error)))


def _read(data_set: Any) -> Instance | Outcome:
    """As `taken`, of what is not sent before long."""
    what = taken(data_set)
    if isinstance(what, Instance):
        what.read_ahead()
    return what


def _let_go(what: Any) -> None:
    """Close what was sent, or was read early and is not going to be."""
    if isinstance(what, Instance):
        what.close()


def failed_uids(identifier: Any) -> list[str]:
    """The Failed SOP Instance UID List of a pydicom data set (PS3.4 C.4.2.1.4.2)."""
    value = identifier.get("FailedSOPInstanceUIDList")
    if not value:
        return []
    if isinstance(value, bytes):  # longer than an explicit UI can be, it came as UN
        value = value.decode("latin-1").rstrip(" \0").split("\\")
    return [value] if isinstance(value, str) else [str(uid) for uid in value]


def failed_list(uids: Iterable[str], transfer_syntax: str) -> InMemory:
    """Encode an identifier with a Failed SOP Instance UID List (PS3.4 C.4.2.1.4.2)."""
    encoding = encoding_of(transfer_syntax)
    value = "\\".join(uids).encode("latin-1", "replace")
    value += b"\0" * (len(value) % 2)
    data = heads_for(encoding)(0x00080058, "UI", len(value)) + value
    return InMemory(deflate(data) if encoding.deflated else data, transfer_syntax)
