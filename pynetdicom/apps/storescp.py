"""storescp: receive objects and write each to a file (PS3.4 Annex B).

An object is written to the output directory while it arrives, without a name; the handler gives it
one. The file system does that in one step, and only where nothing has the name yet, so that any
number of associations may store the same instance at the same time.
"""

from __future__ import annotations

import itertools
import logging
import os
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

from pynetdicom.apps import options, security
from pynetdicom.apps.acceptor import Ready, say_listening, serve, surviving_hangups
from pynetdicom.apps.echoscu import VERIFICATION
from pynetdicom.apps.progress import Terminal
from pynetdicom.apps.sorting import SORTED, STUDY, folder, study_folder, values_of
from pynetdicom.data_sets.part10 import same_data_set
from pynetdicom.services.classes import StorageServiceClass
from pynetdicom.utils import is_file_name

if TYPE_CHECKING:
    import socket

    from pynetdicom.apps.commands import Commands
    from pynetdicom.events import Event

LOGGER = logging.getLogger(__name__)

SUCCESS = 0x0000
INVALID_INSTANCE = 0x0117  # PS3.7 Annex C.5.10
OUT_OF_RESOURCES = 0xA700  # PS3.4 Table B.2-1

HASHED = "sha256-"

OUTPUT = (
    options.option(
        "-od", "--output-directory", default=os.curdir, metavar="DIRECTORY",
        help="write received objects to this directory, which is made if need be (default: the"
        " current one)",
    ),
    options.option(
        "--hash-uids", action="store_true",
        help="store objects whose SOP Instance UID cannot be a file name, since it is not 1 to 64"
        " digits and dots, under the SHA-256 digest of that UID (default: refuse them with 0x0117)",
    ),
    options.option("--ignore", action="store_true", help="receive objects, but do not store them"),
    options.option(
        "--sort", metavar="WHAT", choices=SORTED,
        help="write to subdirectories: study for one of each study, series for one of each series"
        " in that of its study, patient for both in one of the patient",
    ),
)  # fmt: skip
COMMANDS = (
    options.option(
        "-xcr", "--exec-on-receive", metavar="COMMAND",
        help="run a command after each object that is stored. It is one argument, which is taken"
        " apart as a shell does, and run without one; in it #p stands for the directory, #f for"
        " the file name, #a and #c for the calling and the called AE title, #r for the peer's"
        " address, #u for the Study Instance UID",
    ),
    options.option(
        "-xcs", "--exec-on-study", metavar="COMMAND",
        help="run a command when no more objects of a study have come for some time; as above, but"
        " without #f",
    ),
    options.option(
        "-tos", "--quiet-time", type=options.seconds, default=30.0, metavar="SECONDS",
        help="that time (default: {default:g})",
    ),
)  # fmt: skip
NETWORK = (
    options.option(
        "--workers", type=options._at_least(1), default=1, metavar="N",
        help="serve the port with so many processes (default: {default})",
    ),
    options.option(
        "--window", type=options._at_least(1, options.MOST_OUTSTANDING), default=1, metavar="N",
        help="let peers that ask for it send up to N objects on an association before the first of"
        " them is answered, and store as many at a time (default: {default})",
    ),
)  # fmt: skip
MISCELLANEOUS = (
    options.option("--no-echo", action="store_true", help="do not accept verification"),
)


def make_parser() -> options.Parser:
    """Make the command line."""
    parser = options.make_parser(
        "storescp",
        "Receives objects by C-STORE and writes each to a file named after its SOP Instance UID. A"
        " second copy of an instance that differs from the first is kept beside it.",
        options.LISTEN_PORT,
    )
    network = (*options.listener("STORESCP"), *options.TIMEOUTS, *options.MAX_PDU_OPTION, *NETWORK)
    parser.add_options("network", network)
    security.add_listener(parser)
    parser.add_options("transfer syntaxes", options.PREFERRED_SYNTAXES, exclusive=True)
    parser.add_options("output", OUTPUT)
    parser.add_options("commands", COMMANDS)
    parser.add_options("miscellaneous", MISCELLANEOUS)
    return parser


def name_of(uid: str, *, hashed: bool) -> str | None:
    """The file name of an instance, without its suffix; None where its UID cannot give one.

    Parameters
    ----------
    uid : str
        As it came, without its padding.
    hashed : bool
        Whether what cannot be a file name itself gives one by its SHA-256 digest. No two of them
        come to the same, and none to that of a UID that can: those have no letters.
    """
    if is_file_name(uid):
        return uid
    if not hashed or not uid:  # no UID at all does not say which instance it is
        return None
    import hashlib

    # The bytes that came: command sets are decoded as Latin-1, which has a character for each.
    return HASHED + hashlib.sha256(uid.encode("latin-1")).hexdigest()


class Filed(NamedTuple):
    """What became of a received object.

    Attributes
    ----------
    status : int
        What answers it.
    path : str
        Its file, if it has one.
    is_new : bool
        Whether that was not there before, with the very same data set.
    """

    status: int
    path: str = ""
    is_new: bool = False


def store(event: Event, directory: str, hash_uids: bool = False, sort: str | None = None) -> int:
    """Give a received object its file name; the status that answers it."""
    return file(event, directory, hash_uids, sort).status


def file(event: Event, directory: str, hash_uids: bool = False, sort: str | None = None) -> Filed:
    """Give a received object its file name, in a subdirectory by what it is sorted by."""
    uid = str(event.request.AffectedSOPInstanceUID).rstrip("\0 ")
    name = name_of(uid, hashed=hash_uids)
    if name is None:
        LOGGER.warning("refused: the SOP Instance UID cannot be a file name")
        return Filed(INVALID_INSTANCE)
    try:
        if sort:
            directory = folder(directory, values_of(event.request.data_set), SORTED[sort])
            os.makedirs(directory, exist_ok=True)
        return _save(event, os.path.join(directory, name))
    except OSError as error:
        LOGGER.error("cannot store %s: %s", name, error.strerror or error)
        return Filed(OUT_OF_RESOURCES)


def _save(event: Event, stem: str) -> Filed:
    # What is logged is the name: the way to it may have a Patient ID.
    name = os.path.basename(stem)
    for count in itertools.count(1):
        # No name has an underscore: the second copy of one never takes that of another.
        suffix = ".dcm" if count == 1 else f"_{count}.dcm"
        path = stem + suffix
        try:
            event.save_as(path, overwrite=False)
        except FileExistsError:
            if same_data_set(event.request.data_set, path):
                LOGGER.info("already there: %s%s", name, suffix)
                return Filed(SUCCESS, path)
        else:
            if count > 1:
                LOGGER.warning("differs from what is stored already, kept as %s%s", name, suffix)
            else:
                LOGGER.info("stored %s%s", name, suffix)
            return Filed(SUCCESS, path, is_new=True)
    raise AssertionError("there is always another number")


def file_and_tell(
    event: Event, directory: str, hash_uids: bool, sort: str | None, commands: Commands
) -> int:
    """Give a received object its file name, and have commands run for it."""
    from pynetdicom.apps.commands import Received

    if commands.is_full:  # a sender that tries again later is better than a command left out
        LOGGER.error("refused: too many commands are waiting to be run")
        return OUT_OF_RESOURCES
    filed = file(event, directory, hash_uids, sort)
    if filed.path:
        values = values_of(event.request.data_set)
        peer = event.assoc.requestor
        study = values.get(STUDY, b"").decode("ascii", "backslashreplace")
        where = study_folder(directory, values, sort)
        called = str(peer.primitive.called_ae_title) if peer.primitive else ""
        commands.put(Received(filed.path, study, where, peer.ae_title, called, peer.address))
    return filed.status


def ignore(event: Event) -> int:
    """Do nothing with a received object."""
    return SUCCESS


def prepare(directory: str) -> str:
    """Make sure that files can be written to a directory; gives its absolute path."""
    from pynetdicom.data_sets.spool import remove_parts

    path = os.path.abspath(directory)
    os.makedirs(path, exist_ok=True)
    remove_parts(path)
    with tempfile.TemporaryFile(dir=path):
        return path


def output_directory(args: Namespace) -> str | None:
    """The directory to store in, ready for that; None if nothing is to be stored.

    Raises
    ------
    Failure
        It cannot be written to.
    """
    if args.ignore:
        return None
    try:
        return prepare(args.output_directory)
    except OSError as error:
        raise options.Failure(
            f"{args.output_directory}: cannot write there: {error.strerror}"
        ) from None


def storage_classes(*, usual: bool) -> Iterable[str]:
    """Give the usual storage classes, which are known without pydicom, or all of the standard."""
    if usual:
        return StorageServiceClass.sop_classes
    from pynetdicom.services.registry import all_storage

    return all_storage()


def commands_of(args: Namespace) -> Commands | None:
    """The commands that are to be run; None if there are none.

    Raises
    ------
    ValueError
        Why one cannot be run.
    """
    if not (args.exec_on_receive or args.exec_on_study):
        return None
    from pynetdicom.apps.commands import Command, Commands

    if args.ignore:
        raise ValueError("with --ignore there is nothing to run a command for")
    of_object = args.exec_on_receive and Command("--exec-on-receive", args.exec_on_receive)
    of_study = args.exec_on_study and Command("--exec-on-study", args.exec_on_study, of_study=True)
    return Commands(of_object, of_study, args.quiet_time)


def listen(args: Namespace, terminal: Terminal) -> int:
    """Store what comes until a signal says stop."""
    try:
        commands = commands_of(args)
    except ValueError as problem:
        terminal.problem(str(problem))
        return options.WRONG_ARGUMENTS
    directory = output_directory(args)
    if args.workers > 1:
        return listen_with_workers(commands, directory, args, terminal)
    with commands or nullcontext():
        return listen_with(commands, directory, args, terminal)


def listen_with_workers(
    commands: Commands | None, directory: str | None, args: Namespace, terminal: Terminal
) -> int:
    """Store what comes, in several processes."""
    from pynetdicom.apps.workers import in_place, serve_with_workers

    if args.exec_on_study:
        # Two associations that bring a study may be served by two of them.
        raise options.Misuse("--exec-on-study needs all that comes: it is not for --workers")
    reads_anew = security.server_tls(args) is not None or args.access is not None

    def serve_one(listening: socket.socket, ready: Ready, place: int) -> int:
        with commands or nullcontext():
            mine = in_place(args, place)
            return listen_with(commands, directory, mine, terminal, listening, ready)

    with surviving_hangups(needed=reads_anew):
        return serve_with_workers(
            args.workers,
            (args.bind_address, args.port),
            terminal,
            serve_one,
            say_listening,
            drain=args.drain,
            reloads=reads_anew,
        )


def listen_with(
    commands: Commands | None,
    directory: str | None,
    args: Namespace,
    terminal: Terminal,
    listening: socket.socket | None = None,
    ready: Ready = say_listening,
) -> int:
    """Store what comes in a directory, if there is one, and have commands run for it."""
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.events import EVT_C_STORE
    from pynetdicom.presentation import ALL_TRANSFER_SYNTAXES

    ae = ApplicationEntity(ae_title=args.ae_title)
    options.apply_limits(ae, args)
    ae.window = (1, args.window)
    syntaxes = list(args.preferred)
    if not args.no_echo:
        ae.add_supported_context(VERIFICATION, syntaxes)
    # Where any transfer syntax will do, classes that are not listed are taken as they come.
    any_syntax = len(syntaxes) > 1
    if any_syntax:
        syntaxes += [str(uid) for uid in ALL_TRANSFER_SYNTAXES if uid not in syntaxes]
    for sop_class in storage_classes(usual=any_syntax):
        ae.add_supported_context(sop_class, syntaxes)
    how = [directory, args.hash_uids, args.sort]
    handler: tuple[Any, ...] = (EVT_C_STORE, store, how) if directory else (EVT_C_STORE, ignore)
    if commands is not None:
        handler = (EVT_C_STORE, file_and_tell, [*how, commands])
    return serve(
        args,
        ae,
        terminal,
        drain=args.drain,
        metrics=args.metrics,
        listening=listening,
        ready=ready,
        evt_handlers=[handler],
        spool_dir=directory,
        unrestricted_storage=any_syntax,
        preload=False,  # what is received is saved, not decoded
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run storescp; gives its exit code."""
    return options.run(make_parser(), listen, argv, log_level=logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
