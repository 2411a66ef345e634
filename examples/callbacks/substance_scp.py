"""Substance administration SCP with a callback: what is in a package, and for whom.

    python examples/callbacks/substance_scp.py 127.0.0.1 11112

Runs until Ctrl-C, and then ends with 0.
"""

import argparse
import sys

from pydicom import Dataset

from pynetdicom import AE
from pynetdicom.sop_class import ProductCharacteristicsQuery, SubstanceApprovalQuery
from pynetdicom.typing import Context, Info, Matches

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


def on_c_find(dataset: Dataset, context: Context, info: Info) -> Matches:
    answer = describe if context.abstract_syntax == ProductCharacteristicsQuery else judge
    yield from answer(dataset)


def main() -> int:
    parser = argparse.ArgumentParser(description="Tell what a package holds, and who may have it.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    args = parser.parse_args()

    ae = AE(ae_title=b"SUBSTANCE", port=args.port)
    ae.bind_addr = args.host
    ae.add_supported_context(ProductCharacteristicsQuery)
    ae.add_supported_context(SubstanceApprovalQuery)
    ae.on_c_find = on_c_find
    ae.start()  # returns after Ctrl-C, or when another thread has called ae.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
