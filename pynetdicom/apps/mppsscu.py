"""mppsscu: tell a peer of a step that is performed, by N-CREATE and N-SET (PS3.4 Annex F).

One run is one request: a script begins a step, and later, by its UID, completes it.
"""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pynetdicom.apps import odd_values, options, security
from pynetdicom.apps.keys import WrongKey, make_query
from pynetdicom.apps.progress import Terminal
from pynetdicom.apps.query import describe_response
from pynetdicom.apps.requestor import association, peer_name

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.association import Association
    from pynetdicom.workflows.mpps import Step

option = options.option

ACTIONS = {
    # action → what is said when it was done
    "begin": "in progress",
    "set": "changed",
    "complete": "completed",
    "discontinue": "discontinued",
    "get": "found",
}
NOW = {
    # action → elements that are now, where they are not given
    "begin": ("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime"),
    "complete": ("PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime"),
    "discontinue": ("PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime"),
}
TABLE = "PROCEDURE_STEP_STATUS"
FORMATS = ("%Y%m%d", "%H%M%S")

ACTION = option("action", choices=ACTIONS, help=f"what to do: {', '.join(ACTIONS)}")
STEP = (
    option(
        "--uid", metavar="UID",
        help="the step's SOP Instance UID; a new one if it is begun and neither this nor the"
        " attributes say it",
    ),
    option(
        "-k", "--keyword", action="append", default=[], metavar="KEY",
        help="add an attribute: KEYWORD=value, (gggg,eeee)=value or SEQUENCE[0].KEYWORD=value; for"
        " get, the keyword of one that is asked for (default: all)",
    ),
    option(
        "-f", "--file", metavar="FILE",
        help="take the attributes from a file: DICOM JSON if its name ends in .json, or DICOM;"
        " those of -k replace them",
    ),
)  # fmt: skip
OUTPUT = (
    option(
        "--json", action="store_true",
        help="print one line of JSON, and nothing else: what was done, the step's UID and the"
        " status; for get, the step as DICOM JSON",
    ),
)  # fmt: skip


def make_parser() -> options.Parser:
    """Make the command line."""
    parser = options.make_parser(
        "mppsscu",
        "Tells a peer that a procedure step has begun, how it goes on, and that it was completed or"
        " given up, with an N-CREATE or N-SET request; or asks for it, with N-GET. The exit code is"
        " 0 only if the peer has done it, with a warning or without.",
        (*options.PEER, ACTION),
    )
    network = (*options.titles("MPPSSCU"), *options.TIMEOUTS, *options.MAX_PDU_OPTION)
    parser.add_options("network", network)
    security.add_client(parser)
    parser.add_options("step", STEP)
    parser.add_options("output", OUTPUT)
    return parser


def step_of(args: Namespace) -> tuple[str | None, Dataset]:
    """Give the step's UID, if it is known, and the attributes.

    Raises
    ------
    WrongKey
        Why they cannot be made.
    """
    attributes = make_query(args.file, args.keyword)
    # An MPPS object that was kept says which one it is; that goes into the command set.
    attributes.pop("SOPClassUID", None)
    own = attributes.get("SOPInstanceUID")
    attributes.pop("SOPInstanceUID", None)
    uid = args.uid or own
    if not uid and args.action != "begin":
        raise WrongKey(f"which step? {args.action} needs --uid (--help tells more)")
    for keyword, form in zip(NOW.get(args.action, ()), FORMATS, strict=False):
        if keyword not in attributes:
            setattr(attributes, keyword, time.strftime(form))
    if args.action == "begin" and "PerformedStationAETitle" not in attributes:
        attributes.PerformedStationAETitle = args.calling_aet
    return uid, attributes


def perform(assoc: Association, action: str, uid: str | None, attributes: Dataset) -> Step:
    """Send the request; gives the step with the response's status."""
    from pynetdicom.workflows.mpps import begin, resume

    if action == "begin":
        return begin(assoc, attributes, uid)
    assert uid is not None  # `step_of` has seen to it
    step = resume(assoc, uid)
    change: Callable[[Dataset], None] = getattr(step, "update" if action == "set" else action)
    change(attributes)
    return step


def show(args: Namespace, uid: str, status: Dataset, terminal: Terminal) -> None:
    """Show what was done."""
    code, comment = status.get("Status"), status.get("ErrorComment")
    if args.json:
        done = {"action": args.action, "uid": uid, "status": code, "comment": comment}
        print(json.dumps(done), flush=True)
    elif code is not None:
        terminal.result(f"{uid}: {ACTIONS[args.action]}, {describe_response(status, TABLE)}")


def ask(args: Namespace, terminal: Terminal) -> int:
    """Make the association, and send the request."""
    from pynetdicom.presentation import build_context
    from pynetdicom.sop_class import (
        ModalityPerformedProcedureStep,
        ModalityPerformedProcedureStepRetrieve,
    )
    from pynetdicom.workflows.mpps import get
    from pynetdicom.workflows.providing import Refused

    try:
        uid, attributes = step_of(args)
    except WrongKey as problem:
        terminal.problem(str(problem))
        return options.WRONG_ARGUMENTS
    is_get = args.action == "get"
    wanted = ModalityPerformedProcedureStepRetrieve if is_get else ModalityPerformedProcedureStep
    with association(args, [build_context(wanted)], terminal) as assoc:
        if assoc is None:
            return options.FAILED
        try:
            if is_get:
                assert uid is not None
                show_step(args, get(assoc, uid, [element.keyword for element in attributes]))
            else:
                step = perform(assoc, args.action, uid, attributes)
                show(args, step.uid, step.status, terminal)
        except Refused as refused:
            show_refused(args, uid, refused.status, terminal)
        except ValueError as problem:  # what the peer would refuse, and was not sent
            terminal.problem(str(problem))
    return options.FAILED if terminal.problems else 0


def show_refused(args: Namespace, uid: str | None, status: Dataset, terminal: Terminal) -> None:
    """Show what was not done."""
    if args.json:
        show(args, uid or "", status, terminal)
    terminal.problem(f"{args.action}: {peer_name(args)}: {describe_response(status, TABLE)}")


def show_step(args: Namespace, step: Dataset) -> None:
    """Show a step that was asked for."""
    from pynetdicom.apps.matches import JsonLines
    from pynetdicom.apps.progress import one_line
    from pynetdicom.dsutils import pretty_dataset

    if args.json:
        JsonLines().show(step)
        return
    odd_values.for_text(step)
    print(*map(one_line, pretty_dataset(step)), sep="\n", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run mppsscu; gives its exit code."""
    return options.run(make_parser(), ask, argv)


if __name__ == "__main__":
    sys.exit(main())
