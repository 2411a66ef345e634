"""pynetdicom.workflows.availability: each row of the table, both sides."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from pynetdicom import AE
from pynetdicom.sop_class import InstanceAvailabilityNotification
from pynetdicom.workflows import availability
from pynetdicom.workflows.attributes import Row, table
from pynetdicom.workflows.providing import Refused, handlers
from pynetdicom.workflows.stores import SQLiteStore
from tests.examples.conftest import pydicom_file
from tests.pair import associated

IAN = InstanceAvailabilityNotification
ROWS = table("ian")
VALUES = {
    "AE": "ARCHIVE",
    "CS": "ONLINE",
    "DA": "20261129",
    "DT": "20261129",
    "IS": "1",
    "LO": "text",
    "LT": "text",
    "SH": "text",
    "ST": "text",
    "TM": "1015",
    "UI": "1.2.3",
    "UR": "https://archive.example/1",
    "UT": "https://archive.example/1",
}


def value_of(row: Row) -> Any:
    vr = dictionary_VR(row.tag)
    if row.keyword == "SpecificCharacterSet":
        return "ISO_IR 100"
    if row.keyword == "TimezoneOffsetFromUTC":
        return "+0100"
    return [full(row.items)] if vr == "SQ" else VALUES[vr]


def full(rows: Any = ROWS) -> Dataset:
    """A data set with all attributes of a notification."""
    made = Dataset()
    for row in rows:
        setattr(made, row.keyword, value_of(row))
    return made


@contextmanager
def provided(provider: availability.Provider) -> Iterator[Any]:
    """An association to an SCP of notifications."""
    scp, scu = AE("RIS"), AE("ARCHIVE")
    scp.add_supported_context(IAN)
    scu.add_requested_context(IAN)
    with associated(scp, scu, handlers(provider)) as assoc:
        yield assoc


@pytest.fixture(scope="module")
def assoc() -> Iterator[Any]:
    with provided(availability.Provider()) as made:
        yield made


def paths(rows: Any = ROWS, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Row]]:
    for row in rows:
        yield (*before, row.keyword), row
        yield from paths(row.items, (*before, row.keyword))


PATHS = list(paths())
LEVELS = [path for path, row in PATHS if row.items]


def place(data_set: Dataset, path: tuple[str, ...]) -> Dataset:
    for keyword in path:
        data_set = data_set[keyword].value[0]
    return data_set


def tell(assoc: Any, sent: Dataset) -> tuple[Dataset, Dataset | None]:
    status, reply = assoc.send_n_create(sent, IAN, generate_uid(prefix=None))
    return status, reply


@pytest.mark.parametrize(("path", "row"), PATHS, ids=[".".join(path) for path, _ in PATHS])
def test_an_attribute_that_is_absent_empty_or_there(
    path: tuple[str, ...], row: Row, assoc: Any
) -> None:
    kind = row.types["n_create"]
    sent = full()
    del place(sent, path[:-1])[path[-1]]
    status, _ = tell(assoc, sent)
    if kind in ("1", "2"):
        assert (status.Status, status.AttributeIdentifierList) == (0x0120, row.tag)
    else:
        assert status.Status == 0x0000

    sent = full()
    setattr(place(sent, path[:-1]), path[-1], None)
    status, reply = tell(assoc, sent)
    if kind == "1":
        assert status.Status == 0x0121
        assert reply is not None
        assert [element.tag for element in reply] == [row.tag]
    else:
        assert status.Status == 0x0000
    assert tell(assoc, full())[0].Status == 0x0000


@pytest.mark.parametrize("path", [(), *LEVELS], ids=lambda path: ".".join(path) or "top")
@pytest.mark.parametrize("tag", [0x00100010, 0x00181030, 0x00091001])
def test_what_is_not_in_the_table_is_forbidden(path: tuple[str, ...], tag: int, assoc: Any) -> None:
    sent = full()
    place(sent, path).add_new(tag, "LO", "text")
    status, _ = tell(assoc, sent)
    assert (status.Status, status.AttributeIdentifierList) == (0x0105, tag)
    with pytest.raises(ValueError, match="not of a notification: "):
        availability.notify(assoc, sent)


def test_the_length_of_a_group_is_no_attribute(assoc: Any) -> None:
    sent = full()
    sent.add_new(0x00080000, "UL", 0)
    assert tell(assoc, sent)[0].Status == 0x0000


@pytest.mark.parametrize("value", availability.AVAILABILITIES)
def test_what_instance_availability_may_be(value: str, assoc: Any) -> None:
    sent = full()
    instance = place(sent, ("ReferencedSeriesSequence", "ReferencedSOPSequence"))
    instance.InstanceAvailability = value
    assert tell(assoc, sent)[0].Status == 0x0000
    instance.InstanceAvailability = value.lower()
    status, reply = tell(assoc, sent)
    assert status.Status == 0x0106
    assert reply is not None
    assert reply.InstanceAvailability == value.lower()


@pytest.mark.parametrize("keyword", availability.AT_MOST_ONE)
def test_of_what_there_is_at_most_one(keyword: str, assoc: Any) -> None:
    sent = full()
    step = place(sent, ("ReferencedPerformedProcedureStepSequence",))
    holder = sent if keyword in sent else step
    holder[keyword].value.append(holder[keyword].value[0])
    status, reply = tell(assoc, sent)
    assert status.Status == 0x0106
    assert reply is not None
    assert keyword in reply


def test_there_may_be_many_series_and_instances(assoc: Any) -> None:
    sent = full()
    series = sent.ReferencedSeriesSequence
    series[0].ReferencedSOPSequence.append(series[0].ReferencedSOPSequence[0])
    series.append(series[0])
    assert tell(assoc, sent)[0].Status == 0x0000


# The SCU


CT, MR = pydicom_file("CT_small.dcm"), pydicom_file("MR_small.dcm")


def test_a_notification_of_files() -> None:
    other, ct = Dataset(), dcmread(CT)
    for keyword in ("SOPClassUID", "StudyInstanceUID"):
        other[keyword] = ct[keyword]
    other.SeriesInstanceUID, other.SOPInstanceUID = "1.2.3", "1.2.4"
    provider = availability.Provider()
    with provided(provider) as assoc:
        made = availability.notification_of([CT, other, ct], "ARCHIVE", step="1.2.3.4")
        assert availability.notify(assoc, made, "1.2.5").Status == 0x0000
        with pytest.raises(Refused, match=r"an instance availability notification: .*0x0111"):
            availability.notify(assoc, made, "1.2.5")
    [(uid, kept)] = provider.notifications()
    assert uid == "1.2.5"
    assert kept.StudyInstanceUID == ct.StudyInstanceUID
    [step] = kept.ReferencedPerformedProcedureStepSequence
    assert step.ReferencedSOPInstanceUID == "1.2.3.4"
    assert step.PerformedWorkitemCodeSequence == []
    assert [
        [one.ReferencedSOPInstanceUID for one in series.ReferencedSOPSequence]
        for series in kept.ReferencedSeriesSequence
    ] == [[ct.SOPInstanceUID] * 2, ["1.2.4"]]
    [instance] = kept.ReferencedSeriesSequence[1].ReferencedSOPSequence
    assert (instance.InstanceAvailability, instance.RetrieveAETitle) == ("ONLINE", "ARCHIVE")


@pytest.mark.parametrize("instances", [[], [CT, MR]])
def test_a_notification_is_of_one_study(instances: list[Path]) -> None:
    with pytest.raises(ValueError, match="of one study, and not of"):
        availability.notification_of(instances, "ARCHIVE")


def test_an_instance_has_its_uids() -> None:
    header = dcmread(CT, stop_before_pixels=True)
    del header.SeriesInstanceUID
    with pytest.raises(ValueError, match="an instance without SeriesInstanceUID"):
        availability.notification_of([header], "ARCHIVE")


def test_what_is_not_whole_is_not_sent(assoc: Any) -> None:
    with pytest.raises(ValueError, match="StudyInstanceUID, ReferencedSeriesSequence"):
        availability.notify(assoc, Dataset())
    made = availability.notification_of([CT], "ARCHIVE", "SOMEWHERE")
    with pytest.raises(ValueError, match="InstanceAvailability"):
        availability.notify(assoc, made)
    with pytest.raises(ValueError, match="RetrieveAETitle"):
        availability.notify(assoc, availability.notification_of([CT], ""))


# The application


def test_the_application_decides_and_is_told(tmp_path: Path) -> None:
    told: list[Any] = []

    def decide(event: Any, notification: Dataset) -> Any:
        return (0x0124, None) if notification.StudyInstanceUID == "1.2" else None

    store = SQLiteStore(tmp_path / "notifications")
    provider = availability.Provider(store, decide=decide, notified=lambda *what: told.append(what))
    with provided(provider) as assoc:
        made = full()
        availability.notify(assoc, made, "1.2.3")
        made.StudyInstanceUID = "1.2"
        with pytest.raises(Refused) as caught:
            availability.notify(assoc, made, "1.2.4")
        assert caught.value.status.Status == 0x0124
    assert [uid for uid, _ in told] == ["1.2.3"]
    store.close()
    again = SQLiteStore(tmp_path / "notifications")
    provider = availability.Provider(again)
    assert [uid for uid, _ in provider.notifications()] == ["1.2.3"]
    assert provider.delete("1.2.3")
    assert not provider.delete("1.2.3")
    again.close()


def test_of_two_that_create_one_only_one_does() -> None:
    both = threading.Barrier(2)
    provider = availability.Provider(decide=lambda *_: both.wait(60) * 0)
    found = []

    def create(assoc: Any) -> None:
        status, _ = assoc.send_n_create(full(), IAN, "1.2.3")
        found.append(status.Status)

    with provided(provider) as one, provided(provider) as other:
        threads = [threading.Thread(target=create, args=(each,)) for each in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(found) == [0x0000, 0x0111]


def test_the_scp_names_what_the_scu_does_not() -> None:
    provider = availability.Provider()
    with provided(provider) as assoc:
        status, _ = assoc.send_n_create(full(), IAN)
        assert status.Status == 0x0000
        assert [uid for uid, _ in provider.notifications()] == [status.AffectedSOPInstanceUID]


def test_the_table_is_the_standards() -> None:
    assert len(PATHS) == 46
    assert [path for path, row in PATHS if row.types["n_create"] == "2"] == [
        ("ReferencedPerformedProcedureStepSequence",),
        ("ReferencedPerformedProcedureStepSequence", "PerformedWorkitemCodeSequence"),
    ]
    assert sum(row.types["n_create"] == "1" for _, row in PATHS) == 10


@pytest.mark.parametrize(
    ("decision", "status", "is_kept"),
    [
        (None, 0x0000, True),
        (0x0000, 0x0000, True),
        ((0x0107, None), 0x0107, True),
        (0x0124, 0x0124, False),
        ((0x0110, None), 0x0110, False),
        ("yes", 0xC002, False),
    ],
)
def test_what_a_decision_means(decision: Any, status: int, is_kept: bool) -> None:
    """What is answered as taken is kept, and nothing else."""
    provider = availability.Provider(decide=lambda *_: decision)
    with provided(provider) as assoc:
        assert tell(assoc, full())[0].Status == status
    assert bool(provider.notifications()) == is_kept
