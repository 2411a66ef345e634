"""pynetdicom.data_sets.part10: headers of DICOM files."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from pynetdicom.data_sets.data_set import for_wire
from pynetdicom.data_sets.element_walk import Encoding, encoding_of, walk
from pynetdicom.data_sets.encoded import deflate
from pynetdicom.data_sets.part10 import (
    TRANSFER_SYNTAX_UID,
    header_builder,
    read_header,
    same_data_set,
)
from pynetdicom.errors import FileProblem, MissingUID, NotDICOM, TruncatedFile

DATA = Path(pydicom.__file__).parent / "data"
FILES = sorted(
    path
    for folder in ("test_files", "charset_files", "palettes")
    for path in (DATA / folder).rglob("*")
    if path.is_file() and path.suffix not in (".py", ".pyc", ".json")
)
NOT_DICOM = {
    "FileInfo.txt",
    "README",
    "README.md",
    "README.txt",
    "crayons.icc",
    "rtplan.dump",
    "rtstruct.dump",
    "zipMR.gz",
    # It begins with one byte too many.
    "no_meta.dcm",
}
TRUNCATED = {"MR_truncated.dcm", "rtplan_truncated.dcm"}
EXPLICIT = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"


def header(**more: str) -> bytes:
    return header_builder(EXPLICIT, implementation_class_uid="2.25.1", **more)(CT, "1.2.3")


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


UIDS = element(0x00080016, b"UI", CT.encode() + b"\0") + element(0x00080018, b"UI", b"1.2.3\0")


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        path = tmp_path / "file.dcm"
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(DATA)))
def test_pydicoms_files(path: Path) -> None:
    ds = pydicom.dcmread(path, force=True)
    sop_class, instance = ds.get("SOPClassUID"), ds.get("SOPInstanceUID")
    if path.name in NOT_DICOM:
        with pytest.raises(NotDICOM):
            read_header(path)
        return
    with read_header(path) as header:
        transfer_syntax = ds.file_meta.get("TransferSyntaxUID")
        if transfer_syntax:
            assert header.transfer_syntax == transfer_syntax
        if not sop_class or not instance:
            with pytest.raises(MissingUID):
                header.check()
            return
        assert header.sop_class_uid == sop_class
        assert header.sop_instance_uid == instance
        if path.name in TRUNCATED:
            with pytest.raises(TruncatedFile):
                header.check()
            return
        header.check()
        data_set = header.data_set()
    raw = path.read_bytes()
    assert data_set.size == len(raw) - header.offset
    assert data_set.getvalue() == raw[header.offset :]
    decoded = data_set.decode()
    assert set(decoded.keys()) == {tag for tag in ds.keys() if tag.group}  # noqa: SIM118


WHOLE = [
    path
    for path in FILES
    if path.name not in NOT_DICOM | TRUNCATED and path.stat().st_size < 150_000
]


@pytest.mark.parametrize("path", WHOLE[::3], ids=lambda path: str(path.relative_to(DATA)))
def test_truncated_copies(path: Path, tmp_path: Path) -> None:
    raw = path.read_bytes()
    try:
        with read_header(path) as header:
            offset, transfer_syntax = header.offset, header.transfer_syntax
            header.check()
    except MissingUID:
        pass
    starts = top_level_elements(path) if transfer_syntax != "1.2.840.10008.1.2.1.99" else {offset}
    copy = tmp_path / "cut"
    last = max(starts)
    cuts = {*range(0, len(raw), max(1, len(raw) // 150)), *range(last, min(last + 30, len(raw)))}
    copy.write_bytes(raw)
    for cut in sorted(cuts | {len(raw) - 1, len(raw) - 2}, reverse=True):
        os.truncate(copy, cut)
        if cut in starts or cut - 1 in starts:  # where it looks as if it had ended
            continue
        with pytest.raises(FileProblem) as caught, read_header(copy) as header:
            header.check()
        assert "\n" not in str(caught.value)
        if cut >= offset + 300:
            assert isinstance(caught.value, (TruncatedFile, MissingUID)), cut


def top_level_elements(path: Path) -> set[int]:
    """Where the data set's own elements begin: a file cut there is shorter, and nobody can tell."""
    with read_header(path) as header:
        data = header.data_set().getvalue()
        starts = set()
        offset = 0
        encoding = encoding_of(header.transfer_syntax)._replace(
            implicit=header._data_set.survey().implicit
        )
        while offset < len(data):
            starts.add(header.offset + offset)
            tag = int.from_bytes(data[offset : offset + 2], "little" if encoding.little else "big")
            number = int.from_bytes(
                data[offset + 2 : offset + 4], "little" if encoding.little else "big"
            )
            offset = walk_one(data, offset, tag << 16 | number, encoding)
        return starts


def walk_one(data: bytes, offset: int, tag: int, encoding: Encoding) -> int:
    rest = data[offset:]
    stop = tag + 1
    result = walk(rest, len(rest), encoding, stop=stop, nested=False)
    return offset + (result.end or len(rest))


def test_uids_are_those_of_the_data_set(file: Callable[[bytes], Path]) -> None:
    other = header_builder(EXPLICIT, implementation_class_uid="2.25.1")("1.9", "1.8")
    with read_header(file(other + UIDS)) as read:
        assert read.sop_class_uid == CT
        assert read.sop_instance_uid == "1.2.3"
        assert read.transfer_syntax == EXPLICIT
        assert read.offset == len(other)
        assert read.size == len(UIDS)
        read.check()


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (b"", NotDICOM, "empty"),
        (b"GIF89a" + bytes(1000), NotDICOM, "not a DICOM file"),
        (bytes(200), NotDICOM, "not a DICOM file"),
        (b"\x08\0", NotDICOM, "not a DICOM file"),
        (b"\x08\0\x16\0" + b"junk" * 30, NotDICOM, "not a DICOM file"),
        (header()[:140], TruncatedFile, "meta information"),
        (header()[:-1], TruncatedFile, "meta information"),
        (header(), MissingUID, "SOP Class UID"),
        (header() + UIDS[:34], MissingUID, "SOP Instance UID"),
        (header() + UIDS[:-1], TruncatedFile, "truncated or damaged"),
        (header() + UIDS + b"\x10\0", TruncatedFile, "truncated or damaged"),
        (header() + UIDS + element(0x00100010, b"PN", b"Secret")[:-1], TruncatedFile, "0010,0010"),
    ],
)
def test_problems(
    file: Callable[[bytes], Path], data: bytes, error: type[FileProblem], text: str
) -> None:
    path = file(data)
    with pytest.raises(error, match=text) as caught, read_header(path) as read:
        read.check()
    assert "Secret" not in str(caught.value)


def test_directory_missing_and_unreadable(tmp_path: Path) -> None:
    with pytest.raises(NotDICOM, match="directory"):
        read_header(tmp_path)
    with pytest.raises(FileProblem, match="No such file"):
        read_header(tmp_path / "nothing")
    path = tmp_path / "secret"
    path.write_bytes(header() + UIDS)
    path.chmod(0)
    if not os.access(path, os.R_OK):
        with pytest.raises(FileProblem, match="Permission denied"):
            read_header(path)


def test_fifo_does_not_block(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with pytest.raises(NotDICOM, match="regular"):
        read_header(path)


def test_long_meta_information(file: Callable[[bytes], Path]) -> None:
    private = struct.pack("<HH2sxxI", 2, 0x0102, b"OB", 100_000) + bytes(100_000)
    more = private + element(0x00020103, b"LO", b"x ")
    path = file(meta_of(EXPLICIT, more) + UIDS)
    with read_header(path) as read:
        read.check()
        assert read.sop_instance_uid == "1.2.3"
        assert read.data_set().getvalue() == UIDS


def test_implicit_meta_information(file: Callable[[bytes], Path]) -> None:
    meta = struct.pack("<HHI", 2, 0x0010, 20) + b"1.2.840.10008.1.2.1\0"
    with read_header(file(bytes(128) + b"DICM" + meta + UIDS)) as read:
        assert read.transfer_syntax == EXPLICIT
        assert read.sop_class_uid == CT


def test_a_vr_that_is_none_in_the_meta_information(file: Callable[[bytes], Path]) -> None:
    more = element(0x00020013, b"\0\0", b"ab")
    with read_header(file(meta_of(EXPLICIT, more) + UIDS)) as read:
        assert (read.transfer_syntax, read.sop_class_uid) == (EXPLICIT, CT)


def test_no_transfer_syntax_is_guessed(file: Callable[[bytes], Path]) -> None:
    with read_header(file(UIDS)) as read:
        assert read.transfer_syntax == EXPLICIT
        assert read.offset == 0
        read.check()
    big = struct.pack(">HH2sH", 8, 0x16, b"UI", 4) + b"1.2\0"
    with read_header(file(big)) as read:
        assert read.transfer_syntax == "1.2.840.10008.1.2.2"
        assert read.sop_class_uid == "1.2"
    implicit = struct.pack("<HHI", 8, 0x16, 4) + b"1.2\0"
    with read_header(file(implicit)) as read:
        assert read.transfer_syntax == "1.2.840.10008.1.2"
        assert read.sop_class_uid == "1.2"


def test_encoded_otherwise_than_it_says(file: Callable[[bytes], Path]) -> None:
    implicit = (
        struct.pack("<HHI", 8, 0x16, 4) + b"1.2\0" + struct.pack("<HHI", 8, 0x18, 4) + b"1.3\0"
    )
    with read_header(file(header() + implicit)) as read:
        read.check()
        assert read.sop_instance_uid == "1.3"
        named = rf"implicit VR.* ExplicitVRLittleEndian \({EXPLICIT}\),"
        with pytest.raises(FileProblem, match=named):
            read.check_encoding()
    with read_header(file(header() + UIDS)) as read:
        read.check_encoding()


def test_data_set_outlives_the_header(file: Callable[[bytes], Path]) -> None:
    pixels = struct.pack("<HH2sxxI", 0x7FE0, 0x10, b"OB", 100_000) + bytes(100_000)
    read = read_header(file(header() + UIDS + pixels))
    data_set = read.data_set()
    read.close()
    assert data_set.getvalue() == UIDS + pixels


def test_no_descriptor_is_left(file: Callable[[bytes], Path]) -> None:
    path = file(header() + UIDS[:-1])
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with pytest.raises(TruncatedFile):
            read_header(path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_header_is_read_by_pydicom(file: Callable[[bytes], Path]) -> None:
    raw = header(implementation_version_name="TEST", source_ae_title="ME", sending_ae_title="YOU")
    ds = pydicom.dcmread(file(raw + UIDS))
    meta = ds.file_meta
    assert meta.FileMetaInformationGroupLength == len(raw) - 144
    assert meta.FileMetaInformationVersion == b"\0\1"
    assert meta.MediaStorageSOPClassUID == CT
    assert meta.MediaStorageSOPInstanceUID == "1.2.3"
    assert meta.TransferSyntaxUID == EXPLICIT
    assert meta.ImplementationClassUID == "2.25.1"
    assert meta.ImplementationVersionName == "TEST"
    assert meta.SourceApplicationEntityTitle == "ME"
    assert meta.SendingApplicationEntityTitle == "YOU"
    assert [elem.tag.element for elem in meta] == sorted(elem.tag.element for elem in meta)
    assert ds.SOPInstanceUID == "1.2.3"


# Elements of group 0002 in the data set


def meta_of(syntax: str, extra: bytes = b"", *, off: int | None = 0) -> bytes:
    """Meta information whose group length is wrong by `off`; None for none."""
    elements = element(TRANSFER_SYNTAX_UID, b"UI", syntax.encode() + b"\0" * (len(syntax) % 2))
    elements += extra
    length = b""
    if off is not None:
        length = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(elements) + off)
    return bytes(128) + b"DICM" + length + elements


def in_syntax(syntax: str, *elements: tuple[int, bytes, bytes]) -> bytes:
    if syntax == IMPLICIT:
        return b"".join(
            struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value
            for tag, _, value in elements
        )
    order = ">" if syntax == BIG else "<"
    return b"".join(
        struct.pack(order + "HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value
        for tag, vr, value in elements
    )


IMPLICIT = "1.2.840.10008.1.2"
BIG = "1.2.840.10008.1.2.2"
INSTANCE = (
    (0x00080016, b"UI", CT.encode() + b"\0" * (len(CT) % 2)),
    (0x00080018, b"UI", b"1.2.3\0"),
)


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
@pytest.mark.parametrize(
    "second",
    [
        (0x00020010, b"UI", b"1.2.840.10008.1.2\0"),
        (0x00020000, b"UL", b"\x10\0\0\0"),
        (0x00020013, b"SH", b"ab"),
        (0x00020000, b"UL", b""),
    ],
)
def test_group_2_in_the_data_set(
    file: Callable[[bytes], Path], syntax: str, second: tuple[int, bytes, bytes]
) -> None:
    """The meta information ends where its group length says, whatever follows."""
    data = in_syntax(syntax, second, *INSTANCE)
    meta = meta_of(syntax)
    with read_header(file(meta + data)) as read:
        read.check()
        read.check_encoding()
        assert (read.transfer_syntax, read.offset, read.size) == (syntax, len(meta), len(data))
        assert read.sop_instance_uid == "1.2.3"
        assert read.data_set().getvalue() == data
        assert read.data_set().decode().SOPInstanceUID == "1.2.3"


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
@pytest.mark.parametrize("off", [None, -1, 1, 7, 100_000, 0x7FFFFFFF, "start", "before last"])
def test_a_group_length_that_is_absent_or_wrong(
    file: Callable[[bytes], Path], syntax: str, off: int | str | None
) -> None:
    """It ends before the first element of another group."""
    last = element(0x00020013, b"SH", b"ab")
    if off == "start":
        off = -len(meta_of(syntax, last, off=None)) + 132
    elif off == "before last":
        if syntax == EXPLICIT:
            return  # which cannot be told from one in the data set
        off = -len(last)
    assert off is None or isinstance(off, int)
    meta = meta_of(syntax, last, off=off)
    data = in_syntax(syntax, *INSTANCE)
    with read_header(file(meta + data)) as read:
        read.check()
        read.check_encoding()
        assert (read.transfer_syntax, read.offset) == (syntax, len(meta))


def test_group_2_in_a_deflated_data_set(file: Callable[[bytes], Path]) -> None:
    syntax = "1.2.840.10008.1.2.1.99"
    data = deflate(in_syntax(EXPLICIT, (0x00020010, b"UI", b"1.2\0"), *INSTANCE))
    meta = meta_of(syntax)
    with read_header(file(meta + data)) as read:
        read.check()
        assert (read.sop_instance_uid, read.offset) == ("1.2.3", len(meta))


@pytest.mark.parametrize("name", ["group2_implicit.dcm", "group2_explicit.dcm", "group1.dcm"])
def test_files_of_real_devices(name: str) -> None:
    path = Path(__file__).parent.parent / "data" / "inputs" / name
    raw = path.read_bytes()
    length = int.from_bytes(raw[140:144], "little")
    with read_header(path) as read:
        read.check()
        read.check_encoding()
        assert read.offset == 144 + length
        assert read.data_set().getvalue() == raw[read.offset :]


# Bytes after the last element


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
@pytest.mark.parametrize("stray", [b"\0", b" ", b"\xff", b"Z"])
@pytest.mark.parametrize("count", range(1, 8))
def test_stray_bytes(file: Callable[[bytes], Path], syntax: str, stray: bytes, count: int) -> None:
    data = in_syntax(syntax, *INSTANCE)
    with read_header(file(meta_of(syntax) + data + stray * count)) as read:
        read.check()
        assert read.size == len(data) + count
        assert for_wire(read.data_set()).getvalue() == data


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
@pytest.mark.parametrize("tag", [0x00100010, 0x00091001, 0x00080020, 0x7FE00010])
def test_the_beginning_of_another_element_is_no_stray_byte(
    file: Callable[[bytes], Path], syntax: str, tag: int
) -> None:
    data = in_syntax(syntax, *INSTANCE)
    following = in_syntax(syntax, (tag, b"OB", b""))
    for count in range(2, 8):
        path = file(meta_of(syntax) + data + following[:count])
        with read_header(path) as read, pytest.raises(TruncatedFile):
            read.check()


def test_the_same_data_set_is_recognised(tmp_path: Path) -> None:
    small, other = (DATA / "test_files" / name for name in ("CT_small.dcm", "MR_small.dcm"))
    with read_header(str(small)) as header:
        received = header.data_set()
    assert same_data_set(received, small)
    assert not same_data_set(received, other)
    assert not same_data_set(received, tmp_path / "missing")
    assert not same_data_set(received, tmp_path)
    changed = bytearray(small.read_bytes())
    changed[-1] ^= 1
    (tmp_path / "changed").write_bytes(changed)
    assert not same_data_set(received, tmp_path / "changed")
