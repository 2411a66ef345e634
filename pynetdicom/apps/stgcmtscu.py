"""stgcmtscu: ask a peer to commit itself to keep objects (PS3.4 Annex J).

The result comes on the association of the request, or, where this app listens, on one that the peer
makes.
"""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pynetdicom.apps import options, security
from pynetdicom.apps.getscu import sop_class
from pynetdicom.apps.progress import Terminal, one_line
from pynetdicom.apps.requestor import association, make_ae, peer_name
from pynetdicom.apps.storescu import INPUT, find_paths
from pynetdicom.network.addresses import address_text
from pynetdicom.utils import is_file_name

if TYPE_CHECKING:
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.workflows.commitment import Outcome, Reference, Result, Results

option = options.option

OBJECTS = (
    option(
        "object", nargs="+",
        help="what is to be kept: DICOM files, and directories of files; CLASS=UID, an object's SOP"
        " Class, such as CTImageStorage, and SOP Instance UID; files whose names end in .jsonl, of"
        " DICOM JSON, one object a line, as getscu prints it with --json; or - for such lines from"
        " standard input",
    ),
)  # fmt: skip
RESULT = (
    option(
        "--timeout", type=options.seconds, default=60.0, metavar="SECONDS",
        help="wait so long for the result (default: {default:g})",
    ),
    option(
        "--listen", type=options._port(0), metavar="PORT",
        help="listen for the result on this port too, which the peer has to know for my AE title;"
        " 0 takes a free one",
    ),
    options.BIND_ADDRESS,
    option(
        "--release", action="store_true",
        help="with --listen: release the association of the request before the result is there;"
        " some peers report only then",
    ),
    option(
        "--wait", metavar="UID",
        help="with --listen: ask for nothing, and wait for the result of the transaction of that"
        " UID, which was asked for before",
    ),
)  # fmt: skip
OUTPUT = (
    option(
        "--json", action="store_true",
        help="print the objects as JSON, one a line, and nothing else: SOP Class and Instance UID,"
        " what became of it, and the failure's reason or the AE that it can be retrieved from",
    ),
)  # fmt: skip

REASONS = {
    # Failure Reason (PS3.3 C.14.1.1)
    0x0110: "processing failure",
    0x0112: "no such object instance",
    0x0119: "class-instance conflict",
    0x0122: "referenced SOP Class not supported",
    0x0131: "duplicate transaction UID",
    0x0213: "resource limitation",
}


def make_parser() -> options.Parser:
    """Make the command line."""
    parser = options.make_parser(
        "stgcmtscu",
        "Asks a peer to commit itself to keep objects, and waits for what it says of each. The exit"
        " code is 0 only if it has committed itself to all of them.",
        (*options.PEER, *OBJECTS),
    )
    network = (*options.titles("STGCMTSCU"), *options.TIMEOUTS, *options.MAX_PDU_OPTION)
    parser.add_options("network", network)
    security.add_client(parser)
    parser.add_options("objects", INPUT)
    parser.add_options("result", RESULT)
    parser.add_options("output", OUTPUT)
    return parser


def wanted(args: Namespace, terminal: Terminal) -> list[Reference]:
    """Give the objects of the command line, each once; those that cannot be read are reported."""
    found: list[Reference] = []
    for given in args.object:
        if given == "-" or given.endswith(".jsonl"):
            found += of_lines(given)
        elif "=" in given and not os.path.exists(given):
            found.append(of_text(given))
        else:
            found += of_files(find_paths([given], args.recurse, terminal), terminal)
    # The same object may be in several files.
    return list({one.sop_instance: one for one in found}.values())


def of_text(text: str) -> Reference:
    """Give the object that CLASS=UID says."""
    from pynetdicom.workflows.commitment import Reference

    name, _, uid = text.partition("=")
    try:
        if not is_file_name(uid):
            raise ArgumentTypeError(f"{uid!r} is not a UID")
        return Reference(sop_class(name, "CLASS"), uid)
    except ArgumentTypeError as error:
        raise options.Failure(f"{text}: neither a file nor CLASS=UID: {error}") from None


def of_files(paths: Iterable[str], terminal: Terminal) -> Iterator[Reference]:
    """Give what is in files."""
    from pynetdicom.data_sets.part10 import read_header
    from pynetdicom.errors import FileProblem
    from pynetdicom.workflows.commitment import Reference

    for path in paths:
        try:
            with read_header(path) as header:
                yield Reference(header.sop_class_uid, header.sop_instance_uid)
        except FileProblem as problem:
            terminal.problem(f"{path}: {problem}")


def of_lines(path: str) -> Iterator[Reference]:
    """Give what is in lines of DICOM JSON; Failure if one is something else."""
    from pynetdicom.workflows.commitment import Reference

    try:
        with open(0 if path == "-" else path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                    uids = [row[tag]["Value"][0] for tag in ("00080016", "00080018")]
                except (ValueError, LookupError, TypeError):
                    why = "no SOP Class and Instance UID as DICOM JSON"
                    raise options.Failure(f"{path}, line {number}: {why}") from None
                yield Reference(*map(str, uids))
    except (OSError, UnicodeDecodeError) as error:
        raise options.Failure(f"{path}: {getattr(error, 'strerror', None) or error}") from None


@contextmanager
def listening(args: Namespace, ae: ApplicationEntity) -> Iterator[Results | None]:
    """Listen for results, if the command line says so."""
    from pynetdicom.sop_class import StorageCommitmentPushModel, Verification
    from pynetdicom.workflows.commitment import Results

    if args.listen is None:
        yield None
        return
    results = Results()
    ae.add_supported_context(Verification)
    ae.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    where = (args.bind_address, args.listen)
    try:
        tls = security.server_tls(args)
        handlers = [*results.handlers, *args.capturing]
        server = ae.start_server(where, block=False, evt_handlers=handlers, tls=tls)
    except OSError as error:
        why = error.strerror or error
        raise options.Failure(f"cannot listen on {address_text(where)}: {why}") from None
    assert server is not None
    try:
        if args.listen == 0 and not args.json:
            print(f"listening on {address_text(server.server_address)}", flush=True)
        yield results
    finally:
        ae.shutdown()


def ask(args: Namespace, terminal: Terminal) -> int:
    """Send the request, and show the result."""
    from pynetdicom.presentation import build_context
    from pynetdicom.sop_class import StorageCommitmentPushModel
    from pynetdicom.workflows.commitment import commit
    from pynetdicom.workflows.providing import Refused

    if args.listen is None and (args.release or args.wait):
        flag = "--release" if args.release else "--wait"
        terminal.problem(f"{flag} needs --listen: nothing would hear the result")
        return options.WRONG_ARGUMENTS
    objects = wanted(args, terminal)
    if not objects:
        terminal.problem("no objects: nothing is asked for")
        return options.FAILED
    ae = make_ae(args)
    contexts = [build_context(StorageCommitmentPushModel)]
    with listening(args, ae) as results:
        try:
            if args.wait:
                assert results is not None
                show(args, results.wait(args.wait, objects, args.timeout), terminal)
                return options.FAILED if terminal.problems else 0
            with association(args, contexts, terminal, ae) as assoc:
                if assoc is not None:
                    how = {"results": results, "release": args.release, "timeout": args.timeout}
                    show(args, commit(assoc, objects, **how), terminal)
        except (Refused, TimeoutError, ConnectionError) as error:
            terminal.problem(f"{peer_name(args)}: {error}")
    return options.FAILED if terminal.problems else 0


def show(args: Namespace, result: Result, terminal: Terminal) -> None:
    """Show what became of each object."""
    for outcome in result.outcomes():
        show_one(args, outcome, terminal)
    total = len(result.committed) + len(result.failed) + len(result.missing)
    if not result.is_complete:
        terminal.problem(f"{total - len(result.committed)} of {total} objects are not committed")
    elif not args.json:
        terminal.result(f"{total} object{'' if total == 1 else 's'} committed")


def show_one(args: Namespace, outcome: Outcome, terminal: Terminal) -> None:
    """Show what became of an object."""
    one, became, reason, where = outcome
    if args.json:
        more = {"reason": reason, "retrieve_ae_title": where}
        given = {key: value for key, value in more.items() if value is not None}
        print(json.dumps({**one._asdict(), "result": became, **given}), flush=True)
        return
    text = f"{one_line(one.sop_instance)}: {became}"
    if reason is not None:
        text += f", 0x{reason:04X}"
        text += f" ({REASONS[reason]})" if reason in REASONS else ""
    if where:
        text += f", to be had from {one_line(where)}"
    terminal.result(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run stgcmtscu; gives its exit code."""
    return options.run(make_parser(), ask, argv)


if __name__ == "__main__":
    sys.exit(main())
