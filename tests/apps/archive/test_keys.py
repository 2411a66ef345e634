"""Keys that are long, many, in any character set, or made to mean something else to a database."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from pynetdicom.apps.archive.database import Database
from pynetdicom.apps.archive.index import Index, record_of
from pynetdicom.apps.archive.query import Find, Retrieve
from pynetdicom.data_sets.data_set import InMemory, encode_dataset
from pynetdicom.workflows.identifiers import (
    MAXIMUM_PATTERN_LENGTH,
    MAXIMUM_PATTERNS,
    IdentifierError,
)
from pynetdicom.workflows.matching import Options
from tests.apps.archive.conftest import EXPLICIT, Fill, make

STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2."
NONE = Options()
MANY = 10_000

# fmt: off
NAMES = {
    # Specific Character Set → a name in it, keys that find it, and keys that do not
    "ISO_IR 100": (
        "Buc^Jérôme", ["BUC^JÉRÔME", "buc^jerome", "*RÔM*", "B?C^J?rôme"], ["Buc^Jer"]),
    "ISO_IR 144": (
        "Люксембург^Роза", ["люксембург*", "ЛЮКС*^роза", "*БУРГ*"], ["роза^*"]),
    "ISO_IR 192": (
        "Müller^Zoë=山田^太郎", ["MULLER*", "müller^zoë", "山田*", "=山?^太郎"], ["田*"]),
    "GB18030": (
        "Wang^XiaoDong=王^小东", ["wang^xiaodong", "王^小东", "*小*", "=王*"], ["小东^王"]),
    "\\ISO 2022 IR 87": (
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ["YAMADA^TAROU", "山田^太郎", "やまだ*", "yamada*=山田*=やまだ^*", "==やまだ^たろう"],
        ["やまた*"],  # another letter, though the difference is a mark
    ),
    "\\ISO 2022 IR 149": ("Hong^Gildong=洪^吉洞=홍^길동", ["hong^*", "洪*", "*길동"], ["洪^吉"]),
}
# fmt: on


def received(ds: Dataset) -> Dataset:
    """A data set as it is after it has been on the way, encoded in its character set."""
    return InMemory(encode_dataset(ds, EXPLICIT).getvalue(), EXPLICIT).decode()


def keys(level: str, **values: Any) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return received(ds)


def found(database: Database, options: Options = NONE, **values: Any) -> list[str]:
    query = Find(keys("STUDY", **values), f"{STUDY_ROOT}1", options)
    return [ds.StudyInstanceUID for ds in query.matches(database, "ME")]


def add(index: Index, number: int, **values: Any) -> None:
    uids = {"StudyInstanceUID": f"1.{number}", "SeriesInstanceUID": f"1.{number}.1"}
    ds = make(number, **{"PatientID": f"P{number}", **uids, **values})
    index.add(record_of(received(ds), EXPLICIT), f"abc/{number}", "abc")


@pytest.mark.parametrize("stored", NAMES)
@pytest.mark.parametrize("asked", NAMES)
def test_names_in_any_character_set(sqlite: Index, stored: str, asked: str) -> None:
    """Stored in one, and asked for in it or, as far as that can be said, in another one."""
    name, matching, others = NAMES[stored]
    add(sqlite, 1, PatientName=name, SpecificCharacterSet=stored)
    add(sqlite, 2, PatientName="Doe^Jane")
    tried = 0
    for key in [*matching, *others]:
        if asked != stored and not key.isascii():
            continue
        uids = found(sqlite.database, PatientName=key, SpecificCharacterSet=asked)
        assert uids == ["1.1"] * (key in matching), key
        tried += 1
    assert tried == len(matching) + len(others) or asked != stored


@pytest.mark.parametrize("stored", NAMES)
@pytest.mark.parametrize("asked", ["", *NAMES, "ISO_IR 13", "nonsense", "\\GB18030"])
def test_names_are_answered_in_a_character_set_that_has_them(
    sqlite: Index, stored: str, asked: str
) -> None:
    """In that of the request, where it has all characters, else in UTF-8; whole in any case."""
    name, _, _ = NAMES[stored]
    description = "Kopf, " + name.partition("^")[0]
    add(sqlite, 1, PatientName=name, StudyDescription=description, SpecificCharacterSet=stored)
    query = Find(keys("STUDY", PatientName="", StudyDescription=""), f"{STUDY_ROOT}1", NONE)
    (match,) = query.matches(sqlite.database, "ME", asked.split("\\"))
    there = received(match)
    assert str(there.PatientName) == name
    assert there.StudyDescription == description
    terms = there.SpecificCharacterSet
    said = terms if isinstance(terms, str) else "\\".join(terms)
    assert said in (asked, "ISO_IR 192")
    if asked == stored:
        assert said == asked


METACHARACTERS = [
    "%", "_", "A%", "A_", "a'; DROP TABLE instance; --", 'a" OR 1=1', "(", "[A]", "$1", ":x", "%s",
    "{0}", "%%", "\x7f", "/_", "|%",
]  # fmt: skip


@pytest.mark.parametrize("text", METACHARACTERS)
@pytest.mark.parametrize("keyword", ["PatientName", "StudyDescription", "PatientID"])
def test_what_means_something_to_databases_means_itself(
    index: Index, keyword: str, text: str
) -> None:
    add(index, 1, **{keyword: text})
    add(index, 2, **{keyword: "Another one"})
    add(index, 3, **{keyword: f"x{text}x"})
    database = index.database
    assert found(database, **{keyword: text}) == ["1.1"]
    assert found(database, **{keyword: f"{text}*"}) == ["1.1"]
    assert found(database, **{keyword: f"*{text}*"}) == ["1.1", "1.3"]
    assert found(database, **{keyword: f"?{text}?"}) == ["1.3"]
    assert found(database, **{keyword: "A?other*"}) == ["1.2"]
    assert index.count("IMAGE") == 3


def test_texts_of_any_length(index: Index) -> None:
    add(index, 1, PatientComments="x" * 2000, ImageComments="y" * 2000)
    assert found(index.database, PatientComments="x" * 2000) == ["1.1"]
    assert found(index.database, PatientComments="x" * 500) == []
    assert found(index.database, PatientComments="*" + "x" * 400 + "*") == ["1.1"]


def add_twelve(index: Index) -> None:
    for number in range(12):
        add(index, number, StudyDate=f"202001{number + 1:02}", StudyDescription=f"D{number}")


@pytest.fixture
def twelve(open_filled: Callable[[Fill], Database]) -> Index:
    return Index(open_filled(add_twelve))


def test_a_list_of_very_many_uids(twelve: Index) -> None:
    """None of them is left out, wherever it is, nor does a part of one match."""
    far = [f"1.2.826.0.1.3680043.8.498.{n}" for n in range(MANY)]
    far[0], far[5000], far[-1] = "1.3", "1.7", "1.11"
    assert found(twelve.database, StudyInstanceUID=far) == ["1.3", "1.7", "1.11"]
    studies = keys("STUDY", StudyInstanceUID=far)
    images = keys("IMAGE", SOPInstanceUID=[uid.replace("1.", "1.2.3.", 1) for uid in far])
    for identifier, sop_class in (
        (studies, f"{STUDY_ROOT}2"),
        (images, "1.2.840.10008.5.1.4.1.2.4.2"),
    ):
        chosen = Retrieve(identifier, sop_class).choose(twelve.database)
        uids = [one.sop_instance_uid for one in twelve.instances(chosen.keys)]
        assert uids == ["1.2.3.3", "1.2.3.7", "1.2.3.11"]
        assert chosen.count == 3


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("StudyDate", "19000101"),
        ("ModalitiesInStudy", "X"),
        ("SOPClassesInStudy", "1.9"),
        ("AccessionNumber", "A"),
        ("StudyTime", "10"),
    ],
)
def test_a_list_of_very_many_values(twelve: Index, keyword: str, value: str) -> None:
    assert found(twelve.database, **{keyword: [value] * MANY}) == []
    if keyword == "StudyDate":
        assert found(twelve.database, **{keyword: [value] * MANY + ["20200108"]}) == ["1.7"]


@pytest.mark.parametrize(
    ("keyword", "value", "last"),
    [
        ("StudyDescription", "D?x*", "*7"),
        ("StudyDate", "19000101-19000102", "20200108"),
        ("PatientName", "Nobody", "Nobody*"),
        ("ModalitiesInStudy", "X*", "X"),
    ],
)
def test_patterns_are_bounded_in_number(twelve: Index, keyword: str, value: str, last: str) -> None:
    most = MAXIMUM_PATTERNS - ("*" in last)
    expected = ["1.7"] if keyword.startswith("Study") else []
    assert found(twelve.database, **{keyword: [value] * most + [last]}) == expected
    with pytest.raises(IdentifierError, match="More than 256 patterns") as caught:
        found(twelve.database, **{keyword: [value] * (MAXIMUM_PATTERNS + 1)})
    assert caught.value.tag == tag_for_keyword(keyword)
    half = [value] * (MAXIMUM_PATTERNS // 2 + 1)
    with pytest.raises(IdentifierError, match="More than 256 patterns"):
        found(twelve.database, StudyID=["*1"] * len(half), **{keyword: half})


@pytest.mark.parametrize("keyword", ["StudyDescription", "PatientName", "ModalitiesInStudy"])
def test_patterns_are_bounded_in_length(twelve: Index, keyword: str) -> None:
    longest = MAXIMUM_PATTERN_LENGTH
    for key in ("*?" * (longest // 2), "*D" * (longest // 2), "?" * longest):
        assert found(twelve.database, **{keyword: key}) == []
        with pytest.raises(IdentifierError, match="more than 1024 characters"):
            found(twelve.database, **{keyword: f"{key}*"})
    assert found(twelve.database, StudyDescription="D" + "*" * 400 + "7") == ["1.7"]


def test_what_is_not_unicode(index: Index) -> None:
    """A key, or a value, that is not what its character set says: no error, and no other match."""
    ds = make(1)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName = "X"
    encoded = encode_dataset(ds, EXPLICIT).getvalue().replace(b"X ", b"\xff\xfe")
    broken = InMemory(encoded, EXPLICIT).decode()
    index.add(record_of(broken, EXPLICIT), "abc/1", "abc")
    add(index, 2, PatientName="Doe^Jane")
    assert found(index.database, PatientName="Doe*") == ["1.2"]
    assert len(found(index.database, PatientName="")) == 2
    asked = make(1, QueryRetrieveLevel="STUDY", SpecificCharacterSet="ISO_IR 192", PatientName="X")
    encoded = encode_dataset(asked, EXPLICIT).getvalue().replace(b"X ", b"\xff\xfe")
    identifier = InMemory(encoded, EXPLICIT).decode()
    query = Find(identifier, f"{STUDY_ROOT}1", NONE)
    assert sys.getsizeof(list(query.matches(index.database, "ME"))) > 0
