"""What is indexed of a data set."""

from __future__ import annotations

import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from pynetdicom.apps.archive import attributes
from pynetdicom.apps.archive.attributes import (
    ATTRIBUTES,
    patient_identity,
    values_of,
)
from tests.apps.archive.conftest import make


def test_each_attribute_has_the_vr_of_the_dictionary() -> None:
    from pydicom.datadict import dictionary_VR

    assert {k: a.vr for k, a in ATTRIBUTES.items()} == {k: dictionary_VR(k) for k in ATTRIBUTES}


def test_required_keys_of_the_standard_are_there() -> None:
    required = (
        "PatientName PatientID StudyDate StudyTime AccessionNumber StudyID StudyInstanceUID"
        " Modality SeriesNumber SeriesInstanceUID InstanceNumber SOPInstanceUID"
    )
    assert set(required.split()) <= set(ATTRIBUTES)


def test_values_are_not_cut() -> None:
    ds = make(StudyDescription="x" * 6000, SeriesNumber="007")
    assert values_of(ds, "STUDY")["study_description"] == "x" * 6000
    assert values_of(ds, "SERIES")["series_number"] == "7"


def test_what_does_not_convert_is_empty() -> None:
    ds = make()
    tag = Tag("Rows")
    ds[tag] = RawDataElement(tag, "US", 3, b"abc", 0, False, True, True)
    assert values_of(ds, "IMAGE")["rows"] == ""
    assert values_of(ds, "IMAGE")["sop_instance_uid"] == ds.SOPInstanceUID
    assert values_of(Dataset(), "STUDY")["study_date"] == ""


def test_patients() -> None:
    assert patient_identity("1", "", "9") == patient_identity("1", "", "8")
    assert patient_identity("1", "A", "9") != patient_identity("1", "B", "9")
    assert patient_identity("", "", "9") != patient_identity("", "", "8")
    assert patient_identity("9", "", "1") != patient_identity("", "", "9")
    long = patient_identity("1" * 512, "A", "9")
    assert len(long) == 64
    assert long != patient_identity("1" * 512, "B", "9")


@pytest.mark.parametrize("level", attributes.LEVELS)
def test_columns_are_unique(level: str) -> None:
    columns = [attribute.column for attribute in attributes.OF_LEVEL[level]]
    assert len(columns) == len(set(columns))
