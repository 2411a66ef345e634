"""PDUs and messages by name, with defaults for what a script does not say."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pynetdicom.data_sets.data_set import EncodedDataSet, InMemory, encode_dataset
from pynetdicom.dimse.decoding import decode_command
from pynetdicom.dimse.messages import fragments
from pynetdicom.dimse.primitives import OPERATIONS, Primitive
from pynetdicom.errors import DIMSEDecodeError
from pynetdicom.upper_layer import items
from pynetdicom.upper_layer import pdu as pdus

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
IMPLEMENTATION = "2.25.1302072364186327157"
"""The implementation class of what the kit says."""

Context = str | tuple[str, Sequence[str]]
"""An abstract syntax, or one and the transfer syntaxes that go with it."""

MessageName = Literal[
    "C-STORE-RQ", "C-STORE-RSP", "C-FIND-RQ", "C-FIND-RSP", "C-GET-RQ", "C-GET-RSP",
    "C-MOVE-RQ", "C-MOVE-RSP", "C-ECHO-RQ", "C-ECHO-RSP", "C-CANCEL-RQ",
    "N-EVENT-REPORT-RQ", "N-EVENT-REPORT-RSP", "N-GET-RQ", "N-GET-RSP", "N-SET-RQ", "N-SET-RSP",
    "N-ACTION-RQ", "N-ACTION-RSP", "N-CREATE-RQ", "N-CREATE-RSP", "N-DELETE-RQ", "N-DELETE-RSP",
]  # fmt: skip

PDU_NAMES = {cls.name: cls for cls in pdus.PDU_TYPES.values()}
OPERATION_NAMES = {cls.name: cls for cls in OPERATIONS}


class Message(NamedTuple):
    """A DIMSE message that came.

    Attributes
    ----------
    context_id : int
    primitive : Primitive
        Its command set; the elements are its attributes.
    data : bytes or None
        The encoded data set.
    transfer_syntax : str
        How that is encoded.
    """

    context_id: int
    primitive: Primitive
    data: bytes | None = None
    transfer_syntax: str = IMPLICIT_VR_LITTLE_ENDIAN

    @property
    def name(self) -> str:
        """Such as ``"C-STORE-RQ"``."""
        return self.primitive.message_name

    @property
    def dataset(self) -> Dataset | None:
        """The decoded data set, if there is one."""
        if self.data is None:
            return None
        return InMemory(self.data, self.transfer_syntax).decode()


class Joining:
    """A message whose fragments come one after another.

    Attributes
    ----------
    primitive : Primitive or None
        The command set, when all of it is there.
    """

    def __init__(self) -> None:
        self.context_id = 0
        self.primitive: Primitive | None = None
        self.command = bytearray()
        self.data = bytearray()

    def take(self, pdv: Any) -> bool:
        """Take a fragment; whether it is the last."""
        self.context_id = pdv.context_id
        is_last = bool(pdv.control & 2)
        if not pdv.control & 1:
            if self.primitive is None:
                raise DIMSEDecodeError("a data set before the command set that it belongs to")
            self.data += pdv.data
            return is_last
        self.command += pdv.data
        if is_last:
            self.primitive = decode_command(bytes(self.command))
        return self.primitive is not None and not self.primitive.has_data_set


def user_information(maximum_length: int, more: Iterable[Any] = ()) -> list[Any]:
    """Give what both sides say of themselves."""
    return [
        items.MaximumLengthNotification(maximum_length_received=maximum_length),
        items.ImplementationClassUIDNotification(implementation_class_uid=IMPLEMENTATION),
        *more,
    ]


def association_request(
    contexts: Iterable[Context] = (VERIFICATION,),
    *,
    maximum_length: int = items.DEFAULT_MAX_LENGTH,
    user_items: Iterable[Any] = (),
    called_ae_title: str = "ANY-SCP",
    calling_ae_title: str = "PEER",
    **fields: Any,
) -> pdus.A_ASSOCIATE_RQ:
    """Make an A-ASSOCIATE-RQ that proposes contexts 1, 3, 5, …."""
    return pdus.A_ASSOCIATE_RQ(
        called_ae_title=called_ae_title,
        calling_ae_title=calling_ae_title,
        presentation_contexts=[
            _proposed(2 * number + 1, context) for number, context in enumerate(contexts)
        ],
        user_information=user_information(maximum_length, user_items),
        **fields,
    )


def _proposed(context_id: int, context: Context) -> items.PresentationContextRQ:
    abstract, transfer = (context, ()) if isinstance(context, str) else context
    return items.PresentationContextRQ(
        context_id=context_id,
        abstract_syntax=abstract,
        transfer_syntaxes=list(transfer) or [IMPLICIT_VR_LITTLE_ENDIAN],
    )


def acceptance(
    request: pdus.A_ASSOCIATE_RQ,
    *,
    contexts: Iterable[items.PresentationContextAC] | None = None,
    maximum_length: int = items.DEFAULT_MAX_LENGTH,
    user_items: Iterable[Any] = (),
    **fields: Any,
) -> pdus.A_ASSOCIATE_AC:
    """Make an A-ASSOCIATE-AC: all is accepted, each with what was proposed first."""
    if contexts is None:
        contexts = [answer(one.context_id, one.transfer_syntaxes[0]) for one in proposed(request)]
    return pdus.A_ASSOCIATE_AC(
        called_ae_title=request.called_ae_title,
        calling_ae_title=request.calling_ae_title,
        presentation_contexts=list(contexts),
        user_information=user_information(maximum_length, user_items),
        **fields,
    )


def proposed(request: pdus.A_ASSOCIATE_RQ) -> list[items.PresentationContextRQ]:
    """Give the contexts that a request proposes."""
    contexts: list[items.PresentationContextRQ] = list(request.presentation_contexts)
    return contexts


def answer(context_id: int, transfer_syntax: str, result: int = 0) -> items.PresentationContextAC:
    """Make the answer to a proposed context."""
    return items.PresentationContextAC(
        context_id=context_id, result=result, transfer_syntax=transfer_syntax
    )


def is_request(name: str) -> bool:
    """Whether it is the name of a message that has a Message ID of its own."""
    return name.removesuffix("-RQ") in OPERATION_NAMES and name != "C-CANCEL-RQ"


def named(
    name: str,
    request: pdus.A_ASSOCIATE_RQ | None,
    asked: Message | None,
    *args: Any,
    **fields: Any,
) -> pdus.PDU | Primitive:
    """Make a PDU or a message by its name.

    Parameters
    ----------
    name : str
    request : A_ASSOCIATE_RQ, optional
        What an A-ASSOCIATE-AC accepts.
    asked : Message, optional
        What a response answers.
    *args, **fields
        What it says.
    """
    if name == "A-ASSOCIATE-RQ":
        return association_request(*args, **fields)
    if name == "A-ASSOCIATE-AC":
        if request is None:
            raise ValueError("no A-ASSOCIATE-RQ came that could be accepted")
        return acceptance(request, *args, **fields)
    if name in PDU_NAMES:
        return PDU_NAMES[name](**fields)
    operation, _, kind = name.rpartition("-")
    if operation not in OPERATION_NAMES or kind not in ("RQ", "RSP"):
        known = (*PDU_NAMES, *(f"{one}-RQ" for one in OPERATION_NAMES))
        raise ValueError(f"{name} is none of {', '.join(known)}, and no -RSP")
    if kind == "RSP":
        if asked is None or asked.primitive.name != operation:
            raise ValueError(f"no {operation}-RQ came that could be answered")
        return asked.primitive.response(fields.pop("Status", 0x0000), **fields)
    usage = OPERATION_NAMES[operation].parameters
    if usage.get("Priority", ("-",))[0] == "M":
        fields.setdefault("Priority", 0)
    if operation == "C-ECHO":
        fields.setdefault("AffectedSOPClassUID", VERIFICATION)
    return OPERATION_NAMES[operation](**fields)


def user_item(pdu: Any, kind: type[Any]) -> Any:
    """Give an item of the user information, or None."""
    return next((item for item in pdu.user_information if isinstance(item, kind)), None)


def limit_of(pdu: Any) -> int:
    """Give the maximum length that the sender of an A-ASSOCIATE PDU takes, 0 for no limit."""
    item = user_item(pdu, items.MaximumLengthNotification)
    return item.maximum_length_received if item is not None else 0


def encoded(data_set: Any, transfer_syntax: str) -> EncodedDataSet:
    """Give a data set, or bytes that need not be one, as they are sent."""
    if isinstance(data_set, EncodedDataSet):
        return data_set
    if isinstance(data_set, bytes):
        return InMemory(data_set, transfer_syntax)
    return encode_dataset(data_set, transfer_syntax)


def message(context_id: int, primitive: Primitive, maximum_length: int) -> bytes:
    """Give a message as P-DATA-TF PDUs."""
    batches = fragments(context_id, primitive.encode(), primitive.data_set, maximum_length)
    return b"".join(b"".join(batch) for batch in batches)


def pdv(context_id: int, control: int, data: bytes) -> bytes:
    """Give a presentation data value; `control`: 1 command, 2 last fragment."""
    return struct.pack(">IBB", len(data) + 2, context_id, control) + data


def p_data(*pdvs: bytes) -> bytes:
    """Give a P-DATA-TF PDU of some PDVs."""
    body = b"".join(pdvs)
    return struct.pack(">BxI", 4, len(body)) + body


def described(data: bytes) -> str:
    """Say what a PDU is, without what may be of a patient."""
    cls = pdus.PDU_TYPES.get(data[0])
    if cls is None:
        return f"a PDU of the unknown type 0x{data[0]:02X}"
    if data[0] in (3, 7):
        fields = zip(("result", "source", "reason"), data[7:10], strict=True)
        shown = [f"{name} {value}" for name, value in fields if data[0] == 3 or name != "result"]
        return f"{cls.name} ({', '.join(shown)})"
    return cls.name
