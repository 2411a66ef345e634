"""pynetdicom.workflows.identifiers and .watch: what bounds a query, without a network."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from pynetdicom.workflows import identifiers, watch
from pynetdicom.workflows.identifiers import IdentifierError, elements


def keys(**values: object) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def test_elements_come_in_order() -> None:
    identifier = keys(
        PatientID="1", AccessionNumber="2", OtherPatientIDsSequence=[keys(PatientID="")]
    )
    assert [element.keyword for element in elements(identifier)] == [
        "AccessionNumber",
        "PatientID",
        "OtherPatientIDsSequence",
    ]


@pytest.mark.parametrize(
    ("keyword", "value", "comment"),
    [
        ("PatientID", ["*a*b"] * (identifiers.MAXIMUM_PATTERNS + 1), "More than 256 patterns"),
        (
            "PatientID",
            "*" + "a" * identifiers.MAXIMUM_PATTERN_LENGTH,
            "A pattern of more than 1024",
        ),
        ("PatientID", ["1"] * (identifiers.MAXIMUM_VALUES + 1), "More than 65536 values"),
    ],
)
@pytest.mark.parametrize("is_nested", [False, True])
def test_there_may_not_be_too_much(
    keyword: str, value: object, comment: str, is_nested: bool
) -> None:
    identifier = keys(**{keyword: value})
    if is_nested:
        identifier = keys(OtherPatientIDsSequence=[identifier])
    with pytest.raises(IdentifierError, match=comment) as caught:
        list(elements(identifier))
    assert caught.value.tag == Tag(keyword)


def test_there_may_not_be_too_many_keys() -> None:
    many = [keys(PatientID="") for _ in range(identifiers.MAXIMUM_KEYS)]
    with pytest.raises(IdentifierError, match="More than 4096 keys"):
        list(elements(keys(OtherPatientIDsSequence=many)))


def test_a_watch_looks_now_and_then() -> None:
    looks: list[None] = []
    watching = watch.Watch(lambda: bool(looks.append(None)))
    for _ in range(2 * watch.STEPS):
        watching.step()
    assert len(looks) == 2
    watching.step(watch.STEPS)
    assert len(looks) == 3
    with pytest.raises(watch.Cancelled):
        watch.Watch(lambda: True).look()
