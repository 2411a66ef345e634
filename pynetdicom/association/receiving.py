"""Where a data set goes that is about to be received, decided when its command set is complete.

In: the request or response that it belongs to. Out: a `Place`, with what comes before the data set
in a file if it is one that is to be stored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pynetdicom import _config
from pynetdicom.data_sets.part10 import header_builder
from pynetdicom.data_sets.spool import Place
from pynetdicom.query_models import OPERATIONS

if TYPE_CHECKING:
    from pynetdicom.association.link import Link
    from pynetdicom.dimse.primitives import Primitive

_IN_MEMORY = 1 << 20
"""Bytes of an identifier that are kept in memory."""


_Places = tuple[Place, Callable[[str, str], bytes], Place]
"""For requests, with what makes headers for them; and for identifiers."""


class Receiving:
    """The places for the data sets that an association receives.

    Parameters
    ----------
    link : Link
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        # Of each presentation context.
        self._places: dict[int, _Places] = {}

    def open(self, context_id: int, primitive: Primitive) -> tuple[Place, bytes]:
        """Make the place for the data set of a message."""
        place, build, for_identifiers = self._places.get(context_id) or self._make(context_id)
        if primitive.CommandField >= 0x8000 and primitive.name in OPERATIONS:
            return for_identifiers, b""
        header = b""
        if primitive.CommandField == 0x0001:
            originator = primitive.__dict__.get("MoveOriginatorMessageID")
            if originator is not None:
                title = primitive.MoveOriginatorApplicationEntityTitle
                self._link.stores_for = (title or "", originator)
            header = build(
                primitive.AffectedSOPClassUID or "", primitive.AffectedSOPInstanceUID or ""
            )
        return place, header

    def _make(self, context_id: int) -> _Places:
        link = self._link
        ae, server = link.ae, link.server
        longest = ae.maximum_object_bytes
        if link.access is not None:
            longest = link.access.object_bytes(longest)
        transfer_syntax = link.negotiated.contexts[context_id].transfer_uids[0]
        place = Place(
            transfer_syntax,
            ae.spool_dir if server is None else server.spool_dir,
            _config.SPOOL_THRESHOLD if server is None else server.spool_threshold,
            longest,
        )
        build = header_builder(
            transfer_syntax,
            implementation_class_uid=ae._implementation_uid,
            implementation_version_name=ae.implementation_version_name,
            source_ae_title=link.peer.ae_title,
        )
        small = Place(transfer_syntax, ae.spool_dir, _IN_MEMORY, _config.MAXIMUM_IDENTIFIER)
        made = self._places[context_id] = (place, build, small)
        return made
