"""echoscu: ask a peer whether it is there, by C-ECHO (PS3.4 Annex A)."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Sequence

from pynetdicom.apps import options, security
from pynetdicom.apps.progress import Terminal
from pynetdicom.apps.requestor import association, peer_name

VERIFICATION = "1.2.840.10008.1.1"

MISCELLANEOUS = (
    options.option(
        "--repeat", type=options._at_least(1), default=1, metavar="N",
        help="send N requests (default: {default})",
    ),
    options.option("--abort", action="store_true", help="abort the association, do not release it"),
)  # fmt: skip


def make_parser() -> options.Parser:
    """Make the command line."""
    parser = options.make_parser(
        "echoscu", "Asks a peer whether it is there, with a C-ECHO request.", options.PEER
    )
    network = (*options.titles("ECHOSCU"), *options.TIMEOUTS, *options.MAX_PDU_OPTION)
    parser.add_options("network", network)
    security.add_client(parser)
    parser.add_options("transfer syntaxes", options.REQUESTED_SYNTAXES, exclusive=True)
    parser.add_options("miscellaneous", MISCELLANEOUS)
    return parser


def echo(args: Namespace, terminal: Terminal) -> int:
    """Send the requests."""
    # A status is one of its data sets: imported now, it does not count as the peer's time.
    import pydicom.dataset  # noqa: F401

    from pynetdicom.presentation import build_context

    contexts = [build_context(VERIFICATION, args.requested)]
    with association(args, contexts, terminal, refusable=True) as assoc:
        if assoc is None:
            return options.FAILED
        if not assoc.accepted_contexts:
            why = assoc.ended and assoc.ended.error
            terminal.problem(f"{peer_name(args)} does not accept verification as proposed: {why}")
        else:
            for _ in range(args.repeat):
                started = time.perf_counter()
                status = assoc.send_c_echo()
                elapsed = (time.perf_counter() - started) * 1000
                if "Status" not in status:
                    terminal.problem(f"no answer from {peer_name(args)}: {assoc.ended}")
                    break
                if status.Status != 0x0000:
                    terminal.problem(f"{peer_name(args)} answers 0x{status.Status:04X}")
                else:
                    terminal.result(f"{peer_name(args)} answers in {elapsed:.1f} ms")
        if args.abort:
            assoc.abort()
    return options.FAILED if terminal.problems else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run echoscu; gives its exit code."""
    return options.run(make_parser(), echo, argv)


if __name__ == "__main__":
    sys.exit(main())
