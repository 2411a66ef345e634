"""Attribute matching as PS3.4 C.2.2.2 has it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from pydicom import Dataset

from pynetdicom.workflows import globs
from pynetdicom.workflows.conditions import Conditions
from pynetdicom.workflows.globs import glob, in_order
from pynetdicom.workflows.matching import (
    MAXIMUM_DEPTH,
    Options,
    attribute_matches,
    combined_range,
    datetime_matches,
    name_matches,
    range_of,
)

NONE = Options()
FUZZY = Options(fuzzy=True)
EXACT = Options(exact_names=True)


@pytest.mark.parametrize(
    ("vr", "keys", "value", "expected"),
    [
        # universal: C.2.2.2.3
        ("LO", [], "anything", True),
        ("LO", [], "", True),
        ("UI", [], "1.2", True),
        ("LO", ["*"], "", True),
        ("PN", ["**"], "", True),
        # single value: C.2.2.2.1
        ("LO", ["abc"], "abc", True),
        ("LO", ["abc"], "ABC", False),
        ("LO", ["abc"], "abcd", False),
        ("LO", ["abc"], "", False),
        ("UI", ["1.2"], "1.2", True),
        ("UI", ["1.2"], "1.2.3", False),
        ("UI", ["1.*"], "1.2", False),
        ("IS", ["1"], "01", True),
        ("IS", ["+1"], "1", True),
        ("IS", ["1"], "11", False),
        ("IS", ["1*"], "11", False),
        ("DS", ["1.50"], "1.5", True),
        ("DS", ["x"], "1.5", False),
        ("AS", ["030Y"], "030Y", True),
        # lists of UIDs: C.2.2.2.2
        ("UI", ["1.2", "1.3"], "1.3", True),
        ("UI", ["1.2", "1.3"], "1.4", False),
        # wildcards: C.2.2.2.4
        ("LO", ["a*"], "abc", True),
        ("LO", ["a*"], "a", True),
        ("LO", ["*c"], "abc", True),
        ("LO", ["a?c"], "abc", True),
        ("LO", ["a?c"], "ac", False),
        ("LO", ["?"], "", False),
        ("LO", ["a%"], "abc", False),
        ("LO", ["a_c"], "abc", False),
        ("LO", ["a.c"], "abc", False),
        ("LO", ["[ab]"], "a", False),
        ("CS", ["C?"], "CT", True),
        ("CS", ["c?"], "CT", False),
        # ranges: C.2.2.2.5
        ("DA", ["20200101-20200131"], "20200115", True),
        ("DA", ["20200101-20200131"], "20200101", True),
        ("DA", ["20200101-20200131"], "20200131", True),
        ("DA", ["20200101-20200131"], "20200201", False),
        ("DA", ["-20200131"], "19000101", True),
        ("DA", ["-20200131"], "", False),
        ("DA", ["20200101-"], "20991231", True),
        ("DA", ["20200101-"], "20191231", False),
        ("DA", ["2020.01.15"], "20200115", True),
        ("DA", ["20200115"], "2020.01.15", True),
        ("DA", ["2020"], "20200115", False),
        ("DA", ["-"], "20200115", True),
        ("DA", ["20200101-"], "junk", False),
        ("TM", ["1000-1100"], "100000", True),
        ("TM", ["1000-1100"], "110059.5", True),
        ("TM", ["1000-1100"], "1101", False),
        ("TM", ["10-"], "095959.999999", False),
        ("TM", ["10"], "1030", True),
        ("TM", ["1030"], "103059.999", True),
        ("TM", ["103000"], "10:30:00", True),
        ("TM", ["103000"], "103000.000", True),
        ("TM", ["103000.5"], "103000.500", True),
        ("TM", ["103000.5"], "103000.6", False),
        ("TM", ["-10"], "105959", True),
        ("TM", ["noon"], "120000", False),
        # empty value: C.2.2.2.7
        ("LO", ['""'], "", True),
        ("LO", ['""'], "x", False),
        ("DA", ['""'], "", True),
    ],
)
def test_values(vr: str, keys: list[str], value: str, expected: bool) -> None:
    assert attribute_matches(vr, keys, value.split("\\"), NONE) is expected


def test_one_of_several_values_will_do() -> None:
    assert attribute_matches("CS", ["AXIAL"], ["ORIGINAL", "PRIMARY", "AXIAL"], NONE)
    assert attribute_matches("CS", ["X", "PRIMARY"], ["ORIGINAL", "PRIMARY"], NONE)
    assert not attribute_matches("CS", ["X"], ["ORIGINAL", "PRIMARY"], NONE)


@pytest.mark.parametrize(
    ("key", "name", "options", "expected"),
    [
        ("doe^jane", "Doe^Jane", NONE, True),
        ("doe^jane", "Doe^Jane", EXACT, False),
        ("Doe^Jane", "Doe^Jane^^", EXACT, True),
        ("Doe^Jane^^", "Doe^Jane", NONE, True),
        ("doe", "Doe^Jane", NONE, False),
        ("doe*", "Doe^Jane", NONE, True),
        ("doe^*", "Doe^Jane", NONE, True),
        ("doe^*", "Doe", NONE, True),
        ("doe^*", "Doering", NONE, False),
        ("doe^*^*", "Doe", NONE, True),
        ("d?e^jane", "Doe^Jane", NONE, True),
        ("muller", "Müller", NONE, True),
        ("Müller", "MULLER", NONE, True),
        ("Muller", "Müller", EXACT, False),
        ("İ", "i", NONE, True),
        ("山田^太郎", "Yamada^Tarou=山田^太郎=やまだ^たろう", NONE, True),
        ("yamada*", "Yamada^Tarou=山田^太郎", NONE, True),
        ("=山田*", "Yamada^Tarou=山田^太郎", NONE, True),
        ("=yamada*", "Yamada^Tarou=山田^太郎", NONE, False),
        ("yamada*=山田*", "Yamada^Tarou=山田^太郎", NONE, True),
        # A voiced sound is another one, not an accent.
        ("か", "が", NONE, False),
        ("jane doe", "Doe^Jane", NONE, False),
        ("jane doe", "Doe^Jane", FUZZY, True),
        ("jan", "Doe^Jane", FUZZY, True),
        ("muell", "Doe^Jane", FUZZY, False),
        ("jane^x", "Doe^Jane", FUZZY, False),
    ],
)
def test_names(key: str, name: str, options: Options, expected: bool) -> None:
    assert name_matches(key, name, options) is expected
    assert attribute_matches("PN", [key], [name], options) is expected


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("20200101120000", "20200101120000", True),
        ("20200101", "20200101235959.999999", True),
        ("2020", "20201231", True),
        ("202002", "20200229", True),
        ("202002", "20200301", False),
        ("2019-2020", "20200615", True),
        ("2019-2020", "2021", False),
        ("-2020", "1999", True),
        ("2020-", "20190101", False),
        ("20200101120000+0100", "20200101110000+0000", True),
        ("20200101120000-0500-20200101130000-0500", "20200101173000+0000", True),
        ("20200101120000-0500-20200101130000-0500", "20200101123000+0000", False),
        ("20200101120000-0500", "20200101170000", True),
        ("20201301", "20200101", False),
        ("", "2020", False),
        ("-", "2020", False),
        ("2020", "junk", False),
        ("99991231", "99991231", False),  # which has no next day: no match, no exception
    ],
)
def test_points_in_time(key: str, value: str, expected: bool) -> None:
    assert datetime_matches(key, value) is expected


def test_the_offset_of_the_data_set_counts_where_a_value_has_none() -> None:
    assert datetime_matches("20200101120000", "20200101110000", "+0100", "+0000")
    assert not datetime_matches("20200101120000", "20200101110000", "", "")


def test_a_date_and_its_time_together() -> None:
    within = combined_range("20200101-20200103", "1000-1200")
    assert within == ("20200101100000", "20200103120059.999999")
    assert within is not None
    assert within.has("20200102030000")
    assert not within.has("20200101090000")
    assert combined_range("20200101-", "1000-") == ("20200101100000", None)
    assert combined_range("junk", "10") is None
    assert range_of("DA", "-") is None


def test_each_part_of_a_pattern_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a part occurs, so that many stars take no more time than their number."""
    looked = []
    find = globs._Part.find

    def count(part: Any, text: str, start: int, end: int) -> int:
        looked.append(start)
        return find(part, text, start, end)

    monkeypatch.setattr(globs._Part, "find", count)
    for pattern in ("*a" * 200 + "b", "*a?" * 150 + "b*", "a*" * 200, "*0*0*0*z", "**a**"):
        looked.clear()
        assert not glob(pattern, "a" * 512) or "b" not in pattern
        assert len(looked) <= pattern.count("*") + 1


def test_globs_by_their_definition() -> None:
    """Against the definition, spelled out."""
    chance = random.Random(4711)

    def slow(pattern: str, text: str) -> bool:
        if not pattern:
            return not text
        if pattern[0] == "*":
            return any(slow(pattern[1:], text[n:]) for n in range(len(text) + 1))
        return bool(text) and pattern[0] in ("?", text[0]) and slow(pattern[1:], text[1:])

    for _ in range(3000):
        pattern = "".join(chance.choices("ab?*.\n", k=chance.randrange(7)))
        text = "".join(chance.choices("ab.\n", k=chance.randrange(7)))
        assert glob(pattern, text) is slow(pattern, text), (pattern, text)
        ordered = in_order(pattern)
        assert slow(ordered, text) is slow(pattern, text), (pattern, text)
        assert "*?" not in ordered
        assert "**" not in ordered


@pytest.mark.parametrize("end", ["", "z"])
def test_long_texts_are_looked_through_in_steps(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is looked for, little is compared between two steps; and all is found."""
    monkeypatch.setattr(globs, "_COMPARED_AT_ONCE", 64)
    compared: list[int] = []
    find = globs._Part.find

    def count(part: Any, text: str, start: int, end: int) -> int:
        places = max(0, end - start - len(part.text) + 1)
        compared.append(places * (1 if part.expression is None else len(part.text)))
        return find(part, text, start, end)

    monkeypatch.setattr(globs._Part, "find", count)
    text = "0" * 5000 + end
    steps: list[int] = []
    for pattern in ("*0?0?0?z*", "*??0?" + "0" * 20 + "z*", "*0z*", "*0?" + "0" * 99 + "z*"):
        compared.clear()
        steps.clear()
        assert glob(pattern, text, lambda cost=1: steps.append(cost)) is bool(end)
        assert max(compared) <= 2 * max(64, len(pattern))
        assert len(steps) >= len(compared) - pattern.count("*") - 2 > 10


def test_a_long_value_counts_for_several_steps() -> None:
    costs: list[int] = []
    options = Options(fuzzy=True, step=lambda cost=1: costs.append(cost))
    attribute_matches("LO", ["*z"], ["0" * 16384], options)
    assert sum(costs) > 5
    costs.clear()
    assert not name_matches(" ".join(["a"] * 300) + " z", "x " * 8000 + "a", options)
    assert sum(costs) > 300


def test_group_lengths_are_no_keys() -> None:
    keys, entity = Dataset(), Dataset()
    keys.add_new(0x00100000, "UL", 10)
    keys.PatientID = entity.PatientID = "1"
    assert data_set_matches(keys, entity, NONE)


def data_set_matches(keys: Dataset, entity: Dataset, options: Options) -> bool:
    return Conditions(keys, options).match(entity)


def scheduled(**attributes: str) -> Dataset:
    ds = Dataset()
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    ds.ScheduledProcedureStepSequence = [item]
    return ds


def test_sequences() -> None:
    entity = scheduled(Modality="CT", ScheduledStationAETitle="SCANNER")
    other = Dataset()
    other.Modality = "MR"
    entity.ScheduledProcedureStepSequence.append(other)
    assert data_set_matches(scheduled(Modality="CT"), entity, NONE)
    assert data_set_matches(scheduled(Modality="MR"), entity, NONE)
    assert data_set_matches(scheduled(), entity, NONE)
    assert data_set_matches(scheduled(Modality=""), Dataset(), NONE)
    assert data_set_matches(scheduled(Modality="CT", ScheduledStationAETitle="S*"), entity, NONE)
    # Both in the same item, not one in each.
    key = scheduled(Modality="MR", ScheduledStationAETitle="SCANNER")
    assert not data_set_matches(key, entity, NONE)
    assert not data_set_matches(scheduled(Modality="CT"), Dataset(), NONE)


def test_combined_only_where_it_was_negotiated() -> None:
    key = scheduled(
        ScheduledProcedureStepStartDate="20200101-20200103",
        ScheduledProcedureStepStartTime="1000-1200",
    )
    entity = scheduled(
        ScheduledProcedureStepStartDate="20200102", ScheduledProcedureStepStartTime="0300"
    )
    assert not data_set_matches(key, entity, NONE)
    assert data_set_matches(key, entity, Options(combined=True))


def test_sequences_that_nest_too_deeply_match_nothing() -> None:
    key = inner = Dataset()
    for _ in range(MAXIMUM_DEPTH + 5):
        item = Dataset()
        item.Modality = "CT"
        inner.RequestAttributesSequence = [item]
        inner = item
    assert not data_set_matches(key, key, NONE)
