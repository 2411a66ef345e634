"""storescu: send files to a peer, by C-STORE (PS3.4 Annex B).

The files are looked through first: they decide which presentation contexts are proposed. Then they
are sent, in as many associations as their contexts need.
"""

from __future__ import annotations

import logging
import os
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pynetdicom.apps import options, security
from pynetdicom.apps.progress import Display, Terminal, one_line
from pynetdicom.apps.requestor import association
from pynetdicom.data_sets.element_walk import UNCOMPRESSED
from pynetdicom.planning import in_associations, needed_by, to_contexts

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.services.instances import Kind

LOGGER = logging.getLogger(__name__)

option = options.option

FILES = option("path", nargs="+", help="DICOM files, and directories of files, to send")
INPUT = (option("-r", "--recurse", action="store_true", help="search directories recursively"),)
AT_ONCE = (
    option(
        "--window", type=options._at_least(1, options.MOST_OUTSTANDING), default=1, metavar="N",
        help="send up to N files on an association before the first of them is answered, where the"
        " peer agrees to that: see the manual for what an abort costs then (default: {default})",
    ),
    option(
        "--associations", type=options._at_least(1), default=1, metavar="N",
        help="send over N associations at once, or as many as the peer grants (default: {default})",
    ),
)  # fmt: skip
MISCELLANEOUS = (
    option(
        "-cx", "--required-contexts", action="store_true",
        help="propose only the transfer syntaxes of the files, none to fall back to",
    ),
)  # fmt: skip


class File(NamedTuple):
    """A file that can be sent."""

    path: str
    size: int
    kind: Kind


def make_parser() -> options.Parser:
    """Make the command line."""
    parser = options.make_parser(
        "storescu",
        "Sends DICOM files to a peer, with C-STORE requests. What cannot be sent is named with the"
        " reason, the others are sent all the same. The exit code is 0 only if all were sent and"
        " stored, with a warning of the peer or without.",
        (*options.PEER, FILES),
    )
    parser.add_options("input", INPUT)
    network = (
        *options.titles("STORESCU"),
        *options.TIMEOUTS,
        *options.MAX_PDU_OPTION,
        *AT_ONCE,
    )
    parser.add_options("network", network)
    security.add_client(parser)
    parser.add_options(
        "transfer syntaxes of uncompressed files", options.REQUESTED_SYNTAXES, exclusive=True
    )
    parser.add_options("miscellaneous", MISCELLANEOUS)
    return parser


def find_paths(paths: Iterable[str], recurse: bool, terminal: Terminal) -> Iterator[str]:
    """Give the files among `paths` and in the directories among them, sorted in each directory."""

    def report(error: OSError) -> None:
        terminal.problem(f"{error.filename}: {error.strerror}")

    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        empty = True
        for directory, subdirectories, names in os.walk(path, onerror=report):
            subdirectories[:] = sorted(subdirectories) if recurse else []
            for name in sorted(names):
                empty = False
                yield os.path.join(directory, name)
        if empty:
            terminal.problem(f"{path}: no files in this directory")


def read_files(paths: Iterable[str], terminal: Terminal) -> Iterator[File]:
    """Give those of `paths` that can be sent, and report the others."""
    from pynetdicom.data_sets.part10 import read_header
    from pynetdicom.errors import FileProblem

    for path in paths:
        try:
            with read_header(path) as header:
                kind = (header.sop_class_uid, header.transfer_syntax)
                file = File(path, header.size, kind)
        except FileProblem as problem:
            terminal.problem(f"{path}: {problem}")
        except OSError as error:
            terminal.problem(f"{path}: {error.strerror or error}")
        else:
            yield file


def contexts_for(args: Namespace) -> Callable[[Kind], list[Kind]]:
    """Give the function that says which contexts are proposed for a kind of file.

    Each has one transfer syntax, so that the peer cannot choose another one for a file that it
    would have taken as it is.
    """

    def needed(kind: Kind) -> list[Kind]:
        sop_class, transfer_syntax = kind
        if transfer_syntax not in UNCOMPRESSED:
            return [kind]
        if args.requested:
            return [(sop_class, args.requested)]
        if args.required_contexts:
            return [kind]
        return needed_by(kind)

    return needed


def plan(
    files: Sequence[File], needed: Callable[[Kind], list[Kind]]
) -> Iterator[tuple[list[Kind], list[File]]]:
    """Give contexts and files of each association; one association has 128 contexts at most."""
    for contexts, kinds in in_associations((file.kind for file in files), needed):
        members = set(kinds)
        yield contexts, [file for file in files if file.kind in members]


def send(
    assoc: Association,
    files: Sequence[File],
    terminal: Terminal,
    display: Display,
    associations: int = 1,
) -> int:
    """Send files over one association and others like it; gives how many were stored."""
    from pynetdicom.association.storing import store_files
    from pynetdicom.services.statuses import code_to_category

    stored = 0
    sizes = {file.path: file.size for file in files}
    left = Counter(file.path for file in files)  # one may be named twice
    paths = [file.path for file in files]
    for result in store_files(assoc, paths, send_ahead=True, associations=associations):
        category = "" if result.status is None else code_to_category(result.status)
        if category in ("Success", "Warning"):
            stored += 1
            LOGGER.info("%s: stored with 0x%04X", one_line(str(result.path)), result.status)
            if category == "Warning":
                terminal.warning(f"{result.path}: stored with warning 0x{result.status:04X}")
        elif result.status is None:
            terminal.problem(f"{result.path}: {result.problem}")
        else:
            terminal.problem(f"{result.path}: refused with {describe(result.status)}")
        left[str(result.path)] -= 1
        display.advance(sizes[str(result.path)])
    for path in left.elements():
        terminal.problem(f"{path}: not sent: {assoc.ended}")
    return stored


def describe(status: int) -> str:
    """A status as text."""
    from pynetdicom.apps import query
    from pynetdicom.services.classes import StorageServiceClass

    return query.describe(status, StorageServiceClass.status_table)


def store(args: Namespace, terminal: Terminal) -> int:
    """Look through the files and send them."""
    from pynetdicom.upper_layer.contexts import no_context

    files = list(read_files(find_paths(args.path, args.recurse, terminal), terminal))
    window = (args.window, 1)
    total = len(files)
    stored = size = 0
    with terminal.progress(total, sum(file.size for file in files)) as display:
        for kinds, members in plan(files, contexts_for(args)):
            contexts = to_contexts(kinds)
            with association(args, contexts, terminal, refusable=True, window=window) as assoc:
                if assoc is None:
                    break
                if not assoc.accepted_contexts:  # of others it may accept some
                    for file in members:
                        terminal.problem(f"{file.path}: {no_context(*file.kind)}")
                    continue
                stored += send(assoc, members, terminal, display, args.associations)
                size += sum(file.size for file in members)
    if stored < total:
        terminal.warning(f"{total - stored} of {total} files were not stored")
    terminal.result(f"{stored} file{'' if stored == 1 else 's'} stored")
    return options.FAILED if terminal.problems else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run storescu; gives its exit code."""
    return options.run(make_parser(), store, argv)


if __name__ == "__main__":
    sys.exit(main())
