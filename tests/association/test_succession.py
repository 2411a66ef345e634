"""pynetdicom.association.succession: what becomes of the rest when an association breaks."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.association.storing import store_files
from pynetdicom.association.succession import Endurance, was_wanted
from pynetdicom.dimse.primitives import Primitive
from pynetdicom.upper_layer.ended import Ended
from tests.faults.peer import CT, IMPLICIT, RELEASE_RP, RELEASE_RQ, abort, reject
from tests.peers import DEADLINE, Acceptor, Call, Listener, ct, listening
from tests.scp import Scp

EXPLICIT = str(ExplicitVRLittleEndian)


class Gone(Exception):
    """The peer has ended the association."""


def aborts(peer: Scp) -> None:
    peer.send(abort(0, 0))
    raise Gone


def provider_aborts(peer: Scp) -> None:
    peer.send(abort(2, 6))
    raise Gone


def closes(peer: Scp) -> None:
    raise Gone


def resets(peer: Scp) -> None:
    peer.reset()
    raise Gone


def releases(peer: Scp) -> None:
    peer.send(RELEASE_RQ)
    assert peer.pdu() == RELEASE_RP
    raise Gone


DEATHS = {
    "aborts": aborts,
    "provider aborts": provider_aborts,
    "closes": closes,
    "resets": resets,
}


class Taker(Scp):
    """Takes data sets in whatever encoding."""

    def message(self) -> tuple[int, Primitive, None]:
        context_id, request = self.command()
        while request.has_data_set and not self.pdu()[11] & 2:
            pass
        return context_id, request, None


class Peers:
    """What listens: takes instances, but dies at the `bad` ones, each time in an own way.

    Attributes
    ----------
    seen : list of list of str
        The SOP Instance UIDs that were sent, by association.
    released : int
        How many associations were released by us.
    """

    def __init__(self, *bad: str, how: Callable[[Scp], None] = aborts, limit: int = 99999) -> None:
        self.bad = set(bad)
        self.how = how
        self.limit = limit
        self.seen: list[list[str]] = []
        self.released = 0
        self.accept: Callable[[Scp, int], Any] = lambda peer, number: peer.accept()

    def __call__(self, acceptor: Acceptor) -> None:
        peer = Taker(acceptor.socket)
        number = len(self.seen)
        self.seen.append([])
        if number >= self.limit:
            peer.pdu()
            peer.send(reject(1, 1, 1))
            return
        self.accept(peer, number)

        def handle(context_id: int, request: Primitive, asked: Any) -> None:
            uid = str(request.AffectedSOPInstanceUID)
            self.seen[number].append(uid)
            if uid in self.bad:
                self.how(peer)
            peer.answer(context_id, request.response(0))

        try:
            peer.serve(handle)
        except Gone:
            return
        self.released += 1

    @property
    def stored(self) -> list[str]:
        return [uid for one in self.seen for uid in one if uid not in self.bad]


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., list[Path]]:
    """``files(n)``: as many CT images, whose instances are numbered."""

    def make(count: int, syntax: str = IMPLICIT) -> list[Path]:
        paths = []
        ds = ct(100)
        ds.file_meta.TransferSyntaxUID = syntax
        for number in range(count):
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
            paths.append(tmp_path / f"{number}.dcm")
            ds.save_as(paths[-1], enforce_file_format=True)
        return paths

    return make


def requestor(*contexts: Any) -> AE:
    ae = AE("SCU")
    ae.requested_contexts = list(contexts) or [build_context(CT, IMPLICIT)]
    ae.acse_timeout = ae.dimse_timeout = DEADLINE
    return ae


@pytest.fixture
def scu() -> Iterator[AE]:
    ae = requestor()
    yield ae
    ae.shutdown()


def associate(ae: AE, listener: Listener, **options: Any) -> Any:
    assoc = ae.associate("127.0.0.1", listener.port, **options)
    assert assoc.is_established, assoc.ended
    return assoc


BAD: list[tuple[int, ...]] = [(0,), (1,), (3,), (0, 1), (1, 3), (0, 1, 2, 3), ()]


@pytest.mark.parametrize("send_ahead", [False, True])
@pytest.mark.parametrize("bad", BAD, ids=str)
def test_a_bad_file_costs_none_of_the_others(
    scu: AE, files: Callable[..., list[Path]], bad: tuple[int, ...], send_ahead: bool
) -> None:
    paths = files(4)
    peers = Peers(*(f"1.2.3.{number}" for number in bad))
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        results = list(assoc.send_c_stores(paths, send_ahead=send_ahead))
        if not bad:
            assoc.release()
    assert [path for path, _ in results] == paths
    for number, (_, status) in enumerate(results):
        if number in bad:
            assert len(status) == 0
            assert status.problem == "no answer: aborted by the peer"
        else:
            assert (status.Status, status.problem) == (0, None)
    assert peers.stored == [f"1.2.3.{number}" for number in range(4) if number not in bad]
    # Not one of them was tried twice, and none is made when nothing is left.
    assert sum(map(len, peers.seen)) == 4
    assert len(peers.seen) == len(bad) + (3 not in bad)
    assert peers.released == (3 not in bad)


@pytest.mark.parametrize("how", DEATHS)
def test_however_the_association_ends(scu: AE, files: Callable[..., list[Path]], how: str) -> None:
    peers = Peers("1.2.3.1", how=DEATHS[how])
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        results = list(store_files(assoc, files(4)))
    assert [result.status for result in results] == [0, None, 0, 0]
    assert peers.seen == [["1.2.3.0", "1.2.3.1"], ["1.2.3.2", "1.2.3.3"]]


def releases_and_resets(peer: Scp) -> None:
    peer.send(RELEASE_RQ)
    assert peer.pdu() == RELEASE_RP
    peer.reset()
    raise Gone


@pytest.mark.parametrize("send_ahead", [False, True])
@pytest.mark.parametrize("how", [releases, releases_and_resets])
def test_a_peer_that_releases_wants_no_more(
    scu: AE, files: Callable[..., list[Path]], how: Callable[[Scp], None], send_ahead: bool
) -> None:
    """The rest is not sent, and named: nothing of it is lost without a word."""
    paths = files(4)
    peers = Peers("1.2.3.1", how=how)
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        results = list(store_files(assoc, paths, send_ahead=send_ahead))
    assert [(result.path, result.status) for result in results] == [
        (path, 0 if path is paths[0] else None) for path in paths
    ]
    assert [result.problem for result in results[1:]] == [
        "no answer: released by the peer",
        *["not sent: released by the peer"] * 2,
    ]
    assert len(peers.seen) == 1


@pytest.mark.parametrize("send_ahead", [False, True])
def test_a_peer_that_releases_between_two_files(
    scu: AE, files: Callable[..., list[Path]], send_ahead: bool
) -> None:
    paths = files(4)
    with listening(answers_and_releases) as listener:
        assoc = associate(scu, listener)
        given = []
        for result in store_files(assoc, paths, send_ahead=send_ahead):
            given.append(result)
            assoc.join(DEADLINE)
    assert [result.path for result in given] == paths
    assert [result.status for result in given] == [0, None, None, None]
    assert all("released by the peer" in str(result.problem) for result in given[1:])


def answers_and_releases(acceptor: Acceptor) -> None:
    peer = Taker(acceptor.socket)
    peer.accept()
    context_id, request, _ = peer.message()
    peer.answer(context_id, request.response(0))
    peer.send(RELEASE_RQ)
    with contextlib.suppress(OSError, EOFError):
        while peer.pdu() != RELEASE_RP:
            pass


def test_a_thousand_files_with_every_tenth_bad(scu: AE, files: Callable[..., list[Path]]) -> None:
    paths = files(1000)
    peers = Peers(*(f"1.2.3.{number}" for number in range(0, 1000, 10)))
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        results = list(store_files(assoc, paths, send_ahead=True))
    assert [result.status is None for result in results] == [n % 10 == 0 for n in range(1000)]
    assert len(peers.stored) == 900
    assert len(peers.seen) == 101
    assert scu.active_associations == []


def test_a_peer_that_rejects_the_second_association(
    scu: AE, files: Callable[..., list[Path]]
) -> None:
    """It is asked once, and every file is accounted for."""
    paths = files(5)
    peers = Peers("1.2.3.1", limit=1)
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        results = list(store_files(assoc, paths, send_ahead=True))
    assert [result.path for result in results] == paths
    assert [result.status for result in results] == [0, None, None, None, None]
    assert results[1].problem == "no answer: aborted by the peer"
    for result in results[2:]:
        assert str(result.problem).startswith("not sent: aborted by the peer, and no other")
        assert "rejected permanently by the peer" in str(result.problem)
    assert len(peers.seen) == 2


def test_a_peer_that_is_gone(scu: AE, files: Callable[..., list[Path]]) -> None:
    peers = Peers("1.2.3.1")
    with listening(peers) as listener:
        peers.how = aborts
        assoc = associate(scu, listener)
        listener.stop()
        results = list(store_files(assoc, files(4)))
    assert [result.status for result in results] == [0, None, None, None]
    assert "no connection" in str(results[2].problem)


def test_a_peer_that_ends_each_association_at_once(
    scu: AE, files: Callable[..., list[Path]]
) -> None:
    """There are never more associations than files, and one."""
    peers = Peers("1.2.3.0")

    def accept(peer: Scp, number: int) -> None:
        peer.accept()
        if number:
            peer.close()

    peers.accept = accept
    with listening(lambda peer: _suppress(peers, peer)) as listener:
        assoc = associate(scu, listener)
        results = list(store_files(assoc, files(10)))
    assert [result.status for result in results] == [None] * 10
    assert 2 <= len(peers.seen) <= 11


def _suppress(peers: Peers, peer: Acceptor) -> None:
    with contextlib.suppress(OSError, AssertionError):
        peers(peer)


def test_a_peer_that_answers_nothing(scu: AE, files: Callable[..., list[Path]]) -> None:
    """A time-out costs a file, too; two in a row are the end of it."""
    scu.dimse_timeout = 0.1
    peers = Peers("1.2.3.1", "1.2.3.3", "1.2.3.4")

    def silent(peer: Scp) -> None:
        assert peer.pdu() == abort(0, 0)
        raise Gone

    peers.how = silent
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        results = list(store_files(assoc, files(7)))
    assert [result.status for result in results] == [0, None, 0, None, None, None, None]
    assert "dimse_timeout" in str(results[4].problem)
    assert "not sent" in str(results[5].problem)
    assert len(peers.seen) == 3


@pytest.mark.parametrize("end", ["abort", "release", "shutdown"])
@pytest.mark.parametrize("when", ["first", "later"])
@pytest.mark.parametrize("send_ahead", [False, True])
def test_what_the_local_user_ends_is_over(
    scu: AE, files: Callable[..., list[Path]], end: str, when: str, send_ahead: bool
) -> None:
    peers = Peers(*(["1.2.3.0"] if when == "later" else []))
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        given = []
        for _, status in assoc.send_c_stores(files(6), send_ahead=send_ahead):
            given.append(status.get("Status"))
            if len(given) == 2:
                getattr(scu if end == "shutdown" else assoc, end)()
        assert scu.active_associations == []
    # One more, whose answer was lost or not, if it was under way.
    assert given[:2] == [None if when == "later" else 0, 0]
    assert len(given) <= 2 + send_ahead
    assert len(peers.seen) == 1 + (when == "later")


def test_an_abort_while_a_successor_waits_for_its_answer(
    scu: AE, files: Callable[..., list[Path]]
) -> None:
    """From another thread, which knows of the first association only."""
    reached = threading.Event()
    peers = Peers("1.2.3.0", "1.2.3.1")

    def second(peer: Scp) -> None:
        reached.set()
        assert peer.pdu() == abort(0, 0)
        raise Gone

    def how(peer: Scp) -> None:
        (aborts if len(peers.seen) == 1 else second)(peer)

    peers.how = how
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        call = Call(lambda: list(store_files(assoc, files(5))))
        assert reached.wait(DEADLINE)
        assert not assoc.is_established
        assoc.abort()
        results = call.result()
    assert [result.status for result in results] == [None, None]
    assert "aborted by the local side" in results[1].problem
    assert len(peers.seen) == 2


@pytest.mark.parametrize("end", ["abort", "shutdown"])
def test_an_end_while_a_successor_is_being_made(
    scu: AE, files: Callable[..., list[Path]], end: str
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    peers = Peers("1.2.3.0")

    def accept(peer: Scp, number: int) -> None:
        if number == 0:
            peer.accept()
            return
        peer.pdu()
        reached.set()
        assert go_on.wait(DEADLINE)
        raise Gone

    peers.accept = accept

    def script(acceptor: Acceptor) -> None:
        with contextlib.suppress(Gone):
            peers(acceptor)

    with listening(script) as listener:
        assoc = associate(scu, listener)
        call = Call(lambda: list(store_files(assoc, files(5))))
        assert reached.wait(DEADLINE)
        getattr(scu if end == "shutdown" else assoc, end)()
        results = call.result()
        go_on.set()
    assert [result.status for result in results][:1] == [None]
    assert all(result.status is None for result in results)
    assert len(peers.seen) == 2


def test_leaving_early_releases_the_successor(scu: AE, files: Callable[..., list[Path]]) -> None:
    peers = Peers("1.2.3.0")
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        for number, _ in enumerate(assoc.send_c_stores(files(6))):
            if number == 2:
                break
        for other in scu.active_associations:
            other.join(DEADLINE)
        assert scu.active_associations == []
    assert peers.seen == [["1.2.3.0"], ["1.2.3.1", "1.2.3.2"]]
    assert peers.released == 1
    assert scu._running.sending == set()


def test_an_exception_of_the_callers_iterable_aborts_nothing_but_the_successor(
    scu: AE, files: Callable[..., list[Path]]
) -> None:
    paths = files(3)

    def failing() -> Iterator[Path]:
        yield from paths
        raise KeyError("mine")

    peers = Peers("1.2.3.0")
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        results = store_files(assoc, failing())
        assert [next(results).status for _ in paths] == [None, 0, 0]
        with pytest.raises(KeyError, match="mine"):
            next(results)
        for other in scu.active_associations:
            other.join(DEADLINE)
    assert len(peers.seen) == 2


def test_a_successor_is_like_the_first(scu: AE, files: Callable[..., list[Path]]) -> None:
    """Title, contexts, items, timeouts, and the handlers that were bound in the meantime."""
    requests: list[Any] = []
    established: list[Any] = []
    peers = Peers("1.2.3.0")
    peers.accept = lambda peer, number: requests.append(peer.accept())
    with listening(peers) as listener:
        assoc = associate(
            scu,
            listener,
            ae_title="THERE",
            max_pdu=20000,
            ext_neg=[build_role(CT, scu_role=True, scp_role=True)],
        )
        assoc.dimse_timeout, assoc.network_timeout = 4, 5
        assoc.network_timeout_response = "A-RELEASE"
        assoc.bind(evt.EVT_ESTABLISHED, lambda event: established.append(event.assoc))
        results = store_files(assoc, files(3))
        assert [next(results).status for _ in range(2)] == [None, 0]
        (other,) = established
        assert (other.dimse_timeout, other.network_timeout) == (4, 5)
        assert other.network_timeout_response == "A-RELEASE"
        assert other.ae is scu
        # The first one says how it ended, and is of no use any more.
        assert not assoc.is_established
        assert str(assoc.ended) == "aborted by the peer"
        with pytest.raises(RuntimeError, match="must be established"):
            assoc.send_c_store(ct())
        assert [result.status for result in results] == [0]
        assert other.is_released
    assert requests[0] == requests[1]


def test_a_successor_on_which_another_transfer_syntax_is_accepted(
    files: Callable[..., list[Path]],
) -> None:
    """The file that was made ready for the first one is made ready anew."""
    ae = requestor(build_context(CT, EXPLICIT), build_context(CT, IMPLICIT))
    peers = Peers("1.2.3.1")
    data: list[tuple[int, int]] = []

    def accept(peer: Scp, number: int) -> None:
        from pynetdicom.upper_layer.items import PresentationContextAC

        results = [0, 0] if number == 0 else [4, 0]
        peer.accept(
            PresentationContextAC(context_id=1, result=results[0], transfer_syntax=EXPLICIT),
            PresentationContextAC(context_id=3, result=results[1], transfer_syntax=IMPLICIT),
        )
        answer = peer.answer

        def noting(context_id: int, *args: Any) -> None:
            data.append((number, context_id))
            answer(context_id, *args)

        peer.answer = noting  # type: ignore[method-assign]  # a spy

    peers.accept = accept
    try:
        with listening(peers) as listener:
            assoc = associate(ae, listener)
            results = list(store_files(assoc, files(4, EXPLICIT), send_ahead=True))
    finally:
        ae.shutdown()
    assert [result.status for result in results] == [0, None, 0, 0]
    assert data == [(0, 1), (1, 3), (1, 3)]


def test_an_acceptor_makes_none(files: Callable[..., list[Path]]) -> None:
    """It sends on its peer's association; what was not sent is said of each."""
    paths = files(4)
    results: list[Any] = []
    over = threading.Event()

    def send(event: Any) -> None:
        def run() -> None:
            results.extend(event.assoc.send_c_stores(paths))
            over.set()

        threading.Thread(target=run).start()

    def store(event: Any) -> int:
        if event.request.AffectedSOPInstanceUID == "1.2.3.1":
            event.assoc.abort()
        return 0

    scp = AE("SCP")
    scp.add_supported_context(CT, IMPLICIT, scu_role=True, scp_role=True)
    server = scp.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_ESTABLISHED, send)]
    )
    assert server is not None
    ae = requestor()
    try:
        ae.associate(
            "127.0.0.1",
            server.server_address[1],
            ext_neg=[build_role(CT, scu_role=True, scp_role=True)],
            evt_handlers=[(evt.EVT_C_STORE, store)],
        )
        assert over.wait(DEADLINE)
    finally:
        ae.shutdown()
        scp.shutdown()
    assert [path for path, _ in results] == paths
    assert [status.get("Status") for _, status in results] == [0, None, None, None]
    assert [status.problem for _, status in results[2:]] == ["not sent: aborted by the peer"] * 2


def test_two_threads_whose_association_breaks(scu: AE, files: Callable[..., list[Path]]) -> None:
    """Only the file that it broke at is lost; each thread goes on on an own association."""
    paths = files(40)
    peers = Peers("1.2.3.10")
    with listening(peers) as listener:
        assoc = associate(scu, listener)
        halves = [paths[::2], paths[1::2]]
        # Both begin before it can break.
        streams = [store_files(assoc, half) for half in halves]
        calls = [Call(list, stream) for stream in streams]
        results = [call.result(2 * DEADLINE) for call in calls]
    lost = [result.path.name for half in results for result in half if result.status is None]
    assert lost == ["10.dcm"]
    assert len(peers.stored) == 39


def test_what_goes_on() -> None:
    """By who ended the association, and how."""
    wanted = Ended("aborted", "local", 0, 0)
    assert was_wanted(wanted)
    assert was_wanted(Ended("released", "local"))
    assert not was_wanted(Ended("aborted", "local", 0, 0, error=ValueError()))
    late = Ended("aborted", "local", 0, 0, timer="dimse_timeout")
    endurance = Endurance()
    assert not endurance.goes_on(wanted)
    assert not endurance.goes_on(None)
    for _ in range(1000):
        assert endurance.goes_on(Ended("aborted", "peer", 0, 0))
    assert endurance.goes_on(late)
    assert not endurance.goes_on(late)
    endurance.answered()
    assert endurance.goes_on(late)
    assert endurance.goes_on(Ended("aborted", "network"))
    assert endurance.goes_on(late)
