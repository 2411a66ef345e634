"""Extended negotiation as acceptor: the handlers' answers become items (PS3.7 D.3.3)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from pynetdicom import event_types as evt
from pynetdicom import raised
from pynetdicom.services.engines import NoHandler
from pynetdicom.uids import named
from pynetdicom.upper_layer.acse import item_of
from pynetdicom.upper_layer.items import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

if TYPE_CHECKING:
    from pynetdicom.association.link import Link
    from pynetdicom.upper_layer.pdu import A_ASSOCIATE_AC

LOGGER = logging.getLogger("pynetdicom.acse")


class Answers(NamedTuple):
    """What the acceptor says to the requestor's extended negotiation items."""

    items: list[Any]
    common_extended: dict[str, SOPClassCommonExtendedNegotiation]


def answers(link: Link, proposed: list[Any]) -> Answers | None:
    """Ask the handlers about the user information items of an A-ASSOCIATE-RQ.

    None where the user's identity is not accepted, or there is none and has to be.
    """
    identity = _identity(link, item_of(proposed, UserIdentityNegotiation))
    if identity is None:
        return None
    window = _window(link, item_of(proposed, AsynchronousOperationsWindowNegotiation))
    extended = _extended(link, _by_sop_class(proposed, SOPClassExtendedNegotiation))
    common = _common_extended(link, _by_sop_class(proposed, SOPClassCommonExtendedNegotiation))
    return Answers([*identity, *window, *extended], common)


def _by_sop_class(proposed: list[Any], kind: type[Any]) -> dict[str, Any]:
    return {item.sop_class_uid: item for item in proposed if isinstance(item, kind)}


def _ask(link: Link, event: evt.EventType, attrs: dict[str, Any]) -> Any:
    """The handler's answer; None when there is no handler, or when it raises."""
    try:
        return link.handlers.trigger(event, attrs)
    except (NoHandler, NotImplementedError):  # the latter of a callback that is there to refuse
        return None
    except (Exception, SystemExit) as error:
        _note_raised(link, event, error)
        return None


def _ask_for_dict(
    link: Link, event: evt.EventType, attrs: dict[str, Any], due: str
) -> dict[Any, Any]:
    """The handler's answer, as far as it is one."""
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


def _window(
    link: Link, item: AsynchronousOperationsWindowNegotiation | None
) -> list[AsynchronousOperationsWindowNegotiation]:
    """One operation at a time is what is offered, whatever the handler would like."""
    if item is None:
        return []
    attrs = {
        "nr_invoked": item.maximum_number_operations_invoked,
        "nr_performed": item.maximum_number_operations_performed,
    }
    answer = _ask(link, evt.EVT_ASYNC_OPS, attrs)
    return [] if answer is None else [AsynchronousOperationsWindowNegotiation(1, 1)]


def _extended(
    link: Link, proposed: dict[str, SOPClassExtendedNegotiation]
) -> list[SOPClassExtendedNegotiation]:
    if not proposed:
        return []
    event = evt.EVT_SOP_EXTENDED
    app_info = {uid: item.service_class_application_information for uid, item in proposed.items()}
    answer = _ask_for_dict(link, event, {"app_info": app_info}, "a dict or None")
    items = []
    for uid, information in answer.items():
        if uid not in proposed:
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


def _common_extended(
    link: Link, proposed: dict[str, SOPClassCommonExtendedNegotiation]
) -> dict[str, SOPClassCommonExtendedNegotiation]:
    if not proposed:
        return {}
    answer = _ask_for_dict(link, evt.EVT_SOP_COMMON, {"items": proposed}, "a dict")
    return {uid: item for uid, item in answer.items() if uid in proposed}


def fits(ac: A_ASSOCIATE_AC) -> bool:
    """Whether the handlers' answers can be sent: the length fields have 16 bits."""
    try:
        ac.encode()
    except ValueError as error:
        LOGGER.error("the answers to the extended negotiation cannot be sent: %s", error)
        return False
    return True


def _identity(
    link: Link, item: UserIdentityNegotiation | None
) -> list[UserIdentityNegotiation] | None:
    """The answer to a user's identity, if there is to be one; None where the user is rejected."""
    required = link.ae.require_user_identity
    unchecked: list[UserIdentityNegotiation] | None = None if required else []
    if item is None:
        if required:
            peer = link.peer_name
            LOGGER.warning("a user identity is required, and %s sends none: rejected", peer)
        return unchecked
    event = evt.EVT_USER_ID
    attrs = {
        "user_id_type": item.user_identity_type,
        "primary_field": item.primary_field,
        "secondary_field": item.secondary_field,
    }
    try:
        answer = link.handlers.trigger(event, attrs)
        if not (isinstance(answer, (tuple, list)) and len(answer) == 2):
            _note(link, event, answer, "(bool, bytes or None)")
            return None
        verified, response = answer
        if not verified:
            return None
        if not item.positive_response_requested:
            return []
        if not isinstance(response, (bytes, type(None))):
            _note(link, event, response, "bytes or None as response")
            return None
        return [UserIdentityNegotiation(server_response=response or b"")]
    except (NoHandler, NotImplementedError):
        # Nobody checks identities here.
        if required:
            LOGGER.error("a user identity is required, and there is no handler to check it")
        return unchecked
    except (Exception, SystemExit) as error:
        # Whoever cannot be checked is not let in.
        _note_raised(link, event, error)
        return None
