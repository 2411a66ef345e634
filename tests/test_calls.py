"""How many Python functions of the library a message takes, on both sides together.

The ceilings only ever go down.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian

import pynetdicom
from pynetdicom import AE, evt

PACKAGE = str(Path(pynetdicom.__file__).parent)
VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"

CEILINGS = {"echo": 74, "store": 108, "match": 45}
"""Of a C-ECHO, a C-STORE, a pending response to a C-FIND."""

ROUNDS, TIMES = 60, 10
MATCHES = 100


class Calls:
    """A profile function that counts calls by what is called."""

    def __init__(self) -> None:
        self.codes: Counter[CodeType] = Counter()

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "call":
            self.codes[frame.f_code] += 1

    def of_the_package(self) -> Counter[str]:
        names: Counter[str] = Counter()
        for code, count in dict(self.codes).items():  # at once: threads still count
            if code.co_filename.startswith(PACKAGE):
                names[f"{Path(code.co_filename).name}:{code.co_name}"] += count
        return names


@pytest.fixture
def calls() -> Iterator[Calls]:
    """Counts on all threads that begin from now on, and on this one."""
    counter = Calls()
    threading.setprofile(counter)
    sys.setprofile(counter)
    try:
        yield counter
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]  # typeshed does not know of it


def instance() -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID, ds.PatientID = CT, "1.2.3.4", "1"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return ds


def least(calls: Calls, work: Callable[[], Any]) -> Counter[str]:
    """What something takes in the round that takes least."""
    rounds = []
    for _ in range(ROUNDS):
        calls.codes = Counter()
        work()
        rounds.append(calls.of_the_package())
    return min(rounds, key=Counter.total)


@pytest.mark.parametrize("kind", CEILINGS)
def test_calls(calls: Calls, kind: str) -> None:
    match = Dataset()
    match.QueryRetrieveLevel, match.PatientID = "STUDY", "1"
    scp, scu = AE("SCP"), AE("SCU")
    for ae in (scp, scu):
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 300
    for uid in (VERIFICATION, CT, FIND):
        scp.add_supported_context(uid, ImplicitVRLittleEndian)
        scu.add_requested_context(uid, ImplicitVRLittleEndian)
    server = scp.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[
            (evt.EVT_C_STORE, lambda event: 0x0000),
            (evt.EVT_C_FIND, lambda event: [(0xFF00, match)] * MATCHES),
        ],
    )
    assert server is not None
    ds = instance()
    with scp, scu.associate("127.0.0.1", server.server_address[1]) as assoc:
        work: dict[str, tuple[Callable[[], Any], int]] = {
            "echo": (lambda: [assoc.send_c_echo() for _ in range(TIMES)], TIMES),
            "store": (lambda: [assoc.send_c_store(ds) for _ in range(TIMES)], TIMES),
            "match": (lambda: len(list(assoc.send_c_find(match, FIND))), MATCHES + 1),
        }
        call, times = work[kind]
        counted = least(calls, call)
    each = {name: round(count / times, 2) for name, count in counted.most_common()}
    assert counted.total() / times <= CEILINGS[kind], each


def test_hops() -> None:
    """The functions a request goes through: from the thread that reads to its handler."""
    seen: dict[str, list[str]] = {}

    def functions(after: str) -> list[str]:
        """What is being called in the package, from below `after` up to here."""
        names = [
            frame.f_code.co_name
            for frame, _ in traceback.walk_stack(None)
            if frame.f_code.co_filename.startswith(PACKAGE)
        ]
        return names[: names.index(after)]

    def handle(event: evt.Event) -> int:
        seen["serve"] = functions("serve")
        return 0x0000

    scp, scu = AE("SCP"), AE("SCU")
    scp.add_supported_context(VERIFICATION)
    scu.add_requested_context(VERIFICATION)
    server = scp.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_ECHO, handle)]
    )
    assert server is not None
    with scp, scu.associate("127.0.0.1", server.server_address[1]) as assoc:
        inbox = server.active_associations[0]._link.inbox

        class Items(dict[Any, Any]):
            def setdefault(self, key: Any, default: Any = None) -> Any:
                seen["read"] = functions("_understand")
                return super().setdefault(key, default)

        inbox._outstanding = Items()
        assert assoc.send_c_echo().Status == 0x0000
    assert seen["read"] == ["put_request", "feed", "next", "receive"]
    assert seen["serve"] == ["run", "single", "answer", "_serve_request"]
