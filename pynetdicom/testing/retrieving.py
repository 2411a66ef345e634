"""C-GET and C-MOVE of an SCP for tests: a C-STORE sub-operation for each instance (PS3.4 C.4)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from pynetdicom import AE, build_context
from pynetdicom.services.classes import CANCELLED
from pynetdicom.services.instances import Instance, StoreParameters, take
from pynetdicom.services.retrieval import (
    ALL_SUB_OPERATIONS_FAILED,
    SUB_OPERATIONS_FAILED,
)
from pynetdicom.services.statuses import SUCCESS, WARNING, code_to_category
from pynetdicom.testing.answers import Answer, Step
from pynetdicom.testing.pdus import Message
from pynetdicom.testing.records import ReceivedRequest

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.testing.conversation import Conversation

UNKNOWN_DESTINATION = 0xA801
FAILED = 0xA900
"""The status of a sub-operation for which no request could be made."""

TIMEOUT = 30.0
"""Seconds that an association of a C-MOVE waits for anything."""


class Store(Protocol):
    """Has an instance stored; gives the status."""

    def __call__(self, instance: Instance, number: int) -> int: ...


class Counts:
    """What became of the sub-operations."""

    def __init__(self, total: int) -> None:
        self.remaining, self.completed, self.failed, self.warning = total, 0, 0, 0
        self.failures: list[str] = []

    def note(self, status: int, uid: str) -> None:
        """Count one."""
        self.remaining -= 1
        category = code_to_category(status)
        self.completed += category == SUCCESS
        self.warning += category == WARNING
        if category not in (SUCCESS, WARNING):
            self.failed += 1
            self.failures.append(uid)

    def elements(self, *, final: bool = True) -> dict[str, Any]:
        """Give them as elements of a response; only a cancelled one says what remains."""
        found = {
            "NumberOfCompletedSuboperations": self.completed,
            "NumberOfFailedSuboperations": self.failed,
            "NumberOfWarningSuboperations": self.warning,
        }
        return found if final else {"NumberOfRemainingSuboperations": self.remaining, **found}

    @property
    def status(self) -> int:
        """Of the final response."""
        if not self.failed and not self.warning:
            return 0x0000
        is_all = not (self.completed or self.warning)
        code: int = ALL_SUB_OPERATIONS_FAILED if is_all else SUB_OPERATIONS_FAILED
        return code

    @property
    def identifier(self) -> Dataset | None:
        """Which have failed."""
        if self.status == 0x0000:
            return None
        from pydicom.dataset import Dataset

        ds = Dataset()
        ds.FailedSOPInstanceUIDList = self.failures
        return ds


def retrieve(conversation: Conversation, request: ReceivedRequest, answer: Answer) -> None:
    """Answer a C-GET or C-MOVE: have each instance stored, and tell of it."""
    instances: list[Any] = []
    refused: Step | None = None
    for step in conversation.steps(answer, request):
        if step.status is not None and not step.is_pending:
            refused = step
            break
        instances.append(step.data_set)
    counts = Counts(len(instances))
    if not instances:
        final = refused or Step(0x0000, None, counts.elements())
        assert final.status is not None
        conversation.respond(request, final.status, final.data_set, **final.elements)
        return
    where = _here if request.operation == "C-GET" else _there
    with where(conversation, request) as store:
        if store is None:
            conversation.respond(request, UNKNOWN_DESTINATION, None)
            return
        for number, given in enumerate(instances, 1):
            if conversation.cancelled(request):
                break
            instance = take(given)
            counts.note(store(instance, number), instance.sop_instance)
            pending = request.command.response(0xFF00, **counts.elements(final=False))
            conversation.peer.send(pending, context_id=request.context_id)
    if request.is_cancelled:
        conversation.respond(request, CANCELLED, None, **counts.elements(final=False))
        return
    status = counts.status if refused is None else refused.status
    assert status is not None
    conversation.respond(request, status, counts.identifier, **counts.elements())


@contextmanager
def _here(conversation: Conversation, request: ReceivedRequest) -> Iterator[Store]:
    """The same association, of which the requestor is the Storage SCP."""
    peer = conversation.peer

    def store(instance: Instance, number: int) -> int:
        for context_id, (abstract, syntax) in peer.contexts.items():
            if abstract == instance.sop_class:
                context = build_context(abstract, syntax)
                try:
                    command = instance.request(context, StoreParameters())
                except ValueError:
                    continue
                command.MessageID = number
                peer.send(command, context_id=context_id)
                return _status(conversation, request)
        return FAILED

    yield store


def _status(conversation: Conversation, request: ReceivedRequest) -> int:
    while True:
        came = conversation.peer.receive()
        if isinstance(came, Message) and came.name == "C-STORE-RSP":
            status = came.primitive.Status
            return FAILED if status is None else status
        conversation.heard(came, request)


@contextmanager
def _there(conversation: Conversation, request: ReceivedRequest) -> Iterator[Store | None]:
    """An association with the destination of a C-MOVE."""
    title = str(request.command.MoveDestination)
    address = conversation.host.destinations.get(title)
    if address is None:
        yield None
        return
    host, port = address
    ae = AE(request.called_ae_title or "ANY-SCP")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = TIMEOUT
    opened: dict[tuple[str, str], Any] = {}

    def store(instance: Instance, number: int) -> int:
        kind = instance.sop_class, instance.transfer_syntax
        if kind not in opened:
            context = build_context(*kind)
            opened[kind] = ae.associate(host, port, contexts=[context], ae_title=title)
        if not opened[kind].is_established:
            return FAILED
        status = opened[kind].send_c_store(
            instance.content,
            originator_aet=request.calling_ae_title,
            originator_id=request.message_id,
        )
        return int(status.Status) if "Status" in status else FAILED

    try:
        yield store
        for assoc in opened.values():
            if assoc.is_established:
                assoc.release()
    finally:
        ae.shutdown()
