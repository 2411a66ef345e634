"""What getscu and movescu have in common: storing what arrives, and the account of it at the end.

What the peer says it has sent is compared with what has arrived here: a peer may send to somewhere
else, and say that all is well.
"""

from __future__ import annotations

import logging
import threading
from argparse import Namespace
from collections.abc import Container, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

from pynetdicom.apps import options
from pynetdicom.apps.progress import Terminal
from pynetdicom.apps.query import (
    IDENTIFIER,
    MODELS,
    PENDING,
    RETRIEVE_NEGOTIATION,
    SUCCESS,
    Cancellable,
    cancel_option,
    describe,
    report_final,
)
from pynetdicom.apps.storescp import OUTPUT, Filed, file, ignore, output_directory
from pynetdicom.services.retrieval import failed_uids

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.events import Event

LOGGER = logging.getLogger(__name__)

DONE = ("Completed", "Warning", "Failed")
SOME_FAILED = (0xB000, 0xA702)
DUPLICATE_INSTANCE = 0x0111  # PS3.7 Annex C
STATUS_TABLES = {
    "C-GET": "QR_GET_SERVICE_CLASS_STATUS",
    "C-MOVE": "QR_MOVE_SERVICE_CLASS_STATUS",
}
STORED = (
    *OUTPUT,
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
    there : int
        How many of these were stored already, the very same.
    refused : set of str
        The SOP Instance UIDs of those that could not be.
    """

    def __init__(
        self,
        directory: str | None,
        terminal: Terminal,
        *,
        json: bool = False,
        hash_uids: bool = False,
        sort: str | None = None,
    ) -> None:
        self.stored = self.there = 0
        self.refused: set[str] = set()
        self.directory = directory
        self._terminal = terminal
        self._json = json
        self._how = hash_uids, sort
        self._lock = threading.Lock()
        self._now: set[str] = set()
        self._earlier: set[str] = set()

    def keep_apart(self) -> None:
        """What has been stored so far is not to be stored again.

        The same is asked for in another association, for the rest of it: whoever can send an object
        in several ways would send it once more.
        """
        self._earlier |= self._now
        self._now.clear()

    def handle(self, event: Event) -> int:
        """Serve a C-STORE request."""
        uid = str(event.request.AffectedSOPInstanceUID).rstrip("\0 ")
        if uid in self._earlier:
            return DUPLICATE_INSTANCE
        if self.directory is None:
            filed = Filed(ignore(event), is_new=True)
        else:
            filed = file(event, self.directory, *self._how)
        with self._lock:  # a peer may send over several associations
            if filed.status == SUCCESS:
                self.stored += 1
                self.there += not filed.is_new
                self._now.add(uid)
                if self._json:
                    self._show(str(event.request.AffectedSOPClassUID), uid, filed.is_new)
            else:
                self.refused.add(uid)
                self._terminal.problem(f"{uid}: not stored here, refused with 0x{filed.status:04X}")
        return filed.status

    def _show(self, sop_class: str, uid: str, is_new: bool) -> None:
        try:
            print(_instance(sop_class, uid, is_new), flush=True)
        except OSError as error:  # no reason to tell the peer that its object was not stored
            self._json = False
            options.drop_output()
            self._terminal.problem(
                f"no more is printed, but stored: standard output: {error.strerror}"
            )


def _instance(sop_class: str, uid: str, is_new: bool) -> str:
    import json

    rows: list[tuple[str, str, str | int]] = [
        ("00080016", "UI", sop_class),
        ("00080018", "UI", uid),
    ]
    if not is_new:
        rows.append(("00081196", "US", DUPLICATE_INSTANCE))  # Warning Reason
    return json.dumps({tag: {"vr": vr, "Value": [value]} for tag, vr, value in rows})


def add_options(parser: options.Parser) -> None:
    """Add the options that say what to retrieve."""
    models = [MODELS[letter] for letter in "PSO"]
    parser.add_options("information model", models, exclusive=True)
    parser.add_options("query", (*IDENTIFIER, *cancel_option("objects were sent")))
    parser.add_options("extended negotiation", RETRIEVE_NEGOTIATION)


@contextmanager
def storing(args: Namespace, terminal: Terminal) -> Iterator[Arrivals]:
    """Be ready to store.

    Raises
    ------
    Failure
        The directory cannot be written to.
    """
    directory = output_directory(args)
    with _telling_about_files(args):
        yield Arrivals(
            directory, terminal, json=args.json, hash_uids=args.hash_uids, sort=args.sort
        )


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


class Final(NamedTuple):
    """The final response of a retrieve."""

    status: Dataset
    identifier: Dataset | None
    is_cancelled: bool = False
    is_interrupted: bool = False

    @property
    def failed_uids(self) -> list[str]:
        """Its Failed SOP Instance UID List."""
        return [] if self.identifier is None else failed_uids(self.identifier)


def follow(
    args: Namespace, name: str, operation: Cancellable, cancel_after: int | None, terminal: Terminal
) -> Final:
    """Carry a retrieve to its end, and show how far it has come."""
    pending = 0
    last = None
    # JSON may go to the same terminal, line by line.
    display = nullcontext() if args.json else terminal.counting()
    with operation, display:
        for last in operation.responses:
            if last[0].get("Status") in PENDING:
                pending += 1
                LOGGER.info("%s: %s", name, counted(last[0]))
                terminal.count(*progress_of(last[0]))
                # Of one that takes long there may be several responses.
                sent = sum(_sent(last[0])) if _has_numbers(last[0]) else pending
                if cancel_after is not None and sent >= cancel_after:
                    operation.cancel()
    assert last is not None  # there is always a last one
    return Final(*last, operation.is_cancelled, operation.is_interrupted)


def progress_of(status: Dataset) -> tuple[int, int]:
    """The number of sub-operations that are done, and of all."""
    done = sum(status.get(f"NumberOf{what}Suboperations") or 0 for what in DONE)
    return done, done + (status.get("NumberOfRemainingSuboperations") or 0)


def has_failures(final: Final) -> bool:
    """Whether all was tried, and some of it failed."""
    return final.status.get("Status") in SOME_FAILED


def has_unknown_failures(final: Final, known: Container[str]) -> bool:
    """Whether something was not sent, and not because of what is `known` to have been refused."""
    uids = final.failed_uids
    listed = len(uids) >= (final.status.get("NumberOfFailedSuboperations") or 1)
    return has_failures(final) and not (listed and all(uid in known for uid in uids))


def merged(first: Final, second: Final) -> Final:
    """What two retrieves of the same have come to, the second one of what the first could not send.

    Of the second one, everything that the first one has sent counts as failed.
    """
    if second.is_cancelled:
        return second
    if second.status.get("Status") not in (SUCCESS, *SOME_FAILED):
        return Final(second.status, first.identifier)
    from pydicom.dataset import Dataset

    status, identifier = Dataset(), Dataset()
    for keyword in ("NumberOfCompletedSuboperations", "NumberOfWarningSuboperations"):
        numbers = [final.status.get(keyword) or 0 for final in (first, second)]
        setattr(status, keyword, sum(numbers))
    sent_now = sum(_sent(second.status))
    failed = max((first.status.get("NumberOfFailedSuboperations") or 0) - sent_now, 0)
    again = set(second.failed_uids)
    uids = [uid for uid in first.failed_uids if uid in again]
    identifier.FailedSOPInstanceUIDList = uids
    status.NumberOfFailedSuboperations = failed
    status.Status = SUCCESS
    if failed or uids:
        status.Status = SOME_FAILED[0 if sum(_sent(status)) else 1]
    return Final(status, identifier)


def _sent(status: Dataset) -> tuple[int, int]:
    """The numbers of what was sent, without and with a warning."""
    return (
        status.get("NumberOfCompletedSuboperations") or 0,
        status.get("NumberOfWarningSuboperations") or 0,
    )


def _has_numbers(status: Dataset) -> bool:
    return "NumberOfCompletedSuboperations" in status


def counted(status: Dataset) -> str:
    """The numbers of sub-operations as text."""
    numbers = [
        f"{number} {what.lower()}"
        for what in (*DONE, "Remaining")
        if (number := status.get(f"NumberOf{what}Suboperations")) is not None
    ]
    return ", ".join(numbers) or "no numbers"


def account(name: str, final: Final, terminal: Terminal, known: Container[str] = ()) -> int | None:
    """Report what a final response says to have failed, but what is `known` to have failed.

    Returns
    -------
    int or None
        How many instances the peer says it has sent; None if it does not say.
    """
    status = final.status
    uids = final.failed_uids
    for uid in uids:
        if uid not in known:
            terminal.problem(f"{uid}: not sent, or not taken")
    failed = status.get("NumberOfFailedSuboperations") or 0
    if has_failures(final):
        text = describe(status.Status, STATUS_TABLES[name])
        terminal.problem(f"{name} ends with {text}: {counted(status)}")
    else:
        report_final(name, status, final.is_cancelled, STATUS_TABLES[name], terminal)
        if status.get("Status") == SUCCESS and (failed or uids):
            terminal.problem(f"{name} ends with success, in spite of failures: {counted(status)}")
    if failed > len(uids):
        more = failed - len(uids)
        terminal.problem(f"{more} more were not sent, or not taken; the peer does not say which")
    completed, warned = _sent(status)
    if warned:
        terminal.warning(f"{warned} were stored with a warning")
    return completed + warned if _has_numbers(status) else None


def compare(sent: int | None, arrived: int, look_at: str, terminal: Terminal) -> None:
    """Report if fewer have arrived than the peer says it has sent."""
    if sent is not None and arrived < sent:
        what = "none" if arrived == 0 else f"only {arrived}"
        terminal.problem(f"the peer says it has sent {sent}, {what} arrived here: {look_at}")


def report_stored(args: Namespace, arrivals: Arrivals, terminal: Terminal) -> None:
    """Print how many have arrived, and how many of them were there already."""
    if not args.json:
        there = arrivals.there
        new = arrivals.stored - there
        text = f"{new} object{'' if new == 1 else 's'} {'received' if args.ignore else 'stored'}"
        was = "was" if there == 1 else "were"
        terminal.result(f"{text}, {there} {was} there already" if there else text)
