"""What the keys of a command line choose: the same as they would in a C-FIND.

In: keys such as ``StudyInstanceUID=1.2.3`` or ``PatientName=Doe*``. Out: matches, or objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pynetdicom.apps import options
from pynetdicom.apps.archive.attributes import ATTRIBUTES, LEVELS
from pynetdicom.apps.archive.computed import COMPUTED
from pynetdicom.apps.archive.query import Find
from pynetdicom.apps.keys import WrongKey, make_query
from pynetdicom.workflows.identifiers import IdentifierError
from pynetdicom.workflows.matching import Options
from pynetdicom.workflows.watch import Watch

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.apps.archive.handlers import Archive
    from pynetdicom.apps.archive.index import Indexed

PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1.1"


class Found(NamedTuple):
    """An object that was chosen, and what it is of."""

    patient_id: str
    issuer: str
    study: str
    series: str
    sop_instance_uid: str


_OF_OBJECT = (
    "PatientID", "IssuerOfPatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID",
)  # fmt: skip


def identifier_of(level: str, keys: Sequence[str], shown: Sequence[str]) -> Dataset:
    """The identifier of what is asked for; with the elements that are to be shown.

    Raises
    ------
    Failure
        It cannot be one.
    """
    try:
        query = make_query(None, [*shown, *keys])
    except WrongKey as error:
        raise options.Failure(str(error)) from error
    above = LEVELS[: LEVELS.index(level) + 1]
    for element in query:
        keyword = element.keyword
        one = ATTRIBUTES.get(keyword) or COMPUTED.get(keyword)
        if keyword != "SpecificCharacterSet" and (one is None or one.level not in above):
            what = keyword or str(element.tag)
            raise options.Failure(f"{what} is not indexed at level {level}, nor above it")
    query.QueryRetrieveLevel = level
    return query


def finder(archive: Archive, identifier: Dataset) -> Find:
    """The query for what an identifier asks for, of whatever patient."""
    exact = archive.config.exact_names
    try:
        return Find(identifier, PATIENT_ROOT, Options(relational=True, exact_names=exact))
    except IdentifierError as error:
        raise options.Failure(str(error)) from error


def chosen(archive: Archive, keys: Sequence[str]) -> Iterator[Found]:
    """Give the objects that keys choose."""
    query = finder(archive, identifier_of("IMAGE", keys, _OF_OBJECT))
    order = [query.keywords.index(keyword) for keyword in _OF_OBJECT]
    for row in query.rows(archive.database, Watch()):
        yield Found(*(row[number] for number in order))


def indexed(archive: Archive, found: Sequence[Found]) -> list[Indexed]:
    """Where objects are, as far as they are still there."""
    each = (archive.index.find(one.sop_instance_uid) for one in found)
    return [one for one in each if one is not None]
