"""The attributes that the archive indexes, by level (PS3.4 C.6.1.1, C.6.2.1): one table.

In: a data set that was received. Out: for each level the values of its columns. An attribute whose
values are compared otherwise than as they are, such as a name, has a second column for that.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pynetdicom.workflows.values import (
    clean,
    normal_date,
    normal_integer,
    normal_name,
    normal_time,
)

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

LEVELS = ("PATIENT", "STUDY", "SERIES", "IMAGE")

UNIQUE_KEYS = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}

MAXIMUM_LENGTH = 16384
"""Characters of a value that can be indexed, more than PS3.5 6.2 allows in these attributes but for
a list of many. Nothing is ever cut: an object with a longer one is refused."""

HEAD_LENGTH = 512
"""Characters of a value that PostgreSQL has in its indices, which take no more than 2,700 bytes; of
a UID, that there may be."""

_TABLE = {
    "PATIENT": (
        "PatientName PN, PatientID LO, IssuerOfPatientID LO, PatientBirthDate DA,"
        " PatientBirthTime TM, PatientSex CS, EthnicGroup SH, PatientComments LT"
    ),
    "STUDY": (
        "StudyInstanceUID UI, StudyDate DA, StudyTime TM, AccessionNumber SH, StudyID SH,"
        " ReferringPhysicianName PN, StudyDescription LO, NameOfPhysiciansReadingStudy PN,"
        " AdmittingDiagnosesDescription LO, PatientAge AS, PatientSize DS, PatientWeight DS,"
        " Occupation SH, AdditionalPatientHistory LT"
    ),
    "SERIES": (
        "SeriesInstanceUID UI, Modality CS, SeriesNumber IS, SeriesDate DA, SeriesTime TM,"
        " SeriesDescription LO, BodyPartExamined CS, Laterality CS, ProtocolName LO,"
        " PatientPosition CS, PerformingPhysicianName PN, OperatorsName PN, Manufacturer LO,"
        " ManufacturerModelName LO, StationName SH, InstitutionName LO,"
        " InstitutionalDepartmentName LO, FrameOfReferenceUID UI,"
        " PerformedProcedureStepStartDate DA, PerformedProcedureStepStartTime TM,"
        " PerformedProcedureStepID SH, PerformedProcedureStepDescription LO"
    ),
    "IMAGE": (
        "SOPInstanceUID UI, SOPClassUID UI, InstanceNumber IS, ContentDate DA, ContentTime TM,"
        " AcquisitionDate DA, AcquisitionTime TM, AcquisitionDateTime DT, AcquisitionNumber IS,"
        " ImageType CS, InstanceCreationDate DA, InstanceCreationTime TM, NumberOfFrames IS,"
        " Rows US, Columns US, BitsAllocated US, PhotometricInterpretation CS, ContentLabel CS,"
        " ContentDescription LO, CompletionFlag CS, VerificationFlag CS, ImageComments LT"
    ),
}


class Attribute(NamedTuple):
    """An attribute that is indexed."""

    level: str
    keyword: str
    vr: str
    column: str
    search: str
    """The column that is compared; the same as `column` where that has the values as compared."""


def _column(keyword: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", keyword)
    return words.lower()


def _attributes() -> dict[str, Attribute]:
    table = {}
    for level, rows in _TABLE.items():
        for row in rows.split(","):
            keyword, vr = row.split()
            column = _column(keyword)
            search = f"{column}_search" if vr in NORMALISERS else column
            table[keyword] = Attribute(level, keyword, vr, column, search)
    return table


NORMALISERS: dict[str, Callable[[str], str]] = {
    "DA": normal_date,
    "TM": normal_time,
    "PN": normal_name,
}
"""VR → what makes the compared form of a value."""

ATTRIBUTES = _attributes()
"""Keyword → attribute, in the order of the levels."""

OF_LEVEL = {
    level: [attribute for attribute in ATTRIBUTES.values() if attribute.level == level]
    for level in LEVELS
}


@cache
def _tags(level: str) -> list[Any]:
    from pydicom.tag import Tag

    return [Tag(attribute.keyword) for attribute in OF_LEVEL[level]]


def values_of(ds: Dataset, level: str) -> dict[str, str]:
    """The values of the columns of a level."""
    values = {}
    for tag, attribute in zip(_tags(level), OF_LEVEL[level], strict=True):
        try:
            text = clean(ds[tag].value) if tag in ds else ""
        except Exception:  # whatever pydicom says of a value that is none of its VR
            text = ""
        if attribute.vr == "IS":
            text = normal_integer(text)
        values[attribute.column] = text
        if attribute.search != attribute.column:
            values[attribute.search] = NORMALISERS[attribute.vr](text)
    return values


def patient_identity(patient_id: str, issuer: str, study_instance_uid: str) -> str:
    """What makes patients the same: ID and issuer; without an ID, nobody is the same as another.

    Of a patient without an ID each study is as if of a patient of its own, since nothing tells
    whether two of them are.
    """
    if not patient_id:
        return f"of study {study_instance_uid}"
    # With the length in front, no other issuer and ID make the same text.
    identity = f"{len(issuer)}:{issuer}{patient_id}"
    if len(identity) <= HEAD_LENGTH:
        return identity
    return hashlib.sha256(identity.encode()).hexdigest()
