"""findscu: what it asks, what it shows, and its exit code."""

from __future__ import annotations

import csv
import io
import itertools
import resource
import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement

from pynetdicom.apps import findscu, matches, query
from pynetdicom.apps.keys import make_query
from pynetdicom.apps.matches import columns_of, make_output, paths_of, value_at
from pynetdicom.apps.progress import Terminal
from pynetdicom.apps.usual_keys import USUAL
from pynetdicom.dsutils import decode
from pynetdicom.query_models import query_model_uid
from tests.apps.conftest import RunApp
from tests.apps.query_scp import QueryScp, started
from tests.peers import DEADLINE
from tests.sampled import sampled

KEYS = ("-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName=Doe*", "-k", "StudyInstanceUID")


def match(number: int) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = "STUDY"
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName = f"Döe^{number}"
    ds.StudyInstanceUID = f"1.2.{number}"
    return ds


MakeScp = Callable[[Callable[[Any], Any]], QueryScp]


@pytest.fixture
def make_scp() -> Iterator[MakeScp]:
    started: list[QueryScp] = []

    def make(handler: Callable[[Any], Any]) -> QueryScp:
        started.append(QueryScp("C-FIND", handler))
        return started[-1]

    yield make
    for scp in started:
        scp.close()


def three(event: Any) -> Iterator[Any]:
    for number in range(3):
        yield 0xFF00, match(number)


def test_matches_as_lines(make_scp: MakeScp, run_app: RunApp) -> None:
    scp = make_scp(three)
    ran = run_app("findscu", "127.0.0.1", scp.port, *KEYS)
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert [line for line in lines if line.startswith("match ")] == [
        "match 1",
        "match 2",
        "match 3",
    ]
    assert [line.split()[2] for line in lines if "StudyInstanceUID" in line] == [
        "[1.2.0]", "[1.2.1]", "[1.2.2]",
    ]  # fmt: skip
    assert "[Döe^1]" in ran.stdout
    assert lines[-1] == "3 matches"
    (asked,) = scp.identifiers
    assert asked.PatientName == "Doe*"
    assert asked.StudyInstanceUID == ""
    assert scp.requests[0].AffectedSOPClassUID == query_model_uid("C-FIND", "P")
    assert scp.released.wait(DEADLINE)


def test_matches_as_json(make_scp: MakeScp, run_app: RunApp) -> None:
    scp = make_scp(three)
    ran = run_app("findscu", "127.0.0.1", scp.port, *KEYS, "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    found = [Dataset.from_json(line) for line in ran.stdout.splitlines()]
    assert found == [match(number) for number in range(3)]


@sampled("flags", [(), ("--json",)])
def test_values_that_are_none_of_their_vr_are_shown_only(
    make_scp: MakeScp, run_app: RunApp, flags: tuple[str, ...]
) -> None:
    """What a peer has in its database is no problem of the app's, and not for standard error."""

    def odd(event: Any) -> Iterator[Any]:
        ds = match(1)
        for keyword, vr, value in (
            ("StudyDate", "DA", "JANE^DOE"),
            ("StudyInstanceUID", "UI", "../1.2.a"),
        ):
            ds.add(DataElement(keyword, vr, value, validation_mode=IGNORE))
        yield 0xFF00, ds

    ran = run_app("findscu", "127.0.0.1", make_scp(odd).port, *KEYS, "-k", "StudyDate", *flags)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "JANE^DOE" in ran.stdout
    assert "../1.2.a" in ran.stdout


@pytest.mark.slow
def test_no_match(make_scp: MakeScp, run_app: RunApp) -> None:
    scp = make_scp(lambda event: iter(()))
    ran = run_app("findscu", "127.0.0.1", scp.port, *KEYS)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "0 matches\n", "")
    ran = run_app("findscu", "127.0.0.1", scp.port, *KEYS, "--json")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@sampled(
    ("flag", "model"), [("-P", "P"), ("-S", "S"), ("-O", "O"), ("-W", "W"), ("-U", query.UPS_PULL)]
)
def test_models(make_scp: MakeScp, run_app: RunApp, flag: str, model: str) -> None:
    scp = make_scp(three)
    ran = run_app("findscu", "127.0.0.1", scp.port, flag, *KEYS)
    assert ran.returncode == 0
    assert scp.requests[0].AffectedSOPClassUID == query_model_uid("C-FIND", model)


@sampled(("flag", "warns"), [("-S", True), ("-W", False), ("-U", False)])
def test_what_has_levels(make_scp: MakeScp, run_app: RunApp, flag: str, warns: bool) -> None:
    scp = make_scp(three)
    ran = run_app("findscu", "127.0.0.1", scp.port, flag, "-k", "PatientName=*")
    assert ("--level" in ran.stderr) == warns


def test_matches_as_files(make_scp: MakeScp, run_app: RunApp, tmp_path: Path) -> None:
    scp = make_scp(three)
    ran = run_app("findscu", "127.0.0.1", scp.port, *KEYS, "-w")
    assert ran.returncode == 0
    names = [f"rsp00000{number}.dcm" for number in (1, 2, 3)]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for number, name in enumerate(names):
        assert list(dcmread(tmp_path / name)) == list(match(number))
    before = (tmp_path / names[0]).read_bytes()
    ran = run_app("findscu", "127.0.0.1", scp.port, *KEYS, "-w")
    assert ran.returncode == 1
    assert len(ran.stderr.splitlines()) == 1
    assert names[0] in ran.stderr
    assert "3 matches" in ran.stdout
    assert (tmp_path / names[0]).read_bytes() == before


@pytest.mark.slow
def test_a_file_system_that_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No part of a match is left."""
    monkeypatch.chdir(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    terminal = Terminal("findscu")
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        wants_more = findscu.write(match(0), 1, Namespace(model="P"), terminal)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert not wants_more
    assert terminal.problems == 1
    assert "rsp000001.dcm" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_cancelling_after_some_matches(make_scp: MakeScp, run_app: RunApp) -> None:
    cancelled = threading.Event()

    def endless(event: Any) -> Iterator[Any]:
        try:
            for number in itertools.count():  # until the engine closes it
                yield 0xFF00, match(number)
        finally:
            if event.is_cancelled:
                cancelled.set()

    scp = make_scp(endless)
    ran = run_app("findscu", "127.0.0.1", scp.port, *KEYS, "--json", "--cancel", 2)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [Dataset.from_json(line) for line in ran.stdout.splitlines()] == [match(0), match(1)]
    assert cancelled.wait(DEADLINE)
    assert scp.released.wait(DEADLINE)


@sampled(
    ("final", "words"),
    [
        ((0xA700, None), "0xA700"),
        ((0xA900, None), "0xA900"),
        ((0xC123, None), "0xC123"),
        ((0xFE00, None), "0xFE00"),
    ],
)
def test_final_statuses(
    make_scp: MakeScp, run_app: RunApp, final: tuple[int, None], words: str
) -> None:
    def handler(event: Any) -> Iterator[Any]:
        yield 0xFF00, match(0)
        yield final

    scp = make_scp(handler)
    ran = run_app("findscu", "127.0.0.1", scp.port, *KEYS)
    assert ran.returncode == 1
    assert "1 match\n" in ran.stdout
    (line,) = ran.stderr.splitlines()
    assert line.startswith("findscu: C-FIND ends with ")
    assert words in line


@pytest.mark.slow
def test_an_association_that_ends_in_the_middle(make_scp: MakeScp, run_app: RunApp) -> None:
    def handler(event: Any) -> Iterator[Any]:
        yield 0xFF00, match(0)
        event.assoc.abort()
        yield 0xFF00, match(1)

    scp = make_scp(handler)
    ran = run_app("findscu", "127.0.0.1", scp.port, *KEYS)
    assert ran.returncode == 1
    assert "no answer" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.slow
def test_keys_that_the_peer_does_not_support(make_scp: MakeScp, run_app: RunApp) -> None:
    scp = make_scp(lambda event: iter([(0xFF01, match(0)), (0xFF01, match(1))]))
    ran = run_app("findscu", "127.0.0.1", scp.port, *KEYS)
    assert ran.returncode == 0
    assert "2 matches" in ran.stdout
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.slow
def test_extensions_that_are_proposed(make_scp: MakeScp, run_app: RunApp) -> None:
    scp = make_scp(three)
    flags = ("--relational-query", "--fuzzy-names")
    ran = run_app("findscu", "127.0.0.1", scp.port, "-S", *KEYS, *flags)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert scp.extended == {query_model_uid("C-FIND", "S"): b"\1\0\1"}
    scp.agrees = False
    ran = run_app("findscu", "127.0.0.1", scp.port, *KEYS, *flags)
    assert ran.returncode == 0
    assert [line.split()[-1] for line in ran.stderr.splitlines()] == list(flags)


@pytest.mark.parametrize(
    ("model", "asked", "information"),
    [
        ("P", (), b""),
        ("P", ("relational_query",), b"\1"),
        ("S", ("dt_matching",), b"\0\1"),
        ("O", ("fuzzy_names",), b"\0\0\1"),
        ("P", ("timezone_adj",), b"\0\0\0\1"),
        ("P", ("enhanced_conversion",), b"\0\0\0\0\1"),
        ("P", query.NEGOTIATED["C-FIND"], b"\1\1\1\1\1"),
        ("W", (), b""),
        ("W", ("fuzzy_names",), b"\1\1\1"),
        ("W", ("relational_query",), b"\1\1"),
        ("W", ("enhanced_conversion",), b""),
        ("W", query.NEGOTIATED["C-FIND"], b"\1\1\1\1"),
    ],
)
def test_application_information(model: str, asked: tuple[str, ...], information: bytes) -> None:
    flags = {name: name in asked for name in query.NEGOTIATED["C-FIND"]}
    args = Namespace(model=model, **flags)
    assert query.application_information(args, "C-FIND") == information


@sampled(
    "arguments",
    [
        (), ("-k", "PatientNam=1"), ("-f", "missing.dcm"), ("-P", "-S", *KEYS),
        ("--cancel", "0", *KEYS), ("-k",), ("--json", "--csv", *KEYS),
        ("--level", "HOUSE", *KEYS),
    ],
)  # fmt: skip
def test_wrong_arguments(run_app: RunApp, arguments: tuple[str, ...]) -> None:
    ran = run_app("findscu", "127.0.0.1", 1, *arguments)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert len(ran.stderr.splitlines()) == 1


def test_nobody_there(run_app: RunApp, free_port: int) -> None:
    ran = run_app("findscu", "127.0.0.1", free_port, *KEYS)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_peer_that_does_not_do_queries(serve_app: Any, run_app: RunApp) -> None:
    served = serve_app("storescp")
    ran = run_app("findscu", "127.0.0.1", served.port, *KEYS)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert len(ran.stderr.splitlines()) == 1


def test_no_patient_data_in_the_log_at_info(make_scp: MakeScp, run_app: RunApp) -> None:
    scp = make_scp(three)
    ran = run_app("findscu", "127.0.0.1", scp.port, *KEYS, "-v")
    assert ran.returncode == 0
    assert ran.stderr
    assert "öe" not in ran.stderr
    assert "Doe" not in ran.stderr


def test_ctrl_c_cancels(make_scp: MakeScp, python_env: dict[str, str], tmp_path: Path) -> None:
    asked, cancelled = threading.Event(), threading.Event()

    def slow(event: Any) -> Iterator[Any]:
        yield 0xFF00, match(0)
        asked.set()
        ticks = threading.Event()
        for _ in range(int(DEADLINE / 0.05)):
            if event.is_cancelled:
                cancelled.set()
                break
            ticks.wait(0.05)
        yield 0xFE00, None

    scp = make_scp(slow)
    arguments = ("127.0.0.1", scp.port, *KEYS)
    with started("findscu", *arguments, env=python_env, cwd=tmp_path) as process:
        assert asked.wait(DEADLINE)
        assert process.stdout is not None
        assert process.stdout.readline() == "match 1\n"
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert errors == "findscu: interrupted\n"
    assert "1 match\n" in out
    assert cancelled.is_set()
    assert scp.released.wait(DEADLINE)


@pytest.mark.slow
def test_a_second_ctrl_c_does_not_wait(
    make_scp: MakeScp, python_env: dict[str, str], tmp_path: Path
) -> None:
    """The peer never ends the query; the app does not even wait for the deadline."""
    cancelled, over = threading.Event(), threading.Event()

    def stubborn(event: Any) -> Iterator[Any]:
        yield 0xFF00, match(0)
        ticks = threading.Event()
        for _ in range(int(DEADLINE / 0.05)):
            if event.is_cancelled:
                cancelled.set()
                break
            ticks.wait(0.05)
        over.wait(DEADLINE)

    scp = make_scp(stubborn)
    arguments = ("127.0.0.1", scp.port, *KEYS)
    patient = "from pynetdicom.apps import query; query.FINAL_RESPONSE_SECONDS = 3600"
    with started("findscu", *arguments, env=python_env, cwd=tmp_path, before=patient) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "match 1\n"
        process.send_signal(signal.SIGINT)
        assert cancelled.wait(DEADLINE)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=DEADLINE)
    over.set()
    assert (process.returncode, errors) == (130, "findscu: interrupted\n")


@pytest.mark.slow
def test_a_peer_that_does_not_end_a_cancelled_query(
    make_scp: MakeScp, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It gets so long, and not longer, however many matches it sends meanwhile."""
    monkeypatch.setattr(query, "FINAL_RESPONSE_SECONDS", 0.3)
    over = threading.Event()

    def stubborn(event: Any) -> Iterator[Any]:
        yield 0xFF00, match(0)
        over.wait(DEADLINE)

    scp = make_scp(stubborn)
    try:
        code = findscu.main(["127.0.0.1", str(scp.port), *KEYS, "--cancel", "1"])
    finally:
        over.set()
    assert code == 1
    captured = capsys.readouterr()
    assert "1 match\n" in captured.out
    assert "no answer" in captured.err


@sampled("json", [False, True])
def test_a_match_with_values_that_are_none_of_their_vr(
    json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is a problem if it cannot be shown, and never a traceback; the next one is shown."""
    bad = decode(b"\x20\x00\x13\x00IS\x04\x00what\x28\x00\x10\x00US\x03\x00123", False, True)
    terminal = Terminal("findscu")
    output = make_output([], "json" if json else None)
    findscu.show(bad, output, terminal)
    findscu.show(match(1), output, terminal)
    captured = capsys.readouterr()
    assert "1.2.1" in captured.out
    assert len(captured.err.splitlines()) == terminal.problems <= 1
    assert not json or [Dataset.from_json(line) for line in captured.out.splitlines()]


def test_a_reader_that_stops_reading(
    make_scp: MakeScp, python_env: dict[str, str], tmp_path: Path
) -> None:
    """As ``head`` does."""
    gone = threading.Event()

    def handler(event: Any) -> Iterator[Any]:
        yield 0xFF00, match(0)
        gone.wait(DEADLINE)
        for number in range(1, 2000):
            if event.is_cancelled:
                break
            yield 0xFF00, match(number)

    scp = make_scp(handler)
    arguments = ("127.0.0.1", scp.port, *KEYS)
    with started("findscu", *arguments, env=python_env, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "match 1\n"
        process.stdout.close()
        gone.set()
        assert process.wait(DEADLINE) == 1
        assert process.stderr.read() == ""


# -------------------------------------------------------------------------------------- tables


def nested() -> Dataset:
    step = Dataset()
    step.Modality = "MR"
    step.ScheduledStationAETitle = ["A", "B"]
    ds = Dataset()
    ds.QueryRetrieveLevel = "STUDY"
    ds.PatientName = "Doe"
    ds.PatientID = None
    ds.ReferencedStudySequence = []
    ds.ScheduledProcedureStepSequence = [step, step]
    return ds


def test_columns_and_values() -> None:
    ds = nested()
    values = {path[-1]: value_at(ds, path) for path in paths_of(ds)}
    assert values == {
        0x00100010: "Doe", 0x00100020: "", 0x00081110: "", 0x00080060: "MR; MR",
        0x00400001: "A\\B; A\\B",
    }  # fmt: skip
    assert {value_at(Dataset(), path) for path in paths_of(ds)} == {""}


def test_a_table_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output = make_output(list(paths_of(nested())), None)
    hostile = nested()
    hostile.PatientName = "[bold]\x1b[31mEve"
    output.show(hostile)
    output.close(1)
    shown = capsys.readouterr().out
    assert "PatientName" in shown
    assert "MR; MR" in shown
    assert "\x1b[31m" not in shown
    assert shown.endswith("1 match\n")


LONG = ".".join(["1.2.840.113619.2"] + ["1234567890"] * 5)[:64]


def study(name: str, uid: str = LONG) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName, ds.StudyInstanceUID, ds.StudyID = name, uid, "7"
    ds.SOPClassesInStudy = [f"{LONG[:-2]}{number}" for number in range(10, 20)]
    return ds


def shown_on_a_terminal(
    columns: int, keys: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> list[str]:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(matches, "terminal_columns", lambda: columns)
    output = make_output(columns_of(make_query(None, keys), keys), None)
    for name in ("山田^太郎", "e\u0301", "Doe"):
        output.show(study(name))
    output.close(3)
    lines: list[str] = capsys.readouterr().out.splitlines()
    assert lines.pop() == "3 matches"
    return lines


def test_columns_are_in_the_order_of_the_keys(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """And characters that take two columns of the terminal, or none, leave them straight."""
    keys = ["StudyInstanceUID", "PatientName", "StudyID"]
    width = len(LONG) + 2 + len("PatientName") + 2 + len("StudyID")
    head, rule, *rows = shown_on_a_terminal(width, keys, monkeypatch, capsys)
    assert head == f"{'StudyInstanceUID':64}  PatientName  StudyID"
    assert rule == "-" * 64 + "  -----------  -------"
    assert rows == [
        f"{LONG}  山田^太郎    7", f"{LONG}  e\u0301            7", f"{LONG}  Doe          7",
    ]  # fmt: skip


def test_a_row_that_does_not_fit_is_a_line_an_element(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    keys = ["StudyInstanceUID", "SOPClassesInStudy", "PatientName"]
    lines = shown_on_a_terminal(80, keys, monkeypatch, capsys)
    assert len(lines) == 12
    assert lines[-4:] == [
        "match 3",
        f"  StudyInstanceUID   {LONG}",
        "  SOPClassesInStudy  " + "\\".join(study("").SOPClassesInStudy),
        "  PatientName        Doe",
    ]


def test_uids_are_never_cut(capsys: Any) -> None:
    """Nor where nobody looks: 640 characters of them."""
    output = make_output([], None)
    output.show(study("Doe"))
    shown = capsys.readouterr().out
    assert f"[{LONG}]" in shown
    assert f"[{chr(92).join(study('').SOPClassesInStudy)}]" in shown


def test_names_of_columns(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """The last one of a path, or the whole path where that is not enough."""
    keys = ["Modality", "ScheduledProcedureStepSequence[0].Modality", "StudyID"]
    head, *_ = shown_on_a_terminal(200, keys, monkeypatch, capsys)
    assert head.split() == ["Modality", "ScheduledProcedureStepSequence.Modality", "StudyID"]


# ----------------------------------------------------------------------------------------- CSV


def as_csv(keys: list[str], *found: Dataset, capsys: Any) -> list[list[str]]:
    output = make_output(columns_of(make_query(None, keys), keys), "csv")
    for one in found:
        output.show(one)
    output.close(len(found))
    text = capsys.readouterr().out
    assert text.endswith("\r\n")
    return list(csv.reader(io.StringIO(text, newline="")))


def test_csv(capsys: Any) -> None:
    step = Dataset()
    step.Modality = "MR"
    one, two = study('Doe, "Jim"^\x1b[31m'), nested()
    one.StudyDescription = None
    one.ScheduledProcedureStepSequence = [step]
    one.PatientComments = "line 1\r\nline 2"
    one.ReferencedStudySequence = [step]
    one.add_new(0x00091001, "UN", b"\0\1")
    keys = [
        "StudyInstanceUID", "PatientName", "ScheduledProcedureStepSequence[0].Modality",
        "SOPClassesInStudy", "StudyDescription", "PatientComments", "ReferencedStudySequence",
        "QueryRetrieveLevel=STUDY", "(0009,1001)",
    ]  # fmt: skip
    head, first, second = as_csv(keys, one, two, capsys=capsys)
    assert head == [
        "StudyInstanceUID", "PatientName", "ScheduledProcedureStepSequence.Modality",
        "SOPClassesInStudy", "StudyDescription", "PatientComments", "ReferencedStudySequence",
        "(0009,1001)",
    ]  # fmt: skip
    assert first == [
        LONG, 'Doe, "Jim"^\\x1b[31m', "MR", "\\".join(one.SOPClassesInStudy), "",
        "line 1\r\nline 2", '[{"00080060": {"vr": "CS", "Value": ["MR"]}}]', "AAE=",
    ]  # fmt: skip
    assert second == ["", "Doe", '["MR", "MR"]', "", "", "", "", ""]


def test_csv_of_no_match_has_the_names(make_scp: MakeScp, run_app: RunApp) -> None:
    scp = make_scp(lambda event: iter(()))
    ran = run_app("findscu", "127.0.0.1", scp.port, *KEYS, "--csv")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "PatientName,StudyInstanceUID\n"  # text, that is: with CR LF


# --------------------------------------------------------------------------------------- levels


@pytest.mark.parametrize(("model", "level"), USUAL)
def test_usual_keys_are_keys_of_the_model(model: str, level: str | None) -> None:
    """Each is in the dictionary, once, and the level's unique key is among them."""
    keys = USUAL[model, level]
    columns = columns_of(make_query(None, (), keys), keys)
    assert len(columns) == len(set(keys)) == len(keys)
    unique = {
        "PATIENT": "PatientID", "STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID",
        "IMAGE": "SOPInstanceUID", None: "PatientID",
    }  # fmt: skip
    assert unique[level] in keys
    levels = query.levels_of(model)
    assert (level in levels) if levels else (level is None)


def test_every_level_has_usual_keys() -> None:
    for model in query.MODEL_NAMES:
        for level in query.levels_of(model) or (None,):
            assert (model, level) in USUAL


def test_a_level_asks_for_what_is_usual(make_scp: MakeScp, run_app: RunApp) -> None:
    """What is asked for otherwise comes first, and goes before it."""
    scp = make_scp(three)
    keys = ("-k", "ReferringPhysicianName", "-k", "StudyDate=20240101-")
    ran = run_app("findscu", "127.0.0.1", scp.port, "-S", "--level", "study", *keys, "--csv")
    assert (ran.returncode, ran.stderr) == (0, "")
    usual = [keyword for keyword in USUAL["S", "STUDY"] if keyword != "StudyDate"]
    assert ran.stdout.splitlines()[0].split(",") == ["ReferringPhysicianName", "StudyDate", *usual]
    (asked,) = scp.identifiers
    assert asked.QueryRetrieveLevel == "STUDY"
    assert asked.StudyDate == "20240101-"
    assert all(asked[keyword].is_empty for keyword in usual)


def test_usual_keys_of_a_worklist(make_scp: MakeScp, run_app: RunApp) -> None:
    scp = make_scp(three)
    key = ("-k", "ScheduledProcedureStepSequence[0].Modality=CT")
    ran = run_app("findscu", "127.0.0.1", scp.port, "-W", "--usual-keys", *key)
    assert (ran.returncode, ran.stderr) == (0, "")
    (asked,) = scp.identifiers
    (step,) = asked.ScheduledProcedureStepSequence
    assert step.Modality == "CT"
    assert "ScheduledStationAETitle" in step
    assert "PatientName" in asked


@sampled(
    ("arguments", "words"),
    [
        (("-S", "--level", "PATIENT"), "STUDY, SERIES, IMAGE"),
        (("-O", "--level", "SERIES"), "PATIENT, STUDY"),
        (("-W", "--level", "STUDY"), "no levels"),
        (("-S", "--usual-keys"), "--level"),
    ],
)
def test_levels_that_a_model_has_not(
    run_app: RunApp, arguments: tuple[str, ...], words: str
) -> None:
    ran = run_app("findscu", "127.0.0.1", 1, *arguments, "-k", "PatientID=1")
    assert (ran.returncode, ran.stdout) == (2, "")
    (line,) = ran.stderr.splitlines()
    assert words in line
