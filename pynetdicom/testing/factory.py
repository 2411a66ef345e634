"""Small, valid instances for tests, of any storage SOP Class, the same for the same seed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from pynetdicom.sop_class import _STORAGE_CLASSES as STORAGE_CLASSES
from pynetdicom.testing.essentials import essentials

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_NATIVE = {
    "1.2.840.10008.1.2": "Implicit VR Little Endian",
    EXPLICIT_VR_LITTLE_ENDIAN: "Explicit VR Little Endian",
    "1.2.840.10008.1.2.1.99": "Deflated Explicit VR Little Endian",
}
_KEYWORDS = {str(uid): keyword for keyword, uid in STORAGE_CLASSES.items()}

UTF_8 = "ISO_IR 192"


class DicomFactory:
    """Makes instances that can be sent, written and read, with what every instance has to have.

    Parameters
    ----------
    seed : int or str
        The same seed makes the same instances, UIDs and pixels included.

    Notes
    -----
    An instance has the type 1 and 2 attributes of the patient, study, series, equipment and SOP
    common modules, and the essentials of its kind: pixel data, a waveform, a document, a report. It
    is small, about 1 KB, and no complete object of its IOD.

    Examples
    --------
    >>> from pynetdicom.testing import DicomFactory
    >>> factory = DicomFactory(seed=1)
    >>> ct = factory("CTImageStorage", PatientName="Müller^Jörg")
    >>> ct.Modality, ct.SpecificCharacterSet, len(ct.PixelData)
    ('CT', 'ISO_IR 192', 128)
    >>> len(factory.study(series=2, instances=3))
    6
    """

    def __init__(self, seed: int | str = 0) -> None:
        self._random = Random(str(seed))

    def uid(self) -> str:
        """Make a UID."""
        # As of a UUID (PS3.5 B.2); 122 bits of it are random.
        return f"2.25.{self._random.getrandbits(122) | 1 << 122}"

    def __call__(
        self,
        sop_class: str = "CTImageStorage",
        *,
        transfer_syntax: str = EXPLICIT_VR_LITTLE_ENDIAN,
        **elements: Any,
    ) -> Dataset:
        """Make an instance; unless said otherwise, of a new study of the same patient.

        Parameters
        ----------
        sop_class : str
            Its keyword or UID.
        transfer_syntax : str
            One that is not compressed, or RLE Lossless.
        **elements
            By keyword; None is an empty value.
        """
        from pydicom.dataset import Dataset

        uid, keyword = _named(sop_class)
        ds = Dataset()
        values = {**self._of_all(uid), **essentials(keyword, self._random, elements), **elements}
        if "FrameOfReferenceUID" in values and not values["FrameOfReferenceUID"]:
            values["FrameOfReferenceUID"] = self.uid()
        _set(ds, values)
        _finish(ds, transfer_syntax)
        return ds

    def series(
        self, instances: int = 3, sop_class: str = "CTImageStorage", **elements: Any
    ) -> list[Dataset]:
        """Make instances of one series, numbered from 1.

        Parameters
        ----------
        instances : int
        sop_class : str
        **elements
            As of an instance, the same for all.
        """
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
            if keyword != "FrameOfReferenceUID" or "Image" in _named(sop_class)[1]:
                elements.setdefault(keyword, self.uid())
        return [
            self(sop_class, **{"InstanceNumber": number, **elements})
            for number in range(1, instances + 1)
        ]

    def study(
        self,
        series: int | Sequence[str] = 1,
        instances: int = 3,
        sop_class: str = "CTImageStorage",
        **elements: Any,
    ) -> list[Dataset]:
        """Make all instances of one study.

        Parameters
        ----------
        series : int or sequence of str
            How many series there are, or their SOP Classes.
        instances : int
            Of each series.
        sop_class : str
        **elements
            As of an instance, the same for all.
        """
        classes = [sop_class] * series if isinstance(series, int) else list(series)
        elements.setdefault("StudyInstanceUID", self.uid())
        return [
            ds
            for number, one in enumerate(classes, 1)
            for ds in self.series(instances, one, **{"SeriesNumber": number, **elements})
        ]

    def worklist_item(self, **elements: Any) -> Dataset:
        """Make an item of a modality worklist, with all that it has to have (PS3.4 K.6).

        Parameters
        ----------
        **elements
            Those of the scheduled procedure step go into its sequence.
        """
        from pydicom.dataset import Dataset

        step = {
            "ScheduledStationAETitle": "MODALITY",
            "ScheduledProcedureStepStartDate": "20240102",
            "ScheduledProcedureStepStartTime": "0900",
            "Modality": "CT",
            "ScheduledPerformingPhysicianName": "",
            "ScheduledProcedureStepDescription": "Test",
            "ScheduledProcedureStepID": f"S{self._random.randrange(10**8):08}",
        }
        item = {
            **{name: self._patient()[name] for name in ("PatientName", "PatientID")},
            "PatientBirthDate": "19700101",
            "PatientSex": "O",
            "AccessionNumber": f"A{self._random.randrange(10**8):08}",
            "ReferringPhysicianName": "",
            "StudyInstanceUID": self.uid(),
            "RequestedProcedureID": f"R{self._random.randrange(10**8):08}",
            "RequestedProcedureDescription": "Test",
        }
        steps, ds = Dataset(), Dataset()
        _set(steps, {name: elements.pop(name, value) for name, value in step.items()})
        _set(ds, {**item, "ScheduledProcedureStepSequence": [steps], **elements})
        return ds

    def write(
        self, instances: Dataset | Iterable[Dataset], folder: str | os.PathLike[str]
    ) -> list[str]:
        """Write instances as Part 10 files, named by their UIDs; gives their paths."""
        from pydicom.dataset import Dataset

        os.makedirs(folder, exist_ok=True)
        each = [instances] if isinstance(instances, Dataset) else instances
        paths = []
        for ds in each:
            paths.append(os.path.join(folder, f"{ds.SOPInstanceUID}.dcm"))
            ds.save_as(paths[-1], enforce_file_format=True)
        return paths

    def _patient(self) -> dict[str, Any]:
        return {
            "PatientName": "Factory^Test",
            "PatientID": "TEST-1",
            "PatientBirthDate": "19700101",
            "PatientSex": "O",
        }

    def _of_all(self, sop_class_uid: str) -> dict[str, Any]:
        """What every instance has."""
        return {
            "SOPClassUID": sop_class_uid,
            "SOPInstanceUID": self.uid(),
            "StudyDate": "20240102",
            "SeriesDate": "20240102",
            "ContentDate": "20240102",
            "StudyTime": "030405",
            "SeriesTime": "030405",
            "ContentTime": "030405",
            "AccessionNumber": "",
            "Manufacturer": "pynetdicom.testing",
            "ReferringPhysicianName": "",
            "StudyDescription": "Test",
            "SeriesDescription": "Test",
            **self._patient(),
            "StudyInstanceUID": self.uid(),
            "SeriesInstanceUID": self.uid(),
            "StudyID": "1",
            "SeriesNumber": 1,
            "InstanceNumber": 1,
        }


def _named(sop_class: str) -> tuple[str, str]:
    """UID and keyword of a storage SOP Class; of one that is not known, the UID alone."""
    name = str(sop_class)
    if name in STORAGE_CLASSES:
        return str(STORAGE_CLASSES[name]), name
    if name[:1].isdigit():
        return name, _KEYWORDS.get(name, "")
    raise ValueError(f"{name} is no storage SOP Class, such as CTImageStorage, and no UID")


def _set(ds: Dataset, values: dict[str, Any]) -> None:
    from pydicom.datadict import tag_for_keyword

    for keyword, value in values.items():
        if tag_for_keyword(keyword) is None:
            raise ValueError(f"{keyword!r} is no keyword of the DICOM dictionary")
        setattr(ds, keyword, value)
    if "PixelData" in values:
        ds["PixelData"].VR = "OB" if values["BitsAllocated"] <= 8 else "OW"
    if "SpecificCharacterSet" not in ds and not _is_ascii(ds):
        ds.SpecificCharacterSet = UTF_8


def _is_ascii(ds: Dataset) -> bool:
    return all(
        all(map(_is_ascii, element.value)) if element.VR == "SQ" else str(element.value).isascii()
        for element in ds
        if element.VR not in ("OB", "OW", "OF", "UN")
    )


def _finish(ds: Dataset, transfer_syntax: str) -> None:
    """Give it file meta information, and pixels that are as the transfer syntax has them."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID, RLELossless

    if transfer_syntax == RLELossless and "PixelData" in ds:
        from pydicom.encaps import encapsulate

        ds.PixelData = encapsulate(list(_rle_frames(ds)))
        ds["PixelData"].is_undefined_length = True
    elif transfer_syntax not in _NATIVE:
        raise ValueError(
            f"{UID(transfer_syntax).name}: instances are made in {', '.join(_NATIVE.values())},"
            " and images in RLE Lossless"
        )
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = UID(transfer_syntax)
    ds.file_meta = meta


def _rle_frames(ds: Dataset) -> Iterable[bytes]:
    """The frames of an image by PS3.5 Annex G, each byte as it is."""
    width, samples = int(ds.BitsAllocated) // 8, int(ds.SamplesPerPixel)
    if not width:
        raise ValueError("RLE Lossless has no images of single bits")
    size = int(ds.Rows) * int(ds.Columns) * samples * width
    for start in range(0, len(ds.PixelData), size):
        frame = ds.PixelData[start : start + size]
        # A segment for each byte of each sample, the most significant one first.
        planes = [
            frame[sample * width + byte :: samples * width]
            for sample in range(samples)
            for byte in reversed(range(width))
        ]
        segments = [_literal(plane, int(ds.Columns)) for plane in planes]
        offsets = [64 + sum(map(len, segments[:number])) for number in range(len(segments))]
        header = [len(segments), *offsets, *[0] * (15 - len(segments))]
        yield b"".join((*(one.to_bytes(4, "little") for one in header), *segments))


def _literal(plane: bytes, columns: int) -> bytes:
    """One segment: each row a literal run, or several of 128 bytes at most."""
    runs = [
        row[at : at + 128]
        for row in (plane[start : start + columns] for start in range(0, len(plane), columns))
        for at in range(0, len(row), 128)
    ]
    data = b"".join(bytes((len(run) - 1,)) + run for run in runs)
    return data + b"\0" * (len(data) % 2)
