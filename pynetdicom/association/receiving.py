"""Where a data set goes that is about to be received, decided when its command set is complete.

In: the request or response that it belongs to. Out: a `Spool`, with what comes before the data set
in a file if it is one that is to be stored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from pynetdicom import _config
from pynetdicom.data_sets.part10 import header_builder
from pynetdicom.data_sets.spool import Spool
from pynetdicom.query_models import OPERATIONS

if TYPE_CHECKING:
    from pynetdicom.association.entity import Listener
    from pynetdicom.association.state import AssociationState
    from pynetdicom.dimse.primitives import Primitive

_IN_MEMORY = 1 << 20
"""Bytes of an identifier that are kept in memory."""


class _Place(NamedTuple):
    """What is the same for all data sets of requests on a presentation context."""

    transfer_syntax: str
    directory: str | None
    threshold: int
    maximum: int | None
    header: Callable[[str, str], bytes]


class Receiving:
    """The places for the data sets that an association receives.

    Parameters
    ----------
    assoc : Association
    server : AssociationServer or None
        Whose association it is, if the peer requested it.
    """

    def __init__(self, assoc: AssociationState, server: Listener | None) -> None:
        self._assoc = assoc
        self._server = server
        self._places: dict[int, _Place] = {}

    def open(self, context_id: int, primitive: Primitive) -> Spool:
        """Make the place for the data set of a message."""
        if primitive.CommandField >= 0x8000 and primitive.name in OPERATIONS:
            return self._open_identifier(context_id, primitive)
        place = self._places.get(context_id) or self._place(context_id)
        header = b""
        if primitive.CommandField == 0x0001:
            originator = primitive.__dict__.get("MoveOriginatorMessageID")
            if originator is not None:
                title = primitive.MoveOriginatorApplicationEntityTitle
                self._assoc.stores_for = (title or "", originator)
            header = place.header(
                primitive.AffectedSOPClassUID or "", primitive.AffectedSOPInstanceUID or ""
            )
        return Spool(
            header,
            place.transfer_syntax,
            directory=place.directory,
            threshold=place.threshold,
            maximum=place.maximum,
        )

    def _place(self, context_id: int) -> _Place:
        assoc = self._assoc
        ae, server = assoc.ae, self._server
        transfer_syntax = assoc.negotiated.contexts[context_id].transfer_uids[0]
        place = self._places[context_id] = _Place(
            transfer_syntax,
            ae.spool_dir if server is None else server.spool_dir,
            _config.SPOOL_THRESHOLD if server is None else server.spool_threshold,
            ae.maximum_object_bytes,
            header_builder(
                transfer_syntax,
                implementation_class_uid=ae._implementation_uid,
                implementation_version_name=ae.implementation_version_name,
                source_ae_title=(
                    assoc.acceptor if assoc.is_requestor else assoc.requestor
                ).ae_title,
            ),
        )
        return place

    def _open_identifier(self, context_id: int, response: Primitive) -> Spool:
        """What belongs to an abandoned operation has no place."""
        assoc = self._assoc
        operation = assoc._invoker.operations.get(response.MessageIDBeingRespondedTo or 0)
        is_wanted = operation is not None and not operation.is_abandoned
        return Spool(
            b"",
            assoc.negotiated.contexts[context_id].transfer_uids[0],
            directory=assoc.ae.spool_dir,
            threshold=_IN_MEMORY,
            maximum=_config.MAXIMUM_IDENTIFIER if is_wanted else 0,
        )
