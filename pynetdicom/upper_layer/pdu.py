"""The seven PDUs, laid out as in PS3.8 9.3, and `decode_pdu` for one of them as bytes.

P-DATA-TF takes the framing's fast path on the way in and ready-made headers on the way out; here it
is a value like the others, for whoever listens to PDUs.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, ClassVar, Self

from pynetdicom.errors import PDUDecodeError
from pynetdicom.upper_layer import items
from pynetdicom.upper_layer.fields import AETitle, Each, Octets, Reader, Reserved, Sized, Text, UInt
from pynetdicom.upper_layer.structure import Choice, Item, Items, Nested, Structure

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
"""The DICOM application context name (PS3.7 A.2.1)."""


class PDU(Structure):
    """A protocol data unit: in front type, reserved byte and four bytes of length (PS3.8 9.3.1).

    Attributes
    ----------
    wire : bytes
        It encoded, of one that is kept for those like it, and does not change; else empty.
    """

    # Beside the fields, so that it is no matter of equality and of `repr`.
    __slots__ = ("wire",)
    wire: bytes
    length_size = 4
    pdu_type: ClassVar[int]
    name: ClassVar[str]

    def __init_subclass__(cls, pdu_type: int) -> None:
        super().__init_subclass__(item_types=(pdu_type,))
        cls.pdu_type = pdu_type
        cls.name = cls.__name__.replace("_", "-")

    def _begin(self, defaults: dict[str, Any]) -> None:
        super()._begin(defaults)
        self.wire = b""

    def encode(self) -> bytes:
        return self.wire or super().encode()

    def kept(self, wire: bytes) -> Self:
        """Take note that it is kept, and how it is encoded."""
        self.wire = wire
        return self

    def for_user(self) -> Self:
        """One that may be changed: this one, or a copy of one that is kept."""
        return deepcopy(self) if self.wire else self

    def __getstate__(self) -> dict[str, Any]:
        return vars(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.wire = b""  # a copy may be changed
        vars(self).update(state)


class A_ASSOCIATE_RQ(PDU, pdu_type=0x01):
    """The request for an association (PS3.8 9.3.2)."""

    protocol_version = UInt(2, 1)
    _1 = Reserved(2)
    called_ae_title = AETitle("")
    calling_ae_title = AETitle("")
    _2 = Reserved(32)
    application_context_name = Item(0x10, Text(), APPLICATION_CONTEXT)
    presentation_contexts = Items(0x20, Nested(items.PresentationContextRQ), "MAXIMUM_CONTEXTS")
    user_information = Item(0x50, Choice(*items.USER_INFORMATION), [])

    def problem(self) -> str:
        ids = [context.context_id for context in self.presentation_contexts]
        return "" if len(ids) == len(set(ids)) else "a presentation context ID occurs twice"


class A_ASSOCIATE_AC(PDU, pdu_type=0x02):
    """The acceptance of an association (PS3.8 9.3.3).

    The AE titles are the request's, and not tested (they are reserved bytes there).
    """

    protocol_version = UInt(2, 1)
    _1 = Reserved(2)
    called_ae_title = AETitle("")
    calling_ae_title = AETitle("")
    _2 = Reserved(32)
    application_context_name = Item(0x10, Text(), APPLICATION_CONTEXT)
    presentation_contexts = Items(0x21, Nested(items.PresentationContextAC), "MAXIMUM_CONTEXTS")
    user_information = Item(0x50, Choice(*items.USER_INFORMATION), [])


class A_ASSOCIATE_RJ(PDU, pdu_type=0x03):
    """The rejection of an association (PS3.8 9.3.4)."""

    _1 = Reserved(1)
    result = UInt(1, 1)
    source = UInt(1, 1)
    reason = UInt(1, 1)


class PDV(Structure):
    """A presentation data value: a fragment of a message with its control header (PS3.8 9.3.5.1).

    Of `control`, bit 0 says command or data set, bit 1 that it is the last fragment (E.2).
    """

    context_id = UInt(1)
    control = UInt(1, 0)
    data = Octets(b"", secret=True)


class P_DATA_TF(PDU, pdu_type=0x04):
    """Fragments of messages (PS3.8 9.3.5)."""

    pdvs = Each(Sized(Nested(PDV), size=4))

    def problem(self) -> str:
        return "" if self.pdvs else "no presentation data value"


class A_RELEASE_RQ(PDU, pdu_type=0x05):
    """The request to release an association (PS3.8 9.3.6)."""

    _1 = Reserved(4)


class A_RELEASE_RP(PDU, pdu_type=0x06):
    """The reply to a request to release (PS3.8 9.3.7)."""

    _1 = Reserved(4)


class A_ABORT(PDU, pdu_type=0x07):
    """The abort of an association (PS3.8 9.3.8); source 0 is the service user, 2 the provider."""

    _1 = Reserved(2)
    source = UInt(1, 0)
    reason = UInt(1, 0)


PDU_TYPES: dict[int, type[PDU]] = {cls.pdu_type: cls for cls in PDU.__subclasses__()}


def decode_pdu(data: bytes | bytearray | memoryview) -> PDU:
    """Return the one PDU that `data` is.

    Raises
    ------
    PDUDecodeError
        If it is anything else; nothing else is raised.
    """
    view = memoryview(data)
    cls = PDU_TYPES.get(view[0]) if view else None
    if cls is None:
        what = f"PDU type 0x{view[0]:02X}" if view else "no bytes"
        raise PDUDecodeError(f"{what} is not a PDU", offset=0, reason=1)
    reader = Reader(view, 1, cls.name)
    reader.place = "PDU length"
    reader.take(1)
    length = reader.uint(4)
    if length != len(view) - reader.at:
        raise reader.error(f"{length}, but {len(view) - reader.at} bytes follow", at=2)
    pdu = cls.read(reader)
    reader.leave(reader.end)
    return pdu


# Devices send the same request each time, and get the same answer.
_OFTEN = (A_ASSOCIATE_RQ, A_ASSOCIATE_AC, A_RELEASE_RQ, A_RELEASE_RP)
_LIMIT = 64
_LONGEST = 32 * 1024
_kept: dict[bytes, PDU] = {}

RELEASE_RQ = A_RELEASE_RQ().kept(A_RELEASE_RQ().encode())
RELEASE_RP = A_RELEASE_RP().kept(A_RELEASE_RP().encode())


def recognise(data: bytes) -> PDU:
    """Return the PDU that `data` is, as `decode_pdu` does; one like an earlier one is that.

    It must not be changed then, see `PDU.for_user`. What tells who a user is, is not kept.
    """
    pdu = _kept.get(data)
    if pdu is None:
        pdu = decode_pdu(data)
        if len(data) <= _LONGEST and isinstance(pdu, _OFTEN) and not _is_secret(pdu):
            if len(_kept) >= _LIMIT:
                _kept.clear()
            _kept[data] = pdu.kept(data)
    return pdu


def _is_secret(pdu: PDU) -> bool:
    """Whether there may be a passcode in it."""
    said = vars(pdu)
    return bool(said.get("unknown_items")) or any(
        isinstance(item, items.UserIdentityNegotiation) for item in said.get("user_information", ())
    )
