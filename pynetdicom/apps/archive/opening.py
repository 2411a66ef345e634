"""An archive by its configuration: where it is, and opening it, for serving and for administration.

In: the arguments of a command line. Out: an `Archive`; a `ConfigError` that names the key of what
is at fault.
"""

from __future__ import annotations

import os
from argparse import Namespace
from typing import TYPE_CHECKING

from pynetdicom.apps import options
from pynetdicom.apps.archive.config import Config, load, override
from pynetdicom.apps.configuring import ConfigError

if TYPE_CHECKING:
    from pynetdicom.apps.archive.handlers import Archive

LOCATIONS = (
    options.option(
        "--database-location", metavar="FILE",
        help="the index: a file of SQLite, or a URL such as postgresql+psycopg://user@host/name"
        " (default: instances.sqlite)",
    ),
    options.option(
        "--instance-location", metavar="DIRECTORY",
        help="the objects: a directory, or a URL that fsspec knows (default: instances)",
    ),
)  # fmt: skip
HASH_UIDS = options.option(
    "--hash-uids", action="store_true", default=None,
    help="keep objects whose SOP Instance UID is not digits and dots, but can be sent on (1 to"
    " 64 printable ASCII characters), under the SHA-256 digest of that UID (default: refuse"
    " them with 0x0117)",
)  # fmt: skip

BESIDE_SQLITE = ("", "-wal", "-shm", "-journal", "-inuse", "-removal", "-digests")
"""How the names end of what is beside a file of SQLite."""


def configuration(args: Namespace) -> Config:
    """The configuration that the command line and its file give."""
    config = load(args.config) if args.config else Config()
    return override(config, vars(args))


def open_archive(config: Config, source: str) -> Archive:
    """Open database and store; ConfigError names the key of what is at fault."""
    from pynetdicom.apps.archive.handlers import Archive
    from pynetdicom.apps.archive.ownership import DatabaseProblem

    try:
        return Archive(config)
    except DatabaseProblem as error:
        raise ConfigError(f"{source}: [database] location: {error}") from error
    except OSError as error:
        raise store_problem(config, source, error) from error


def store_problem(config: Config, source: str, error: OSError) -> ConfigError:
    """What is wrong with the store of objects."""
    where = error.filename or config.instance_location
    return ConfigError(f"{source}: [storage] location: {where}: {error.strerror or error}")


def beside_objects(config: Config) -> list[str]:
    """Paths of what is the archive's and may be among its objects."""
    databases = [one for one in (config.database_location, config.commitment_store) if one]
    ends = (*BESIDE_SQLITE, *(f"-digests{end}" for end in ("-wal", "-shm", "-journal")))
    paths = [f"{database}{end}" for database in databases for end in ends]
    return [os.path.abspath(path) for path in (*paths, config.worklist_directory) if path]


def quiet_pydicom() -> None:
    """Keep pydicom from warnings about values: they are a peer's, and may be about a patient."""
    from pydicom import config

    config.settings.reading_validation_mode = config.IGNORE
