"""The levels of the Query/Retrieve information models (PS3.4 C.6).

What is checked here can be told without knowing what a handler is able to do: that the level that a
request names is one of the model's. Whether there has to be one, and which keys, depends on whether
the handler takes relational queries, so that is the handler's to check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pynetdicom.errors import DataSetDecodeError
from pynetdicom.uids import ROOT

if TYPE_CHECKING:
    from pynetdicom.data_sets.data_set import EncodedDataSet

QUERY_RETRIEVE_LEVEL = 0x00080052

LEVELS: dict[str, tuple[str, ...]] = {
    ROOT + "5.1.4.1.2.1": ("PATIENT", "STUDY", "SERIES", "IMAGE"),  # Patient Root
    ROOT + "5.1.4.1.2.2": ("STUDY", "SERIES", "IMAGE"),  # Study Root
    ROOT + "5.1.4.1.2.3": ("PATIENT", "STUDY"),  # Patient/Study Only
}
"""The Query/Retrieve Levels of the information models, from the top (PS3.4 C.6.1 to C.6.3).

The UIDs of a model's SOP Classes are that of the model and one more number.
"""


def problem_of_level(sop_class: str, identifier: EncodedDataSet | None) -> str:
    """Why an identifier does not match its SOP Class, as far as its level goes; empty if it does.

    One without level is the handler's to judge. An identifier that does not decode is left to
    whoever decodes it.
    """
    levels = LEVELS.get(sop_class.rpartition(".")[0])
    if levels is None or identifier is None:
        return ""
    try:
        level = identifier.text(QUERY_RETRIEVE_LEVEL).upper()
    except (DataSetDecodeError, OSError):
        return ""
    if level and level not in levels:
        return f"Query/Retrieve Level is none of {', '.join(levels)}"
    return ""
