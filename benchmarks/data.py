"""The files that are sent: CT images in Part 10 files, written without any DICOM library."""

from __future__ import annotations

import random
import struct
import uuid
from dataclasses import dataclass
from pathlib import Path

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
IMPLEMENTATION_CLASS_UID = "2.25.190213877455291063421570334895741265017"

TAIL = 64
"""Bytes at the end of each object that no other object ends with."""

_LONG_VRS = frozenset({b"OB", b"OW", b"SQ", b"UN", b"UT"})
_BLOCK = random.Random(1).randbytes(1 << 20)


@dataclass(frozen=True)
class Shape:
    """The pixel matrix of an object, 16 bits a pixel, one frame."""

    name: str
    rows: int
    columns: int

    @property
    def pixel_bytes(self) -> int:
        """Length of Pixel Data."""
        return self.rows * self.columns * 2


SMALL = Shape("4 KB", 40, 36)
SLICE = Shape("512 KB", 512, 512)
MEDIUM = Shape("20 MB", 3200, 3200)
BIG = Shape("100 MB", 7168, 6976)
LARGE = Shape("128 MiB", 8192, 8192)
HUGE = Shape("1 GiB", 32768, 16384)


def new_uid() -> str:
    """Give a UID derived from a random UUID (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def _element(group: int, number: int, vr: bytes, value: bytes | str) -> bytes:
    """Encode one element in explicit VR little endian (PS3.5 7.1.2)."""
    if isinstance(value, str):
        value = value.encode("ascii")
    if len(value) % 2:
        value += b"\0" if vr in (b"UI", b"OB") else b" "
    if vr in _LONG_VRS:
        return struct.pack("<HH2sHI", group, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


def _short(group: int, number: int, value: int) -> bytes:
    return _element(group, number, b"US", struct.pack("<H", value))


def _head(shape: Shape, instance_uid: str, study_uid: str, series_uid: str, number: int) -> bytes:
    """Encode preamble, meta information and the data set up to the value of Pixel Data."""
    meta = b"".join(
        (
            _element(0x0002, 0x0001, b"OB", b"\0\1"),
            _element(0x0002, 0x0002, b"UI", CT_IMAGE_STORAGE),
            _element(0x0002, 0x0003, b"UI", instance_uid),
            _element(0x0002, 0x0010, b"UI", EXPLICIT_VR_LITTLE_ENDIAN),
            _element(0x0002, 0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
        )
    )
    meta = _element(0x0002, 0x0000, b"UL", struct.pack("<I", len(meta))) + meta
    data_set = b"".join(
        (
            _element(0x0008, 0x0008, b"CS", r"ORIGINAL\PRIMARY\AXIAL"),
            _element(0x0008, 0x0016, b"UI", CT_IMAGE_STORAGE),
            _element(0x0008, 0x0018, b"UI", instance_uid),
            _element(0x0008, 0x0020, b"DA", "20240102"),
            _element(0x0008, 0x0030, b"TM", "101112"),
            _element(0x0008, 0x0050, b"SH", "A1"),
            _element(0x0008, 0x0060, b"CS", "CT"),
            _element(0x0008, 0x0070, b"LO", "Benchmark"),
            _element(0x0008, 0x0090, b"PN", ""),
            _element(0x0010, 0x0010, b"PN", "Phantom^Benchmark"),
            _element(0x0010, 0x0020, b"LO", "BENCHMARK"),
            _element(0x0010, 0x0030, b"DA", ""),
            _element(0x0010, 0x0040, b"CS", "O"),
            _element(0x0018, 0x0050, b"DS", "1"),
            _element(0x0018, 0x0060, b"DS", "120"),
            _element(0x0020, 0x000D, b"UI", study_uid),
            _element(0x0020, 0x000E, b"UI", series_uid),
            _element(0x0020, 0x0010, b"SH", "1"),
            _element(0x0020, 0x0011, b"IS", "1"),
            _element(0x0020, 0x0012, b"IS", "1"),
            _element(0x0020, 0x0013, b"IS", str(number)),
            _element(0x0020, 0x0032, b"DS", rf"0\0\{number}"),
            _element(0x0020, 0x0037, b"DS", r"1\0\0\0\1\0"),
            _element(0x0020, 0x0052, b"UI", study_uid + ".1"),
            _element(0x0020, 0x1040, b"LO", ""),
            _short(0x0028, 0x0002, 1),
            _element(0x0028, 0x0004, b"CS", "MONOCHROME2"),
            _short(0x0028, 0x0010, shape.rows),
            _short(0x0028, 0x0011, shape.columns),
            _element(0x0028, 0x0030, b"DS", r"1\1"),
            _short(0x0028, 0x0100, 16),
            _short(0x0028, 0x0101, 16),
            _short(0x0028, 0x0102, 15),
            _short(0x0028, 0x0103, 0),
            _element(0x0028, 0x1052, b"DS", "-1024"),
            _element(0x0028, 0x1053, b"DS", "1"),
        )
    )
    pixel_data = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, shape.pixel_bytes)
    return bytes(128) + b"DICM" + meta + data_set + pixel_data


def write_files(directory: Path, shape: Shape, count: int) -> list[Path]:
    """Write `count` objects of one series, each with its own UIDs and ending.

    Returns
    -------
    list of Path
        The files, in the order of their Instance Number.
    """
    directory.mkdir(parents=True)
    study_uid = f"2.25.{uuid.uuid4().int >> 16}"
    series_uid = new_uid()
    paths = []
    for number in range(1, count + 1):
        path = directory / f"{number:05}.dcm"
        uid = new_uid()
        with path.open("wb") as file:
            file.write(_head(shape, uid, study_uid, series_uid, number))
            left = shape.pixel_bytes - TAIL
            while left > 0:
                file.write(_BLOCK[:left])
                left -= len(_BLOCK)
            file.write(random.Random(uid).randbytes(TAIL))
        paths.append(path)
    return paths


def endings(paths: list[Path]) -> list[bytes]:
    """Read the last bytes of files, sorted: equal for what was sent and what was stored."""
    found = []
    for path in paths:
        with path.open("rb") as file:
            file.seek(-TAIL, 2)
            found.append(file.read())
    return sorted(found)
