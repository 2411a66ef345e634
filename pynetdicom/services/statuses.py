"""The status tables of PS3.4 and PS3.7 Annex C.

A row is a code, or the first and last code of a range, and its meaning. The category of a code
is the same in every table, so no row has one. A code stands after the range that contains it. The
dicts that scripts know are made from the rows when asked for.
"""

from __future__ import annotations

import operator
from functools import cache
from typing import Any, Final

SUCCESS: Final = "Success"
PENDING: Final = "Pending"
CANCEL: Final = "Cancel"
WARNING: Final = "Warning"
FAILURE: Final = "Failure"
UNKNOWN: Final = "Unknown"

StatusDict = dict[int, tuple[str, str]]
"""Code → (category, meaning)."""

Rows = dict[int | tuple[int, int], str]

_GENERAL: Rows = {
    0x0000: "",
    0x0105: "No such attribute",
    0x0106: "Invalid attribute value",
    0x0107: "Attribute list error",
    0x0110: "Processing failure",
    0x0111: "Duplicate SOP Instance",
    0x0112: "No such SOP Instance",
    0x0113: "No such event type",
    0x0114: "No such argument",
    0x0115: "Invalid argument value",
    0x0116: "Attribute value out of range",
    0x0117: "Invalid SOP Instance",
    0x0118: "No such SOP Class",
    0x0119: "Class-instance conflict",
    0x0120: "Missing attribute",
    0x0121: "Missing attribute value",
    0x0122: "Refused: SOP Class not supported",
    0x0123: "No such action type",
    0x0124: "Refused: not authorized",
    0x0210: "Duplicate invocation",
    0x0211: "Unrecognized operation",
    0x0212: "Mistyped argument",
    0x0213: "Resource limitation",
    0xFE00: "",
}

_NO_RESOURCES = "Refused: out of resources"
_IDENTIFIER_MISMATCH = "The identifier does not match the SOP Class"
_DATA_SET_MISMATCH = "The data set does not match the SOP Class"
_UNABLE = "Unable to process"
_OPTIONAL_ATTRIBUTES = "Requested optional attributes are not supported"
_MATCH = "A match; matching goes on"

# PS3.4 C.4.1.1.4 and the query services that are defined after it
_FIND: Rows = {
    0xA700: _NO_RESOURCES,
    0xA900: _IDENTIFIER_MISMATCH,
    (0xC000, 0xCFFF): _UNABLE,
    0xFF00: _MATCH,
    0xFF01: "A match; matching goes on, some optional keys are not supported",
}

# PS3.4 C.4.3.1.4
_GET: Rows = {
    0xA701: "Refused: out of resources, the matches cannot be counted",
    0xA702: "Refused: out of resources, the sub-operations cannot be performed",
    0xA900: _IDENTIFIER_MISMATCH,
    0xAA00: "None of the requested frames were found in the SOP Instance",
    0xAA01: "A new object of this SOP Class cannot be created",
    0xAA02: "The frames cannot be extracted",
    0xAA03: "Frames are requested by time of a SOP Instance that has none",
    0xAA04: "Invalid request",
    0xB000: "Sub-operations are complete, one or more failed",
    (0xC000, 0xCFFF): _UNABLE,
    0xFF00: "Sub-operations go on",
}

TABLES: dict[str, Rows] = {
    "GENERAL_STATUS": {},
    # PS3.4 P.2
    "APPLICATION_EVENT_LOGGING_SERVICE_CLASS_STATUS": {
        0xB101: "The Synchronization Frame of Reference UID is not the SCP's",
        0xB102: "Logged under another Study Instance UID",
        0xB104: "Logged; the IDs fit a current study only in part",
        0xC101: "No procedural logging for this Study Instance UID",
        0xC102: "The event information does not match the template",
        0xC103: "The event does not match a current study",
        0xC104: "Not logged; the IDs fit a current study only in part",
        0xC10E: "The operator may not write to the medication administration record",
        0xC110: "The patient cannot be identified from Patient ID or Admission ID",
        0xC111: "The medication administration record could not be updated",
    },
    # PS3.4 S.3.2
    "MEDIA_CREATION_MANAGEMENT_SERVICE_CLASS_STATUS": {
        0x0001: _OPTIONAL_ATTRIBUTES,
        0xA510: "Refused: media creation has already been initiated for this SOP Instance",
        0xC201: "The media creation request is already complete",
        0xC202: "The media creation request is in progress and cannot be interrupted",
        0xC203: "Cancellation denied",
    },
    # PS3.4 K.4.1.1.4
    "MODALITY_WORKLIST_SERVICE_CLASS_STATUS": _FIND,
    # PS3.4 GG.4
    "NON_PATIENT_SERVICE_CLASS_STATUS": {
        0xA700: _NO_RESOURCES,
        0xA900: _DATA_SET_MISMATCH,
        0xC000: "Cannot understand",
    },
    # PS3.4 H.4
    "PRINT_JOB_MANAGEMENT_SERVICE_CLASS_STATUS": {
        0xB600: "Memory allocation is not supported",
        0xB601: "Printing of a film session (collation) is not supported",
        0xB602: "The film session has no image box with an image: empty page",
        0xB603: "The film box has no image box with an image: empty page",
        0xB604: "The image is larger than the image box and was demagnified",
        0xB605: "Min or max density is beyond the printer's range; its own is used",
        0xB609: "The image is larger than the image box and was cropped",
        0xB60A: "The image is larger than the image box and was decimated",
        0xC600: "The film session has no film box",
        0xC601: "No print job could be created for the film session: the print queue is full",
        0xC602: "No print job could be created for the film box: the print queue is full",
        0xC603: "The image is larger than the image box",
        0xC605: "The printer has not enough memory for the image",
        0xC613: "The combined print image is larger than the image box",
        0xC616: "A film box is not printed yet, and printing of a film session is not supported",
    },
    # PS3.4 F.7 to F.9
    "PROCEDURE_STEP_STATUS": {0x0001: _OPTIONAL_ATTRIBUTES},
    "QR_FIND_SERVICE_CLASS_STATUS": {
        **_FIND,
        0xA710: "Invalid prior record key",
        0xB001: "The limit of responses is reached; a further request may find more",
    },
    "QR_GET_SERVICE_CLASS_STATUS": _GET,
    # PS3.4 C.4.2.1.5
    "QR_MOVE_SERVICE_CLASS_STATUS": {**_GET, 0xA801: "Refused: move destination unknown"},
    # PS3.4 Q.2.1.1.4
    "RELEVANT_PATIENT_SERVICE_CLASS_STATUS": {
        0xA700: _NO_RESOURCES,
        0xA900: _IDENTIFIER_MISMATCH,
        0xC000: _UNABLE,
        0xC100: "More than one match",
        0xC200: "The requested template is not supported",
        0xFF00: _MATCH,
    },
    # PS3.4 DD.3.2
    "RT_MACHINE_VERIFICATION_SERVICE_CLASS_STATUS": {
        0xC112: "No such machine verification instance",
        0xC221: "The plan has no such fraction group",
        0xC222: "The fraction group has no beams",
        0xC223: "The SCP is busy verifying",
        0xC224: "The fraction group has no such beam",
        0xC225: "The device or accessory is not supported",
        0xC226: "The beam has no such device or accessory",
        0xC227: "No such RT plan",
    },
    "STORAGE_COMMITMENT_SERVICE_CLASS_STATUS": {},
    # PS3.4 KK.2.2
    "STORAGE_MANAGEMENT_SERVICE_CLASS_STATUS": {
        0xB010: "One or more key attributes are not supported for matching",
    },
    # PS3.4 B.2.3
    "STORAGE_SERVICE_CLASS_STATUS": {
        (0xA700, 0xA7FF): _NO_RESOURCES,
        (0xA900, 0xA9FF): _DATA_SET_MISMATCH,
        0xB000: "Coercion of data elements",
        0xB006: "Elements discarded",
        0xB007: _DATA_SET_MISMATCH,
        (0xC000, 0xCFFF): "Cannot understand",
    },
    # PS3.4 V.4.1.1.4
    "SUBSTANCE_ADMINISTRATION_SERVICE_CLASS_STATUS": _FIND,
    # PS3.4 CC.2
    "UNIFIED_PROCEDURE_STEP_SERVICE_CLASS_STATUS": {
        **_FIND,
        0x0001: _OPTIONAL_ATTRIBUTES,
        0xB300: "The UPS was created with modifications",
        0xB301: "The deletion lock was not granted",
        0xB304: "The UPS is already CANCELED",
        0xB305: "Invalid values were coerced to valid ones",
        0xB306: "The UPS is already COMPLETED",
        0xC300: "The UPS may no longer be updated",
        0xC301: "The Transaction UID is not the right one",
        0xC302: "The UPS is already IN PROGRESS",
        0xC303: "A UPS becomes SCHEDULED by N-CREATE only",
        0xC304: "The UPS does not meet the requirements of the final state",
        0xC307: "No such UPS is managed by this SCP",
        0xC308: "The receiving AE title is unknown to this SCP",
        0xC309: "The UPS state given is not SCHEDULED",
        0xC310: "The UPS is not yet IN PROGRESS",
        0xC311: "The UPS is already COMPLETED",
        0xC312: "The performer cannot be contacted",
        0xC313: "The performer chooses not to cancel",
        0xC314: "The action is not appropriate for this instance",
        0xC315: "The SCP does not support event reports",
    },
    "VERIFICATION_SERVICE_CLASS_STATUS": {},
}


def to_code(value: Any) -> int | None:
    """Return the status code that `value` is; None where it is none.

    Anything that counts as an integer will do, also one of numpy's; a bool does not.
    """
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def code_to_category(code: int) -> str:
    """Return the category of a status code.

    Returns
    -------
    str
        ``'Success'``, ``'Pending'``, ``'Cancel'``, ``'Warning'``, ``'Failure'`` or ``'Unknown'``.

    Raises
    ------
    ValueError
        If `code` is not an int of 0 or more (PS3.7 Annex C).
    """
    given = to_code(code)
    if given is None or given < 0:
        raise ValueError(f"a status code is an int of 0 or more, not {code!r}")
    if code == 0x0000:
        return SUCCESS
    if code in (0xFF00, 0xFF01):
        return PENDING
    if code == 0xFE00:
        return CANCEL
    if code in (0x0001, 0x0107, 0x0116) or 0xB000 <= code <= 0xBFFF:
        return WARNING
    if code in _GENERAL or 0xA000 <= code <= 0xAFFF or 0xC000 <= code <= 0xCFFF:
        return FAILURE
    return UNKNOWN


@cache
def status_dict(name: str) -> StatusDict:
    """Return the table `name` of `TABLES` and the general statuses, one entry a code."""
    result: StatusDict = {}
    for codes, text in (_GENERAL | TABLES[name]).items():
        first, last = codes if isinstance(codes, tuple) else (codes, codes)
        for code in range(first, last + 1):
            result[code] = (code_to_category(code), text)
    return result
