"""What an association asks of its peer with C-FIND, C-GET and C-MOVE, and C-CANCEL.

In: identifiers, from the calling thread, which writes the request. Out: `Responses`, an iterator,
fed by the operation's backlog. The sub-operations of a C-GET are requests of the peer like others:
the Association thread serves them, whatever the iterator's consumer does meanwhile.

An operation that is left early stays outstanding until its final response. Its C-CANCEL is sent by
whoever leaves it; where that cannot be, as in a finalizer, by the Association thread or by whoever
sends next.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from queue import Empty
from typing import TYPE_CHECKING, Any, overload

from pynetdicom import _config, raised
from pynetdicom import event_types as evt
from pynetdicom.association.requests import prepare_statuses
from pynetdicom.association.responses import LOGGER, Responses
from pynetdicom.association.storing import Storing
from pynetdicom.data_sets.element_walk import UNCOMPRESSED
from pynetdicom.dimse.operation import PENDING, Operation
from pynetdicom.dimse.operations import Turn
from pynetdicom.dimse.primitives import C_CANCEL, C_FIND, C_GET, C_MOVE, Primitive
from pynetdicom.network.dul import Stopped
from pynetdicom.query_models import OPERATIONS, arranged, is_known, query_model_uid
from pynetdicom.uids import named_all
from pynetdicom.upper_layer.ended import Ended

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.data_sets.data_set import EncodedDataSet
    from pynetdicom.upper_layer.acse import PresentationContext

    Identifier = Dataset | EncodedDataSet


class Querying(Storing):
    """The SCU's side of an `Association` for queries and retrieval."""

    @overload
    def send_c_find(
        self,
        dataset: Identifier,
        query_model: str | None = None,
        msg_id: int | None = None,
        priority: int = 2,
    ) -> Responses: ...
    @overload
    def send_c_find(
        self,
        dataset: Identifier,
        msg_id: int,
        priority: int = 2,
        query_model: str | None = None,
    ) -> Responses: ...
    def send_c_find(self, dataset: Identifier, *args: Any, **kwargs: Any) -> Responses:
        """Ask the peer for what matches an identifier.

        The request is sent at once; the responses are awaited when they are asked for.

        Parameters
        ----------
        dataset : pydicom.dataset.Dataset
            The identifier: what is looked for, and empty elements for what is to be told of it.
        query_model : str, optional
            The information model's SOP Class, by UID or keyword, or a letter of pynetdicom 1.x:
            ``"P"`` (patient root, also for None), ``"S"`` (study root), ``"O"`` (patient/study
            only), ``"W"`` (modality worklist), ``"G"``, ``"B"``, ``"C"`` (general, breast and
            cardiac relevant patient information), ``"PC"``, ``"SA"`` (product characteristics,
            substance approval), ``"H"`` (hanging protocol), ``"D"`` (defined procedure protocol),
            ``"CP"`` (color palette), ``"IG"``, ``"IA"``, ``"IT"`` (implant templates).
        msg_id : int, optional
            The Message ID; by default the library chooses one.
        priority : int
            0 medium, 1 high, 2 low.

        Returns
        -------
        Responses
            An iterator of ``(status, identifier)``: both pydicom data sets, the identifier None in
            all but the matches. When there is no answer the last one is ``(Dataset(), None)``, see
            `ended`.

        Raises
        ------
        RuntimeError
            There is no established association; or a handler that serves a sub-operation of a C-GET
            would wait for that C-GET.
        ValueError
            The query model is unknown, no presentation context for it was accepted, the identifier
            cannot be encoded, or `msg_id` is outstanding.

        Notes
        -----
        The order of pynetdicom 1.x, ``send_c_find(dataset, msg_id, priority, query_model)``, is
        understood as well.

        PS3.7 9.1.2, PS3.4 C.4.1
        """
        return self._query(C_FIND, dataset, args, kwargs)

    @overload
    def send_c_get(
        self,
        dataset: Identifier,
        query_model: str | None = None,
        msg_id: int | None = None,
        priority: int = 2,
    ) -> Responses: ...
    @overload
    def send_c_get(
        self,
        dataset: Identifier,
        msg_id: int,
        priority: int = 2,
        query_model: str | None = None,
    ) -> Responses: ...
    def send_c_get(self, dataset: Identifier, *args: Any, **kwargs: Any) -> Responses:
        """Have the peer send SOP Instances on this association.

        What it sends is served by the handler of `evt.EVT_C_STORE`, or by ``on_c_store``, on the
        Association thread, also while nobody asks for the responses; `dimse_timeout` does not run
        meanwhile. The association needs contexts for it in which the requestor has the SCP's role,
        see `build_role`.

        Parameters
        ----------
        dataset : pydicom.dataset.Dataset
            The identifier: which instances.
        query_model : str, optional
            As for `send_c_find`. The letters are ``"P"``, ``"S"``, ``"O"``, ``"H"``, ``"D"``,
            ``"CP"``, ``"IG"``, ``"IA"``, ``"IT"``, and ``"C"`` (composite instance root), ``"CB"``
            (composite instance without bulk data).
        msg_id, priority
            As for `send_c_find`.

        Returns
        -------
        Responses
            An iterator of ``(status, identifier)``. The status has the numbers of sub-operations,
            such as ``NumberOfFailedSuboperations``; the identifier of the final response, if there
            is one, has a ``FailedSOPInstanceUIDList``. When there is no answer the last one is
            ``(Dataset(), None)``, see `ended`.

        Raises
        ------
        RuntimeError, ValueError
            As for `send_c_find`.

        Notes
        -----
        The order of pynetdicom 1.x is understood, too, as for `send_c_find`.

        PS3.7 9.1.3, PS3.4 C.4.3
        """
        self.has_asked_for_objects = True
        return self._query(C_GET, dataset, args, kwargs)

    @overload
    def send_c_move(
        self,
        dataset: Identifier,
        move_aet: str | bytes,
        query_model: str | None = None,
        msg_id: int | None = None,
        priority: int = 2,
    ) -> Responses: ...
    @overload
    def send_c_move(
        self,
        dataset: Identifier,
        move_aet: str | bytes,
        msg_id: int,
        priority: int = 2,
        query_model: str | None = None,
    ) -> Responses: ...
    def send_c_move(
        self, dataset: Identifier, move_aet: str | bytes, *args: Any, **kwargs: Any
    ) -> Responses:
        """Have the peer send SOP Instances to an AE, on an association of its own.

        The destination may be this AE, if it listens and the peer knows where. `dimse_timeout` does
        not run while it receives and stores what is sent by this operation.

        Parameters
        ----------
        dataset : pydicom.dataset.Dataset
            The identifier: which instances.
        move_aet : str
            The AE title of the destination.
        query_model, msg_id, priority
            As for `send_c_get`; without ``"CB"``.

        Returns
        -------
        Responses
            As for `send_c_get`.

        Raises
        ------
        RuntimeError, ValueError
            As for `send_c_find`; ValueError also if `move_aet` is no AE title.

        Notes
        -----
        The order of pynetdicom 1.x is understood, too, as for `send_c_find`: what follows there
        ``dataset`` follows ``move_aet`` here.

        PS3.7 9.1.4, PS3.4 C.4.2
        """
        return self._query(C_MOVE, dataset, args, kwargs, MoveDestination=move_aet)

    def send_c_cancel(
        self, msg_id: int, context_id: int | None = None, query_model: str | None = None
    ) -> None:
        """Ask the peer to end a C-FIND, C-GET or C-MOVE early.

        May be called from any thread. There is no answer to it; the operation's responses go on, up
        to a final one that says ``0xFE00``, or whatever the peer has come to by then.

        Parameters
        ----------
        msg_id : int
            The Message ID of the operation. 1 also stands for the only operation whose Message ID
            the library has chosen, unless there is another 1.
        context_id : int, optional
            The ID of the operation's presentation context, where the library does not know the
            operation.
        query_model : str, optional
            The same as SOP Class UID, keyword or letter.

        Raises
        ------
        RuntimeError
            There is no established association.
        TypeError
            `msg_id` is not an int.
        ValueError
            There is no such operation, and neither `context_id` nor `query_model` says where it
            would be; or no such context was accepted. An operation that has just ended is no error.

        Notes
        -----
        PS3.7 9.3.2.3, 9.3.3.3, 9.3.4.3
        """
        if isinstance(msg_id, bool) or not isinstance(msg_id, int):
            raise TypeError(f"'msg_id' must be an int, not {type(msg_id).__name__}")
        self._must_be_established("send_c_cancel()")
        operation = self.operations.to_cancel(msg_id)
        if operation is not None:
            self._cancel(operation)
        elif context_id is not None:
            if context_id not in self.contexts:
                raise ValueError(f"no presentation context {context_id} was accepted")
            self._send_cancel(msg_id, context_id)
        elif query_model is not None:
            self._send_cancel(msg_id, self._context_of_model(query_model).context_id or 0)
        elif not self.operations.has_ended_lately(msg_id):
            raise ValueError(f"no operation {msg_id} is outstanding: which context is it on?")

    def send_c_cancel_find(self, msg_id: int) -> None:
        """As `send_c_cancel`."""
        self.send_c_cancel(msg_id)

    def send_c_cancel_get(self, msg_id: int) -> None:
        """As `send_c_cancel`."""
        self.send_c_cancel(msg_id)

    def send_c_cancel_move(self, msg_id: int) -> None:
        """As `send_c_cancel`."""
        self.send_c_cancel(msg_id)

    # Sending

    def _query(
        self,
        kind: type[Primitive],
        dataset: Identifier,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        **parameters: Any,
    ) -> Responses:
        name = f"send_{kind.__name__.lower()}()"
        query_model, msg_id, priority = arranged(name, args, kwargs)
        self._must_be_established(name)
        sop_class = query_model_uid(kind.name, query_model)
        prepare_statuses()
        context, data_set = self._encode_identifier(dataset, sop_class)
        request = kind(
            AffectedSOPClassUID=sop_class, Priority=priority, data_set=data_set, **parameters
        )
        if absent := set(request.missing()) - {"MessageID"}:
            raise TypeError(f"{name}: no {', '.join(absent)}")
        if _config.LOG_REQUEST_IDENTIFIERS and LOGGER.isEnabledFor(logging.DEBUG):
            from pynetdicom.association.serving import show_identifier

            show_identifier(request, data_set.decode())
        turn = Turn(self.operations)
        try:
            return Responses(self, request, self._send_request(request, context, msg_id, turn=turn))
        except BaseException:  # Ctrl-C: nobody will ask for the responses
            if turn.operation is not None:
                self.abandon(turn.operation)
            raise

    def _encode_identifier(
        self, dataset: Identifier, sop_class: str
    ) -> tuple[PresentationContext, EncodedDataSet]:
        from pydicom.dataset import Dataset

        from pynetdicom.data_sets.data_set import EncodedDataSet, change_syntax, encode_dataset

        if isinstance(dataset, EncodedDataSet):
            context = self._context_for(sop_class, dataset.transfer_syntax)
            if dataset.transfer_syntax in context.transfer_uids:
                return context, dataset
            syntax = context.transfer_uids[0]
            if UNCOMPRESSED.issuperset((dataset.transfer_syntax, syntax)):
                return context, change_syntax(dataset, syntax)
            dataset = dataset.decode()
        elif not isinstance(dataset, Dataset):
            raise TypeError(f"an identifier is a Dataset, not {raised.kind(dataset)}")
        context = self._context_for(sop_class)
        return context, encode_dataset(dataset, context.transfer_uids[0])

    def _begin(
        self, request: Primitive, context_id: int, msg_id: int | None, turn: Turn
    ) -> Operation | None:
        if not self._to_cancel.empty():
            self.cancel_abandoned()
        if self.outstanding():
            self._refuse_endless_wait(f"a {request.message_name}")
            if self.is_sending_here():
                # By a signal's handler, or a finalizer: what it interrupts goes on only after it.
                raise RuntimeError(
                    f"a {request.message_name} would wait for the request that it interrupts"
                )
        operation: Operation | None = super()._begin(request, context_id, msg_id, turn)
        if operation is not None and operation.backlog is not None:
            operation.backlog.directory = self.ae.spool_dir
        return operation

    def _last_received(self) -> float:
        """When the peer was last heard, or had to wait for us to store what we want to have."""
        heard: float = super()._last_received()
        for operation in self.operations.outstanding():
            if operation.request.name == "C-GET":
                heard = max(heard, self._last_stored())
            elif operation.request.name == "C-MOVE":
                # Of a sub-operation to ourselves we hear on another association.
                move = (self.requestor.ae_title, operation.message_id)
                for assoc in self.ae.active_associations:
                    if assoc.stores_for == move:
                        heard = max(heard, assoc._last_stored())
        return heard

    def _last_stored(self) -> float:
        """When something to be stored was last received, or stored."""
        # On its own thread nobody serves what the peer asks meanwhile.
        if self.inbox.is_empty or threading.current_thread() is self:
            return max(super()._last_received(), self.inbox.last_done)
        return time.monotonic()

    def _refuse_endless_wait(self, what: str) -> None:
        """Refuse to wait, in the handler of a sub-operation, for the operation that it is of."""
        if evt.EVT_C_STORE not in self._handlers.running_here():
            return
        for operation in self.operations.outstanding():
            if operation.request.name == "C-GET":
                raise RuntimeError(
                    f"{what} would wait for the end of the C-GET {operation.message_id}, which"
                    " waits for this handler of its C-STORE sub-operation"
                )

    # What `Responses` asks for

    def check_wait(self, operation: Operation) -> None:
        """Raise RuntimeError if waiting for a response would never end, here and now."""
        if operation.is_waiting:
            self._refuse_on_dul_thread("waiting for a response")
            self._refuse_endless_wait("waiting for a response")

    def next_response(self, operation: Operation) -> Primitive | None:
        """Wait for the next response; None when none comes, or nobody wants it any more."""
        response = self._await_response(operation)
        if response is not None:
            self.operations.consumed(operation)
            if (
                response.Status not in PENDING
                or response.name != "C-FIND"
                or response.data_set is not None
            ):
                return response
            error = ValueError("a pending C-FIND-RSP without identifier")
            self._fail(Ended("aborted", "local", 0, 0, error=error))
        if not operation.is_abandoned:
            self.operations.finish(operation)
            self.await_end()
        return None

    def abandon(self, operation: Operation) -> None:
        """Want no more responses to an operation; cancel it, if it is outstanding."""
        self.operations.abandon(operation)
        if not self.operations.is_outstanding(operation):
            return
        try:
            self._refuse_on_dul_thread("a C-CANCEL")
        except RuntimeError:
            self.cancel_later(operation)
        else:
            # A signal's handler may have interrupted a thread that is sending, or whatever
            # another waits for: it waits for nobody.
            if self.is_sending_here() or not self._cancel(operation, waits=False):
                self.cancel_later(operation)

    def cancel_abandoned(self) -> None:
        """Send the C-CANCELs that were left to others."""
        while not self._to_cancel.empty():
            try:
                operation = self._to_cancel.get_nowait()
            except Empty:  # somebody else was faster
                return
            if operation.is_abandoned:
                self.operations.abandon(operation)
            if not operation.is_cancelled:
                self._cancel(operation)

    def _cancel(self, operation: Operation, *, waits: bool = True) -> bool:
        """Send the C-CANCEL of an operation; False if it has to be done later."""
        if not self.operations.is_outstanding(operation):
            return True
        done = self._send_cancel(operation.message_id, operation.context_id, waits=waits)
        operation.is_cancelled = operation.is_cancelled or done
        return done

    def _send_cancel(self, message_id: int, context_id: int, *, waits: bool = True) -> bool:
        cancel = C_CANCEL(MessageIDBeingRespondedTo=message_id)
        with contextlib.suppress(Stopped):
            return self.send_message(cancel, context_id, waits=waits)
        return True

    def _context_of_model(self, query_model: str) -> PresentationContext:
        """The context of a query model, whichever operation it is for."""
        uids = [
            query_model_uid(kind, query_model) for kind in OPERATIONS if is_known(kind, query_model)
        ]
        for context in self.accepted_contexts:
            if context.abstract_uid in uids:
                return context
        model = named_all(dict.fromkeys(uids))
        raise ValueError(f"no presentation context for the query model {model} was accepted")
