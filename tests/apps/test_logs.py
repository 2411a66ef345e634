"""The log of the programs: its lines, its JSON, its file, and that it names no patient."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from pynetdicom._logging import HERE, working_on
from pynetdicom.apps import logs
from tests import warm
from tests.apps.conftest import CT, MR, RunApp, Served
from tests.apps.test_storescp import send
from tests.peers import DEADLINE

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"


class Link:
    """An association, as far as the log asks."""

    number = 7
    peer_name = "CT at 10.0.0.1:104"


def line_of(
    format_: str, message: str, level: int = logging.INFO, link: Any = None, **extra: Any
) -> str:
    """What a record comes to."""
    handler = logs.make_handler(Namespace(log_file=None, log_format=format_))
    record = logging.LogRecord("pynetdicom.assoc", level, __file__, 1, message, (), None)
    record.__dict__.update(extra)
    with working_on(link):
        assert handler.filter(record)
    return handler.format(record)


def test_a_line_has_time_level_and_peer() -> None:
    assert re.fullmatch(f"{TIME} W: told", line_of("text", "told", logging.WARNING))
    shown = line_of("text", "told", link=Link())
    assert re.fullmatch(f"{TIME} I: CT at 10.0.0.1:104: told", shown)
    shown = line_of("text", "association with CT at 10.0.0.1:104: accepted", link=Link())
    assert shown.count("10.0.0.1") == 1


def test_json_has_what_is_known() -> None:
    shown = json.loads(
        line_of("json", "told\n\x1b", logging.ERROR, Link(), bytes=5, status="0x0000")
    )
    time = shown.pop("time")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d{4}", time)
    assert shown == {
        "level": "error", "logger": "pynetdicom.assoc", "message": "told\n\x1b",
        "peer": Link.peer_name, "association": 7, "bytes": 5, "status": "0x0000",
    }  # fmt: skip
    assert "\n" not in line_of("json", "told\n")
    assert "peer" not in json.loads(line_of("json", "told"))


def test_json_of_a_traceback() -> None:
    try:
        raise KeyError("x")
    except KeyError:
        record = logging.LogRecord("a", 10, __file__, 1, "told", (), sys.exc_info())
    assert "KeyError" in json.loads(logs.JsonLines().format(record))["traceback"]


def test_what_a_thread_works_on_is_given_back() -> None:
    one, other = Link(), Link()
    with working_on(one):
        with pytest.raises(KeyError), working_on(other):
            raise KeyError
        assert HERE.link is one
    assert HERE.link is None


# ---------------------------------------------------------------------------- of the programs


def records_of(scp: Served, path: Path | None = None) -> list[dict[str, Any]]:
    text = scp.errors() if path is None else path.read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_an_operation_is_a_record_with_its_numbers(serve_app: Any) -> None:
    ds = dcmread(CT)
    scp = serve_app("storescp", "-v", "--log-format", "json")
    assert send(scp.port, ds) == [0x0000]
    assert scp.stop() == 0
    (found,) = (one for one in records_of(scp) if one["logger"] == "pynetdicom.operations")
    assert found["operation"] == "C-STORE"
    assert (found["sop_class"], found["sop_instance"]) == (ds.SOPClassUID, ds.SOPInstanceUID)
    assert found["status"] == "0x0000"
    assert found["message_id"] >= 1
    assert found["bytes"] > 32768
    assert found["milliseconds"] > 0
    assert found["peer"].startswith("PYNETDICOM at 127.0.0.1:")
    # What is logged in its midst is told of it, too.
    (stored,) = (one for one in records_of(scp) if one["message"].startswith("stored "))
    assert stored["sop_instance"] == ds.SOPInstanceUID
    assert (stored["peer"], stored["association"]) == (found["peer"], found["association"])


def test_a_log_file_survives_its_being_renamed(serve_app: Any, tmp_path: Path) -> None:
    """As logrotate does; and standard error has nothing then."""
    path, old = tmp_path / "scp.log", tmp_path / "scp.log.1"
    scp = serve_app("storescp", "-v", "--log-file", path)
    assert send(scp.port, dcmread(CT)) == [0x0000]
    path.rename(old)
    assert send(scp.port, dcmread(MR)) == [0x0000]
    assert scp.stop() == 0
    assert dcmread(CT).SOPInstanceUID in old.read_text()
    assert dcmread(MR).SOPInstanceUID in path.read_text()
    assert "stopped" in path.read_text()
    assert scp.errors() == ""
    assert all(re.match(TIME, line) for line in path.read_text().splitlines())


def test_a_log_file_that_cannot_be(run_app: RunApp, tmp_path: Path) -> None:
    ran = run_app("echoscu", "127.0.0.1", 1, "--log-file", tmp_path / "no" / "log")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "cannot log there" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize("app", ["echoscp", "storescp", "qrscp", "workflowscp"])
def test_a_server_says_where_it_listens(
    app: str, python_env: dict[str, str], tmp_path: Path, free_port: int
) -> None:
    """With a port of its own as well, on standard output, and in the log with the title."""
    with_option = app in ("qrscp", "workflowscp")
    where = ["--port", str(free_port)] if with_option else [str(free_port)]
    command = [sys.executable, "-m", "pynetdicom", app, *where, "-ba", "127.0.0.1", "-v"]
    process = warm.Popen(
        [*command, "-aet", "ME"], cwd=tmp_path, env=python_env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"listening on 127.0.0.1:{free_port}\n"
        process.terminate()
        _, errors = process.communicate(timeout=DEADLINE)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0
    assert f"ME listens on 127.0.0.1:{free_port}" in errors


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_program_names_a_patient(
    python_env: dict[str, str], run_app: RunApp, tmp_path: Path, form: str
) -> None:
    """Those of an archive's day, with -v, on either side."""
    ds = dcmread(CT)
    ds.PatientName, ds.PatientID = "Quux^Ada", "PID-471"
    ds.save_as(tmp_path / "one.dcm")
    place = tmp_path / "archive"
    place.mkdir()
    how = ("-v", "--log-format", form)
    command = [sys.executable, "-m", "pynetdicom", "qrscp", "--port", "0", "-ba", "127.0.0.1", *how]
    scp = Served(command, python_env, place)
    told = []
    try:
        peer = ("127.0.0.1", scp.port, *how)
        patient = ("-k", "PatientID=PID-471", "-k", "PatientName=Quux*")
        study = ("-k", "PatientID=PID-471", "-k", f"StudyInstanceUID={ds.StudyInstanceUID}")
        level = ("--level", "STUDY")
        for app, arguments in (
            ("storescu", [tmp_path / "one.dcm"]),
            ("findscu", ["--level", "PATIENT", *patient, "--csv"]),
            ("getscu", [*level, *study, "-od", "got", "--sort", "patient"]),
            ("getscu", [*level, *study, "-od", "got", "--sort", "patient"]),
            ("findscu", ["-k", "QueryRetrieveLevel=HOUSE", *patient]),
        ):
            ran = run_app(app, *peer, *arguments)
            assert ran.returncode == ("QueryRetrieveLevel=HOUSE" in arguments), ran.stderr
            told.append(ran.stderr)
    finally:
        assert scp.stop() == 0
    assert (tmp_path / "got" / "PID-471").is_dir()
    for text in (*told, scp.errors()):
        assert "performed " in text or "invoked " in text
        assert not re.search("quux|pid-471", text, re.IGNORECASE), text
