"""The callbacks of `ApplicationEntity`: default handlers of the events, from one table."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pynetdicom import _config, raised
from pynetdicom import events as evt
from pynetdicom.errors import DataSetDecodeError

if TYPE_CHECKING:
    from pynetdicom.association.service_user import ServiceUser
    from pynetdicom.association.state import AssociationState
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

    def on_c_find_cancel(self) -> Any:
        """Kept for scripts that have it; never called."""
        raise NotImplementedError

    def on_c_get_cancel(self) -> Any:
        """Kept for scripts that have it; never called."""
        raise NotImplementedError

    def on_c_move_cancel(self) -> Any:
        """Kept for scripts that have it; never called."""
        raise NotImplementedError

    def on_n_action(self, dataset: Any, context: Any, info: Any) -> Any:
        """An N-ACTION request: return (status, dataset)."""
        raise NotImplementedError

    def on_n_create(self, dataset: Any, context: Any, info: Any) -> Any:
        """An N-CREATE request: return (status, dataset)."""
        raise NotImplementedError

    def on_n_delete(self, context: Any, info: Any) -> Any:
        """An N-DELETE request: return its status."""
        raise NotImplementedError

    def on_n_event_report(self, dataset: Any, context: Any, info: Any) -> Any:
        """An N-EVENT-REPORT request: return (status, dataset)."""
        raise NotImplementedError

    def on_n_get(self, attr: Any, context: Any, info: Any) -> Any:
        """An N-GET request for a list of tags: return (status, dataset)."""
        raise NotImplementedError

    def on_n_set(self, dataset: Any, context: Any, info: Any) -> Any:
        """An N-SET request: return (status, dataset)."""
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

    def on_make_connection(self) -> Any:
        """Kept for scripts that have it; never called."""
        raise NotImplementedError


class DebugHooks:
    """What scripts override in a subclass of `Association`, or assign to it or to one association.

    Called on both sides at the moments of the AE's ``on_association_…`` callbacks, after these and
    with the same primitives.
    """

    @staticmethod
    def debug_association_requested(primitive: Any) -> Any:
        """The association is requested."""

    @staticmethod
    def debug_association_accepted(primitive: Any) -> Any:
        """The association was accepted."""

    @staticmethod
    def debug_association_rejected(primitive: Any) -> Any:
        """The association was rejected."""

    @staticmethod
    def debug_association_released(primitive: Any = None) -> Any:
        """The association was released."""

    @staticmethod
    def debug_association_aborted(primitive: Any = None) -> Any:
        """The association was aborted."""


CALLBACK_OF: dict[evt.EventType, str] = {
    # notification event: the callback that is told
    evt.EVT_REQUESTED: "on_association_requested",
    evt.EVT_ACCEPTED: "on_association_accepted",
    evt.EVT_REJECTED: "on_association_rejected",
    evt.EVT_RELEASED: "on_association_released",
    evt.EVT_ABORTED: "on_association_aborted",
}

Adapter = Callable[[evt.Event], tuple[Any, ...]]


def _titled(title: str | None) -> bytes | None:
    """An AE title as that generation of callbacks sees it."""
    return None if title is None else title.encode("latin-1", "replace").ljust(16)


def _side(user: ServiceUser) -> dict[str, Any]:
    """One side of the association, as that generation of callbacks sees it."""
    return {**user.info, "ae_title": _titled(user.ae_title)}


def _info(event: evt.Event, **parameters: Any) -> dict[str, Any]:
    """What callbacks are told about the association and the request."""
    assoc = event.assoc
    return {
        "requestor": _side(assoc.requestor),
        "acceptor": _side(assoc.acceptor),
        "parameters": {"message_id": event.message_id, **parameters},
        "sop_class_extended": assoc.acceptor.sop_class_extended,
        "sop_class_common_extended": assoc.acceptor.accepted_common_extended,
    }


def _on_echo(event: evt.Event) -> tuple[Any, ...]:
    return (event.context, _info(event))


def _on_store(event: evt.Event) -> tuple[Any, ...]:
    rq = event.request
    info = _info(
        event,
        priority=rq.Priority,
        originator_aet=_titled(rq.MoveOriginatorApplicationEntityTitle),
        originator_message_id=rq.MoveOriginatorMessageID,
    )
    if event.assoc.is_requestor:  # its other name, where a C-GET is answered
        info["parameters"]["original_message_id"] = rq.MoveOriginatorMessageID
    if not _config.DECODE_STORE_DATASETS:
        return (event.encoded_dataset(include_meta=False), event.context, info)
    return (event.dataset, event.context, info)


def _on_identified(event: evt.Event) -> tuple[Any, ...]:
    info = _info(event, priority=event.request.Priority)
    info["cancelled"] = event.assoc._performer.is_cancelled
    return (event.identifier, event.context, info)


def _on_move(event: evt.Event) -> tuple[Any, ...]:
    identifier, context, info = _on_identified(event)
    return (identifier, _titled(event.move_destination), context, info)


def _n_info(event: evt.Event) -> dict[str, Any]:
    rq = event.request
    side = "Requested" if "RequestedSOPClassUID" in rq.parameters else "Affected"
    return _info(
        event,
        requested_sop_class_uid=getattr(rq, f"{side}SOPClassUID"),
        requested_sop_instance_uid=getattr(rq, f"{side}SOPInstanceUID"),
    )


def _with_data_set(attribute: str) -> Adapter:
    return lambda event: (getattr(event, attribute), event.context, _n_info(event))


CALLBACKS: dict[evt.EventType, tuple[str, Adapter]] = {
    # event: callback, and what it is called with
    evt.EVT_C_ECHO: ("on_c_echo", _on_echo),
    evt.EVT_C_STORE: ("on_c_store", _on_store),
    evt.EVT_C_FIND: ("on_c_find", _on_identified),
    evt.EVT_C_GET: ("on_c_get", _on_identified),
    evt.EVT_C_MOVE: ("on_c_move", _on_move),
    evt.EVT_N_ACTION: ("on_n_action", _with_data_set("action_information")),
    evt.EVT_N_CREATE: ("on_n_create", _with_data_set("attribute_list")),
    evt.EVT_N_DELETE: ("on_n_delete", lambda event: (event.context, _n_info(event))),
    evt.EVT_N_EVENT_REPORT: ("on_n_event_report", _with_data_set("event_information")),
    evt.EVT_N_GET: ("on_n_get", _with_data_set("attribute_identifiers")),
    evt.EVT_N_SET: ("on_n_set", _with_data_set("modification_list")),
    evt.EVT_ASYNC_OPS: (
        "on_async_ops_window",
        lambda event: (event.nr_invoked, event.nr_performed),
    ),
    evt.EVT_SOP_COMMON: ("on_sop_class_common_extended", lambda event: (event.items,)),
    evt.EVT_SOP_EXTENDED: ("on_sop_class_extended", lambda event: (event.app_info,)),
    evt.EVT_USER_ID: (
        "on_user_identity",
        lambda event: (
            event.user_id_type,
            event.primary_field,
            event.secondary_field,
            {"requestor": _side(event.assoc.requestor)},
        ),
    ),
}


def _primitive_of(ended: Ended) -> Any:
    """The primitive of an association's end by release or abort."""
    from pynetdicom import pdu_primitives

    if ended.kind == "released":
        release = pdu_primitives.A_RELEASE()
        release.result = "affirmative"
        return release
    if ended.source == 2 or ended.by == "network":
        by_provider = pdu_primitives.A_P_ABORT()
        if ended.reason is not None:
            by_provider.provider_reason = ended.reason
        return by_provider
    abort = pdu_primitives.A_ABORT()
    if ended.source is not None:
        abort.abort_source = ended.source
    return abort


def is_assigned(owner: Any, callback: str, defaults: type = Callbacks) -> bool:
    """Whether a callback was assigned to its owner, or overridden in its class."""
    if callback in vars(owner):
        return True
    return getattr(type(owner), callback, None) is not getattr(defaults, callback, None)


def ask(event: evt.Event) -> Any:
    """The default handler of the intervention events: ask the AE."""
    # What is served has the engines loaded already.
    from pynetdicom.services.engines import NoHandler, Undecodable

    name, adapt = CALLBACKS[event.event]
    ae = event.assoc.ae
    if not is_assigned(ae, name):
        if event.event is evt.EVT_C_ECHO:
            return 0x0000
        raise NoHandler(f"no handler is bound to {event.event}, and {name} is not assigned")
    try:
        args = adapt(event)
    except DataSetDecodeError as error:
        raise Undecodable(str(error)) from error
    except Exception as error:  # its text may be about the patient
        raise Undecodable(type(error).__name__) from error
    return getattr(ae, name)(*args)


def handler_of(assoc: AssociationState, event: evt.EventType) -> Any:
    """What is bound to an intervention event, or assigned to the AE in its place."""
    bound = assoc._handlers.get(event)
    return bound[0][0] if bound else getattr(assoc.ae, CALLBACKS[event][0])


def told_of(assoc: AssociationState, event: evt.EventType) -> list[tuple[str, Any]]:
    """Those that are told of a notification event, handlers apart: name and callable."""
    callback = CALLBACK_OF.get(event)
    if callback is None:
        return []
    hook = callback.replace("on_", "debug_", 1)
    owners = ((assoc.ae, callback, Callbacks), (assoc, hook, DebugHooks))
    return [
        (name, getattr(owner, name))
        for owner, name, defaults in owners
        if is_assigned(owner, name, defaults)
    ]


def tell(assoc: AssociationState, event: evt.EventType, primitive: Any) -> None:
    """Call the callback and the debug hook for a notification event, if they are there."""
    for name, call in told_of(assoc, event):
        if primitive is None and assoc.ended is not None:
            primitive = _primitive_of(assoc.ended)
        try:
            call(primitive)
        except (Exception, SystemExit) as error:
            raised.log(LOGGER, f"{name} raised", error, call)
