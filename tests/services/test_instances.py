"""pynetdicom.services.instances: what is to be sent, however it is given → its request."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless

from pynetdicom.data_sets.data_set import InFile, InMemory, encode_dataset
from pynetdicom.errors import DataSetDecodeError, FileProblem, NotDICOM, TruncatedFile
from pynetdicom.services.instances import (
    Incomplete,
    Instance,
    KnownPath,
    StoreParameters,
    Unsendable,
    instance_uid_of,
    kind_of,
    take,
    why_not,
)
from pynetdicom.upper_layer.contexts import PresentationContext

CT = "1.2.840.10008.5.1.4.1.1.2"
UID = "1.2.3.4"
IMPLICIT, EXPLICIT = str(ImplicitVRLittleEndian), str(ExplicitVRLittleEndian)
PARAMETERS = StoreParameters(2)


def image(syntax: str = EXPLICIT) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID = CT
    ds.SOPInstanceUID = UID
    ds.PatientName = "SECRET^PATIENT"
    ds.PatientID = "1234"
    return ds


def saved(ds: Dataset, path: Path) -> Path:
    ds.save_as(path, enforce_file_format=True)
    return path


def context(syntax: str) -> PresentationContext:
    made = PresentationContext(CT, [syntax])
    made.context_id = 1
    return made


def in_file(syntax: str, path: Path) -> InFile:
    data = encode_dataset(image(), syntax).getvalue()
    path.write_bytes(b"xx" + data)
    return InFile(str(path), 2, len(data), syntax)


SOURCES: dict[str, Callable[[str, Path], Any]] = {
    "data set": lambda syntax, path: image(syntax),
    "path": lambda syntax, path: saved(image(syntax), path),
    "str": lambda syntax, path: str(saved(image(syntax), path)),
    "known path": lambda syntax, path: KnownPath(saved(image(syntax), path), UID),
    "in memory": lambda syntax, path: encode_dataset(image(), syntax),
    "in a file": in_file,
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize("accepted", [IMPLICIT, EXPLICIT])
def test_one_request_from_all(source: str, syntax: str, accepted: str, tmp_path: Path) -> None:
    given = SOURCES[source](syntax, tmp_path / "x")
    instance = take(given)
    assert (instance.sop_class, instance.sop_instance) == (CT, UID)
    assert instance.transfer_syntax == syntax
    assert kind_of(given) == (CT, syntax)
    request = instance.request(context(accepted), StoreParameters(1, "MOVER", 7))
    assert (request.AffectedSOPClassUID, request.AffectedSOPInstanceUID) == (CT, UID)
    assert (request.Priority, request.MoveOriginatorMessageID) == (1, 7)
    assert request.MoveOriginatorApplicationEntityTitle == "MOVER"
    assert request.data_set is not None
    assert request.data_set.transfer_syntax == accepted
    assert request.data_set.getvalue() == encode_dataset(image(), accepted).getvalue()
    assert take(instance) is instance
    instance.close()


def cut(data: bytes) -> bytes:
    return data[:-2]


def otherwise(syntax: str, other: str, path: Path) -> dict[str, Any]:
    """What says to be encoded as it is not, as each kind of source."""
    data = encode_dataset(image(), other).getvalue()
    (path / "raw").write_bytes(data)
    saved(image(syntax), path / "x")
    whole = (path / "x").read_bytes()
    start = len(whole) - len(encode_dataset(image(), syntax).getvalue())
    (path / "x").write_bytes(whole[:start] + data)
    # As pydicom reads it.
    from pydicom.filereader import read_dataset

    ds = read_dataset(io.BytesIO(data), other == IMPLICIT, True)
    lying = Dataset(ds)
    lying.set_original_encoding(other == IMPLICIT, True, None)
    lying.file_meta = image(syntax).file_meta
    return {
        "path": path / "x",
        "in memory": InMemory(data, syntax),
        "in a file": InFile(str(path / "raw"), 0, len(data), syntax),
        "data set": lying,
    }


@pytest.mark.parametrize("source", ["path", "in memory", "in a file", "data set"])
@pytest.mark.parametrize(("syntax", "other"), [(IMPLICIT, EXPLICIT), (EXPLICIT, IMPLICIT)])
def test_what_is_encoded_otherwise_than_it_says(
    source: str, syntax: str, other: str, tmp_path: Path
) -> None:
    given = otherwise(syntax, other, tmp_path)[source]
    with pytest.raises((FileProblem, Unsendable), match=r"VR|not encoded as") as caught:
        take(given)
    assert "SECRET" not in str(caught.value)
    assert instance_uid_of(given) == UID


@pytest.mark.parametrize("source", ["path", "in memory", "in a file"])
def test_what_is_cut_off(source: str, tmp_path: Path) -> None:
    path = saved(image(), tmp_path / "x")
    path.write_bytes(cut(path.read_bytes()))
    data = cut(encode_dataset(image(), EXPLICIT).getvalue())
    (tmp_path / "raw").write_bytes(data)
    given: Any = {
        "path": path,
        "in memory": InMemory(data, EXPLICIT),
        "in a file": InFile(str(tmp_path / "raw"), 0, len(data), EXPLICIT),
    }[source]
    with pytest.raises((TruncatedFile, DataSetDecodeError)):
        take(given)
    assert instance_uid_of(given) == UID


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID"])
@pytest.mark.parametrize("source", SOURCES)
def test_what_lacks_a_uid(keyword: str, source: str, tmp_path: Path) -> None:
    ds = image()
    del ds[keyword]
    data = encode_dataset(ds, EXPLICIT).getvalue()
    ds.file_meta.MediaStorageSOPClassUID = CT
    ds.file_meta.MediaStorageSOPInstanceUID = UID
    path = saved(ds, tmp_path / "x")
    (tmp_path / "raw").write_bytes(data)
    given: Any = {
        "data set": ds,
        "path": path,
        "str": str(path),
        "known path": KnownPath(path, UID),
        "in memory": InMemory(data, EXPLICIT),
        "in a file": InFile(str(tmp_path / "raw"), 0, len(data), EXPLICIT),
    }[source]
    with pytest.raises((Incomplete, FileProblem), match="SOP"):
        take(given)


def test_a_data_set_without_meta_information() -> None:
    """Is to be encoded as it was read; as Explicit VR Little Endian if it was not."""
    ds = image()
    del ds.file_meta
    assert take(ds).transfer_syntax == EXPLICIT
    ds.set_original_encoding(True, True, None)
    assert take(ds).transfer_syntax == IMPLICIT
    ds.set_original_encoding(False, False, None)
    assert take(ds).transfer_syntax == "1.2.840.10008.1.2.2"


def test_what_knows_its_uids_is_not_looked_into() -> None:
    known: Any = InMemory(b"anything", str(JPEG2000Lossless))
    known.sop_class_uid, known.sop_instance_uid = CT, UID
    instance = take(known)
    assert (instance.sop_class, instance.sop_instance) == (CT, UID)
    assert kind_of(known) == (CT, str(JPEG2000Lossless))


@pytest.mark.parametrize("given", [None, 5, b"x.dcm", [], object()])
def test_what_is_nothing_to_be_sent(given: Any) -> None:
    with pytest.raises(Unsendable, match="neither a data set nor"):
        take(given)
    assert instance_uid_of(given) == ""


def test_an_unexpected_error_is_told_without_its_text() -> None:
    class Odd(Dataset):
        def get(self, *args: Any) -> Any:
            raise RuntimeError("SECRET")

    with pytest.raises(Unsendable) as caught:
        take(Odd())
    assert str(caught.value) == "it cannot be read: RuntimeError"
    assert instance_uid_of(Odd()) == ""
    assert why_not(RuntimeError("SECRET")) == "it cannot be sent: RuntimeError"
    assert why_not(OSError(2, "gone", "SECRET")) == "it cannot be read: gone"


def test_what_is_known_of_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """As far as its beginning goes; where there is none, what the giver knows."""
    ds = image()
    whole = saved(ds, tmp_path / "x").read_bytes()
    whole = whole.replace(b"1.2.3.4\0", b"1.2.3.9\0", 1)  # in the meta information
    at = whole.index(b"\x08\x00\x18\x00UI")
    for end, uid in [
        (at + 8 + 8 + 3, UID),
        (at + 8, "1.2.3.9"),
        (at - 2, "1.2.3.9"),
        (200, ""),
        (10, ""),
        (0, ""),
    ]:
        path = tmp_path / f"{end}.dcm"
        path.write_bytes(whole[:end])
        with pytest.raises(FileProblem):
            take(path)
        assert instance_uid_of(path) == uid, end
        assert instance_uid_of(KnownPath(path, "1.2.77")) == "1.2.77"
    missing = tmp_path / "missing.dcm"
    with pytest.raises(FileProblem, match="No such file"):
        take(missing)
    assert instance_uid_of(missing) == ""
    assert instance_uid_of(KnownPath(missing, "1.2.77")) == "1.2.77"
    assert instance_uid_of(KnownPath(missing, "SECRET^NAME")) == ""
    (tmp_path / "text").write_bytes(b"no DICOM at all" * 100)
    with pytest.raises(NotDICOM):
        take(tmp_path / "text")
    assert instance_uid_of(tmp_path / "text") == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = saved(image(), tmp_path / "x")
    path.chmod(0)
    with pytest.raises(FileProblem, match="Permission denied"):
        take(path)
    assert instance_uid_of(path) == ""


def test_a_file_is_in_memory_when_it_was_read_ahead(tmp_path: Path) -> None:
    path = saved(image(), tmp_path / "x")
    instance = take(path)
    path.unlink()
    assert instance.read_ahead()
    assert not Instance(CT, UID, EXPLICIT, image()).read_ahead()
    data_set = instance.request(context(EXPLICIT), PARAMETERS).data_set
    assert data_set is not None
    assert b"SECRET" in data_set.getvalue()
    instance.close()


def test_what_was_closed_cannot_be_read_ahead(tmp_path: Path) -> None:
    given = in_file(EXPLICIT, tmp_path / "x")
    instance = take(given)
    os.truncate(tmp_path / "x", 4)
    assert not instance.read_ahead()
