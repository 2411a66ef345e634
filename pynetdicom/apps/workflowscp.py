"""workflowscp: the other side of the workflows' programs (PS3.4 Annexes F, J, K, R, CC).

It keeps performed procedure steps, unified ones and notifications of availability, tells those who
want to know of them, answers queries of a worklist, and commits itself to keep the objects of a
directory. What it has acknowledged is in its store before it says so.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from pynetdicom.apps import options, reloading, tls
from pynetdicom.apps.acceptor import serve, surviving_hangups
from pynetdicom.apps.configuring import ConfigError
from pynetdicom.apps.echoscu import VERIFICATION
from pynetdicom.apps.progress import Terminal
from pynetdicom.apps.security import add_configured
from pynetdicom.apps.workflow_config import (
    FROM_THE_START,
    SECTIONS,
    Config,
    access_rules,
    load,
    override,
)
from pynetdicom.network.deadlines import after, remaining

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.transport import AssociationServer
    from pynetdicom.workflows import ups
    from pynetdicom.workflows.providing import Provider
    from pynetdicom.workflows.stores import Store

    Providers = dict[str, Provider]

LOGGER = logging.getLogger(__name__)

COMMAND_LINE = "command line"
"""The source of a configuration that no file has."""

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
        "--worklist", metavar="DIRECTORY",
        help="answer queries of the worklist from the files of this directory, and of the one in it"
        " that has the called AE title as name: DICOM (.wl), or DICOM JSON (.json)"
        " (default: a worklist is not accepted)",
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
        "Keeps performed procedure steps, unified procedure steps and notifications of instance"
        " availability, and answers queries of a worklist and requests for storage commitment. What"
        " is given here comes before what is in the configuration file.",
        (),
    )
    network = options.configured("WORKFLOWSCP", Config.port, "configuration file, TOML")
    parser.add_options("network", network)
    add_configured(parser)
    parser.add_options("places", PLACES)
    return parser


def configuration(args: Namespace) -> Config:
    """The configuration that the command line and its file give; ConfigError if it is wrong."""
    config = override(load(args.config) if args.config else Config(), vars(args))
    for name in ("objects", "worklist"):
        directory = getattr(config, name)
        if directory is not None and not os.path.isdir(directory):
            raise ConfigError(f"{name}: {directory}: there is no such directory")
    return config


def make_ae(config: Config) -> ApplicationEntity:
    """The application entity, with its limits."""
    from pynetdicom.ae import ApplicationEntity

    ae = ApplicationEntity(ae_title=config.ae_title)
    limit(ae, config)
    ae.add_supported_context(VERIFICATION)
    return ae


def limit(ae: ApplicationEntity, config: Config) -> None:
    """Give it the limits of a configuration, and say who may associate."""
    reloading.limit(ae, config)
    ae.require_calling_aet = list(config.peers) if config.known_peers_only else []


class Current:
    """The configuration that holds, and what TLS is made with.

    SIGHUP replaces both at once, on the main thread, while threads that report ask for a peer.
    """

    def __init__(self, config: Config, contexts: tls.Security) -> None:
        self._both = config, contexts

    @property
    def config(self) -> Config:
        """The configuration."""
        return self._both[0]

    def where(self, ae_title: str) -> tuple[str, int, dict[str, Any]] | None:
        """Where an application entity is reported to, and how; None if that is not known."""
        config, contexts = self._both
        peer = config.peers.get(ae_title.strip())
        if peer is None or peer.address is None:
            return None
        return peer.address, peer.port, contexts.to(peer)

    def take(
        self, fresh: Config, source: str, ae: ApplicationEntity, server: AssociationServer
    ) -> None:
        """Go on by another configuration, and lose no association.

        Raises
        ------
        ConfigError
            Something is wrong with it, and nothing was changed.
        """
        config = reloading.merged(self.config, fresh, SECTIONS, FROM_THE_START)
        contexts, access = tls.security(config, source), access_rules(config)
        self._both = config, contexts
        # A peer that associates meanwhile must not come in between two ways of keeping it out:
        # what admits everybody comes last.
        server.ssl_context = contexts.server
        if access is not None:
            server.access = access
        limit(ae, config)
        server.access = access


class Forgetting:
    """Has unified procedure steps forgotten that ended long ago, now and then, as others change.

    Parameters
    ----------
    keep : float or None
        Seconds; None for ever.
    """

    LOOKS = 16
    """So often in that time."""

    def __init__(self, keep: float | None) -> None:
        self.provider: ups.Provider | None = None
        self._keep = keep
        self._looked = float("-inf")

    def changed(self, uid: str, step: Dataset, event_type: int) -> None:
        """Be told of a change."""
        if self._keep is None or self.provider is None:
            return
        if time.monotonic() < self._looked + self._keep / self.LOOKS:
            return
        self._looked = time.monotonic()
        forgotten = self.provider.delete_finished(older_than=self._keep)
        LOGGER.info("unified procedure steps that ended long ago: %d forgotten", len(forgotten))


def make_providers(current: Current, ae: ApplicationEntity, store: Store) -> Providers:
    """Those that are switched on, by what they provide; they have one `where`, the peers."""
    from pynetdicom.workflows import availability, mpps, ups, worklist

    config, where = current.config, current.where
    keep = config.keep_days * 86400.0 or None
    made: Providers = {}
    scheduler = None
    if config.worklist is not None:
        from pynetdicom.apps.worklist_files import WorklistFiles

        made["worklist"] = scheduler = worklist.Provider(
            WorklistFiles(config.worklist),
            store,
            exact_names=config.exact_names,
            removing=config.removed_by,
            keep=keep,
        )
    if config.mpps:
        made["MPPS"] = mpps.Provider(
            store,
            changed=None if scheduler is None else scheduler.changed,
            ae=ae if config.notify else None,
            subscribers=config.notify,
            where=where,
            keep=keep,
        )
    if config.availability:
        made["instance availability"] = availability.Provider(store, keep=keep)
    if config.ups:
        forgetting = Forgetting(keep)
        made["UPS"] = forgetting.provider = ups.Provider(
            ae,
            where=where,
            store=store,
            changed=forgetting.changed,
            locks=config.deletion_locks,
            watchers=config.watchers,
            worklist_label=config.worklist_label,
        )
    if config.objects is not None:
        from pynetdicom.apps.kept_files import Digests, KeptFiles
        from pynetdicom.workflows import commitment

        digests = Digests(store) if config.verify_bytes else None

        made["storage commitment"] = commitment.Provider(
            ae,
            KeptFiles(config.objects, digests=digests).check,
            where=where,
            store=store,
            retrieve_ae_title=config.retrieve_ae_title,
        )
    return made


def sop_classes(providers: Providers) -> list[str]:
    """What is negotiated: that of the providers, and what they report on."""
    from pynetdicom.sop_class import UnifiedProcedureStepEvent

    events = [UnifiedProcedureStepEvent] if "UPS" in providers else []
    return sorted({*events, *(uid for one in providers.values() for uid in one.sop_classes)})


def close(providers: Providers, deadline: float | None) -> None:
    """End what they have under way."""
    for provider in providers.values():
        closing = getattr(provider, "close", None)  # some have no threads
        if closing is not None:
            closing(remaining(deadline))


def run(args: Namespace, terminal: Terminal) -> int:
    """Serve until a signal says stop."""
    from pynetdicom.workflows.stores import SQLiteStore

    try:
        config = configuration(args)
        source = args.config or COMMAND_LINE
        contexts = tls.security(config, source)
        tls.check_users(config, source)
        store = SQLiteStore(config.store)
    except (ConfigError, ValueError) as error:
        terminal.problem(str(error))
        return options.FAILED
    with closing(store), surviving_hangups():
        return _run(config, contexts, store, terminal, args)


def _run(
    config: Config, contexts: tls.Security, store: Store, terminal: Terminal, args: Namespace
) -> int:
    from pynetdicom.workflows.providing import handlers

    ae, current = make_ae(config), Current(config, contexts)
    providers = make_providers(current, ae, store)
    for sop_class in sop_classes(providers):
        ae.add_supported_context(sop_class)
    LOGGER.info("serving %s", ", ".join(providers) or "nothing but C-ECHO")
    deadline: float | None = None

    def reload(server: AssociationServer) -> None:
        current.take(configuration(args), args.config or COMMAND_LINE, ae, server)

    def stop() -> None:
        # Nothing is begun to be told any more when the associations end, which what is under way
        # may wait for.
        nonlocal deadline
        deadline = after(current.config.shutdown_timeout)
        close(providers, after(0.0))

    served: list[tuple[Any, ...]] = handlers(*providers.values())
    try:
        return serve(
            config,
            ae,
            terminal,
            drain=args.drain,
            metrics=args.metrics,
            reload=reload,
            stopping=stop,
            evt_handlers=[*served, *tls.users(config, ae), *args.capturing],
            tls=contexts.server,
            plain_too=config.tls_plain_too,
            access=access_rules(config),
        )
    finally:
        close(providers, deadline or after(current.config.shutdown_timeout))


def main(argv: Sequence[str] | None = None) -> int:
    """Run workflowscp; gives its exit code."""
    return options.run(make_parser(), run, argv, log_level=logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
