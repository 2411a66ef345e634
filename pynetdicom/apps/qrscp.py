"""qrscp: an archive that receives, finds and sends objects (PS3.4 Annexes B, C, K).

Its parts are in `pynetdicom.apps.archive`; here they are put together, in one process or, with
``--workers``, in several on one port.
"""

from __future__ import annotations

import logging
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from pynetdicom.apps import options, security, tls
from pynetdicom.apps.acceptor import (
    Ready,
    StopSignals,
    measured,
    say_listening,
    start,
    surviving_hangups,
    wait_and_drain,
)
from pynetdicom.apps.archive import admin, reloading
from pynetdicom.apps.archive.config import Config, access_rules
from pynetdicom.apps.archive.extras import MissingExtra, require
from pynetdicom.apps.archive.opening import (
    HASH_UIDS,
    LOCATIONS,
    beside_objects,
    configuration,
    open_archive,
    quiet_pydicom,
    store_problem,
)
from pynetdicom.apps.archive.reloading import limit
from pynetdicom.apps.configuring import ConfigError
from pynetdicom.apps.echoscu import VERIFICATION
from pynetdicom.apps.progress import Terminal
from pynetdicom.network.addresses import address_text

if TYPE_CHECKING:
    import socket

    from pynetdicom.ae import ApplicationEntity

LOGGER = logging.getLogger(__name__)

NETWORK = (
    *options.configured(
        "QRSCP", 11112,
        "configuration file: TOML if its name ends in .toml, otherwise the ini file of pynetdicom"
        " 3.0's qrscp",
    ),
    options.option(
        "--workers", type=options._at_least(1), metavar="N",
        help="serve the port with so many processes (default: 1)",
    ),
)  # fmt: skip
PLACES = (
    *LOCATIONS,
    HASH_UIDS,
    options.option(
        "--clean", action="store_true",
        help="delete all objects and the index's rows, and end; refused while an archive serves"
        " them",
    ),
    options.option("--yes", action="store_true", help="do not ask whether to --clean"),
    options.option(
        "--check", action="store_true",
        help="read all objects and make the index agree with them before serving; without this,"
        " only what has changed is looked at",
    ),
)  # fmt: skip


COMMAND_LINE = "command line"
OTHERS = (
    "of those without a rule, this machine may do all, and others may only send a C-ECHO:"
    " see [archive] unknown_peers"
)
"""What is said at the start."""


def make_parser() -> options.Parser:
    """Make the command line."""
    parser = options.make_parser(
        "qrscp",
        "An archive: receives objects by C-STORE, and answers C-FIND, C-GET and C-MOVE, and storage"
        " commitment, where its configuration has a store for it. What is given here comes before"
        " what is in the configuration file.",
        (),
    )
    verbs = ", ".join(admin.VERBS)
    parser.epilog = f"To administer an archive: qrscp VERB … (qrscp VERB --help). Verbs: {verbs}"
    parser.add_options("network", NETWORK)
    security.add_configured(parser)
    parser.add_options("places", PLACES)
    return parser


def make_ae(config: Config) -> ApplicationEntity:
    """The application entity, with its limits and what the archive supports beside storage."""
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.apps.archive.handlers import supported_queries

    ae = ApplicationEntity(ae_title=config.ae_title)
    limit(ae, config)
    # Storage is taken in the transfer syntax that the peer puts first (`unrestricted_storage`): one
    # that gets compressed objects, or sends them, is to have its way.
    queries = supported_queries(with_worklist=config.worklist_directory is not None)
    for sop_class in (VERIFICATION, *queries):
        ae.add_supported_context(sop_class, list(options.UNCOMPRESSED))
    return ae


def serve(
    config: Config,
    terminal: Terminal,
    ready: Ready,
    args: Namespace,
    listening: socket.socket | None = None,
    *,
    contexts: tls.Security = tls.Security(),  # noqa: B008  # it is immutable
) -> int:
    """Serve until a signal says stop; 0 when it was stopped, 1 when it could not start.

    Parameters
    ----------
    config : Config
    terminal : Terminal
    ready : callable
        Called with the address once it listens.
    args : Namespace
        The command line, by which the configuration is read anew, on SIGHUP.
    listening : socket.socket, optional
        Which other processes serve, too.
    contexts : Security, optional
        What TLS is made with.
    """
    from pynetdicom.apps.archive.handlers import Archive
    from pynetdicom.apps.archive.presence import at_work

    quiet_pydicom()
    ae = make_ae(config)

    def reload() -> None:
        reloading.take(configuration(args), args.config or COMMAND_LINE, archive, ae, server)

    with StopSignals(reload) as stop, ExitStack() as closing:
        archive = Archive(config, contexts.destinations)
        closing.callback(archive.close)
        closing.enter_context(at_work(archive.database))
        archive.room.look()
        served = archive.handlers() + tls.users(config, ae)
        commitment = None
        if config.commitment_store is not None:
            from pynetdicom.apps.archive.commitment import Commitment

            commitment = Commitment(archive, ae, config.commitment_store)
            closing.callback(commitment.close)
            served += commitment.handlers()
        spool_dir = archive.store_of_objects.spool_dir
        how: dict[str, Any] = {"spool_dir": spool_dir, "evt_handlers": [*served, *args.capturing]}
        try:
            server = start(
                ae,
                (config.bind_address, config.port),
                listening,
                tls=contexts.server,
                plain_too=config.tls_plain_too,
                unrestricted_storage=True,
                access=access_rules(config),
                **how,
            )
        except OSError as error:
            where = address_text((config.bind_address, config.port))
            terminal.problem(f"cannot listen on {where}: {error.strerror or error}")
            return options.FAILED
        try:
            with measured(args.metrics, server):
                ready(server.server_address)
                wait_and_drain(stop, server, args.drain)
        finally:
            if commitment is not None:
                commitment.stop()
            ae.shutdown()
    LOGGER.info("stopped")
    return 0


def tell(config: Config, address: Sequence[Any]) -> None:
    """Say where the archive listens, and who may do what where that is left open."""
    if config.unknown_peers is None:
        LOGGER.log(logging.INFO if config.names_peers else logging.WARNING, OTHERS)
    say_listening(address)


def prepare(config: Config, source: str, *, full: bool) -> None:
    """Make the index agree with the objects, before anybody is served."""
    import sqlalchemy as sa

    from pynetdicom.apps.archive.check import check
    from pynetdicom.apps.archive.database import is_full
    from pynetdicom.apps.archive.presence import at_work
    from pynetdicom.apps.archive.removal import Remover

    archive = open_archive(config, source)
    try:
        quiet_pydicom()
        with at_work(archive.database):
            Remover(archive.index, archive.store_of_objects, archive.room).finish()
            findings = check(
                archive.index,
                archive.store_of_objects,
                full=full,
                progress=_progress,
                ours=beside_objects(config),
            )
            archive.room.measure()
    except sa.exc.SQLAlchemyError as error:
        if not is_full(error):
            why = getattr(error, "orig", None) or error
            raise ConfigError(f"{source}: [database] location: the index fails: {why}") from error
        LOGGER.error(
            "the disk of the index is full: it could not be made to agree with the objects, and"
            " nothing can be stored until there is room"
        )
    except OSError as error:
        raise store_problem(config, source, error) from error
    else:
        LOGGER.info("checked %d folders", findings.folders)
    finally:
        archive.close()


def check_worklist(config: Config, source: str) -> None:
    """See whether the directory of the worklist is there: without it, it would be an empty one."""
    directory = config.worklist_directory
    if directory is None:
        return
    try:
        os.listdir(directory)
    except OSError as error:
        why = f"{directory}: {error.strerror or error}"
        raise ConfigError(f"{source}: [worklist] directory: {why}") from error


def check_commitment(config: Config, source: str) -> None:
    """See whether the store of storage commitment can be had, before anybody is served."""
    if config.commitment_store is None:
        return
    from pynetdicom.workflows.stores import SQLiteStore

    try:
        SQLiteStore(config.commitment_store).close()
    except ValueError as error:
        raise ConfigError(f"{source}: [commitment] store: {error}") from error


def _progress(done: int, total: int) -> None:
    if done and (done % 256 == 0 or done == total):
        LOGGER.info("start-up check: %d of %d folders", done, total)


def run(args: Namespace, terminal: Terminal) -> int:
    """Be an archive until a signal says stop."""
    try:
        config = configuration(args)
        require("sqlalchemy")
    except (ConfigError, MissingExtra) as error:
        terminal.problem(str(error))
        return options.FAILED
    with surviving_hangups():
        return _run(config, args, terminal)


def _run(config: Config, args: Namespace, terminal: Terminal) -> int:
    from pynetdicom.apps.archive.check import NoObjects
    from pynetdicom.apps.archive.ownership import DatabaseProblem
    from pynetdicom.apps.archive.presence import InUse

    source = args.config or COMMAND_LINE
    try:
        if args.clean:
            from pynetdicom.apps.archive.admin.cleaning import clean

            return clean(config, source, terminal, is_sure=args.yes)
        check_worklist(config, source)
        check_commitment(config, source)
        contexts = tls.security(config, source)
        tls.check_users(config, source)
        prepare(config, source, full=args.check)
        if config.workers == 1:
            return serve(config, terminal, partial(tell, config), args, contexts=contexts)
        from pynetdicom.apps.workers import in_place, serve_with_workers

        return serve_with_workers(
            config.workers,
            (config.bind_address, config.port),
            terminal,
            lambda listening, ready, place: serve(
                config, terminal, ready, in_place(args, place), listening, contexts=contexts
            ),
            partial(tell, config),
            drain=args.drain,
            reloads=True,
        )
    except (ConfigError, DatabaseProblem, InUse, MissingExtra, NoObjects) as error:
        terminal.problem(str(error))
    except OSError as error:
        terminal.problem(f"{error.filename or ''}: {error.strerror or error}".lstrip(": "))
    return options.FAILED


def main(argv: Sequence[str] | None = None) -> int:
    """Run qrscp; gives its exit code."""
    verb = admin.verb_of(sys.argv[1:] if argv is None else argv)
    if verb is not None:
        return admin.main(verb, argv)
    return options.run(make_parser(), run, argv, log_level=logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
