"""What instances of the storage SOP Classes have to have, as far as small ones for tests go.

In: the keyword of a SOP Class. Out: its modality, and the elements of the module that makes it what
it is (PS3.3): pixel data, a waveform, a document and so on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, NamedTuple

ROWS = COLUMNS = 8

_MODALITIES = (
    # Of PS3.3 C.7.3.1.1.1; the first that is found in the keyword counts.
    ("WaveformPresentation|WaveformAcquisition", "PR"), ("WaveformAnnotationSR", "SR"),
    ("ECGWave", "ECG"), ("Hemodynamic|ArterialPulse", "HD"), ("CardiacElectro", "EPS"),
    ("AudioWave", "AU"), ("RespiratoryWave", "RESP"), ("Electroencephalogram", "EEG"),
    ("Electromyogram", "EMG"), ("Electrooculogram", "EOG"), ("BodyPosition", "POS"),
    ("KeyObject", "KO"), ("PresentationSta[tg]e|StructuredDisplay", "PR"),
    ("SRStorage|ProcedureLog|SpectaclePrescription|MacularGrid", "SR"),
    ("ContentAssessment", "ASMT"), ("SimpleAnnotations", "ANN"),
    ("RTDose", "RTDOSE"), ("RT(Ion)?Plan", "RTPLAN"), ("RTStructure", "RTSTRUCT"),
    ("RTImage|RTImageStorage|ContinuousRTImage", "RTIMAGE"), ("Record", "RTRECORD"),
    ("PhysicianIntent", "RTINTENT"), ("RTSegment", "RTSEGANN"), ("DeliveryInstruction", "PLAN"),
    ("AcquisitionInstruction|TreatmentPreparation", "PLAN"), ("RadiationS|Radiation", "RTRAD"),
    ("Segmentation", "SEG"), ("SpatialRegistration", "REG"), ("Fiducials", "FID"),
    ("RealWorld", "RWV"), ("Stereometric", "SMR"), ("STL|OBJ|MTL", "M3D"),
    ("EncapsulatedPDF|EncapsulatedCDA", "DOC"), ("SurfaceScan", "OSS"),
    ("Mammography|Breast", "MG"), ("IntraOral", "IO"), ("DigitalXRay", "DX"),
    ("ComputedRadiography", "CR"), ("Angiographic|EnhancedXA|XAPerformed|XRay3D", "XA"),
    ("Radiofluoroscopic|EnhancedXRF", "RF"), ("Ultrasound|EnhancedUS", "US"),
    ("NuclearMedicine", "NM"), ("Positron|PET", "PT"), ("SlideCoord|WholeSlide", "SM"),
    ("Endoscopic", "ES"), ("Confocal", "CFM"), ("Microscopic", "GM"), ("Dermoscopic", "DMS"),
    ("OphthalmicTomography", "OPT"), ("EnFace|Bscan", "OPTENF"), ("IntravascularOpt", "IVOCT"),
    ("OphthalmicPhoto", "OP"), ("Photographic", "XC"), ("Photoacoustic", "PA"),
    ("Lensometry", "LEN"), ("Autorefraction", "AR"), ("Keratometry", "KER"),
    ("SubjectiveRefraction", "SRF"), ("VisualAcuity", "VA"), ("AxialMeasure", "OAM"),
    ("IntraocularLens", "IOL"), ("Perimetry", "OPV"), ("ThicknessMap|Topography", "OPM"),
    ("CTImage|CTPerformed", "CT"), ("MR|Tractography", "MR"),
)  # fmt: skip


def modality_of(keyword: str) -> str:
    """Give the modality of a SOP Class; OT where none is known."""
    return next((name for pattern, name in _MODALITIES if re.search(pattern, keyword)), "OT")


def _coded(value: str, scheme: str, meaning: str) -> list[Any]:
    from pydicom.dataset import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return [code]


class Pixels(NamedTuple):
    """How the pixels of an image are."""

    bits: int = 16
    samples: int = 1
    frames: int | None = None


_COLOUR = "VL|Video|TrueColor|MRColor|Dermoscopic|WideField|OphthalmicPhotography8Bit"
_BYTES = "GrayscaleByte|UltrasoundImage|UltrasoundMulti|USVolume|SecondaryCaptureImageStorage"
_FRAMES = (
    "MultiFrame|Enhanced|Segmentation|XRay3D|BreastTomo|BreastProj|Video|NuclearMed|WholeSlide|"
    "OphthalmicTomography|ParametricMap|IntravascularOpt|TiledPyramidal|RTDose|Photoacoustic"
)
_NO_IMAGE = "SRStorage|SurfaceSegmentation|Spectroscopy"
_IMAGE = "Image|RTDose|Segmentation|ParametricMap|ThicknessMap|TopographyMap|BscanVolume"


def pixels_of(keyword: str) -> Pixels | None:
    """Give how the pixels of a SOP Class are; None if it has none."""
    if re.search(_NO_IMAGE, keyword) or not re.search(_IMAGE, keyword):
        return None
    frames = 2 if re.search(_FRAMES, keyword) else None
    if re.search("SingleBit|^SegmentationStorage", keyword):
        return Pixels(1, 1, frames)
    if re.search(_COLOUR, keyword):
        return Pixels(8, 3, frames)
    grey = re.search(_BYTES, keyword) and "Word" not in keyword
    return Pixels(8 if grey else 16, 1, frames)


def image(how: Pixels, random: Random, said: Mapping[str, Any]) -> dict[str, Any]:
    """Give the elements of an image (PS3.3 C.7.6.3), as large as was said."""
    rows, columns = int(said.get("Rows", ROWS)), int(said.get("Columns", COLUMNS))
    how = how._replace(frames=said.get("NumberOfFrames", how.frames))
    count = rows * columns * how.samples * int(how.frames or 1)
    size = (count * how.bits + 7) // 8
    data = random.randbytes(size) + b"\0" * (size % 2)
    return {
        "SamplesPerPixel": how.samples,
        "PhotometricInterpretation": "RGB" if how.samples == 3 else "MONOCHROME2",
        **({"PlanarConfiguration": 0} if how.samples == 3 else {}),
        **({} if how.frames is None else {"NumberOfFrames": how.frames}),
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": how.bits,
        "BitsStored": how.bits,
        "HighBit": how.bits - 1,
        "PixelRepresentation": 0,
        "PixelData": data,
    }


def _waveform(keyword: str, random: Random) -> dict[str, Any]:
    from pydicom.dataset import Dataset

    channel = Dataset()
    channel.ChannelSourceSequence = _coded("2:1", "MDC", "Lead I")
    channel.WaveformBitsStored = 16
    group = Dataset()
    group.WaveformOriginality = "ORIGINAL"
    group.NumberOfWaveformChannels = 1
    group.NumberOfWaveformSamples = 16
    group.SamplingFrequency = 500
    group.ChannelDefinitionSequence = [channel]
    group.WaveformBitsAllocated = 16
    group.WaveformSampleInterpretation = "SS"
    group.add_new(0x54001010, "OW", random.randbytes(32))  # WaveformData
    return {"WaveformSequence": [group], "AcquisitionContextSequence": []}


_DOCUMENTS = {
    "PDF": ("application/pdf", b"%PDF-1.4\n%%EOF\n"),
    "CDA": ("text/XML", b'<ClinicalDocument xmlns="urn:hl7-org:v3"/>'),
    "STL": ("model/stl", bytes(84)),
    "OBJ": ("model/obj", b"v 0 0 0\n"),
    "MTL": ("model/mtl", b"newmtl test\n"),
}


def _document(keyword: str, random: Random) -> dict[str, Any]:
    kind, data = _DOCUMENTS[keyword.removeprefix("Encapsulated").removesuffix("Storage")]
    return {
        "BurnedInAnnotation": "NO",
        "DocumentTitle": "Test",
        "ConceptNameCodeSequence": [],
        "MIMETypeOfEncapsulatedDocument": kind,
        "EncapsulatedDocumentLength": len(data),
        "EncapsulatedDocument": data + b"\0" * (len(data) % 2),
    }


def _report(keyword: str, random: Random) -> dict[str, Any]:
    return {
        "ReferencedPerformedProcedureStepSequence": [],
        "CompletionFlag": "COMPLETE",
        "VerificationFlag": "UNVERIFIED",
        "PerformedProcedureCodeSequence": [],
        "ValueType": "CONTAINER",
        "ConceptNameCodeSequence": _coded("18748-4", "LN", "Diagnostic imaging report"),
        "ContinuityOfContent": "SEPARATE",
    }


def _state(keyword: str, random: Random) -> dict[str, Any]:
    return {
        "ContentLabel": "TEST",
        "ContentDescription": "",
        "ContentCreatorName": "",
        "PresentationCreationDate": "20240102",
        "PresentationCreationTime": "030405",
    }


def _plan(keyword: str, random: Random) -> dict[str, Any]:
    return {"RTPlanLabel": "TEST", "RTPlanGeometry": "TREATMENT_DEVICE"}


def _structures(keyword: str, random: Random) -> dict[str, Any]:
    return {"StructureSetLabel": "TEST", "StructureSetDate": "", "StructureSetTime": ""}


def _dose(keyword: str, random: Random) -> dict[str, Any]:
    return {
        "DoseUnits": "GY",
        "DoseType": "PHYSICAL",
        "DoseSummationType": "PLAN",
        "DoseGridScaling": "0.001",
        "FrameIncrementPointer": 0x3004000C,
        "GridFrameOffsetVector": [0, 1],
    }


def _segments(keyword: str, random: Random) -> dict[str, Any]:
    from pydicom.dataset import Dataset

    segment = Dataset()
    segment.SegmentNumber = 1
    segment.SegmentLabel = "Test"
    segment.SegmentedPropertyCategoryCodeSequence = _coded("85756007", "SCT", "Tissue")
    segment.SegmentedPropertyTypeCodeSequence = _coded("85756007", "SCT", "Tissue")
    segment.SegmentAlgorithmType = "MANUAL"
    kind = {} if keyword != "SegmentationStorage" else {"SegmentationType": "BINARY"}
    return {"SegmentSequence": [segment], "ContentLabel": "TEST", **kind}


def _spectrum(keyword: str, random: Random) -> dict[str, Any]:
    return {
        "Rows": 1,
        "Columns": 1,
        "NumberOfFrames": 1,
        "DataPointRows": 1,
        "DataPointColumns": 4,
        "DataRepresentation": "COMPLEX",
        "SpectroscopyData": random.randbytes(32),
    }


_BY_KIND: tuple[tuple[str, Callable[[str, Random], dict[str, Any]]], ...] = (
    ("WaveformStorage", _waveform),
    ("^Encapsulated", _document),
    ("SRStorage|KeyObject|ProcedureLog|MacularGrid|SpectaclePrescription", _report),
    ("PresentationSta[tg]e", _state),
    ("^RT(Ion)?PlanStorage", _plan),
    ("RTStructureSet", _structures),
    ("RTDose", _dose),
    ("Segmentation", _segments),
    ("Spectroscopy", _spectrum),
)


def essentials(keyword: str, random: Random, said: Mapping[str, Any]) -> dict[str, Any]:
    """Give the elements that an instance of a SOP Class has beside those of every instance.

    Parameters
    ----------
    keyword : str
        Of the SOP Class.
    random : random.Random
        Makes the pixels.
    said : mapping
        Elements that are said already; the pixels are as many as ``Rows`` and ``Columns`` say.
    """
    found: dict[str, Any] = {"Modality": modality_of(keyword)}
    how = pixels_of(keyword)
    if how is not None:
        found |= {"ImageType": ["ORIGINAL", "PRIMARY"], **image(how, random, said)}
    if "CTImage" in keyword or "MRImage" in keyword:
        found |= {"FrameOfReferenceUID": "", "PatientPosition": "HFS"}
    if keyword == "CTImageStorage":
        found |= {"RescaleIntercept": "-1024", "RescaleSlope": "1", "ImageType": _AXIAL}
    if keyword == "SecondaryCaptureImageStorage":
        found["ConversionType"] = "WSD"
    for pattern, make in _BY_KIND:
        if re.search(pattern, keyword):
            found |= make(keyword, random)
    return found


_AXIAL = ["ORIGINAL", "PRIMARY", "AXIAL"]
