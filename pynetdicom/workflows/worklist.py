"""Modality Worklist (PS3.4 Annex K): what a modality has to do.

The SCU asks, `find`, and begins what it was told, `performed`. The SCP, `Provider`, matches the
items that it is given, and tells those no more whose procedure steps are done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from pynetdicom import event_types as evt
from pynetdicom.errors import DataSetDecodeError
from pynetdicom.services.statuses import PENDING, code_to_category
from pynetdicom.sop_class import ModalityWorklistInformationFind
from pynetdicom.workflows.ages import Ages
from pynetdicom.workflows.attributes import Row, is_empty, table
from pynetdicom.workflows.conditions import Conditions
from pynetdicom.workflows.identifiers import IdentifierError, elements
from pynetdicom.workflows.matching import Options, returned
from pynetdicom.workflows.mpps_rules import COMPLETED, DISCONTINUED, EVENTS
from pynetdicom.workflows.providing import Answer, answer, read_text, taken
from pynetdicom.workflows.stores import MemoryStore, Store
from pynetdicom.workflows.values import clean
from pynetdicom.workflows.watch import Cancelled, Watch

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.events import Event

LOGGER = logging.getLogger("pynetdicom.workflows")

MAXIMUM_IDENTIFIER = 1 << 20
"""Bytes; decoding more would take long."""

A_YEAR = 365 * 86400.0
"""Seconds."""

CANNOT_UNDERSTAND = 0xC310
DOES_NOT_MATCH = 0xA900

_KIND = "worklist"
_STEPS = Tag("ScheduledProcedureStepSequence")
_OF_A_STEP = "ScheduledStepAttributesSequence"

# The SCU


def find(assoc: Association, keys: Dataset | None = None) -> list[Dataset]:
    """Ask the peer for the items of its worklist.

    Parameters
    ----------
    assoc : Association
        With a presentation context for Modality Worklist.
    keys : pydicom.dataset.Dataset, optional
        What they have to match. All other attributes of the table are asked for, too.

    Returns
    -------
    list of pydicom.dataset.Dataset
        One for each scheduled procedure step.

    Raises
    ------
    Refused
        The peer refused it, or did not answer, also in the midst of the items.
    RuntimeError
        There is no established association.

    Notes
    -----
    PS3.4 K.4.1
    """
    items: list[Dataset] = []
    status = Dataset()
    asked = _asked(keys or Dataset(), table("mwl"))
    for status, item in assoc.send_c_find(asked, ModalityWorklistInformationFind):
        if item is not None and code_to_category(status.Status) == PENDING:
            items.append(item)
    taken("a query of the worklist", (status, None), "MODALITY_WORKLIST_SERVICE_CLASS_STATUS")
    return items


def _asked(keys: Dataset, rows: Iterable[Row]) -> Dataset:
    """Keys, and those of a table that are not among them, empty."""
    asked = Dataset()
    asked.update(keys)
    for row in rows:
        if row.tag == _STEPS:
            items = list(keys.get("ScheduledProcedureStepSequence") or [Dataset()])
            asked.add_new(_STEPS, "SQ", [_asked(one, row.items) for one in items])
        elif row.types["match"] != "-" and row.tag not in asked:
            asked.add_new(row.tag, dictionary_VR(row.tag), None)
    return asked


def performed(item: Dataset) -> Dataset:
    """Give what a performed procedure step, see `mpps.begin`, has of the item that it is of.

    Left to be set are PerformedProcedureStepID, PerformedStationAETitle, the date and time at which
    it starts, and whatever the modality has to say beyond.

    Raises
    ------
    ValueError
        The item has not one scheduled procedure step.
    """
    read_text(item)  # by its own character set
    steps: list[Dataset] = list(item.get("ScheduledProcedureStepSequence") or ())
    if len(steps) != 1:
        raise ValueError("an item of a worklist has one scheduled procedure step")
    rows = table("mpps")
    step = _of_same_name((steps[0], item), rows)
    [below] = (row.items for row in rows if row.keyword == _OF_A_STEP)
    step.ScheduledStepAttributesSequence = [_of_same_name((steps[0], item), below)]
    return step


def _of_same_name(sources: Iterable[Dataset], rows: Iterable[Row]) -> Dataset:
    made = Dataset()
    for row in rows:
        for source in sources:
            if row.tag in source:
                made[row.tag] = source[row.tag]
                break
    return made


# The SCP


def lacking(item: Dataset, rows: Iterable[Row] | None = None) -> list[str]:
    """Give what an item must have and has no value of: keywords (type 1 of Table K.6-1)."""
    found: list[str] = []
    for row in table("mwl") if rows is None else rows:
        if row.types["return"] != "1" and not row.items:
            continue
        element: Any = item.get(row.tag)
        if element is None or is_empty(element):
            found += [row.keyword] * (row.types["return"] == "1")
        elif element.VR == "SQ":
            found += [keyword for one in element.value for keyword in lacking(one, row.items)]
    return list(dict.fromkeys(found))


def matching(
    keys: Dataset, items: Iterable[Dataset | None], options: Options, watch: Watch
) -> Iterator[Dataset]:
    """Give the items that match the keys of an identifier; None is none.

    Raises
    ------
    IdentifierError
        The identifier asks for what cannot be, or for too much.
    Cancelled
        They are not wanted any more.
    """
    list(elements(keys))  # each of which has to convert
    conditions = Conditions(keys, options._replace(step=watch.step))
    for item in items:
        watch.look()
        if item is not None and conditions.match(item):
            yield item


class Provider:
    """The SCP of a worklist.

    Its handlers run on the threads of the associations; any thread may call it.

    Parameters
    ----------
    items : iterable of pydicom.dataset.Dataset, or callable
        The worklist; ``items(event)`` gives it for one query. One with several scheduled procedure
        steps is told as several. Gone through anew for each query, so that a list may be changed.
    store : Store, optional
        Where it is kept what is done; by default in memory.
    exact_names : bool
        Names are told apart by case and accents.
    removing : collection of str
        With what `changed` removes a step: when one performed of it is COMPLETED; one that is
        DISCONTINUED has to be done again, unless it is said here.
    keep : float or None
        Seconds for which it is remembered that a step was removed; None for ever. It is to be
        longer than an item can be among the items after its step has ended, or it is told again.

    Notes
    -----
    PS3.4 K.4.1. All keys are matched, those that are optional too; date and time of a step are one
    point in time. Fuzzy matching of names is done for who negotiates it.
    """

    sop_classes = frozenset((ModalityWorklistInformationFind,))

    def __init__(
        self,
        items: Iterable[Dataset] | Callable[[Event], Iterable[Dataset]],
        store: Store | None = None,
        *,
        exact_names: bool = False,
        removing: Collection[str] = (COMPLETED,),
        keep: float | None = A_YEAR,
    ) -> None:
        if wrong := set(removing) - {COMPLETED, DISCONTINUED}:
            raise ValueError(f"{', '.join(sorted(wrong))}: no final state of a step")
        # What can be gone through only once would be empty for the second query.
        self._items = list(items) if isinstance(items, Iterator) else items
        self.store: Store = MemoryStore() if store is None else store
        self._exact_names = exact_names
        self._removing = frozenset(removing)
        self._ages = Ages(_KIND, keep)

    @property
    def handlers(self) -> Mapping[evt.InterventionEvent, Callable[[Event], Any]]:
        """What handles its requests, see `providing.handlers`."""
        return {evt.EVT_C_FIND: self._find, evt.EVT_SOP_EXTENDED: self._negotiate}

    # What is done

    def changed(self, uid: str, step: Dataset, event_type: int) -> None:
        """Remove what a performed procedure step was of, when that has ended as `removing` says.

        For ``mpps.Provider(changed=…)``.
        """
        if EVENTS[event_type].upper() in self._removing:
            for scheduled in step.ScheduledStepAttributesSequence:
                # One that was not scheduled has no ID.
                if key := _key_of(scheduled, scheduled):
                    self.remove(*key)

    def remove(self, study_instance_uid: str, scheduled_procedure_step_id: str) -> None:
        """Tell a step no more."""
        key = f"{study_instance_uid} {scheduled_procedure_step_id}"
        with self.store.begin() as records:
            records.put(_KIND, key, b"")
            self._ages.note(records, key)
            for old in self._ages.old(records):
                records.delete(_KIND, old)

    def restore(self, study_instance_uid: str, scheduled_procedure_step_id: str) -> bool:
        """Tell a step again; or forget that it was removed, when it is no more among the items."""
        key = f"{study_instance_uid} {scheduled_procedure_step_id}"
        with self.store.begin() as records:
            was_removed = records.get(_KIND, key) is not None
            records.delete(_KIND, key)
            self._ages.forget(records, key)
        return was_removed

    def removed(self) -> list[tuple[str, str]]:
        """Give what was removed: Study Instance UIDs and Scheduled Procedure Step IDs."""
        with self.store.begin() as records:
            keys = [key for key, _ in records.items(_KIND)]
        return [(study, step) for study, _, step in (key.partition(" ") for key in keys)]

    def _is_removed(self, item: Dataset) -> bool:
        steps = item.get("ScheduledProcedureStepSequence") or [Dataset()]
        key = _key_of(item, steps[0])
        if key is None:
            return False
        with self.store.begin() as records:
            return records.get(_KIND, " ".join(key)) is not None

    # Queries

    def _find(self, event: Event) -> Iterator[Answer]:
        try:
            keys = _identifier(event)
        except DataSetDecodeError:
            yield answer(CANNOT_UNDERSTAND, comment="Identifier cannot be decoded")
            return
        except IdentifierError as error:
            yield _mismatch(error)
            return
        watch = Watch(lambda: event.is_cancelled)
        options = Options(combined=True, fuzzy=_is_fuzzy(event), exact_names=self._exact_names)
        without: dict[str, None] = {}
        try:
            for item in matching(keys, self._scheduled(event), options, watch):
                if not self._is_removed(item):
                    without.update(dict.fromkeys(lacking(item)))
                    yield answer(0xFF00, data_set=returned(keys, item))
        except Cancelled:  # which the library answers, if there is somebody to answer
            return
        except IdentifierError as error:
            yield _mismatch(error)
        if without:
            LOGGER.warning("worklist items lack what they must have: %s", ", ".join(without))

    def _scheduled(self, event: Event) -> Iterator[Dataset]:
        """The items, each with one scheduled procedure step."""
        items = self._items(event) if callable(self._items) else self._items
        # Another thread may change a list meanwhile.
        for item in tuple(items) if isinstance(items, Collection) else items:
            steps = item.get("ScheduledProcedureStepSequence") or ()
            if len(steps) < 2:
                yield item
                continue
            read_text(item)  # by its own character set
            for step in steps:
                one = Dataset()
                one.update(item)
                one.add_new(_STEPS, "SQ", [step])  # the element of the item stays as it is
                yield one

    def _negotiate(self, event: Event) -> dict[str, bytes]:
        """What is done of what a requestor would like (PS3.4 K.5.1)."""
        asked = event.app_info.get(ModalityWorklistInformationFind)
        if asked is None:
            return {}
        can = (1, 1, 1, 0)  # date and time together, fuzzy names; no time zones
        together = zip(asked, can, strict=False)
        return {ModalityWorklistInformationFind: bytes(one & 1 & other for one, other in together)}


def _key_of(item: Dataset, step: Dataset) -> tuple[str, str] | None:
    """What a scheduled procedure step is told by; None if it cannot be told from others."""
    study = clean(item.get("StudyInstanceUID"))
    number = clean(step.get("ScheduledProcedureStepID"))
    return (study, number) if study and number else None


def _identifier(event: Event) -> Dataset:
    """The identifier of a request, if it can be one of the worklist."""
    encoded = event.request.data_set
    if encoded is not None and encoded.size > MAXIMUM_IDENTIFIER:
        raise IdentifierError(f"An identifier of more than {MAXIMUM_IDENTIFIER} bytes", _STEPS)
    keys: Dataset = event.identifier
    if len(keys.get("ScheduledProcedureStepSequence") or ()) > 1:  # K.6.1.2.2
        raise IdentifierError("More than one item in Scheduled Procedure Step Sequence", _STEPS)
    return keys


def _mismatch(error: IdentifierError) -> Answer:
    return answer(DOES_NOT_MATCH, comment=str(error), OffendingElement=[error.tag])


def _is_fuzzy(event: Event) -> bool:
    negotiated = event.assoc.acceptor.sop_class_extended
    return bool(negotiated.get(ModalityWorklistInformationFind, b"")[2:3].strip(b"\0"))
