"""An archive of given files until its standard input ends: ``archive.py NAMES STORE_PORT``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

import pynetdicom
from pynetdicom import AE, evt

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
KEYS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "InstanceNumber")


def match(path: str) -> Dataset:
    whole, match = dcmread(path, stop_before_pixels=True), Dataset()
    for keyword in KEYS:
        setattr(match, keyword, getattr(whole, keyword))
    match.QueryRetrieveLevel = "IMAGE"
    match.RetrieveAETitle = "ARCHIVE"
    return match


def main() -> None:
    paths = Path(sys.argv[1]).read_text().split("\n")
    store_port = int(sys.argv[2])
    matches = [match(path) for path in paths]
    first = matches[0].SOPInstanceUID

    def asked(event: Any) -> list[int]:
        return [0] if event.identifier.get("SOPInstanceUID") == first else [*range(len(paths))]

    def find(event: Any) -> Iterator[Any]:
        for index in asked(event):
            yield 0xFF00, matches[index]

    def get(event: Any) -> Iterator[Any]:
        chosen = asked(event)
        yield len(chosen)
        for index in chosen:
            yield 0xFF00, paths[index]

    def move(event: Any) -> Iterator[Any]:
        yield "127.0.0.1", store_port
        yield from get(event)

    ae = AE(ae_title="ARCHIVE")
    ae.maximum_pdu_size = 1 << 20
    for uid in (FIND, MOVE, GET):
        ae.add_supported_context(uid)
    ae.add_supported_context(
        CT_IMAGE_STORAGE, EXPLICIT_VR_LITTLE_ENDIAN, scu_role=True, scp_role=True
    )
    ae.add_requested_context(CT_IMAGE_STORAGE, EXPLICIT_VR_LITTLE_ENDIAN)
    handlers: list[Any] = [
        (evt.EVT_C_FIND, find),
        (evt.EVT_C_GET, lambda event: evt.ahead(get(event))),
        (evt.EVT_C_MOVE, lambda event: evt.ahead(move(event))),
    ]
    server: Any = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    report = {"port": server.server_address[1], "version": pynetdicom.__version__}
    print(json.dumps(report), flush=True)
    sys.stdin.read()
    ae.shutdown()


if __name__ == "__main__":
    main()
