"""echoscp: answer C-ECHO requests (PS3.4 Annex A)."""

from __future__ import annotations

import logging
import sys
from argparse import Namespace
from collections.abc import Sequence

from pynetdicom.apps import options, security
from pynetdicom.apps.acceptor import serve
from pynetdicom.apps.echoscu import VERIFICATION
from pynetdicom.apps.progress import Terminal


def make_parser() -> options.Parser:
    """Make the command line."""
    parser = options.make_parser("echoscp", "Answers C-ECHO requests.", options.LISTEN_PORT)
    network = (*options.listener("ECHOSCP"), *options.TIMEOUTS, *options.MAX_PDU_OPTION)
    parser.add_options("network", network)
    security.add_listener(parser)
    parser.add_options("transfer syntaxes", options.PREFERRED_SYNTAXES, exclusive=True)
    return parser


def listen(args: Namespace, terminal: Terminal) -> int:
    """Answer requests until a signal says stop."""
    from pynetdicom.ae import ApplicationEntity

    ae = ApplicationEntity(ae_title=args.ae_title)
    options.apply_limits(ae, args)
    ae.add_supported_context(VERIFICATION, list(args.preferred))
    return serve(args, ae, terminal, drain=args.drain, metrics=args.metrics)


def main(argv: Sequence[str] | None = None) -> int:
    """Run echoscp; gives its exit code."""
    return options.run(make_parser(), listen, argv, log_level=logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
