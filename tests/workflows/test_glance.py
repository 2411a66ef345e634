"""A record that is looked at has the values that pydicom finds in it, whatever these are."""

from __future__ import annotations

import random
from typing import Any

import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from pynetdicom.workflows.conditions import Conditions
from pynetdicom.workflows.glance import Glance
from pynetdicom.workflows.matching import key_values, returned
from pynetdicom.workflows.providing import pack, unpack
from tests.workflows.ups_pair import copy_of_full, made

VALUES: dict[str, list[Any]] = {
    "PatientName": ["Doe^Jane", "Müller^Äöü=山田", "^^", "a=b=", " x ", "A^B\\C^D"],
    "PatientID": ["1", "ü", " a b ", "1\\2"],
    "PatientComments": ["several\\of one", "line\r\nline", " \x1bx"],
    "PatientSex": ["F", ""],
    "PatientBirthDate": ["20200101", "2020.01.01"],
    "PatientBirthTime": ["1015", "101500.5"],
    "PatientSize": ["1.50", "1e3"],
    "StudyInstanceUID": ["1.2.3", "1.2"],
    "OtherPatientIDs": [["a", "b "], ["", "c"]],
    "NumberOfFrames": ["07", "1"],
    "ReferencedSegmentNumber": [1, [1, 2]],
    "RetrieveAETitle": ["AE ", ["AE1", " AE2"]],
    "RetrieveURL": ["http://a/b?c=d", "http://ä"],
    "PatientAge": ["030Y"],
    "ScheduledProcedureStepStartDateTime": ["20200101", "20200101101500.5+0100"],
    "TimezoneOffsetFromUTC": ["+0100"],
}
LATIN = "ISO_IR 100"


def random_values(rng: random.Random, depth: int = 0) -> Dataset:
    ds = Dataset()
    for keyword in rng.sample(list(VALUES), rng.randrange(1, 8)):
        setattr(ds, keyword, rng.choice(VALUES[keyword]))
    if depth < 3 and rng.random() < 0.5:
        items = [random_values(rng, depth + 1) for _ in range(rng.randrange(3))]
        ds.InputInformationSequence = items
        for item in items:
            item.is_undefined_length_sequence_item = rng.random() < 0.5
            if rng.random() < 0.1 and "=" not in str(item.get("PatientName")):
                item.SpecificCharacterSet = LATIN
        ds["InputInformationSequence"].is_undefined_length = rng.random() < 0.5
    return ds


def packed(rng: random.Random) -> bytes:
    while True:
        try:
            return pack(random_values(rng))
        except ValueError:  # a text that is not in the character set of its item
            continue


@pytest.mark.parametrize("seed", range(5))
def test_values_and_matches_are_those_of_the_decoded_record(seed: int) -> None:
    rng = random.Random(seed)
    matches = 0
    for _ in range(200):
        record, keys = packed(rng), unpack(packed(rng))
        known, seen = unpack(record), Glance(record)
        same(known, seen)
        assert Conditions(keys).match(seen) is Conditions(keys).match(known)
        # keys that are more likely to match
        own = Dataset()
        for tag in rng.sample(sorted(known.keys()), rng.randrange(len(known) + 1)):
            own[tag] = known[tag]
        conditions = Conditions(own)
        assert conditions.match(seen) is conditions.match(known)
        if conditions.match(seen):
            matches += 1
            assert all(any(one in record for one in each) for each in conditions.literals())
        part = seen.part(frozenset(map(int, own.keys())))
        assert returned(own, part) == returned(own, known)
    assert matches > 50


def same(known: Dataset, seen: Any) -> None:
    for keyword in (*VALUES, "InputInformationSequence"):
        element, other = known.get(tag_for_keyword(keyword)), seen.get(tag_for_keyword(keyword))
        if element is None:
            assert other is None
            assert seen.get(keyword) is None
        elif element.VR == "SQ":
            assert other.VR == "SQ"
            for one, two in zip(element.value, other.value, strict=True):
                same(one, two)
        else:
            assert key_values(other.value) == key_values(element.value)
            assert key_values(seen.get(keyword)) == key_values(element.value)


def test_what_is_hidden_is_not_there() -> None:
    record = pack(made(TransactionUID="1.2", PatientID="1"))
    assert Glance(record).get("TransactionUID").strip("\0") == "1.2"
    seen = Glance(record, hidden=0x00081195)
    assert seen.get("PatientID").strip() == "1"
    assert seen.get("TransactionUID") is seen.get(0x00081195) is None
    assert list(seen.part([0x00081195, 0x00100020]).keys()) == [0x00080005, 0x00100020]


def test_what_is_not_plain_is_decoded() -> None:
    """A sequence that is of no known VR, an item in another character set, what is cut off."""
    ds = copy_of_full()
    ds.add_new(0x00091001, "UN", b"\xfe\xff\x00\xe0\x00\x00\x00\x00")
    ds[0x00091001].is_undefined_length = True
    ds.TransactionUID = "1.2"
    record = pack(ds)
    seen = Glance(record, hidden=0x00081195)
    assert seen.get("TransactionUID") is None
    assert seen.get("ProcedureStepState") == "SCHEDULED"
    assert seen.part([0x00741000]).ProcedureStepState == "SCHEDULED"
