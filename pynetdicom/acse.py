"""ACSE, as handlers of `EVT_REQUESTED` use it to reject or abort."""

from __future__ import annotations

from typing import Any

from pynetdicom.upper_layer.ended import Ended
from pynetdicom.upper_layer.pdu import A_ASSOCIATE_RJ


class ACSE:
    """The association control service element (ACSE) of one association."""

    def __init__(self, assoc: Any) -> None:
        self.assoc = assoc

    def send_reject(self, result: int, source: int, diagnostic: int) -> None:
        """Reject the association request, from a handler of `EVT_REQUESTED` (PS3.8 9.3.4).

        Parameters
        ----------
        result : int
            1 permanently, 2 transiently.
        source : int
            1 the service user, 2 the service provider (ACSE), 3 the service provider
            (presentation).
        diagnostic : int
            As PS3.8 Table 9-21 has it for that source.

        Raises
        ------
        RuntimeError
            There is no association request to answer.
        """
        if not self.assoc.dul.provider.may("Evt8"):
            raise RuntimeError("there is no association request to reject")
        self.assoc._negotiation.reject(A_ASSOCIATE_RJ(result, source, diagnostic))

    def send_abort(self, source: int = 0) -> None:
        """Abort the association, as service user (0) or provider (2); see PS3.8 9.3.8.

        Raises
        ------
        ValueError
            There is no such source.
        """
        if source not in (0, 2):
            raise ValueError("the source of an abort is 0 or 2")
        if source == 0:
            self.assoc.abort(block=False)
        else:
            self.assoc.dul.abort(Ended("aborted", "local", source, 0))

    def send_release(self, *args: Any) -> None:
        """Release the association (PS3.8 7.2)."""
        self.assoc.release()
