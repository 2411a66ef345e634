"""Serving a request of the peer: what is checked before a handler is asked."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from pynetdicom import _config, debug_log
from pynetdicom import event_types as evt
from pynetdicom.dimse.primitives import C_ECHO
from pynetdicom.event_types import OPERATION_EVENTS, EventType
from pynetdicom.handlers import HandlerItems
from pynetdicom.hooks import is_assigned
from pynetdicom.network.deadlines import after
from pynetdicom.services import engines, levels, matching, registry, replying, retrieval
from pynetdicom.services.classes import (
    ANSWERS,
    DUPLICATE_INVOCATION,
    IDENTIFIER_MISMATCH,
    MISTYPED_ARGUMENT,
    NO_SUCH_SOP_CLASS,
    NO_SUCH_TYPE,
    NOT_AUTHORIZED,
    RESOURCE_LIMITATION,
    SEVERAL,
    SINGLE,
    SOP_CLASS_NOT_SUPPORTED,
    UNRECOGNIZED_OPERATION,
    WITH_REPLY,
    ServiceClass,
)
from pynetdicom.uids import named

if TYPE_CHECKING:
    from pynetdicom.association.performing import Performer
    from pynetdicom.dimse.messages import Message
    from pynetdicom.dimse.primitives import Primitive
    from pynetdicom.upper_layer.contexts import PresentationContext

LOGGER = logging.getLogger("pynetdicom.service")

_TOLD_OF_ECHO = frozenset((evt.EVT_C_ECHO, evt.EVT_DIMSE_RECV, evt.EVT_DIMSE_SENT))


def may_be_storage(uid: str) -> bool:
    """Whether an abstract syntax can be taken as storage: no other service has it."""
    return registry.is_storage(uid) or registry.service_class_of(uid) is ServiceClass


def answer(performer: Performer, message: Message) -> Primitive | None:
    """Serve a request.

    Returns
    -------
    Primitive or None
        The response; None when an engine has sent everything itself.
    """
    request = message.primitive
    context = performer.link.negotiated.contexts[message.context_id]
    refusal = _refusal(performer, message)
    if refusal is not None:
        status, why = refusal
        access = performer.link.access
        by_rule = status == NOT_AUTHORIZED and access is not None
        LOGGER.warning(
            "%s %s for %s refused: %s%s",
            request.message_name,
            getattr(request, "MessageID", None),
            named(context.abstract_uid),
            why,
            _by_rule(performer) if by_rule else "",
        )
        response = request.response(status)
        if "ErrorComment" in response.parameters:
            response.ErrorComment = why[:64]
        if status == IDENTIFIER_MISMATCH:
            response.OffendingElement = [levels.QUERY_RETRIEVE_LEVEL]
        return response
    if (
        request.CommandField == C_ECHO.request_field
        and _TOLD_OF_ECHO.isdisjoint(performer.link.handlers)
        and not is_assigned(performer.link.ae, "on_c_echo")
    ):
        return request.response(0x0000)  # no handler learns of it
    attrs = {"request": request, "_context": context}
    event = OPERATION_EVENTS[request.name]
    handlers = performer.link.handlers
    bound = partial(handlers.who_answers, event)
    if request.name in SINGLE:
        return engines.single(request, handlers.asking(event, attrs), bound)
    if request.name in WITH_REPLY:
        read: list[Any] = []
        attrs["_decoded"] = read
        asking = handlers.asking(event, attrs)
        return replying.reply(request, asking, context.transfer_uids[0], bound, read)
    return _answer_in_parts(performer, message, event, attrs)


def _by_rule(performer: Performer) -> str:
    """What the log says of a refusal by an access rule."""
    access = performer.link.access
    rule = "" if access is None else access.rule
    return f" (access rule {rule}, for {performer.link.peer_name})"


def _answer_in_parts(
    performer: Performer, message: Message, event: EventType, attrs: dict[str, Any]
) -> Primitive:
    """Serve a C-FIND, C-GET or C-MOVE: send its pending responses, give the final one."""
    request = message.primitive
    context_id = message.context_id
    debug_log.log_identifier(LOGGER, request, _config.LOG_REQUEST_IDENTIFIERS)

    def handler() -> Any:
        given = performer.link.handlers.trigger(event, attrs)
        return (
            HandlerItems(performer.link.handlers, event, given)
            if hasattr(given, "__next__")
            else given
        )

    send = partial(performer.messenger.send, context_id=context_id)

    def show_and_send(response: Primitive) -> None:
        debug_log.log_identifier(LOGGER, response, _config.LOG_RESPONSE_IDENTIFIERS)
        send(response)

    invocation = engines.Invocation(
        message,
        handler,
        show_and_send if request.name == "C-FIND" and LOGGER.isEnabledFor(logging.DEBUG) else send,
        performer.link.negotiated.contexts[context_id].transfer_uids[0],
        partial(performer.link.handlers.who_answers, event),
        _limited(performer, message) if request.name == "C-FIND" else None,
        performer.link.runtime.aside,
    )
    if request.name == "C-FIND":
        return matching.matches(invocation)
    # Which stand on the association, and so on this module.
    from pynetdicom.association import destinations, sub_operations

    if request.name == "C-GET":
        return retrieval.retrieve(
            invocation,
            lambda ask, ahead: sub_operations.SameAssociation(
                performer.invoker, sub_operations.originator(request)
            ),
        )
    return retrieval.retrieve(
        invocation, lambda ask, ahead: destinations.begin_move(performer.link, request, ask, ahead)
    )


def _limited(performer: Performer, message: Message) -> Callable[[int], str] | None:
    """What says, of so many matches, why no more is to follow; None where all may."""
    access = performer.link.access
    if access is None:
        return None
    seconds, most = access.limits.query_seconds, access.limits.matches
    if seconds is None and most is None:
        return None
    message.deadline = after(seconds)

    def why_no_more(sent: int) -> str:
        why = f"more than {most} matches" if most is not None and sent >= most else ""
        if message.deadline is not None and time.monotonic() >= message.deadline:
            why = f"it takes more than {seconds:g} s"
        if why:
            name = message.primitive.message_name
            LOGGER.warning("%s ended: %s%s", name, why, _by_rule(performer))
        return why

    return why_no_more


def _role_refusal(
    performer: Performer, request: Primitive, context: PresentationContext
) -> str | None:
    """Why a request is none that the peer may make in its role; None if it is taken.

    Tolerated: an acceptor that ignores role selection, and sends all the same what our C-GET asks
    for; and an SCP that opens an association to report an event, without proposing that it is SCP.
    """
    if request.name == "N-EVENT-REPORT":  # which SCUs perform
        has_role, role, peers = context.as_scu, "SCU", "proposed"
        is_tolerated = performer.link.peer.is_requestor
    else:
        has_role, role, peers = context.as_scp, "SCP", "answered"
        is_tolerated = (
            request.name == "C-STORE"
            and context.scp_unanswered
            and performer.invoker.has_asked_for_objects
        )
    if has_role is not False:
        return None
    if not is_tolerated or _config.STRICT_ROLES:
        if is_tolerated or context.scp_unanswered:
            return f"the peer has not {peers} the role selection"
        return f"no {role} for this SOP Class was negotiated"
    if not performer.told_of_roles:
        performer.told_of_roles = True
        LOGGER.warning(
            "the peer has not %s the role selection for %s: what it sends is taken",
            peers,
            named(context.abstract_uid),
        )
    return None


def _n_refusal(request: Primitive, uid: str) -> tuple[int, str] | None:
    """Why the SOP Class of a context has no such N-request, as status and text; None if it has."""
    if (members := registry.members(uid)) is not None:
        # PS3.4 H.3: what the message is about has its own operations.
        uid = request.RequestedSOPClassUID or request.AffectedSOPClassUID or ""
        if uid not in members:
            return NO_SUCH_SOP_CLASS, "not of the Meta SOP Class of the context"
        if request.name not in registry.operations(uid):
            return UNRECOGNIZED_OPERATION, "not an operation of this SOP Class"
    if request.name in NO_SUCH_TYPE:
        keyword, status = NO_SUCH_TYPE[request.name]
        types = registry.types(uid, request.name)
        if types is not None and getattr(request, keyword) not in types:
            return status, f"this SOP Class has no {keyword} {getattr(request, keyword)}"
    return None


def _refusal(performer: Performer, message: Message) -> tuple[int, str] | None:
    """Why a request is refused before anybody is asked, as status and text; None if it is not."""
    request = message.primitive
    context = performer.link.negotiated.contexts[message.context_id]
    if message.is_beyond:
        return RESOURCE_LIMITATION, "more operations than the window has room for"
    if message.is_duplicate:
        return DUPLICATE_INVOCATION, "the Message ID is that of an outstanding request"
    allowed = registry.operations(context.abstract_uid)
    if not allowed and may_be_storage(context.abstract_uid):
        allowed = ("C-STORE",)
    if request.name not in allowed:
        return UNRECOGNIZED_OPERATION, "not an operation of this SOP Class"
    if missing := request.missing():
        return MISTYPED_ARGUMENT, f"missing: {', '.join(missing)}"
    if not_in_role := _role_refusal(performer, request, context):
        return SOP_CLASS_NOT_SUPPORTED, not_in_role
    access = performer.link.access
    if access is not None:
        destination = request.__dict__.get("MoveDestination")
        if why := access.refusal(context.abstract_uid, request.name, destination):
            return NOT_AUTHORIZED, why
    if request.name in WITH_REPLY and (problem := _n_refusal(request, context.abstract_uid)):
        return problem
    data_set = request.data_set
    error = getattr(data_set, "error", None)
    if error is not None:
        return ANSWERS[request.name].no_resources, f"the data set cannot be kept: {error.strerror}"
    if request.name in SEVERAL and (why := levels.problem_of_level(context.abstract_uid, data_set)):
        return IDENTIFIER_MISMATCH, why
    return None
