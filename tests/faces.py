"""Which tests are run through both faces of the library, threads and asyncio: one suite for both.

`THROUGH` names modules, and whether our side in them is SCU, SCP or both. Their tests are written
for threads, and run once more where `AE.associate`, `AE.start_server` or both are
those of `pynetdicom.aio`, see `driven`. What a test says about threads themselves, or about the way
in which calls differ, is marked as ``threads``, with the reason.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pynetdicom import AE

HERE = Path(__file__).parent
THREADS, ASYNCIO = "threads", "asyncio"
SCU = [(THREADS, THREADS), (ASYNCIO, THREADS)]
SCP = [(THREADS, THREADS), (THREADS, ASYNCIO)]
QUICK = [(THREADS, THREADS), (ASYNCIO, ASYNCIO)]
"""Those that `make test` runs."""
MIXED = [(ASYNCIO, THREADS), (THREADS, ASYNCIO)]
BOTH = QUICK + (MIXED if "PYNETDICOM_FACES" in os.environ else [])
"""``make test-faces`` has one face ask the other, too."""

THROUGH = {
    "association/test_extended_negotiation.py": SCU,
    "association/test_invoking.py": SCU,
    "association/test_normalized.py": SCU,
    "association/test_querying.py": SCU,
    "association/test_requesting.py": SCU,
    "association/test_responses.py": SCU,
    "association/test_service_user.py": SCU,
    "association/test_storing.py": SCU,
    "association/test_succession.py": SCU,
    "association/test_window.py": SCU,
    "faults/test_as_requestor.py": SCU,
    "association/test_admission.py": SCP,
    "association/test_serving.py": SCP,
    "faults/test_dimse.py": SCP,
    "faults/test_scp_upper_layer.py": SCP,
    "test_get_scp.py": SCP,
    "test_handler_mistakes.py": SCP,
    "test_odd_data_sets.py": SCP,
    "test_query_scp.py": SCP,
    "association/test_association.py": BOTH,
    "association/test_destinations.py": BOTH,
    "association/test_reports_meanwhile.py": BOTH,
    "test_access.py": BOTH,
    "test_callbacks.py": BOTH,
    "test_debug_log.py": BOTH,
    "test_drain.py": BOTH,
    "test_events.py": BOTH,
    "test_identity.py": BOTH,
    "test_log_of_peers.py": BOTH,
    "test_metrics.py": BOTH,
    "test_stats.py": BOTH,
    "test_timeouts.py": BOTH,
    "test_tls.py": BOTH,
    "test_with.py": BOTH,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    path = Path(metafunc.module.__file__).relative_to(HERE).as_posix()
    pairs = THROUGH.get(path)
    if pairs is None or metafunc.definition.get_closest_marker("threads"):
        return
    params = [
        pytest.param(
            pair,
            id="-".join(pair)
            if pairs is BOTH
            else next((f for f in pair if f != THREADS), THREADS),
            marks=[] if pair in QUICK else [pytest.mark.slow],
        )
        for pair in pairs
    ]
    metafunc.parametrize("faces", params, indirect=True)


def runs_handlers(assoc: Any) -> bool:
    """Whether this is the thread where plain handlers of an association belong."""
    thread = threading.current_thread()
    return thread is assoc or thread.name.startswith("pynetdicom-handlers")


@pytest.fixture(scope="session")
def loop() -> Iterator[Any]:
    """The event loop of the asyncio face."""
    from tests import driven

    made = driven.Loop()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def faces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The faces of SCU and SCP."""
    scu, scp = getattr(request, "param", (THREADS, THREADS))
    if ASYNCIO in (scu, scp):
        pytest.importorskip("pynetdicom.aio")
        from tests import driven

        loop = request.getfixturevalue("loop")
        for module in ("association", "server"):
            monkeypatch.setattr(f"pynetdicom.aio.{module}.Association", driven.Driven)
        if scu == ASYNCIO:
            monkeypatch.setattr(AE, "associate", driven.associate_in(loop))
        if scp == ASYNCIO:
            monkeypatch.setattr(AE, "start_server", driven.start_server_in(loop))
