"""The association of an app that is SCU: made, ended, and what came of it reported."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pynetdicom.apps import security
from pynetdicom.apps.options import apply_limits
from pynetdicom.apps.progress import Terminal
from pynetdicom.network.addresses import address_text

if TYPE_CHECKING:
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.association import Association
    from pynetdicom.upper_layer.contexts import PresentationContext


def peer_name(args: Namespace) -> str:
    """The peer as it was asked for."""
    return f"{args.called_aet} at {address_text((args.addr, args.port))}"


def make_ae(args: Namespace) -> ApplicationEntity:
    """Make the AE that the command line describes."""
    from pynetdicom.ae import ApplicationEntity

    ae = ApplicationEntity(ae_title=args.calling_aet)
    apply_limits(ae, args)
    return ae


@contextmanager
def association(
    args: Namespace,
    contexts: Sequence[PresentationContext],
    terminal: Terminal,
    ae: ApplicationEntity | None = None,
    *,
    refusable: bool = False,
    **others: Any,
) -> Iterator[Association | None]:
    """Make an association and end it; None, with the problem reported, if there is none.

    With `refusable` one of which nothing was accepted is given as it is, unreported. It is
    released, unless the body raises: then it is aborted. `others` are parameters of
    `ApplicationEntity.associate`.
    """
    from pynetdicom.errors import NothingAccepted

    ae = ae or make_ae(args)
    ours = security.of_client(args)
    ours["ext_neg"] = [*ours.get("ext_neg", ()), *(others.pop("ext_neg", None) or ())]
    assoc = ae.associate(
        args.addr,
        args.port,
        list(contexts),
        ae_title=args.called_aet,
        max_pdu=args.max_pdu,
        evt_handlers=[*others.pop("evt_handlers", ()), *args.capturing],
        **ours,
        **others,
    )
    ended = assoc.ended
    if refusable and ended is not None and isinstance(ended.error, NothingAccepted):
        yield assoc
        return
    if not assoc.is_established:
        terminal.problem(f"no association with {peer_name(args)}: {assoc.ended}")
        yield None
        return
    if getattr(args, "pos_response", False) and assoc.acceptor.user_identity is None:
        terminal.problem(f"{peer_name(args)} does not say that the user is accepted")
        assoc.abort()
        yield None
        return
    try:
        yield assoc
    except BaseException:
        assoc.abort()
        raise
    if assoc.is_established:
        assoc.release()
        if not assoc.is_released:
            terminal.problem(f"not released by {peer_name(args)}: {assoc.ended}")
