"""`DicomFactory`: instances of every storage SOP Class that can be written, read, sent and told."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from pynetdicom import AE
from pynetdicom.sop_class import _STORAGE_CLASSES, CTImageStorage
from pynetdicom.testing import DicomFactory, DicomSCP
from pynetdicom.testing.essentials import modality_of, pixels_of

CLASSES = list(_STORAGE_CLASSES)
TYPE_1 = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality"),
    *("SeriesNumber", "InstanceNumber", "PatientID", "PatientName"),
)
PIXELS = (
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel"),
    *("PixelRepresentation", "PhotometricInterpretation", "PixelData"),
)


@pytest.mark.filterwarnings("error")
def test_every_storage_class(tmp_path: Path, dicom_scp: DicomSCP) -> None:
    factory = DicomFactory()
    instances = {keyword: factory(keyword) for keyword in CLASSES}
    for keyword, ds in instances.items():
        assert ds.SOPClassUID == _STORAGE_CLASSES[keyword]
        assert [name for name in TYPE_1 if ds.get(name) in (None, "")] == []
        how = pixels_of(keyword)
        assert ("PixelData" in ds) is (how is not None)
        if how is not None:
            assert [name for name in PIXELS if ds.get(name) is None] == []
            frames = int(ds.get("NumberOfFrames", 1))
            bits = ds.Rows * ds.Columns * ds.SamplesPerPixel * ds.BitsAllocated * frames
            assert len(ds.PixelData) == bits // 8
    for path, (keyword, ds) in zip(
        factory.write(instances.values(), tmp_path), instances.items(), strict=True
    ):
        assert dcmread(path) == ds, keyword
        assert Path(path).stat().st_size < 4096
    uids = {name: {ds[name].value for ds in instances.values()} for name in TYPE_1[1:4]}
    assert {len(values) for values in uids.values()} == {len(CLASSES)}


@pytest.mark.parametrize("start", range(0, len(CLASSES), 120))
def test_every_storage_class_is_sent(start: int, dicom_scp: DicomSCP) -> None:
    factory = DicomFactory()
    instances = [factory(keyword) for keyword in CLASSES[start : start + 120]]
    ae = AE("SCU")
    for ds in instances:
        ae.add_requested_context(ds.SOPClassUID, ExplicitVRLittleEndian)
    assoc = ae.associate(*dicom_scp.address)
    assert {assoc.send_c_store(ds).Status for ds in instances} == {0x0000}
    assoc.release()
    assert [one.dataset for one in dicom_scp.stored] == instances


def test_each_kind_has_its_modality() -> None:
    known = {
        "CTImageStorage": "CT", "EnhancedMRImageStorage": "MR", "RTDoseStorage": "RTDOSE",
        "BasicTextSRStorage": "SR", "KeyObjectSelectionDocumentStorage": "KO",
        "GrayscaleSoftcopyPresentationStateStorage": "PR", "SegmentationStorage": "SEG",
        "TwelveLeadECGWaveformStorage": "ECG", "EncapsulatedPDFStorage": "DOC",
        "VLWholeSlideMicroscopyImageStorage": "SM", "RTPlanStorage": "RTPLAN",
        "DigitalMammographyXRayImageStorageForPresentation": "MG", "RawDataStorage": "OT",
        "PositronEmissionTomographyImageStorage": "PT", "RTBeamsTreatmentRecordStorage": "RTRECORD",
    }  # fmt: skip
    assert {keyword: modality_of(keyword) for keyword in known} == known


def test_the_same_seed_makes_the_same() -> None:
    one, other = (DicomFactory("seed").study(2, 2) for _ in range(2))
    assert one == other
    assert DicomFactory("another").study(2, 2) != one


def test_the_fixture_is_the_same_each_time(
    dicom_factory: DicomFactory, request: pytest.FixtureRequest
) -> None:
    assert dicom_factory() == DicomFactory(request.node.nodeid)()


def test_a_study_hangs_together() -> None:
    study = DicomFactory().study(["CTImageStorage", "BasicTextSRStorage"], 3, PatientID="7")
    assert {one.PatientID for one in study} == {"7"}
    assert len({one.StudyInstanceUID for one in study}) == 1
    assert len({one.SeriesInstanceUID for one in study}) == 2
    assert len({one.SOPInstanceUID for one in study}) == 6
    assert [one.SeriesNumber for one in study] == [1, 1, 1, 2, 2, 2]
    assert [one.InstanceNumber for one in study] == [1, 2, 3, 1, 2, 3]
    assert len({one.FrameOfReferenceUID for one in study[:3]}) == 1
    assert "FrameOfReferenceUID" not in study[3]


@pytest.mark.parametrize("uid", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("name", ["Müller^Jörg", "Иванов^Пётр", "Yamada^Tarou=山田^太郎"])
def test_names_of_any_script(name: str, uid: UID, tmp_path: Path) -> None:
    factory = DicomFactory()
    [path] = factory.write(factory(PatientName=name, transfer_syntax=uid), tmp_path)
    assert dcmread(path).PatientName == name
    assert dcmread(path).file_meta.TransferSyntaxUID == uid


def test_pixels_are_as_many_as_was_said() -> None:
    ds = DicomFactory()("EnhancedCTImageStorage", Rows=3, Columns=5, NumberOfFrames=7)
    assert len(ds.PixelData) == 3 * 5 * 7 * 2
    assert len(DicomFactory()("SecondaryCaptureImageStorage", Rows=3, Columns=5).PixelData) == 16


@pytest.mark.parametrize("keyword", ["CTImageStorage", "VLPhotographicImageStorage"])
def test_rle(keyword: str, tmp_path: Path) -> None:
    native, packed = (
        DicomFactory()(keyword, Columns=200, transfer_syntax=syntax)
        for syntax in (ExplicitVRLittleEndian, RLELossless)
    )
    [path] = DicomFactory().write(packed, tmp_path)
    ds = dcmread(path)
    assert ds.file_meta.TransferSyntaxUID == RLELossless
    pytest.importorskip("numpy")
    ds.decompress()
    assert ds.PixelData == native.PixelData


def test_deflated(tmp_path: Path) -> None:
    ds = DicomFactory()(transfer_syntax=DeflatedExplicitVRLittleEndian)
    [path] = DicomFactory().write(ds, tmp_path)
    assert dcmread(path) == ds


def test_elements_are_overridden_and_emptied() -> None:
    ds = DicomFactory()(CTImageStorage, PatientID=None, StudyDescription="Mine")
    assert (ds.PatientID, ds.StudyDescription) == (None, "Mine")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sop_class": "CTImage"}, "CTImage is no storage SOP Class"),
        ({"PatientNmae": "X"}, "'PatientNmae' is no keyword"),
        ({"transfer_syntax": JPEG2000Lossless}, "instances are made in Implicit VR"),
    ],
)
def test_what_cannot_be_made_is_refused(options: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        DicomFactory()(**options)
