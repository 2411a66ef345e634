"""An SCP of queries and retrieves for the apps to ask, in this process."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, evt
from pynetdicom.apps.query import NEGOTIATED, UPS_PULL
from pynetdicom.query_models import query_model_uid
from tests import warm
from tests.apps.conftest import CT, MR, SC_RLE

RARE = "1.2.840.10008.5.1.4.1.1.77.1.6"  # whole slide microscopy
RAREST = "1.2.840.10008.5.1.4.1.1.66.8"  # height map segmentation
WAYS = {"C-FIND": evt.EVT_C_FIND, "C-GET": evt.EVT_C_GET, "C-MOVE": evt.EVT_C_MOVE}


@contextmanager
def started(
    app: str, *arguments: object, env: dict[str, str], cwd: Path, before: str = ""
) -> Iterator[subprocess.Popen[str]]:
    """An app that runs in the background, after some code, and is gone afterwards."""
    code = f"{before}; import sys; from pynetdicom.__main__ import main; sys.exit(main())"
    program = ["-c", code] if before else ["-m", "pynetdicom"]
    process = warm.Popen(
        [sys.executable, *program, app, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
        cwd=cwd,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stderr.close()


class QueryScp:
    """Serves one operation with `handler`, for all models.

    Attributes
    ----------
    requests : list of Event
        What it was asked.
    extended : dict
        The application information of its last requestor.
    agrees : bool
        Whether it says yes to all that is proposed.
    """

    def __init__(self, operation: str, handler: Callable[[Any], Any]) -> None:
        self.requests: list[Any] = []
        self.identifiers: list[Dataset] = []
        self.extended: dict[str, bytes] = {}
        self.agrees = True
        self.released = threading.Event()
        self.ae = AE("ARCHIVE")
        self._handler = handler
        for model in ["P", "S", "O", *["W", UPS_PULL] * (operation == "C-FIND")]:
            self.ae.add_supported_context(query_model_uid(operation, model))
        assert operation in NEGOTIATED
        for path in (CT, MR, SC_RLE):
            ds = dcmread(path, stop_before_pixels=True)
            self.ae.add_supported_context(ds.SOPClassUID, ALL_TRANSFER_SYNTAXES, True, True)
        self.ae.add_supported_context(RARE, ALL_TRANSFER_SYNTAXES, True, True)
        self.ae.add_supported_context(RAREST, [ExplicitVRLittleEndian, RLELossless], True, True)
        server = self.ae.start_server(
            ("127.0.0.1", 0),
            block=False,
            evt_handlers=[
                (WAYS[operation], self._serve),
                (evt.EVT_SOP_EXTENDED, self._negotiate),
                (evt.EVT_RELEASED, lambda _: self.released.set()),
            ],
        )
        assert server is not None
        self.port = server.server_address[1]

    def _serve(self, event: Any) -> Iterator[Any]:
        self.requests.append(event.request)
        self.identifiers.append(event.identifier)
        yield from self._handler(event)

    def _negotiate(self, event: Any) -> dict[str, bytes]:
        self.extended = dict(event.app_info)
        return self.extended if self.agrees else {}

    def close(self) -> None:
        self.ae.shutdown()
