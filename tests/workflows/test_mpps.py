"""pynetdicom.workflows.mpps: each row of the table and each state, both sides."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import generate_uid

from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepRetrieve,
)
from pynetdicom.workflows import mpps
from pynetdicom.workflows.attributes import Row, check, fill, table
from pynetdicom.workflows.providing import Refused, handlers
from pynetdicom.workflows.stores import MemoryStore, SQLiteStore, Store
from tests.pair import associated

MPPS = ModalityPerformedProcedureStep
ROWS = table("mpps")
VALUES = {
    "AE": "CT_ROOM",
    "CS": "CT",
    "DA": "20261129",
    "DS": "1",
    "LO": "text",
    "PN": "A^B",
    "SH": "1",
    "ST": "text",
    "TM": "1015",
    "UI": "1.2.3",
    "US": 1,
    "UT": "text",
}


def value_of(row: Row) -> Any:
    from pydicom.datadict import dictionary_VR

    vr = dictionary_VR(row.tag)
    if row.keyword == "PerformedProcedureStepStatus":
        return "IN PROGRESS"
    if row.keyword == "SpecificCharacterSet":
        return "ISO_IR 100"
    return [full(row.items)] if vr == "SQ" else VALUES[vr]


def full(rows: Any = ROWS, operation: str = "n_create") -> Dataset:
    """A data set with all attributes that an operation may have."""
    made = Dataset()
    for row in rows:
        if row.types[operation] != "-":
            setattr(made, row.keyword, value_of(row))
    return made


def change(**elements: Any) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


@contextmanager
def provided(provider: mpps.Provider, syntax: str | None = None) -> Iterator[Any]:
    """An association to an SCP of steps."""
    scp, scu = AE("RIS"), AE("CT_ROOM")
    for uid in (MPPS, ModalityPerformedProcedureStepRetrieve):
        scp.add_supported_context(uid)
        scu.add_requested_context(uid, syntax)
    with associated(scp, scu, handlers(provider)) as assoc:
        yield assoc


@pytest.fixture(scope="module")
def provider() -> mpps.Provider:
    return mpps.Provider()


@pytest.fixture(scope="module")
def assoc(provider: mpps.Provider) -> Iterator[Any]:
    with provided(provider) as made:
        yield made


def paths(rows: Any = ROWS, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Row]]:
    for row in rows:
        yield (*before, row.keyword), row
        yield from paths(row.items, (*before, row.keyword))


PATHS = list(paths())


def place(data_set: Dataset, path: tuple[str, ...]) -> Dataset:
    """The data set, or item, that the last one of a path is in."""
    for keyword in path[:-1]:
        data_set = data_set[keyword].value[0]
    return data_set


def tags(status: Dataset) -> list[int]:
    value = status.AttributeIdentifierList
    return [int(value)] if isinstance(value, int) else [int(tag) for tag in value]


@pytest.mark.parametrize(("path", "row"), PATHS, ids=[".".join(path) for path, _ in PATHS])
def test_an_attribute_of_a_new_step(path: tuple[str, ...], row: Row, assoc: Any) -> None:
    kind = row.types["n_create"]
    sent = full()
    del place(sent, path)[path[-1]]
    status, reply = assoc.send_n_create(sent, MPPS, generate_uid(prefix=None))
    if kind in ("1", "2"):
        assert (status.Status, tags(status)) == (0x0120, [row.tag])
    else:
        assert status.Status == 0x0000

    sent = full()
    setattr(place(sent, path), path[-1], None)
    status, reply = assoc.send_n_create(sent, MPPS, generate_uid(prefix=None))
    if kind[0] == "1" and row.keyword != "SpecificCharacterSet":
        assert status.Status == 0x0121
        assert [element.tag for element in reply] == [row.tag]
    else:
        assert status.Status == 0x0000


def wrong(data_set: Dataset, path: tuple[str, ...], row: Row) -> None:
    """Have the last one of a path be of another kind: no sequence, or one."""
    at = place(data_set, path)
    del at[path[-1]]
    if row.is_sequence:
        at.add_new(row.tag, "LO", "text")
    else:
        at.add_new(row.tag, "SQ", [Dataset()])


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_a_wrong_attribute_at_creation_and_as_it_is_set(syntax: str, provider: Any) -> None:
    """Each row of the table; the attribute is named, and nothing is changed."""
    with provided(provider, syntax) as assoc:
        for path, row in PATHS:
            if syntax == "1.2.840.10008.1.2" and not row.is_sequence:
                continue  # the bytes do not say of which VR it is
            sent, uid = full(), generate_uid(prefix=None)
            wrong(sent, path, row)
            status, reply = assoc.send_n_create(sent, MPPS, uid)
            if row.keyword == "SpecificCharacterSet":  # without which nothing can be decoded
                assert status.Status == 0x0110
                continue
            assert (status.Status, [one.tag for one in reply]) == (0x0106, [row.tag]), path
            assert provider.get(uid) is None
            top = next(one for one in ROWS if one.keyword == path[0])
            if top.types["n_set"] == "-" or row.types["n_set"] == "-":
                continue
            assert assoc.send_n_create(full(), MPPS, uid)[0].Status == 0x0000
            before, sent = provider.get(uid), Dataset()
            sent[path[0]] = full()[path[0]]
            wrong(sent, path, row)
            status, reply = assoc.send_n_set(sent, MPPS, uid)
            assert (status.Status, [one.tag for one in reply]) == (0x0106, [row.tag]), path
            assert provider.get(uid) == before


@pytest.mark.parametrize("row", [row for row in ROWS if row.types["n_set"] != "-"])
def test_a_wrong_attribute_in_the_final_state(row: Row, assoc: Any) -> None:
    uid = generate_uid(prefix=None)
    assert assoc.send_n_create(full(), MPPS, uid)[0].Status == 0x0000
    sent = change(PerformedProcedureStepStatus="COMPLETED")
    if row.keyword == "PerformedProcedureStepStatus":
        sent.PerformedProcedureStepStatus = "DONE"
    elif row.is_sequence:
        sent[row.keyword] = full()[row.keyword]
        wrong(sent, (row.keyword,), row)
    else:  # of those that are no sequences any text will do
        return
    status, reply = assoc.send_n_set(sent, MPPS, uid)
    assert (status.Status, [one.tag for one in reply]) == (0x0106, [row.tag])


@pytest.mark.parametrize(("path", "row"), PATHS, ids=[".".join(path) for path, _ in PATHS])
def test_an_attribute_that_is_set(path: tuple[str, ...], row: Row, assoc: Any) -> None:
    uid = generate_uid(prefix=None)
    assert assoc.send_n_create(full(), MPPS, uid)[0].Status == 0x0000
    top = full()[path[0]]
    kind = next(one for one in ROWS if one.keyword == path[0]).types["n_set"]
    sent = Dataset()
    sent[path[0]] = deepcopy(top)
    status, _ = assoc.send_n_set(sent, MPPS, uid)
    if kind == "-":
        assert (status.Status, tags(status)[0]) == (0x0105, Tag(path[0]))
        return
    assert status.Status == 0x0000
    if len(path) == 1:
        return
    del place(sent, path)[path[-1]]
    status, _ = assoc.send_n_set(sent, MPPS, uid)
    assert status.Status == (0x0120 if row.types["n_set"] in ("1", "2") else 0x0000)


FINAL = [row for row in ROWS if row.types["final"] == "1"]


@pytest.mark.parametrize("row", FINAL, ids=lambda row: row.keyword)
@pytest.mark.parametrize("state", [mpps.COMPLETED, mpps.DISCONTINUED])
def test_an_attribute_of_a_final_state(row: Row, state: str, assoc: Any) -> None:
    uid = generate_uid(prefix=None)
    created = full()
    if row.keyword != "PerformedProcedureStepStatus":
        setattr(created, row.keyword, None)
    assert assoc.send_n_create(created, MPPS, uid)[0].Status == 0x0000
    end = change(PerformedProcedureStepStatus=state)
    status, reply = assoc.send_n_set(end, MPPS, uid)
    if row.keyword == "PerformedProcedureStepStatus":
        assert status.Status == 0x0000
        return
    assert status.Status == 0x0121
    assert [element.tag for element in reply] == [row.tag]
    setattr(end, row.keyword, value_of(row))
    assert assoc.send_n_set(end, MPPS, uid)[0].Status == 0x0000


STATES = (None, mpps.IN_PROGRESS, mpps.COMPLETED, mpps.DISCONTINUED)
NO_LONGER = 0x0110
CELLS = {
    # operation: status in each of the states; then what the state is
    "create": (0x0000, 0x0111, 0x0111, 0x0111),
    "create COMPLETED": (0x0106, 0x0111, 0x0111, 0x0111),
    "set": (0x0112, 0x0000, NO_LONGER, NO_LONGER),
    "set IN PROGRESS": (0x0112, 0x0000, NO_LONGER, NO_LONGER),
    "set COMPLETED": (0x0112, 0x0000, NO_LONGER, NO_LONGER),
    "set DISCONTINUED": (0x0112, 0x0000, NO_LONGER, NO_LONGER),
    "set DONE": (0x0112, 0x0106, NO_LONGER, NO_LONGER),
    "set nothing": (0x0112, 0x0106, NO_LONGER, NO_LONGER),
    "get": (0x0112, 0x0000, 0x0000, 0x0000),
}


def do(assoc: Any, operation: str, uid: str) -> Dataset:
    what, _, state = operation.partition(" ")
    if what == "get":
        status, _ = assoc.send_n_get([], ModalityPerformedProcedureStepRetrieve, uid)
    elif what == "create":
        sent = full()
        sent.PerformedProcedureStepStatus = state or mpps.IN_PROGRESS
        status, _ = assoc.send_n_create(sent, MPPS, uid)
    else:
        sent = change(PerformedProcedureStepDescription="another")
        if state:
            sent.PerformedProcedureStepStatus = "" if state == "nothing" else state
        status, _ = assoc.send_n_set(sent, MPPS, uid)
    assert isinstance(status, Dataset)
    return status


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("operation", CELLS)
def test_a_cell_of_the_state_table(
    operation: str, state: str | None, assoc: Any, provider: mpps.Provider
) -> None:
    uid = generate_uid(prefix=None)
    if state is not None:
        assert do(assoc, "create", uid).Status == 0x0000
    if state not in (None, mpps.IN_PROGRESS):
        assert do(assoc, f"set {state}", uid).Status == 0x0000
    before = provider.get(uid)
    status = do(assoc, operation, uid)
    assert status.Status == CELLS[operation][STATES.index(state)]
    if status.Status == NO_LONGER:
        assert status.ErrorID == 0xA710
        assert status.ErrorComment == "Performed Procedure Step Object may no longer be updated"
    if status.Status != 0x0000:
        assert provider.get(uid) == before


class Model:
    """The states alone, of several steps."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}

    def do(self, operation: str, uid: str) -> int:
        state = self.states.get(uid)
        code = CELLS[operation][STATES.index(state)]
        what, _, new = operation.partition(" ")
        if code == 0x0000 and what != "get":
            self.states[uid] = new or state or mpps.IN_PROGRESS
        return code


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_random_sequences_against_a_model(store: str, tmp_path: Path) -> None:
    kept: Store = MemoryStore() if store == "memory" else SQLiteStore(tmp_path / "steps")
    random.seed(7)
    provider, model = mpps.Provider(kept), Model()
    uids = [generate_uid(prefix=None) for _ in range(40)]
    with provided(provider) as assoc:
        for _ in range(600):
            uid, operation = random.choice(uids), random.choice(list(CELLS))
            assert do(assoc, operation, uid).Status == model.do(operation, uid), operation
    states = {uid: step.PerformedProcedureStepStatus for uid, step in provider.steps()}
    assert states == model.states
    kept.close()


class Direct:
    """Asks a provider as an association does, without a network."""

    def __init__(self, provider: mpps.Provider) -> None:
        self._handlers: Any = provider.handlers

    def _ask(self, event: Any, side: str, uid: str, **more: Any) -> Any:
        return self._handlers[event](
            SimpleNamespace(
                request=SimpleNamespace(**{f"{side}SOPInstanceUID": uid}),
                context=SimpleNamespace(abstract_syntax=ModalityPerformedProcedureStepRetrieve),
                **more,
            )
        )

    def send_n_create(self, sent: Dataset, class_uid: str, uid: str) -> Any:
        return self._ask(evt.EVT_N_CREATE, "Affected", uid, attribute_list=sent)

    def send_n_set(self, sent: Dataset, class_uid: str, uid: str) -> Any:
        return self._ask(evt.EVT_N_SET, "Requested", uid, modification_list=sent)

    def send_n_get(self, tags: list[int], class_uid: str, uid: str) -> Any:
        return self._ask(evt.EVT_N_GET, "Requested", uid, attribute_identifiers=tags)


SEQUENCES = int(os.environ.get("PYNETDICOM_MPPS", "500"))
LONGEST = 8


def test_many_random_sequences_without_a_network() -> None:
    """As many as ``PYNETDICOM_MPPS`` says; the answers, the states, and who is told."""
    random.seed(SEQUENCES)
    told: list[tuple[str, int]] = []
    provider = mpps.Provider(changed=lambda uid, step, event: told.append((uid, event)))
    assoc, model = Direct(provider), Model()
    events = {mpps.IN_PROGRESS: 1, mpps.COMPLETED: 2, mpps.DISCONTINUED: 3}
    for number in range(SEQUENCES):
        uids = [f"1.2.{number}.1", f"1.2.{number}.2"]
        wanted: list[tuple[str, int]] = []
        for _ in range(random.randint(1, LONGEST)):
            uid, operation = random.choice(uids), random.choice(list(CELLS))
            before = model.states.get(uid)
            code = model.do(operation, uid)
            assert do(assoc, operation, uid).Status == code, operation
            if code == 0x0000 and operation != "get":
                after = model.states[uid]
                wanted.append((uid, 4 if after == before else events[after]))
        states = {uid: step.PerformedProcedureStepStatus for uid, step in provider.steps()}
        assert states == model.states
        for uid in uids:  # of steps that have ended there is no more to learn
            assert provider.delete(uid) == (uid in model.states)
            if model.states.pop(uid, None):
                wanted.append((uid, 5))
        assert told == wanted
        told.clear()


# The SCU


def test_a_step_from_its_beginning_to_its_end(assoc: Any, provider: mpps.Provider) -> None:
    sent = full()
    for row in ROWS:
        if row.types["n_create"] == "2":
            del sent[row.keyword]
    step = mpps.begin(assoc, sent)
    assert step.status.Status == 0x0000
    step.update(change(PerformedProcedureStepDescription="Müller"))
    with pytest.raises(ValueError, match="PerformedProcedureStepEndDate"):
        step.complete()
    series = change(SeriesInstanceUID="1.2.7", ProtocolName="Head")
    step.complete(
        change(
            PerformedProcedureStepEndDate="20261129",
            PerformedProcedureStepEndTime="1030",
            PerformedSeriesSequence=[series],
        )
    )
    kept = provider.get(step.uid)
    assert kept is not None
    assert kept.PerformedProcedureStepStatus == "COMPLETED"
    assert kept.PerformedProcedureStepDescription == "Müller"
    assert kept.PerformedSeriesSequence[0].OperatorsName == ""
    assert "OperatorsName" not in series
    assert mpps.get(assoc, step.uid, ["PatientID"]).PatientID == ""
    with pytest.raises(ValueError, match="may no longer be updated"):
        step.discontinue()


def test_the_data_set_of_the_caller_stays_as_it_is(assoc: Any) -> None:
    sent = full()
    sent.PerformedProcedureStepStatus = "COMPLETED"
    del sent.ScheduledStepAttributesSequence[0].AccessionNumber
    before, end = deepcopy(sent), change(PerformedProcedureStepStatus="DISCONTINUED")
    step = mpps.begin(assoc, sent)
    step.complete(end)
    assert sent == before
    assert end == change(PerformedProcedureStepStatus="DISCONTINUED")


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        (change(PatientName="Other"), "not to be set.*: PatientName"),
        (change(StationName="CT1"), "not to be set.*: StationName"),
        (
            change(PerformedProcedureStepStatus="DONE"),
            "with a value that it cannot have: PerformedProcedureStepStatus",
        ),
        (
            change(PerformedSeriesSequence=[Dataset()]),
            "missing: ProtocolName, SeriesInstanceUID",
        ),
    ],
)
def test_what_cannot_be_set_is_not_sent(attributes: Dataset, text: str, assoc: Any) -> None:
    step = mpps.begin(assoc, full())
    before = step.status.message_id
    with pytest.raises(ValueError, match=text):
        step.update(attributes)
    assert assoc.send_n_get([], ModalityPerformedProcedureStepRetrieve, step.uid)[0].message_id in (
        before + 1,
        1,
    )


def test_a_step_is_gone_on_with(assoc: Any, provider: mpps.Provider) -> None:
    """By another process, which knows of it no more than its UID, or all."""
    step = mpps.begin(assoc, full())
    again = mpps.resume(assoc, step.uid)
    again.update(change(PerformedProcedureStepDescription="other"))
    assert again.attributes is None
    with pytest.raises(ValueError, match="PatientID"):  # which never can be set
        again.update(change(PatientID="2"))
    with pytest.raises(Refused, match="0x0105"):  # which the peer knows only
        again.update(change(PerformedStationGeographicLocationCodeSequence=[], Occupation="none"))
    known = mpps.resume(assoc, step.uid, step.attributes)
    with pytest.raises(ValueError, match="Occupation"):
        known.update(change(Occupation="none"))
    again.complete()
    stored = provider.get(step.uid)
    assert stored is not None
    assert stored.PerformedProcedureStepStatus == "COMPLETED"
    assert stored.PerformedProcedureStepDescription == "other"
    with pytest.raises(Refused, match="0x0110"):
        known.complete()


def test_what_cannot_begin_is_not_sent(assoc: Any) -> None:
    with pytest.raises(ValueError, match=r"ScheduledStepAttributesSequence.*Modality"):
        mpps.begin(assoc, Dataset())


def test_the_peer_refuses(assoc: Any) -> None:
    step = mpps.begin(assoc, full())
    with pytest.raises(Refused, match=r"N-CREATE of a performed procedure step: .*0x0111"):
        mpps.begin(assoc, full(), step.uid)
    with pytest.raises(Refused, match="0x0112") as caught:
        mpps.get(assoc, "1.2.3")
    assert caught.value.status.Status == 0x0112
    assoc.send_n_set(
        change(PerformedProcedureStepStatus="DISCONTINUED"), MPPS, step.uid
    )  # by somebody else
    with pytest.raises(Refused) as caught:
        step.update(change(PerformedProcedureStepDescription="late"))
    assert caught.value.status.ErrorID == 0xA710


# The application


def test_the_application_decides_and_is_told() -> None:
    told: list[Any] = []

    def decide(event: Any, step: Dataset) -> Any:
        if step.PerformedProcedureStepDescription == "no":
            return 0x0124, None
        step.CommentsOnThePerformedProcedureStep = event.assoc.requestor.ae_title
        step.PatientName = "Müller^Jörg"
        return 0x0107 if step.PerformedProcedureStepDescription == "partly" else 0x0000

    provider = mpps.Provider(decide=decide, changed=lambda *what: told.append(what))
    with provided(provider) as assoc:
        step = mpps.begin(assoc, full())
        with pytest.raises(Refused) as caught:
            step.update(change(PerformedProcedureStepDescription="no"))
        assert caught.value.status.Status == 0x0124
        step.update(change(PerformedProcedureStepDescription="yes"))
        assert step.status.Status == 0x0000
        step.update(change(PerformedProcedureStepDescription="partly"))
        assert step.status.Status == 0x0107
        step.complete()
        assert provider.delete(step.uid)
        assert not provider.delete(step.uid)
        lost = mpps.begin(assoc, full())
        assert provider.discontinue(lost.uid, Dataset())
        assert not provider.discontinue(lost.uid, Dataset())
        with pytest.raises(KeyError):
            provider.discontinue(step.uid, Dataset())
    assert [(uid, event) for uid, _, event in told] == [
        *((step.uid, event) for event in (1, 4, 4, 2, 5)),
        *((lost.uid, event) for event in (1, 3)),
    ]
    assert told[1][1].CommentsOnThePerformedProcedureStep == "CT_ROOM"
    assert told[1][1].PatientName == "Müller^Jörg"


def test_a_name_that_is_set_arrives_as_it_is(assoc: Any, provider: mpps.Provider) -> None:
    created = full()
    created.SpecificCharacterSet = "ISO_IR 100"
    created.PatientName = "Müller^Jörg"
    step = mpps.begin(assoc, created)
    series = full(next(row.items for row in ROWS if row.keyword == "PerformedSeriesSequence"))
    series.OperatorsName = ["Weiß^Zoë", "Citizen^Jan"]
    step.update(change(PerformedSeriesSequence=[series]))
    kept = provider.get(step.uid)
    assert kept is not None
    assert kept.PatientName == "Müller^Jörg"
    assert kept.PerformedSeriesSequence[0].OperatorsName == ["Weiß^Zoë", "Citizen^Jan"]


def test_many_at_once_change_one_step() -> None:
    """Each of their changes is there in the end, or was refused since the step had ended."""
    provider = mpps.Provider()
    keywords = (
        "PerformedProcedureStepDescription",
        "PerformedProcedureTypeDescription",
        "PerformedProcedureStepEndTime",
        "CommentsOnThePerformedProcedureStep",
    )
    with provided(provider) as assoc:
        step = mpps.begin(assoc, full())
        with provided(mpps.Provider(provider.store)) as other:

            def work(keyword: str, one: Any) -> None:
                for number in range(20):
                    sent = change(**{keyword: f"1015{number:02}"[-6:]})
                    assert one.send_n_set(sent, MPPS, step.uid)[0].Status == 0x0000

            threads = [
                threading.Thread(target=work, args=(keyword, one))
                for keyword, one in zip(keywords, (assoc, other) * 2, strict=False)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    kept = provider.get(step.uid)
    assert kept is not None
    assert {str(kept[keyword].value) for keyword in keywords} == {"101519"}


def test_the_table_is_the_standards() -> None:
    assert sum(1 for _ in PATHS) == 77
    made = Dataset()
    fill(made, ROWS, "n_create")
    assert all(row.types["n_create"] == "2" for row in ROWS if row.tag in made)
    assert check(full(), ROWS, "n_create") == ([], [], [], [])
