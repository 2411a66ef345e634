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
    from pynetdicom.handlers import Handlers
    from pynetdicom.upper_layer.pdu import A_ASSOCIATE_AC

LOGGER = logging.getLogger("pynetdicom.acse")


class Answers(NamedTuple):
    """What the acceptor says to the requestor's extended negotiation items."""

    is_verified: bool
    """Whether the user identity was accepted, or there was none and need not be."""
    items: list[Any]
    common_extended: dict[str, SOPClassCommonExtendedNegotiation]


class Asker:
    """Asks the handlers of an association about what its requestor proposes.

    Parameters
    ----------
    handlers : Handlers
    proposed : list
        The user information items of the A-ASSOCIATE-RQ.
    """

    def __init__(self, handlers: Handlers, proposed: list[Any]) -> None:
        self._handlers = handlers
        self._proposed = proposed

    def answers(self, peer: str, *, identity_required: bool) -> Answers:
        """Ask about everything; `peer` is what the log calls it."""
        verified, identity = self._identity(peer, identity_required)
        if not verified:
            return Answers(False, [], {})
        items = [*identity, *self._window(), *self._extended()]
        return Answers(True, items, self._common_extended())

    def _of_type(self, kind: type) -> list[Any]:
        return [item for item in self._proposed if isinstance(item, kind)]

    def _ask(self, event: evt.EventType, attrs: dict[str, Any]) -> Any:
        """The handler's answer; None when there is no handler, or when it raises."""
        try:
            return self._handlers.trigger(event, attrs)
        except (NoHandler, NotImplementedError):  # or a callback that is overridden only to refuse
            return None
        except (Exception, SystemExit) as error:
            self._raised(event, error)
            return None

    def _raised(self, event: evt.EventType, error: BaseException) -> None:
        handler = self._handlers.who_answers(event)
        raised.log(LOGGER, f"the handler of {event} raised", error, handler)

    def _note(self, event: evt.EventType, answer: Any, due: str) -> None:
        """Log what kind of thing a handler gave instead of what was due."""
        handler = raised.named(self._handlers.who_answers(event))
        kind = raised.kind(answer)
        LOGGER.error("the handler of %s (%s) gave %s instead of %s", event, handler, kind, due)

    def _window(self) -> list[Any]:
        """One operation at a time is what is offered, whatever the handler would like."""
        for item in self._of_type(AsynchronousOperationsWindowNegotiation)[:1]:
            attrs = {
                "nr_invoked": item.maximum_number_operations_invoked,
                "nr_performed": item.maximum_number_operations_performed,
            }
            if self._ask(evt.EVT_ASYNC_OPS, attrs) is not None:
                return [AsynchronousOperationsWindowNegotiation(1, 1)]
        return []

    def _by_class(
        self, event: evt.EventType, items: dict[str, Any], name: str, due: str
    ) -> dict[str, Any]:
        """The handler's answer on items by SOP Class; empty when it is none."""
        answer = self._ask(event, {name: items}) if items else None
        if answer is None or isinstance(answer, dict):
            return answer or {}
        self._note(event, answer, due)
        return {}

    def _extended(self) -> list[Any]:
        items = []
        app_info = {
            item.sop_class_uid: item.service_class_application_information
            for item in self._of_type(SOPClassExtendedNegotiation)
        }
        event = evt.EVT_SOP_EXTENDED
        answer = self._by_class(event, app_info, "app_info", "a dict or None")
        for uid, information in answer.items():
            if uid not in app_info:
                LOGGER.error(
                    "the handler of %s answers for %s, which was not proposed",
                    event,
                    named(str(uid)),
                )
                continue
            try:
                item = SOPClassExtendedNegotiation(uid, information)
                item.encode()
                items.append(item)
            except (TypeError, ValueError):
                self._note(event, information, f"bytes that fit, for {named(uid)}")
        return items

    def _common_extended(self) -> dict[str, Any]:
        items = {
            item.sop_class_uid: item for item in self._of_type(SOPClassCommonExtendedNegotiation)
        }
        answer = self._by_class(evt.EVT_SOP_COMMON, items, "items", "a dict")
        return {uid: item for uid, item in answer.items() if uid in items}

    def _identity(self, peer: str, required: bool) -> tuple[bool, list[Any]]:
        proposed = self._of_type(UserIdentityNegotiation)
        if not proposed:
            if required:
                LOGGER.warning("a user identity is required, and %s sends none: rejected", peer)
            return not required, []
        item = proposed[0]
        event = evt.EVT_USER_ID
        attrs = {
            "user_id_type": item.user_identity_type,
            "primary_field": item.primary_field,
            "secondary_field": item.secondary_field,
        }
        try:
            answer = self._handlers.trigger(event, attrs)
            if not (isinstance(answer, (tuple, list)) and len(answer) == 2):
                self._note(event, answer, "(bool, bytes or None)")
                return False, []
            verified, response = answer
            if not verified or not item.positive_response_requested:
                return bool(verified), []
            if not isinstance(response, (bytes, type(None))):
                self._note(event, response, "bytes or None as response")
                return False, []
            return True, [UserIdentityNegotiation(server_response=response or b"")]
        except (NoHandler, NotImplementedError):  # nobody checks identities here
            if required:
                LOGGER.error("a user identity is required, and there is no handler to check it")
            return not required, []
        except (Exception, SystemExit) as error:  # whoever cannot be checked is not let in
            self._raised(event, error)
            return False, []


def fits(ac: A_ASSOCIATE_AC) -> bool:
    """Whether the handlers' answers can be sent: the length fields have 16 bits."""
    try:
        ac.encode()
    except ValueError as error:
        LOGGER.error("the answers to the extended negotiation cannot be sent: %s", error)
        return False
    return True
