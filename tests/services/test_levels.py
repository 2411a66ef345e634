"""pynetdicom.services.levels: which identifiers match their SOP Class, as far as the level goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pynetdicom.data_sets.encoded import InFile, InMemory, deflate
from pynetdicom.services.levels import LEVELS, problem_of_level

EXPLICIT = "1.2.840.10008.1.2.1"
PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1.1"
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.2"
PATIENT_STUDY_ONLY = "1.2.840.10008.5.1.4.1.2.3.3"
WORKLIST = "1.2.840.10008.5.1.4.31"

# In front, a sequence and a name; behind, something that is not looked at.
HEAD = b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100"
TAIL = b"\x10\x00\x10\x00PN\x04\x00A^B "


def identifier(level: bytes | None) -> InMemory:
    element = b""
    if level is not None:
        element = b"\x08\x00\x52\x00CS" + len(level).to_bytes(2, "little") + level
    return InMemory(HEAD + element + TAIL, EXPLICIT)


CASES = [
    (PATIENT_ROOT, b"PATIENT ", True),
    (PATIENT_ROOT, b"STUDY ", True),
    (PATIENT_ROOT, b"SERIES", True),
    (PATIENT_ROOT, b"IMAGE\0", True),
    (PATIENT_ROOT, b"image ", True),
    # The handler decides.
    (PATIENT_ROOT, b"", True),
    (PATIENT_ROOT, b"  ", True),
    (PATIENT_ROOT, None, True),
    (PATIENT_ROOT, b"FRAME ", False),
    (PATIENT_ROOT, b"STUDY\\SERIES", False),
    (PATIENT_ROOT, b"\xff\xfe", False),
    (STUDY_ROOT, b"PATIENT ", False),
    (STUDY_ROOT, b"STUDY ", True),
    (PATIENT_STUDY_ONLY, b"STUDY ", True),
    (PATIENT_STUDY_ONLY, b"SERIES", False),
    (WORKLIST, None, True),
    (WORKLIST, b"NONSENSE", True),
]


@pytest.mark.parametrize(("sop_class", "level", "matches"), CASES)
def test_levels(sop_class: str, level: bytes | None, matches: bool) -> None:
    problem = problem_of_level(sop_class, identifier(level))
    assert (not problem) is matches
    assert len(problem) <= 64  # the length of an Error Comment


def test_wherever_it_is_kept(tmp_path: Path) -> None:
    data = identifier(b"STUDY ").getvalue()
    (tmp_path / "identifier").write_bytes(b"xx" + data)
    filed = InFile(str(tmp_path / "identifier"), 2, len(data), EXPLICIT)
    assert problem_of_level(STUDY_ROOT, filed) == ""
    filed.close()
    deflated = InMemory(deflate(data), EXPLICIT + ".99")
    assert problem_of_level(STUDY_ROOT, deflated) == ""


def test_what_does_not_decode_is_left_to_whoever_decodes_it() -> None:
    assert problem_of_level(STUDY_ROOT, InMemory(b"\x08\x00\x05\x00CS\xff\xff1", EXPLICIT)) == ""
    assert problem_of_level(STUDY_ROOT, None) == ""


def test_the_three_models() -> None:
    assert {len(levels) for levels in LEVELS.values()} == {2, 3, 4}
    assert len(LEVELS) == 3
