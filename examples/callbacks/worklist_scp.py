"""Worklist SCP with a callback: tell modalities what is scheduled for them.

    python examples/callbacks/worklist_scp.py 127.0.0.1 11112

Runs until Ctrl-C, and then ends with 0.
"""

import argparse
import re
import sys

from pydicom import DataElement, Dataset

from pynetdicom import AE
from pynetdicom.sop_class import ModalityWorklistInformationFind, Verification
from pynetdicom.typing import Context, Info, Matches


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


class Worklist(AE):
    """An AE whose callback is a method; assigning a function to ``ae.on_c_find`` does the same."""

    def on_c_find(self, dataset: Dataset, context: Context, info: Info) -> Matches:
        """Yield a status and an entry for each that matches; the library sends the final one."""
        dataset.pop("SpecificCharacterSet", None)  # no key, but how the others are encoded
        for ds in WORKLIST:
            # Since pynetdicom 1.2, `info` tells whether the peer has cancelled its request.
            if info["cancelled"](info["parameters"]["message_id"]):
                yield 0xFE00, None
                return
            if all(is_match(element, ds) for element in dataset):
                yield 0xFF00, answer(dataset, ds)


def main() -> int:
    parser = argparse.ArgumentParser(description="Tell what is scheduled.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    args = parser.parse_args()

    ae = Worklist(ae_title=b"WORK_EXAMPLE", port=args.port)
    ae.bind_addr = args.host
    ae.add_supported_context(Verification)
    ae.add_supported_context(ModalityWorklistInformationFind)
    ae.start()  # returns after Ctrl-C, or when another thread has called ae.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
