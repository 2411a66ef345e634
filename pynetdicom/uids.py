"""UIDs and their names: what a message calls a UID, and the UID that a keyword stands for.

UIDs and AE titles that a program gives are checked here, by `_config.VALIDATORS`.

The names are those of pydicom's UID dictionary, with what that lacks added. It takes as long to
import as hundreds of images take to send: nothing here loads it before a name is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache

from pynetdicom import _config
from pynetdicom._logging import printable

ROOT = "1.2.840.10008."
"""Root of all UIDs that the standard assigns (PS3.5 9.1)."""

_TS = "Transfer Syntax"
_SOP = "SOP Class"
_ABSTRACT = (_SOP, "Meta SOP Class", "Well-known SOP Instance")

ADDITIONS: tuple[tuple[str, str, str], ...] = (
    ("1.2.4.110", "JPEG XL Lossless", _TS),
    ("1.2.4.111", "JPEG XL JPEG Recompression", _TS),
    ("1.2.4.112", "JPEG XL", _TS),
    ("1.2.8.1", "Deflated Image Frame Compression", _TS),
    ("5.1.4.1.1.2.3", "CT Image Storage - For Processing", _SOP),
    ("5.1.4.1.1.2.4", "Enhanced CT Image Storage - For Processing", _SOP),
    ("5.1.4.1.1.2.5", "Legacy Converted Enhanced CT Image Storage - For Processing", _SOP),
    ("5.1.4.1.1.9.100.1", "Waveform Presentation State Storage", _SOP),
    ("5.1.4.1.1.9.100.2", "Waveform Acquisition Presentation State Storage", _SOP),
    ("5.1.4.1.1.66.7", "Label Map Segmentation Storage", _SOP),
    ("5.1.4.1.1.66.8", "Height Map Segmentation Storage", _SOP),
)
"""UID without root, name and type of what PS3.6 has and pydicom's dictionary lacked at 3.0.2."""


def _each(other: str, keyword: str, words: str) -> dict[str, str]:
    """Other names by their keywords, of patterns with a place for each of the words."""
    return {other.format(word): keyword.format(word) for word in words.split()}


_IMAGES = """
    BreastProjectionXRayImage DigitalIntraOralXRayImage DigitalMammographyXRayImage DigitalXRayImage
    IntravascularOpticalCoherenceTomographyImage
"""
# Other name → keyword in pydicom's UID dictionary.
# fmt: off
SPELLINGS = {
    # Those of version 2 and 3 that differ from PS3.6.
    **_each(
        "ColorPaletteInformationModel{}", "ColorPaletteQueryRetrieveInformationModel{}",
        "Find Get Move",
    ),
    "ModalityWorklistInformationFind": "ModalityWorklistInformationModelFind",
    "OphthlamicOpticalCoherenceTomographyBscanVolumeAnalysisStorage":
        "OphthalmicOpticalCoherenceTomographyBscanVolumeAnalysisStorage",
    "PseudoColorSoftcopyPresentationStageStorage": "PseudoColorSoftcopyPresentationStateStorage",
    "RTBrachyApplicationSetupDeliveryInstructionsStorage":
        "RTBrachyApplicationSetupDeliveryInstructionStorage",
    "RoboticArmRadiationRecordStorage": "RoboticRadiationRecordStorage",
    "VariableModalityLUTSoftcopyPresentationStageStorage":
        "VariableModalityLUTSoftcopyPresentationStateStorage",
}
ALIASES = {
    **SPELLINGS,
    # Names of versions 1.0 to 1.5.
    **_each("{}SOPClass", "{}", """
        BasicAnnotationBox BasicColorImageBox BasicColorPrintManagementMeta BasicFilmBox
        BasicFilmSession BasicGrayscaleImageBox BasicGrayscalePrintManagementMeta DisplaySystem
        InstanceAvailabilityNotification MediaCreationManagement ModalityPerformedProcedureStep
        ModalityPerformedProcedureStepNotification ModalityPerformedProcedureStepRetrieve
        PresentationLUT PrintJob Printer PrinterConfigurationRetrieval ProceduralEventLogging
        StorageCommitmentPushModel SubstanceAdministrationLogging UnifiedProcedureStepEvent
        UnifiedProcedureStepPull UnifiedProcedureStepPush UnifiedProcedureStepQuery
        UnifiedProcedureStepWatch Verification
    """),
    **_each("{}SOPInstance", "{}Instance", """
        DisplaySystem Printer PrinterConfigurationRetrieval ProceduralEventLogging
        StorageCommitmentPushModel SubstanceAdministrationLogging UPSFilteredGlobalSubscription
        UPSGlobalSubscription
    """),
    **_each("{}PresentationStorage", "{}StorageForPresentation", _IMAGES),
    **_each("{}ProcessingStorage", "{}StorageForProcessing", _IMAGES),
    **_each(
        "Multiframe{}SecondaryCaptureImageStorage", "MultiFrame{}SecondaryCaptureImageStorage",
        "GrayscaleByte GrayscaleWord SingleBit TrueColor",
    ),
    **_each("UnitedProcedureStep{}", "UnifiedProcedureStep{}", "Event Pull Push Watch"),
    **_each("{}InformationModelFind", "{}", "ProductCharacteristicsQuery SubstanceApprovalQuery"),
    "BasicColourImageBoxSOPClass": "BasicColorImageBox",
    "ImplantationPlanSRDocumentStorage": "ImplantationPlanSRStorage",
    "KeyObjectSelectionStorage": "KeyObjectSelectionDocumentStorage",
    "MacularGridThicknessAndVolumeReport": "MacularGridThicknessAndVolumeReportStorage",
    "OphthlamicOpticalCoherenceTomographyBScanVolumeAnalysisStorage":
        "OphthalmicOpticalCoherenceTomographyBscanVolumeAnalysisStorage",
    "PerformedImagingAgestAdministrationSRStorage": "PerformedImagingAgentAdministrationSRStorage",
    "ProcedureSRStorage": "ProcedureLogStorage",
    "PseudocolorSoftcopyPresentationStageStorage": "PseudoColorSoftcopyPresentationStateStorage",
    "UltrasoundMultiframeImageStorage": "UltrasoundMultiFrameImageStorage",
}
# fmt: on

Row = tuple[str, str, str, str, str]
"""A row of pydicom's dictionary: name, type, info, ``"Retired"`` or empty, keyword."""

registered: dict[str, str] = {}
"""Keyword → UID of what `register_uid` has made known."""
registrations: list[str] = []
"""The UIDs in the order in which that was done, each time."""

NUMERIC = frozenset("0123456789.")
_DEFAULT_VALIDATORS = dict(_config.VALIDATORS)


@cache
def uid_dictionary() -> dict[str, Row]:
    """Return pydicom's UID dictionary, with what it lacks added, so that ``UID(…).name`` works."""
    from pydicom._uid_dict import UID_dictionary

    for uid, name, kind in ADDITIONS:
        keyword = "".join(re.findall(r"\w+", name))
        UID_dictionary.setdefault(ROOT + uid, (name, kind, "", "", keyword))
    return UID_dictionary


def _keywords(kinds: Iterable[str]) -> dict[str, str]:
    rows = uid_dictionary().items()
    return {row[4]: uid for uid, row in rows if row[1] in kinds and row[4]}


@cache
def standard_names() -> dict[str, str]:
    """Return keyword → UID of the standard's SOP Classes and well-known SOP Instances."""
    return _keywords(_ABSTRACT)


@cache
def transfer_syntaxes() -> dict[str, str]:
    """Return keyword → UID of the standard's transfer syntaxes."""
    return _keywords((_TS,))


def uid_of(keyword: str) -> str | None:
    """Return the UID that `keyword`, or another name, has in the standard or by `register_uid`."""
    names = standard_names()
    return registered.get(keyword) or names.get(keyword) or names.get(ALIASES.get(keyword, ""))


def keyword_of(uid: str) -> str:
    """Return the keyword of a UID in the standard or by `register_uid`; empty where it has none."""
    for keyword, other in list(registered.items()):
        if other == uid:
            return keyword
    # No UID outside the standard's root is in the dictionary: a private one costs no import.
    if not uid.startswith(ROOT):
        return ""
    try:
        return uid_dictionary()[uid][4]
    except KeyError:
        return ""
    except ImportError:  # the interpreter exits, or a signal came while it is being imported
        return ""


def named(uid: str) -> str:
    """Return what a message calls a UID: its keyword and itself, or itself alone.

    What a peer sent as a UID may be anything; it is escaped.
    """
    shown = printable(uid, 64)
    keyword = keyword_of(uid)
    return f"{keyword} ({shown})" if keyword else shown


def named_all(uids: Iterable[str]) -> str:
    """Return what a message calls several UIDs."""
    return ", ".join(map(named, uids))


def text_of(value: object, name: str) -> str:
    """Return text given as str, bytes or `pydicom.uid.UID` as plain str."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if not isinstance(value, str):
        raise TypeError(f"{name!r} must be str or bytes, not {type(value).__name__!r}")
    # str.__str__ makes a plain str of a pydicom UID.
    return str.__str__(value)


def checked(vr: str, value: object, name: str, padding: str = "\0 ") -> str:
    """Return a value of that VR, given as str, bytes or `pydicom.uid.UID`, without its padding.

    Raises
    ------
    TypeError
        It is neither str nor bytes.
    ValueError
        `_config.VALIDATORS` say that it is none.
    """
    text = (str.__str__(value) if isinstance(value, str) else text_of(value, name)).strip(padding)
    validator = _config.VALIDATORS.get(vr) or _DEFAULT_VALIDATORS.get(vr)
    if validator is not None:
        valid, why = validator(text)
        if not valid:
            raise ValueError(f"Invalid {name!r} value {text!r} - {why}")
    return text


def abstract_syntax_uid(value: object, name: str = "abstract_syntax") -> str:
    """Return an abstract syntax given as UID or by keyword as UID, which remains to be checked.

    Raises
    ------
    TypeError
        It is neither str nor bytes.
    ValueError
        It is neither digits and dots nor a keyword; the message says which keywords are like it.
    """
    text = text_of(value, name).rstrip("\0 ")
    if NUMERIC.issuperset(text):
        return text
    return uid_of(text) or _unknown(text, name, {**standard_names(), **ALIASES, **registered})


def transfer_syntax_uid(value: object, name: str = "transfer_syntax") -> str:
    """Return a transfer syntax given as UID or by keyword as UID, as `abstract_syntax_uid` does."""
    text = text_of(value, name).rstrip("\0 ")
    if NUMERIC.issuperset(text):
        return text
    known = transfer_syntaxes()
    return known.get(text) or _unknown(text, name, known)


def _unknown(text: str, name: str, known: Mapping[str, str]) -> str:
    from difflib import get_close_matches

    spellings = {keyword.lower(): keyword for keyword in known}
    alike = get_close_matches(re.sub(r"\W", "", text[:128]).lower(), spellings, cutoff=0.7)
    like = f"; did you mean {' or '.join(spellings[spelling] for spelling in alike)}?"
    raise ValueError(
        f"Invalid {name!r} value '{printable(text, 128)}' - neither a UID, which has digits and"
        f" dots, nor a keyword{like if alike else ''}"
    )
