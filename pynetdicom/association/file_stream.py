"""Many files, sent one after another, the next one read while the peer works on the last.

In: paths. Out: C-STORE requests, and a result for each file, in order. All of it happens on the
thread that iterates over the results; another one may only `leave`. When the association ends,
`succession` has another one made. Several streams at once have their paths from `spreading`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from operator import methodcaller
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pynetdicom.association.succession import Party, Succession
from pynetdicom.dimse.operations import Operation
from pynetdicom.services.instances import Instance, StoreParameters, take, why_not

if TYPE_CHECKING:
    from pynetdicom.dimse.messages import Batch
    from pynetdicom.dimse.primitives import C_STORE, Primitive
    from pynetdicom.upper_layer.contexts import PresentationContext

Path = str | os.PathLike[str]


class StoreResult(NamedTuple):
    """What became of a file that was to be sent."""

    path: Path
    status: int | None
    """The peer's status; None when there is none."""
    problem: str | None
    """Why there is none."""
    response: Primitive | None = None
    message_id: int = 0


class Paths(Protocol):
    """Where a stream has its paths from."""

    def take(self, *, waits: bool, is_idle: bool) -> Path:
        """Give the next one; StopIteration where there is none, or none yet and not `waits`.

        Who `is_idle`, and `waits`, waits for what other streams may give back, too.
        """

    def give_back(self, path: Path) -> bool:
        """Whether another stream sends the one that was taken last, which this one cannot."""


class OwnPaths:
    """Those of the only stream.

    Parameters
    ----------
    paths : iterator of str or os.PathLike
    """

    def __init__(self, paths: Iterator[Path]) -> None:
        self._paths = paths

    def take(self, *, waits: bool, is_idle: bool) -> Path:
        """As `Paths` has it."""
        return next(self._paths)

    def give_back(self, path: Path) -> bool:
        """As `Paths` has it: there is no other stream."""
        return False


class _Planned(NamedTuple):
    """How an instance goes out on an association."""

    assoc: Party
    request: C_STORE
    context: PresentationContext
    ready: list[Batch] | None
    """The message, as it goes out if its Message ID is the one that was expected."""


class _File:
    """A file that is to be sent, or is on its way, or why it is not."""

    def __init__(self, path: Path, instance: Instance | None, problem: str | None = None) -> None:
        self.path = path
        self.instance = instance
        self.problem = problem
        self.planned: _Planned | None = None
        # Where it was sent, or was to be, and what of it is outstanding there.
        self.assoc: Party | None = None
        self.operation: Operation | None = None

    def plan(self, assoc: Party, parameters: StoreParameters) -> _Planned | None:
        """Make its request for an association; None, with the problem, if there can be none."""
        instance = self.instance
        if instance is None or (self.planned is not None and self.planned.assoc is assoc):
            return self.planned
        try:
            context = assoc._link.negotiated.context_for(
                instance.sop_class, instance.transfer_syntax
            )
            is_in_memory = instance.read_ahead()
            request = instance.request(context, parameters)
            ready = assoc._invoker.make_ready(request, context) if is_in_memory else None
            self.planned = _Planned(assoc, request, context, ready)
        except Exception as error:
            self.planned, self.problem = None, why_not(error)
        return self.planned

    def close(self) -> None:
        """Let go of the file."""
        self.planned = None
        if self.instance is not None:
            self.instance.close()


def _made_ready(path: Path, assoc: Party, parameters: StoreParameters) -> _File:
    """A file that is likely to be sent on an association."""
    try:
        if not isinstance(path, (str, os.PathLike)):
            raise ValueError(f"a {type(path).__name__} is not a path")
        file = _File(path, take(path))
    except Exception as error:
        return _File(path, None, why_not(error))
    file.plan(assoc, parameters)
    return file


class FileStream:
    """The files of one `send_c_stores`, or of one of its associations.

    Parameters
    ----------
    assoc : Party
    paths : Paths
    parameters : StoreParameters
    """

    def __init__(self, assoc: Party, paths: Paths, parameters: StoreParameters) -> None:
        self._first = assoc
        self._paths = paths
        self._parameters = parameters
        # The next file, if it was read already, or what the caller's iterable has raised.
        self._next: _File | None = None
        # That of the last request.
        self._operation: Operation | None = None
        self._error: Exception | None = None
        # Those that were sent and whose results are still to come, the oldest first. A dict, since
        # `leave` lists it on another thread: of a deque that is several steps without the global
        # lock.
        self._under_way: dict[_File, None] = {}

    def results(
        self, send_ahead: bool, succession: Succession | None = None
    ) -> Generator[StoreResult, None, None]:
        """Send the files; with `send_ahead` one before the last one's result is given out."""
        succession = succession or Succession(self._first)
        # An exception comes through: Ctrl-C, or the caller's own.
        end: Callable[[Party], None] = methodcaller("abort", block=False)
        try:
            if not succession.begin():
                return
            self._fill(succession, waits=True)
            while self._under_way and succession.given_up is None:
                oldest = next(iter(self._under_way))
                result = self._result_of(oldest, succession)
                del self._under_way[oldest]
                if send_ahead or self._under_way:
                    self._fill(succession)
                yield result
                self._fill(succession, waits=True)
            end = succession.given_up or methodcaller("release")
        except GeneratorExit:  # it may be a finalizer
            end = methodcaller("_release_later")
            raise
        except BaseException:
            # Ctrl-C: a request may not be out, and nobody waits for the responses.
            for operation in (self._operation, *(file.operation for file in self._under_way)):
                if operation is not None:
                    operation.operations.finish(operation)
            raise
        finally:
            if self._next is not None:
                self._next.close()
                self._paths.give_back(self._next.path)
            succession.close(end)

    def leave(self) -> None:
        """Have the thread that waits for results, after `Succession.give_up`, wait no more.

        What it has sent is answered all the same, and stays outstanding until then.
        """
        for file in list(self._under_way):
            operation = file.operation
            if operation is not None:
                operation.operations.abandon(operation)
                operation.replies.put(None)

    def _fill(self, succession: Succession, *, waits: bool = False) -> None:
        """Send files until the window is full, or there are no more: none yet, if not `waits`."""
        while not succession.is_over:
            if len(self._under_way) >= succession.current._link.negotiated.invoked:
                return
            file = self._send_next(succession, waits=waits)
            if file is None:
                return
            self._under_way[file] = None

    def _read(self, succession: Succession, *, waits: bool = False) -> None:
        """Make the next file ready."""
        if self._next is not None or self._error is not None:
            return
        try:
            path = self._paths.take(waits=waits, is_idle=not self._under_way)
        except StopIteration:
            return
        except Exception as error:  # told when the files before it have had their answers
            self._error = error
            return
        if succession.gone:
            if not self._paths.give_back(path):
                self._next = _File(path, None, f"not sent: {succession.gone}")
            return
        assoc = succession.current
        self._next = assoc._link.runtime.aside(_made_ready, path, assoc, self._parameters)

    def _send_next(self, succession: Succession, *, waits: bool) -> _File | None:
        """Send the next file; None when there is no other.

        Raises
        ------
        Exception
            What the caller's iterable has raised.
        """
        self._read(succession, waits=waits)
        file, self._next = self._next, None
        if file is None:
            if self._error is not None:
                raise self._error
            return None
        try:
            return file if self._send(file, succession) else None
        finally:
            file.close()

    def _send(self, file: _File, succession: Succession) -> bool:
        """Send a file, or note why it is not sent; False where another stream sends it."""
        while file.instance is not None:
            before = succession.current
            assoc = succession.association()
            if assoc is None:
                file.problem = f"not sent: {succession.gone}"
                return not self._paths.give_back(file.path)
            planned = file.plan(assoc, self._parameters)
            if planned is None:
                break
            _, request, context, ready = planned
            expected = request.__dict__.get("MessageID")
            invoker = assoc._invoker
            operation = self._operation = Operation(invoker.operations, request, context.context_id)
            try:
                with operation:
                    if invoker.begin(operation, None):
                        as_ready = ready if operation.message_id == expected else None
                        file.operation = invoker.send_begun(operation, as_ready)
                    elif assoc._link.ended and assoc is before and not succession.is_over:
                        # Nothing of it was sent: it is not the one that broke the association.
                        continue
                    file.assoc = assoc
            except Exception as error:
                file.problem = f"not sent: {why_not(error)}"
            break
        return True

    def _result_of(self, sent: _File, succession: Succession) -> StoreResult:
        """Wait for the answer to what was sent; make the next file ready meanwhile."""
        path, assoc, operation = sent.path, sent.assoc, sent.operation
        if assoc is None:
            return StoreResult(path, None, sent.problem)
        if operation is not None:
            self._read(succession)
        response = assoc._invoker.response_to(operation)
        if response is None or operation is None:
            return StoreResult(path, None, assoc._invoker.why_no_answer())
        succession.endurance.answered()
        return StoreResult(path, response.Status, None, response, operation.message_id)
