"""Many files over several associations at once, from one queue, the results as they come.

In: paths. The thread that iterates over the results, the caller's, alone asks the caller's iterable
for them, and hands them out to the senders, each a thread with an association and a `FileStream`.
Out: what these make of them, in the order in which that is known.

No more is handed out than the senders may have outstanding once more. While the caller's thread is
elsewhere nothing is, so that the senders pause with it. What a sender cannot send, since it has no
association any more, it gives back, for another one to send; what was sent is never sent again.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from operator import methodcaller
from typing import NamedTuple

from pynetdicom._logging import working_on
from pynetdicom.association.file_stream import FileStream, Path, StoreResult
from pynetdicom.association.succession import Party, Succession
from pynetdicom.network.runtime import Queue
from pynetdicom.services.instances import StoreParameters

LOGGER = logging.getLogger("pynetdicom.assoc")


class _GivenBack(NamedTuple):
    """A path that a sender has taken and not sent."""

    path: Path


class _Sender:
    """Who sends on one association, and on those that take its place: a thread.

    Attributes
    ----------
    gone : str
        Why it sends nothing more, once it has ended.
    waits : bool
        Whether it waits for a path, or is about to.
    woken : Queue
        Where it does.
    """

    def __init__(self, spread: Spread, *, is_first: bool) -> None:
        self._spread = spread
        # Paths that it has taken, and of which nothing is said yet, the oldest first.
        self._taken: deque[Path] = deque()
        self._takes_no_more = False
        self.gone = ""
        self.waits = False
        self.woken: Queue = spread.first._link.runtime.queue()
        self.succession = Succession(spread.first, begins_beside=not is_first)
        self._stream = FileStream(spread.first, self, spread.parameters)

    def run(self) -> None:
        """Send what is handed out, on its thread."""
        outcomes = self._spread.outcomes
        try:
            for result in self._stream.results(True, self.succession):
                self._taken.popleft()
                outcomes.put(result)
            self.gone = self.succession.gone
        except BaseException as error:
            self.gone = str(error) or type(error).__name__
            raise
        finally:
            for path in self._taken:
                outcomes.put(StoreResult(path, None, f"no answer: {self.gone}"))
            outcomes.put(self)

    def take(self, *, waits: bool, is_idle: bool) -> Path:
        """As `Paths` has it."""
        spread = self._spread
        while True:
            # Before it looks: the caller's thread asks for it after it has changed something.
            self.waits = waits
            if self._takes_no_more or spread.is_closed:
                break
            try:
                path = spread.ready.popleft()
            except IndexError:
                is_dry = spread.is_dry
                if not waits or (is_dry and not is_idle):
                    break
                if not is_dry:
                    spread.outcomes.put(None)
                self.woken.get()
            else:
                self.waits = False
                self._taken.append(path)
                return path
        self.waits = False
        raise StopIteration

    def give_back(self, path: Path) -> bool:
        """As `Paths` has it; it takes no more after that."""
        self._takes_no_more = True
        self._taken.pop()
        self._spread.outcomes.put(_GivenBack(path))
        return True

    def stop(self, end: Callable[[Party], None]) -> None:
        """Have it end, and its own association in that way; from any thread, and twice."""
        self.succession.give_up(end)
        self._stream.leave()
        # Whether it waits or not: Ctrl-C may have come when it was to be woken.
        self.woken.put(None)


class Spread:
    """The files of one `send_c_stores` over several associations.

    Parameters
    ----------
    first : Party
        The caller's association; the others are like it, and released in the end.
    paths : iterator of str or os.PathLike
    parameters : StoreParameters
    associations : int
        At most so many, the first one included.

    Attributes
    ----------
    ready : deque
        What is to be sent, for whichever sender takes it.
    is_dry : bool
        Whether nothing follows that, but for what senders give back.
    is_closed : bool
        Whether nothing follows at all.
    outcomes : Queue
        What has become of it, and senders that have ended; None for one that wants a path.
    """

    def __init__(
        self, first: Party, paths: Iterator[Path], parameters: StoreParameters, associations: int
    ) -> None:
        self.first = first
        self.parameters = parameters
        self.ready: deque[Path] = deque()
        self.is_dry = self.is_closed = False
        self.outcomes: Queue = first._link.runtime.queue()
        # The rest is the caller's thread's.
        self._paths = paths
        self._given_back: deque[Path] = deque()
        self._is_at_end = False
        self._error: Exception | None = None
        self._most = associations
        self._begun = 0
        self._senders: list[_Sender] = []
        # How many paths were handed out of which nothing is known yet.
        self._handed_out = 0
        self._gone = ""

    def results(self) -> Generator[StoreResult, None, None]:
        """Send the files."""
        # An exception comes through: Ctrl-C.
        end: Callable[[Party], None] = methodcaller("abort", block=False)
        try:
            self._hand_out()
            while self._handed_out and self._senders:
                outcome = self._next_outcome()
                if self.first._link.wants_no_more:
                    self._close()
                else:
                    self._hand_out()
                if isinstance(outcome, StoreResult):
                    yield outcome
            yield from self._last_results()
        except GeneratorExit:  # it may be a finalizer
            end = methodcaller("_release_later")
            raise
        finally:
            try:
                self._stop(end)
            finally:  # Ctrl-C may come on the way out, too
                self._stop(end)

    def _hand_out(self) -> None:
        """Hand out paths: one, if there is room, and more while nothing else is to be done.

        Another sender begins with each, as long as there may be more: whether the one before has
        taken its own by then is no matter.
        """
        while self._begun < self._most or (self._senders and len(self.ready) < self._room):
            try:
                path = self._next_path()
            except StopIteration:
                self.is_dry = True
                self._wake()
                return
            self.is_dry = False
            self._handed_out += 1
            self.ready.append(path)
            if self._begun < self._most:
                self._begin()
            self._wake()
            if not self.outcomes.empty():
                return

    @property
    def _room(self) -> int:
        """How many paths may wait for a sender."""
        return max(1, self._begun * self.first._link.negotiated.invoked)

    def _next_path(self) -> Path:
        if self._given_back:
            return self._given_back.popleft()
        if self._is_at_end:
            raise StopIteration
        try:
            return next(self._paths)
        except Exception as error:
            self._is_at_end = True
            if not isinstance(error, StopIteration):
                self._error = error  # told when the files before it have had their answers
            raise StopIteration from None

    def _wake(self) -> None:
        """Have the senders look again that wait for a path."""
        for sender in self._senders:
            if sender.waits:
                sender.waits = False
                sender.woken.put(None)

    def _begin(self) -> None:
        """Have another sender begin."""
        sender = _Sender(self, is_first=not self._begun)
        self._begun += 1
        self._senders.append(sender)
        try:
            self.first._link.runtime.start(f"pynetdicom-sender-{self._begun}", sender.run)
        except RuntimeError as error:  # no thread to be had
            sender.gone = str(error)
            sender.stop(methodcaller("abort", block=False))
            self.outcomes.put(sender)

    def _next_outcome(self) -> StoreResult | _GivenBack | _Sender | None:
        outcome: StoreResult | _GivenBack | _Sender | None = self.outcomes.get()
        if isinstance(outcome, _Sender):
            self._ended(outcome)
        elif outcome is not None:
            self._handed_out -= 1
            if isinstance(outcome, _GivenBack):
                self._given_back.append(outcome.path)
        return outcome

    def _ended(self, sender: _Sender) -> None:
        """Take note that a sender has ended; as long as there is another, none takes its place."""
        self._senders.remove(sender)
        if not sender.gone or self.is_closed or self.first._link.wants_no_more:
            return
        if not self._gone:
            many = len(self._senders)
            what = "files are sent over %d associations from now on: %s"
            with working_on(self.first._link):
                LOGGER.warning(what, many, sender.gone)
        self._gone = sender.gone
        if self._senders:
            self._most = self._begun

    def _close(self) -> None:
        """Have the senders find nothing more to be sent."""
        self.is_closed = True
        with suppress(IndexError):
            while True:
                self._given_back.append(self.ready.popleft())
                self._handed_out -= 1
        self._wake()

    def _last_results(self) -> Iterator[StoreResult]:
        """See the senders end, and say of each file that nobody can send that it was not sent.

        Raises
        ------
        Exception
            What the caller's iterable has raised.
        """
        self._close()
        for sender in self._senders:
            sender.succession.dismiss()
        while self._senders:
            outcome = self._next_outcome()
            if isinstance(outcome, StoreResult):
                yield outcome
        if not self.first._link.wants_no_more:
            why = self._gone or self.first._link.ended
            with suppress(StopIteration):
                while True:
                    path = self._next_path()
                    yield StoreResult(path, None, f"not sent: {why}")
        if self._error is not None:
            raise self._error

    def _stop(self, end: Callable[[Party], None]) -> None:
        """Have all senders end that have not; any number of times."""
        self.is_closed = True
        for sender in self._senders:
            sender.stop(end)
