"""What getscu and movescu have in common: storing what arrives, and the account of it at the end.

What the peer says it has sent is compared with what has arrived here: a peer may send to somewhere
else, and say that all is well.
"""

from __future__ import annotations

import logging
import threading
from argparse import Namespace
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pynetdicom.apps import options
from pynetdicom.apps.progress import Terminal
from pynetdicom.apps.query import PENDING, SUCCESS, Cancellable, describe, report_final
from pynetdicom.apps.storescp import ignore, prepare, store

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.events import Event

LOGGER = logging.getLogger(__name__)

FAILED_SUB_OPERATIONS = 0xB000
STATUS_TABLES = {
    "C-GET": "QR_GET_SERVICE_CLASS_STATUS",
    "C-MOVE": "QR_MOVE_SERVICE_CLASS_STATUS",
}
JSON = (
    options.option(
        "--json", action="store_true",
        help="print which instances were stored as DICOM JSON, one object a line, and nothing else",
    ),
)  # fmt: skip


class Arrivals:
    """Stores what arrives, and keeps account of it.

    Parameters
    ----------
    directory : str or None
        Where to store; None to receive only.

    Attributes
    ----------
    directory : str or None
        The same.
    stored : int
        How many objects were received and, if that was to be done, stored.
    refused : set of str
        The SOP Instance UIDs of those that could not be.
    """

    def __init__(self, directory: str | None, terminal: Terminal, *, json: bool = False) -> None:
        self.stored = 0
        self.refused: set[str] = set()
        self.directory = directory
        self._terminal = terminal
        self._json = json
        self._lock = threading.Lock()

    def handle(self, event: Event) -> int:
        """Serve a C-STORE request."""
        if self.directory is None:
            status = ignore(event)
        else:
            status = store(event, self.directory)
        uid = str(event.request.AffectedSOPInstanceUID).rstrip("\0 ")
        with self._lock:  # a peer may send over several associations
            if status == SUCCESS:
                self.stored += 1
                if self._json:
                    print(_instance(str(event.request.AffectedSOPClassUID), uid), flush=True)
            else:
                self.refused.add(uid)
                self._terminal.problem(f"{uid}: not stored here, refused with 0x{status:04X}")
        return status


def _instance(sop_class: str, uid: str) -> str:
    import json

    rows = {"00080016": sop_class, "00080018": uid}
    return json.dumps({tag: {"vr": "UI", "Value": [value]} for tag, value in rows.items()})


@contextmanager
def storing(args: Namespace, terminal: Terminal) -> Iterator[Arrivals | None]:
    """Be ready to store; None, with the problem reported, if the directory cannot be written to."""
    directory = None
    if not args.ignore:
        try:
            directory = prepare(args.output_directory)
        except OSError as error:
            terminal.problem(f"{args.output_directory}: cannot write there: {error.strerror}")
            yield None
            return
    with _telling_about_files(args):
        yield Arrivals(directory, terminal, json=args.json)


@contextmanager
def _telling_about_files(args: Namespace) -> Iterator[None]:
    """Let warnings of the part that stores be printed, though those of the library are not."""
    logger = logging.getLogger("pynetdicom.apps.storescp")
    before = logger.level
    if not (args.quiet or args.log_level or args.verbose or args.debug):
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


def follow(
    name: str,
    operation: Cancellable,
    cancel_after: int | None,
    terminal: Terminal,
    known: Container[str] = (),
) -> int | None:
    """Carry a retrieve to its end and report what failed, except what is `known` to have failed.

    Returns
    -------
    int or None
        How many instances the peer says it has sent; None if it does not say.
    """
    pending = 0
    last = None
    with operation:
        for last in operation.responses:
            if last[0].get("Status") in PENDING:
                pending += 1
                LOGGER.info("%s: %s", name, counted(last[0]))
                if pending == cancel_after:
                    operation.cancel()
    assert last is not None  # there is always a last one
    return account(name, *last, operation.is_cancelled, terminal, known)


def counted(status: Dataset) -> str:
    """The numbers of sub-operations as text."""
    numbers = [
        f"{number} {what.lower()}"
        for what in ("Completed", "Warning", "Failed", "Remaining")
        if (number := status.get(f"NumberOf{what}Suboperations")) is not None
    ]
    return ", ".join(numbers) or "no numbers"


def account(
    name: str,
    status: Dataset,
    identifier: Dataset | None,
    cancelled: bool,
    terminal: Terminal,
    known: Container[str] = (),
) -> int | None:
    """Report what a final response says to have failed; gives how many were sent, if it says so."""
    uids = failed_uids(identifier)
    for uid in uids:
        if uid not in known:
            terminal.problem(f"{uid}: not sent, or not taken")
    code = status.get("Status")
    completed = status.get("NumberOfCompletedSuboperations")
    failed = status.get("NumberOfFailedSuboperations") or 0
    warned = status.get("NumberOfWarningSuboperations") or 0
    if code == FAILED_SUB_OPERATIONS:
        text = describe(code, STATUS_TABLES[name])
        terminal.problem(f"{name} ends with {text}: {counted(status)}")
    else:
        report_final(name, status, cancelled, STATUS_TABLES[name], terminal)
        if code == SUCCESS and (failed or uids):
            terminal.problem(f"{name} ends with success, in spite of failures: {counted(status)}")
    if failed > len(uids):
        terminal.problem(
            f"{failed - len(uids)} more were not sent, or not taken; the peer does not say which"
        )
    if warned:
        terminal.warning(f"{warned} were stored with a warning")
    return None if completed is None else completed + warned


def failed_uids(identifier: Dataset | None) -> list[str]:
    """The Failed SOP Instance UID List of a final response (PS3.4 C.4.2.1.4.2)."""
    value: Any = identifier.get("FailedSOPInstanceUIDList") if identifier is not None else None
    if not value:
        return []
    return [value] if isinstance(value, str) else [str(uid) for uid in value]


def compare(sent: int | None, arrived: int, look_at: str, terminal: Terminal) -> None:
    """Report if fewer have arrived than the peer says it has sent."""
    if sent is not None and arrived < sent:
        what = "none" if arrived == 0 else f"only {arrived}"
        terminal.problem(f"the peer says it has sent {sent}, {what} arrived here: {look_at}")


def report_stored(args: Namespace, arrived: int, terminal: Terminal) -> None:
    """Print how many have arrived."""
    if not args.json:
        done = "received" if args.ignore else "stored"
        terminal.result(f"{arrived} object{'' if arrived == 1 else 's'} {done}")
