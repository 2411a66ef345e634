"""Values that are none of their VR: shown as their bytes, and the rest of the match as ever."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from pynetdicom import AE, evt
from pynetdicom.apps import odd_values
from pynetdicom.data_sets.data_set import InMemory
from pynetdicom.dsutils import pretty_dataset
from pynetdicom.query_models import query_model_uid
from tests.apps.conftest import RunApp
from tests.sampled import sampled

EXPLICIT = "1.2.840.10008.1.2.1"
LONG = ("OB", "OW", "SQ", "UN", "UT", "UC", "UR")


def element(tag: int, vr: str, value: bytes) -> bytes:
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    size = struct.pack("<HI", 0, len(value)) if vr in LONG else struct.pack("<H", len(value))
    return head + size + value


def item(content: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


WEIGHT = element(0x00101030, "DS", b"0,5 ")
ODD = {
    # name → the element, its bytes, whether a text can show it all the same
    "DS": (WEIGHT, b"0,5 ", False),
    "DS nan": (element(0x00101030, "DS", b"NaN "), b"NaN ", False),
    "IS": (element(0x00201208, "IS", b"12a "), b"12a ", False),
    "IS fraction": (element(0x00201208, "IS", b"12.5"), b"12.5", False),
    "US of 3 bytes": (element(0x00280010, "US", b"abc"), b"abc", False),
    "AT of 3 bytes": (element(0x00205000, "AT", b"abc"), b"abc", False),
    "FD of 4 bytes": (element(0x00189073, "FD", b"abcd"), b"abcd", False),
    "FD nan": (element(0x00189073, "FD", struct.pack("<d", float("nan"))), b"", True),
    "unknown VR": (element(0x00080021, "ZZ", b"2020"), b"2020", False),
    "date": (element(0x00080020, "DA", b"\xff\xfe99"), b"\xff\xfe99", False),
    "UTF-8": (element(0x00100010, "PN", b"M\xfcller^X"), b"M\xfcller^X", False),
    "nested": (element(0x00400100, "SQ", item(WEIGHT)), b"0,5 ", False),
    "nested twice": (
        element(0x00400100, "SQ", item(element(0x00400008, "SQ", item(WEIGHT)))), b"0,5 ", False,
    ),
}  # fmt: skip


def encoded(odd: bytes, character_set: bytes = b"ISO_IR 192") -> InMemory:
    parts = [
        element(0x00080005, "CS", character_set),
        element(0x00080052, "CS", b"STUDY "),
        element(0x00100020, "LO", b"P1"),
        element(0x0020000D, "UI", b"1.2.3\0"),
        odd,
    ]
    parts.sort(key=lambda part: struct.unpack("<HH", part[:4]))
    return InMemory(b"".join(parts), EXPLICIT)


def inline(value: Any) -> Iterator[str]:
    """The bytes in JSON, however deep."""
    if isinstance(value, dict):
        if "InlineBinary" in value:
            assert value["vr"] == "OB"
            yield value["InlineBinary"]
        for one in value.values():
            yield from inline(one)
    elif isinstance(value, list):
        for one in value:
            yield from inline(one)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ODD)
def test_the_rest_is_shown(name: str, tmp_path: Path) -> None:
    import base64

    odd, data, _ = ODD[name]
    match = encoded(odd).decode()
    odd_values.for_json(match)
    shown = json.loads(match.to_json(), parse_constant=pytest.fail)
    assert shown["00100020"]["Value"] == ["P1"]
    assert Dataset.from_json(match.to_json()).PatientID == "P1"
    (found,) = (base64.b64decode(one) for one in inline(shown))
    assert found.startswith(data)
    match = encoded(odd).decode()
    odd_values.for_text(match)
    text = "\n".join(pretty_dataset(match))
    assert "[P1]" in text
    assert ("which are no" in text) is not ODD[name][2]
    if data:
        assert repr(data)[2:-1] in text or repr(str(data)[1:])[1:-1] in text


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("data", [b"text!!!!", b"\xfe\xff\x00\xe0\x90\x01\x00\x00abcd", b"\0\0"])
def test_what_is_no_sequence_in_implicit_vr(data: bytes) -> None:
    """The dictionary has one there; pydicom makes an empty item of whatever it is."""
    head = struct.pack("<HHI", 0x0008, 0x1140, len(data))
    match = InMemory(head + data, "1.2.840.10008.1.2").decode()
    odd_values.for_text(match)
    text = "\n".join(pretty_dataset(match))
    assert f"{str(data)[1:]} (bytes, which are no SQ)" in text
    match = InMemory(head + data, "1.2.840.10008.1.2").decode()
    odd_values.for_json(match)
    assert match[0x00081140].value == data


@pytest.mark.filterwarnings("ignore")
def test_an_unknown_character_set() -> None:
    match = encoded(element(0x00100010, "PN", b"M\xfcller^X"), b"ISO_IR 999").decode()
    odd_values.for_text(match)
    assert "M\\xfcller^X' (bytes, which are no PN)" in "\n".join(pretty_dataset(match))


def test_what_is_in_order_is_left_alone() -> None:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName = "Müller^\N{REPLACEMENT CHARACTER}"
    ds.PatientWeight, ds.StudyDate, ds.PatientAge = "0.50", "", None
    ds.NumberOfStudyRelatedInstances = ["1", "-2"]
    ds.ScheduledProcedureStepSequence = [Dataset()]
    before = ds.to_json()
    for mend in (odd_values.for_json, odd_values.for_text, odd_values.for_file):
        mend(ds)
        assert ds.to_json() == before


@sampled("flags", [(), ("--json",), ("-w",)])
@sampled("encoding", ["ascii", "utf-8"])
def test_findscu_loses_no_match(
    run_app: RunApp, tmp_path: Path, flags: tuple[str, ...], encoding: str
) -> None:
    def answers(event: Any) -> Iterator[Any]:
        for odd, *_ in ODD.values():
            yield 0xFF00, encoded(odd)
        yield 0xFF00, encoded(element(0x00100010, "PN", "Müller^山".encode()))

    ae = AE()
    ae.add_supported_context(query_model_uid("C-FIND", "P"), EXPLICIT)
    scp = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, answers)])
    assert scp is not None
    try:
        ran = run_app(
            "findscu", "127.0.0.1", scp.server_address[1],
            "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID",
            *flags, env={"PYTHONIOENCODING": encoding},
        )  # fmt: skip
    finally:
        ae.shutdown()
    count = len(ODD) + 1
    assert (ran.returncode, ran.stderr) == (0, "")
    if "--json" in flags:
        found = [json.loads(line, parse_constant=pytest.fail) for line in ran.stdout.splitlines()]
        assert [one["0020000D"]["Value"] for one in found] == [["1.2.3"]] * count
        assert found[-1]["00100010"]["Value"] == [{"Alphabetic": "Müller^山"}]
        return
    assert ran.stdout.splitlines()[-1] == f"{count} matches"
    assert ran.stdout.count("[1.2.3]") == count
    assert ("Müller^山" if encoding == "utf-8" else r"M\xfcller^\u5c71") in ran.stdout
    if "-w" in flags:
        for number in range(1, count + 1):
            assert dcmread(tmp_path / f"rsp{number:06d}.dcm").StudyInstanceUID == "1.2.3"
