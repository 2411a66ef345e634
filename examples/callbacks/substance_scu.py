"""Substance administration SCU in pynetdicom 1.x's style: may a patient have a substance.

    python examples/callbacks/substance_scu.py 127.0.0.1 11112 04012345678901 PID1

Ends with 0 if the substance is approved for the patient, with 1 otherwise.
"""

import argparse
import sys

from pydicom import Dataset

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import ProductCharacteristicsQuery, SubstanceApprovalQuery
from pynetdicom.status import code_to_category


def product(package: str) -> Dataset:
    """What is asked of a package (PS3.4 Annex V)."""
    wanted = Dataset()
    wanted.ProductPackageIdentifier = package
    wanted.ProductName = wanted.ProductExpirationDateTime = ""
    return wanted


def approval(package: str, patient_id: str) -> Dataset:
    """What is asked of a package and a patient (PS3.4 Annex V)."""
    wanted = Dataset()
    wanted.ProductPackageIdentifier = package
    wanted.PatientID = patient_id
    wanted.SubstanceAdministrationApproval = wanted.ApprovalStatusFurtherDescription = ""
    return wanted


def ask(assoc: Association, wanted: Dataset, model: str) -> Dataset | None:
    """The one match; None if there is none, or if the answer is not complete."""
    final, matches = None, []
    for status, match in assoc.send_c_find(wanted, query_model=model):
        final = status.get("Status")  # None when there was no answer
        if final is not None and code_to_category(final) == "Pending":
            matches.append(match)
    if final != 0x0000:
        print(f"the query failed: {final} {assoc.ended}", file=sys.stderr)
        return None
    return matches[0] if len(matches) == 1 else None


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask about a package and a patient.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("package", help="the Product Package Identifier: its bar code")
    parser.add_argument("patient", help="the Patient ID")
    args = parser.parse_args()

    ae = AE(ae_title=b"SUBSTANCE")
    ae.add_requested_context(ProductCharacteristicsQuery)
    ae.add_requested_context(SubstanceApprovalQuery)
    assoc = ae.associate(args.host, args.port)
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1

    what = answer = None
    try:
        # The letters stand for product characteristics and substance approval.
        what = ask(assoc, product(args.package), "PC")
        if what is not None:
            answer = ask(assoc, approval(args.package, args.patient), "SA")
    except ValueError as error:  # the peer does not answer such queries
        print(error, file=sys.stderr)
    assoc.release()
    if what is None:
        print("the package is not known")
        return 1
    print(what.ProductName, what.ProductExpirationDateTime)
    if answer is None or answer.get("SubstanceAdministrationApproval") != "APPROVED":
        why = "" if answer is None else answer.get("ApprovalStatusFurtherDescription", "")
        print("not approved", why)
        return 1
    print("approved")
    return 0


if __name__ == "__main__":
    sys.exit(main())
