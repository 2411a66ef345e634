"""The status of a response as the data set that callers get, made without pydicom's checks.

To import it is to import pydicom.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydicom.config import IGNORE
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from pynetdicom.association.response_dataset import ResponseDataset

if TYPE_CHECKING:
    from pydicom.uid import UID

    from pynetdicom.dimse.primitives import Primitive

_STATUS = Tag(0x0000, 0x0900)
_OTHERS = {
    "OffendingElement": (0x00000901, "AT"),
    "ErrorComment": (0x00000902, "LO"),
    "ErrorID": (0x00000903, "US"),
    "NumberOfRemainingSuboperations": (0x00001020, "US"),
    "NumberOfCompletedSuboperations": (0x00001021, "US"),
    "NumberOfFailedSuboperations": (0x00001022, "US"),
    "NumberOfWarningSuboperations": (0x00001023, "US"),
}
# What else goes with the status of an N-service (PS3.7 Annex C).
_OF_N_SERVICES = {
    **_OTHERS,
    "AffectedSOPClassUID": (0x00000002, "UI"),
    "AffectedSOPInstanceUID": (0x00001000, "UI"),
    "EventTypeID": (0x00001002, "US"),
    "AttributeIdentifierList": (0x00001005, "AT"),
    "ActionTypeID": (0x00001008, "US"),
}


class ResponseStatus(ResponseDataset):
    """The status of a response: a data set of its status elements.

    What the peer has not said is not there, as in any data set: ``status.get("ErrorComment")``
    is None then. Without a response it is empty.

    Attributes
    ----------
    message_id : int
        The Message ID of the request.
    problem : str or None
        Why there is no response, or no data set with it, where there should be.
    """

    message_id: int
    problem: str | None = None

    if TYPE_CHECKING:  # what it may have
        ErrorComment: str
        ErrorID: int
        OffendingElement: Any
        NumberOfRemainingSuboperations: int
        NumberOfCompletedSuboperations: int
        NumberOfFailedSuboperations: int
        NumberOfWarningSuboperations: int
        AffectedSOPClassUID: UID
        AffectedSOPInstanceUID: UID
        EventTypeID: int
        ActionTypeID: int
        AttributeIdentifierList: Any

    # Quick to read: everybody does that.
    @property
    def Status(self) -> int:
        """The status code (0000,0900)."""
        element = self._dict.get(_STATUS)
        if type(element) is RawDataElement and element.value:
            return int.from_bytes(element.value, "little")
        if element is None:
            raise AttributeError("there is no Status: there was no response")
        code: int = self[_STATUS].value
        return code


_FIELDS = vars(Dataset())
# What can be changed must be each one's own.
_CONTAINERS = [(name, type(v)) for name, v in _FIELDS.items() if isinstance(v, (dict, list, set))]


def to_status(response: Primitive | None, message_id: int) -> ResponseStatus:
    """The status of a response as a data set; empty when there was no response."""
    status = ResponseStatus.__new__(ResponseStatus)
    own = status.__dict__
    own.update(_FIELDS)
    for name, container in _CONTAINERS:
        own[name] = container()
    if response is not None:
        values = response.__dict__
        own["_dict"] = _raw_status(values["Status"]).copy()
        others = _OF_N_SERVICES if response.name.startswith("N-") else _OTHERS
        for keyword in others.keys() & values.keys():
            if values[keyword] is not None:
                _add(status, keyword, values[keyword])
    own["message_id"] = message_id
    return status


def _add(status: Dataset, keyword: str, value: Any) -> None:
    tag, vr = _OF_N_SERVICES[keyword]
    # The peer's own words, whatever they are.
    status[tag] = DataElement(tag, vr, value, validation_mode=IGNORE)


@lru_cache
def _raw_status(code: int) -> dict[Any, Any]:
    """A Status element that pydicom decodes when it is asked for, which few are."""
    return {_STATUS: RawDataElement(_STATUS, "US", 2, code.to_bytes(2, "little"), 0, True, True)}
