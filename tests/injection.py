"""Something that happens between two bytecodes of the library, on the thread that runs them.

A trace function stands for the handler of a signal, or for a finalizer: it raises
KeyboardInterrupt, or calls something, at the n-th bytecode that a thread executes in the package.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from pydicom.data import get_testdata_file

import pynetdicom
from pynetdicom import AE, build_role, evt
from pynetdicom.presentation import build_context
from tests.faults.peer import until
from tests.scp import identifier

PACKAGE = str(Path(pynetdicom.__file__).parent)
DEADLINE = 20.0

UNDIVIDED = {("descriptor.py", "close")}
"""Where Python itself looks for signals at the beginning and at the end only.

A descriptor's number is taken and closed there: in between it would be nobody's.
"""

VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
FILE = get_testdata_file("CT_small.dcm")


class Injector:
    """A trace function that does something once, before the `at`-th bytecode in the package."""

    def __init__(self, at: int, act: Callable[[], Any]) -> None:
        self.at, self.act = at, act
        self.count = 0
        self.where = ""

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "call":
            code = frame.f_code
            if (
                not code.co_filename.startswith(PACKAGE)
                or (Path(code.co_filename).name, code.co_name) in UNDIVIDED
            ):
                return None
            frame.f_trace_lines = False
            frame.f_trace_opcodes = True
        elif event == "opcode":
            self.count += 1
            if self.count == self.at:
                name = Path(frame.f_code.co_filename).relative_to(PACKAGE)
                self.where = f"{name}:{frame.f_lineno} {frame.f_code.co_name} @{frame.f_lasti}"
                self.act()
        return self


class Hung(AssertionError):
    """Something did not end."""


def in_time(call: Callable[[], Any], what: str, injector: Injector | None = None) -> Any:
    """Call something in a thread; what came out of it, or `Hung` with where it stands."""
    outcome: list[Any] = []

    def run() -> None:
        sys.settrace(injector)
        try:
            outcome.append(call())
        except BaseException as error:
            outcome.append(error)
        finally:
            sys.settrace(None)

    thread = threading.Thread(target=run, name="caller", daemon=True)
    thread.start()
    thread.join(DEADLINE)
    if thread.is_alive():
        stacks = [
            f"--- {one.name}\n" + "".join(traceback.format_stack(frame))
            for one in threading.enumerate()
            if one is not threading.main_thread()
            and (frame := sys._current_frames().get(one.ident or 0)) is not None
        ]
        where = injector.where if injector is not None else ""
        raise Hung(f"{what} does not end: {where}\n" + "\n".join(stacks))
    return outcome[0]


def instance() -> Any:
    """A small CT image."""
    from pydicom.dataset import Dataset, FileMetaDataset

    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID, ds.PatientID = CT, "1.2.3.4", "1"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    return ds


def get(event: evt.Event) -> Any:
    yield 2
    for _ in range(2):
        yield 0xFF00, instance()


def serve() -> tuple[AE, int]:
    """An SCP for all of it, and its port."""
    ae = AE("SCP")
    ae.maximum_associations = 1000
    for uid in (VERIFICATION, FIND, GET):
        ae.add_supported_context(uid)
    ae.add_supported_context(CT, scu_role=True, scp_role=True)
    server = ae.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[
            (evt.EVT_C_STORE, lambda event: 0x0000),
            (evt.EVT_C_FIND, lambda event: [(0xFF00, identifier("X"))] * 3),
            (evt.EVT_C_GET, get),
        ],
    )
    assert server is not None
    return ae, server.server_address[1]


class Caller:
    """An SCU, its association, and what it is just asking for."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.ae = AE("SCU")
        # Whatever is waited for too long ends by a timer, which is no hang; but it is one here.
        self.ae.acse_timeout = self.ae.dimse_timeout = self.ae.network_timeout = 4 * DEADLINE
        self.assoc: Any = None
        self.responses: Any = None

    def associate(self) -> None:
        self.assoc = self.ae.associate(
            "127.0.0.1",
            self.port,
            [
                *(build_context(uid) for uid in (VERIFICATION, FIND, GET)),
                build_context(CT, ["1.2.840.10008.1.2"]),
                build_context(CT, ["1.2.840.10008.1.2.1"]),
            ],
            ext_neg=[build_role(CT, scp_role=True, scu_role=True)],
            evt_handlers=[(evt.EVT_C_STORE, lambda event: 0x0000)],
        )

    def echo(self) -> None:
        self.assoc.send_c_echo()

    def store(self) -> None:
        self.assoc.send_c_store(instance())

    def stores(self) -> None:
        for _ in self.assoc.send_c_stores([FILE] * 3, send_ahead=True):
            pass

    def spread(self) -> None:
        """Over several associations: the others end with the loop."""
        for _ in self.assoc.send_c_stores([FILE] * 4, associations=2):
            pass

    def watched(self) -> None:
        """An echo of which everybody is told."""
        for event in (evt.EVT_DIMSE_SENT, evt.EVT_DIMSE_RECV, evt.EVT_PDU_SENT):
            self.assoc.bind(event, lambda event: None)
        self.assoc.bind(evt.EVT_FSM_TRANSITION, lambda event: None)
        self.assoc.send_c_echo()

    def serve(self) -> None:
        """A server in this thread, which another one shuts down when it has been of use."""
        self.ae.add_supported_context(VERIFICATION)
        over = threading.Event()

        def use() -> None:
            until(lambda: self.ae._running.servers or over.is_set(), DEADLINE)
            scu = AE()
            scu.add_requested_context(VERIFICATION)
            for server in list(self.ae._running.servers):
                assoc = scu.associate("127.0.0.1", server.server_address[1])
                if assoc.is_established:
                    assoc.send_c_echo()
            self.ae.shutdown()
            scu.shutdown()

        thread = threading.Thread(target=use)
        thread.start()
        try:
            self.ae.start_server(("127.0.0.1", 0), block=True)
        finally:
            over.set()
            thread.join(DEADLINE)

    def find(self) -> None:
        self.responses = self.assoc.send_c_find(identifier(), FIND)
        for _ in self.responses:
            pass

    def leave(self) -> None:
        """A query that is left early."""
        self.responses = self.assoc.send_c_find(identifier(), FIND)
        next(self.responses, None)
        self.responses.close()

    def get(self) -> None:
        self.responses = self.assoc.send_c_get(identifier(), GET)
        for _ in self.responses:
            pass

    def release(self) -> None:
        self.assoc.release()

    def shutdown(self) -> None:
        self.ae.shutdown()

    # What happens in between

    def do(self, action: str) -> None:
        if action == "interrupt":
            raise KeyboardInterrupt
        if action == "shutdown":
            self.ae.shutdown()
        elif action == "close":
            if self.responses is not None:
                self.responses.close()
        else:
            for assoc in self.ae.active_associations:
                getattr(assoc, action)()


CALLS = (
    *("echo", "watched", "store", "stores", "spread", "find", "leave", "get"),
    *("associate", "release", "shutdown", "serve"),
)
ACTIONS = ("interrupt", "abort", "release", "shutdown", "close")
