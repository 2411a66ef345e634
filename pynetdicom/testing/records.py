"""What came to an SCP for tests: associations and requests, as a test wants to look at them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pynetdicom.data_sets.part10 import header_builder
from pynetdicom.testing.pdus import IMPLEMENTATION, Message, limit_of, user_item
from pynetdicom.upper_layer import items
from pynetdicom.upper_layer import pdu as pdus

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.dimse.primitives import Primitive


class ReceivedAssociation:
    """An association that was requested.

    Attributes
    ----------
    request : A_ASSOCIATE_RQ
        As it came.
    calling_ae_title, called_ae_title : str
    address : tuple
        The peer's host and port.
    contexts : dict of int to (str, str)
        Those that were accepted: abstract and transfer syntax.
    requests : list of ReceivedRequest
        What came on it, in order.
    ended : str
        How it ended: ``"released"``, ``"aborted"``, ``"closed"``, or ``"fault: …"`` with the name
        of a fault of ours; empty as long as it goes on.
    """

    def __init__(self, request: pdus.A_ASSOCIATE_RQ, address: tuple[Any, ...]) -> None:
        self.request = request
        self.calling_ae_title: str = request.calling_ae_title
        self.called_ae_title: str = request.called_ae_title
        self.address = address
        self.contexts: dict[int, tuple[str, str]] = {}
        self.requests: list[ReceivedRequest] = []
        self.ended = ""

    @property
    def maximum_length(self) -> int:
        """Of the PDUs that the peer takes."""
        return limit_of(self.request)

    @property
    def user_identity(self) -> items.UserIdentityNegotiation | None:
        """What the peer said of its user."""
        item: items.UserIdentityNegotiation | None
        item = user_item(self.request, items.UserIdentityNegotiation)
        return item

    def __repr__(self) -> str:
        how = self.ended or "goes on"
        return f"<association of {self.calling_ae_title}, {len(self.requests)} requests, {how}>"


class ReceivedRequest:
    """A request that came.

    Attributes
    ----------
    association : ReceivedAssociation
    command : Primitive
        Its command set; the elements are its attributes.
    context_id : int
    data : bytes or None
        Its data set, as it was encoded.
    transfer_syntax : str
        How.
    status : int or None
        What it was answered finally; None as long as it was not.
    is_answered : bool
        Whether nothing more is going to be said to it, be it for a fault.
    is_cancelled : bool
        Whether a C-CANCEL came for it.
    path : str or None
        The file it was written to, if it was.
    """

    def __init__(self, association: ReceivedAssociation, message: Message) -> None:
        self.association = association
        self.message = message
        self.command: Primitive = message.primitive
        self.context_id = message.context_id
        self.data = message.data
        self.transfer_syntax = message.transfer_syntax
        self.status: int | None = None
        self.is_answered = self.is_cancelled = False
        self.path: str | None = None

    @property
    def operation(self) -> str:
        """Such as ``"C-STORE"``."""
        return self.command.name

    @property
    def calling_ae_title(self) -> str:
        return self.association.calling_ae_title

    @property
    def called_ae_title(self) -> str:
        return self.association.called_ae_title

    @property
    def message_id(self) -> int:
        return int(self.command.MessageID or 0)

    def _uid(self, what: str) -> str:
        values = vars(self.command)
        return str(values.get(f"Affected{what}") or values.get(f"Requested{what}") or "")

    @property
    def sop_class_uid(self) -> str:
        """The Affected or Requested SOP Class UID."""
        return self._uid("SOPClassUID")

    @property
    def sop_instance_uid(self) -> str:
        """The Affected or Requested SOP Instance UID; empty if there is none."""
        return self._uid("SOPInstanceUID")

    @property
    def dataset(self) -> Dataset:
        """The data set, decoded anew each time; that of a C-STORE with file meta information.

        Raises
        ------
        ValueError
            There is none.
        """
        ds = self.message.dataset
        if ds is None:
            raise ValueError(f"{self.operation}-RQ has no data set")
        if self.operation == "C-STORE":
            from pydicom.dataset import FileMetaDataset
            from pydicom.uid import UID

            ds.file_meta = FileMetaDataset()
            ds.file_meta.MediaStorageSOPClassUID = UID(self.sop_class_uid)
            ds.file_meta.MediaStorageSOPInstanceUID = UID(self.sop_instance_uid)
            ds.file_meta.TransferSyntaxUID = UID(self.transfer_syntax)
        return ds

    def save_as(self, path: str | os.PathLike[str]) -> None:
        """Write the instance of a C-STORE to a Part 10 file, its bytes as they came."""
        if self.operation != "C-STORE":
            raise ValueError(f"{self.operation} has no instance")
        build = header_builder(
            self.transfer_syntax,
            implementation_class_uid=IMPLEMENTATION,
            source_ae_title=self.calling_ae_title,
        )
        with open(path, "wb") as file:
            file.write(build(self.sop_class_uid, self.sop_instance_uid) + (self.data or b""))
        self.path = os.fspath(path)

    def __repr__(self) -> str:
        answered = "unanswered" if self.status is None else f"0x{self.status:04X}"
        return f"<{self.operation} from {self.calling_ae_title}, {answered}>"
