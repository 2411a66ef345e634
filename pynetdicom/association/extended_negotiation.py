"""Extended negotiation as acceptor: the handlers' answers become items (PS3.7 D.3.3)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from pynetdicom import event_types as evt
from pynetdicom import raised
from pynetdicom.services.engines import NoHandler
from pynetdicom.uids import named
from pynetdicom.upper_layer.items import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

if TYPE_CHECKING:
    from pynetdicom.association.state import AssociationState
    from pynetdicom.upper_layer.pdu import A_ASSOCIATE_AC

LOGGER = logging.getLogger("pynetdicom.acse")


class Answers(NamedTuple):
    """What the acceptor says to the requestor's extended negotiation items."""

    is_verified: bool
    """Whether the user identity was accepted, or there was none and need not be."""
    items: list[Any]
    common_extended: dict[str, SOPClassCommonExtendedNegotiation]


def answers(assoc: AssociationState, proposed: list[Any]) -> Answers:
    """Ask the handlers about the user information items of an A-ASSOCIATE-RQ."""
    verified, identity = _identity(assoc, _of_type(proposed, UserIdentityNegotiation))
    if not verified:
        return Answers(False, [], {})
    items = [
        *identity,
        *_window(assoc, _of_type(proposed, AsynchronousOperationsWindowNegotiation)),
        *_extended(assoc, _of_type(proposed, SOPClassExtendedNegotiation)),
    ]
    common = _common_extended(assoc, _of_type(proposed, SOPClassCommonExtendedNegotiation))
    return Answers(True, items, common)


def _of_type(items: list[Any], kind: type) -> list[Any]:
    return [item for item in items if isinstance(item, kind)]


def _ask(assoc: AssociationState, event: evt.EventType, attrs: dict[str, Any]) -> Any:
    """The handler's answer; None when there is no handler, or when it raises."""
    try:
        return assoc._handlers.trigger(event, attrs)
    except NoHandler:
        return None
    except NotImplementedError:  # a callback that is overridden only to refuse
        return None
    except (Exception, SystemExit) as error:
        raised.log(
            LOGGER, f"the handler of {event} raised", error, assoc._handlers.who_answers(event)
        )
        return None


def _note(assoc: AssociationState, event: evt.EventType, answer: Any, due: str) -> None:
    """Log what kind of thing a handler gave instead of what was due."""
    handler = raised.named(assoc._handlers.who_answers(event))
    kind = raised.kind(answer)
    LOGGER.error("the handler of %s (%s) gave %s instead of %s", event, handler, kind, due)


def _window(assoc: AssociationState, proposed: list[Any]) -> list[Any]:
    """One operation at a time is what is offered, whatever the handler would like."""
    if not proposed:
        return []
    invoked, performed = (
        proposed[0].maximum_number_operations_invoked,
        proposed[0].maximum_number_operations_performed,
    )
    attrs = {"nr_invoked": invoked, "nr_performed": performed}
    if _ask(assoc, evt.EVT_ASYNC_OPS, attrs) is None:
        return []
    return [
        AsynchronousOperationsWindowNegotiation(
            maximum_number_operations_invoked=1, maximum_number_operations_performed=1
        )
    ]


def _extended(assoc: AssociationState, proposed: list[Any]) -> list[Any]:
    if not proposed:
        return []
    app_info = {item.sop_class_uid: item.service_class_application_information for item in proposed}
    answer = _ask(assoc, evt.EVT_SOP_EXTENDED, {"app_info": app_info})
    items = []
    if answer is not None and not isinstance(answer, dict):
        _note(assoc, evt.EVT_SOP_EXTENDED, answer, "a dict or None")
        return []
    for uid, information in (answer or {}).items():
        if uid not in app_info:
            LOGGER.error(
                "the handler of EVT_SOP_EXTENDED answers for %s, which was not proposed",
                named(str(uid)),
            )
            continue
        try:
            item = SOPClassExtendedNegotiation(
                sop_class_uid=uid, service_class_application_information=information
            )
            item.encode()
            items.append(item)
        except (TypeError, ValueError):
            _note(assoc, evt.EVT_SOP_EXTENDED, information, f"bytes that fit, for {named(uid)}")
    return items


def _common_extended(assoc: AssociationState, proposed: list[Any]) -> dict[str, Any]:
    if not proposed:
        return {}
    items = {item.sop_class_uid: item for item in proposed}
    answer = _ask(assoc, evt.EVT_SOP_COMMON, {"items": items})
    if answer is None:
        return {}
    if not isinstance(answer, dict):
        _note(assoc, evt.EVT_SOP_COMMON, answer, "a dict")
        return {}
    return {uid: item for uid, item in answer.items() if uid in items}


def fits(ac: A_ASSOCIATE_AC) -> bool:
    """Whether the handlers' answers can be sent: the length fields have 16 bits."""
    try:
        ac.encode()
    except ValueError as error:
        LOGGER.error("the answers to the extended negotiation cannot be sent: %s", error)
        return False
    return True


def _identity(assoc: AssociationState, proposed: list[Any]) -> tuple[bool, list[Any]]:
    required = assoc.ae.require_user_identity
    if not proposed:
        if required:
            peer = assoc._reporter.peer_name
            LOGGER.warning("a user identity is required, and %s sends none: rejected", peer)
        return not required, []
    item = proposed[0]
    attrs = {
        "user_id_type": item.user_identity_type,
        "primary_field": item.primary_field,
        "secondary_field": item.secondary_field,
    }
    try:
        answer = assoc._handlers.trigger(evt.EVT_USER_ID, attrs)
        if not (isinstance(answer, (tuple, list)) and len(answer) == 2):
            _note(assoc, evt.EVT_USER_ID, answer, "(bool, bytes or None)")
            return False, []
        verified, response = answer
        if not verified:
            return False, []
        if not item.positive_response_requested:
            return True, []
        if not isinstance(response, (bytes, type(None))):
            _note(assoc, evt.EVT_USER_ID, response, "bytes or None as response")
            return False, []
        return True, [UserIdentityNegotiation(server_response=response or b"")]
    except (NoHandler, NotImplementedError):
        # Nobody checks identities here.
        if required:
            LOGGER.error("a user identity is required, and there is no handler to check it")
        return not required, []
    except (Exception, SystemExit) as error:
        # Whoever cannot be checked is not let in.
        handler = assoc._handlers.who_answers(evt.EVT_USER_ID)
        raised.log(LOGGER, "the handler of EVT_USER_ID raised", error, handler)
        return False, []
