"""getscu: have a peer send instances on the same association, by C-GET (PS3.4 C.4.3)."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pynetdicom.apps import options, security
from pynetdicom.apps.progress import Terminal
from pynetdicom.apps.query import (
    Cancellable,
    identifier,
    is_accepted,
    model_context,
    negotiation,
)
from pynetdicom.apps.requestor import association, make_ae
from pynetdicom.apps.retrieve import (
    STORED,
    Arrivals,
    account,
    add_options,
    compare,
    follow,
    has_unknown_failures,
    merged,
    report_stored,
    storing,
)
from pynetdicom.apps.storescp import storage_classes
from pynetdicom.presentation import OFTEN, TO_RECEIVE, compressed_syntaxes, spread
from pynetdicom.query_models import query_model_uid
from pynetdicom.uids import abstract_syntax_uid, named_all
from pynetdicom.utils import is_file_name

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.association import Association
    from pynetdicom.presentation import ToReceive

OPERATION = "C-GET"
MAXIMUM_CONTEXTS = 128
EVERYDAY = 18
"""So many of the usual storage classes are of everyday images."""
ONLY_THE_NAMED = "no classes were proposed but those named with --sop-class"
PERHAPS_NOT_PROPOSED = (
    "of a private class, or compressed in a rare way? --sop-class UID proposes a class in all"
    " transfer syntaxes"
)

NAMED = 3
"""So many SOP Classes are named in a hint."""


def sop_class(text: str, name: str = "--sop-class") -> str:
    """A SOP Class UID, or the keyword of one; `name` is how the user knows it."""
    try:
        uid = abstract_syntax_uid(text, name)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    if not is_file_name(uid) or "." not in uid:
        raise ArgumentTypeError(f"{text!r} is not a UID")
    return uid


CONTEXTS = (
    options.option(
        "--sop-class", type=sop_class, action="append", default=[], metavar="UID",
        help="what is retrieved is of this storage class, by UID or name such as CTImageStorage:"
        " propose no others, and these in all transfer syntaxes, one by one as far as they go"
        " (default: all of the standard, in up to five associations)",
    ),
)  # fmt: skip


def make_parser() -> options.Parser:
    """Make the command line."""
    parser = options.make_parser(
        "getscu",
        "Has a peer send what the keys say, with a C-GET request, and writes each object to a file"
        " named after its SOP Instance UID. The exit code is 0 only if all was sent and stored.",
        options.PEER,
    )
    network = (*options.titles("GETSCU"), *options.TIMEOUTS, *options.MAX_PDU_OPTION)
    parser.add_options("network", network)
    security.add_client(parser)
    add_options(parser)
    parser.add_options("presentation contexts", CONTEXTS)
    parser.add_options("output", STORED)
    return parser


def plan(named: Sequence[str]) -> Iterator[list[ToReceive]]:
    """Give the contexts for what is received, of each association.

    Another one is needed only if those before it were not enough, and has none of their contexts.
    """
    room = MAXIMUM_CONTEXTS - 1
    if named:
        yield list(spread(named, room))
        return
    kinds = list(all_kinds())
    for start in range(0, len(kinds), room):
        yield kinds[start : start + room]


def all_kinds() -> Iterator[ToReceive]:
    """Give contexts for all storage classes of the standard, the likely ones first."""
    from pydicom.uid import UID

    usual = list(storage_classes(usual=True))
    rare = [uid for uid in storage_classes(usual=False) if uid not in usual]
    for classes in (usual[:EVERYDAY], usual[EVERYDAY:], rare):
        images = [uid for uid in classes if "Image" in UID(uid).name]
        others = [uid for uid in classes if uid not in images]
        yield from ((uid, list(TO_RECEIVE)) for uid in others)
        yield from spread(images, len(images) * (1 + len(OFTEN)))
        yield from ((uid, compressed_syntaxes()) for uid in others)


def get(args: Namespace, terminal: Terminal) -> int:
    """Retrieve and store."""
    args.sop_class = list(dict.fromkeys(args.sop_class))
    if len(args.sop_class) >= MAXIMUM_CONTEXTS:
        terminal.problem(f"{len(args.sop_class)} SOP Classes are too many for one association")
        return options.WRONG_ARGUMENTS
    query = identifier(args, terminal)
    if query is None:
        return options.WRONG_ARGUMENTS
    with storing(args, terminal) as arrivals:
        interrupted = get_all(args, query, arrivals, terminal)
    if interrupted:
        raise KeyboardInterrupt
    return options.FAILED if terminal.problems else 0


def get_all(args: Namespace, query: Dataset, arrivals: Arrivals, terminal: Terminal) -> bool:
    """Retrieve in up to five associations; gives whether Ctrl-C has cancelled it."""
    final = None
    without_role: dict[str, bool] = {}
    for kinds in plan(args.sop_class):
        with receiving(args, kinds, arrivals, terminal) as assoc:
            if assoc is None or (
                final is None and not is_accepted(args, OPERATION, assoc, terminal)
            ):
                break
            if final is not None and not may_bring_more(args, assoc):
                continue
            without_role |= not_granted(assoc, kinds)
            left = args.cancel and max(args.cancel - arrivals.stored, 1)
            operation = Cancellable(assoc, assoc.send_c_get(query, args.model))
            one = follow(args, OPERATION, operation, left, terminal)
        final = one if final is None else merged(final, one)
        if final.is_cancelled or not has_unknown_failures(final, arrivals.refused):
            break
        arrivals.keep_apart()
    if final is None:
        return False
    sent = account(OPERATION, final, terminal, arrivals.refused)
    if has_unknown_failures(final, arrivals.refused):
        if without_role:
            terminal.warning(hint_of_roles(without_role))
        else:
            terminal.warning(ONLY_THE_NAMED if args.sop_class else PERHAPS_NOT_PROPOSED)
    look_at = "look at the peer's log, it may count what it could not send"
    compare(sent, arrivals.stored, look_at, terminal)
    report_stored(args, arrivals, terminal)
    return final.is_interrupted


@contextmanager
def receiving(
    args: Namespace, kinds: Sequence[ToReceive], arrivals: Arrivals, terminal: Terminal
) -> Iterator[Association | None]:
    """Make an association on which the peer may send; None, with the problem reported, if not."""
    from pynetdicom.events import EVT_C_STORE
    from pynetdicom.presentation import build_context, build_role

    contexts = [model_context(args, OPERATION)]
    contexts += [build_context(uid, syntaxes) for uid, syntaxes in kinds]
    items = [build_role(uid, scp_role=True) for uid in dict.fromkeys(uid for uid, _ in kinds)]
    items += negotiation(args, OPERATION)
    ae = make_ae(args)
    ae.spool_dir = arrivals.directory
    handlers = [(EVT_C_STORE, arrivals.handle)]
    with association(args, contexts, terminal, ae, ext_neg=items, evt_handlers=handlers) as assoc:
        yield assoc


def not_granted(assoc: Association, kinds: Sequence[ToReceive]) -> dict[str, bool]:
    """Which SOP Classes the peer has accepted without our being SCP; whether it has said so."""
    proposed = {uid for uid, _ in kinds}
    return {
        cx.abstract_uid: not cx.scp_unanswered
        for cx in assoc.accepted_contexts
        if cx.abstract_uid in proposed and not cx.as_scp
    }


def hint_of_roles(without_role: dict[str, bool]) -> str:
    """What may be the matter where we have not become SCP of all that was accepted."""
    refused = [uid for uid, is_said in without_role.items() if is_said]
    uids = refused or list(without_role)
    what = "refused us" if refused else "has not answered that we propose"
    more = f" and {len(uids) - NAMED} more" if len(uids) > NAMED else ""
    return (
        f"the peer {what} the SCP role (role selection), without which it may not send"
        f" {named_all(uids[:NAMED])}{more}"
    )


def may_bring_more(args: Namespace, assoc: Association) -> bool:
    """Whether the peer has accepted anything that it may send."""
    uid = query_model_uid(OPERATION, args.model)
    contexts = assoc.accepted_contexts
    return any(cx.abstract_uid == uid for cx in contexts) and any(
        cx.as_scp or cx.scp_unanswered for cx in contexts
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run getscu; gives its exit code."""
    return options.run(make_parser(), get, argv)


if __name__ == "__main__":
    sys.exit(main())
