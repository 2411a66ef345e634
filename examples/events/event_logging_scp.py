"""Application event logging SCP with event handlers: keeps a log of what happens and what is given.

    python examples/events/event_logging_scp.py 127.0.0.1 11112 --log events.txt

It has both services: Procedural Event Logging and Substance Administration Logging.
Runs until Ctrl-C or SIGTERM, and then ends with 0.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pydicom import Dataset

from pynetdicom import AE, ApplicationEventLoggingPresentationContexts, evt
from pynetdicom.sop_class import (
    ProceduralEventLoggingInstance,
    SubstanceAdministrationLoggingInstance,
)
from pynetdicom.typing import Reply

CURRENT = {"PID1": "1.2.3.1", "PID2": "1.2.3.2"}  # by Patient ID: the study that goes on


def texts(content: Iterable[Dataset]) -> Iterator[str]:
    """What is said in a report's content."""
    for item in content:
        if item.get("ValueType") == "TEXT":
            yield item.TextValue
        yield from texts(item.get("ContentSequence", []))


def procedural_event(information: Dataset) -> tuple[int, str | None]:
    """The status, and what is to be logged (PS3.4 Table P.2-3)."""
    patient: str = information.get("PatientID", "")
    study = information.get("StudyInstanceUID") or CURRENT.get(patient)
    said = "; ".join(texts([information]))
    if study not in CURRENT.values():
        return 0xC103, None
    if not said:
        return 0xC102, None
    if patient and CURRENT.get(patient) != study:
        return 0xC104, None
    # Who gives no study is told that it was found.
    return (0x0000 if information.get("StudyInstanceUID") else 0xB102), f"{study} {said}"


def substance_event(information: Dataset) -> tuple[int, str | None]:
    """The status, and what is to be logged."""
    patient = information.get("PatientID")
    if patient not in CURRENT:
        return 0xC110, None
    product = information.ProductPackageIdentifier  # 0x0120 is answered if there is none
    return 0x0000, f"{patient} {product} {information.get('SubstanceAdministrationNotes', '')}"


SERVICES: dict[str, Callable[[Dataset], tuple[int, str | None]]] = {
    ProceduralEventLoggingInstance: procedural_event,
    SubstanceAdministrationLoggingInstance: substance_event,
}


def record(uid: str, information: Dataset, path: Path) -> Reply:
    """An N-ACTION, whose only type is 1: record the event."""
    if uid not in SERVICES:
        return 0x0112, None
    status, line = SERVICES[uid](information)
    if line is not None:
        with path.open("a") as file:
            print(line.replace("\n", " "), file=file)
    reply = Dataset()
    if status == 0xB102:
        reply.StudyInstanceUID = (line or "").split()[0]
    return status, reply or None


def handle_action(event: evt.NActionEvent, path: Path) -> Reply:
    uid = event.request.RequestedSOPInstanceUID
    return record(uid, event.action_information, path)


def main() -> int:
    parser = argparse.ArgumentParser(description="Keep a log of procedures and of what was given.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("--log", type=Path, default=Path("events.txt"), help="where it is kept")
    args = parser.parse_args()

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    ae = AE("LOG_EXAMPLE")
    ae.supported_contexts = ApplicationEventLoggingPresentationContexts
    handlers = [(evt.EVT_N_ACTION, handle_action, [args.log])]
    server = ae.start_server((args.host, args.port), block=False, evt_handlers=handlers)
    print(f"listening on {server.server_address[0]} port {server.server_address[1]}", flush=True)
    stop.wait()
    ae.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
