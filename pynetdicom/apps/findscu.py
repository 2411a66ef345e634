"""findscu: ask a peer for what matches, by C-FIND (PS3.4 C.4.1, K.4.1)."""

from __future__ import annotations

import copy
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pynetdicom.apps import options, security
from pynetdicom.apps.matches import Output, columns_of, file_name, make_output, write_match
from pynetdicom.apps.progress import Terminal
from pynetdicom.apps.query import (
    FIND_NEGOTIATION,
    IDENTIFIER,
    MODELS,
    PENDING,
    UPS_PULL,
    Cancellable,
    cancel_option,
    identifier,
    is_accepted,
    levels_of,
    model_context,
    negotiation,
    report_final,
)
from pynetdicom.apps.requestor import association
from pynetdicom.apps.usual_keys import USUAL
from pynetdicom.query_models import query_model_uid

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.association import Association

OPERATION = "C-FIND"
KEYS_NOT_SUPPORTED = 0xFF01
STATUS_TABLES = {
    "W": "MODALITY_WORKLIST_SERVICE_CLASS_STATUS",
    UPS_PULL: "UNIFIED_PROCEDURE_STEP_SERVICE_CLASS_STATUS",
}

OUTPUT = (
    options.option(
        "-w", "--write", action="store_true",
        help="write each match to a file rsp000001.dcm, rsp000002.dcm, … in the current directory,"
        " where there must be none of that name",
    ),
)  # fmt: skip
FORM = (
    options.option(
        "--json", dest="form", action="store_const", const="json",
        help="print matches as DICOM JSON, one object a line, and nothing else",
    ),
    options.option(
        "--csv", dest="form", action="store_const", const="csv",
        help="print matches as CSV, with a line of names first, and nothing else",
    ),
)  # fmt: skip
USUAL_KEYS = (
    options.option(
        "--usual-keys", action="store_true",
        help="ask for what is usually wanted in this model and level, too (with --level always)",
    ),
)  # fmt: skip


def make_parser() -> options.Parser:
    """Make the command line."""
    parser = options.make_parser(
        "findscu",
        "Asks a peer what it has that matches the keys, with a C-FIND request. On a terminal the"
        " matches are shown as a table, if rich is installed, otherwise as lines. The exit code is"
        " 0 if the peer has answered, with matches or without.",
        options.PEER,
    )
    network = (*options.titles("FINDSCU"), *options.TIMEOUTS, *options.MAX_PDU_OPTION)
    parser.add_options("network", network)
    security.add_client(parser)
    parser.add_options("information model", list(MODELS.values()), exclusive=True)
    query = (*IDENTIFIER, *USUAL_KEYS, *cancel_option("matches; more are not shown"))
    parser.add_options("query", query)
    parser.add_options("extended negotiation", FIND_NEGOTIATION)
    parser.add_options("output", OUTPUT)
    parser.add_options("form of the output", FORM, exclusive=True)
    return parser


def find(args: Namespace, terminal: Terminal) -> int:
    """Send the query and show what matches."""
    if args.usual_keys and not args.level and levels_of(args.model):
        terminal.problem("--usual-keys: of which level? --level says it")
        return options.WRONG_ARGUMENTS
    usual = USUAL.get((args.model, args.level), ()) if args.level or args.usual_keys else ()
    query = identifier(args, terminal, usual)
    if query is None:
        return options.WRONG_ARGUMENTS
    contexts = [model_context(args, OPERATION)]
    items = negotiation(args, OPERATION)
    interrupted = False
    with association(args, contexts, terminal, ext_neg=items) as assoc:
        if assoc is not None and is_accepted(args, OPERATION, assoc, terminal):
            output = make_output(columns_of(query, (*args.keyword, *usual)), args.form)
            interrupted = run_query(args, query, assoc, output, terminal)
    if interrupted:
        raise KeyboardInterrupt
    return options.FAILED if terminal.problems else 0


def run_query(
    args: Namespace, query: Dataset, assoc: Association, output: Output, terminal: Terminal
) -> bool:
    """Carry a query to its end; gives whether Ctrl-C has cancelled it."""
    writes = args.write
    has_warned = False
    shown = 0
    with Cancellable(assoc, assoc.send_c_find(query, args.model)) as operation:
        for status, match in operation.responses:
            if status.get("Status") not in PENDING or (args.cancel and shown >= args.cancel):
                continue
            if match is None:
                terminal.problem(f"a match cannot be shown: {getattr(status, 'problem', None)}")
                continue
            if status.Status == KEYS_NOT_SUPPORTED and not has_warned:
                has_warned = True
                terminal.warning("the peer does not support some of the keys, and ignores them")
            shown += 1
            if shown == args.cancel:
                operation.cancel()
            show(copy.deepcopy(match) if writes else match, output, terminal)
            writes = writes and write(match, shown, args, terminal)
    output.close(shown)
    table = STATUS_TABLES.get(args.model, "QR_FIND_SERVICE_CLASS_STATUS")
    report_final(OPERATION, status, operation.is_cancelled, table, terminal)
    return operation.is_interrupted


def show(match: Dataset, output: Output, terminal: Terminal) -> None:
    """Show a match."""
    try:
        output.show(match)
    except OSError:
        raise
    except Exception as error:  # whatever pydicom makes of values that are none
        terminal.problem(f"a match cannot be shown: {type(error).__name__}")


def write(match: Dataset, number: int, args: Namespace, terminal: Terminal) -> bool:
    """Write a match to a file; gives whether the next one should be written too."""
    try:
        write_match(match, number, query_model_uid(OPERATION, args.model))
    except OSError as error:
        name = file_name(number)
        terminal.problem(f"{name}: {error.strerror or error}: no more matches are written")
        return False
    except Exception as error:  # as above
        terminal.problem(f"match {number} cannot be written: {type(error).__name__}")
    return True


def main(argv: Sequence[str] | None = None) -> int:
    """Run findscu; gives its exit code."""
    return options.run(make_parser(), find, argv)


if __name__ == "__main__":
    sys.exit(main())
