"""The errors of every room: what the peer did wrong, and what is wrong with a file or a data set.

Local misuse of the library raises the built-in exceptions (`TypeError`, `ValueError`,
`RuntimeError`).
"""

from __future__ import annotations

from typing import Any


class PynetdicomError(Exception):
    """Base of the errors that are not mere misuse of the library."""


class PeerError(PynetdicomError):
    """The peer violated the protocol."""


class PDUDecodeError(PeerError):
    """Bytes from the peer that are not the PDU they should be.

    Parameters
    ----------
    message : str
        What is wrong, in one line.
    pdu : str
        The PDU or item in which it was found, such as ``"A-ASSOCIATE-RQ"``.
    field : str
        The field, as PS3.8 calls it.
    offset : int or None
        Where, in bytes from the start of `pdu`.
    reason : int
        The provider reason of the A-ABORT that answers it (PS3.8 9.3.8): 1 unrecognized PDU, 2
        unexpected PDU, 4 unrecognized parameter, 5 unexpected parameter, 6 invalid parameter value.
    """

    def __init__(
        self,
        message: str,
        *,
        pdu: str = "",
        field: str = "",
        offset: int | None = None,
        reason: int = 6,
    ) -> None:
        place = " ".join(part for part in (pdu, field) if part)
        at = f" at offset {offset}" if offset is not None else ""
        super().__init__(f"{place}{at}: {message}" if place or at else message)
        self.pdu = pdu
        self.field = field
        self.offset = offset
        self.reason = reason


class DIMSEDecodeError(PeerError):
    """A message from the peer that cannot be put together or understood (PS3.7, PS3.8 Annex E)."""


class NothingAccepted(PynetdicomError):
    """The peer has accepted none of the presentation contexts; the message names each and why."""


class AssociationError(PynetdicomError):
    """An association that was asked for did not come about.

    Attributes
    ----------
    ended : Ended
        How it ended, by whom and why, as `Association.ended`.
    """

    def __init__(self, ended: Any) -> None:
        super().__init__(str(ended))
        self.ended = ended


class AssociationRejected(AssociationError):
    """The peer has rejected the association."""


class AssociationAborted(AssociationError):
    """The peer, or we, have aborted the association before it was established."""


class AssociationFailed(AssociationError):
    """There was no connection, or it broke."""


class PDUTooShort(PeerError, ValueError):
    """The peer takes PDUs that are too short for any message."""


class DataSetDecodeError(PynetdicomError):
    """An encoded data set that does not decode: an element overruns it, or nests too deeply."""


class FileProblem(PynetdicomError):
    """A file that cannot be sent; the message says why in one line, without patient data."""


class NotDICOM(FileProblem):
    """The file is not a DICOM Part 10 file, nor a plausible bare data set."""


class TruncatedFile(FileProblem):
    """An element's length reaches beyond the end of the file."""


class MissingUID(FileProblem):
    """The data set has no SOP Class UID or no SOP Instance UID."""


class TLSFileProblem(PynetdicomError):
    """A file of certificates or a key that TLS cannot be made with.

    Attributes
    ----------
    what : str
        ``"certificate"``, ``"key"`` or ``"authorities"``: what the file was given as.
    path, why : str
        Which file, and what is wrong with it.
    """

    def __init__(self, what: str, path: str, why: str) -> None:
        super().__init__(f"{what}: {path}: {why}")
        self.what = what
        self.path = path
        self.why = why
