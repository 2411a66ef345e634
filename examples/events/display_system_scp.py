"""Display system SCP with event handlers: what a workstation's displays are, and how they are set.

    python examples/events/display_system_scp.py 127.0.0.1 11112

Runs until Ctrl-C or SIGTERM, and then ends with 0.
"""

import argparse
import signal
import sys
import threading

from pydicom import Dataset
from pydicom.tag import BaseTag

from pynetdicom import AE, evt
from pynetdicom.sop_class import DisplaySystem, DisplaySystemInstance
from pynetdicom.typing import Reply


def display(number: int, name: str, status: str) -> Dataset:
    """One display, as the system tells of it (PS3.3 C.34)."""
    item = Dataset()
    item.DisplaySubsystemID = number
    item.DisplaySubsystemName = name
    item.SystemStatus = status
    return item


def system() -> Dataset:
    """All there is to tell."""
    ds = Dataset()
    ds.Manufacturer, ds.ManufacturerModelName = "Example", "Two displays"
    ds.DeviceSerialNumber = "4711"
    ds.NumberOfDisplaySubsystems = 2
    ds.SystemStatus, ds.SystemStatusComment = "WARNING", "display 2 is to be calibrated"
    ds.DisplaySubsystemSequence = [display(1, "left", "NORMAL"), display(2, "right", "WARNING")]
    return ds


def get(uid: str, tags: list[BaseTag]) -> Reply:
    """An N-GET (PS3.4 EE.3): the attributes that are asked for, or all."""
    if uid != DisplaySystemInstance:
        return 0x0112, None
    known = system()
    found = Dataset()
    found.update({tag: known[tag] for tag in tags or known.keys() if tag in known})
    unknown = [tag for tag in tags if tag not in known]
    status = Dataset()
    status.Status = 0x0107 if unknown else 0x0000
    if unknown:
        status.AttributeIdentifierList = unknown
    return status, found


def handle_get(event: evt.NGetEvent) -> Reply:
    request = event.request
    uid = request.RequestedSOPInstanceUID
    return get(uid, event.attribute_identifiers)


def main() -> int:
    parser = argparse.ArgumentParser(description="Tell what a display system is.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    args = parser.parse_args()

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    ae = AE("DISPLAY_EXAMPLE")
    ae.add_supported_context(DisplaySystem)
    handlers = [(evt.EVT_N_GET, handle_get)]
    server = ae.start_server((args.host, args.port), block=False, evt_handlers=handlers)
    print(f"listening on {server.server_address[0]} port {server.server_address[1]}", flush=True)
    stop.wait()
    ae.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
