"""workflowscp: the other side of the workflows' programs (PS3.4 Annexes F, J, R).

It keeps performed procedure steps and notifications of availability, and commits itself to keep the
objects of a directory. What it has acknowledged is in its store before it says so.
"""

from __future__ import annotations

import logging
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from pynetdicom.apps import options
from pynetdicom.apps.acceptor import serve, surviving_hangups
from pynetdicom.apps.configuring import TIMEOUTS, ConfigError
from pynetdicom.apps.echoscu import VERIFICATION
from pynetdicom.apps.progress import Terminal
from pynetdicom.apps.workflow_config import Config, load, override
from pynetdicom.utils import printable

if TYPE_CHECKING:
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.events import Event
    from pynetdicom.workflows.commitment import Provider as CommitmentProvider
    from pynetdicom.workflows.stores import Store

LOGGER = logging.getLogger(__name__)

PLACES = (
    options.option(
        "--store", metavar="FILE",
        help="what is kept: a file of SQLite (default: workflows.sqlite)",
    ),
    options.option(
        "--objects", metavar="DIRECTORY",
        help="commit to keep the objects that are in this directory of DICOM files, or below it"
        " (default: storage commitment is not accepted)",
    ),
    options.option(
        "--verify-bytes", action="store_true", default=None,
        help="read a file to its last byte before its object is committed, not only the headers of"
        " its elements, and compare it with what it was the first time",
    ),
)  # fmt: skip


def make_parser() -> options.Parser:
    """Make the command line."""
    parser = options.make_parser(
        "workflowscp",
        "Keeps performed procedure steps and notifications of instance availability, and answers"
        " requests for storage commitment. What is given here comes before what is in the"
        " configuration file.",
        (),
    )
    network = options.configured("WORKFLOWSCP", Config.port, "configuration file, TOML")
    parser.add_options("network", network)
    parser.add_options("places", PLACES)
    return parser


def configuration(args: Namespace) -> Config:
    """The configuration that the command line and its file give; ConfigError if it is wrong."""
    config = override(load(args.config) if args.config else Config(), vars(args))
    if config.objects is not None and not os.path.isdir(config.objects):
        raise ConfigError(f"objects: {config.objects}: there is no such directory")
    return config


def make_ae(config: Config) -> ApplicationEntity:
    """The application entity, with its limits."""
    from pynetdicom.ae import ApplicationEntity

    ae = ApplicationEntity(ae_title=config.ae_title)
    for name in TIMEOUTS:
        setattr(ae, name, getattr(config, name))
    ae.maximum_pdu_size = config.max_pdu
    ae.maximum_associations = config.maximum_associations
    if config.known_peers_only:
        ae.require_calling_aet = list(config.peers)
    ae.add_supported_context(VERIFICATION)
    return ae


def make_commitment(config: Config, ae: ApplicationEntity, store: Store) -> CommitmentProvider:
    """The provider of storage commitment, whose results go to the peers that are known."""
    from pynetdicom.apps.kept_files import Digests, KeptFiles
    from pynetdicom.workflows import commitment

    assert config.objects is not None
    kept = KeptFiles(config.objects, digests=Digests(store) if config.verify_bytes else None)

    def where(ae_title: str) -> tuple[str, int] | None:
        peer = config.peers.get(ae_title.strip())
        return None if peer is None or peer.address is None else (peer.address, peer.port)

    return commitment.Provider(
        ae, kept.check, where=where, store=store, retrieve_ae_title=config.retrieve_ae_title
    )


def log(event: Event) -> None:
    """Say what a request was answered with."""
    sent = event.message.primitive
    status = getattr(sent, "Status", None)
    if status is not None:
        uid = getattr(sent, "AffectedSOPInstanceUID", None)
        what = f"{sent.name} of {uid}" if uid else sent.name
        title = str(event.assoc.remote["ae_title"])
        LOGGER.info("%s: %s: 0x%04X", printable(title), printable(what), status)


def run(args: Namespace, terminal: Terminal) -> int:
    """Serve until a signal says stop."""
    from pynetdicom.workflows.stores import SQLiteStore

    try:
        config = configuration(args)
        store = SQLiteStore(config.store)
    except (ConfigError, ValueError) as error:
        terminal.problem(str(error))
        return options.FAILED
    with closing(store), surviving_hangups():
        return _run(config, store, terminal)


def _run(config: Config, store: Store, terminal: Terminal) -> int:
    from pynetdicom import events as evt
    from pynetdicom.workflows import availability, mpps
    from pynetdicom.workflows.providing import Provider, handlers

    ae = make_ae(config)
    providers: list[Provider] = [mpps.Provider(store), availability.Provider(store)]
    commitment = None if config.objects is None else make_commitment(config, ae, store)
    if commitment is not None:
        providers.append(commitment)
    for provider in providers:
        for sop_class in sorted(provider.sop_classes):
            ae.add_supported_context(sop_class)

    def stop(timeout: float | None = None) -> None:
        if commitment is not None:
            commitment.close(timeout)

    served: list[tuple[Any, ...]] = [*handlers(*providers), (evt.EVT_DIMSE_SENT, log)]
    try:
        # No result is begun to be reported any more when the associations end, which those under
        # way may wait for.
        return serve(config, ae, terminal, stopping=lambda: stop(0), evt_handlers=served)
    finally:
        stop()


def main(argv: Sequence[str] | None = None) -> int:
    """Run workflowscp; gives its exit code."""
    return options.run(make_parser(), run, argv, log_level=logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
