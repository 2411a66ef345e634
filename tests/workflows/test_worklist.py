"""pynetdicom.workflows.worklist: each row of the table, both sides, and what is done."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from pynetdicom import AE, evt
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityWorklistInformationFind,
    PatientRootQueryRetrieveInformationModelFind,
)
from pynetdicom.workflows import mpps, worklist
from pynetdicom.workflows.attributes import Row, table
from pynetdicom.workflows.providing import Refused, handlers
from pynetdicom.workflows.stores import SQLiteStore
from tests.pair import associated, serve
from tests.peers import DEADLINE

MWL = ModalityWorklistInformationFind
MPPS = ModalityPerformedProcedureStep
ROWS = table("mwl")
STEPS = "ScheduledProcedureStepSequence"
VALUES = {
    "AE": ("CT1", "CT2"),
    "CS": ("CT", "MR"),
    "DA": ("20261129", "20261130"),
    "DS": ("70", "71"),
    "LO": ("one", "other"),
    "PN": ("Müller^Jörg", "Citizen^Jan"),
    "SH": ("one", "other"),
    "TM": ("1015", "1115"),
    "UI": ("1.2.3", "1.2.4"),
    "US": (1, 2),
}


def value_of(row: Row, number: int) -> Any:
    vr = dictionary_VR(row.tag)
    if row.keyword == "SpecificCharacterSet":
        return "ISO_IR 192"
    if vr != "SQ":
        return VALUES[vr][number]
    return [item_of(row.items, number)] if row.items else [Dataset()]


def item_of(rows: Any = ROWS, number: int = 0) -> Dataset:
    """An item with all attributes."""
    made = Dataset()
    for row in rows:
        setattr(made, row.keyword, value_of(row, number))
    return made


def scheduled(study: str, *steps: str, name: str = "Müller^Jörg") -> Dataset:
    """An item of some steps."""
    made = item_of()
    made.StudyInstanceUID, made.PatientName = study, name
    made[STEPS].value.clear()
    for step in steps:
        one = item_of(next(row.items for row in ROWS if row.keyword == STEPS))
        one.ScheduledProcedureStepID = step
        made[STEPS].value.append(one)
    return made


@contextmanager
def provided(*providers: Any, ext_neg: Any = ()) -> Iterator[Any]:
    """An association to an SCP of a worklist."""
    scp, scu = AE("RIS"), AE("CT1")
    for uid in (MWL, MPPS):
        scp.add_supported_context(uid)
        scu.add_requested_context(uid)
    with associated(scp, scu, handlers(*providers), ext_neg=list(ext_neg)) as assoc:
        yield assoc


@pytest.fixture(scope="module")
def assoc() -> Iterator[Any]:
    with provided(worklist.Provider([item_of(number=0), item_of(number=1)])) as made:
        yield made


def paths(rows: Any = ROWS, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Row]]:
    for row in rows:
        yield (*before, row.keyword), row
        yield from paths(row.items, (*before, row.keyword))


PATHS = list(paths())
KEYS = [(path, row) for path, row in PATHS if row.types["match"] != "-"]
LEAVES = [(path, row) for path, row in KEYS if dictionary_VR(row.tag) != "SQ"]


def names(rows: Any) -> list[str]:
    return [".".join(path) for path, _ in rows]


def keys_of(path: tuple[str, ...], value: Any) -> Dataset:
    keys = Dataset()
    keys.SpecificCharacterSet = "ISO_IR 192"
    keys.AccessionNumber = ""
    place = keys
    for keyword in path[:-1]:
        setattr(place, keyword, [Dataset()])
        place = place[keyword].value[0]
    setattr(place, path[-1], value)
    return keys


def ask(assoc: Any, keys: Dataset) -> tuple[list[Dataset], Dataset]:
    """The matches, and the final status."""
    found, status = [], Dataset()
    for status, item in assoc.send_c_find(keys, MWL):
        if item is not None:
            assert status.Status == 0xFF00
            found.append(item)
    return found, status


def value_at(item: Dataset, path: tuple[str, ...]) -> Any:
    for keyword in path[:-1]:
        item = item[keyword].value[0]
    return item[path[-1]].value


# Each row


@pytest.mark.parametrize(("path", "row"), LEAVES, ids=names(LEAVES))
@pytest.mark.parametrize("number", [0, 1])
def test_a_key_is_matched(path: tuple[str, ...], row: Row, number: int, assoc: Any) -> None:
    value = value_of(row, number)
    [item], status = ask(assoc, keys_of(path, value))
    assert status.Status == 0x0000
    assert value_at(item, path) == value


@pytest.mark.parametrize(("path", "row"), KEYS, ids=names(KEYS))
def test_an_empty_key_matches_all_and_is_told(path: tuple[str, ...], row: Row, assoc: Any) -> None:
    found, status = ask(assoc, keys_of(path, None))
    assert status.Status == 0x0000
    assert [value_at(item, path) for item in found] == [value_of(row, 0), value_of(row, 1)]


@pytest.mark.parametrize(("path", "row"), LEAVES, ids=names(LEAVES))
def test_a_value_that_is_not_known_matches_universally_alone(
    path: tuple[str, ...], row: Row
) -> None:
    """K.2.2.1.1.1; and is told, empty, all the same."""
    item = item_of()
    place = item
    for keyword in path[:-1]:
        place = place[keyword].value[0]
    setattr(place, path[-1], None)
    with provided(worklist.Provider([item])) as assoc:
        assert ask(assoc, keys_of(path, value_of(row, 0)))[0] == []
        [told], _ = ask(assoc, keys_of(path, None))
        assert not value_at(told, path)
        del place[path[-1]]
        [told], _ = ask(assoc, keys_of(path, None))
        assert not value_at(told, path)


@pytest.mark.parametrize(("path", "row"), KEYS, ids=names(KEYS))
def test_what_an_item_lacks(
    path: tuple[str, ...], row: Row, caplog: pytest.LogCaptureFixture
) -> None:
    item = item_of()
    assert worklist.lacking(item) == []
    place = item
    for keyword in path[:-1]:
        place = place[keyword].value[0]
    del place[path[-1]]
    expected = [row.keyword] if row.types["return"] == "1" else []
    assert worklist.lacking(item) == expected
    setattr(place, path[-1], None)
    assert worklist.lacking(item) == expected
    if path == ("StudyInstanceUID",):
        with caplog.at_level(logging.WARNING), provided(worklist.Provider([item])) as assoc:
            assert len(worklist.find(assoc)) == 1
        assert "worklist items lack what they must have: StudyInstanceUID" in caplog.text


def test_the_table_is_the_standards() -> None:
    assert len(PATHS) == 52
    required = [path[-1] for path, row in PATHS if row.types["match"] == "R"]
    assert required == [
        STEPS,
        "ScheduledStationAETitle",
        "ScheduledProcedureStepStartDate",
        "ScheduledProcedureStepStartTime",
        "Modality",
        "ScheduledPerformingPhysicianName",
        "PatientName",
        "PatientID",
    ]


# Matching beyond single values


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("PatientName",), "müll*", ["Müller^Jörg"]),
        (("PatientName",), "*^J*", ["Müller^Jörg", "Citizen^Jan"]),
        (("PatientName",), "C?tizen^Jan", ["Citizen^Jan"]),
        (("PatientName",), "Nobody*", []),
        ((STEPS, "ScheduledProcedureStepStartDate"), "20261130-", ["Citizen^Jan"]),
        ((STEPS, "ScheduledProcedureStepStartDate"), "-20261129", ["Müller^Jörg"]),
        ((STEPS, "ScheduledProcedureStepStartDate"), "20261101-20261231", [*VALUES["PN"]]),
        ((STEPS, "ScheduledProcedureStepStartTime"), "1100-1200", ["Citizen^Jan"]),
        ((STEPS, "ScheduledStationAETitle"), "CT?", [*VALUES["PN"]]),
        ((STEPS,), [], [*VALUES["PN"]]),
        ((STEPS,), [Dataset()], [*VALUES["PN"]]),
    ],
)
def test_what_a_key_matches(
    path: tuple[str, ...], value: Any, expected: list[str], assoc: Any
) -> None:
    keys = keys_of(path, value)
    keys.PatientName = keys.get("PatientName", "")
    found, status = ask(assoc, keys)
    assert status.Status == 0x0000
    assert [item.PatientName for item in found] == expected


def test_date_and_time_are_one_point_in_time(assoc: Any) -> None:
    """A night, from the 29th at 22:00 until the 30th at noon."""
    keys = keys_of((STEPS, "ScheduledProcedureStepStartDate"), "20261129-20261130")
    keys[STEPS].value[0].ScheduledProcedureStepStartTime = "2200-1200"
    [item], _ = ask(assoc, keys)
    assert item[STEPS].value[0].ScheduledProcedureStepStartDate == "20261130"


@pytest.mark.parametrize("asks", [False, True])
def test_names_match_fuzzily_for_who_negotiates_it(asks: bool) -> None:
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid = MWL
    item.service_class_application_information = b"\1\1\1\1" if asks else b"\1\1\0\1"
    provider = worklist.Provider([item_of()])
    with provided(mpps.Provider(), provider, ext_neg=[item]) as assoc:
        found, _ = ask(assoc, keys_of(("PatientName",), "jorg muller"))
        assert assoc.acceptor.sop_class_extended == {
            MWL: b"\1\1\1\0" if asks else b"\1\1\0\0",
        }
    assert len(found) == asks


@pytest.mark.parametrize("exact", [False, True])
def test_names_are_told_apart_where_that_is_wished(exact: bool) -> None:
    with provided(worklist.Provider([item_of()], exact_names=exact)) as assoc:
        found, _ = ask(assoc, keys_of(("PatientName",), "MULLER*"))
    assert bool(found) is not exact


def test_what_was_not_asked_for_is_not_told(assoc: Any) -> None:
    item = ask(assoc, keys_of((STEPS, "Modality"), "CT"))[0][0]
    told = [element.keyword for element in item]
    assert told == ["SpecificCharacterSet", "AccessionNumber", STEPS]
    assert [element.keyword for element in item[STEPS].value[0]] == ["Modality"]


# Identifiers that cannot be


def test_of_steps_an_identifier_has_one(assoc: Any) -> None:
    found, status = ask(assoc, keys_of((STEPS,), [Dataset(), Dataset()]))
    assert (found, status.Status) == ([], 0xA900)
    assert status.OffendingElement == Tag(STEPS)
    assert "More than one item" in status.ErrorComment


@pytest.mark.parametrize(
    ("value", "comment"),
    [
        (["*a*b"] * 300, "More than 256 patterns"),
        (["x" * 64] * 20_000, "An identifier of more than 1048576 bytes"),
    ],
)
def test_an_identifier_is_bounded(value: list[str], comment: str) -> None:
    keys = keys_of(("OtherPatientIDsSequence", "PatientComments"), value)
    with provided(worklist.Provider([item_of()])) as assoc:
        found, status = ask(assoc, keys)
    assert (found, status.Status) == ([], 0xA900)
    assert status.ErrorComment == comment


def test_a_query_that_is_cancelled_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    gone_through: list[int] = []
    cancelled = threading.Event()

    def items(event: Any) -> Iterator[Dataset]:
        for number in range(1_000):
            if number == 1:
                assert cancelled.wait(DEADLINE)
                assert event.assoc.is_established
            if number > 1 and event.is_cancelled:
                gone_through.append(number)
            yield item_of()

    with provided(worklist.Provider(items)) as assoc:
        responses = assoc.send_c_find(keys_of(("PatientID",), ""), MWL)
        assert next(responses)[0].Status == 0xFF00
        responses.close()
        cancelled.set()
        assert ask(assoc, keys_of(("PatientName",), "Nobody"))[1].Status == 0x0000
    assert len(gone_through) <= 2


# What the items may come from


def test_a_list_may_be_changed() -> None:
    items = [scheduled("1.2.3", "S1")]
    with provided(worklist.Provider(items)) as assoc:
        assert len(worklist.find(assoc)) == 1
        items.append(scheduled("1.2.4", "S1"))
        assert len(worklist.find(assoc)) == 2


def test_what_can_be_gone_through_once_is_kept() -> None:
    with provided(worklist.Provider(scheduled(f"1.2.{n}", "S1") for n in range(3))) as assoc:
        assert len(worklist.find(assoc)) == len(worklist.find(assoc)) == 3


def test_a_callable_knows_who_asks() -> None:
    def items(event: Any) -> list[Dataset]:
        return [scheduled("1.2.3", "S1", name=event.assoc.requestor.ae_title)]

    with provided(worklist.Provider(items)) as assoc:
        [item] = worklist.find(assoc)
    assert item.PatientName == "CT1"


def test_a_callable_that_raises() -> None:
    def items(event: Any) -> list[Dataset]:
        raise OSError("the database is gone")

    with provided(worklist.Provider(items)) as assoc, pytest.raises(Refused, match="0xC311"):
        worklist.find(assoc)


def test_each_scheduled_step_is_told_by_itself() -> None:
    item = scheduled("1.2.3", "S1", "S2", "S3", name="Müller^Jörg")
    item.SpecificCharacterSet = "ISO_IR 100"
    item[STEPS].value[1].Modality = "MR"
    keys = keys_of((STEPS, "Modality"), "MR")
    with provided(worklist.Provider([item])) as assoc:
        found = worklist.find(assoc)
        [other] = worklist.find(assoc, keys)
    assert keys == keys_of((STEPS, "Modality"), "MR")
    assert [[step.ScheduledProcedureStepID for step in one[STEPS].value] for one in found] == [
        ["S1"],
        ["S2"],
        ["S3"],
    ]
    assert {str(one.PatientName) for one in found} == {"Müller^Jörg"}
    assert [step.ScheduledProcedureStepID for step in other[STEPS].value] == ["S2"]
    assert len(item[STEPS].value) == 3


# What is done


def begun(assoc: Any, item: Dataset) -> mpps.Step:
    attributes = worklist.performed(item)
    attributes.PerformedProcedureStepID = "P1"
    attributes.PerformedStationAETitle = "CT1"
    attributes.PerformedProcedureStepStartDate = "20261129"
    attributes.PerformedProcedureStepStartTime = "1015"
    return mpps.begin(assoc, attributes)


def end() -> Dataset:
    last = Dataset()
    last.PerformedProcedureStepEndDate = "20261129"
    last.PerformedProcedureStepEndTime = "1030"
    last.PerformedSeriesSequence = [Dataset()]
    for keyword in ("PerformingPhysicianName", "OperatorsName", "SeriesDescription"):
        setattr(last.PerformedSeriesSequence[0], keyword, "")
    last.PerformedSeriesSequence[0].RetrieveAETitle = ""
    last.PerformedSeriesSequence[0].ProtocolName = "Head"
    last.PerformedSeriesSequence[0].SeriesInstanceUID = "1.2.3.4"
    last.PerformedSeriesSequence[0].ReferencedImageSequence = []
    last.PerformedSeriesSequence[0].ReferencedNonImageCompositeSOPInstanceSequence = []
    return last


@pytest.mark.parametrize("kept", ["memory", "sqlite"])
def test_what_is_completed_is_told_no_more(kept: str, tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "worklist") if kept == "sqlite" else None
    items = [scheduled("1.2.3", "S1", "S2"), scheduled("1.2.4", "S1")]
    provider = worklist.Provider(items, store)
    with provided(provider, mpps.Provider(changed=provider.changed)) as assoc:
        first, second, _ = worklist.find(assoc)
        step = begun(assoc, second)
        assert len(worklist.find(assoc)) == 3
        step.complete(end())
        assert [item.StudyInstanceUID for item in worklist.find(assoc)] == ["1.2.3", "1.2.4"]
        assert provider.removed() == [("1.2.3", "S2")]
        begun(assoc, first).discontinue(end())
        assert len(worklist.find(assoc)) == 2
    if store is not None:
        store.close()
        provider = worklist.Provider(items, SQLiteStore(tmp_path / "worklist"))
        with provided(provider) as assoc:
            assert len(worklist.find(assoc)) == 2
    assert not provider.restore("1.2.3", "S1")
    assert provider.restore("1.2.3", "S2")
    assert provider.removed() == []
    with provided(provider) as assoc:
        assert len(worklist.find(assoc)) == 3
    provider.store.close()


def test_a_step_that_was_not_scheduled_removes_nothing() -> None:
    provider = worklist.Provider([scheduled("1.2.3", "")])
    with provided(provider, mpps.Provider(changed=provider.changed)) as assoc:
        [item] = worklist.find(assoc)
        step = begun(assoc, item)
        step.complete(end())
        assert provider.removed() == []
        assert len(worklist.find(assoc)) == 1


# The SCU


def test_a_performed_step_has_what_the_item_says() -> None:
    item = scheduled("1.2.3", "S1")
    item.SpecificCharacterSet = "ISO_IR 100"
    made = worklist.performed(item)
    assert made.SpecificCharacterSet == "ISO_IR 100"
    assert (made.PatientName, made.PatientID, made.Modality) == ("Müller^Jörg", "one", "CT")
    [step] = made.ScheduledStepAttributesSequence
    assert (step.StudyInstanceUID, step.ScheduledProcedureStepID) == ("1.2.3", "S1")
    assert (step.AccessionNumber, step.RequestedProcedureID) == ("one", "one")
    for steps in ((), ("S1", "S2")):
        with pytest.raises(ValueError, match="one scheduled procedure step"):
            worklist.performed(scheduled("1.2.3", *steps))


def test_all_is_asked_for(assoc: Any) -> None:
    for number, item in enumerate(worklist.find(assoc)):
        for path, row in KEYS:
            assert value_at(item, path) == value_of(row, number)


def test_an_answer_that_is_not_complete(assoc: Any) -> None:
    with pytest.raises(Refused, match="a query of the worklist: answered with 0xA900 \\("):
        worklist.find(assoc, keys_of((STEPS,), [Dataset(), Dataset()]))


def test_another_query_model_is_not_served() -> None:
    scp, scu = AE("RIS"), AE("CT1")
    uid = PatientRootQueryRetrieveInformationModelFind
    scp.add_supported_context(uid)
    scu.add_requested_context(uid)
    server = serve(scp, evt_handlers=handlers(worklist.Provider([])))
    with scu.associate("127.0.0.1", server.server_address[1]) as assoc:
        keys = keys_of(("PatientID",), "")
        keys.QueryRetrieveLevel = "PATIENT"
        [(status, item)] = assoc.send_c_find(keys, uid)
    server.shutdown()
    assert (status.Status, item) == (0x0211, None)
    assert evt.EVT_C_FIND in dict(handlers(worklist.Provider([])))
