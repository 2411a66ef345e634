"""How an association ended, as one value that is set before anybody is woken."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pynetdicom.errors import PynetdicomError
from pynetdicom.upper_layer.framing import TLSRecord
from pynetdicom.upper_layer.tls_faults import in_words, is_ssl

_REJECT_RESULTS = {1: "permanently", 2: "transiently"}
REJECT_REASONS = {
    # PS3.8 Table 9-21: (source, reason)
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognised",
    (1, 7): "called AE title not recognised",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}
ABORT_REASONS = {
    # PS3.8 Table 9-26, source 2
    0: "no reason given",
    1: "unrecognized PDU",
    2: "unexpected PDU",
    4: "unrecognized PDU parameter",
    5: "unexpected PDU parameter",
    6: "invalid PDU parameter value",
}


CLOSED = " during the handshake: does it speak TLS?"
"""What to say of a peer that closes the connection while we want TLS of it."""


_CUT_OFF = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)


# Of any other exception that has escaped the text may be a program's, and about the patient.
_SAY_WHAT_IS_WRONG = (PynetdicomError, OSError, OverflowError)


def _said_by(error: BaseException, escaped: bool) -> str:
    if is_ssl(error):
        return in_words(error, CLOSED)
    if isinstance(error, TLSRecord):
        return f"{error}: does the peer expect TLS?"
    has_escaped = escaped and not isinstance(error, _SAY_WHAT_IS_WRONG)
    return ("" if has_escaped else str(error)) or type(error).__name__  # Ctrl-C has no text


def unanswered(error: BaseException | None, is_tls: bool) -> BaseException:
    """Say that the connection was closed or broken instead of an answer to our request."""
    if error is not None and not isinstance(error, _CUT_OFF):
        return error
    hint = "does it accept our certificate?" if is_tls else "does it expect TLS?"
    told = ConnectionResetError(f"the peer closed the connection: {hint}")
    told.__cause__ = error
    return told


class Ended(NamedTuple):
    """How, by whom and why an association ended.

    Attributes
    ----------
    kind : {'released', 'aborted', 'rejected', 'failed'}
        ``'failed'``: no association came about, for want of a connection.
    by : {'local', 'peer', 'network'}
    source, reason : int or None
        As in the A-ABORT or A-ASSOCIATE-RJ PDU (PS3.8 9.3.4, 9.3.8).
    result : int or None
        Of the A-ASSOCIATE-RJ PDU.
    timer : str or None
        The timeout that ran out, such as ``'dimse_timeout'``.
    error : Exception or None
        What was found wrong.
    """

    kind: Literal["released", "aborted", "rejected", "failed"]
    by: Literal["local", "peer", "network"]
    source: int | None = None
    reason: int | None = None
    result: int | None = None
    timer: str | None = None
    error: BaseException | None = None

    def __str__(self) -> str:
        """One line, fit for a user."""
        by = "peer" if self.by == "peer" else "local side"
        if self.kind == "rejected":
            how = _REJECT_RESULTS.get(self.result or 0, f"with result {self.result}")
            why = REJECT_REASONS.get((self.source or 0, self.reason or 0))
            why = why or f"source {self.source}, reason {self.reason}"
            text = f"rejected {how} by the {by}: {why}"
        elif self.by == "network":
            text = "no connection" if self.kind == "failed" else "connection lost"
        else:
            text = f"{self.kind} by the {by}"
            if self.kind == "aborted" and self.source == 2:
                text += f" ({ABORT_REASONS.get(self.reason or 0, f'reason {self.reason}')})"
        if self.timer:
            text += f", {self.timer} ran out"
        if self.error is not None:
            # An exception that nobody expected is answered with an A-ABORT (2, 0).
            text += f": {_said_by(self.error, (self.source, self.reason) == (2, 0))}"
        return text
