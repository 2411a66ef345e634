"""``qrscp VERB``: an archive's administration, also while it is at work.

Each verb is a module with its options and its work; here is the table of them, and the frame that
they have in common.
"""

from __future__ import annotations

import logging
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pynetdicom.apps import options
from pynetdicom.apps.archive.extras import MissingExtra, require
from pynetdicom.apps.archive.opening import (
    LOCATIONS,
    configuration,
    open_archive,
    quiet_pydicom,
)
from pynetdicom.apps.configuring import ConfigError
from pynetdicom.apps.progress import Terminal

if TYPE_CHECKING:
    from pynetdicom.apps.archive.handlers import Archive

LOGGER = logging.getLogger(__name__)


class Verb(NamedTuple):
    """What can be done with an archive.

    Attributes
    ----------
    module : str
        Which has `POSITIONAL` and `OPTIONS`, tables of options, and `run`.
    purpose : str
    makes : bool
        Whether it makes an archive where there is none.
    """

    module: str
    purpose: str
    makes: bool = False


VERBS = {
    "import": Verb("importing", "Takes the DICOM files of a directory into the archive.", True),
    "export": Verb("exporting", "Writes objects to files, in folders of patient, study, series."),
    "list": Verb("listing", "Lists patients, studies, series or objects."),
    "stats": Verb("statistics", "Tells how much there is, and how much room is left."),
    "verify": Verb(
        "verifying",
        "Reads each object to its last byte, compares it with what it was when that was done first,"
        " and makes the index agree with the objects, also while the archive is at work.",
    ),
    "backup": Verb(
        "backing_up",
        "Copies objects and index to a directory that is an archive too, also while this one is at"
        " work.",
    ),
    "delete": Verb(
        "deleting",
        "Deletes patients, studies, series or objects, also while the archive is at work.",
    ),
}

GIVEN, OWN = "parameters", "what to do"
"""The groups of what is a verb's own, in the help text."""

CONFIG = options.option("-c", "--config", metavar="FILE", help="configuration file of the archive")


def verb_of(words: Sequence[str]) -> str | None:
    """The verb that the words of a command line begin with, if they do."""
    return words[0] if words and words[0] in VERBS else None


def make_parser(verb: str) -> options.Parser:
    """Make the command line of a verb."""
    module = _module(verb)
    parser = options.make_parser(f"qrscp {verb}", VERBS[verb].purpose, module.POSITIONAL)
    parser.add_options("archive", (CONFIG, *LOCATIONS))
    if module.OPTIONS:
        parser.add_options(OWN, module.OPTIONS)
    return parser


class _Module(Protocol):
    """What a module of a verb has."""

    POSITIONAL: Sequence[options.Option]
    OPTIONS: Sequence[options.Option]
    run: Callable[[Archive, Namespace, Terminal], int]


def _module(verb: str) -> _Module:
    module: Any = import_module(f"{__name__}.{VERBS[verb].module}")
    return module  # type: ignore[no-any-return]  # a module is none of a class


def main(verb: str, argv: Sequence[str] | None) -> int:
    """Do what a verb says; gives the exit code. The verb is the first of the arguments."""
    if argv is None:
        del sys.argv[1]
    else:
        argv = argv[1:]
    run = _module(verb).run

    def body(args: Namespace, terminal: Terminal) -> int:
        with opened(args, makes=VERBS[verb].makes) as archive:
            return run(archive, args, terminal)

    return options.run(make_parser(verb), body, argv, log_level=logging.WARNING)


@contextmanager
def opened(args: Namespace, *, makes: bool) -> Iterator[Archive]:
    """The archive that the arguments name, which nobody can be alone with meanwhile.

    Raises
    ------
    Failure
        There is none; or its configuration is wrong.
    """
    try:
        config = configuration(args)
        require("sqlalchemy")
        from pynetdicom.apps.archive.ownership import DatabaseProblem
        from pynetdicom.apps.archive.presence import InUse, at_work

        index = config.database_location
        if not makes and "://" not in index and not os.path.exists(index):
            raise options.Failure(f"there is no archive here: {index} is not there")
        archive = open_archive(config, args.config or "command line")
        quiet_pydicom()
        try:
            with at_work(archive.database):
                yield archive
        finally:
            archive.close()
    except (ConfigError, MissingExtra, DatabaseProblem, InUse) as error:
        raise options.Failure(str(error)) from error


def confirm(question: str, *, is_sure: bool) -> bool:
    """Ask whether something that cannot be undone is to be done.

    Raises
    ------
    Failure
        Nobody can be asked.
    """
    if is_sure:
        return True
    if not sys.stdin.isatty():
        raise options.Failure(f"{question} Nobody can be asked: say --yes if it is to be done")
    try:
        return input(f"{question} [yes/no] ").strip().lower() == "yes"
    except EOFError:
        return False
