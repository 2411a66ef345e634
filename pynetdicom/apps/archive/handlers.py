"""The archive's answers to C-ECHO, C-STORE, C-FIND, C-GET and C-MOVE, as event handlers.

In: events. Out: statuses, matches, and files to send. At INFO and above nothing but UIDs, AE titles
and numbers is logged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pynetdicom import events as evt
from pynetdicom.apps.archive import worklist
from pynetdicom.apps.archive.cloud import open_store
from pynetdicom.apps.archive.config import Config, Peer
from pynetdicom.apps.archive.database import Database
from pynetdicom.apps.archive.identifiers import (
    COMPOSITE_INSTANCE_ROOT,
    MODELS,
)
from pynetdicom.apps.archive.index import Index, Indexed, NotIndexable, Record, record_of
from pynetdicom.apps.archive.objects import InvalidUID, ObjectStore, uid_and_name
from pynetdicom.apps.archive.query import Chosen, Find, Retrieve
from pynetdicom.apps.archive.removal import has_gone
from pynetdicom.apps.archive.room import Room
from pynetdicom.apps.configuring import TIMEOUTS
from pynetdicom.apps.worklist_files import called
from pynetdicom.association.destinations import plan
from pynetdicom.errors import DataSetDecodeError
from pynetdicom.services.instances import KnownPath
from pynetdicom.upper_layer.contexts import MAXIMUM_CONTEXTS
from pynetdicom.utils import printable
from pynetdicom.workflows.identifiers import IdentifierError
from pynetdicom.workflows.matching import QUERY_RETRIEVE_LEVEL, Options, key_values
from pynetdicom.workflows.watch import Cancelled, Watch

if TYPE_CHECKING:
    import ssl

    from pydicom.dataset import Dataset

    from pynetdicom.events import Event
    from pynetdicom.presentation import PresentationContext

LOGGER = logging.getLogger(__name__)

SUCCESS = 0x0000
PENDING = 0xFF00
PENDING_UNSUPPORTED_KEYS = 0xFF01  # PS3.4 Table C.4-1
INVALID_INSTANCE = 0x0117  # PS3.7 Annex C.5.10
OUT_OF_RESOURCES = 0xA700  # PS3.4 Tables B.2-1 and C.4-1
NO_SUB_OPERATIONS = 0xA702  # PS3.4 Table C.4-2
DOES_NOT_MATCH = 0xA900
MAXIMUM_IDENTIFIER = {"C-FIND": 1 << 20, "C-GET": 1 << 23, "C-MOVE": 1 << 23}
"""Bytes: as many UIDs as a retrieve can be of; decoding more would take long."""

CANNOT_UNDERSTAND = {"C-STORE": 0xC210, "C-FIND": 0xC310, "C-GET": 0xC410, "C-MOVE": 0xC510}

ATTEMPTS = 5
"""How often an object is kept that somebody deletes meanwhile."""

Responses = Iterator[Any]


class Archive:
    """An archive: what it has, and how it answers.

    Parameters
    ----------
    config : Config
    tls : ssl.SSLContext, optional
        What associations with move destinations that want TLS are made with.

    Raises
    ------
    DatabaseProblem, OSError, MissingExtra
        The database, or the store, cannot be opened.
    """

    def __init__(self, config: Config, tls: ssl.SSLContext | None = None) -> None:
        self.config = config
        self._tls = tls
        # Before anything is made: it may be another program's.
        self.database = Database(config.database_location, sync=config.sync)
        try:
            self.store_of_objects: ObjectStore = open_store(
                config.instance_location, sync=config.sync
            )
        except BaseException:
            self.database.close()
            raise
        self.index = Index(self.database)
        self.room = Room(config, self.database, self.store_of_objects)
        # Called with the location of each object that is new there.
        self.renewed: Callable[[str], None] = lambda location: None

    def go_on_by(self, config: Config, tls: ssl.SSLContext | None) -> None:
        """Have another configuration hold, from the next request on; stores stay as they are."""
        self._tls = tls
        self.config = config
        self.room.limit(config)

    def close(self) -> None:
        """Close the database."""
        self.room.close()
        self.database.close()

    def handlers(self) -> list[tuple[evt.EventType, Any]]:
        """The handlers of a server that is this archive."""
        return [
            (evt.EVT_C_STORE, self.store),
            (evt.EVT_C_FIND, self.find),
            # Objects are opened, and fetched from far away, while the peer works on the last one.
            (evt.EVT_C_GET, lambda event: evt.ahead(self.get(event))),
            (evt.EVT_C_MOVE, lambda event: evt.ahead(self.move(event))),
            (evt.EVT_SOP_EXTENDED, self.negotiate),
            # Not `window` of the AE, which is offered to the destinations of a C-MOVE, too.
            (evt.EVT_ASYNC_OPS, self.window),
        ]

    def window(self, event: Event) -> tuple[int, int] | None:
        """How many operations a peer that asks for several may have outstanding."""
        return (self.config.window, 1) if self.config.window > 1 else None

    # C-STORE

    def store(self, event: Event) -> Any:
        """Keep an object, index it, and only then say so (PS3.4 B.2)."""
        why = self.room.problem(event.request.data_set.size)
        if why is not None:
            LOGGER.info("refused: %s", why)
            return _status(OUT_OF_RESOURCES, "There is no room")
        try:
            uid, name = uid_and_name(
                event.request.AffectedSOPInstanceUID, hashed=self.config.hash_uids
            )
        except InvalidUID as error:
            LOGGER.warning("refused: %s", error)
            return _status(INVALID_INSTANCE, str(error))
        try:
            record = record_of(event.dataset, str(event.context.transfer_syntax))
        except DataSetDecodeError as error:
            LOGGER.warning("refused: %s: %s", name, error)
            return _status(CANNOT_UNDERSTAND["C-STORE"], "Data set cannot be decoded")
        except NotIndexable as error:
            LOGGER.warning("refused: %s: %s", name, error)
            return _status(DOES_NOT_MATCH, str(error))
        if record.sop_instance_uid != uid:
            LOGGER.warning("refused: %s: the data set has another SOP Instance UID", name)
            return _status(DOES_NOT_MATCH, "SOP Instance UID is not that of the data set")
        return self._keep(event, name, record)

    def _keep(self, event: Event, name: str, record: Record, attempt: int = 1) -> Any:
        try:
            kept = self.store_of_objects.keep(event, name)
        except OSError as error:
            LOGGER.error("cannot store %s: %s", name, error.strerror or error)
            return _status(OUT_OF_RESOURCES, "Cannot be stored")
        if kept.is_new:
            self.room.took(event.request.data_set.size)
            self.renewed(kept.location)
        try:
            is_first = kept.is_first
            if is_first:
                # Also what was there already: whoever has kept it may not have come to this.
                is_first = self.index.add(record, kept.location, kept.folder, kept.arrived)
            else:
                self.index.add_duplicate(record.sop_instance_uid, kept.location, kept.folder)
            was_there = not (kept.is_new and kept.is_first)
            gone = was_there and has_gone(self.index, self.store_of_objects, kept)
        except OSError as error:
            LOGGER.error("cannot store %s: %s", name, error.strerror or error)
            return _status(OUT_OF_RESOURCES, "Cannot be stored")
        except sa.exc.SQLAlchemyError as error:
            LOGGER.error("cannot index %s: %s", name, _kind(error))
            return _status(OUT_OF_RESOURCES, "Cannot be indexed")
        if gone and attempt == ATTEMPTS:
            LOGGER.error("cannot store %s: it is deleted again and again", name)
            return _status(OUT_OF_RESOURCES, "Cannot be stored")
        if gone:
            return self._keep(event, name, record, attempt + 1)
        if not is_first and kept.is_new:
            LOGGER.warning("differs from what is stored already, kept as %s", kept.location)
        else:
            LOGGER.info("%s: %s", "stored" if kept.is_new else "already there", name)
        return SUCCESS

    # C-FIND

    def find(self, event: Event) -> Responses:
        """Find patients, studies, series, instances or worklist items (PS3.4 C.4.1, K.4.1)."""
        try:
            identifier = _identifier(event)
            watch = Watch(lambda: event.is_cancelled)
            if event.context.abstract_syntax == worklist.SOP_CLASS:
                yield from self._find_in_worklist(event, identifier, watch)
                return
            query = Find(identifier, str(event.context.abstract_syntax), self._options(event))
            pending = PENDING if query.is_supported else PENDING_UNSUPPORTED_KEYS
            count = 0
            for match in query.matches(
                self.database,
                self.config.ae_title,
                key_values(identifier.get("SpecificCharacterSet")),
                str(event.context.transfer_syntax),
                watch,
            ):
                yield pending, match
                count += 1
            LOGGER.info("C-FIND at level %s: %d matches", query.level, count)
        except Cancelled:  # which the library answers, if there is somebody to answer
            LOGGER.info("C-FIND: nobody wants to know any more")
        except REFUSALS as error:
            yield _refusal(event, error), None

    def _find_in_worklist(self, event: Event, identifier: Dataset, watch: Watch) -> Responses:
        directory = self.config.worklist_directory
        count = 0
        if directory is not None:
            try:
                for item in worklist.find(
                    directory, called(event), identifier, self._options(event), watch
                ):
                    yield PENDING, item
                    count += 1
            except OSError as error:
                LOGGER.error("the worklist cannot be read: %s", error.strerror or error)
                yield _status(OUT_OF_RESOURCES, "The worklist cannot be read"), None
                return
        LOGGER.info("C-FIND in the worklist: %d matches", count)

    # C-GET and C-MOVE

    def get(self, event: Event) -> Responses:
        """Send instances on the same association (PS3.4 C.4.3)."""
        try:
            chosen = self._choose(event, self._retrieve(event))
            LOGGER.info("C-GET of %d instances", chosen.count)
            yield chosen.count
            yield from self._send(chosen)
        except Cancelled:
            LOGGER.info("C-GET: nobody wants it any more")
        except REFUSALS as error:
            yield _refusal(event, error), None

    def move(self, event: Event) -> Responses:
        """Send instances to a peer that is known (PS3.4 C.4.2)."""
        try:
            query = self._retrieve(event)
            title = event.move_destination.strip()
            peer = self.config.peers.get(title)
            if peer is None or peer.address is None:
                LOGGER.warning("C-MOVE to %s, which is not known", printable(title))
                yield None, None
                return
            chosen = self._choose(event, query)
            LOGGER.info("C-MOVE of %d instances to %s", chosen.count, printable(title))
            yield peer.address, peer.port, self._association_options(peer, chosen.kinds)
            yield chosen.count
            yield from self._send(chosen)
        except Cancelled:
            LOGGER.info("C-MOVE: nobody wants it any more")
        except REFUSALS as error:
            yield _refusal(event, error), None

    def _retrieve(self, event: Event) -> Retrieve:
        identifier = _identifier(event)
        return Retrieve(identifier, str(event.context.abstract_syntax), self._options(event))

    def _choose(self, event: Event, query: Retrieve) -> Chosen:
        return query.choose(self.database, Watch(lambda: event.is_cancelled))

    def _send(self, chosen: Chosen) -> Responses:
        missing: list[str] = []
        for found in self.index.instances(chosen.keys):
            with ExitStack() as stack:
                path = self._fetch(stack, found)
                if path is None:
                    missing.append(found.sop_instance_uid)
                    yield PENDING, None
                else:
                    # It was stored as it came, and under its name when it was there to the end.
                    yield PENDING, KnownPath(path, found.sop_instance_uid, is_whole=True)
        if missing:
            from pydicom.dataset import Dataset

            failed = Dataset()
            failed.FailedSOPInstanceUIDList = missing
            # Which the library makes the status that the counters say.
            yield SUCCESS, failed

    def _fetch(self, stack: ExitStack, found: Indexed) -> Any:
        try:
            return stack.enter_context(self.store_of_objects.fetch(found.location))
        except OSError as error:
            LOGGER.error("cannot read %s: %s", found.location, error.strerror or error)
            return None

    def _association_options(self, peer: Peer, kinds: list[tuple[str, str]]) -> dict[str, Any]:
        wanted: dict[str, Any] = {
            name: getattr(peer, name) for name in TIMEOUTS if getattr(peer, name) is not None
        }
        # It is known, but is not to be had now (PS3.4 C.4.2.1.5).
        wanted["unreachable_status"] = NO_SUB_OPERATIONS
        if kinds:
            wanted["contexts"] = contexts_for(kinds)
        return wanted | self.tls_of(peer)

    def tls_of(self, peer: Peer) -> dict[str, Any]:
        """What an association with a peer is made with, as a parameter of `AE.associate`."""
        return {"tls_args": (self._tls, peer.address)} if peer.tls else {}

    # Extended negotiation

    def negotiate(self, event: Event) -> dict[str, bytes]:
        """What is done of what a requestor would like (PS3.4 C.5.1.1, C.5.2.1, C.5.3.1, K.5.1)."""
        return {
            uid: bytes(
                asked & 1 & can for asked, can in zip(information, _CAPABILITIES[uid], strict=False)
            )
            for uid, information in event.app_info.items()
            if uid in _CAPABILITIES
        }

    def _options(self, event: Event) -> Options:
        sop_class = event.context.abstract_syntax
        negotiated = event.assoc.acceptor.sop_class_extended.get(sop_class, b"")
        relational, combined, fuzzy = (bool(one) for one in (negotiated + bytes(3))[:3])
        # The start of a step is one point in time whatever was negotiated (PS3.4 K.6.1.2.2).
        combined = combined or sop_class == worklist.SOP_CLASS
        return Options(relational, combined, fuzzy, self.config.exact_names)


# FIND: relational queries, combined date-time matching, fuzzy names; neither time zones nor the
# conversion of multi-frame images. MOVE and GET: relational retrieval. The worklist has no images.
_CAPABILITIES = {uid: (1, 1, 1, 0, 0) if uid.endswith(".1") else (1, 0) for uid in MODELS} | {
    worklist.SOP_CLASS: (1, 1, 1, 0)
}


def _identifier(event: Event) -> Dataset:
    """The identifier of a request; IdentifierError if it is too long to be looked into."""
    encoded = getattr(event.request, "data_set", None)
    most = MAXIMUM_IDENTIFIER[event.request.name]
    if encoded is not None and encoded.size > most:
        raise IdentifierError(f"An identifier of more than {most} bytes", QUERY_RETRIEVE_LEVEL)
    return event.identifier


REFUSALS = (DataSetDecodeError, IdentifierError, sa.exc.SQLAlchemyError)
"""What becomes a status; whatever else is raised is the library's to answer."""


def _status(code: int, comment: str, tag: int | None = None) -> Dataset:
    from pydicom.dataset import Dataset

    status = Dataset()
    status.Status = code
    status.ErrorComment = comment[:64]
    if tag is not None:
        status.OffendingElement = [tag]
    return status


def _refusal(event: Event, error: Exception) -> Dataset:
    """The status for what `REFUSALS` has."""
    operation = event.request.name
    if isinstance(error, IdentifierError):
        LOGGER.warning("%s refused: %s", operation, error)
        return _status(DOES_NOT_MATCH, str(error), error.tag)
    if isinstance(error, DataSetDecodeError):
        LOGGER.warning("%s refused: %s", operation, error)
        return _status(CANNOT_UNDERSTAND[operation], "Identifier cannot be decoded")
    LOGGER.error("%s: the database fails: %s", operation, _kind(error))
    code = OUT_OF_RESOURCES if operation == "C-FIND" else OUT_OF_RESOURCES + 1
    return _status(code, "The index fails")


def _kind(error: Exception) -> str:
    """What a database says is wrong, as far as it cannot be about a patient."""
    cause = getattr(error, "orig", None) or error
    LOGGER.debug("what the database says", exc_info=error)
    code = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None)
    return f"{type(cause).__name__} ({code})" if code else type(cause).__name__


def contexts_for(kinds: list[tuple[str, str]]) -> list[PresentationContext]:
    """What to propose to a move destination: each kind as it is, and if need be in several goes."""
    size = MAXIMUM_CONTEXTS // 2  # of kinds, which take two contexts at most
    parts = [kinds[start : start + size] for start in range(0, len(kinds), size)]
    return [context for part in parts for context in plan(part)]


def supported_queries(*, with_worklist: bool) -> list[str]:
    """The SOP Classes of queries and retrieval that an archive supports."""
    return [*MODELS, *sorted(COMPOSITE_INSTANCE_ROOT)] + [worklist.SOP_CLASS] * with_worklist
