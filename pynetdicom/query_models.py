"""The query models of C-FIND, C-GET and C-MOVE: UIDs, and the letters of pynetdicom 1.x."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pynetdicom.uids import abstract_syntax_uid

_ROOT = "1.2.840.10008.5.1.4."
OPERATIONS = ("C-FIND", "C-MOVE", "C-GET")
_LETTERS: dict[str, tuple[str, str, str]] = {
    # query model of 1.x: what C-FIND, C-MOVE and C-GET stand for, without root
    "P": ("1.2.1.1", "1.2.1.2", "1.2.1.3"),  # patient root
    "S": ("1.2.2.1", "1.2.2.2", "1.2.2.3"),  # study root
    "O": ("1.2.3.1", "1.2.3.2", "1.2.3.3"),  # patient/study only
    "C": ("37.3", "1.2.4.2", "1.2.4.3"),  # cardiac relevant patient; composite instance root
    "CB": ("", "", "1.2.5.3"),  # composite instance without bulk data
    "W": ("31", "", ""),  # modality worklist
    "G": ("37.1", "", ""),  # general relevant patient
    "B": ("37.2", "", ""),  # breast imaging relevant patient
    "PC": ("41", "", ""),  # product characteristics
    "SA": ("42", "", ""),  # substance approval
    "H": ("38.2", "38.3", "38.4"),  # hanging protocol
    "D": ("20.1", "20.2", "20.3"),  # defined procedure protocol
    "CP": ("39.2", "39.3", "39.4"),  # color palette
    "IG": ("43.2", "43.3", "43.4"),  # generic implant template
    "IA": ("44.2", "44.3", "44.4"),  # implant assembly template
    "IT": ("45.2", "45.3", "45.4"),  # implant template group
}


def query_model_uid(operation: str, query_model: str | None) -> str:
    """The SOP Class UID of a query model.

    Parameters
    ----------
    operation : {'C-FIND', 'C-GET', 'C-MOVE'}
    query_model : str or None
        A UID, a keyword, or one of the letters of pynetdicom 1.x; None for ``"P"``.

    Raises
    ------
    ValueError
        There is no such letter for that operation, or no such keyword.
    """
    if query_model is None:
        query_model = "P"
    if not isinstance(query_model, str):
        raise TypeError(f"'query_model' must be a str, not {type(query_model).__name__}")
    if not is_known(operation, query_model):
        column = OPERATIONS.index(operation)
        known = ", ".join(letter for letter, uids in _LETTERS.items() if uids[column])
        raise ValueError(
            f"{query_model!r} is not a query model of {operation}: it is a UID, a keyword or one of"
            f" {known}"
        )
    if len(query_model) > 2:
        return abstract_syntax_uid(query_model, "query_model")
    return _ROOT + _LETTERS[query_model][OPERATIONS.index(operation)]


def is_known(operation: str, query_model: str) -> bool:
    """Whether it is a UID, or a letter that stands for something with that operation."""
    if len(query_model) > 2:
        return True
    return bool(_LETTERS.get(query_model, ("", "", ""))[OPERATIONS.index(operation)])


def arranged(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[str | None, int | None, int]:
    """Query model, Message ID and priority, whichever generation's order they are in."""
    names = ("query_model", "msg_id", "priority")
    if (args and isinstance(args[0], int)) or any(isinstance(value, str) for value in args[1:]):
        names = ("msg_id", "priority", "query_model")
    if len(args) > len(names):
        raise TypeError(f"{name} takes no more than {', '.join(names)} beside the identifier")
    given = dict(zip(names, args, strict=False))
    for keyword, value in kwargs.items():
        if keyword not in names:
            raise TypeError(f"{name} got an unexpected keyword argument {keyword!r}")
        if keyword in given:
            raise TypeError(f"{name} got multiple values for argument {keyword!r}")
        given[keyword] = value
    return given.get("query_model"), given.get("msg_id"), given.get("priority", 2)
