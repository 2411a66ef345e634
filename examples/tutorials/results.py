"""What a model has found, as a DICOM object: Secondary Capture, Segmentation, or text report (SR).

Each function takes the images of a series, sorted, and a UID for the object. What the objects say
of the patient and the study is copied from the images, never typed again.
"""

from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from pynetdicom.sop_class import (
    BasicTextSRStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

SOFTWARE = "Example model"
VERSION = "1.0"
OF_THE_STUDY = (
    "SpecificCharacterSet", "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate",
    "PatientSex", "StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "AccessionNumber",
    "ReferringPhysicianName",
)  # fmt: skip
MAY_BE_ABSENT = ("SpecificCharacterSet", "IssuerOfPatientID")


def derived_from(
    image: Dataset, sop_class: str, uid: str, modality: str, description: str
) -> Dataset:
    """What any object has to say that is made of an image."""
    ds = Dataset()
    for keyword in OF_THE_STUDY:
        if keyword in image:
            ds[keyword] = image[keyword]
        elif keyword not in MAY_BE_ABSENT:
            setattr(ds, keyword, None)
    ds.SOPClassUID = sop_class
    ds.SOPInstanceUID = uid
    ds.SeriesInstanceUID = f"{uid}.1"  # a series of its own, never that of the images
    ds.SeriesNumber = 900
    ds.InstanceNumber = 1
    ds.Modality = modality
    ds.SeriesDescription = description
    ds.Manufacturer = "Example Hospital"
    ds.ManufacturerModelName = SOFTWARE
    ds.SoftwareVersions = VERSION
    ds.DeviceSerialNumber = "1"
    now = datetime.now()
    ds.SeriesDate = ds.ContentDate = now.strftime("%Y%m%d")
    ds.SeriesTime = ds.ContentTime = now.strftime("%H%M%S")
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """A coded concept."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def reference(image: Dataset) -> Dataset:
    """A reference to an instance."""
    item = Dataset()
    item.ReferencedSOPClassUID = image.SOPClassUID
    item.ReferencedSOPInstanceUID = image.SOPInstanceUID
    return item


def secondary_capture(
    images: list[Dataset], uid: str, picture: NDArray[np.uint8], description: str
) -> Dataset:
    """A picture for people: every viewer shows it, no program can read what it means.

    `picture` is an array of rows × columns × 3 bytes: red, green, blue.
    """
    ds = derived_from(images[0], SecondaryCaptureImageStorage, uid, "OT", description)
    ds.ConversionType = "WSD"  # made on a workstation
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.PatientOrientation = None
    ds.SourceImageSequence = [reference(image) for image in images]
    ds.Rows, ds.Columns, ds.SamplesPerPixel = picture.shape
    ds.PhotometricInterpretation = "RGB"
    ds.PlanarConfiguration = 0
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    ds.PixelRepresentation = 0
    ds.BurnedInAnnotation = "NO"
    pixels = np.ascontiguousarray(picture, dtype=np.uint8).tobytes()
    ds.PixelData = pixels + b"\0" * (len(pixels) % 2)
    return ds


def report(images: list[Dataset], uid: str, text: str) -> Dataset:
    """A Structured Report of one finding, in words."""
    ds = derived_from(images[0], BasicTextSRStorage, uid, "SR", SOFTWARE)
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.PerformedProcedureCodeSequence = []
    ds.CompletionFlag = "COMPLETE"
    ds.VerificationFlag = "UNVERIFIED"  # no human has looked at it
    series: dict[str, list[Dataset]] = {}
    for image in images:
        series.setdefault(image.SeriesInstanceUID, []).append(reference(image))
    evidence = Dataset()
    evidence.StudyInstanceUID = ds.StudyInstanceUID
    evidence.ReferencedSeriesSequence = []
    for series_uid, references in series.items():
        item = Dataset()
        item.SeriesInstanceUID, item.ReferencedSOPSequence = series_uid, references
        evidence.ReferencedSeriesSequence.append(item)
    ds.CurrentRequestedProcedureEvidenceSequence = [evidence]
    ds.ValueType = "CONTAINER"
    ds.ContinuityOfContent = "SEPARATE"
    ds.ConceptNameCodeSequence = [code("18782-3", "LN", "Radiology Study observation")]
    finding = Dataset()
    finding.RelationshipType = "CONTAINS"
    finding.ValueType = "TEXT"
    finding.ConceptNameCodeSequence = [code("121071", "DCM", "Finding")]
    finding.TextValue = text
    seen_in = Dataset()
    seen_in.RelationshipType = "CONTAINS"
    seen_in.ValueType = "IMAGE"
    seen_in.ConceptNameCodeSequence = [code("121080", "DCM", "Best illustration of finding")]
    seen_in.ReferencedSOPSequence = [reference(images[len(images) // 2])]
    ds.ContentSequence = [finding, seen_in]
    return ds


def segmentation(images: list[Dataset], uid: str, masks: NDArray[np.bool_], label: str) -> Dataset:
    """A mask for each image: what a program can measure, and a viewer lays over the image.

    `masks` is an array of bool, images × rows × columns. The images are of one series, with an
    orientation and a position each.
    """
    first = images[0]
    ds = derived_from(first, SegmentationStorage, uid, "SEG", label)
    ds.FrameOfReferenceUID = first.FrameOfReferenceUID
    ds.PositionReferenceIndicator = None
    ds.ImageType = ["DERIVED", "PRIMARY"]
    ds.ContentLabel = "FINDING"
    ds.ContentDescription = label
    ds.ContentCreatorName = None
    ds.LossyImageCompression = "00"
    ds.SegmentationType = "BINARY"
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.PixelRepresentation = ds.HighBit = 0
    ds.BitsAllocated = ds.BitsStored = 1
    ds.NumberOfFrames, ds.Rows, ds.Columns = masks.shape

    segment = Dataset()
    segment.SegmentNumber = 1
    segment.SegmentLabel = label
    segment.SegmentAlgorithmType = "AUTOMATIC"
    segment.SegmentAlgorithmName = f"{SOFTWARE} {VERSION}"
    segment.SegmentedPropertyCategoryCodeSequence = [
        code("49755003", "SCT", "Morphologically Abnormal Structure")
    ]
    segment.SegmentedPropertyTypeCodeSequence = [code("52988006", "SCT", "Lesion")]
    ds.SegmentSequence = [segment]

    dimension = Dataset()
    dimension.DimensionOrganizationUID = f"{uid}.2"
    ds.DimensionOrganizationSequence = [dimension]
    ds.DimensionIndexSequence = []
    for pointer, group in (
        (0x0062000B, 0x0062000A),  # Referenced Segment Number
        (0x00200032, 0x00209113),  # Image Position (Patient)
    ):
        index = Dataset()
        index.DimensionOrganizationUID = dimension.DimensionOrganizationUID
        index.DimensionIndexPointer, index.FunctionalGroupPointer = pointer, group
        ds.DimensionIndexSequence.append(index)

    series = Dataset()
    series.SeriesInstanceUID = first.SeriesInstanceUID
    series.ReferencedInstanceSequence = [reference(image) for image in images]
    ds.ReferencedSeriesSequence = [series]

    shared, measures, orientation, which = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = first.PixelSpacing
    measures.SliceThickness = first.SliceThickness
    shared.PixelMeasuresSequence = [measures]
    orientation.ImageOrientationPatient = first.ImageOrientationPatient
    shared.PlaneOrientationSequence = [orientation]
    which.ReferencedSegmentNumber = 1
    shared.SegmentIdentificationSequence = [which]
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = []
    for number, image in enumerate(images, 1):
        frame, content, position = Dataset(), Dataset(), Dataset()
        content.DimensionIndexValues = [1, number]
        frame.FrameContentSequence = [content]
        position.ImagePositionPatient = image.ImagePositionPatient
        frame.PlanePositionSequence = [position]
        source = reference(image)
        source.SpatialLocationsPreserved = "YES"
        source.PurposeOfReferenceCodeSequence = [
            code("121322", "DCM", "Source image for image processing operation")
        ]
        derivation = Dataset()
        derivation.DerivationCodeSequence = [code("113076", "DCM", "Segmentation")]
        derivation.SourceImageSequence = [source]
        frame.DerivationImageSequence = [derivation]
        ds.PerFrameFunctionalGroupsSequence.append(frame)
    bits = np.packbits(np.asarray(masks, dtype=bool).ravel(), bitorder="little").tobytes()
    ds.PixelData = bits + b"\0" * (len(bits) % 2)
    return ds
