"""pynetdicom.workflows.ups: each row of the attributes' table, each cell of the state table."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import generate_uid

from pynetdicom.sop_class import (
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepQuery,
    UnifiedProcedureStepWatch,
    UPSFilteredGlobalSubscriptionInstance,
    UPSGlobalSubscriptionInstance,
)
from pynetdicom.workflows import ups
from pynetdicom.workflows.attributes import Row, check, fill
from pynetdicom.workflows.providing import Refused
from pynetdicom.workflows.stores import MemoryStore, SQLiteStore, Store
from pynetdicom.workflows.ups_rules import new_step
from tests.peers import DEADLINE
from tests.workflows.ups_pair import (
    FULL,
    RIS,
    ROWS,
    Direct,
    at_once,
    canceled,
    code,
    copy_of_full,
    full,
    made,
    performed,
    ris,
    step,
    value_of,
)

CLAIMS = int(os.environ.get("PYNETDICOM_CLAIMS", "200"))
"""Steps for which several performers race; ``make test-ups`` has more."""

LONG = DEADLINE + CLAIMS
PUSH, PULL, WATCH = UnifiedProcedureStepPush, UnifiedProcedureStepPull, UnifiedProcedureStepWatch
MINE, OTHER = "1.2.3.1", "1.2.3.2"


def new_uid() -> str:
    return str(generate_uid(prefix=None))


@pytest.fixture(scope="module")
def office() -> Iterator[RIS]:
    with ris() as one:
        one.provide()
        yield one


@pytest.fixture(scope="module")
def provider(office: RIS) -> ups.Provider:
    return office.providers[0]


@pytest.fixture(scope="module")
def assoc(office: RIS) -> Iterator[Any]:
    with office.associate() as one:
        ups.push(one, step())  # a handler was called: all threads are there, and no test's
        yield one


def create(assoc: Any, sent: Dataset, uid: str | None = None) -> tuple[Dataset, Any]:
    answered: tuple[Dataset, Any] = assoc.send_n_create(sent, PUSH, uid or new_uid())
    return answered


def paths(rows: Any = ROWS, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Row]]:
    for row in rows:
        yield (*before, row.keyword), row
        yield from paths(row.items, (*before, row.keyword))


def place(data_set: Dataset, path: tuple[str, ...]) -> Dataset | None:
    """The data set, or item, that the last one of a path is in; None where there can be none."""
    for keyword in path[:-1]:
        items = data_set.get(keyword)
        if not items:
            return None
        data_set = items[0]
    return data_set


def tags(status: Dataset) -> list[int]:
    value = status.AttributeIdentifierList
    return [int(value)] if isinstance(value, int) else [int(tag) for tag in value]


PATHS = list(paths())
NAMES = [".".join(path) for path, _ in PATHS]
each_row = pytest.mark.parametrize(("path", "row"), PATHS, ids=NAMES)


@each_row
def test_an_attribute_of_a_new_step(path: tuple[str, ...], row: Row, assoc: Any) -> None:
    """Absent, empty, and where it must not be."""
    kind = row.types["n_create"]
    sent = copy_of_full()
    at = place(sent, path)
    if at is None or kind == "-":
        if len(path) == 2 and kind == "-":  # in an item of a sequence that has to be empty
            item = Dataset()
            setattr(item, path[1], [code()] if row.items or row.tag >> 16 == 0 else None)
            setattr(sent, path[0], [item])
            status, _ = create(assoc, sent)
            assert (status.Status, tags(status)) == (0x0105, [row.tag])
        return
    del at[path[-1]]
    status, _ = create(assoc, sent)
    if kind in ("1", "2"):
        assert (status.Status, tags(status)) == (0x0120, [row.tag])
    else:
        assert status.Status == 0x0000

    sent = copy_of_full()
    setattr(place(sent, path), path[-1], None)
    status, reply = create(assoc, sent)
    if kind[0] == "1" and row.keyword != "SpecificCharacterSet":
        assert status.Status == 0x0121
        assert [element.tag for element in reply] == [row.tag]
    else:
        assert status.Status == 0x0000


@each_row
def test_an_attribute_that_is_something_else(
    path: tuple[str, ...], row: Row, provider: ups.Provider
) -> None:
    """Text where a sequence has to be, and items where a value has to be."""
    sent, uid = copy_of_full(), new_uid()
    at = place(sent, path)
    if at is None or row.types["n_create"] == "-":
        return
    del at[path[-1]]
    at.add_new(row.tag, *(("LO", "text") if row.is_sequence else ("SQ", [code()])))
    status, reply = Direct(provider).send_n_create(sent, PUSH, uid)
    assert (status.Status, [one.tag for one in reply]) == (0x0106, [row.tag])
    assert provider.get(uid) is None


TO_SET = full(operation="n_set")


@each_row
def test_an_attribute_that_is_set(
    path: tuple[str, ...], row: Row, assoc: Any, scheduled: str
) -> None:
    """Of a step that is scheduled; alone, absent from its item, and empty."""
    top = next(one for one in ROWS if one.keyword == path[0])
    if top.types["n_set"] == "-":
        sent = Dataset()
        setattr(sent, path[0], value_of(top, "n_create"))
        status, _ = assoc.send_n_set(sent, PUSH, scheduled, meta_uid=PULL)
        assert (status.Status, tags(status)[0]) == (0x0105, Tag(path[0]))
        return
    sent = Dataset()
    sent[path[0]] = deepcopy(TO_SET[path[0]])
    status, _ = assoc.send_n_set(sent, PUSH, scheduled, meta_uid=PULL)
    assert status.Status == 0x0000
    kind = row.types["n_set"]
    at = place(sent, path)
    if at is None or kind == "-":
        return
    setattr(at, path[-1], None)
    status, reply = assoc.send_n_set(sent, PUSH, scheduled, meta_uid=PULL)
    if kind[0] == "1" and row.keyword != "SpecificCharacterSet":
        assert (status.Status, [one.tag for one in reply]) == (0x0121, [row.tag])
    else:
        assert status.Status == 0x0000
    if len(path) > 1:
        del at[path[-1]]
        status, _ = assoc.send_n_set(sent, PUSH, scheduled, meta_uid=PULL)
        assert status.Status == (0x0120 if kind in ("1", "2") else 0x0000)


@pytest.fixture(scope="module")
def scheduled(assoc: Any) -> str:
    return str(ups.push(assoc, step()))


WRONG = {
    "ProcedureStepState": ("IN PROGRESS", 0xC309),
    "ScheduledProcedureStepPriority": ("URGENT", 0x0106),
    "InputReadinessState": ("MAYBE", 0x0106),
    "TransactionUID": ("1.2.3", 0x0106),
    "SOPClassUID": ("1.2.3", 0x0106),
    "SOPInstanceUID": ("1.2.3", 0x0106),
}


@pytest.mark.parametrize("keyword", WRONG)
def test_a_wrong_value_of_a_new_step(keyword: str, assoc: Any, provider: ups.Provider) -> None:
    value, code_ = WRONG[keyword]
    sent, uid = copy_of_full(), new_uid()
    setattr(sent, keyword, value)
    status, reply = create(assoc, sent, uid)
    assert status.Status == code_
    if code_ == 0x0106:
        assert [(one.keyword, one.value) for one in reply] == [(keyword, value)]
    assert provider.get(uid) is None


@pytest.mark.parametrize("keyword", ["ScheduledProcedureStepPriority", "InputReadinessState"])
def test_a_wrong_value_that_is_set(keyword: str, assoc: Any, scheduled: str) -> None:
    sent = made(**{keyword: "MAYBE"})
    status, _ = assoc.send_n_set(sent, PUSH, scheduled, meta_uid=PULL)
    assert status.Status == 0x0106


def test_what_the_scp_sets(assoc: Any, provider: ups.Provider) -> None:
    uid = new_uid()
    sent = step(SOPInstanceUID=uid, SOPClassUID=PUSH, ProcedureStepState="SCHEDULED")
    fill(sent, ROWS, "n_create")
    assert create(assoc, sent, uid)[0].Status == 0x0000
    kept = provider.get(uid)
    assert kept is not None
    assert (kept.SOPClassUID, kept.SOPInstanceUID) == (PUSH, uid)
    assert kept.WorklistLabel == "WORKLIST"
    assert len(kept.ScheduledProcedureStepModificationDateTime) > 14
    assert "TransactionUID" not in kept
    # the moment of a change is the SCP's to say
    sent.ScheduledProcedureStepModificationDateTime = "20000101"
    del sent.SOPInstanceUID
    status, _ = create(assoc, sent)
    assert status.Status == 0xB300
    change = made(ScheduledProcedureStepModificationDateTime="20000101")
    status, _ = assoc.send_n_set(change, PUSH, uid, meta_uid=PULL)
    assert status.Status == 0xB305
    kept = provider.get(uid)
    assert kept is not None
    assert kept.ScheduledProcedureStepModificationDateTime > "20260101"


@pytest.mark.parametrize(
    "uid", [UPSGlobalSubscriptionInstance, UPSFilteredGlobalSubscriptionInstance]
)
def test_a_well_known_instance_is_no_step(uid: str, assoc: Any) -> None:
    assert create(assoc, copy_of_full(), uid)[0].Status == 0x0117
    with pytest.raises(Refused, match="0xC307"):
        ups.claim(assoc, uid)
    with pytest.raises(Refused, match="0xC307"):
        ups.get(assoc, uid)


def required(state: str) -> list[tuple[tuple[str, ...], Row]]:
    return [(path, row) for path, row in PATHS if row.types[state] in ("1", "2")]


@pytest.mark.parametrize(
    ("state", "path", "row"),
    [
        pytest.param(state, path, row, id=f"{state} {'.'.join(path)}")
        for state, column in ((ups.COMPLETED, "completed"), (ups.CANCELED, "canceled"))
        for path, row in required(column)
    ],
)
def test_an_attribute_of_a_final_state(
    state: str, path: tuple[str, ...], row: Row, assoc: Any
) -> None:
    final = performed() if state == ups.COMPLETED else canceled()
    own = ups.claim(assoc, ups.push(assoc, step()))
    if row.types["n_set"] != "-" and path[0] in final:
        at = place(final, path)
        assert at is not None
        held = deepcopy(at[path[-1]])
        del at[path[-1]]
        if len(path) > 1:
            # Of an item of others, there is one.
            own.set(final) if row.types["n_set"] not in ("1", "2") else None
        with pytest.raises(Refused, match="0xC304") as caught:
            ups_end(own, state)
        assert path[0 if row.types["n_set"] in ("1", "2") or len(path) == 1 else -1] in (
            caught.value.status.ErrorComment
        )
        at[path[-1]] = held
        own.set(final)
    else:  # from the beginning on, and never without a value
        own.set(final)
        if row.types["n_set"] != "-" and row.keyword in KEPT:
            with pytest.raises(Refused, match="0x0121"):
                own.set(made(**{row.keyword: None}))
    ups_end(own, state)


KEPT = {
    "ScheduledProcedureStepPriority",
    "ScheduledProcedureStepStartDateTime",
    "InputReadinessState",
}


def ups_end(own: ups.Performance, state: str) -> None:
    """Only change the state."""
    if state == ups.COMPLETED:
        own.complete()
    else:
        information = made(ProcedureStepState=state, TransactionUID=own.transaction_uid)
        status, reply = own._assoc.send_n_action(information, 1, PUSH, own.uid, meta_uid=PULL)
        if status.Status:
            raise Refused("the end", status, reply)


# The states, by PS3.4 Table CC.1.1-2

SHORT = new_step(step())
STATES = ("", ups.SCHEDULED, ups.IN_PROGRESS, ups.COMPLETED, ups.CANCELED)
# fmt: off
CELLS = {
    # operation: status in each of the states
    "create":            (0x0000, 0x0111, 0x0111, 0x0111, 0x0111),
    "create COMPLETED":  (0xC309, 0x0111, 0x0111, 0x0111, 0x0111),
    "IN PROGRESS mine":  (0xC307, 0x0000, 0xC302, 0xC300, 0xC300),
    "IN PROGRESS other": (0xC307, 0x0000, 0xC301, 0xC301, 0xC301),
    "IN PROGRESS none":  (0xC307, 0xC301, 0xC301, 0xC301, 0xC301),
    "SCHEDULED mine":    (0xC307, 0xC303, 0xC303, 0xC303, 0xC303),
    "SCHEDULED other":   (0xC307, 0xC303, 0xC303, 0xC303, 0xC303),
    "SCHEDULED none":    (0xC307, 0xC303, 0xC303, 0xC303, 0xC303),
    "COMPLETED mine":    (0xC307, 0xC310, 0x0000, 0xB306, 0xC300),
    "COMPLETED other":   (0xC307, 0xC310, 0xC301, 0xC301, 0xC301),
    "COMPLETED none":    (0xC307, 0xC301, 0xC301, 0xC301, 0xC301),
    "CANCELED mine":     (0xC307, 0xC310, 0x0000, 0xC300, 0xB304),
    "CANCELED other":    (0xC307, 0xC310, 0xC301, 0xC301, 0xC301),
    "CANCELED none":     (0xC307, 0xC301, 0xC301, 0xC301, 0xC301),
    "request":           (0xC307, 0x0000, 0x0000, 0xC311, 0xB304),
    "set mine":          (0xC307, 0xC310, 0x0000, 0xC300, 0xC300),
    "set other":         (0xC307, 0xC310, 0xC301, 0xC300, 0xC300),
    "set none":          (0xC307, 0x0000, 0xC301, 0xC300, 0xC300),
    "get":               (0xC307, 0x0000, 0x0000, 0x0000, 0x0000),
}
# fmt: on
UIDS = {"mine": MINE, "other": OTHER, "none": ""}


def do(assoc: Any, operation: str, uid: str) -> int:
    what, _, whose = operation.rpartition(" ") if " " in operation else (operation, "", "")
    if operation.startswith("create"):
        sent = deepcopy(SHORT)
        sent.ProcedureStepState = operation.partition(" ")[2] or ups.SCHEDULED
        status, _ = create(assoc, sent, uid)
    elif operation == "get":
        status, _ = assoc.send_n_get([], PUSH, uid, meta_uid=random.choice((PUSH, PULL, WATCH)))
    elif operation == "request":
        status, _ = assoc.send_n_action(None, 2, PUSH, uid, meta_uid=random.choice((PUSH, WATCH)))
    elif what == "set":
        sent = made(ProcedureStepLabel="another", **performed_and_canceled())
        if UIDS[whose]:
            sent.TransactionUID = UIDS[whose]
        status, _ = assoc.send_n_set(sent, PUSH, uid, meta_uid=PULL)
    else:
        sent = made(ProcedureStepState=what)
        if UIDS[whose]:
            sent.TransactionUID = UIDS[whose]
        status, _ = assoc.send_n_action(sent, 1, PUSH, uid, meta_uid=PULL)
    return int(status.Status)


def performed_and_canceled() -> dict[str, Any]:
    return {one.keyword: one.value for part in (performed(), canceled()) for one in part}


def bring(assoc: Any, uid: str, state: str) -> None:
    way = {
        "": (),
        ups.SCHEDULED: ("create",),
        ups.IN_PROGRESS: ("create", "IN PROGRESS mine"),
        ups.COMPLETED: ("create", "IN PROGRESS mine", "set mine", "COMPLETED mine"),
        ups.CANCELED: ("create", "IN PROGRESS mine", "set mine", "CANCELED mine"),
    }[state]
    for operation in way:
        assert do(assoc, operation, uid) == 0x0000


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("operation", CELLS)
def test_a_cell_of_the_state_table(
    operation: str, state: str, assoc: Any, provider: ups.Provider
) -> None:
    uid = new_uid()
    bring(assoc, uid, state)
    before = provider.get(uid)
    expected = CELLS[operation][STATES.index(state)]
    if state == ups.IN_PROGRESS and operation in ("COMPLETED mine", "CANCELED mine"):
        assert do(assoc, operation, uid) == 0xC304  # nothing of what it has to have is there
        assert do(assoc, "set mine", uid) == 0x0000
    assert do(assoc, operation, uid) == expected
    if expected or operation == "get":
        assert provider.get(uid) == before


class Model:
    """The states alone, and whose a step is."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self.owners: dict[str, str] = {}
        self.is_told: set[str] = set()

    def do(self, operation: str, uid: str) -> int:
        state = self.states.get(uid, "")
        what, _, whose = operation.rpartition(" ")
        owner = self.owners.get(uid)
        if owner and whose in ("mine", "other"):
            whose = "mine" if whose == owner else "other"
        code = CELLS[f"{what} {whose}" if whose in UIDS else operation][STATES.index(state)]
        if code:
            return code
        if operation == "create":
            self.states[uid] = ups.SCHEDULED
        elif operation == "request" and state == ups.SCHEDULED:
            self.states[uid], self.owners[uid] = ups.CANCELED, "the SCP"
        elif what == "set":
            self.is_told.add(uid)
        elif what in (ups.COMPLETED, ups.CANCELED):
            if uid not in self.is_told:
                return 0xC304
            self.states[uid] = what
        elif what == ups.IN_PROGRESS:
            self.states[uid], self.owners[uid] = what, operation.rpartition(" ")[2]
        return code


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_random_sequences_against_a_model(kind: str, tmp_path: Path) -> None:
    kept: Store = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "steps")
    random.seed(11)
    model = Model()
    uids = [new_uid() for _ in range(60)]
    with ris() as office:
        provider = office.provide(store=kept)
        with office.associate() as assoc:
            for _ in range(1200):
                uid, operation = random.choice(uids), random.choice(list(CELLS))
                assert do(assoc, operation, uid) == model.do(operation, uid), operation
        states = {uid: one.ProcedureStepState for uid, one in provider.steps()}
    assert states == model.states
    assert set(states.values()) == set(STATES[1:])
    kept.close()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_of_several_who_claim_a_step_one_has_it(kind: str, tmp_path: Path) -> None:
    """Two on their own connections to the store, as two processes have; two on one."""
    path = tmp_path / "steps"
    stores: list[Store] = (
        [MemoryStore()] if kind == "memory" else [SQLiteStore(path), SQLiteStore(path)]
    )
    with ris() as office:
        providers = [office.provide(store=store) for store in stores]
        ports = office.ports
        won: list[tuple[str, str]] = []
        codes: set[int] = set()
        uids = [providers[0].schedule(step()) for _ in range(max(25, CLAIMS // 10))]

        def performer(number: int) -> None:
            port = ports[number % len(ports)]
            with office.scu.associate("127.0.0.1", port) as assoc:
                for uid in uids:
                    try:
                        own = ups.claim(assoc, uid)
                    except Refused as refused:
                        codes.add(refused.status.Status)
                        continue
                    own.set(made(ProcedureStepLabel=f"of {number}"))
                    won.append((uid, f"of {number}"))

        works = (lambda number=number: performer(number) for number in range(4))
        at_once(*works, within=LONG)
        assert sorted(uid for uid, _ in won) == sorted(uids)
        assert codes == {0xC301}
        for uid, label in won:
            kept = providers[0].get(uid)
            assert kept is not None
            assert (kept.ProcedureStepState, kept.ProcedureStepLabel) == (ups.IN_PROGRESS, label)
    for store in stores:
        store.close()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_claims_of_threads_without_a_network(kind: str, tmp_path: Path) -> None:
    """Many, and nothing between them but the store."""
    won: list[str] = []
    codes: set[int] = set()
    kept: Store = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "steps")
    with ris() as office:
        provider = office.provide(store=kept)
        uids = [provider.schedule(step()) for _ in range(CLAIMS)]

        def performer(name: str) -> None:
            information = made(ProcedureStepState=ups.IN_PROGRESS, TransactionUID=name)
            for uid in uids:
                status, _ = Direct(provider).send_n_action(information, 1, PUSH, uid)
                codes.add(status.Status)
                if status.Status == 0x0000:
                    won.append(uid)

        names = ("1.1", "1.2", "1.3", "1.4")
        at_once(*(lambda name=name: performer(name) for name in names), within=LONG)
    kept.close()
    assert sorted(won) == sorted(uids)
    assert codes == {0x0000, 0xC301}


def test_the_scp_names_a_step(assoc: Any, provider: ups.Provider) -> None:
    status, _ = assoc.send_n_create(SHORT, PUSH)
    kept = provider.get(status.AffectedSOPInstanceUID)
    assert kept is not None
    assert kept.SOPInstanceUID == status.AffectedSOPInstanceUID


# What is asked


@pytest.mark.parametrize(
    ("information", "code_"),
    [
        (made(TransactionUID=MINE), 0x0120),
        (made(TransactionUID=MINE, ProcedureStepState=None), 0x0121),
        (made(TransactionUID=MINE, ProcedureStepState="DONE"), 0x0115),
        (made(ProcedureStepState=ups.IN_PROGRESS), 0xC301),
        (made(ProcedureStepState=ups.IN_PROGRESS, TransactionUID=None), 0xC301),
    ],
)
def test_a_change_of_state_that_is_none(
    information: Dataset, code_: int, assoc: Any, scheduled: str
) -> None:
    status, _ = assoc.send_n_action(information, 1, PUSH, scheduled, meta_uid=PULL)
    assert status.Status == code_


@pytest.mark.parametrize(
    ("context", "action", "is_one"),
    [
        (context, action, action in actions)
        for context, actions in ((PUSH, (2,)), (PULL, (1,)), (WATCH, (2, 3, 4, 5)))
        for action in range(1, 7)
    ],
)
def test_who_may_do_what(
    context: str, action: int, is_one: bool, assoc: Any, scheduled: str
) -> None:
    information = made(ProcedureStepState=ups.SCHEDULED, ReceivingAE="X", DeletionLock="FALSE")
    if action == 2:
        information = made()
        scheduled = "1.2.3"
    status, _ = assoc.send_n_action(information or None, action, PUSH, scheduled, meta_uid=context)
    assert (status.Status != 0x0123) is is_one


MAY = {
    # Tables CC.2-1 to CC.2-5: service → the contexts that have it
    "N-CREATE": (PUSH,),
    "N-GET": (PUSH, PULL, WATCH),
    "N-SET": (PULL,),
    "C-FIND": (PULL, WATCH, UnifiedProcedureStepQuery),
}


@pytest.mark.parametrize("context", [PUSH, PULL, WATCH, UnifiedProcedureStepQuery])
@pytest.mark.parametrize("service", MAY)
def test_which_context_has_which_service(
    service: str, context: str, assoc: Any, scheduled: str
) -> None:
    if service == "C-FIND":
        ((status, _),) = assoc.send_c_find(made(SOPInstanceUID="1.2.404"), context)
    elif service == "N-CREATE":
        status, _ = assoc.send_n_create(SHORT, PUSH, new_uid(), meta_uid=context)
    elif service == "N-GET":
        status, _ = assoc.send_n_get([], PUSH, scheduled, meta_uid=context)
    else:
        change = made(WorklistLabel="x")
        status, _ = assoc.send_n_set(change, PUSH, scheduled, meta_uid=context)
    assert (status.Status == 0x0000) is (context in MAY[service]), f"0x{status.Status:04X}"
    assert status.Status in (0x0000, 0x0211, 0x0122)


def test_another_class_is_none_of_these(assoc: Any, scheduled: str) -> None:
    status, _ = assoc.send_n_get([], "1.2.840.10008.1.1", scheduled, meta_uid=PULL)
    assert status.Status == 0x0118
    # Tolerated: that of the context
    assert assoc.send_n_get([], PULL, scheduled)[0].Status == 0x0000


def test_the_transaction_uid_is_never_returned(assoc: Any, provider: ups.Provider) -> None:
    own = ups.claim(assoc, ups.push(assoc, step(ProcedureStepLabel="secret")))
    assert "TransactionUID" not in ups.get(assoc, own.uid)
    status, found = assoc.send_n_get(["TransactionUID"], PUSH, own.uid, meta_uid=PULL)
    assert (status.Status, found.get("TransactionUID")) == (0x0001, None)
    keys = made(ProcedureStepLabel="secret", TransactionUID="")
    assert [match.TransactionUID for match in ups.find(assoc, keys)] == [""]
    assert list(ups.find(assoc, made(TransactionUID=own.transaction_uid))) == []
    assert "TransactionUID" not in (provider.get(own.uid) or own)


@pytest.mark.parametrize("context", [PULL, WATCH, UnifiedProcedureStepQuery])
def test_find(context: str, assoc: Any, office: RIS) -> None:
    names = ("Doe^Jane", "Roe^Jane", "Müller")
    utf8 = {"WorklistLabel": "find", "SpecificCharacterSet": "ISO_IR 192"}
    uids = {name: ups.push(assoc, step(PatientName=name, **utf8)) for name in names}
    keys = made(PatientName="*^jane", WorklistLabel="find", SOPInstanceUID="", PatientSex="")
    with office.scu.associate(
        "127.0.0.1",
        office.port,
        contexts=[one for one in ups.contexts() if one.abstract_syntax == context],
    ) as own:
        found = {match.SOPInstanceUID: match for match in ups.find(own, keys)}
    assert uids["Müller"] not in found
    assert {uids["Doe^Jane"], uids["Roe^Jane"]} <= set(found)
    assert found[uids["Doe^Jane"]] == made(
        SpecificCharacterSet="ISO_IR 192",
        PatientName="Doe^Jane",
        PatientSex="",
        SOPInstanceUID=uids["Doe^Jane"],
        WorklistLabel="find",
    )


def test_what_cannot_be_matched(assoc: Any) -> None:
    keys = made(PatientName=[f"a*{number}" for number in range(300)])
    with pytest.raises(Refused, match="0xA900") as caught:
        list(ups.find(assoc, keys))
    assert caught.value.status.ErrorComment == "More than 256 patterns"


def test_a_query_that_is_not_wanted_any_more(assoc: Any, scheduled: str) -> None:
    for _ in range(50):
        ups.push(assoc, step())
    matches = assoc.send_c_find(made(SOPInstanceUID=""), UnifiedProcedureStepQuery)
    next(matches)
    matches.close()  # cancels it
    assert ups.get(assoc, scheduled).SOPInstanceUID == scheduled


# The SCU


def test_a_step_from_its_beginning_to_its_end(assoc: Any, provider: ups.Provider) -> None:
    sent = step(PatientName="Müller", SpecificCharacterSet="ISO_IR 100")
    uid = ups.push(assoc, sent)
    assert "ProcedureStepState" not in sent
    own = ups.claim(assoc, uid)
    own.progress(12.5, "begun", ProcedureStepCommunicationsURISequence=[made(ContactURI="tel:1")])
    own.progress(50)
    item = ups.get(assoc, uid).ProcedureStepProgressInformationSequence[0]
    assert (item.ProcedureStepProgress, item.ProcedureStepProgressDescription) == (50, "begun")
    assert item.ProcedureStepCommunicationsURISequence[0].ContactURI == "tel:1"
    with pytest.raises(Refused, match="0xC304"):
        own.complete()
    own.complete(performed())
    kept = provider.get(uid)
    assert kept is not None
    assert (kept.ProcedureStepState, kept.PatientName) == (ups.COMPLETED, "Müller")
    own.complete()
    assert own.status.Status == 0xB306
    with pytest.raises(Refused, match="0xC300"):
        own.progress(100)
    with pytest.raises(Refused, match="0xC311"):
        ups.request_cancel(assoc, uid)


def test_a_performer_that_goes_on_after_it_was_gone(office: RIS, assoc: Any) -> None:
    first = ups.claim(assoc, ups.push(assoc, step()), MINE)
    with office.associate() as other:
        with pytest.raises(Refused, match="0xC301"):
            ups.claim(other, first.uid)
        again = ups.Performance(other, first.uid, first.transaction_uid)
        again.cancel("no film", code("2"))
    kept = ups.get(assoc, first.uid)
    item = kept.ProcedureStepProgressInformationSequence[0]
    assert (kept.ProcedureStepState, item.ReasonForCancellation) == (ups.CANCELED, "no film")
    assert item.ProcedureStepDiscontinuationReasonCodeSequence[0].CodeValue == "2"


def test_a_request_to_cancel_what_nobody_performs(assoc: Any) -> None:
    uid = ups.push(assoc, step())
    asked = ups.request_cancel(
        assoc, uid, "moved", code=code("3"), contact_uri="tel:1", contact="Dr. No"
    )
    assert asked.Status == 0x0000
    kept = ups.get(assoc, uid)
    item = kept.ProcedureStepProgressInformationSequence[0]
    assert kept.ProcedureStepState == ups.CANCELED
    assert check(kept, ROWS, "canceled") == ([], [], [], [])
    assert (
        item.ReasonForCancellation,
        item.ProcedureStepCommunicationsURISequence[0].ContactURI,
    ) == ("moved", "tel:1")
    assert item.ProcedureStepDiscontinuationReasonCodeSequence[0].CodeValue == "3"
    assert ups.request_cancel(assoc, uid).Status == 0xB304


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        (Dataset(), "ScheduledProcedureStepPriority"),
        (step(InputReadinessState=None), "InputReadinessState"),
        (step(**{one.keyword: one.value for one in canceled()}), "CancellationDateTime"),
    ],
)
def test_what_cannot_be_pushed_is_not_sent(attributes: Dataset, text: str, assoc: Any) -> None:
    with pytest.raises(ValueError, match=text):
        ups.push(assoc, attributes)


def test_what_find_is_refused(assoc: Any, office: RIS) -> None:
    from pynetdicom import AE, evt
    from tests.pair import serve

    scp = AE("OTHER")
    scp.add_supported_context(UnifiedProcedureStepQuery)
    refuse = [(evt.EVT_C_FIND, lambda event: iter([(0xA700, None)]))]
    server = serve(scp, evt_handlers=refuse)
    with (
        office.scu.associate(*server.server_address[:2]) as own,
        pytest.raises(Refused, match="0xA700"),
    ):
        list(ups.find(own, made(PatientID="1")))
    scp.shutdown()


# The application


def test_the_application_decides_and_is_told() -> None:
    told: list[Any] = []

    def decide(event: Any, one: Dataset) -> Any:
        if one.ProcedureStepLabel == "no":
            return 0x0124
        if event.event.name == "EVT_N_ACTION" and event.action_type == 2:
            return 0xC312, None
        one.InputReadinessState = "UNAVAILABLE"
        return None

    with ris() as office:
        provider = office.provide(decide=decide, changed=lambda *what: told.append(what))
        with office.associate() as assoc:
            with pytest.raises(Refused, match="0x0124"):
                ups.push(assoc, step(ProcedureStepLabel="no"))
            own = ups.claim(assoc, ups.push(assoc, step()))
            with pytest.raises(Refused, match="0xC312"):
                ups.request_cancel(assoc, own.uid)
            own.set(made(InputReadinessState="READY"))  # which it does not become
            provider.modify(own.uid, made(InputReadinessState="INCOMPLETE"))
            provider.cancel(own.uid, made(ReasonForCancellation="gone"))
            for late in (
                lambda: provider.cancel(own.uid),
                lambda: provider.cancel("1.2"),
                lambda: provider.modify("1.2", Dataset()),
                lambda: provider.schedule(Dataset()),
            ):
                with pytest.raises(ups.Rejected):
                    late()
            other = provider.schedule(step())
            assert not provider.delete(other)
            assert not provider.delete("1.2")
            assert provider.delete_finished() == [own.uid]
    assert [(uid, event) for uid, _, event in told] == [
        *((own.uid, 1) for _ in range(4)),
        (other, 1),
    ]
    assert [one.InputReadinessState for _, one, _ in told[:3]] == ["UNAVAILABLE"] * 2 + [
        "INCOMPLETE"
    ]


@pytest.mark.parametrize("character_set", ["ISO_IR 192", "ISO_IR 100", "ISO_IR 13"])
def test_names_of_the_application(character_set: str, provider: ups.Provider) -> None:
    """As text they are whole, whatever was said first of them and the character set."""
    name = {"ISO_IR 192": "Dœ^山田", "ISO_IR 100": "Müller", "ISO_IR 13": "ﾔﾏﾀﾞ"}[character_set]
    for sent in (
        step(PatientName=name, SpecificCharacterSet=character_set),
        step(SpecificCharacterSet=character_set, PatientName=name),
    ):
        kept = provider.get(provider.schedule(sent))
        assert kept is not None
        assert kept.PatientName == name
        provider.modify(kept.SOPInstanceUID, made(CommentsOnTheScheduledProcedureStep=name))
        kept = provider.get(kept.SOPInstanceUID)
        assert kept is not None
        assert (kept.PatientName, kept.CommentsOnTheScheduledProcedureStep) == (name, name)


def test_the_table_is_the_standards() -> None:
    assert len(PATHS) == 226
    assert check(FULL, ROWS, "n_create") == ([], [], [], [])
    assert check(TO_SET, ROWS, "n_set") == ([], [], [], [])
