"""movescu: have a peer send instances to an AE, by C-MOVE (PS3.4 C.4.2).

With ``--store`` that AE is this one: it listens while it asks.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pynetdicom.apps import options, security
from pynetdicom.apps.echoscu import VERIFICATION
from pynetdicom.apps.progress import Terminal
from pynetdicom.apps.query import (
    Cancellable,
    identifier,
    is_accepted,
    model_context,
    negotiation,
)
from pynetdicom.apps.requestor import association, make_ae
from pynetdicom.apps.retrieve import (
    STORED,
    Arrivals,
    account,
    add_options,
    compare,
    follow,
    report_stored,
    storing,
)
from pynetdicom.apps.storescp import storage_classes

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.ae import ApplicationEntity

OPERATION = "C-MOVE"
STORE_AET = "STORESCP"

DESTINATION = (
    options.option(
        "-aem", "--move-aet", type=options.ae_title, metavar="TITLE",
        help=f"the AE title to send to (default: {STORE_AET}, with --store that of --store-aet)",
    ),
)  # fmt: skip
STORE = (
    options.option(
        "--store", action="store_true",
        help="be the destination: listen while asking, and store what comes",
    ),
    options.option(
        "--store-port", type=options._port(1), default=11113, metavar="PORT",
        help="TCP port to listen on, which the peer must know (default: {default})",
    ),
    options.option(
        "--store-aet", type=options.ae_title, default=STORE_AET, metavar="TITLE",
        help="my AE title as destination, which the peer must know (default: {default})",
    ),
)  # fmt: skip


def make_parser() -> options.Parser:
    """Make the command line."""
    parser = options.make_parser(
        "movescu",
        "Has a peer send what the keys say to an AE that the peer knows, with a C-MOVE request. The"
        " exit code is 0 only if all was sent, and with --store has arrived and was stored.",
        options.PEER,
    )
    network = (
        *options.titles("MOVESCU"),
        *DESTINATION,
        *options.TIMEOUTS,
        *options.MAX_PDU_OPTION,
    )
    parser.add_options("network", network)
    security.add_client(parser)
    add_options(parser)
    parser.add_options("own storage SCP", STORE)
    parser.add_options("output of the own storage SCP", STORED)
    return parser


def move(args: Namespace, terminal: Terminal) -> int:
    """Have it sent, and store it if this is the destination."""
    query = identifier(args, terminal)
    if query is None:
        return options.WRONG_ARGUMENTS
    if args.move_aet is None:
        args.move_aet = args.store_aet if args.store else STORE_AET
    if not args.store:
        interrupted = retrieve(args, query, make_ae(args), None, terminal)
    else:
        if args.move_aet != args.store_aet:
            terminal.warning(
                f"asked to send to {args.move_aet}, but my storage SCP is {args.store_aet}"
            )
        ae = make_ae(args)
        with storing(args, terminal) as arrivals, listening(args, ae, arrivals):
            interrupted = retrieve(args, query, ae, arrivals, terminal)
    if interrupted:
        raise KeyboardInterrupt
    return options.FAILED if terminal.problems else 0


@contextmanager
def listening(args: Namespace, ae: ApplicationEntity, arrivals: Arrivals) -> Iterator[None]:
    """Have the AE that asks be a storage SCP, too.

    Raises
    ------
    Failure
        It cannot listen there.
    """
    from pynetdicom.events import EVT_C_STORE
    from pynetdicom.presentation import ALL_TRANSFER_SYNTAXES, build_context

    uncompressed = options.UNCOMPRESSED
    others = [str(uid) for uid in ALL_TRANSFER_SYNTAXES if uid not in uncompressed]
    classes = [VERIFICATION, *storage_classes(usual=True)]
    try:
        ae.start_server(
            ("", args.store_port),
            block=False,
            ae_title=args.store_aet,
            contexts=[build_context(uid, [*uncompressed, *others]) for uid in classes],
            evt_handlers=[(EVT_C_STORE, arrivals.handle), *args.capturing],
            spool_dir=arrivals.directory,
            unrestricted_storage=True,
            preload=False,  # arrivals are saved, not decoded
            tls=security.server_tls(args),
        )
    except OSError as error:
        reason = error.strerror or error
        raise options.Failure(f"cannot listen on port {args.store_port}: {reason}") from None
    try:
        yield
    finally:
        ae.shutdown()


def retrieve(
    args: Namespace,
    query: Dataset,
    ae: ApplicationEntity,
    arrivals: Arrivals | None,
    terminal: Terminal,
) -> bool:
    """Carry the retrieve to its end; gives whether Ctrl-C has cancelled it."""
    contexts = [model_context(args, OPERATION)]
    items = negotiation(args, OPERATION)
    with association(args, contexts, terminal, ae, ext_neg=items) as assoc:
        if assoc is None or not is_accepted(args, OPERATION, assoc, terminal):
            return False
        operation = Cancellable(assoc, assoc.send_c_move(query, args.move_aet, args.model))
        refused = arrivals.refused if arrivals is not None else ()
        final = follow(args, OPERATION, operation, args.cancel, terminal)
        sent = account(OPERATION, final, terminal, refused)
    if arrivals is not None:
        look_at = (
            f"look at which host and port the peer has for {args.move_aet};"
            f" it should be this host's and {args.store_port}"
        )
        compare(sent, arrivals.stored, look_at, terminal)
        report_stored(args, arrivals, terminal)
    elif sent is not None:
        text = f"{sent} object{'' if sent == 1 else 's'} sent to {args.move_aet}"
        # With --json there is nothing else on standard output.
        (terminal.warning if args.json else terminal.result)(text)
    return final.is_interrupted


def main(argv: Sequence[str] | None = None) -> int:
    """Run movescu; gives its exit code."""
    return options.run(make_parser(), move, argv)


if __name__ == "__main__":
    sys.exit(main())
