"""Values that are none of their VR, so that the rest of a match can be shown all the same.

In: a match as it came. Out: the same, with each value that cannot be shown as its bytes, and
marked as such.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

MAXIMUM_DEPTH = 64
_TEXT_VRS = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
_ASCII_VRS = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"))
_REPLACED = "\ufffd"

Test = Callable[["DataElement"], object]
"""Shows an element that is no sequence; raises whatever it likes if that cannot be done."""

Make = Callable[[Any, str, bytes], "DataElement"]
"""Makes the element that stands for one that cannot be shown, of its tag, VR and bytes."""


def for_json(match: Dataset) -> None:
    """Have what JSON cannot say as bytes of VR OB."""
    _mend(match, _as_json, _as_bytes, 0)


def for_text(match: Dataset) -> None:
    """Have what cannot be shown as a text that says that it is bytes."""
    _mend(match, _as_text, _told, 0)


def for_file(match: Dataset) -> None:
    """Have what cannot be encoded as bytes of VR OB."""
    _mend(match, _as_file, _as_bytes, 0)


def _mend(match: Dataset, test: Test, make: Make, depth: int) -> None:
    character_sets = _declared(match)
    for tag in sorted(match.keys()):
        raw: Any = match.get_item(tag)
        try:
            element = match[tag]
            if element.VR == "SQ" and depth < MAXIMUM_DEPTH and _has_items(raw):
                for item in element.value or ():
                    _mend(item, test, make, depth + 1)
                continue
            test(element)
            _check(element, getattr(raw, "value", None), character_sets)
        except Exception:  # whatever pydicom makes of values that are none
            match[tag] = make(tag, _vr_of(tag, raw), _bytes_of(raw))


def _has_items(raw: Any) -> bool:
    """Whether a sequence is one; pydicom makes an empty item of any bytes. Raises if it is none."""
    from pynetdicom.data_sets.element_walk import UNDEFINED, is_sequence

    data = getattr(raw, "value", None)
    if isinstance(data, bytes) and data:
        little = raw.is_little_endian
        (length,) = struct.unpack_from("<I" if little else ">I", data, 4)
        is_cut_off = length != UNDEFINED and length > len(data) - 8
        if is_cut_off or not is_sequence(data, (raw.is_implicit_VR, little)):
            raise ValueError
    return True


def _declared(match: Dataset) -> list[str]:
    try:
        value: Any = match.get("SpecificCharacterSet") or ()
        return [value] if isinstance(value, str) else [str(one) for one in value]
    except Exception:  # which `_mend` will find
        return []


def _check(element: DataElement, data: object, character_sets: list[str]) -> None:
    """Raise if a value is not what its bytes stand for."""
    from pydicom.charset import python_encoding

    if not isinstance(data, bytes):
        return
    if element.is_empty and data.strip(b" \0"):
        raise ValueError
    if data.isascii():
        return
    if element.VR in _ASCII_VRS:
        raise UnicodeError
    if element.VR in _TEXT_VRS:
        is_known = all(term in python_encoding for term in character_sets)
        if not is_known or (_REPLACED in str(element.value) and _REPLACED.encode() not in data):
            raise UnicodeError


def _as_json(element: DataElement) -> None:
    json.dumps(element.to_json_dict(None, 0), allow_nan=False)
    if element.VR == "IS":  # of which pydicom leaves a fraction out
        for value in element.value if element.VM > 1 else [element.value]:
            int(str(value).strip() or 0)


def _as_text(element: DataElement) -> None:
    from pynetdicom.dsutils import pretty_element

    pretty_element(element)
    if element.VR in ("DS", "IS"):
        _as_json(element)


def _as_file(element: DataElement) -> None:
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_data_element

    target = DicomBytesIO()
    target.is_little_endian, target.is_implicit_VR = True, False
    write_data_element(target, element)


def _as_bytes(tag: Any, vr: str, data: bytes) -> DataElement:
    from pydicom.dataelem import DataElement

    # Not UN: readers, pydicom among them, try once more then what the dictionary says.
    return DataElement(tag, "OB", data + b"\0" * (len(data) % 2))


def _told(tag: Any, vr: str, data: bytes) -> DataElement:
    from pydicom.dataelem import DataElement

    element = DataElement(tag, "UT", f"{str(data)[1:]} (bytes, which are no {vr})")
    if vr != "SQ":  # or else it would be taken for one
        element.VR = vr
    return element


def _vr_of(tag: Any, raw: Any) -> str:
    from pydicom.datadict import dictionary_VR

    if raw.VR:
        return str(raw.VR)
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


def _bytes_of(raw: Any) -> bytes:
    value = getattr(raw, "value", raw)
    return value if isinstance(value, bytes) else str(value).encode()
