"""What has been done, in numbers: of an association and of a server, exactly, for any thread."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pynetdicom import AE, evt
from pynetdicom.stats import Done, ServerStats, Stats
from tests.faults.peer import Peer, reject, request, until
from tests.pair import Pair, ended
from tests.peers import CT, VERIFICATION, ct


def counts(stats: Stats | ServerStats) -> dict[tuple[str, str, int], int]:
    return {kind: done.count for kind, done in stats.operations.items()}


def test_operations_by_side_name_and_status() -> None:
    statuses = iter([0x0000, 0xA700, 0x0000])
    with Pair(scp_handlers=[(evt.EVT_C_STORE, lambda event: next(statuses))]) as pair:
        assoc = pair.established()
        assert assoc.stats.operations == {}
        for _ in range(3):
            assoc.send_c_store(ct())
        assoc.send_c_echo()
        expected = {("C-STORE", 0x0000): 2, ("C-STORE", 0xA700): 1, ("C-ECHO", 0x0000): 1}
        assert counts(assoc.stats) == {("invoked", *what): n for what, n in expected.items()}
        performed = {("performed", *what): n for what, n in expected.items()}
        # The response is out before it is counted.
        assert until(lambda: counts(pair.server.stats) == performed)
        stored = assoc.stats.operations["invoked", "C-STORE", 0x0000]
        size = stored.bytes // 2
        assert size > 1000
        assert stored.seconds > 0
        assert pair.server.stats.operations["performed", "C-STORE", 0x0000].bytes == 2 * size
        assert pair.server.stats.active == 1
        assoc.release()
        assert until(lambda: pair.server.stats.active == 0)
        assert counts(pair.server.stats) == performed, "also when the association has ended"
        assert pair.server.stats.ended == {("released", "peer"): 1}


def test_a_query_is_one_operation() -> None:
    """However many matches it has."""
    find = "1.2.840.10008.5.1.4.1.2.2.1"
    query: Any = ct()
    del query.EncapsulatedDocument
    query.QueryRetrieveLevel = "STUDY"
    scp = AE()
    scp.add_supported_context(find)
    with Pair(scp, [(evt.EVT_C_FIND, lambda event: [(0xFF00, query)] * 5)]) as pair:
        pair.scu.add_requested_context(find)
        assoc = pair.established()
        assert len(list(assoc.send_c_find(query, find))) == 6
        assert counts(assoc.stats) == {("invoked", "C-FIND", 0x0000): 1}
        assert until(lambda: counts(pair.server.stats) == {("performed", "C-FIND", 0x0000): 1})


def test_how_associations_have_ended() -> None:
    with Pair() as pair:
        pair.scp.maximum_associations = 1
        first = pair.established()
        with Peer.connect(("127.0.0.1", pair.port)) as peer:
            peer.send(request())
            assert peer.pdu() == reject(2, 3, 2)
        first.abort()
        assert until(lambda: pair.server.stats.active == 0)
        assert pair.server.stats.ended == {("rejected", "local"): 1, ("aborted", "peer"): 1}
        assert pair.server.stats.operations == {}


def test_nothing_is_lost_of_many_threads() -> None:
    """Several ask on one association, and several serve it, without waiting for each other."""
    threads, each = 8, 40
    scp = AE("SCP")
    scp.window = (8, 8)
    for uid in (VERIFICATION, CT):
        scp.add_supported_context(uid)
    together = threading.Barrier(threads)

    def ask(assoc: Any) -> None:
        together.wait()
        for _ in range(each):
            assert assoc.send_c_echo().Status == 0x0000

    with Pair(scp, [(evt.EVT_C_ECHO, lambda event: 0x0000)]) as pair:
        assoc = pair.established(window=(8, 8))
        (served,) = pair.server.active_associations
        with ThreadPoolExecutor(threads) as pool:
            for done in [pool.submit(ask, assoc) for _ in range(threads)]:
                done.result()
        assert counts(assoc.stats) == {("invoked", "C-ECHO", 0x0000): threads * each}
        assoc.release()
        ended(served)
        total = {("performed", "C-ECHO", 0x0000): threads * each}
        assert counts(pair.server.stats) == counts(served.stats) == total


def test_numbers_are_values() -> None:
    done = Done(1, 2, 3.0)
    with pytest.raises(AttributeError):
        done.count = 2  # type: ignore[misc]
