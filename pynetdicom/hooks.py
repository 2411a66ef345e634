"""What scripts assign or override: the callbacks of an AE, and the debug hooks of an association.

Callbacks are asked where no handler is bound to an intervention event, and told of notification
events beside their handlers; hooks are told too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pynetdicom import _config, raised
from pynetdicom import event_types as evt
from pynetdicom.errors import DataSetDecodeError

if TYPE_CHECKING:
    from pynetdicom.upper_layer.ended import Ended

LOGGER = logging.getLogger("pynetdicom.events")


class Callbacks:
    """The callbacks of an `ApplicationEntity`: assigned to the instance, or overridden methods.

    A bound event handler takes the place of the callback. ``context`` is a named tuple (context_id,
    abstract_syntax, transfer_syntax); ``info`` a dict on the association and the request, with AE
    titles as padded bytes.
    """

    def on_c_echo(self, context: Any, info: Any) -> Any:
        """A C-ECHO request: return its status."""
        return 0x0000

    def on_c_store(self, dataset: Any, context: Any, info: Any) -> Any:
        """A C-STORE request: return its status.

        With ``_config.DECODE_STORE_DATASETS = False`` the data set comes as the bytes received.
        """
        raise NotImplementedError

    def on_c_find(self, dataset: Any, context: Any, info: Any) -> Any:
        """A C-FIND request: yield (status, identifier) for each match.

        0xFF00 or 0xFF01 goes with a match: a pydicom `Dataset`, or one that is encoded already. Any
        other status is the last one; without one it is 0x0000, and so it is for None instead of a
        generator or a list. ``info["cancelled"](message_id)``
        says whether the peer has cancelled the request (PS3.4 C.4.1).
        """
        raise NotImplementedError

    def on_c_get(self, dataset: Any, context: Any, info: Any) -> Any:
        """A C-GET request: yield the number of sub-operations, then (0xFF00, dataset) for each.

        A data set is a pydicom `Dataset`, a path, or one that is encoded already; a path whose
        transfer syntax the peer takes is sent without being decoded. A yielded status other than
        0xFF00 is the last one; without one it follows from what the peer has answered
        (PS3.4 C.4.3).
        """
        raise NotImplementedError

    def on_c_move(self, dataset: Any, move_aet: Any, context: Any, info: Any) -> Any:
        """A C-MOVE request: yield (addr, port), then as for `on_c_get`.

        Instead of (addr, port) it may yield (addr, port, kwargs), with keyword arguments of
        `AE.associate` and the timeouts of the association with the destination; or (None, None),
        if the destination is not known. The presentation contexts that are proposed to it are
        ``contexts`` of the kwargs, or, if a list is returned, what is in it needs; otherwise what
        the first data set needs, and the storage contexts that the AE requests, or the usual ones
        (PS3.4 C.4.2).
        """
        raise NotImplementedError

    def on_n_action(self, dataset: Any, context: Any, info: Any) -> Any:
        """An N-ACTION, N-CREATE, N-EVENT-REPORT or N-SET request: return (status, dataset)."""
        raise NotImplementedError

    on_n_create = on_n_event_report = on_n_set = on_n_action

    def on_n_delete(self, context: Any, info: Any) -> Any:
        """An N-DELETE request: return its status."""
        raise NotImplementedError

    def on_n_get(self, attr: Any, context: Any, info: Any) -> Any:
        """An N-GET request for a list of tags: return (status, dataset)."""
        raise NotImplementedError

    def on_async_ops_window(self, nr_invoked: int, nr_performed: int) -> Any:
        """An asynchronous operations window is proposed: return (int, int) to have it answered."""
        raise NotImplementedError

    def on_sop_class_common_extended(self, items: Any) -> Any:
        """SOP class common extended negotiation: return the accepted ones of ``items``."""
        return {}

    def on_sop_class_extended(self, app_info: Any) -> Any:
        """SOP class extended negotiation: return a dict of SOP Class UID to bytes, or None."""
        return None

    def on_user_identity(
        self, user_id_type: int, primary_field: bytes, secondary_field: bytes, info: Any
    ) -> Any:
        """A user identity is given: return (whether it is accepted, response)."""
        raise NotImplementedError

    def on_association_requested(self, primitive: Any) -> Any:
        """An association is requested."""

    def on_association_accepted(self, primitive: Any) -> Any:
        """An association was accepted."""

    def on_association_rejected(self, primitive: Any) -> Any:
        """An association was rejected."""

    def on_association_released(self, primitive: Any = None) -> Any:
        """An association was released."""

    def on_association_aborted(self, primitive: Any = None) -> Any:
        """An association was aborted."""

    def on_receive_connection(self) -> Any:
        """Kept for scripts that have it; never called."""
        raise NotImplementedError

    on_make_connection = on_c_find_cancel = on_receive_connection
    on_c_get_cancel = on_c_move_cancel = on_receive_connection


class DebugHooks:
    """What scripts override in a subclass of `Association`, or assign to it or to one association.

    Called on both sides at the moments of the AE's ``on_association_…`` callbacks, after these and
    with the same primitives.
    """

    @staticmethod
    def debug_association_requested(primitive: Any) -> Any:
        """The association is requested; was accepted; was rejected."""

    debug_association_accepted = debug_association_rejected = debug_association_requested

    @staticmethod
    def debug_association_released(primitive: Any = None) -> Any:
        """The association was released; was aborted."""

    debug_association_aborted = debug_association_released


CALLBACK_OF: dict[evt.EventType, str] = {
    # event: the callback that is asked, or told
    evt.EVT_REQUESTED: "on_association_requested",
    evt.EVT_ACCEPTED: "on_association_accepted",
    evt.EVT_REJECTED: "on_association_rejected",
    evt.EVT_RELEASED: "on_association_released",
    evt.EVT_ABORTED: "on_association_aborted",
    **{event: event.name.replace("EVT_", "on_").lower() for event in evt.OPERATION_EVENTS.values()},
    evt.EVT_ASYNC_OPS: "on_async_ops_window",
    evt.EVT_SOP_COMMON: "on_sop_class_common_extended",
    evt.EVT_SOP_EXTENDED: "on_sop_class_extended",
    evt.EVT_USER_ID: "on_user_identity",
}


_HOOK_OF: dict[evt.EventType, str] = {
    event: name.replace("on_", "debug_", 1)
    for event, name in CALLBACK_OF.items()
    if event.is_notification
}
TOLD = frozenset(_HOOK_OF)
"""The notification events of which callbacks and debug hooks are told."""


def is_assigned(owner: Any, callback: str, defaults: type = Callbacks) -> bool:
    """Whether a callback was assigned to its owner, or overridden in its class."""
    if callback in vars(owner):
        return True
    return getattr(type(owner), callback, None) is not getattr(defaults, callback, None)


def assigned(ae: Any) -> list[str]:
    """The names of the callbacks of an AE that were assigned, or are overridden."""
    return [name for name in vars(Callbacks) if name.startswith("on_") and is_assigned(ae, name)]


def are_told(assoc: Any, event: evt.EventType) -> bool:
    """Whether a callback or a debug hook is told of an event in `TOLD`."""
    return is_assigned(assoc.ae, CALLBACK_OF[event]) or is_assigned(
        assoc, _HOOK_OF[event], DebugHooks
    )


def told_of(assoc: Any, event: evt.EventType) -> Iterator[tuple[str, Any]]:
    """Those that are told of a notification event, handlers apart: name and callable."""
    callback = CALLBACK_OF.get(event)
    if callback is None:
        return
    hook = _HOOK_OF[event]
    for owner, name, defaults in ((assoc.ae, callback, Callbacks), (assoc, hook, DebugHooks)):
        if is_assigned(owner, name, defaults):
            yield name, getattr(owner, name)


def tell(assoc: Any, event: evt.EventType, primitive: Any) -> None:
    """Call the callback and the debug hook for a notification event, if they are there."""
    for name, call in told_of(assoc, event):
        if primitive is None and assoc.ended is not None:
            primitive = primitive_of(assoc.ended)
        try:
            call(primitive)
        except (Exception, SystemExit) as error:
            raised.log(LOGGER, f"{name} raised", error, call)


def primitive_of(ended: Ended) -> Any:
    """The primitive of an association's end by release or abort."""
    from pynetdicom.upper_layer.primitives import A_ABORT, A_P_ABORT, A_RELEASE

    if ended.kind == "released":
        return A_RELEASE(result="affirmative")
    # What a peer has given as source and reason may be anything.
    if ended.source == 2 or ended.by == "network":
        return A_P_ABORT._received(provider_reason=ended.reason)
    return A_ABORT._received(abort_source=ended.source)


# The callbacks as default handlers

ARGUMENTS: dict[evt.EventType, str] = {
    # event: what its callback is called with, attributes of the event or what `_MADE` makes of it
    evt.EVT_C_ECHO: "context info",
    evt.EVT_C_STORE: "stored context info",
    evt.EVT_C_FIND: "identifier context info",
    evt.EVT_C_GET: "identifier context info",
    evt.EVT_C_MOVE: "identifier move_aet context info",
    evt.EVT_N_ACTION: "action_information context info",
    evt.EVT_N_CREATE: "attribute_list context info",
    evt.EVT_N_DELETE: "context info",
    evt.EVT_N_EVENT_REPORT: "event_information context info",
    evt.EVT_N_GET: "attribute_identifiers context info",
    evt.EVT_N_SET: "modification_list context info",
    evt.EVT_ASYNC_OPS: "nr_invoked nr_performed",
    evt.EVT_SOP_COMMON: "items",
    evt.EVT_SOP_EXTENDED: "app_info",
    evt.EVT_USER_ID: "user_id_type primary_field secondary_field user_info",
}


def _titled(title: str | None) -> bytes | None:
    """An AE title as that generation of callbacks sees it."""
    return None if title is None else title.encode("latin-1", "replace").ljust(16)


def _side(user: Any) -> dict[str, Any]:
    """One side of the association, as that generation of callbacks sees it."""
    return {**user.info, "ae_title": _titled(user.ae_title)}


def _info(event: Any) -> dict[str, Any]:
    """What callbacks are told about the association and the request."""
    assoc, rq = event.assoc, event.request
    parameters: dict[str, Any] = {"message_id": event.message_id}
    if "Priority" in rq.parameters:
        parameters["priority"] = rq.Priority
    if rq.name == "C-STORE":
        parameters["originator_aet"] = _titled(rq.MoveOriginatorApplicationEntityTitle)
        parameters["originator_message_id"] = rq.MoveOriginatorMessageID
        if assoc.is_requestor:  # its other name, where a C-GET is answered
            parameters["original_message_id"] = rq.MoveOriginatorMessageID
    if rq.name.startswith("N-"):
        side = "Requested" if "RequestedSOPClassUID" in rq.parameters else "Affected"
        parameters["requested_sop_class_uid"] = getattr(rq, f"{side}SOPClassUID")
        parameters["requested_sop_instance_uid"] = getattr(rq, f"{side}SOPInstanceUID")
        for name in ("action_type", "event_type"):
            if name in event.event.attributes:
                parameters[name] = getattr(event, name)
    info: dict[str, Any] = {
        "requestor": _side(assoc.requestor),
        "acceptor": _side(assoc.acceptor),
        "parameters": parameters,
        "sop_class_extended": assoc.acceptor.sop_class_extended,
        "sop_class_common_extended": assoc.acceptor.accepted_common_extended,
    }
    if "identifier" in event.event.attributes:
        info["cancelled"] = assoc._performer.is_cancelled
    return info


def _stored(event: Any) -> Any:
    if _config.DECODE_STORE_DATASETS:
        return event.dataset
    return event.encoded_dataset(include_meta=False)


_MADE: dict[str, Callable[[Any], Any]] = {
    "info": _info,
    "move_aet": lambda event: _titled(event.move_destination),
    "stored": _stored,
    "user_info": lambda event: {"requestor": _side(event.assoc.requestor)},
}


def ask(event: Any) -> Any:
    """The default handler of the intervention events: ask the AE."""
    # What is served has the engines loaded already.
    from pynetdicom.services.engines import NoHandler, Undecodable

    name = CALLBACK_OF[event.event]
    ae = event.assoc.ae
    if not is_assigned(ae, name):
        if event.event is evt.EVT_C_ECHO:
            return 0x0000
        raise NoHandler(f"no handler is bound to {event.event}, and {name} is not assigned")
    names = ARGUMENTS[event.event].split()
    try:
        args = [_MADE[name](event) if name in _MADE else getattr(event, name) for name in names]
    except DataSetDecodeError as error:
        raise Undecodable(str(error)) from error
    except Exception as error:  # its text may be about the patient
        raise Undecodable(type(error).__name__) from error
    return getattr(ae, name)(*args)


def get_default_handler(event: evt.EventType) -> Callable[[Any], Any]:
    """The handler of an intervention event while none is bound: ask the AE's callback."""
    if event not in ARGUMENTS:
        raise ValueError(f"{event} has no default handler")
    return ask
