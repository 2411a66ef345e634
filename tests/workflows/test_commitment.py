"""pynetdicom.workflows.commitment: both sides, on the same association and on another one."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.association import negotiated
from pynetdicom.data_sets.data_set import encode_dataset
from pynetdicom.sop_class import (
    CTImageStorage,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)
from pynetdicom.workflows import commitment
from pynetdicom.workflows.commitment import Failure, Provider, Reference, Results, commit
from pynetdicom.workflows.commitment_transactions import Head, Transactions
from pynetdicom.workflows.providing import Refused, handlers
from pynetdicom.workflows.stores import MemoryStore, SQLiteStore, Store
from tests.faults.peer import until
from tests.pair import serve
from tests.peers import DEADLINE, Call
from tests.workflows.test_commitment_information import SYNTAXES

CT = str(CTImageStorage)
COMMITMENT = StorageCommitmentPushModel
KEPT = Reference(CT, "1.2.1")
LOST = Reference(CT, "1.2.2")


def check(instance: Reference) -> int:
    if instance.sop_instance == "1.2.9":
        raise OSError("disk on fire")
    return 0 if instance == KEPT else commitment.NO_SUCH_INSTANCE


class Archive:
    """An SCP, and an SCU that asks it."""

    def __init__(self) -> None:
        self.scp, self.scu = AE("ARCHIVE"), AE("CT_ROOM")
        self.scp.add_supported_context(COMMITMENT)
        self.scu.add_requested_context(COMMITMENT)
        self.scu.add_supported_context(COMMITMENT, scu_role=False, scp_role=True)
        self.providers: list[Provider] = []
        self.port = 0

    def provide(self, **how: Any) -> Provider:
        how.setdefault("delays", (0.05,))
        provider = Provider(self.scp, how.pop("check", check), **how)
        self.providers.append(provider)
        self.port = serve(self.scp, evt_handlers=handlers(provider)).server_address[1]
        return provider

    def check_alone(self, instance: Reference) -> int:
        """Check when the association of the request is no more."""
        assert until(lambda: not self.scp.active_associations)
        return check(instance)

    def associate(self, **how: Any) -> Any:
        assoc = self.scu.associate("127.0.0.1", self.port, ae_title="ARCHIVE", **how)
        assert assoc.is_established
        return assoc


@pytest.fixture
def archive() -> Iterator[Archive]:
    made = Archive()
    yield made
    for provider in made.providers:
        provider.close()
    made.scp.shutdown()
    made.scu.shutdown()


def test_all_is_kept(archive: Archive) -> None:
    provider = archive.provide(retrieve_ae_title="ARCHIVE")
    with archive.associate() as assoc:
        result = commit(assoc, [KEPT], timeout=DEADLINE)
        again = commit(assoc, [KEPT], timeout=DEADLINE)
    assert result.is_complete
    assert result.committed == [KEPT]
    assert (result.failed, result.missing) == ([], [])
    assert result.retrieve_ae_titles == {KEPT: "ARCHIVE"}
    assert again.transaction_uid != result.transaction_uid
    assert until(lambda: provider.outstanding == [])


def test_some_are_not_kept(archive: Archive) -> None:
    archive.provide()
    broken = Reference(CT, "1.2.9")
    with archive.associate() as assoc:
        result = commit(assoc, [KEPT, LOST, broken], timeout=DEADLINE)
    assert not result.is_complete
    assert result.committed == [KEPT]
    assert result.failed == [Failure(LOST, 0x0112), Failure(broken, 0x0110)]
    assert result.retrieve_ae_titles == {}


def test_nothing_is_kept(archive: Archive) -> None:
    archive.provide(retrieve_ae_title="ARCHIVE")
    with archive.associate() as assoc:
        result = commit(assoc, [LOST], timeout=DEADLINE)
    assert (result.committed, result.failed) == ([], [Failure(LOST, 0x0112)])


def test_what_may_be_given(archive: Archive) -> None:
    asked: list[Reference] = []

    def keep(instance: Reference) -> int:
        asked.append(instance)
        return 0

    archive.provide(check=keep)
    data_set = Dataset()
    data_set.SOPClassUID, data_set.SOPInstanceUID = CT, "1.2.3"
    path = get_testdata_file("CT_small.dcm")
    with archive.associate() as assoc:
        result = commit(
            assoc,
            [(CT, "1.2.1"), data_set, path, Path(str(path)).with_name("MR_small.dcm")],
            timeout=DEADLINE,
        )
    assert result.committed == asked
    assert asked[:2] == [KEPT, Reference(CT, "1.2.3")]
    assert asked[2].sop_class == CT
    assert len(asked) == 4


@pytest.mark.parametrize("instances", [[], [KEPT, KEPT], [KEPT, Reference("1.2", "1.2.1")]])
def test_what_cannot_be_asked(instances: list[Reference], archive: Archive) -> None:
    archive.provide()
    with archive.associate() as assoc, pytest.raises(ValueError, match="each of them once"):
        commit(assoc, instances)


def test_a_data_set_without_its_uid(archive: Archive) -> None:
    archive.provide()
    lacking = Dataset()
    lacking.SOPClassUID = CT
    with (
        archive.associate() as assoc,
        pytest.raises(ValueError, match="an instance without SOPInstanceUID"),
    ):
        commit(assoc, [lacking])


def test_the_result_comes_on_another_association(archive: Archive) -> None:
    """The SCU has released the one that it asked on."""
    released = threading.Event()

    def keep(instance: Reference) -> int:
        assert released.wait(DEADLINE)
        return 0

    results = Results()
    server = serve(archive.scu, evt_handlers=results.handlers)
    where = {"CT_ROOM": ("127.0.0.1", server.server_address[1])}
    provider = archive.provide(check=keep, where=where.get)
    assoc = archive.associate()
    call = Call(commit, assoc, [KEPT], results=results, timeout=DEADLINE)
    assert until(lambda: provider.outstanding)
    assert until(lambda: not assoc.dimse.outstanding())
    assoc.release()
    released.set()
    assert call.result(DEADLINE).committed == [KEPT]
    assert until(lambda: provider.outstanding == [])


def test_the_association_is_released_once_the_request_was_taken(archive: Archive) -> None:
    """The peer reports only then."""
    ended = threading.Event()

    def keep(instance: Reference) -> int:
        assert ended.wait(DEADLINE)
        return 0

    results = Results()
    server = serve(archive.scu, evt_handlers=results.handlers)
    where = {"CT_ROOM": ("127.0.0.1", server.server_address[1])}
    archive.provide(check=keep, where=where.get)
    assoc = archive.associate(evt_handlers=[(evt.EVT_RELEASED, lambda event: ended.set())])
    result = commit(assoc, [KEPT], results=results, release=True, timeout=DEADLINE)
    assert result.committed == [KEPT]
    assert assoc.is_released


def test_a_result_that_nothing_would_hear(archive: Archive) -> None:
    archive.provide()
    with archive.associate() as assoc, pytest.raises(ValueError, match="without `results`"):
        commit(assoc, [KEPT], release=True)


def test_the_association_ends_and_nobody_listens(archive: Archive) -> None:
    released = threading.Event()

    def keep(instance: Reference) -> int:
        assert released.wait(DEADLINE)
        return 0

    provider = archive.provide(check=keep)
    assoc = archive.associate()
    call = Call(commit, assoc, [KEPT], timeout=DEADLINE)
    assert until(lambda: provider.outstanding and not assoc.dimse.outstanding())
    assoc.release()
    with pytest.raises(ConnectionError, match="no result of the storage commitment: released"):
        call.result(DEADLINE)
    released.set()


def test_there_is_no_result_in_time(archive: Archive) -> None:
    released = threading.Event()

    def keep(instance: Reference) -> int:
        assert released.wait(DEADLINE)
        return 0

    archive.provide(check=keep)
    with archive.associate() as assoc:
        with pytest.raises(TimeoutError):
            commit(assoc, [KEPT], timeout=0.1)
        released.set()  # its result comes when nobody waits for it
        assert commit(assoc, [KEPT], timeout=DEADLINE).is_complete
        assert assoc.is_established


def test_the_peer_refuses(archive: Archive) -> None:
    scp = AE("ARCHIVE")
    scp.add_supported_context(COMMITMENT)
    server = serve(scp, evt_handlers=[(evt.EVT_N_ACTION, lambda event: (0x0124, None))])
    archive.port = server.server_address[1]
    with archive.associate() as assoc:
        with pytest.raises(Refused, match="0x0124"):
            commit(assoc, [KEPT])
        assert assoc.get_handlers(evt.EVT_N_EVENT_REPORT)[1] is None  # as it was before
    server.shutdown()


def reporting(archive: Archive, report: Callable[[Any], Any]) -> None:
    """Have the archive do with requests what a function does."""
    server = serve(archive.scp, evt_handlers=[(evt.EVT_N_ACTION, report)])
    archive.port = server.server_address[1]


def send(assoc: Any, result: Any, event_type: int = 1) -> int:
    """Report; the status of the answer."""
    status, _ = assoc.send_n_event_report(
        result, event_type, COMMITMENT, StorageCommitmentPushModelInstance
    )
    return int(status.Status)


def test_the_result_comes_before_the_response(archive: Archive) -> None:
    answers: list[int] = []

    def report(event: Any) -> Any:
        answers.append(send(event.assoc, event.action_information))
        return 0x0000, None

    reporting(archive, report)
    with archive.associate() as assoc:
        assert commit(assoc, [KEPT, LOST], timeout=DEADLINE).committed == [KEPT, LOST]
    assert answers == [0x0000]


def test_a_report_that_is_none_is_refused(archive: Archive) -> None:
    """And the right one is waited for."""
    answers: list[int] = []

    def report(event: Any) -> Any:
        result = event.action_information
        uid = result.TransactionUID
        for make in (without, emptied):
            for keyword in ("TransactionUID", "ReferencedSOPSequence"):
                wrong = make(keyword)
                if keyword != "TransactionUID":
                    wrong.TransactionUID = uid
                answers.append(send(event.assoc, wrong))
        result.TransactionUID = "1.2.404"
        answers.append(send(event.assoc, result))
        result.TransactionUID = uid
        result.FailedSOPSequence = [result.ReferencedSOPSequence.pop()]
        answers.append(send(event.assoc, result, 2))  # without a reason
        result.FailedSOPSequence[0].FailureReason = 0x0213
        answers.append(send(event.assoc, result, 2))
        return 0x0000, None

    reporting(archive, report)
    with archive.associate() as assoc:
        result = commit(assoc, [KEPT, LOST], timeout=DEADLINE)
    assert (result.committed, result.failed) == ([KEPT], [Failure(LOST, 0x0213)])
    assert answers == [0x0120, 0x0120, 0x0121, 0x0121, 0x0115, 0x0120, 0x0000]


def test_what_is_said_of_each_instance(archive: Archive) -> None:
    """Where it is; that is of another class, or in both lists, which commits to nothing."""
    torn, other = Reference(CT, "1.2.5"), Reference("1.2.840.10008.5.1.4.1.1.4", LOST.sop_instance)
    unheard = Reference(CT, "1.2.6")

    def report(event: Any) -> Any:
        result = request(event.action_information.TransactionUID, KEPT, torn, other)
        result.ReferencedSOPSequence[0].RetrieveAETitle = "HERE"
        result.FailedSOPSequence = request("1", torn).ReferencedSOPSequence
        result.FailedSOPSequence[0].FailureReason = 0x0110
        send(event.assoc, result, 2)
        return 0x0000, None

    reporting(archive, report)
    with archive.associate() as assoc:
        result = commit(assoc, [KEPT, LOST, torn, unheard], timeout=DEADLINE)
    assert result.committed == [KEPT, other]
    assert result.failed == [Failure(torn, 0x0110)]
    assert result.missing == [LOST, unheard]
    assert result.retrieve_ae_titles == {KEPT: "HERE"}
    assert not result.is_complete
    assert [(one.instance, one.became) for one in result.outcomes()] == [
        (KEPT, "committed"),
        (other, "committed"),
        (torn, "failed"),
        (LOST, "missing"),
        (unheard, "missing"),
    ]


@pytest.mark.parametrize("role", [None, (False, True), (True, True)])
def test_peers_come_as_they_like(
    role: tuple[bool, bool] | None, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the role of the SCP, with both roles, or with none; and to another AE title."""
    # Ours would not report where it has not the role.
    monkeypatch.setattr(negotiated, "_may_be", lambda context, as_scp: True)
    results = Results()
    server = serve(archive.scu, evt_handlers=results.handlers)
    archive.scp.add_requested_context(COMMITMENT)

    def report(event: Any) -> Any:
        roles = [] if role is None else [build_role(COMMITMENT, *role)]
        where = ("127.0.0.1", server.server_address[1])
        with archive.scp.associate(*where, ae_title="SOMEBODY", ext_neg=roles) as own:
            assert send(own, event.action_information) == 0x0000
        return 0x0000, None

    reporting(archive, report)
    with archive.associate() as assoc:
        assert commit(assoc, [KEPT], results=results, timeout=DEADLINE).committed == [KEPT]


def test_several_share_a_listener(archive: Archive) -> None:
    """Their results come in another order than their requests, all on one other association."""
    results = Results()
    server = serve(archive.scu, evt_handlers=results.handlers)
    archive.scp.add_requested_context(COMMITMENT)
    asked: list[Any] = []

    def take(event: Any) -> Any:
        asked.append(event.action_information)
        return 0x0000, None

    reporting(archive, take)
    assocs = [archive.associate() for _ in range(5)]
    calls = []
    for number, assoc in enumerate(assocs):
        wanted = [Reference(CT, f"1.2.{number}.{n}") for n in range(number + 1)]
        calls.append((wanted, Call(commit, assoc, wanted, results=results, timeout=DEADLINE)))
        assert until(lambda count=number + 1: len(asked) == count)
    role = build_role(COMMITMENT, scp_role=True)
    with archive.scp.associate("127.0.0.1", server.server_address[1], ext_neg=[role]) as own:
        for one in reversed(asked):
            assert send(own, one) == 0x0000
    for wanted, call in calls:
        assert call.result(DEADLINE).committed == wanted
    for assoc in assocs:
        assoc.release()


def test_a_result_that_comes_too_late(archive: Archive) -> None:
    """It is answered, for nobody waits for it; or waited for once more, by its Transaction UID."""
    results = Results()
    server = serve(archive.scu, evt_handlers=results.handlers)
    archive.scp.add_requested_context(COMMITMENT)
    reporting(archive, lambda event: (0x0000, None))
    with archive.associate() as assoc, pytest.raises(TimeoutError, match=r"1\.2\.840\.7"):
        commit(assoc, [KEPT], results=results, timeout=0, transaction_uid="1.2.840.7")
    role = build_role(COMMITMENT, scp_role=True)
    with archive.scp.associate("127.0.0.1", server.server_address[1], ext_neg=[role]) as own:
        assert send(own, request("1.2.840.7")) == 0x0115
        call = Call(results.wait, "1.2.840.7", [KEPT, LOST], timeout=DEADLINE)
        assert until(lambda: send(own, request("1.2.840.7")) == 0x0000)
    result = call.result(DEADLINE)
    assert (result.committed, result.missing) == ([KEPT], [LOST])
    with pytest.raises(TimeoutError):
        results.wait("1.2.840.7", timeout=0)


def test_a_transaction_is_waited_for_once(archive: Archive) -> None:
    results = Results()
    reporting(archive, lambda event: (0x0000, None))
    call = Call(results.wait, "1.2.840.7", timeout=DEADLINE)
    with archive.associate() as assoc:

        def is_refused() -> bool:
            try:
                commit(assoc, [KEPT], results=results, timeout=0, transaction_uid="1.2.840.7")
            except ValueError:
                return True
            except TimeoutError:
                return False
            raise AssertionError

        assert until(is_refused)
        assoc.bind(evt.EVT_N_EVENT_REPORT, results.take)
        results.take(heard := Report(request("1.2.840.7")))
    assert call.result(DEADLINE).committed == [KEPT]
    assert heard.assoc.remote["ae_title"] == "PEER"


class Report:
    """As much of an event as `Results` needs."""

    def __init__(self, data_set: Dataset) -> None:
        self.received = encode_dataset(data_set, "1.2.840.10008.1.2.1")
        self.assoc = SimpleNamespace(remote={"ae_title": "PEER"})


def test_the_handler_of_the_caller_is_back_afterwards(archive: Archive) -> None:
    def take(event: Any) -> Any:
        return 0x0000, None

    archive.provide()
    with archive.associate(evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)]) as assoc:
        assert commit(assoc, [KEPT], timeout=DEADLINE).is_complete
        assert assoc.get_handlers(evt.EVT_N_EVENT_REPORT)[0] is take


# The SCP


def request(uid: str = "1.2.840.1", *instances: Reference) -> Dataset:
    made = Dataset()
    made.TransactionUID = uid
    made.ReferencedSOPSequence = []
    for instance in instances or (KEPT,):
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = instance
        made.ReferencedSOPSequence.append(item)
    return made


def without(keyword: str) -> Dataset:
    made = request()
    delattr(made, keyword)
    return made


def emptied(keyword: str) -> Dataset:
    made = request()
    setattr(made, keyword, None)
    return made


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (without("TransactionUID"), 0x0120),
        (without("ReferencedSOPSequence"), 0x0120),
        (emptied("TransactionUID"), 0x0121),
        (emptied("ReferencedSOPSequence"), 0x0121),
        (request("1.2.840.1", KEPT, KEPT), 0x0115),
        (Dataset(), 0x0120),
        (request("1.2.840.1", *(Reference(CT, f"1.2.{n}") for n in range(11))), 0x0213),
    ],
)
def test_a_request_that_is_none(sent: Dataset, code: int, archive: Archive) -> None:
    provider = archive.provide(maximum_instances=10)
    with archive.associate() as assoc:
        status, _ = assoc.send_n_action(sent, 1, COMMITMENT, StorageCommitmentPushModelInstance)
    assert status.Status == code
    assert provider.outstanding == []


def test_the_response_comes_before_the_result(archive: Archive) -> None:
    archive.provide()
    received: list[bytes] = []
    bound = [
        (evt.EVT_DATA_RECV, lambda event: received.append(event.data)),
        (evt.EVT_N_EVENT_REPORT, lambda event: (0x0000, None)),
    ]
    with archive.associate(evt_handlers=bound) as assoc:
        for number in range(20):
            sent = request(f"1.2.840.{number}")
            assoc.send_n_action(sent, 1, COMMITMENT, StorageCommitmentPushModelInstance)
        assert until(lambda: len(fields(received)) == 40)
    order = fields(received)
    responses = [i for i, field in enumerate(order) if field == b"\x30\x81"]
    reports = [i for i, field in enumerate(order) if field == b"\x00\x01"]
    for response, report in zip(responses, reports, strict=True):
        assert response < report


def fields(received: list[bytes]) -> list[bytes]:
    """The Command Fields of the messages."""
    return re.findall(rb"\x00\x00\x00\x01\x02\x00\x00\x00(..)", b"".join(received), re.DOTALL)


def test_a_transaction_uid_that_is_in_use(archive: Archive) -> None:
    released = threading.Event()

    def keep(instance: Reference) -> int:
        assert released.wait(DEADLINE)
        return 0

    archive.provide(check=keep)
    take = (evt.EVT_N_EVENT_REPORT, lambda event: (0x0000, None))
    with archive.associate(evt_handlers=[take]) as assoc:
        codes = [
            assoc.send_n_action(request(), 1, COMMITMENT, StorageCommitmentPushModelInstance)[0]
            for _ in range(2)
        ]
        released.set()
    assert [status.Status for status in codes] == [0x0000, 0x0110]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_new_provider_goes_on(
    kind: str, archive: Archive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where its result goes was not known; then the server is another one."""
    store: Store = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "store")
    first = archive.provide(store=store, check=archive.check_alone, delays=(3600.0,))
    with archive.associate() as assoc:
        status, _ = assoc.send_n_action(
            request(), 1, COMMITMENT, StorageCommitmentPushModelInstance
        )
        assert status.Status == 0x0000
        assoc.abort()
    assert until(lambda: "is not known" in caplog.text)
    first.close()
    assert first.outstanding == ["1.2.840.1"]
    heard: list[Any] = []

    def take(event: Any) -> Any:
        heard.append((event.event_type, event.event_information.TransactionUID))
        return 0x0000, None

    server = serve(archive.scu, evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)])
    where = {"CT_ROOM": ("127.0.0.1", server.server_address[1], {"max_pdu": 0})}
    second = archive.provide(store=store, where=where.get)
    assert until(lambda: second.outstanding == [])
    assert heard == [(1, "1.2.840.1")]
    second.close()
    store.close()


def test_it_is_tried_again_until_it_is_heard(archive: Archive) -> None:
    heard: list[Any] = []

    def take(event: Any) -> Any:
        heard.append(event.event_information.TransactionUID)
        if len(heard) < 4:
            event.assoc.abort()
        return 0x0000, None

    server = serve(archive.scu, evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)])
    where = {"CT_ROOM": ("127.0.0.1", server.server_address[1])}
    provider = archive.provide(where=where.get)
    with archive.associate(evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)]) as assoc:
        assoc.send_n_action(request(), 1, COMMITMENT, StorageCommitmentPushModelInstance)
        assert until(lambda: provider.outstanding == [])
    assert heard == ["1.2.840.1"] * 4


def test_the_association_ends_instead_of_an_answer(archive: Archive) -> None:
    """As with peers that release at our response: then the result goes to where they listen."""
    heard: list[Any] = []

    def take(event: Any) -> Any:
        heard.append(event.event_information.TransactionUID)
        if event.assoc.is_requestor:
            event.assoc.abort()
        return 0x0000, None

    server = serve(archive.scu, evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)])
    where = {"CT_ROOM": ("127.0.0.1", server.server_address[1])}
    provider = archive.provide(where=where.get, delays=(3600.0,))  # there is no second attempt
    with archive.associate(evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)]) as assoc:
        assoc.send_n_action(request(), 1, COMMITMENT, StorageCommitmentPushModelInstance)
        assert until(lambda: provider.outstanding == [])
    assert heard == ["1.2.840.1"] * 2


def test_it_is_given_up(archive: Archive, caplog: pytest.LogCaptureFixture) -> None:
    provider = archive.provide(attempts=3)
    with archive.associate() as assoc:
        assoc.send_n_action(request(), 1, COMMITMENT, StorageCommitmentPushModelInstance)
        assoc.abort()
    assert until(lambda: provider.outstanding == [])
    assert "where to report storage commitment to CT_ROOM is not known" in caplog.text
    assert caplog.text.count("given up") == 1


def test_a_result_that_the_peer_refuses(archive: Archive, caplog: pytest.LogCaptureFixture) -> None:
    """For good; or since it is unable to take it just now, which is tried again."""
    heard: list[Any] = []

    def take(event: Any) -> Any:
        heard.append(event.event_type)
        return 0x0115 if len(heard) == 3 else 0x0110, None

    server = serve(archive.scu, evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)])
    where = {"CT_ROOM": ("127.0.0.1", server.server_address[1])}
    provider = archive.provide(where=where.get)
    with archive.associate(evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)]) as assoc:
        assoc.send_n_action(request(), 1, COMMITMENT, StorageCommitmentPushModelInstance)
        assert until(lambda: provider.outstanding == [])
    assert heard == [1, 1, 1]
    assert caplog.text.count("a result of storage commitment was answered with 0x0110") == 2
    assert "given up" not in caplog.text


def test_a_result_is_decided_once(archive: Archive, caplog: pytest.LogCaptureFixture) -> None:
    """The peer may have heard it: what is deleted before the next attempt changes nothing."""
    checked: list[Reference] = []
    heard: list[Any] = []

    def keep_for_once(instance: Reference) -> int:
        checked.append(instance)
        return 0 if checked.count(instance) == 1 else commitment.NO_SUCH_INSTANCE

    def take(event: Any) -> Any:
        heard.append((event.event_type, event.event_information))
        return 0x0110 if len(heard) < 3 else 0x0000, None

    provider = archive.provide(check=keep_for_once)
    with archive.associate(evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)]) as assoc:
        assoc.send_n_action(request(), 1, COMMITMENT, StorageCommitmentPushModelInstance)
        server = serve(archive.scu, evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)])
        provider._where = lambda title: ("127.0.0.1", server.server_address[1])
        assert until(lambda: provider.outstanding == [])
    assert checked == [KEPT]
    assert heard == [heard[0]] * 3
    assert heard[0][0] == 1


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_of_two_providers_with_one_store_one_reports(
    kind: str, archive: Archive, tmp_path: Path
) -> None:
    """The other one goes on when the first one is closed."""
    stores: list[Store]
    if kind == "memory":
        stores = [MemoryStore()] * 2
    else:
        stores = [SQLiteStore(tmp_path / "store") for _ in range(2)]
    heard: list[str] = []
    may_go_on = threading.Event()

    def take(event: Any) -> Any:
        heard.append(event.event_information.TransactionUID)
        return 0x0000, None

    def keep(instance: Reference) -> int:
        assert may_go_on.wait(DEADLINE)
        return 0

    def never(instance: Reference) -> int:
        raise AssertionError

    server = serve(archive.scu, evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)])
    where = {"CT_ROOM": ("127.0.0.1", server.server_address[1])}
    first = archive.provide(store=stores[0], check=keep, where=where.get)
    with archive.associate() as assoc:
        for number in range(10):
            sent = request(f"1.2.840.{number}")
            assoc.send_n_action(sent, 1, COMMITMENT, StorageCommitmentPushModelInstance)
        assoc.abort()
    second = archive.provide(store=stores[1], check=never, where=where.get)
    assert len(second.outstanding) == 10
    may_go_on.set()
    assert until(lambda: first.outstanding == [])
    assert sorted(heard) == [f"1.2.840.{number}" for number in range(10)]
    first.close()
    second.close()
    for store in stores:
        store.close()


def test_what_is_under_way_is_left_to_others_when_it_has_ended(archive: Archive) -> None:
    is_checked, may_go_on = threading.Event(), threading.Event()

    def keep(instance: Reference) -> int:
        is_checked.set()
        assert may_go_on.wait(DEADLINE)
        return 0

    store = MemoryStore()
    provider = archive.provide(check=keep, store=store)
    with archive.associate() as assoc:
        assoc.send_n_action(request(), 1, COMMITMENT, StorageCommitmentPushModelInstance)
        assoc.abort()
    assert is_checked.wait(DEADLINE)
    provider.close(timeout=0)
    other = Transactions(store)
    assert isinstance(other.claim("1.2.840.1"), float)
    may_go_on.set()
    provider.close()
    head = other.claim("1.2.840.1")
    assert isinstance(head, Head)
    assert head.event_type == 1  # what was found out is not lost


@pytest.mark.parametrize("problem", ["where", "address"])
def test_what_goes_wrong_counts_as_an_attempt(
    problem: str, archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    def where(title: str) -> Any:
        if problem == "where":
            raise OSError("disk on fire")
        return "127.0.0.1", "no port"

    provider = archive.provide(check=archive.check_alone, where=where, attempts=3)
    with archive.associate() as assoc:
        assoc.send_n_action(request(), 1, COMMITMENT, StorageCommitmentPushModelInstance)
        assoc.abort()
    assert until(lambda: provider.outstanding == [])
    assert caplog.text.count("could not be reported:") == 3
    assert caplog.text.count("given up") == 1


@pytest.mark.parametrize("asked_in", SYNTAXES)
@pytest.mark.parametrize("told_in", SYNTAXES)
def test_transfer_syntaxes(asked_in: str, told_in: str, archive: Archive) -> None:
    """The result goes out in that of the association that it goes on."""
    results = Results()
    archive.scu = AE("CT_ROOM")
    archive.scu.add_requested_context(COMMITMENT, asked_in)
    archive.scu.add_supported_context(COMMITMENT, told_in, scu_role=False, scp_role=True)
    archive.scp.supported_contexts = []
    archive.scp.add_supported_context(COMMITMENT, SYNTAXES)
    server = serve(archive.scu, evt_handlers=results.handlers)
    context = [build_context(COMMITMENT, SYNTAXES)]
    target = ("127.0.0.1", server.server_address[1], {"contexts": context})
    archive.provide(where={"CT_ROOM": target}.get, retrieve_ae_title="HERE")
    assoc = archive.associate()
    assert assoc.accepted_contexts[0].transfer_syntax[0] == asked_in
    wanted = [KEPT, LOST]
    result = commit(assoc, wanted, results=results, release=True, timeout=DEADLINE)
    assert (result.committed, result.failed) == ([KEPT], [Failure(LOST, 0x0112)])
    assert result.retrieve_ae_titles == {KEPT: "HERE"}
