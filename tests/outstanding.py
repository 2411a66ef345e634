"""Operations without an association."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from pynetdicom.dimse import waiting
from pynetdicom.dimse.messages import Message
from pynetdicom.dimse.operations import Operation, Operations
from pynetdicom.dimse.primitives import C_ECHO, Primitive
from tests.peers import DEADLINE

VERIFICATION = "1.2.840.10008.1.1"


def never() -> float:
    return 0.0


class Flow:
    """What is asked of the association; `meanwhile` happens while reading is being paused."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.to_cancel: list[Operation] = []
        self.meanwhile: Callable[[], Any] = lambda: None

    def pause_reading(self) -> None:
        self.meanwhile()
        self.said.append("pause")

    def resume_reading(self) -> None:
        self.said.append("resume")

    def cancel_later(self, operation: Operation) -> None:
        self.to_cancel.append(operation)

    def on_idle(self) -> None:
        self.said.append("idle")


class Window(Operations):
    """Operations that tell, each time, when somebody is going to wait for room."""

    def __init__(self, flow: Flow | None = None) -> None:
        super().__init__(flow or Flow())
        self.waits = threading.Semaphore(0)

    def begin(self, operation: Operation, *args: Any) -> bool:
        begun = super().begin(operation, *args)
        if not begun and operation.woken is not None:
            self.waits.release()
        return begun


def make(operations: Operations, kind: type[Primitive] = C_ECHO) -> Operation:
    return Operation(operations, kind(AffectedSOPClassUID=VERIFICATION), 1)


def begin(
    operations: Operations,
    message_id: int | None = None,
    window: int = 1,
    timeout: float | None = DEADLINE,
    heard: Callable[[], float] = never,
    kind: type[Primitive] = C_ECHO,
) -> Operation:
    with make(operations, kind) as operation:
        assert waiting.begin(operation, message_id, window, timeout, heard)
    return operation


def answer(operation: Operation, status: int = 0, context_id: int = 1) -> Message:
    return Message(operation.request.response(status), context_id)


def deliver(operations: Operations, operation: Operation, count: int, status: int = 0xFF00) -> None:
    for _ in range(count):
        assert operations.deliver(answer(operation, status))
