"""The six N-services, for normalized SOP Instances, as the side that asks (PS3.7 10.1).

In: what is asked, from the calling thread, which writes the request and waits. Out: the status and
the data set of the response.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pynetdicom.association.invoking import prepare_statuses
from pynetdicom.association.responses import decoded
from pynetdicom.dimse.primitives import N_EVENT_REPORT, Primitive
from pynetdicom.services.matching import encoded

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.association.invoking import Invoker


def ask(
    invoker: Invoker,
    kind: type[Primitive],
    class_uid: str,
    instance_uid: str | None,
    data_set: Any,
    msg_id: int | None,
    meta_uid: str | None,
    **parameters: Any,
) -> tuple[Dataset, Dataset | None]:
    """Send the request of an N-service, and wait for the response.

    Parameters
    ----------
    invoker : Invoker
    kind : type
    class_uid, instance_uid : str
        What it is about.
    data_set : pydicom.dataset.Dataset or EncodedDataSet, or None
    msg_id : int or None
    meta_uid : str or None
        The abstract syntax of the presentation context, where it is not `class_uid`.
    **parameters
        Further parameters by keyword.

    Returns
    -------
    tuple of Dataset and Dataset or None
        The status, and the data set of the response, if there is one.
    """
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
    return status, None if response is None else decoded(response, status, "data set")
