"""The identifier of a query, from a file and from keys such as ``PatientName=Doe*``.

In: the arguments of ``-k`` and ``-f``. Out: a data set; `WrongKey` for what cannot be one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from pynetdicom.data_sets.character_sets import Declared, NotInCharacterSet, declared, encode_text

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# An element in a path: a keyword or a tag, and which item if it is a sequence.
_STEP = re.compile(
    r"(?:(?P<keyword>[A-Za-z][A-Za-z0-9]*)"
    r"|(?P<open>\()?(?P<group>[0-9A-Fa-f]{4}),\s*(?P<element>[0-9A-Fa-f]{4})(?(open)\)))"
    r"(?:\[(?P<item>[0-9]{1,4})\])?"
)
_INTEGERS = {
    "US": range(1 << 16),
    "SS": range(-1 << 15, 1 << 15),
    "UL": range(1 << 32),
    "SL": range(-1 << 31, 1 << 31),
    "UV": range(1 << 64),
    "SV": range(-1 << 63, 1 << 63),
}
_DECIMALS = frozenset({"FL", "FD"})
_BYTES = frozenset({"OB", "OW", "OF", "OD", "OL", "OV"})
# These have one value, in which a backslash is a character (PS3.5 6.2).
_ONE_VALUE = frozenset({"ST", "LT", "UT", "UR"})
_UNICODE = "ISO_IR 192"


class WrongKey(ValueError):
    """A key, or a file of keys, that cannot be one; its text says why."""


class Step(NamedTuple):
    """One element on the way to a key.

    Attributes
    ----------
    item : int or None
        Which item of the sequence, from 0.
    """

    tag: int
    vr: str
    item: int | None


class Key(NamedTuple):
    """A key: where it is, and its value."""

    path: tuple[Step, ...]
    value: str


def parse_key(text: str) -> Key:
    """Read a key: ``Keyword=value``, ``(gggg,eeee)=value``, ``Sequence[0].Keyword=value``.

    The parentheses may be left out.

    Without ``=`` the value is empty: it is asked for.
    """
    left, _, value = text.partition("=")
    steps = tuple(_parse_steps(text, left.strip()))
    last = steps[-1]
    if last.item is None and last.vr == "SQ" and value:
        raise WrongKey(f"{text!r}: a sequence has no value, but items: use NAME[0].KEYWORD=value")
    if last.item is not None and value:
        raise WrongKey(f"{text!r}: an item has no value, but elements: use NAME[0].KEYWORD=value")
    return Key(steps, value)


def _parse_steps(text: str, left: str) -> Iterable[Step]:
    position = 0
    while True:
        found = _STEP.match(left, position)
        if found is None:
            raise WrongKey(
                f"{text!r} is not a key: use KEYWORD=value, (gggg,eeee)=value or"
                " SEQUENCE[0].KEYWORD=value"
            )
        position = found.end()
        step = _step(text, found)
        yield step
        if position == len(left):
            return
        if left[position] != ".":
            raise WrongKey(f"{text!r} is not a key: what does {left[position:]!r} mean?")
        if step.item is None:
            raise WrongKey(f"{text!r}: which item of {found[0]}? The first one is {found[0]}[0]")
        position += 1


def _step(text: str, found: re.Match[str]) -> Step:
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    if found["keyword"]:
        tag = tag_for_keyword(found["keyword"])
        if tag is None:
            raise WrongKey(f"{text!r}: there is no element {found['keyword']!r}")
    else:
        tag = int(found["group"] + found["element"], 16)
    # Command and file meta information, items of sequences, group lengths.
    if tag >> 16 in (0x0000, 0x0002, 0xFFFE) or tag & 0xFFFF == 0:
        raise WrongKey(f"{text!r}: {found[0]} cannot be in an identifier")
    try:
        vr = dictionary_VR(tag).split(" ")[0]  # "US or SS": the first one is as good
    except KeyError:
        vr = "LO" if tag & 0x1FF00 == 0x10000 else "UN"  # a private creator; or who knows
    item = None if found["item"] is None else int(found["item"])
    if item is not None and vr != "SQ":
        raise WrongKey(f"{text!r}: {found[0].partition('[')[0]} is not a sequence")
    return Step(tag, vr, item)


def apply_key(query: Dataset, key: Key) -> None:
    """Put a key into an identifier, in the place of what is there."""
    from pydicom import config
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    place = query
    for step in key.path:
        if step.item is None:
            value = Sequence() if step.vr == "SQ" else _value(step, key.value)
            # A range or a wild card is no valid value of its VR, except in a query.
            place[step.tag] = DataElement(step.tag, step.vr, value, validation_mode=config.IGNORE)
            return
        if step.tag not in place:
            place[step.tag] = DataElement(step.tag, "SQ", Sequence())
        items = place[step.tag].value
        if step.item > len(items):
            raise WrongKey(f"{_name(step)}[{step.item}]: the item before it is missing")
        if step.item == len(items):
            items.append(Dataset())
        place = items[step.item]


def _name(step: Step) -> str:
    from pydicom.datadict import keyword_for_tag

    return keyword_for_tag(step.tag) or f"({step.tag >> 16:04x},{step.tag & 0xFFFF:04x})"


def _value(step: Step, text: str) -> Any:
    if not text:
        return None
    values: list[Any] = [text] if step.vr in _ONE_VALUE else text.split("\\")
    try:
        if step.vr in _BYTES:
            raise ValueError("binary values cannot be asked for")
        if step.vr == "UN":
            return text.encode("ascii") + b" " * (len(text) % 2)
        if step.vr in _INTEGERS:
            values = [int(value) for value in values]
            if not all(value in _INTEGERS[step.vr] for value in values):
                raise WrongKey(f"{_name(step)}={text}: out of range")
        elif step.vr in _DECIMALS or step.vr in ("DS", "IS"):
            for value in values:
                float(value)
            if step.vr in _DECIMALS:
                values = [float(value) for value in values]
        elif step.vr == "AT":
            values = [int(value.strip("()").replace(",", ""), 16) for value in values]
    except WrongKey:
        raise
    except ValueError as error:
        if step.vr in _BYTES:
            reason = str(error)
        elif step.vr == "UN":
            reason = "not ASCII, in an element that is not in the dictionary"
        else:
            reason = "not a number" if step.vr != "AT" else "not a tag"
        raise WrongKey(f"{_name(step)}={text}: {reason}") from None
    return values[0] if len(values) == 1 else values


def read_query(path: str) -> Dataset:
    """Read a file with an identifier: DICOM JSON if its name ends in .json, or DICOM.

    DICOM with a preamble and meta information, or without.
    """
    if path.endswith(".json"):
        return _read_json(path)
    from pydicom import dcmread
    from pydicom.datadict import dictionary_has_tag
    from pydicom.dataset import Dataset
    from pydicom.errors import InvalidDicomError

    query = Dataset()
    try:
        try:
            found, is_sure = dcmread(path), True
        except InvalidDicomError:
            found, is_sure = dcmread(path, force=True), False
        for element in found:
            if not is_sure and not (dictionary_has_tag(element.tag) or element.tag.is_private):
                raise WrongKey(f"{path}: not a DICOM file")
            if element.tag.group > 2 and element.tag.element != 0:
                query.add(element)
    except WrongKey:
        raise
    except OSError as error:
        raise WrongKey(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # whatever pydicom makes of a file that is something else
        raise WrongKey(f"{path}: not a DICOM file: {type(error).__name__}") from None
    if not query:
        raise WrongKey(f"{path}: there are no keys in this file")
    return query


def _read_json(path: str) -> Dataset:
    """Read a data set of DICOM JSON (PS3.18 F); or an array of it, which PS3.18 has them in."""
    import json

    from pydicom.dataset import Dataset

    try:
        with open(path, encoding="utf-8-sig") as file:
            found = json.load(file)
        if isinstance(found, list) and len(found) == 1:
            found = found[0]
        if not isinstance(found, dict):
            raise WrongKey(f"{path}: not one data set of DICOM JSON")
        return Dataset.from_json(found)
    except WrongKey:
        raise
    except OSError as error:
        raise WrongKey(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # as above
        raise WrongKey(f"{path}: not DICOM JSON: {type(error).__name__}") from None


def make_query(path: str | None, keys: Iterable[str], usual: Iterable[str] = ()) -> Dataset:
    """Make an identifier of a file, and of keys, which go before what the file says.

    What is `usual` is asked for where neither says anything.

    Raises
    ------
    WrongKey
        Why it cannot be made.
    """
    from pydicom.dataset import Dataset

    query = Dataset()
    for text in usual:
        apply_key(query, parse_key(text))
    if path is not None:
        query.update(read_query(path))
    for text in keys:
        key = parse_key(text)
        try:
            apply_key(query, key)
        except WrongKey:
            raise
        except (ValueError, TypeError, OverflowError) as error:
            raise WrongKey(f"{text!r}: {error}") from None
    _choose_character_set(query)
    return query


def _choose_character_set(query: Dataset) -> None:
    """Name a character set that has all characters of an identifier."""
    texts = list(_texts(query))
    if all(text.isascii() for text in texts):
        return
    named = query.get("SpecificCharacterSet")
    if not named:
        query.SpecificCharacterSet = _UNICODE
        return
    character_set = declared(named)
    for text in texts:
        for char in text:
            if not _has(character_set, char):
                raise WrongKey(f"{char!r} is not in the Specific Character Set {named}")


def _has(character_set: Declared, char: str) -> bool:
    try:
        encode_text(char, character_set)
    except NotInCharacterSet:
        return False
    return True


def _texts(query: Dataset) -> Iterable[str]:
    for element in query.iterall():
        if element.VR in ("SH", "LO", "PN", "UC", "ST", "LT", "UT") and element.value:
            values = element.value
            for value in [values] if isinstance(values, str) else _listed(values):
                yield str(value)


def _listed(values: Any) -> Iterable[Any]:
    return values if isinstance(values, list) or hasattr(values, "append") else [values]
