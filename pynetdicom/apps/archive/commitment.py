"""The archive as SCP of storage commitment (PS3.4 Annex J): its index says what is kept.

In: references to objects. Out: 0, or why one is not committed; and where results go.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pynetdicom.apps.archive.handlers import Archive
from pynetdicom.apps.kept_files import COMMITTED, Digests, look_into
from pynetdicom.errors import FileProblem
from pynetdicom.event_types import EVT_N_ACTION
from pynetdicom.utils import printable
from pynetdicom.workflows.commitment import (
    CLASS_INSTANCE_CONFLICT,
    NO_SUCH_INSTANCE,
    PROCESSING_FAILURE,
    Provider,
    Reference,
)
from pynetdicom.workflows.stores import SQLiteStore

if TYPE_CHECKING:
    from pynetdicom.ae import ApplicationEntity

LOGGER = logging.getLogger(__name__)


class Commitment:
    """What an archive commits itself to keep.

    Parameters
    ----------
    archive : Archive
    ae : ApplicationEntity
        Who reports.
    path : str
        The store of what was asked for and is not reported yet.

    Raises
    ------
    ValueError
        The store is something else.
    """

    def __init__(self, archive: Archive, ae: ApplicationEntity, path: str) -> None:
        self._archive = archive
        self._store = SQLiteStore(path)
        self._digests = Digests(self._store) if archive.config.verify_bytes else None
        if self._digests is not None:
            archive.renewed = self._digests.forget
        self._provider = Provider(
            ae,
            self.check,
            where=self.where,
            store=self._store,
            retrieve_ae_title=archive.config.ae_title,
        )
        for sop_class in self._provider.sop_classes:
            ae.add_supported_context(sop_class)

    def handlers(self) -> list[tuple[Any, Any]]:
        """The handlers of the archive's server that are for this."""
        return [(EVT_N_ACTION, self._provider.handlers[EVT_N_ACTION])]

    def stop(self) -> None:
        """Begin to report no more results."""
        self._provider.close(timeout=0)

    def close(self) -> None:
        """Be done with it, once the associations have ended."""
        self._provider.close()
        self._store.close()

    def check(self, instance: Reference) -> int:
        """Whether an object is kept: 0, or a Failure Reason."""
        archive = self._archive
        try:
            found = archive.index.find(instance.sop_instance)
            if found is None:
                return NO_SUCH_INSTANCE
            if found.sop_class_uid != instance.sop_class:
                return CLASS_INSTANCE_CONFLICT
            objects = archive.store_of_objects
            if objects.is_local or self._digests is not None:
                place = found.location
                with objects.fetch(place) as path:
                    return look_into(path, instance, self._digests, key=place)
            return COMMITTED if objects.has(found.location) else PROCESSING_FAILURE
        except (FileProblem, OSError, sa.exc.SQLAlchemyError) as error:
            why = error if isinstance(error, FileProblem) else type(error).__name__
            LOGGER.error("%s cannot be committed: %s", printable(instance.sop_instance), why)
            return PROCESSING_FAILURE

    def where(self, ae_title: str) -> tuple[str, int, dict[str, Any]] | None:
        """Where results go: to the peer, as a move destination."""
        peer = self._archive.config.peers.get(ae_title.strip())
        if peer is None or peer.address is None:
            return None
        return peer.address, peer.port, self._archive.tls_of(peer)
