"""Extended negotiation as acceptor: the handlers' answers become items (PS3.7 D.3.3)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pynetdicom import event_types as evt
from pynetdicom import raised
from pynetdicom.services.engines import NoHandler
from pynetdicom.settings import window_of
from pynetdicom.uids import named
from pynetdicom.upper_layer.acse import item_of, within
from pynetdicom.upper_layer.items import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

if TYPE_CHECKING:
    from pynetdicom.association.link import Link
    from pynetdicom.upper_layer.pdu import A_ASSOCIATE_AC

LOGGER = logging.getLogger("pynetdicom.acse")


def answers(link: Link) -> list[Any] | None:
    """Ask the handlers about the requestor's extended negotiation items, and give the answers.

    None where its user's identity is not accepted, or it says none and has to. What is accepted of
    its common extended negotiation is not answered, but noted.
    """
    if not link.requestor.extended_negotiation and not link.ae.require_user_identity:
        return []
    identity = _identity(link)
    if identity is None:
        return None
    items = [*identity, *_window(link), *_extended(link)]
    link.acceptor.accepted_common_extended = _common_extended(link)
    return items


def _ask(link: Link, event: evt.EventType, attrs: dict[str, Any]) -> Any:
    """The handler's answer; None when there is no handler, or when it raises."""
    try:
        return link.handlers.trigger(event, attrs)
    except (NoHandler, NotImplementedError):  # the latter: overridden only to refuse
        return None
    except (Exception, SystemExit) as error:
        _note_raised(link, event, error)
        return None


def _dict_of(link: Link, event: evt.EventType, attrs: dict[str, Any], due: str) -> dict[Any, Any]:
    """The handler's answer, where that is one."""
    answer = _ask(link, event, attrs)
    if answer is not None and not isinstance(answer, dict):
        _note(link, event, answer, due)
        return {}
    return answer or {}


def _note_raised(link: Link, event: evt.EventType, error: BaseException) -> None:
    handler = link.handlers.who_answers(event)
    raised.log(LOGGER, f"the handler of {event} raised", error, handler)


def _note(link: Link, event: evt.EventType, answer: Any, due: str) -> None:
    """Log what kind of thing a handler gave instead of what was due."""
    handler = raised.named(link.handlers.who_answers(event))
    kind = raised.kind(answer)
    LOGGER.error("the handler of %s (%s) gave %s instead of %s", event, handler, kind, due)


def _window(link: Link) -> list[Any]:
    """What the handler would like, or the AE, within what is offered."""
    user = link.requestor
    if item_of(user.extended_negotiation, AsynchronousOperationsWindowNegotiation) is None:
        return []
    invoked, performed = user.asynchronous_operations
    attrs = {"nr_invoked": invoked, "nr_performed": performed}
    answer = _ask(link, evt.EVT_ASYNC_OPS, attrs)
    if answer is None:
        answer = link.ae.window[::-1]  # what the requestor invokes, this AE performs
        if answer == (1, 1):
            return []
    try:
        answer = window_of("", answer)
    except (TypeError, ValueError):
        _note(link, evt.EVT_ASYNC_OPS, answer, "(int, int) of 0 to 65535")
        return []
    values = map(within, (invoked, performed), answer)
    return [AsynchronousOperationsWindowNegotiation(*values)]


def _extended(link: Link) -> list[Any]:
    app_info = link.requestor.sop_class_extended
    if not app_info:
        return []
    event, items = evt.EVT_SOP_EXTENDED, []
    answer = _dict_of(link, event, {"app_info": app_info}, "a dict or None")
    for uid, information in answer.items():
        if uid not in app_info:
            what = named(str(uid))
            LOGGER.error("the handler of %s answers for %s, which was not proposed", event, what)
            continue
        try:
            item = SOPClassExtendedNegotiation(uid, information)
            item.encode()
            items.append(item)
        except (TypeError, ValueError):
            _note(link, event, information, f"bytes that fit, for {named(uid)}")
    return items


def _common_extended(link: Link) -> dict[str, Any]:
    items = link.requestor.sop_class_common_extended
    if not items:
        return {}
    answer = _dict_of(link, evt.EVT_SOP_COMMON, {"items": items}, "a dict")
    return {uid: item for uid, item in answer.items() if uid in items}


def fits(ac: A_ASSOCIATE_AC) -> bool:
    """Whether the handlers' answers can be sent: the length fields have 16 bits."""
    try:
        ac.encode()
    except ValueError as error:
        LOGGER.error("the answers to the extended negotiation cannot be sent: %s", error)
        return False
    return True


def _identity(link: Link) -> list[Any] | None:
    """What is answered to the user's identity; None if that is not accepted."""
    required = link.ae.require_user_identity
    unchecked: list[Any] | None = None if required else []
    item = link.requestor.user_identity
    if item is None:
        if required:
            peer = link.peer_name
            LOGGER.warning("a user identity is required, and %s sends none: rejected", peer)
        return unchecked
    attrs = {
        "user_id_type": item.user_identity_type,
        "primary_field": item.primary_field,
        "secondary_field": item.secondary_field,
    }
    try:
        answer = link.handlers.trigger(evt.EVT_USER_ID, attrs)
        if not (isinstance(answer, (tuple, list)) and len(answer) == 2):
            _note(link, evt.EVT_USER_ID, answer, "(bool, bytes or None)")
            return None
        verified, response = answer
        if not verified:
            return None
        if not item.positive_response_requested:
            return []
        if not isinstance(response, (bytes, type(None))):
            _note(link, evt.EVT_USER_ID, response, "bytes or None as response")
            return None
        return [UserIdentityNegotiation(server_response=response or b"")]
    except (NoHandler, NotImplementedError):
        # Nobody checks identities here.
        if required:
            LOGGER.error("a user identity is required, and there is no handler to check it")
        return unchecked
    except (Exception, SystemExit) as error:
        # Whoever cannot be checked is not let in.
        _note_raised(link, evt.EVT_USER_ID, error)
        return None
