"""An SCP for tests: it takes everything, keeps what came, and answers and errs as it is told."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, ClassVar, Self

from pynetdicom.network.latch import Latch
from pynetdicom.testing import faults, pdus
from pynetdicom.testing.answers import Answer, steps
from pynetdicom.testing.conversation import Conversation, Handler, Over, matches, single
from pynetdicom.testing.listening import Listener, raise_problems
from pynetdicom.testing.peers import ScriptedPeer
from pynetdicom.testing.records import ReceivedAssociation, ReceivedRequest
from pynetdicom.testing.retrieving import retrieve
from pynetdicom.testing.script import ANSWERING, PLACES, Rule, Script, operations
from pynetdicom.upper_layer import items
from pynetdicom.upper_layer import pdu as upper
from pynetdicom.utils import is_file_name

Contexts = Iterable[pdus.Context]

_NO_SYNTAX, _NO_ABSTRACT = 4, 3


class DicomSCP:
    """An SCP that takes what comes, and answers as it is told. A context manager.

    Parameters
    ----------
    contexts : iterable, optional
        What it accepts: abstract syntax UIDs, or pairs of one and transfer syntax UIDs. By default
        it accepts everything, with the transfer syntax that is proposed first.
    tls : ssl.SSLContext, optional
        A server's, as of `tls_pair`.
    directory : str or path-like, optional
        Where to write what is stored, as Part 10 files.
    maximum_length : int
        Of the PDUs that it takes.
    timeout : float
        Seconds that `wait_for` and the end wait at most.

    Attributes
    ----------
    directory : str, path-like or None
        Where to write what is stored; may be set at any time.
    destinations : dict of str to (str, int)
        AE title → host and port: where a C-MOVE may send to.
    problems : list of Exception
        What has failed on its threads; the first is raised when the context ends.

    Examples
    --------
    >>> from pynetdicom import AE
    >>> from pynetdicom.testing import DicomSCP
    >>> with DicomSCP() as scp:
    ...     scp.respond(0xA700, to="C-STORE", times=1)
    ...     scp.fault("abort in mid-message", to="C-STORE", skip=1)
    ...     my_sender(scp.address)  # doctest: +SKIP
    ...     scp.received
    []
    """

    _handlers: ClassVar[dict[str, Handler]] = {
        "C-FIND": matches,
        "C-GET": retrieve,
        "C-MOVE": retrieve,
    }

    def __init__(
        self,
        contexts: Contexts | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        directory: str | os.PathLike[str] | None = None,
        maximum_length: int = items.DEFAULT_MAX_LENGTH,
        timeout: float = 30.0,
    ) -> None:
        self._contexts = None if contexts is None else dict(map(_pair, contexts))
        self.maximum_length = maximum_length
        self.timeout = timeout
        self.directory = directory
        self.destinations: dict[str, tuple[str, int]] = {}
        self.faults: Script[Any] = Script()
        self.delays: Script[float] = Script()
        self.answers: Script[Answer] = Script()
        self._associations: list[ReceivedAssociation] = []
        self._received: list[ReceivedRequest] = []
        self._changed = threading.Condition()
        self._ending = Latch()
        self._listener = Listener(self._talk, tls=tls)

    # Where it is

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, for ``ae.associate(*scp.address)``."""
        return self._listener.address

    @property
    def host(self) -> str:
        """The host."""
        return self.address[0]

    @property
    def port(self) -> int:
        """The port."""
        return self.address[1]

    # What it is told

    def respond(
        self,
        answer: Answer,
        *,
        to: str | Sequence[str] | None = None,
        skip: int = 0,
        times: int | None = None,
        **elements: Any,
    ) -> None:
        """Say what requests are answered.

        Parameters
        ----------
        answer : int, Dataset, tuple, list or callable
            A status; a data set, with a ``Status`` or as what is found; ``(status, data set)``;
            several of these; or ``answer(request)``, which gives one of these.
        to : str or list of str, optional
            Operations, such as ``"C-STORE"``. By default all.
        skip : int
            How many requests are answered as before, first.
        times : int, optional
            How many are answered so; by default all that come.
        **elements
            Further elements of the response, such as ``ErrorComment="disk full"``.

        Notes
        -----
        Of several answers that fit the newest counts. Where none fits, it is success: no matches,
        no sub-operations.
        """
        if elements:
            answer = _with(answer, elements)
        self.answers.add(Rule(answer, ANSWERING, operations(to), skip, times))

    def fault(
        self,
        name: str,
        *,
        to: str | Sequence[str] | None = None,
        skip: int = 0,
        times: int | None = None,
    ) -> None:
        """Have something go wrong.

        Parameters
        ----------
        name : str
            One of `FAULTS`.
        to : str or list of str, optional
            Operations. By default all that the fault is for.
        skip : int
            How many associations, requests or releases go well first.
        times : int, optional
            How often it goes wrong; by default always.

        Raises
        ------
        ValueError
            No fault is called so; the message has those that are like it.
        """
        found = faults.find(name)
        self.faults.add(Rule(found, found.place, operations(to) or found.operations, skip, times))

    def delay(
        self,
        seconds: float,
        *,
        before: str = ANSWERING,
        to: str | Sequence[str] | None = None,
        skip: int = 0,
        times: int | None = None,
    ) -> None:
        """Have it take its time.

        Parameters
        ----------
        seconds : float
        before : {'accepting', 'receiving', 'answering', 'releasing'}
        to, skip, times
            As of `fault`.
        """
        if before not in PLACES:
            raise ValueError(f"{before!r} is none of {', '.join(PLACES)}")
        self.delays.add(Rule(seconds, before, operations(to), skip, times))

    def heal(self) -> None:
        """Forget all faults, delays and answers."""
        for script in (self.faults, self.delays, self.answers):
            script.clear()

    # What came

    @property
    def associations(self) -> list[ReceivedAssociation]:
        """The associations that were requested, in order."""
        with self._changed:
            return list(self._associations)

    @property
    def received(self) -> list[ReceivedRequest]:
        """The requests that came, in order."""
        with self._changed:
            return list(self._received)

    @property
    def stored(self) -> list[ReceivedRequest]:
        """The C-STORE requests that came."""
        return [request for request in self.received if request.operation == "C-STORE"]

    @property
    def files(self) -> list[str]:
        """The files that were written to `directory`."""
        return [request.path for request in self.received if request.path is not None]

    def wait_for(self, count: int = 1, operation: str | None = None) -> list[ReceivedRequest]:
        """Wait until so many requests have come and been answered.

        Raises
        ------
        TimeoutError
            They did not come within `timeout`; the message says what did.
        """

        def come() -> list[ReceivedRequest]:
            return [
                one
                for one in self._received
                if one.is_answered and operation in (None, one.operation)
            ]

        with self._changed:
            if not self._changed.wait_for(lambda: len(come()) >= count, self.timeout):
                what = f"{count} {operation or 'requests'}"
                raise TimeoutError(f"waited {self.timeout:g} s for {what}; came: {self._received}")
            return come()

    def wait_for_end(self) -> list[ReceivedAssociation]:
        """Wait until all associations that were requested have ended, as this side sees it.

        Raises
        ------
        TimeoutError
            They did not within `timeout`.
        """
        with self._changed:
            over = lambda: all(one.ended for one in self._associations)  # noqa: E731 - one word
            if not self._changed.wait_for(over, self.timeout):
                raise TimeoutError(f"waited {self.timeout:g} s for an end; {self._associations}")
            return list(self._associations)

    # The end

    @property
    def problems(self) -> list[BaseException]:
        """What has failed on its threads."""
        return self._listener.problems

    def stop(self) -> None:
        """Stop listening: who connects from now on is refused; associations go on."""
        self._listener.stop()

    def close(self) -> None:
        """End it, and its associations. Further calls do nothing."""
        self._ending.set()
        self._listener.close(deadline=self.timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        raise_problems(self.problems, error, type(self).__name__)

    # What its conversations ask of it

    def _talk(self, connection: socket.socket) -> None:
        with ScriptedPeer(connection) as peer:
            Conversation(self, peer).run()

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the end: what is going on is broken off then."""
        if self._ending.wait(seconds):
            raise Over("closed")

    def choose(self, context: items.PresentationContextRQ) -> items.PresentationContextAC:
        """Answer a proposed context."""
        proposed: list[str] = list(context.transfer_syntaxes)
        if self._contexts is None:
            return pdus.answer(context.context_id, proposed[0])
        if context.abstract_syntax not in self._contexts:
            return pdus.answer(context.context_id, proposed[0], _NO_ABSTRACT)
        supported = self._contexts[context.abstract_syntax]
        for syntax in proposed:
            if not supported or syntax in supported:
                return pdus.answer(context.context_id, syntax)
        return pdus.answer(context.context_id, proposed[0], _NO_SYNTAX)

    def extended(self, request: upper.A_ASSOCIATE_RQ) -> list[Any]:
        """Accept the roles that are proposed, and answer a user identity that wants it."""
        answers: list[Any] = []
        for item in request.user_information:
            if isinstance(item, items.SCP_SCU_RoleSelectionNegotiation):
                answers.append(item)
            is_user = isinstance(item, items.UserIdentityNegotiation)
            if is_user and item.positive_response_requested:
                answers.append(items.UserIdentityNegotiation(server_response=b""))
        return answers

    def note_association(self, association: ReceivedAssociation) -> None:
        """Take note of an association."""
        with self._changed:
            self._associations.append(association)
            self._changed.notify_all()

    def note_request(self, request: ReceivedRequest) -> None:
        """Take note of a request."""
        if self.directory is not None and request.operation == "C-STORE":
            uid = request.sop_instance_uid
            name = uid if is_file_name(uid) else f"instance {len(self.files) + 1}"
            request.save_as(os.path.join(self.directory, f"{name}.dcm"))
        with self._changed:
            self._received.append(request)

    def note_change(self) -> None:
        """Wake who waits."""
        with self._changed:
            self._changed.notify_all()

    def default(self, operation: str) -> Answer:
        """Give what a request is answered where nothing was said."""
        return [] if operation in self._handlers else 0x0000

    def handler(self, operation: str) -> Callable[[Conversation, ReceivedRequest, Answer], None]:
        """Give what answers an operation."""
        return self._handlers.get(operation, single)


def _pair(context: pdus.Context) -> tuple[str, tuple[str, ...]]:
    return (str(context), ()) if isinstance(context, str) else (context[0], tuple(context[1]))


def _with(answer: Answer, elements: dict[str, Any]) -> Answer:
    """Give an answer whose final response has more elements."""

    def more(request: ReceivedRequest) -> Any:
        for step in steps(answer, request):
            if step.status is None or step.is_pending:
                yield step
            else:
                yield step._replace(elements={**step.elements, **elements})

    return more
