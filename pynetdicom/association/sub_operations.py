"""The C-STORE sub-operations of a C-GET or C-MOVE: what a handler yields, and how it is sent.

In: data sets, paths, and objects that know their encoded bytes, as handlers yield them. Out:
C-STORE requests, made by `services.instances`, and what became of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pynetdicom.dimse.primitives import C_STORE
from pynetdicom.services.instances import Instance, StoreParameters, why_not
from pynetdicom.services.retrieval import Outcome
from pynetdicom.utils import printable

if TYPE_CHECKING:
    from pynetdicom.association.invoking import Invoker


def originator(request: Any, ae_title: str = "") -> StoreParameters:
    """What a C-STORE sub-operation says of the operation that it is part of.

    Parameters
    ----------
    request : C_GET or C_MOVE
    ae_title : str
        Of the requestor of a C-MOVE; empty for a C-GET, of which sub-operations say nothing.
    """
    title = message_id = None
    if ae_title:
        message_id = request.MessageID
        # The requestor may have called itself what a command set has no room for.
        with contextlib.suppress(ValueError):
            C_STORE(MoveOriginatorApplicationEntityTitle=ae_title)
            title = ae_title
    priority = request.Priority if request.Priority in (0, 1, 2) else 0
    return StoreParameters(priority, title, message_id)


def store(
    invoker: Invoker,
    what: Instance,
    parameters: StoreParameters,
    meanwhile: Callable[[], None] | None,
) -> Outcome:
    """Have an instance stored over an association, and do something else `meanwhile`."""
    try:
        context = invoker.link.negotiated.context_for(what.sop_class, what.transfer_syntax)
        request = invoker.link.runtime.aside(what.request, context, parameters)
        response, _ = invoker.exchange(request, context, None, meanwhile)
    except Exception as error:
        problem = printable(f"not sent: {why_not(error)}")
        return Outcome(None, what.sop_instance, problem)
    if response is None:
        return Outcome(None, what.sop_instance, f"no answer: {printable(str(invoker.link.ended))}")
    return Outcome(response.Status, what.sop_instance)


class SameAssociation:
    """Where the sub-operations of a C-GET go: back on its own association (PS3.4 C.4.3)."""

    def __init__(self, invoker: Invoker, parameters: StoreParameters) -> None:
        self._invoker = invoker
        self._parameters = parameters

    def store(
        self, what: Instance, report: Callable[[], None], meanwhile: Callable[[], None] | None
    ) -> Outcome:
        """Have an instance stored by the requestor of the C-GET, who hears it come."""
        return store(self._invoker, what, self._parameters, meanwhile)

    def close(self) -> None:
        """Leave the association as it is."""
