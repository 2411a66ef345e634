"""Application event logging SCP with callbacks: keeps a log of what happens and what is given.

    python examples/callbacks/event_logging_scp.py 127.0.0.1 11112 --log events.txt

It has both services: Procedural Event Logging and Substance Administration Logging.
Runs until Ctrl-C, and then ends with 0.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pydicom import Dataset

from pynetdicom import AE, ApplicationEventLoggingPresentationContexts
from pynetdicom.sop_class import (
    ProceduralEventLoggingInstance,
    SubstanceAdministrationLoggingInstance,
)
from pynetdicom.typing import Context, Info, Reply

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


def make_on_n_action(path: Path) -> Callable[[Dataset, Context, Info], Reply]:
    """Make the callback, which appends to a file."""

    def on_n_action(dataset: Dataset, context: Context, info: Info) -> Reply:
        return record(info["parameters"]["requested_sop_instance_uid"], dataset, path)

    return on_n_action


def main() -> int:
    parser = argparse.ArgumentParser(description="Keep a log of procedures and of what was given.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("--log", type=Path, default=Path("events.txt"), help="where it is kept")
    args = parser.parse_args()

    ae = AE(ae_title=b"LOG_EXAMPLE", port=args.port)
    ae.bind_addr = args.host
    ae.supported_contexts = ApplicationEventLoggingPresentationContexts
    ae.on_n_action = make_on_n_action(args.log)
    ae.start()  # returns after Ctrl-C, or when another thread has called ae.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
