"""Display system SCU: ask a workstation for its displays.

    python examples/events/display_system_scu.py 127.0.0.1 11112

Ends with 0 if all displays are normal, with 1 otherwise.
"""

import argparse
import sys

from pydicom import Dataset

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import DisplaySystem, DisplaySystemInstance
from pynetdicom.status import code_to_category

WANTED = ["Manufacturer", "ManufacturerModelName", "SystemStatus", "DisplaySubsystemSequence"]


def ask(assoc: Association, tags: list[str]) -> Dataset | None:
    """The attributes; None if there is no answer. A warning says that some are not known."""
    status, found = assoc.send_n_get(tags, DisplaySystem, DisplaySystemInstance)
    code = status.get("Status")
    if code is None or code_to_category(code) not in ("Success", "Warning"):
        print(f"not told: {'no answer' if code is None else f'0x{code:04X}'}", file=sys.stderr)
        return None
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask for the displays of a workstation.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    args = parser.parse_args()

    ae = AE("DISPLAY_EXAMPLE")
    ae.add_requested_context(DisplaySystem)
    assoc = ae.associate(args.host, args.port)
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1

    try:
        found = ask(assoc, WANTED)
    except ValueError as error:  # the peer is no display system
        print(error, file=sys.stderr)
        return 1
    finally:
        assoc.release()
    if found is None:
        return 1
    print(found.get("Manufacturer"), found.get("ManufacturerModelName"), found.get("SystemStatus"))
    for display in found.get("DisplaySubsystemSequence", []):
        print(display.DisplaySubsystemID, display.DisplaySubsystemName, display.SystemStatus)
    return 0 if found.get("SystemStatus") == "NORMAL" else 1


if __name__ == "__main__":
    sys.exit(main())
