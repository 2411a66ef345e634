"""Substance administration SCP with an event handler: what is in a package, and for whom.

    python examples/events/substance_scp.py 127.0.0.1 11112

Runs until Ctrl-C or SIGTERM, and then ends with 0.
"""

import argparse
import signal
import sys
import threading

from pydicom import Dataset

from pynetdicom import AE, evt
from pynetdicom.sop_class import ProductCharacteristicsQuery, SubstanceApprovalQuery
from pynetdicom.typing import Matches

PRODUCTS = {"04012345678901": ("Contrast agent 300", "20271231")}
ALLERGIC = {"PID2": "04012345678901"}


def describe(keys: Dataset) -> Matches:
    """Yield what a package holds, if that is known (PS3.4 Annex V)."""
    package = keys.get("ProductPackageIdentifier")
    if package in PRODUCTS:
        match = Dataset()
        match.ProductPackageIdentifier = package
        match.ProductName, match.ProductExpirationDateTime = PRODUCTS[package]
        yield 0xFF00, match


def judge(keys: Dataset) -> Matches:
    """Yield whether a patient may have what is in a package (PS3.4 Annex V)."""
    package, patient_id = keys.get("ProductPackageIdentifier"), keys.get("PatientID")
    if not patient_id or package not in PRODUCTS:
        return  # nothing is said of what is not known
    match = Dataset()
    match.ProductPackageIdentifier = package
    match.PatientID = patient_id
    if ALLERGIC.get(patient_id) == package:
        match.SubstanceAdministrationApproval = "REJECTED"
        match.ApprovalStatusFurtherDescription = "allergy"
    else:
        match.SubstanceAdministrationApproval = "APPROVED"
        match.ApprovalStatusFurtherDescription = ""
    yield 0xFF00, match


def handle_find(event: evt.CFindEvent) -> Matches:
    answer = describe if event.context.abstract_syntax == ProductCharacteristicsQuery else judge
    yield from answer(event.identifier)


def main() -> int:
    parser = argparse.ArgumentParser(description="Tell what a package holds, and who may have it.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    args = parser.parse_args()

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    ae = AE("SUBSTANCE")
    ae.add_supported_context(ProductCharacteristicsQuery)
    ae.add_supported_context(SubstanceApprovalQuery)
    server = ae.start_server(
        (args.host, args.port), block=False, evt_handlers=[(evt.EVT_C_FIND, handle_find)]
    )
    print(f"listening on {server.server_address[0]} port {server.server_address[1]}", flush=True)
    stop.wait()
    ae.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
