"""What goes wrong with TLS, in plain words.

In: what `ssl` raises, and the first bytes of a peer. Out: text.
"""

from __future__ import annotations

from pynetdicom._logging import printable

_HANDSHAKE = 0x16  # the type of a TLS record
_A_ASSOCIATE_RQ = 0x01

_REASONS = (
    # What OpenSSL calls it, or the end of that: what it means. Alerts are what the peer says.
    ("WRONG_VERSION_NUMBER", "the peer does not speak TLS"),
    ("HTTP_REQUEST", "the peer does not speak TLS, but HTTP"),
    ("UNKNOWN_PROTOCOL", "the peer does not speak TLS"),
    ("PACKET_LENGTH_TOO_LONG", "the peer does not speak TLS"),
    ("RECORD_LAYER_FAILURE", "the peer does not speak TLS"),
    ("UNEXPECTED_EOF_WHILE_READING", "the peer closed the connection"),
    ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "the peer has sent no certificate, and must"),
    ("ALERT_UNSUPPORTED_PROTOCOL", "the peer has no TLS version in common with us"),
    ("UNSUPPORTED_PROTOCOL", "the peer offers no TLS version that is allowed here"),
    ("ALERT_PROTOCOL_VERSION", "the peer allows none of the TLS versions that we offer"),
    ("NO_PROTOCOLS_AVAILABLE", "no TLS version is allowed here"),
    ("NO_SHARED_CIPHER", "no cipher suite in common, or we have no certificate that fits"),
    ("NO_CIPHERS_AVAILABLE", "no cipher suite is allowed here for that TLS version"),
    ("ALERT_INSUFFICIENT_SECURITY", "the peer wants stronger cipher suites than we offer"),
    (
        "ALERT_HANDSHAKE_FAILURE",
        "the peer refuses the handshake: no cipher suite in common, or it misses a certificate",
    ),
    ("ALERT_CERTIFICATE_REQUIRED", "the peer requires a certificate, and we have sent none"),
    ("ALERT_NO_CERTIFICATE", "the peer requires a certificate, and we have sent none"),
    ("ALERT_UNKNOWN_CA", "the peer does not trust the authority of our certificate"),
    ("ALERT_CERTIFICATE_EXPIRED", "the peer says that our certificate has expired"),
    ("ALERT_CERTIFICATE_REVOKED", "the peer says that our certificate was revoked"),
    ("ALERT_UNSUPPORTED_CERTIFICATE", "the peer does not take the kind of our certificate"),
    ("ALERT_CERTIFICATE_UNKNOWN", "the peer does not accept our certificate"),
    ("ALERT_BAD_CERTIFICATE", "the peer does not accept our certificate, or the name in it"),
    ("ALERT_ACCESS_DENIED", "the peer refuses us access"),
    ("UNRECOGNIZED_NAME", "the peer does not know the host name that we ask for"),
)


def in_words(error: BaseException, closed: str = "") -> str:
    """Return what an error of TLS, or of the connection below it, means for a user.

    Parameters
    ----------
    closed : str
        What to ask where the peer has merely closed the connection.
    """
    if isinstance(error, ConnectionError) and is_ssl(error.__cause__):
        return str(error)  # which has been put in words
    reason = getattr(error, "reason", None)
    why = getattr(error, "verify_message", None)
    if why:
        return f"TLS: the peer's certificate is not accepted: {printable(str(why))}"
    if isinstance(error, ConnectionError) and not reason:
        return f"TLS: the peer closed the connection{closed}"
    if not isinstance(reason, str) or not reason:
        return f"TLS: {printable(str(error) or type(error).__name__)}"
    for name, meaning in _REASONS:
        if reason.endswith(name):
            more = closed if "EOF" in name else ""
            return f"TLS: {meaning}{more} ({reason})"
    return f"TLS: {printable(reason.replace('_', ' ').lower())} ({printable(reason)})"


def is_handshake(data: bytes) -> bool:
    """Return whether a peer that begins so speaks TLS."""
    return data[:1] == bytes((_HANDSHAKE,))


def is_ssl(error: BaseException | None) -> bool:
    """Return whether an error is of `ssl`, which need not be imported to tell."""
    return any(cls.__module__ == "ssl" for cls in type(error).__mro__)


def of_handshake(heard: bytes, error: BaseException) -> str:
    """Return what went wrong with a handshake for the side that listens.

    Parameters
    ----------
    heard : bytes
        The peer's first bytes.
    """
    if heard and not is_handshake(heard):
        what = "an A-ASSOCIATE-RQ" if heard[0] == _A_ASSOCIATE_RQ else "something"
        return f"the peer has sent {what} without TLS, which this port expects"
    return in_words(error, " in the midst of the handshake")
