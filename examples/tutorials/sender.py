"""Sender: send the files of a folder, remove what the archive has, and try again with the rest.

    python examples/tutorials/sender.py 127.0.0.1 11112 outgoing --title ARCHIVE

Ends with 0 when nothing is left. Its tests are in test_sender.py, and are what the tutorial on
testing is about.
"""

import argparse
import sys
import time
from pathlib import Path

from pynetdicom import AE
from pynetdicom.presentation import plan_associations
from pynetdicom.status import code_to_category


def send_folder(
    folder: Path,
    address: tuple[str, int],
    title: str = "ANY-SCP",
    attempts: int = 3,
    pause: float = 60,
    timeout: float = 30,
) -> list[Path]:
    """Send the files of a folder; gives those that are left."""
    host, port = address
    ae = AE("SENDER")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = timeout
    for attempt in range(attempts):
        paths = sorted(folder.glob("*.dcm"))
        if not paths:
            break
        if attempt:
            time.sleep(pause)
        for contexts, group in plan_associations(paths):
            with ae.associate(host, port, contexts, ae_title=title) as assoc:
                if not assoc.is_established:
                    print("no association:", assoc.ended)
                    break
                for path, status in assoc.send_c_stores(group):
                    if "Status" not in status:
                        print(path.name, status.problem)
                    elif code_to_category(status.Status) in ("Success", "Warning"):
                        path.unlink()
                    else:
                        print(path.name, f"0x{status.Status:04X}")
    return sorted(folder.glob("*.dcm"))


def main() -> int:
    parser = argparse.ArgumentParser(description="Send the files of a folder, and remove them.")
    parser.add_argument("host", help="where the archive is")
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--title", default="ANY-SCP", help="its AE title")
    args = parser.parse_args()
    left = send_folder(args.folder, (args.host, args.port), args.title)
    print(len(left), "files are left")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
