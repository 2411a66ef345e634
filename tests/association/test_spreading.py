"""pynetdicom.association.spreading: many files over several associations from one queue."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pynetdicom import AE, build_context, evt
from pynetdicom.association import spreading
from pynetdicom.association.storing import store_files
from pynetdicom.dimse.primitives import Primitive
from pynetdicom.testing.peers import Unexpected
from tests.association.test_succession import Gone, Taker
from tests.faults.peer import CT, IMPLICIT, RELEASE_RP, RELEASE_RQ, abort, reject, until
from tests.pair import serve
from tests.peers import DEADLINE, LONG, Acceptor, Call, Listener, ct, interrupted_when, listening
from tests.scp import Scp

MANY = 40


def paths_in(directory: Path, count: int) -> list[Path]:
    """CT images whose instances are numbered, made once."""
    ds, paths = ct(100), []
    for number in range(count):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        paths.append(directory / f"{number}.dcm")
        ds.save_as(paths[-1], enforce_file_format=True)
    return paths


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return paths_in(tmp_path_factory.mktemp("files"), MANY)


def uid_of(path: Any) -> str:
    return f"1.2.3.{Path(path).stem}"


@pytest.fixture
def scu() -> Iterator[AE]:
    ae = AE("SCU")
    ae.requested_contexts = [build_context(CT, IMPLICIT)]
    for name, value in LONG.items():
        setattr(ae, name, value)
    yield ae
    ae.shutdown()


class Peers:
    """What listens: each association does something else when it is asked to store.

    Attributes
    ----------
    seen : list of list of str
        The SOP Instance UIDs that came on each association, in the order of their requests.
    released, given_up : int
        How many associations were released by us, and how many while they were requested.
    """

    def __init__(self, *store: Callable[[Scp, int], None], limit: int = 1000) -> None:
        self.store = store
        self.limit = limit
        self.seen: list[list[str]] = []
        self.released = self.given_up = 0
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)

    def __call__(self, acceptor: Acceptor) -> None:
        peer = Taker(acceptor.socket)
        with self._lock:
            number = len(self.seen)
            self.seen.append([])
        if number >= self.limit:
            with contextlib.suppress(OSError, EOFError):  # it is not needed any more
                peer.pdu()
                peer.send(reject(2, 3, 2))
            return
        try:
            peer.accept()
        except (OSError, Unexpected):  # it is not needed any more
            with self._lock:
                self.given_up += 1
            return
        try:
            peer.serve(lambda *request: self._handle(peer, number, *request))
        except (Gone, OSError, EOFError):  # the peer ends it, or it is aborted
            return
        with self._lock:
            self.released += 1

    def _handle(self, peer: Scp, number: int, context: int, request: Primitive, _: Any) -> None:
        with self._changed:
            self.seen[number].append(str(request.AffectedSOPInstanceUID))
            self._changed.notify_all()
        if number < len(self.store):
            self.store[number](peer, len(self.seen[number]))
        peer.answer(context, request.response(0))

    def wait(self, reached: Callable[[], Any]) -> bool:
        with self._changed:
            return self._changed.wait_for(reached, DEADLINE)

    def await_another(self, peer: Scp, seen: int) -> None:
        """Wait for a second association: the first one may be done with all of it before."""
        assert self.wait(lambda: len(self.seen) > 1)

    @property
    def all_seen(self) -> list[str]:
        return sorted(uid for one in self.seen for uid in one)


def associate(scu: AE, listener: Listener, **how: Any) -> Any:
    assoc = scu.associate("127.0.0.1", listener.port, **how)
    assert assoc.is_established
    return assoc


def aborts_at(count: int) -> Callable[[Scp, int], None]:
    """Abort when so many have come on the association."""

    def store(peer: Scp, seen: int) -> None:
        if seen == count:
            peer.send(abort(0, 0))
            raise Gone

    return store


def senders() -> list[str]:
    return [one.name for one in threading.enumerate() if "-sender-" in one.name]


def uids(paths: Any) -> list[str]:
    return sorted(map(uid_of, paths))


# All of them, once each


@pytest.mark.parametrize("associations", [2, 4, 100])
def test_each_file_is_sent_once(scu: AE, paths: list[Path], associations: int) -> None:
    peers = Peers()
    peers.store = (peers.await_another,)
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        results = list(assoc.send_c_stores(paths, associations=associations))
        assert sorted(path for path, _ in results) == sorted(paths)
        assert {status.Status for _, status in results} == {0x0000}
        # The first one is the caller's, the others are released.
        assert scu.active_associations == [assoc]
        assert until(lambda: senders() == [])
        assert assoc._link.sub_associations == set()
        assoc.release()
    assert peers.all_seen == uids(paths)
    assert 2 <= len(peers.seen) <= min(associations, len(paths))
    assert peers.released + peers.given_up == len(peers.seen)
    assert scu._running.sending == set()


def test_another_begins_before_the_first_has_taken_its_file(
    scu: AE, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """How soon a thread gets to run is the system's matter."""
    together, run = threading.Barrier(3), spreading._Sender.run

    def run_together(self: Any) -> None:
        together.wait(DEADLINE)
        run(self)

    monkeypatch.setattr(spreading._Sender, "run", run_together)
    with listening(Peers()) as listener:
        assoc = associate(scu, listener)
        sent = [status.Status for _, status in assoc.send_c_stores(paths, associations=3)]
        assert sent == [0x0000] * len(paths)
        assoc.release()


def test_there_are_no_more_associations_than_files(scu: AE, paths: list[Path]) -> None:
    peers = Peers()
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        assert list(assoc.send_c_stores([], associations=4)) == []
        ((path, status),) = assoc.send_c_stores(paths[:1], associations=4)
        assert (path, status.Status) == (paths[0], 0x0000)
        assert len(peers.seen) == 1
        assoc.release()


def test_results_come_as_they_are_known(scu: AE, paths: list[Path]) -> None:
    """One association answers nothing: the others send the rest."""
    go_on = threading.Event()

    def store(peer: Scp, seen: int) -> None:
        assert go_on.wait(DEADLINE)

    peers = Peers(store)
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        results = store_files(assoc, paths, associations=3)
        # All but the one that is not answered, and one that has been made ready behind it.
        given = [next(results).path for _ in range(MANY - 2)]
        assert peers.wait(lambda: peers.seen[0])
        stuck = peers.seen[0][0]
        go_on.set()
        assert stuck not in map(uid_of, given)
        given += [result.path for result in results]
        assert sorted(given) == sorted(paths)
        assoc.release()


@pytest.mark.parametrize("window", [1, 3])
def test_the_window_of_each_is_full(scu: AE, paths: list[Path], window: int) -> None:
    together = threading.Barrier(4 * window)
    begun = iter(range(MANY))

    def store(event: Any) -> int:
        if next(begun) < 4 * window:
            together.wait(DEADLINE)
        return 0x0000

    scp = AE("SCP")
    scp.window = (1, window)
    scp.add_supported_context(CT)
    server = serve(scp, evt_handlers=[(evt.EVT_C_STORE, store)])
    assoc = scu.associate("127.0.0.1", server.server_address[1], window=(window, 1))
    results = list(assoc.send_c_stores(paths, associations=4))
    assert [status.Status for _, status in results] == [0x0000] * MANY
    assoc.release()
    scp.shutdown()


def test_what_cannot_be_sent_is_said(scu: AE, paths: list[Path], tmp_path: Path) -> None:
    odd: list[Any] = [tmp_path / "missing", None, 3, *paths[:5]]
    with listening(Peers()) as listener:
        assoc = associate(scu, listener)
        results = dict(assoc.send_c_stores(odd, associations=3))
        assert list(map(str, sorted(results, key=str))) == list(map(str, sorted(odd, key=str)))
        problems = {path: status.problem for path, status in results.items()}
        assert "No such file" in problems[odd[0]]
        assert problems[None] == "a NoneType is not a path"
        assert problems[3] == "a int is not a path"
        assert [problems[path] for path in paths[:5]] == [None] * 5
        assoc.release()


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "2", None])
def test_what_is_no_number_of_associations(scu: AE, wrong: Any) -> None:
    with listening(Peers()) as listener:
        assoc = associate(scu, listener)
        with pytest.raises((TypeError, ValueError), match="'associations' must be"):
            assoc.send_c_stores([], associations=wrong)
        assoc.release()


# The peer


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_peer_that_grants_fewer(
    scu: AE, paths: list[Path], limit: int, caplog: pytest.LogCaptureFixture
) -> None:
    peers = Peers(limit=limit)
    with caplog.at_level(logging.WARNING, "pynetdicom.assoc"), listening(peers) as listener:
        assoc = associate(scu, listener)
        with_all = threading.Event()
        rejected = (evt.EVT_REJECTED, lambda event: with_all.set())
        assoc.bind(*rejected)

        def slowly() -> Iterator[Path]:
            yield from paths[:8]
            assert with_all.wait(DEADLINE)
            assert until(lambda: len(senders()) <= limit)  # or what is left might be sent before
            yield from paths[8:]

        results = list(assoc.send_c_stores(slowly(), associations=4))
        assert {status.get("Status") for _, status in results} == {0x0000}
        assert sorted(path for path, _ in results) == sorted(paths)
        assoc.release()
    assert peers.all_seen == uids(paths)
    told = [record.getMessage() for record in caplog.records if "from now on" in record.message]
    assert len(told) == 1
    assert "rejected" in told[0]


@pytest.mark.parametrize("dying", [(2,), (3, 1), (1, 1, 1), (5, 2, 1, 1)])
def test_associations_die_in_the_midst(scu: AE, paths: list[Path], dying: tuple[int, ...]) -> None:
    """What was under way has failed, and is not tried again; all else is sent."""
    peers = Peers(*map(aborts_at, dying))
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        results = list(store_files(assoc, paths, associations=4))
        for other in scu.active_associations:
            other.release()
    assert sorted(result.path for result in results) == sorted(paths)
    failed = [result for result in results if result.status is None]
    assert 1 <= len(failed) <= len(dying)
    assert all(str(one.problem).startswith("no answer: aborted by") for one in failed)
    assert peers.all_seen == uids(paths)


@pytest.mark.parametrize("limit", [1, 3])
def test_what_a_dead_one_has_not_sent_goes_to_the_others(
    scu: AE, paths: list[Path], limit: int
) -> None:
    """No other association is granted in its place."""
    peers = Peers(*[aborts_at(3)] * (limit - 1), limit=limit)
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        results = list(store_files(assoc, paths, associations=3))
        for other in scu.active_associations:
            other.release()
    assert sorted(result.path for result in results) == sorted(paths)
    failed = [str(result.problem) for result in results if result.status is None]
    assert len(failed) <= limit - 1
    assert all(problem.startswith("no answer") for problem in failed)
    assert peers.all_seen == uids(paths)


def test_none_is_left(scu: AE, paths: list[Path]) -> None:
    """The rest was not sent, and the caller's paths are asked for to their end."""
    peers = Peers(*[aborts_at(3)] * 3, limit=3)
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        results = list(store_files(assoc, iter(paths), associations=3))
        assert scu.active_associations == []
    assert sorted(result.path for result in results) == sorted(paths)
    by_kind = Counter(str(result.problem).partition(":")[0] for result in results)
    assert by_kind["no answer"] <= 3
    assert by_kind["not sent"] >= MANY - 9
    assert len(peers.all_seen) == MANY - by_kind["not sent"]


def test_the_peer_releases_all(scu: AE, paths: list[Path]) -> None:
    def releases(peer: Scp, seen: int) -> None:
        if seen == 2:
            peer.send(RELEASE_RQ)
            assert peer.pdu() == RELEASE_RP
            raise Gone

    peers = Peers(*[releases] * 3, limit=3)
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        results = list(store_files(assoc, paths, associations=3))
    assert sorted(result.path for result in results) == sorted(paths)
    assert sum(str(result.problem).startswith("not sent: ") for result in results) >= MANY - 6


def test_the_others_cannot_be_had_yet(scu: AE, paths: list[Path]) -> None:
    """Who is still waiting for an answer to its request at the end is not waited for."""
    peers = Peers()
    over = threading.Event()
    count = iter(range(100))

    def script(acceptor: Acceptor) -> None:
        if next(count) == 0:
            peers(acceptor)
        else:
            acceptor.pdu()
            acceptor.pdu()  # the A-ABORT
            over.set()

    with listening(script) as listener:
        assoc = associate(scu, listener)
        results = list(store_files(assoc, paths, associations=3))
        assert [result.status for result in results] == [0x0000] * MANY
        assert over.wait(DEADLINE)
        assert scu.active_associations == [assoc]
        assoc.release()


# The caller


def test_the_caller_pauses(scu: AE, paths: list[Path]) -> None:
    """So do the senders; no more is asked for than they may have outstanding, and once more."""
    asked: list[Path] = []

    def lazily() -> Iterator[Path]:
        assert threading.current_thread() is caller
        for path in paths:
            asked.append(path)
            yield path

    caller = threading.current_thread()
    peers = Peers()
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        results = store_files(assoc, lazily(), associations=4)
        assert asked == []
        next(results)
        assert until(lambda: len(peers.all_seen) == len(asked))
        # Four that wait, and for each sender one under way and one made ready.
        assert len(asked) <= 4 + 4 * 2 + 1
        for _ in range(10):
            next(results)
        assert until(lambda: len(peers.all_seen) == len(asked))
        assert len(asked) <= 10 + 4 + 4 * 2 + 1
        assert len(list(results)) == MANY - 11
        assoc.release()
    assert peers.all_seen == uids(paths)


@pytest.mark.parametrize("taken", [0, 1, 5])
@pytest.mark.parametrize("how", ["close", "forget"])
@pytest.mark.parametrize("stuck", [False, True])
def test_the_loop_is_left(scu: AE, paths: list[Path], taken: int, how: str, stuck: bool) -> None:
    """All senders end, and their associations; the first one stays the caller's."""
    go_on = threading.Event()

    def store(peer: Scp, seen: int) -> None:
        if stuck and seen == 4:
            assert go_on.wait(DEADLINE)

    peers = Peers(*[store] * 4)
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        results = assoc.send_c_stores(paths, associations=4)
        for _ in range(taken):
            next(results)
        if stuck and taken:
            assert peers.wait(lambda: any(len(one) >= 2 for one in peers.seen))
        if how == "close":
            results.close()
        del results
        gc.collect()
        assert until(lambda: senders() == [])
        go_on.set()
        assert until(lambda: scu.active_associations == [assoc])
        assert assoc.is_established
        ds = ct(10)
        ds.SOPInstanceUID = "1.2.3.99"
        assert assoc.send_c_store(ds).Status == 0x0000
        assoc.release()
    assert peers.released + peers.given_up == len(peers.seen)
    assert scu._running.sending == set()
    assert max(Counter(peers.all_seen).values()) == 1


@pytest.mark.parametrize("count", [0, 1, 7])
def test_the_callers_iterable_raises(scu: AE, paths: list[Path], count: int) -> None:
    """Once, when all before it have their results."""

    def failing() -> Iterator[Path]:
        yield from paths[:count]
        raise KeyError("mine")

    peers = Peers()
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        results = store_files(assoc, failing(), associations=4)
        given = [next(results).path for _ in range(count)]
        assert sorted(given) == sorted(paths[:count])
        with pytest.raises(KeyError, match="mine"):
            next(results)
        assert list(results) == []
        assert scu.active_associations == [assoc]
        assoc.release()
    assert peers.released + peers.given_up == len(peers.seen)


def test_ctrl_c(scu: AE, paths: list[Path]) -> None:
    """While no answer comes: the others are aborted, and the first one left to the caller."""
    go_on = threading.Event()

    def store(peer: Scp, seen: int) -> None:
        assert go_on.wait(DEADLINE)

    peers = Peers(*[store] * 3)
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        reached = lambda: peers.wait(lambda: len(peers.all_seen) == 3)  # noqa: E731 - a predicate
        with interrupted_when(reached), pytest.raises(KeyboardInterrupt):
            list(assoc.send_c_stores(paths, associations=3))
        assert until(lambda: senders() == [])
        go_on.set()
        assert until(lambda: scu.active_associations == [assoc])
        assoc.abort()
    assert len(peers.all_seen) == 3


def test_ctrl_c_in_the_callers_iterable(scu: AE, paths: list[Path]) -> None:
    def interrupted() -> Iterator[Path]:
        yield from paths[:5]
        raise KeyboardInterrupt

    with listening(Peers()) as listener:
        assoc = associate(scu, listener)
        with pytest.raises(KeyboardInterrupt):
            list(assoc.send_c_stores(interrupted(), associations=3))
        assert until(lambda: senders() == [])
        assert until(lambda: scu.active_associations == [assoc])
        assoc.abort()


@pytest.mark.parametrize("end", ["abort", "release", "shutdown"])
@pytest.mark.parametrize("by_another", [False, True])
def test_the_local_user_ends_it(scu: AE, paths: list[Path], end: str, by_another: bool) -> None:
    """By the first association, the only one that is known: no file is sent on any after that."""
    peers = Peers()
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        results = assoc.send_c_stores(paths * 5, associations=3)
        given = [next(results) for _ in range(4)]
        finish = getattr(scu if end == "shutdown" else assoc, end)
        if by_another:
            call = Call(finish)
            given += results
            call.result()
        else:
            finish()
            given += results
        assert until(lambda: scu.active_associations == [])
        assert until(lambda: senders() == [])
    assert len(given) <= MANY * 5
    if not by_another:
        assert len(given) < MANY
    assert scu._running.sending == set()


def test_a_further_one_is_ended_by_its_handler(scu: AE, paths: list[Path]) -> None:
    """The user may know it by an event: what it has not sent goes to the others."""
    established: list[Any] = []
    peers = Peers()
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        assoc.bind(evt.EVT_ESTABLISHED, lambda event: established.append(event.assoc))
        results = store_files(assoc, paths, associations=3)
        given = [next(results) for _ in range(5)]
        assert until(lambda: len(established) == 2)
        established[0].abort()
        given += results
        assert scu.active_associations == [assoc]
        assoc.release()
    assert sorted(result.path for result in given) == sorted(paths)
    assert sum(result.status is None for result in given) <= 1


def test_an_acceptor_sends_on_its_own(paths: list[Path]) -> None:
    raised: list[Any] = []
    over = threading.Event()

    def send(event: Any) -> None:
        try:
            event.assoc.send_c_stores(paths, associations=2)
        except ValueError as error:
            raised.append(error)
        over.set()

    scp, ae = AE("SCP"), AE("SCU")
    scp.add_supported_context(CT)
    ae.add_requested_context(CT)
    server = serve(scp, evt_handlers=[(evt.EVT_ESTABLISHED, send)])
    ae.associate(*server.server_address[:2])
    assert over.wait(DEADLINE)
    assert "where we requested the association" in str(raised[0])
    ae.shutdown()
    scp.shutdown()


def test_others_are_like_the_first(scu: AE, paths: list[Path]) -> None:
    requests: list[Any] = []

    class Noting(Peers):
        def __call__(self, acceptor: Acceptor) -> None:
            accept = Taker.accept

            def noted(peer: Any, *contexts: Any) -> Any:
                request = accept(peer, *contexts)
                requests.append(request)
                return request

            Taker.accept = noted  # type: ignore[method-assign]  # a spy
            try:
                super().__call__(acceptor)
            finally:
                Taker.accept = accept  # type: ignore[method-assign]

    peers = Noting()
    peers.store = (peers.await_another,)
    with listening(peers) as listener:
        assoc = associate(scu, listener, ae_title="THERE", max_pdu=20000)
        list(assoc.send_c_stores(paths, associations=2))
        assoc.release()
    assert requests[0] == requests[1]
    assert requests[0].called_ae_title == "THERE"


def test_no_descriptor_is_left(scu: AE, paths: list[Path]) -> None:
    """Nor does the first association grow with the number of calls."""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("the system does not tell of descriptors")
    with listening(Peers()) as listener:
        assoc = associate(scu, listener)
        for _ in range(5):
            list(assoc.send_c_stores(paths[:8], associations=3))
        assert until(lambda: len(scu._running.associations) == 1)
        assert assoc._link.sub_associations == set()
        assert len(assoc.dimse.outstanding()) == 0
        assoc.release()
