"""What users ask a peer for as SCU, over an association: the ``send_…`` methods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from pynetdicom.association import normalized, querying, storing
from pynetdicom.association.invoking import prepare_statuses
from pynetdicom.dimse.primitives import C_FIND, C_GET, C_MOVE
from pynetdicom.services.instances import StoreParameters

if TYPE_CHECKING:
    import os

    from pydicom.dataset import Dataset

    from pynetdicom.association.file_stream import Path
    from pynetdicom.association.invoking import Invoker
    from pynetdicom.association.response_status import ResponseStatus
    from pynetdicom.association.responses import Responses
    from pynetdicom.association.succession import Party
    from pynetdicom.data_sets.data_set import EncodedDataSet

    Identifier = Dataset | EncodedDataSet


P = TypeVar("P", bound="Path | os.PathLike[bytes]")


class SCU:
    """The SCU's side of an `Association`, as users see it; an `Invoker` does it."""

    _invoker: Invoker

    def send_c_echo(self, msg_id: int | None = None) -> ResponseStatus:
        """Ask the peer whether it is there.

        Parameters
        ----------
        msg_id : int, optional
            The Message ID; by default the library chooses one.

        Returns
        -------
        pydicom.dataset.Dataset
            The status; empty when there was no answer, see `ended`.

        Raises
        ------
        RuntimeError
            There is no established association.
        ValueError
            No presentation context for Verification was accepted, or `msg_id` is outstanding.

        Notes
        -----
        PS3.7 9.1.5
        """
        return prepare_statuses()(*storing.echo(self._invoker, msg_id))

    def send_c_store(
        self,
        dataset: Dataset | Path | EncodedDataSet,
        msg_id: int | None = None,
        priority: int = 2,
        originator_aet: str | bytes | None = None,
        originator_id: int | None = None,
    ) -> ResponseStatus:
        """Have the peer store a data set, or a file.

        A file, or a data set that is encoded already, is sent as it is, without being decoded, if
        its transfer syntax was accepted; an uncompressed one may be re-encoded to another
        uncompressed transfer syntax. Its SOP Class and Instance are those of its data set.

        Parameters
        ----------
        dataset : pydicom.dataset.Dataset, str, pathlib.Path or pynetdicom.dsutils.EncodedDataSet
            With a ``file_meta.TransferSyntaxUID``; or the path of a DICOM file; or a data set that
            is encoded already, such as ``event.received``, which is not closed.
        msg_id : int, optional
            The Message ID; by default the library chooses one.
        priority : int
            0 medium, 1 high, 2 low.
        originator_aet, originator_id : optional
            AE title and Message ID of the C-MOVE that this is a sub-operation of.

        Returns
        -------
        pydicom.dataset.Dataset
            The status; empty when there was no answer, see `ended`.

        Raises
        ------
        RuntimeError
            There is no established association.
        AttributeError
            The data set has no SOP Class UID, SOP Instance UID or transfer syntax.
        ValueError
            No presentation context fits, or the data set cannot be encoded: a text in it has
            characters that its Specific Character Set lacks, for instance.
        pynetdicom.errors.FileProblem
            The file is not DICOM, is truncated, is encoded otherwise than it says, or lacks UIDs,
            as may an encoded data set.
        pynetdicom.errors.DataSetDecodeError
            An element of an encoded data set overruns it.
        OSError
            The file cannot be read.

        Notes
        -----
        PS3.7 9.1.1
        """
        parameters = StoreParameters(priority, originator_aet, originator_id)
        return storing.store(self._invoker, dataset, msg_id, parameters)

    def send_c_stores(
        self,
        paths: Iterable[P],
        *,
        priority: int = 2,
        originator_aet: str | bytes | None = None,
        originator_id: int | None = None,
        send_ahead: bool = False,
        associations: int = 1,
    ) -> Iterator[tuple[P, ResponseStatus]]:
        """Have the peer store many files, reading the next one while it works on the last.

        Parameters
        ----------
        paths : iterable of str or path-like
        priority, originator_aet, originator_id
            As for `send_c_store`.
        send_ahead : bool
            Send a file as soon as the one before it is answered, before that one's result is given
            out, so that the peer need not wait for what the caller does with it. Whoever leaves the
            loop early does not learn what became of the file that was under way.
        associations : int
            Over how many associations to send, for peers that agree to no window. The others are
            like this one, requested when there are files for them, and belong to the iterator,
            which releases them in the end. Each takes the next path when it has room for it;
            results are given out in the order in which they come, and files are sent ahead. If the
            peer grants fewer, those send. Default 1.

        Yields
        ------
        tuple of path and ResponseStatus
            The file, as it was given, and its status. A file that could not be sent, or was not
            answered, has an empty status whose attribute ``problem`` says why; the others are still
            sent.

        Raises
        ------
        RuntimeError
            There is no established association.
        TypeError, ValueError
            `associations` is not int or less than 1, or more than 1 where the peer has requested
            this association.

        Notes
        -----
        When the peer ends the association, or the connection breaks, the file that was under way
        has failed and is not tried again. For those after it another association is made, as often
        as it takes: to the same address, with the same AE, contexts, titles, TLS, timeouts and
        handlers. It belongs to the iterator, which releases it in the end. `is_established` of this
        association is False from then on and `ended` says how it ended; nothing else can be sent on
        it. `abort` and `release` of this association, and the AE's `shutdown`, end the iterator and
        abort or release what it sends on. If the peer releases the association, cannot be reached
        again, rejects, or answers nothing in time twice in a row, or if it was the peer who
        requested this association, the rest is given out with a ``problem``; the paths are asked
        for to their end all the same.

        PS3.7 9.1.1
        """
        parameters = StoreParameters(priority, originator_aet, originator_id)
        results = storing.store_files(
            cast("Party", self), paths, parameters, send_ahead=send_ahead, associations=associations
        )
        return storing.statuses_of(results)

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
        self, dataset: Identifier, msg_id: int, priority: int = 2, query_model: str | None = None
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
        return querying.query(self._invoker, C_FIND, dataset, args, kwargs)

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
        self, dataset: Identifier, msg_id: int, priority: int = 2, query_model: str | None = None
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
        self._invoker.has_asked_for_objects = True
        return querying.query(self._invoker, C_GET, dataset, args, kwargs)

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
        return querying.query(
            self._invoker, C_MOVE, dataset, args, kwargs, MoveDestination=move_aet
        )

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
        querying.cancel(self._invoker, msg_id, context_id, query_model)

    def send_c_cancel_find(self, msg_id: int) -> None:
        """As `send_c_cancel`."""
        self.send_c_cancel(msg_id)

    send_c_cancel_get = send_c_cancel_move = send_c_cancel_find

    send_n_action = normalized.send_n_action
    send_n_create = normalized.send_n_create
    send_n_delete = normalized.send_n_delete
    send_n_event_report = normalized.send_n_event_report
    send_n_get = normalized.send_n_get
    send_n_set = normalized.send_n_set
