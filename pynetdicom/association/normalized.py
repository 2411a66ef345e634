"""The six N-services, for normalized SOP Instances, as the side that asks (PS3.7 10.1).

In: what is asked, from the calling thread, which writes the request and waits. Out: the status and
the data set of the response. The functions are methods of `Association`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from pynetdicom._logging import working_on
from pynetdicom.association.invoking import prepare_statuses
from pynetdicom.association.responses import decoded
from pynetdicom.dimse.primitives import (
    N_ACTION,
    N_CREATE,
    N_DELETE,
    N_EVENT_REPORT,
    N_GET,
    N_SET,
    Primitive,
)
from pynetdicom.services.matching import encoded
from pynetdicom.services.statuses import SUCCESS, WARNING, code_to_category

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.association.invoking import Invoker
    from pynetdicom.association.response_status import ResponseStatus
    from pynetdicom.data_sets.data_set import EncodedDataSet

    Identifier = Dataset | EncodedDataSet
    # Whether there is a data set follows from the status, mostly.
    Answered = tuple[ResponseStatus, Dataset | Any]

LOGGER = logging.getLogger("pynetdicom.service")


class Asks(Protocol):
    """An association that can be asked on."""

    _invoker: Invoker


def send_n_action(
    self: Asks,
    dataset: Identifier | None,
    action_type: int,
    class_uid: str,
    instance_uid: str,
    msg_id: int | None = None,
    meta_uid: str | None = None,
) -> Answered:
    """Have the peer do an action on a SOP Instance.

    Parameters
    ----------
    dataset : pydicom.dataset.Dataset or None
        The Action Information.
    action_type : int
        The Action Type ID.
    class_uid, instance_uid : str
        The Requested SOP Class UID and SOP Instance UID.
    msg_id : int, optional
        The Message ID; by default the library chooses one.
    meta_uid : str, optional
        The abstract syntax of the presentation context to use, where it is not `class_uid`: a
        Meta SOP Class of Print Management, or the UPS SOP Class whose service it is.

    Returns
    -------
    tuple of pydicom.dataset.Dataset and pydicom.dataset.Dataset or None
        The status, with what else the response's command set says, such as
        ``AttributeIdentifierList``; empty when there was no answer, see `ended`. The Action
        Reply; None when there is none. One that does not decode is None, and ``problem`` of the
        status says so.

    Raises
    ------
    RuntimeError
        There is no established association.
    ValueError
        No presentation context for it was accepted, a mandatory parameter is missing, the data
        set cannot be encoded, or `msg_id` is outstanding.

    Notes
    -----
    PS3.7 10.1.4
    """
    return _ask(
        self,
        N_ACTION,
        class_uid,
        instance_uid,
        dataset,
        msg_id,
        meta_uid,
        ActionTypeID=action_type,
    )


def send_n_create(
    self: Asks,
    dataset: Identifier | None,
    class_uid: str,
    instance_uid: str | None = None,
    msg_id: int | None = None,
    meta_uid: str | None = None,
) -> Answered:
    """Have the peer create a SOP Instance.

    Parameters
    ----------
    dataset : pydicom.dataset.Dataset or None
        The Attribute List.
    class_uid : str
        The Affected SOP Class UID.
    instance_uid : str, optional
        The Affected SOP Instance UID; without it the peer chooses one, which
        ``AffectedSOPInstanceUID`` of the status is; where it does not, ``problem`` of the status
        says so.
    msg_id, meta_uid
        As for `send_n_action`.

    Returns
    -------
    tuple of pydicom.dataset.Dataset and pydicom.dataset.Dataset or None
        The status, as for `send_n_action`, and the Attribute List of the response.

    Raises
    ------
    RuntimeError, ValueError
        As for `send_n_action`.

    Notes
    -----
    PS3.7 10.1.5
    """
    return _ask(self, N_CREATE, class_uid, instance_uid, dataset, msg_id, meta_uid)


def send_n_delete(
    self: Asks,
    class_uid: str,
    instance_uid: str,
    msg_id: int | None = None,
    meta_uid: str | None = None,
) -> ResponseStatus:
    """Have the peer delete a SOP Instance.

    Parameters
    ----------
    class_uid, instance_uid, msg_id, meta_uid
        As for `send_n_action`.

    Returns
    -------
    pydicom.dataset.Dataset
        The status, as for `send_n_action`.

    Raises
    ------
    RuntimeError, ValueError
        As for `send_n_action`.

    Notes
    -----
    PS3.7 10.1.6
    """
    return _ask(self, N_DELETE, class_uid, instance_uid, None, msg_id, meta_uid)[0]


def send_n_event_report(
    self: Asks,
    dataset: Identifier | None,
    event_type: int,
    class_uid: str,
    instance_uid: str,
    msg_id: int | None = None,
    meta_uid: str | None = None,
) -> Answered:
    """Report an event about a SOP Instance to the peer, as its SCP.

    Who requested the association is SCP by role selection, see `build_role`; who accepted it is
    without more.

    Parameters
    ----------
    dataset : pydicom.dataset.Dataset or None
        The Event Information.
    event_type : int
        The Event Type ID.
    class_uid, instance_uid : str
        The Affected SOP Class UID and SOP Instance UID.
    msg_id, meta_uid
        As for `send_n_action`.

    Returns
    -------
    tuple of pydicom.dataset.Dataset and pydicom.dataset.Dataset or None
        The status, as for `send_n_action`, and the Event Reply.

    Raises
    ------
    RuntimeError, ValueError
        As for `send_n_action`.

    Notes
    -----
    PS3.7 10.1.1
    """
    return _ask(
        self,
        N_EVENT_REPORT,
        class_uid,
        instance_uid,
        dataset,
        msg_id,
        meta_uid,
        EventTypeID=event_type,
    )


def send_n_get(
    self: Asks,
    identifier_list: Iterable[Any] | None,
    class_uid: str,
    instance_uid: str,
    msg_id: int | None = None,
    meta_uid: str | None = None,
) -> Answered:
    """Get attributes of a SOP Instance from the peer.

    Parameters
    ----------
    identifier_list : iterable of int, tuple of int, or str; or None
        The tags, or keywords, of the attributes; none stand for all that the peer has.
    class_uid, instance_uid, msg_id, meta_uid
        As for `send_n_action`.

    Returns
    -------
    tuple of pydicom.dataset.Dataset and pydicom.dataset.Dataset or None
        The status, as for `send_n_action`, and the Attribute List.

    Raises
    ------
    RuntimeError, ValueError
        As for `send_n_action`; ValueError also if there is no such attribute.

    Notes
    -----
    PS3.7 10.1.2
    """
    return _ask(
        self,
        N_GET,
        class_uid,
        instance_uid,
        None,
        msg_id,
        meta_uid,
        # An empty list is no list: what a peer would make of one is not said anywhere.
        AttributeIdentifierList=identifier_list or None,
    )


def send_n_set(
    self: Asks,
    dataset: Identifier,
    class_uid: str,
    instance_uid: str,
    msg_id: int | None = None,
    meta_uid: str | None = None,
) -> Answered:
    """Set attributes of a SOP Instance at the peer.

    Parameters
    ----------
    dataset : pydicom.dataset.Dataset
        The Modification List.
    class_uid, instance_uid, msg_id, meta_uid
        As for `send_n_action`.

    Returns
    -------
    tuple of pydicom.dataset.Dataset and pydicom.dataset.Dataset or None
        The status, as for `send_n_action`, and the Attribute List of the response.

    Raises
    ------
    RuntimeError, ValueError
        As for `send_n_action`.

    Notes
    -----
    PS3.7 10.1.3
    """
    return _ask(self, N_SET, class_uid, instance_uid, dataset, msg_id, meta_uid)


def _ask(
    assoc: Asks,
    kind: type[Primitive],
    class_uid: str,
    instance_uid: str | None,
    data_set: Identifier | None,
    msg_id: int | None,
    meta_uid: str | None,
    **parameters: Any,
) -> Answered:
    """Send the request of an N-service, and wait for the response."""
    invoker = assoc._invoker
    name = f"send_{kind.__name__.lower()}()"
    invoker.must_be_established(name)
    to_status = prepare_statuses()
    context = invoker.link.negotiated.context_for(
        str(meta_uid or class_uid), as_scp=kind is N_EVENT_REPORT
    )
    side = "Requested" if "RequestedSOPClassUID" in kind.parameters else "Affected"
    parameters[f"{side}SOPClassUID"] = class_uid
    parameters[f"{side}SOPInstanceUID"] = instance_uid
    if data_set is not None:
        try:
            parameters["data_set"] = encoded(data_set, context.transfer_uids[0])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    request = kind(**parameters)
    if absent := set(request.missing()) - {"MessageID"}:
        raise ValueError(f"{name}: no {', '.join(sorted(absent))}")
    response, message_id = invoker.exchange(request, context, msg_id)
    status = to_status(response, message_id)
    if response is None:
        return status, None
    reply = decoded(response, status, "data set", invoker.link)
    if kind is N_CREATE and instance_uid is None and response.AffectedSOPInstanceUID is None:
        with working_on(invoker.link):
            _note_unnamed(response, status)
    return status, reply


def _note_unnamed(response: Primitive, status: ResponseStatus) -> None:
    """Say that what a peer has created cannot be asked for again (PS3.7 10.1.5.1.4)."""
    if code_to_category(response.Status or 0) in (SUCCESS, WARNING):
        problem = "the peer does not name the SOP Instance that it has created"
        status.__dict__["problem"] = problem
        LOGGER.warning("%s %s: %s", response.message_name, status.message_id, problem)
