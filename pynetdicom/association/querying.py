"""C-FIND, C-GET and C-MOVE as SCU, and C-CANCEL.

In: identifiers, from the calling thread, which writes the request. Out: `Responses`, an iterator,
fed by the operation's backlog. The sub-operations of a C-GET are requests of the peer like others:
the Association thread serves them, whatever the iterator's consumer does meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pynetdicom import _config, debug_log, raised
from pynetdicom._logging import working_on
from pynetdicom.association.invoking import prepare_statuses
from pynetdicom.association.responses import LOGGER, Responses
from pynetdicom.data_sets.encoded import EncodedDataSet
from pynetdicom.dimse.operations import Operation
from pynetdicom.query_models import OPERATIONS, arranged, is_known, query_model_uid
from pynetdicom.uids import named_all

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.association.invoking import Invoker
    from pynetdicom.association.negotiated import Negotiated
    from pynetdicom.dimse.primitives import Primitive
    from pynetdicom.upper_layer.contexts import PresentationContext


def query(
    invoker: Invoker,
    kind: type[Primitive],
    dataset: Dataset | EncodedDataSet,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    **parameters: Any,
) -> Responses:
    """Send a C-FIND, C-GET or C-MOVE request; see `Association.send_c_find`."""
    name = f"send_{kind.__name__.lower()}()"
    query_model, msg_id, priority = arranged(name, args, kwargs)
    invoker.must_be_established(name)
    sop_class = query_model_uid(kind.name, query_model)
    prepare_statuses()
    context, data_set = _encode_identifier(invoker.link.negotiated, dataset, sop_class)
    request = kind(
        AffectedSOPClassUID=sop_class, Priority=priority, data_set=data_set, **parameters
    )
    if absent := set(request.missing()) - {"MessageID"}:
        raise TypeError(f"{name}: no {', '.join(absent)}")
    if _config.LOG_REQUEST_IDENTIFIERS and LOGGER.isEnabledFor(logging.DEBUG):
        with working_on(invoker.link):
            debug_log.show_identifier(LOGGER, request, data_set.decode())
    operation = Operation(invoker.operations, request, context.context_id)
    try:
        return Responses(invoker, request, invoker.send_request(operation, msg_id))
    except BaseException:  # Ctrl-C: nobody will ask for the responses
        invoker.abandon(operation)
        raise


def _encode_identifier(
    negotiated: Negotiated, dataset: Dataset | EncodedDataSet, sop_class: str
) -> tuple[PresentationContext, EncodedDataSet]:
    from pydicom.dataset import Dataset

    from pynetdicom.services.matching import encoded

    if not isinstance(dataset, (Dataset, EncodedDataSet)):
        raise TypeError(f"an identifier is a Dataset, not {raised.kind(dataset)}")
    syntax = dataset.transfer_syntax if isinstance(dataset, EncodedDataSet) else ""
    context = negotiated.context_for(sop_class, syntax)
    return context, encoded(dataset, context.transfer_uids[0])


def cancel(invoker: Invoker, msg_id: int, context_id: int | None, query_model: str | None) -> None:
    """Send a C-CANCEL; see `Association.send_c_cancel`."""
    if isinstance(msg_id, bool) or not isinstance(msg_id, int):
        raise TypeError(f"'msg_id' must be an int, not {type(msg_id).__name__}")
    invoker.must_be_established("send_c_cancel()")
    operation = invoker.operations.to_cancel(msg_id)
    if operation is not None:
        invoker.cancel(operation)
    elif context_id is not None:
        if context_id not in invoker.link.negotiated.contexts:
            raise ValueError(f"no presentation context {context_id} was accepted")
        invoker.send_cancel(msg_id, context_id)
    elif query_model is not None:
        context = _context_of_model(invoker.link.negotiated, query_model)
        invoker.send_cancel(msg_id, context.context_id or 0)
    elif not invoker.operations.has_ended_lately(msg_id):
        raise ValueError(f"no operation {msg_id} is outstanding: which context is it on?")


def _context_of_model(negotiated: Negotiated, query_model: str) -> PresentationContext:
    """The context of a query model, whichever operation it is for."""
    uids = [
        query_model_uid(kind, query_model) for kind in OPERATIONS if is_known(kind, query_model)
    ]
    for context in negotiated.accepted:
        if context.abstract_uid in uids:
            return context
    model = named_all(dict.fromkeys(uids))
    raise ValueError(f"no presentation context for the query model {model} was accepted")
