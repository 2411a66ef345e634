"""Where a C-MOVE sends to: an association of its own with the move destination (PS3.4 C.4.2).

One association serves the whole operation, and there is never more than one at a time: plain
receivers take only one. Its presentation contexts are planned from what will be sent:

* the ``contexts`` that the handler gives with the address, if it does; nothing else is proposed,
  and what fits none of them fails;
* else, if the handler has returned a list, just what is in it needs;
* else, what the first instance needs, and with the room that is left the storage contexts that the
  AE requests, or if it has none those of `StoragePresentationContexts`.

When an instance comes that no context fits, the association is released and another one requested,
which has what that instance needs too. Bytes go out as they are unless the destination, asked for
it, refuses the context for them or chooses another transfer syntax. What it refuses is not proposed
to it again. If the association breaks, another one is requested for the rest, see `succession`;
what it broke at has failed.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pynetdicom import raised
from pynetdicom.association.link import TIMEOUTS, Link
from pynetdicom.association.pending_reports import PendingReports
from pynetdicom.association.sub_operations import originator, store
from pynetdicom.association.succession import Endurance, Party
from pynetdicom.data_sets.data_set import InFile
from pynetdicom.data_sets.element_walk import DEFLATED, IMPLICIT_VR_LITTLE_ENDIAN, UNCOMPRESSED
from pynetdicom.errors import NothingAccepted, PeerError
from pynetdicom.network.addresses import NameProblem
from pynetdicom.planning import FALLBACKS, needed_by
from pynetdicom.presentation import PresentationContext, abstract_syntaxes, build_context
from pynetdicom.services import registry
from pynetdicom.services.classes import ANSWERS
from pynetdicom.services.engines import split
from pynetdicom.services.instances import Instance, Kind, StoreParameters, kind_of
from pynetdicom.services.retrieval import Outcome, Refusal
from pynetdicom.upper_layer.contexts import MAXIMUM_CONTEXTS, no_context
from pynetdicom.upper_layer.framing import TLSRecord
from pynetdicom.utils import printable

if TYPE_CHECKING:
    from pynetdicom.upper_layer.ended import Ended

LOGGER = logging.getLogger("pynetdicom.service")

RELEASE_PATIENCE = 5.0
"""Seconds that a destination has to answer a release: a C-MOVE waits for its last response."""

_USUAL = "StoragePresentationContexts"

_UNKNOWN = ANSWERS["C-MOVE"].unknown_destination

_ANY = [build_context("1.2.840.10008.1.1", IMPLICIT_VR_LITTLE_ENDIAN)]


def plan(
    needed: Sequence[Kind], usual: Sequence[PresentationContext] = ()
) -> list[PresentationContext]:
    """Make the presentation contexts to propose to a destination, at most 128.

    Parameters
    ----------
    needed : sequence of (str, str)
        SOP Classes and transfer syntaxes of what is to be sent, the most urgent first: each is
        proposed in a context of its own, so that the destination cannot choose another one.
    usual : sequence of PresentationContext
        What else may be sent, the most usual first.
    """
    chosen: dict[tuple[str, tuple[str, ...]], None] = {
        (sop_class, (syntax,)): None for sop_class, syntax in needed
    }
    # What is not compressed may be sent in another encoding too.
    for sop_class, syntax in needed:
        if syntax in UNCOMPRESSED:
            chosen[sop_class, tuple(s for s in FALLBACKS if s != syntax)] = None
    # Others of the same study are likely to be encoded in the same way.
    likely = [syntax for _, syntax in needed if syntax in UNCOMPRESSED][:1]
    for context in usual:
        syntaxes = context.transfer_uids
        alone = tuple(syntax for syntax in likely if syntax in syntaxes)
        chosen[context.abstract_uid, alone or tuple(syntaxes)] = None
    for context in usual:
        if rest := tuple(syntax for syntax in context.transfer_uids if syntax not in likely):
            chosen[context.abstract_uid, rest] = None
    for context, (_, syntax) in itertools.product(usual, needed):
        chosen[context.abstract_uid, (syntax,)] = None
    # What a file has as SOP Class UID is proposed as it is: it may be no UID, and is no keyword.
    rows = itertools.islice(chosen, MAXIMUM_CONTEXTS)
    return [PresentationContext.from_wire(None, *row) for row in rows]


class _Unsent(Exception):
    """An instance cannot be sent; the message says why."""


class MoveDestination:
    """The destination of one C-MOVE.

    Parameters
    ----------
    link : Link
        Of the association on which the C-MOVE was requested.
    parameters : StoreParameters
    target : tuple
        ``(addr, port)`` or ``(addr, port, kwargs)`` as the handler gave it; the kwargs are those of
        `AE.associate`, and the four timeouts.
    title : str
        The Move Destination, which is the called AE title if the kwargs have none.
    ahead : sequence
        All items of the handler, where they are known.

    Raises
    ------
    Exception
        The target is none.
    """

    def __init__(
        self, link: Link, parameters: StoreParameters, target: Any, title: str, ahead: Sequence[Any]
    ) -> None:
        self._link = link
        self._parameters = parameters
        addr, port, given_options = target if len(target) == 3 else (*target, {})
        options = dict(given_options)
        self._timeouts = {name: options.pop(name) for name in TIMEOUTS if name in options}
        given = options.pop("contexts", None)
        # What is answered when it cannot be reached: who knows that it is there may say so.
        self._unreachable: int = options.pop("unreachable_status", None) or _UNKNOWN
        options.setdefault("ae_title", title)
        self._make: Callable[[Any], Party] = lambda contexts: link.ae._prepare(
            addr, port, contexts, make=link.thread._make_another, **options
        )
        # The handler's contexts, as many at a time as an association can have.
        self._given: list[list[PresentationContext]] = []
        if given is not None:
            given = list(given)
            starts = range(0, max(1, len(given)), MAXIMUM_CONTEXTS)
            self._given = [given[start : start + MAXIMUM_CONTEXTS] for start in starts]
        # What cannot be said to anybody is the handler's mistake, not the destination's.
        for contexts in self._given or [_ANY]:
            self._make(contexts)
        self._ahead = ahead
        self._is_known = bool(ahead) and not any(isinstance(split(i)[1], InFile) for i in ahead)
        # What the instances need, as far as it is known: whether it was proposed already.
        self._needed: dict[Kind, bool] = {}
        self._refused: set[Kind] = set()
        self._assoc: Party | None = None
        self._proposed: Any = None
        self._was_reached = False
        self._endurance = Endurance()
        self._gone = ""
        self._reports = PendingReports(link.runtime)

    def store(
        self, what: Instance, report: Callable[[], None], meanwhile: Callable[[], None] | None
    ) -> Outcome:
        """Have an instance stored by the destination.

        Raises
        ------
        Refusal
            No association came about, not even at first.
        """
        with self._reports.during(report):
            try:
                outcome = store(self._assoc_for(what)._invoker, what, self._parameters, meanwhile)
            except _Unsent as error:
                return Outcome(None, what.sop_instance, str(error))
            if outcome.status is not None:
                self._endurance.answered()
            return outcome

    def close(self) -> None:
        """Be done with the destination."""
        self._reports.close()
        self._release()

    def _release(self) -> None:
        """Release the association with it."""
        assoc, self._assoc = self._assoc, None
        if assoc is None:
            return
        if assoc.acse_timeout is None or assoc.acse_timeout > RELEASE_PATIENCE:
            assoc.acse_timeout = RELEASE_PATIENCE
        assoc.release()
        self._link.sub_associations.discard(assoc)

    def _assoc_for(self, what: Instance) -> Party:
        """The association to send an instance over, with a context for it if there can be one.

        Raises
        ------
        Refusal
            None came about, not even at first.
        _Unsent
            There is none for it, or none any more.
        """
        kind = (what.sop_class, what.transfer_syntax)
        assoc = self._assoc
        if assoc is not None and not assoc._link.is_established:
            # It has ended without our doing.
            if not self._endurance.goes_on(assoc._link.ended):
                self._gone = "the move destination is gone"
            self._release()
            assoc = None
        if assoc is None:
            if kind in self._refused:
                raise _Unsent(no_context(*kind))
            if self._gone:
                raise _Unsent(self._gone)
        elif kind in self._refused or _suits_well(assoc, what):
            return assoc
        contexts = self._proposal(kind)
        if assoc is not None:
            if contexts is self._proposed or _has_refused(assoc, kind):
                self._refused.add(kind)
                return assoc
            self._release()
        return self._associate(contexts, what)

    def _proposal(self, kind: Kind) -> Sequence[PresentationContext]:
        """What to propose so that an instance can be sent."""
        if self._given:
            return next((c for c in self._given if _suits(c, kind)), self._given[0])
        for other in self._link.runtime.aside(_kinds, self._ahead):
            self._needed.setdefault(other, False)
        self._ahead = ()
        self._needed.pop(kind, None)
        rest = [k for k in self._needed if k not in self._refused]
        fresh = [k for k in rest if not self._needed[k]]
        # What was proposed last is more likely to come again than what was before.
        needed = [kind, *fresh, *reversed([k for k in rest if self._needed[k]])]
        for proposed in needed[:MAXIMUM_CONTEXTS]:
            self._needed[proposed] = True
        return plan(needed, () if self._is_known else self._usual())

    def _usual(self) -> list[PresentationContext]:
        """The storage contexts to propose while it is not known what will be sent."""
        contexts = self._link.ae.requested_contexts
        requested = [cx for cx in contexts if registry.is_storage(cx.abstract_uid)]
        return requested or [build_context(uid, FALLBACKS) for uid in abstract_syntaxes(_USUAL)]

    def _associate(self, contexts: Sequence[PresentationContext], what: Instance) -> Party:
        link = self._link
        assoc = self._make(contexts)
        for name, seconds in self._timeouts.items():
            setattr(assoc, name, seconds)
        # An abort of the C-MOVE's association takes this one with it, from here on.
        link.sub_associations.add(assoc)
        if not link.has_ended:
            link.ae._running.request(assoc)
        if assoc._link.is_established:
            self._assoc, self._proposed = assoc, contexts
            self._was_reached = True
            return assoc
        link.sub_associations.discard(assoc)
        ended = assoc._link.ended
        # None where that of the C-MOVE has ended, and none was requested.
        if ended is not None and isinstance(ended.error, NothingAccepted):
            self._was_reached = True
            proposed = _kinds_of(contexts)
            self._refused.update(k for k in proposed if proposed.issuperset(needed_by(k)))
            raise _Unsent(no_context(what.sop_class, what.transfer_syntax))
        # Where it is does not concern the peer.
        refuses = ended is not None and ended.kind == "rejected"
        why = f"The move destination {'refuses' if refuses else 'cannot be reached'}"
        if not self._was_reached:
            if ended is not None and (cause := _cause(ended)):
                why += f": {cause}"
            raise Refusal(self._unreachable, why)
        self._gone = why
        raise _Unsent(why)


def _cause(ended: Ended) -> str:
    """Why no association came about, without saying where to; empty if that is not known."""
    import ssl

    error = ended.error
    if ended.kind == "rejected":
        return str(ended).partition(": ")[2]
    if ended.timer or isinstance(error, TimeoutError):
        return "no answer in time"
    if ended.kind == "aborted" and ended.by == "peer":
        return "it aborts"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "TLS certificate refused"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or 'handshake failed').lower().replace('_', ' ')}"
    if isinstance(error, (NameProblem, socket.gaierror)):
        return "its name is not known"
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    if isinstance(error, TLSRecord):
        return "it expects TLS"
    if isinstance(error, PeerError):
        return "it speaks no DICOM"
    return "connection closed" if ended.by == "network" else ""


def _kinds(items: Iterable[Any]) -> list[Kind]:
    """Tell what the data sets among a handler's items need."""
    found: list[Kind] = []
    for item in items:
        _, data_set = split(item)
        if isinstance(data_set, InFile):  # looking into each of them would leave them all open
            continue
        with contextlib.suppress(Exception):  # what cannot be sent is said when its turn comes
            found.append(kind_of(data_set))
    return found


def _suits(contexts: Iterable[PresentationContext], kind: Kind) -> bool:
    """Whether what is of a kind could be sent if these contexts were accepted."""
    sop_class, syntax = kind
    syntaxes = UNCOMPRESSED if syntax in UNCOMPRESSED else {syntax}
    return not _kinds_of(contexts).isdisjoint((sop_class, usable) for usable in syntaxes)


def _suits_well(assoc: Party, what: Instance) -> bool:
    """Whether an instance can go out as it is, or at least the peer was asked for that."""
    kind = (what.sop_class, what.transfer_syntax)
    try:
        context = assoc._link.negotiated.context_for(*kind)
    except ValueError:
        return False
    syntax = what.transfer_syntax
    if syntax == context.transfer_uids[0]:
        return True
    # What is to be encoded anyway; but some values have no other byte order that we would know.
    is_easy = syntax in (*FALLBACKS, DEFLATED)
    return is_easy and (
        not what.is_encoded or kind in _kinds_of(assoc._link.requestor.requested_contexts)
    )


def _kinds_of(contexts: Iterable[PresentationContext]) -> set[Kind]:
    """The kinds that contexts were proposed for."""
    return {(cx.abstract_uid, syntax) for cx in contexts for syntax in cx.transfer_uids}


def _has_refused(assoc: Party, kind: Kind) -> bool:
    """Whether the peer has refused a context for what is of a kind.

    It has not where it has chosen another one of several transfer syntaxes, or where there is more
    to propose: what is uncompressed has other forms.
    """
    proposed = assoc._link.requestor.requested_contexts
    accepted = assoc._link.negotiated.contexts
    refused = [context for context in proposed if context.context_id not in accepted]
    return kind in _kinds_of(refused) and _kinds_of(proposed).issuperset(needed_by(kind))


def begin_move(link: Link, request: Any, ask: Callable[[str], Any], ahead: Any) -> MoveDestination:
    """Take the destination from a C-MOVE handler's items; see `services.retrieval.Begin`."""
    target = ask("The handler gave no destination")
    if isinstance(target, (tuple, list)) and tuple(target[:2]) == (None, None):
        raise Refusal(_UNKNOWN, "Unknown move destination")
    parameters = originator(request, link.requestor.ae_title)
    try:
        return MoveDestination(link, parameters, target, request.MoveDestination or "", ahead)
    except Exception as error:  # whatever the handler gave
        raised.show(LOGGER, error)
        raise Refusal(
            ANSWERS["C-MOVE"].bad_destination,
            "Invalid move destination",
            _what_is_wrong(target, error),
        ) from error


def _what_is_wrong(target: Any, error: Exception) -> str:
    """What the log says of a destination that is none; of its values only what we complain of."""
    if not isinstance(target, (tuple, list)):
        given = raised.kind(target)
    elif [type(value) for value in target] in ([str, int], [str, int, dict]):
        known = isinstance(error, (TypeError, ValueError))
        return printable(str(error)) if known else type(error).__name__
    else:
        given = f"({', '.join(map(raised.kind, target[:4]))})"
    return f"{given} instead of (address, port) or (address, port, dict of options)"
