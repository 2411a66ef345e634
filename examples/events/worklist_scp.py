"""Worklist SCP with an event handler: tell modalities what is scheduled for them.

    python examples/events/worklist_scp.py 127.0.0.1 11112

Runs until Ctrl-C or SIGTERM, and then ends with 0.
"""

import argparse
import re
import signal
import sys
import threading

from pydicom import DataElement, Dataset

from pynetdicom import AE, evt
from pynetdicom.sop_class import ModalityWorklistInformationFind, Verification
from pynetdicom.typing import Matches


def entry(number: int, name: str, station: str, modality: str, date: str) -> Dataset:
    """What a hospital's information system knows of a scheduled procedure step."""
    step = Dataset()
    step.ScheduledStationAETitle = station
    step.Modality = modality
    step.ScheduledProcedureStepStartDate = date
    step.ScheduledProcedureStepStartTime = "101500"
    step.ScheduledProcedureStepID = f"STEP{number}"
    ds = Dataset()
    ds.PatientName = name
    ds.PatientID = f"PID{number}"
    ds.AccessionNumber = f"A{number}"
    ds.StudyInstanceUID = f"1.2.3.{number}"
    ds.ScheduledProcedureStepSequence = [step]
    return ds


WORKLIST = (
    entry(1, "CITIZEN^JAN", "CT_ROOM", "CT", "20240102"),
    entry(2, "CITIZEN^SNIPS", "MR_ROOM", "MR", "20240102"),
    entry(3, "OTHER^ANNE", "CT_ROOM", "CT", "20240105"),
)


def is_match(element: DataElement, ds: Dataset) -> bool:
    """Whether a key of the query matches (PS3.4 C.2.2.2)."""
    if element.VR == "SQ":  # the keys are in its item
        keys = element.value[0] if element.value else ()
        items = ds.get(element.keyword) or [Dataset()]
        return any(all(is_match(key, item) for key in keys) for item in items)
    wanted, value = str(element.value or ""), str(ds.get(element.keyword) or "")
    if element.VR in ("DA", "TM") and "-" in wanted:
        first, last = wanted.split("-", 1)
        return value >= first and (not last or value <= last)
    pattern = re.escape(wanted or "*").replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(pattern, value) is not None


def answer(query: Dataset, ds: Dataset) -> Dataset:
    """What was asked for, and nothing else; empty where it is not known."""
    match = Dataset()
    for element in query:
        if element.VR == "SQ":
            asked = element.value[0] if element.value else Dataset()
            value = [answer(asked, item) for item in ds.get(element.keyword, [])]
        else:
            value = ds.get(element.keyword)
        match.add_new(element.tag, element.VR, value)
    return match


def handle_find(event: evt.CFindEvent) -> Matches:
    """Yield a status and an entry for each that matches; the library sends the final response."""
    query = event.identifier
    query.pop("SpecificCharacterSet", None)  # no key, but how the others are encoded
    for ds in WORKLIST:
        if event.is_cancelled:
            yield 0xFE00, None
            return
        if all(is_match(element, ds) for element in query):
            yield 0xFF00, answer(query, ds)


def main() -> int:
    parser = argparse.ArgumentParser(description="Tell what is scheduled.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    args = parser.parse_args()

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    ae = AE("WORK_EXAMPLE")
    ae.add_supported_context(Verification)
    ae.add_supported_context(ModalityWorklistInformationFind)
    server = ae.start_server(
        (args.host, args.port), block=False, evt_handlers=[(evt.EVT_C_FIND, handle_find)]
    )
    print(f"listening on {server.server_address[0]} port {server.server_address[1]}", flush=True)
    stop.wait()
    ae.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
