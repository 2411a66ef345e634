"""ACSE, as handlers of `EVT_REQUESTED` use it to reject or abort."""

from __future__ import annotations

from typing import Any

from pynetdicom.upper_layer.ended import Ended


class ACSE:
    """The association control service element (ACSE) of one association."""

    def __init__(self, assoc: Any) -> None:
        self.assoc = assoc

    def send_reject(self, result: int, source: int, diagnostic: int) -> None:
        """Reject the association request (PS3.8 9.3.4)."""
        self.assoc.reject(result, source, diagnostic)

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
