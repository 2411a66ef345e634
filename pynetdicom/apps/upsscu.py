"""upsscu: schedule, perform and watch unified procedure steps (PS3.4 Annex CC).

One run is one request: a script pushes a step, another claims it, and later, by its UID and its
Transaction UID, completes it. Only ``watch`` goes on until it is stopped.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from pynetdicom.apps import odd_values, options, security
from pynetdicom.apps.acceptor import StopSignals
from pynetdicom.apps.keys import WrongKey, make_query
from pynetdicom.apps.progress import Terminal, one_line
from pynetdicom.apps.query import describe_response
from pynetdicom.apps.requestor import association, make_ae, peer_name
from pynetdicom.network.addresses import address_text

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.association import Association

LOGGER = logging.getLogger(__name__)

option = options.option

UPS = "1.2.840.10008.5.1.4.34.6"
PUSH, WATCH, PULL, EVENT, QUERY = (f"{UPS}.{number}" for number in range(1, 6))
TABLE = "UNIFIED_PROCEDURE_STEP_SERVICE_CLASS_STATUS"

EVENTS = {
    # Event Type ID → name (PS3.4 Table CC.2.4-1)
    1: "state report",
    2: "cancel requested",
    3: "progress report",
    4: "SCP status change",
    5: "assigned",
}


class Action(NamedTuple):
    """What can be done."""

    done: str
    """What is said when it was done."""
    contexts: tuple[str, ...]
    """The SOP Classes that are proposed for it; the first one that is accepted will do."""
    needs: tuple[str, ...] = ()
    """The options that it cannot do without."""


_OF_A_STEP = ("uid",)
_OF_MINE = ("uid", "transaction")

ACTIONS = {
    "push": Action("scheduled", (PUSH,)),
    "find": Action("found", (QUERY, PULL, WATCH)),
    "get": Action("found", (PULL, WATCH, PUSH), _OF_A_STEP),
    "claim": Action("in progress", (PULL,), _OF_A_STEP),
    "set": Action("changed", (PULL,), _OF_A_STEP),
    "complete": Action("completed", (PULL,), _OF_MINE),
    "cancel": Action("canceled", (PULL,), _OF_MINE),
    "request-cancel": Action("asked to be canceled", (WATCH, PUSH), _OF_A_STEP),
    "subscribe": Action("subscribed", (WATCH,)),
    "unsubscribe": Action("no longer subscribed", (WATCH,)),
    "suspend": Action("suspended", (WATCH,)),
    "watch": Action("watched", (WATCH,), ("listen",)),
}

ACTION = option("action", choices=ACTIONS, help=f"what to do: {', '.join(ACTIONS)}")
STEP = (
    option(
        "--uid", metavar="UID",
        help="the step's SOP Instance UID; a new one if it is pushed and neither this nor the"
        " attributes say it; all steps for subscribe, unsubscribe and watch without it",
    ),
    option(
        "--transaction", metavar="UID",
        help="the Transaction UID, which claim prints, or takes: by it the peer knows that the step"
        " is mine. set needs none for a step that nobody has claimed",
    ),
    option(
        "-k", "--keyword", action="append", default=[], metavar="KEY",
        help="add an attribute: KEYWORD=value, (gggg,eeee)=value or SEQUENCE[0].KEYWORD=value; for"
        " find, subscribe and watch, what steps have to match; for get, the keyword of one that is"
        " asked for (default: all)",
    ),
    option(
        "-f", "--file", metavar="FILE",
        help="take the attributes, or keys, from a file: DICOM JSON if its name ends in .json, or"
        " DICOM; those of -k replace them",
    ),
)  # fmt: skip
CANCELING = (
    option("--reason", metavar="TEXT", help="cancel, request-cancel: why"),
    option("--contact", metavar="NAME", help="request-cancel: who can be asked about it"),
    option("--contact-uri", metavar="URI", help="request-cancel: how they can be reached"),
)
WATCHING = (
    option(
        "--receiver", type=options.ae_title, metavar="TITLE",
        help="the AE that is told, or is told no more (default: my AE title)",
    ),
    option(
        "--lock", action="store_true",
        help="subscribe, watch: have the steps kept in their final states, until the subscription"
        " ends; only so all steps that there are already are subscribed to, too",
    ),
    option(
        "--listen", type=options._port(0), metavar="PORT",
        help="watch: listen for events on this port, which the peer has to know for my AE title; 0"
        " takes a free one",
    ),
    options.BIND_ADDRESS,
    option(
        "--keep", action="store_true",
        help="watch: leave the subscription at the peer when it is stopped; what happens meanwhile"
        " is told the next time",
    ),
)  # fmt: skip
OUTPUT = (
    option(
        "--json", action="store_true",
        help="print JSON, and nothing else: one line of what was done, the step's UID and the"
        " status; for get and find, the steps as DICOM JSON, one a line. watch always prints a line"
        " of JSON an event",
    ),
)  # fmt: skip


def make_parser() -> options.Parser:
    """Make the command line."""
    parser = options.make_parser(
        "upsscu",
        "Schedules unified procedure steps at a peer, looks for them, claims and performs them, and"
        " watches what becomes of them. The exit code is 0 only if the peer has done what it was"
        " asked for, with a warning or without.",
        (*options.PEER, ACTION),
    )
    network = (*options.titles("UPSSCU"), *options.TIMEOUTS, *options.MAX_PDU_OPTION)
    parser.add_options("network", network)
    security.add_client(parser)
    parser.add_options("step", STEP)
    parser.add_options("canceling", CANCELING)
    parser.add_options("watching", WATCHING)
    parser.add_options("output", OUTPUT)
    return parser


def attributes_of(args: Namespace) -> Dataset:
    """Give the attributes, or keys; completes the arguments by what these say.

    Raises
    ------
    WrongKey
        Why they cannot be made, or what is not there.
    """
    attributes = make_query(args.file, args.keyword)
    if args.action not in ("find", "get"):
        # A step that was kept says which one it is; that goes into the command set.
        attributes.pop("SOPClassUID", None)
        args.uid = args.uid or attributes.get("SOPInstanceUID")
        attributes.pop("SOPInstanceUID", None)
    for need in ACTIONS[args.action].needs:
        if getattr(args, need) is None:
            raise WrongKey(f"{args.action} needs --{need} (--help tells more)")
    if args.uid and args.action in ("subscribe", "watch") and attributes:
        raise WrongKey(f"{args.action}: keys are for several steps, not for --uid")
    if args.action == "push":
        from pynetdicom.workflows.ups_rules import now

        for keyword, value in (
            ("ScheduledProcedureStepStartDateTime", now()),
            ("ScheduledProcedureStepPriority", "MEDIUM"),
        ):
            if keyword not in attributes:
                setattr(attributes, keyword, value)
    return attributes


# The requests: each gives the status


def push(assoc: Association, args: Namespace, attributes: Dataset) -> Dataset:
    """Schedule a step."""
    from pynetdicom.workflows import ups

    args.uid = ups.push(assoc, attributes, args.uid)
    return _success()


def claim(assoc: Association, args: Namespace, attributes: Dataset) -> Dataset:
    """Make a step mine."""
    from pynetdicom.workflows import ups

    own = ups.claim(assoc, args.uid, args.transaction)
    args.transaction = own.transaction_uid
    if attributes:
        own.set(attributes)
    return own.status


def change(assoc: Association, args: Namespace, attributes: Dataset) -> Dataset:
    """Set attributes, or end a step that is mine."""
    from pynetdicom.workflows import ups

    if args.transaction is None:
        return ups.modify(assoc, args.uid, attributes)
    if args.action == "set":
        own = ups.Performance(assoc, args.uid, args.transaction)
        own.set(attributes)
    else:
        own = ups.resume(assoc, args.uid, args.transaction)
        if args.action == "complete":
            own.complete(attributes or None)
        else:
            own.cancel(args.reason, attributes=attributes or None)
    return own.status


def request_cancel(assoc: Association, args: Namespace, attributes: Dataset) -> Dataset:
    """Ask for a step not to be performed."""
    from pynetdicom.workflows import ups

    codes = attributes.get("ProcedureStepDiscontinuationReasonCodeSequence")
    return ups.request_cancel(
        assoc,
        args.uid,
        args.reason,
        code=codes[0] if codes else None,
        contact_uri=args.contact_uri,
        contact=args.contact,
    )


def subscription(assoc: Association, args: Namespace, attributes: Dataset) -> Dataset:
    """Begin or end a subscription."""
    from pynetdicom.workflows import ups

    receiver = args.receiver or args.calling_aet
    if args.action == "unsubscribe":
        return ups.unsubscribe(assoc, receiver, args.uid)
    if args.action == "suspend":
        return ups.suspend(assoc, receiver)
    return ups.subscribe(assoc, receiver, args.uid, lock=args.lock, keys=attributes or None)


REQUESTS: dict[str, Callable[[Association, Namespace, Dataset], Dataset]] = {
    "push": push,
    "claim": claim,
    "set": change,
    "complete": change,
    "cancel": change,
    "request-cancel": request_cancel,
    "subscribe": subscription,
    "unsubscribe": subscription,
    "suspend": subscription,
}


def _success() -> Dataset:
    from pydicom.dataset import Dataset

    status = Dataset()
    status.Status = 0x0000
    return status


def show(args: Namespace, status: Dataset, terminal: Terminal) -> None:
    """Show what was done."""
    code, comment = status.get("Status"), status.get("ErrorComment")
    if args.json:
        done = {"action": args.action, "uid": args.uid, "status": code, "comment": comment}
        if args.action == "claim":
            done["transaction"] = args.transaction
        print(json.dumps(done), flush=True)
    elif code is not None:
        what = f"{args.uid or 'all steps'}: {ACTIONS[args.action].done}"
        if args.action == "claim":
            what += f", --transaction {args.transaction}"
        terminal.result(f"{what}, {describe_response(status, TABLE)}")


def show_steps(assoc: Association, args: Namespace, attributes: Dataset) -> None:
    """Show the steps that are looked for, or the one that is asked for."""
    from pynetdicom.apps.matches import JsonLines, columns_of, make_output
    from pynetdicom.dsutils import pretty_dataset
    from pynetdicom.workflows import ups

    if args.action == "find":
        columns = columns_of(attributes, args.keyword)
        output, count = make_output(columns, "json" if args.json else None), 0
        for match in ups.find(assoc, attributes):
            output.show(match)
            count += 1
        output.close(count)
        return
    step = ups.get(assoc, args.uid, [element.keyword for element in attributes])
    if args.json:
        JsonLines().show(step)
        return
    odd_values.for_text(step)
    print(*map(one_line, pretty_dataset(step)), sep="\n", flush=True)


def ask(args: Namespace, terminal: Terminal) -> int:
    """Do what the command line says."""
    try:
        attributes = attributes_of(args)
    except WrongKey as problem:
        terminal.problem(str(problem))
        return options.WRONG_ARGUMENTS
    if args.action == "watch":
        watch(args, attributes, terminal)
    else:
        status = request(args, attributes, terminal)
        if status is not None:
            show(args, status, terminal)
    return options.FAILED if terminal.problems else 0


def request(args: Namespace, attributes: Dataset, terminal: Terminal) -> Dataset | None:
    """Make the association, and send the request; gives the status if there is one to show."""
    from pynetdicom.presentation import build_context
    from pynetdicom.workflows.providing import Refused

    contexts = [build_context(uid) for uid in ACTIONS[args.action].contexts]
    with association(args, contexts, terminal) as assoc:
        if assoc is None:
            return None
        try:
            if args.action in REQUESTS:
                return REQUESTS[args.action](assoc, args, attributes)
            show_steps(assoc, args, attributes)
        except Refused as refused:
            described = describe_response(refused.status, TABLE)
            terminal.problem(f"{args.action}: {peer_name(args)}: {described}")
            return refused.status if args.json else None
        except ValueError as problem:  # what the peer would refuse, and was not sent
            terminal.problem(str(problem))
    return None


# Watching


def tell(uid: str, event_type: int, information: Dataset) -> None:
    """Print an event; on the thread of the association on which it comes."""
    odd_values.for_json(information)
    event = {"uid": uid, "event": event_type, "name": EVENTS.get(event_type)}
    line = json.dumps({**event, "information": information.to_json_dict()})
    try:
        # In one write, for there may be several associations; and before the event is answered.
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads it any more
        options.drop_output()
        signal.raise_signal(signal.SIGTERM)
        raise


@contextmanager
def listening(args: Namespace, ae: ApplicationEntity) -> Iterator[None]:
    """Take events that the peer reports."""
    from pynetdicom.sop_class import UnifiedProcedureStepEvent, Verification
    from pynetdicom.workflows import ups

    ae.add_supported_context(Verification)
    ae.add_supported_context(UnifiedProcedureStepEvent, scu_role=False, scp_role=True)
    where = (args.bind_address, args.listen)
    try:
        tls = security.server_tls(args)
        handlers = [*ups.listening(tell), *args.capturing]
        server = ae.start_server(where, block=False, evt_handlers=handlers, tls=tls)
    except OSError as error:
        why = error.strerror or error
        raise options.Failure(f"cannot listen on {address_text(where)}: {why}") from None
    assert server is not None
    try:
        line = f"listening on {address_text(server.server_address)}"
        if args.listen == 0 and not args.json:
            print(line, flush=True)
        else:
            LOGGER.info(line)
        yield
    finally:
        ae.shutdown()


def watch(args: Namespace, keys: Dataset, terminal: Terminal) -> None:
    """Subscribe, and print events until a signal says stop."""
    with StopSignals() as stop, listening(args, make_ae(args)):
        request(Namespace(**{**vars(args), "action": "subscribe"}), keys, terminal)
        if terminal.problems:
            return
        LOGGER.info("subscribed")
        stop.wait()
        if not args.keep:
            request(Namespace(**{**vars(args), "action": "unsubscribe"}), keys, terminal)


def main(argv: Sequence[str] | None = None) -> int:
    """Run upsscu; gives its exit code."""
    return options.run(make_parser(), ask, argv)


if __name__ == "__main__":
    sys.exit(main())
