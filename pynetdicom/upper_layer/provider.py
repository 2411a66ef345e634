"""The upper layer of one association, PS3.8, as a protocol without I/O.

In: bytes of the peer, by way of the `Framer`; requests of the local user; what becomes of the
transport connection. Out: messages, and moves: what a driver (the DUL, or the lobby) has to send,
tell and close. It walks the tables of `fsm`; nothing else knows a state.

Who owns what. One thread at a time reads: `receive` and the framer are its own. All else may be
called by any thread, and by the handler of a signal or by a finalizer in the midst of anything.
For that the moves are a chain of values which do not change: a move counts once it has its place
behind the last one, and a thread whose move comes too late thinks again, from there. There is no
lock that a handler could wait for, and nobody finds half of a move.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from pynetdicom.errors import PDUDecodeError
from pynetdicom.upper_layer import fsm
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.ended import Ended, unanswered
from pynetdicom.upper_layer.framing import Feed, Framer
from pynetdicom.upper_layer.fsm import Action

T = TypeVar("T")

Show = Callable[[pdus.PDU], None]

_UNASKED = Action("", "Sta1", ends="aborted")
"""What ends an association that was never asked for: nothing is to be done."""


class NotPossible(RuntimeError):
    """What the local side wants is not possible in the present state, or has come too late."""


class Move:
    """A move of the state machine, and all that is true from then on.

    Attributes
    ----------
    action : Action
        What is to be done.
    event, before, state : str
        What it follows, the state before, and the state from then on.
    may_send_data : bool
        Whether P-DATA-TF may be sent from then on (DT-1, AR-7).
    data : bytes
        What is to be sent.
    ends : bool
        Whether the association ends by it.
    ended : Ended or None
        How the association has ended.
    abort : bytes
        The A-ABORT by which it was ended from here.
    later : dict
        The move that follows, once there is one: not empty says that this is not the last any more.
    """

    __slots__ = (
        "abort", "action", "before", "data", "ended", "ends", "event", "later", "may_send_data",
        "state",
    )  # fmt: skip

    def __init__(
        self,
        action: Action,
        event: str = "",
        last: Move | None = None,
        data: bytes = b"",
        ended: Ended | None = None,
    ) -> None:
        self.action = action
        self.event = event
        self.state = action.next_state
        self.may_send_data = self.state in fsm.SENDING_STATES
        self.before = self.state if last is None else last.state
        self.data = data
        self.ended: Ended | None = None if last is None else last.ended
        self.abort: bytes = b"" if last is None else last.abort
        self.ends = self.ended is None and ended is not None
        if self.ends:
            self.ended = ended
            self.abort = data if action.send == "A-ABORT" else b""
        # A dict's own operations are atomic: `setdefault` tells whose move counts.
        self.later: dict[str, Move] = {}

    @property
    def told(self) -> tuple[str, str, str, str]:
        """The action, the state before, the event, and the state from then on."""
        return self.action.label, self.before, self.event, self.state

    @property
    def closes(self) -> bool:
        """Whether there is no transport connection any more, or shall be none."""
        return self.state == "Sta1" and self.ended is not None

    @property
    def answer(self) -> pdus.A_RELEASE_RP | None:
        """What the provider asks for by itself: both sides have requested release."""
        return pdus.RELEASE_RP if self.state in fsm.COLLIDING_STATES else None

    def follow(self, move: Move) -> bool:
        """Have `move` follow this one, unless another one does."""
        return self.later.setdefault("", move) is move


class Received(NamedTuple):
    """A PDU of the peer, or what is none, and the move that it has caused."""

    move: Move
    pdu: Any
    """The PDU; None for P-DATA-TF out of its place, and for what is none."""
    data: bytes


class Provider:
    """The state of one association, how it ended, and what either side may do next.

    Parameters
    ----------
    requestor : bool
        Whether the local side requests the association; it decides which side of a release
        collision it is.
    framer : Framer
        What the peer's bytes go into.
    state : str
        Where it begins.

    Attributes
    ----------
    refusal : callable
        Gives the A-ASSOCIATE-RJ with which the provider itself answers an A-ASSOCIATE-RQ, or None.
    """

    def __init__(
        self, *, requestor: bool, framer: Framer | None = None, state: str = "Sta1"
    ) -> None:
        self.framer = Framer() if framer is None else framer
        self.refusal: Callable[[pdus.A_ASSOCIATE_RQ], pdus.A_ASSOCIATE_RJ | None] = refusal
        self._table = fsm.TABLES["requestor" if requestor else "acceptor"]
        # Whether nothing is understood any more.
        self._is_deaf = False
        # The last move, or one of late.
        self._recent = Move(Action("", state))

    @property
    def last(self) -> Move:
        """The last move, which says what is true."""
        move = self._recent
        while move.later:
            move = move.later[""]
        self._recent = move
        return move

    @property
    def state(self) -> str:
        """The state of the state machine, such as ``"Sta6"``."""
        return self.last.state

    @property
    def ended(self) -> Ended | None:
        """How the association has ended; None before it has.

        True as soon as the move is made that ends it: a signal's handler may interrupt the thread
        that has made it and not yet told of it, and must not wait for that.
        """
        return self.last.ended

    def may(self, event: str) -> bool:
        """Whether the event is possible in the present state."""
        return (event, self.last.state) in self._table

    # What the local side wants

    def request(self, pdu: pdus.PDU, data: bytes = b"") -> Move:
        """Ask for what `pdu`, encoded `data`, says; it is to be sent once this has returned.

        Raises
        ------
        NotPossible
            The state does not allow it.
        """
        return self.take(fsm.EVENT_OF_REQUEST[pdu.name], pdu, data or pdu.encode())

    def take(self, event: str, pdu: Any = None, data: bytes = b"") -> Move:
        """Move on as Table 9-10 says.

        Parameters
        ----------
        event : str
            The event's label, ``"Evt1"`` to ``"Evt19"``.

        Raises
        ------
        NotPossible
            The state does not allow it.
        """

        def think(last: Move) -> Move | None:
            action = self._table.get((event, last.state))
            # In Sta1 again: a provider serves one association.
            if action is None or (last.ended is not None and last.state == "Sta1"):
                return None
            return Move(action, event, last, data, _how(action, pdu))

        move = self._move(think)
        if move is None:
            state = self.state
            where = f"{state} ({fsm.STATES[state]})"
            raise NotPossible(f"{fsm.EVENTS[event]} is not possible in {where}")
        return move

    def abort(self, ended: Ended) -> Move | None:
        """Abort, as `ended` says (AA-1, AA-8, AA-2); None when there is nothing to abort.

        Parameters
        ----------
        ended : Ended
            How it is to be recorded; its source and reason go into the A-ABORT. Source 2 is the
            provider.
        """

        def think(last: Move) -> Move | None:
            if last.ended is not None:
                return None
            # In Sta4 nothing can have been received that would be invalid.
            invalid = ended.source == 2 and ("Evt19", last.state) in self._table
            event = "Evt19" if invalid else "Evt15"
            action = self._table.get((event, last.state))
            if action is None:
                return Move(_UNASKED, "", last, b"", ended) if last.state == "Sta1" else None
            data = b""
            if action.send:
                data = pdus.A_ABORT(source=ended.source or 0, reason=ended.reason or 0).encode()
            return Move(action, event, last, data, ended)

        return self._move(think)

    def closed(self, ended: Ended, *, is_tls: bool = False, expired: bool = False) -> Move | None:
        """The transport connection is closed, broken or did not come about (Evt17).

        Parameters
        ----------
        expired : bool
            It is closed since the peer's time to do so was up (Evt18).
        """

        def think(last: Move) -> Move | None:
            event = "Evt18" if expired and ("Evt18", last.state) in self._table else "Evt17"
            action = self._table.get((event, last.state))
            if action is None:  # it is known already
                return None
            how = ended
            if last.state == "Sta5":
                how = ended._replace(error=unanswered(ended.error, is_tls))
            return Move(action, event, last, b"", how)

        return self._move(think)

    # What the peer does

    def receive(self, feed: Feed[T], show: Show | None = None) -> T | Received | None:
        """Understand what is in the framer, up to the end of a message or a PDU.

        Parameters
        ----------
        feed : callable
            Takes the parts of PDVs while the association has not ended.
        show : callable or None
            Is shown each PDU but P-DATA-TF before it has any effect.

        Returns
        -------
        T or Received or None
            A message that `feed` completed; what a PDU, or what is none, has caused; None when
            that is all.
        """
        last, framer = self._recent, self.framer
        if last.later:
            last = self.last
        if self._is_deaf:
            framer.drop()
            return None
        framer.accepts_data = last.state in fsm.DATA_STATES
        try:
            while (item := framer.next(feed if last.ended is None else ignore)) is not None:
                if not isinstance(item, bytes):
                    return item
                received = self._received(item, show)
                if received is not None:
                    return received
        except PDUDecodeError as error:
            self._is_deaf = True  # where the next PDU begins is not known any more
            return self._answer("Evt19", None, b"", error)
        return None

    def _received(self, data: bytes, show: Show | None) -> Received | None:
        """A PDU is complete that is not P-DATA-TF in its place."""
        event = fsm.EVENT_OF_PDU[data[0]]
        if event == "Evt10":  # only its header, in a state that expects none
            return self._answer(event, None, data)
        pdu = pdus.recognise(data)
        if show is not None:
            show(pdu)
        return self._answer(event, pdu, data)

    def _answer(
        self, event: str, pdu: Any, data: bytes, error: PDUDecodeError | None = None
    ) -> Received | None:
        """Move on after what the peer has sent; None where it has been given up meanwhile."""

        def think(last: Move) -> Move | None:
            action, cause, wrong = self._table.get((event, last.state)), event, error
            if event == "Evt10" and last.state in fsm.DATA_STATES:
                # Its content is lost, whatever the state is now.
                cause = "Evt19"
                action = self._table["Evt19", last.state]
            if action is None:
                return None
            refuses = self.refusal(pdu) if action.label == "AE-6" else None
            if refuses is not None:
                action = fsm.OTHERWISE["AE-6"]
                return Move(action, cause, last, refuses.encode(), _how(action, refuses))
            if action.send != "A-ABORT":
                return Move(action, cause, last, b"", _how(action, pdu))
            if wrong is None:
                what = "P-DATA-TF" if pdu is None else pdu.name
                wrong = PDUDecodeError(f"not expected in {last.state}", pdu=what, reason=2)
            reason = wrong.reason if action.source else 0
            ended = Ended("aborted", "local", action.source, reason, error=wrong)
            aborts = pdus.A_ABORT(source=action.source, reason=reason).encode()
            return Move(action, cause, last, aborts, ended if action.ends else None)

        move = self._move(think)
        return None if move is None else Received(move, pdu, data)

    def _move(self, think: Callable[[Move], Move | None]) -> Move | None:
        """Have the move count that `think` finds to follow the last one, if it finds one."""
        while True:
            last = self.last
            move = think(last)
            if move is None or last.follow(move):
                return move


def refusal(request: pdus.A_ASSOCIATE_RQ) -> pdus.A_ASSOCIATE_RJ | None:
    """What the provider itself answers a request with that it cannot accept (PS3.8 9.3.4)."""
    if request.protocol_version & 1:  # other bits are not tested (PS3.8 9.3.2)
        return None
    return pdus.A_ASSOCIATE_RJ(result=1, source=2, reason=2)


def _how(action: Action, pdu: Any) -> Ended | None:
    """How an action ends the association, with a PDU that was received or is to be sent."""
    if not action.ends:
        return None
    if isinstance(pdu, pdus.A_ASSOCIATE_RJ):
        return Ended(action.ends, action.by, pdu.source, pdu.reason, pdu.result)
    if isinstance(pdu, pdus.A_ABORT):
        return Ended(action.ends, "peer", pdu.source, pdu.reason)
    return Ended(action.ends, action.by)


def ignore(context_id: int, control: int, data: memoryview, done: bool) -> None:
    """Take PDVs that nobody waits for any more."""
