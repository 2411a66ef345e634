"""A PACS for tests: what it has it finds, sends and takes, at every level, and errs as told."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pynetdicom.apps.archive.identifiers import (
    COMPOSITE_INSTANCE_ROOT,
    MODELS,
    level_of,
    levels_of,
    unique_keys,
)
from pynetdicom.services.classes import SOP_CLASS_NOT_SUPPORTED
from pynetdicom.sop_class import ModalityWorklistInformationFind
from pynetdicom.testing.answers import Answer, Step
from pynetdicom.testing.holdings import Holdings
from pynetdicom.testing.records import ReceivedRequest
from pynetdicom.testing.scp import Contexts, DicomSCP
from pynetdicom.upper_layer import items
from pynetdicom.upper_layer import pdu as upper
from pynetdicom.workflows.conditions import Conditions
from pynetdicom.workflows.identifiers import IdentifierError, elements
from pynetdicom.workflows.matching import Options, returned
from pynetdicom.workflows.watch import Watch
from pynetdicom.workflows.worklist import matching

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    One = str | os.PathLike[str] | Dataset
    Instances = One | Iterable[One]

NOT_THE_SOP_CLASS = 0xA900


class MockPACS(DicomSCP):
    """A PACS in memory: C-STORE, C-FIND, C-GET, C-MOVE and worklists. A context manager.

    Parameters
    ----------
    instances : path, Dataset, or an iterable of these
        What it has: a folder stands for all DICOM files below it, which are read when they are
        first asked for. What is stored is added.
    worklist : iterable of Dataset
        Items of a modality worklist.
    destinations : dict of str to (str, int), optional
        AE title → host and port: where a C-MOVE may send to.
    contexts, tls, directory, maximum_length, timeout
        As of `DicomSCP`.

    Attributes
    ----------
    worklist : list of Dataset
        May be changed at any time.

    Notes
    -----
    All keys are matched by PS3.4 C.2.2.2: wildcards, ranges, lists of UIDs, sequences, names
    without regard to case. Of the attributes that are made rather than stored it knows the numbers
    of related studies, series and instances, `ModalitiesInStudy` and `SOPClassesInStudy`. The
    unique keys above the level have to be given, unless relational queries are negotiated.

    Examples
    --------
    >>> from pynetdicom.testing import DicomFactory, MockPACS
    >>> with MockPACS(DicomFactory().study(series=2)) as pacs:
    ...     len(pacs.instances)
    6
    """

    def __init__(
        self,
        instances: Instances = (),
        *,
        worklist: Iterable[Dataset] = (),
        destinations: dict[str, tuple[str, int]] | None = None,
        contexts: Contexts | None = None,
        tls: ssl.SSLContext | None = None,
        directory: str | os.PathLike[str] | None = None,
        maximum_length: int = items.DEFAULT_MAX_LENGTH,
        timeout: float = 30.0,
    ) -> None:
        self._holdings = Holdings()
        self.add(instances)
        self.worklist = list(worklist)
        super().__init__(
            contexts,
            tls=tls,
            directory=directory,
            maximum_length=maximum_length,
            timeout=timeout,
        )
        self.destinations.update(destinations or {})

    def add(self, instances: Instances) -> None:
        """Have more: a path, a data set, or several of them."""
        from pydicom.dataset import Dataset

        if isinstance(instances, (str, os.PathLike, Dataset)):
            instances = [instances]
        for one in instances:
            self._holdings.add(one)

    @property
    def instances(self) -> list[Dataset]:
        """What it has, without pixel data where it is read from files."""
        return [held.dataset for held in self._holdings.all()]

    def default(self, operation: str) -> Answer:
        """Give what a request is answered where nothing was said."""
        answers: dict[str, Answer] = {
            "C-STORE": self._store,
            "C-FIND": self._find,
            "C-GET": self._retrieve,
            "C-MOVE": self._retrieve,
        }
        return answers.get(operation) or super().default(operation)

    def extended(self, request: upper.A_ASSOCIATE_RQ) -> list[Any]:
        """Grant relational queries, to who asks for them."""
        asked = [
            item
            for item in request.user_information
            if isinstance(item, items.SOPClassExtendedNegotiation)
        ]
        granted = [
            items.SOPClassExtendedNegotiation(
                sop_class_uid=item.sop_class_uid,
                service_class_application_information=_first(item) + b"\0\0",
            )
            for item in asked
        ]
        return [*super().extended(request), *granted]

    def _store(self, request: ReceivedRequest) -> int:
        self._holdings.add(request.dataset)
        return 0x0000

    def _find(self, request: ReceivedRequest) -> Iterator[Any]:
        keys = request.dataset
        if request.sop_class_uid == ModalityWorklistInformationFind:
            for item in matching(keys, tuple(self.worklist), Options(combined=True), Watch()):
                yield returned(keys, item)
            return
        if request.sop_class_uid not in MODELS:
            yield SOP_CLASS_NOT_SUPPORTED
            return
        try:
            found = list(self._entities(request, keys))
        except IdentifierError as error:
            yield _refused(error)
            return
        for entity in found:
            answer = returned(keys, entity)
            answer.QueryRetrieveLevel = keys.QueryRetrieveLevel
            answer.RetrieveAETitle = request.called_ae_title
            answer.InstanceAvailability = "ONLINE"
            yield answer

    def _entities(self, request: ReceivedRequest, keys: Dataset) -> Iterator[Dataset]:
        level, unique = _checked(request, keys, retrieve=False)
        list(elements(keys))  # each of which has to convert
        conditions = Conditions(keys)
        for entity in self._holdings.entities(level, unique):
            if conditions.match(entity):
                yield entity

    def _retrieve(self, request: ReceivedRequest) -> Iterator[Any]:
        if request.sop_class_uid not in (*MODELS, *COMPOSITE_INSTANCE_ROOT):
            yield SOP_CLASS_NOT_SUPPORTED
            return
        try:
            _, unique = _checked(request, request.dataset, retrieve=True)
        except IdentifierError as error:
            yield _refused(error)
            return
        for held in self._holdings.within(unique):
            yield Step(None, held.content)


def _first(item: items.SOPClassExtendedNegotiation) -> bytes:
    said: bytes = item.service_class_application_information
    return said[:1]


def _checked(
    request: ReceivedRequest, keys: Dataset, *, retrieve: bool
) -> tuple[str, dict[str, list[str]]]:
    """Give the level of an identifier and its unique keys; raises IdentifierError."""
    levels = levels_of(request.sop_class_uid)
    level = level_of(keys, levels)
    relational = any(
        isinstance(item, items.SOPClassExtendedNegotiation)
        and item.sop_class_uid == request.sop_class_uid
        and _first(item) == b"\1"
        for item in request.association.request.user_information
    )
    return level, unique_keys(keys, levels, level, relational=relational, retrieve=retrieve)


def _refused(error: IdentifierError) -> Step:
    return Step(NOT_THE_SOP_CLASS, None, {"ErrorComment": str(error)})
