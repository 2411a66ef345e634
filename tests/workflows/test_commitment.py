"""pynetdicom.workflows.commitment: both sides, on the same association and on another one."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)
from pynetdicom.workflows import commitment
from pynetdicom.workflows.commitment import Failure, Provider, Reference, Results, commit
from pynetdicom.workflows.providing import Refused, handlers
from pynetdicom.workflows.stores import MemoryStore, SQLiteStore, Store
from tests.faults.peer import until
from tests.pair import serve
from tests.peers import DEADLINE, Call

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
    ],
)
def test_a_request_that_is_none(sent: Dataset, code: int, archive: Archive) -> None:
    provider = archive.provide()
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
    first = archive.provide(store=store, delays=(3600.0,))
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
