"""What users ask a peer for as SCU, over an association in an event loop."""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from pynetdicom.aio.inner import LoopAssociation
from pynetdicom.aio.results import Responses, Results, in_turn

if TYPE_CHECKING:
    import os

    from pydicom.dataset import Dataset

    from pynetdicom.association.file_stream import Path
    from pynetdicom.association.response_status import ResponseStatus
    from pynetdicom.data_sets.data_set import EncodedDataSet

    Identifier = Dataset | EncodedDataSet
    Answered = tuple[ResponseStatus, Dataset | Any]


P = TypeVar("P", bound="Path | os.PathLike[bytes]")


class SCU:
    """The SCU's side of an `Association`, as users see it."""

    _inner: LoopAssociation

    def _ask(
        self, call: Callable[..., Any], *args: Any, ident: int = 0
    ) -> Coroutine[Any, Any, Any]:
        """Run an operation; where the task is cancelled, see that it does not go on."""
        return self._inner._runtime.run(partial(call, *args), ident, self._leave)

    def _ask_several(
        self, call: Callable[..., Any], *args: Any, ident: int = 0
    ) -> Coroutine[Any, Any, Any]:
        """As `_ask`, of what has others send."""
        return self._inner._runtime.run(partial(call, *args), ident, self._leave_all)

    def _leave(self, ident: int) -> None:
        """Abort the association if a strand has sent what nothing else would end."""
        for operation in self._inner.dimse.outstanding():
            is_out = operation.thread == ident and operation.last_heard < math.inf
            if is_out and operation.backlog is None:
                self._inner.abort(block=False)

    def _leave_all(self, ident: int) -> None:
        """Abort the association if anything of that kind is outstanding."""
        if not all(operation.backlog for operation in self._inner.dimse.outstanding()):
            self._inner.abort(block=False)

    async def c_echo(self, msg_id: int | None = None) -> ResponseStatus:
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
        RuntimeError, ValueError
            As `pynetdicom.association.Association.send_c_echo`.
        """
        return await self._ask(self._inner.send_c_echo, msg_id)  # type: ignore[no-any-return]

    async def c_store(
        self,
        dataset: Dataset | Path | EncodedDataSet,
        msg_id: int | None = None,
        priority: int = 2,
        originator_aet: str | bytes | None = None,
        originator_id: int | None = None,
    ) -> ResponseStatus:
        """Have the peer store a data set, or a file, which is read on a thread.

        Parameters, and what is raised, are those of
        `pynetdicom.association.Association.send_c_store`.

        Returns
        -------
        pydicom.dataset.Dataset
            The status; empty when there was no answer, see `ended`.
        """
        given = (dataset, msg_id, priority, originator_aet, originator_id)
        return await self._ask(self._inner.send_c_store, *given)  # type: ignore[no-any-return]

    def c_stores(
        self,
        paths: Iterable[P] | AsyncIterable[P],
        *,
        priority: int = 2,
        originator_aet: str | bytes | None = None,
        originator_id: int | None = None,
        send_ahead: bool = False,
        associations: int = 1,
    ) -> AsyncIterator[tuple[P, ResponseStatus]]:
        """Have the peer store many files, reading the next one while it works on the last.

        Parameters
        ----------
        paths : iterable or asynchronous iterable of str or pathlib.Path
        priority, originator_aet, originator_id, send_ahead, associations
            As for `pynetdicom.association.Association.send_c_stores`.

        Returns
        -------
        asynchronous iterator of tuple of path and pydicom.dataset.Dataset
            The file and its status; see there.
        """
        given: dict[str, Any] = {
            "priority": priority,
            "originator_aet": originator_aet,
            "originator_id": originator_id,
            "send_ahead": send_ahead,
            "associations": associations,
        }
        known = in_turn(self._inner._runtime, paths)
        ask = self._ask if associations == 1 else self._ask_several
        return Results(ask, lambda: self._inner.send_c_stores(known, **given))

    @overload
    def c_find(
        self,
        dataset: Identifier,
        query_model: str | None = None,
        msg_id: int | None = None,
        priority: int = 2,
    ) -> Responses: ...
    @overload
    def c_find(
        self,
        dataset: Identifier,
        msg_id: int,
        priority: int = 2,
        query_model: str | None = None,
    ) -> Responses: ...
    def c_find(self, dataset: Identifier, *args: Any, **kwargs: Any) -> Responses:
        """Ask the peer for what matches an identifier.

        The request is sent when the first response is asked for. Parameters, and what is raised
        then, are those of `pynetdicom.association.Association.send_c_find`.

        Returns
        -------
        Responses
            An asynchronous iterator of ``(status, identifier)``.
        """
        return Responses(self._ask, lambda: self._inner.send_c_find(dataset, *args, **kwargs))

    @overload
    def c_get(
        self,
        dataset: Identifier,
        query_model: str | None = None,
        msg_id: int | None = None,
        priority: int = 2,
    ) -> Responses: ...
    @overload
    def c_get(
        self,
        dataset: Identifier,
        msg_id: int,
        priority: int = 2,
        query_model: str | None = None,
    ) -> Responses: ...
    def c_get(self, dataset: Identifier, *args: Any, **kwargs: Any) -> Responses:
        """Have the peer send SOP Instances on this association.

        What it sends is served by the handler of ``evt.EVT_C_STORE``. The rest is as for `c_find`,
        and `pynetdicom.association.Association.send_c_get`.
        """
        return Responses(self._ask, lambda: self._inner.send_c_get(dataset, *args, **kwargs))

    @overload
    def c_move(
        self,
        dataset: Identifier,
        move_aet: str | bytes,
        query_model: str | None = None,
        msg_id: int | None = None,
        priority: int = 2,
    ) -> Responses: ...
    @overload
    def c_move(
        self,
        dataset: Identifier,
        move_aet: str | bytes,
        msg_id: int,
        priority: int = 2,
        query_model: str | None = None,
    ) -> Responses: ...
    def c_move(
        self, dataset: Identifier, move_aet: str | bytes, *args: Any, **kwargs: Any
    ) -> Responses:
        """Have the peer send SOP Instances to an AE, on an association of its own.

        The rest is as for `c_find`, and `pynetdicom.association.Association.send_c_move`.
        """
        return Responses(
            self._ask, lambda: self._inner.send_c_move(dataset, move_aet, *args, **kwargs)
        )

    async def cancel(
        self, msg_id: int, context_id: int | None = None, query_model: str | None = None
    ) -> None:
        """Ask the peer to end a C-FIND, C-GET or C-MOVE early.

        As `pynetdicom.association.Association.send_c_cancel`.
        """
        await self._ask(self._inner.send_c_cancel, msg_id, context_id, query_model)

    async def n_action(
        self,
        dataset: Identifier | None,
        action_type: int,
        class_uid: str,
        instance_uid: str,
        msg_id: int | None = None,
        meta_uid: str | None = None,
    ) -> Answered:
        """As `pynetdicom.association.Association.send_n_action`."""
        given = (dataset, action_type, class_uid, instance_uid, msg_id, meta_uid)
        return await self._ask(self._inner.send_n_action, *given)  # type: ignore[no-any-return]

    async def n_create(
        self,
        dataset: Identifier | None,
        class_uid: str,
        instance_uid: str | None = None,
        msg_id: int | None = None,
        meta_uid: str | None = None,
    ) -> Answered:
        """As `pynetdicom.association.Association.send_n_create`."""
        given = (dataset, class_uid, instance_uid, msg_id, meta_uid)
        return await self._ask(self._inner.send_n_create, *given)  # type: ignore[no-any-return]

    async def n_delete(
        self,
        class_uid: str,
        instance_uid: str,
        msg_id: int | None = None,
        meta_uid: str | None = None,
    ) -> ResponseStatus:
        """As `pynetdicom.association.Association.send_n_delete`."""
        given = (class_uid, instance_uid, msg_id, meta_uid)
        return await self._ask(self._inner.send_n_delete, *given)  # type: ignore[no-any-return]

    async def n_event_report(
        self,
        dataset: Identifier | None,
        event_type: int,
        class_uid: str,
        instance_uid: str,
        msg_id: int | None = None,
        meta_uid: str | None = None,
    ) -> Answered:
        """As `pynetdicom.association.Association.send_n_event_report`."""
        given = (dataset, event_type, class_uid, instance_uid, msg_id, meta_uid)
        return await self._ask(self._inner.send_n_event_report, *given)  # type: ignore[no-any-return]

    async def n_get(
        self,
        identifier_list: Iterable[Any] | None,
        class_uid: str,
        instance_uid: str,
        msg_id: int | None = None,
        meta_uid: str | None = None,
    ) -> Answered:
        """As `pynetdicom.association.Association.send_n_get`."""
        given = (identifier_list, class_uid, instance_uid, msg_id, meta_uid)
        return await self._ask(self._inner.send_n_get, *given)  # type: ignore[no-any-return]

    async def n_set(
        self,
        dataset: Identifier,
        class_uid: str,
        instance_uid: str,
        msg_id: int | None = None,
        meta_uid: str | None = None,
    ) -> Answered:
        """As `pynetdicom.association.Association.send_n_set`."""
        given = (dataset, class_uid, instance_uid, msg_id, meta_uid)
        return await self._ask(self._inner.send_n_set, *given)  # type: ignore[no-any-return]
