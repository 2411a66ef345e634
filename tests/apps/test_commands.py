"""The commands of storescp: which are run, with which arguments, and that nobody waits for them."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from pynetdicom.apps import commands
from pynetdicom.apps.commands import Command, Commands, Received
from tests.apps.conftest import CT, MR
from tests.apps.test_storescp import send
from tests.peers import DEADLINE

TELLS = """
import json, socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as peer:
    peer.sendall(json.dumps(sys.argv[2:]).encode() + b"\\n")
    sys.exit(int(peer.recv(8) or b"0"))
"""


class Told:
    """Hears from the programs that are run; each of them runs until it is answered."""

    def __init__(self, directory: Path) -> None:
        script = directory / "tells.py"
        script.write_text(TELLS)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(DEADLINE)
        words = (sys.executable, str(script), str(self._listener.getsockname()[1]))
        self.program = shlex.join(words)
        self._asked: socket.socket | None = None

    def next(self) -> list[str]:
        """The arguments of the next one."""
        self.answer()
        self._asked, _ = self._listener.accept()
        self._asked.settimeout(DEADLINE)
        with self._asked.makefile() as lines:
            found: list[str] = json.loads(lines.readline())
        return found

    def answer(self, status: int = 0) -> None:
        """Have the one that was heard last end."""
        if self._asked is not None:
            self._asked.sendall(str(status).encode())
            self._asked.close()
            self._asked = None

    def is_silent(self) -> bool:
        """Whether none has been started, as far as can be seen now."""
        self._listener.settimeout(0)
        try:
            self._listener.accept()[0].close()
        except BlockingIOError:
            return True
        finally:
            self._listener.settimeout(DEADLINE)
        return False

    def close(self) -> None:
        self.answer()
        self._listener.close()


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    found = Told(tmp_path)
    yield found
    found.close()


def received(name: str = "1.2.3.dcm", study: str = "1.2", calling: str = "CT") -> Received:
    path = os.path.join("/data", study, name)
    return Received(path, study, f"/data/{study}", calling, "STORE", "10.0.0.1")


def command(told: Told, rest: str, *, of_study: bool = False) -> Command:
    return Command("--exec", f"{told.program} {rest}", of_study=of_study)


# ------------------------------------------------------------------------------------ arguments


def test_placeholders_are_of_one_argument_each(told: Told) -> None:
    """Whatever a value has in it, and nothing in a value is a placeholder."""
    one = command(told, "'#p/#f' #a-#c '#r' x#u '#x' \"a 'b\"")
    evil = received(study="1.2; rm #f", calling="A B")
    assert one.arguments(evil.values())[3:] == [
        "/data/1.2; rm #f/1.2.3.dcm", "A B-STORE", "10.0.0.1", "x1.2; rm #f", "#x", "a 'b",
    ]  # fmt: skip


def test_a_value_is_never_an_option(told: Told) -> None:
    one = command(told, "-o#a --title=#a #a")
    assert one.arguments(received().values())[3:] == ["-oCT", "--title=CT", "CT"]
    with pytest.raises(ValueError, match="option"):
        one.arguments(received(calling="-rf").values())


@pytest.mark.parametrize(
    ("text", "of_study", "words"),
    [
        ("", False, "no program"), ("/nowhere/at-all #p", False, "/nowhere/at-all"),
        ("sh 'a", False, "quotation"), ("sh #p/#f", True, "#f"),
    ],
)  # fmt: skip
def test_what_cannot_be_run(text: str, of_study: bool, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Command("--exec-on-receive", text, of_study=of_study)


# ------------------------------------------------------------------------------- what is run


def test_one_after_another_in_their_order(told: Told) -> None:
    with Commands(command(told, "#f"), None, 0) as running:
        for number in range(3):
            running.put(received(f"{number}.dcm"))
        for number in range(3):
            assert told.next() == [f"{number}.dcm"]
            assert told.is_silent()
        told.answer()


def test_a_study_is_complete_when_it_has_been_quiet(told: Told) -> None:
    """Once, after the commands for its objects; another object makes it complete again."""
    of_study = command(told, "study #u #p #a #c #r", of_study=True)
    with Commands(command(told, "#f"), of_study, 0.01) as running:
        running.put(received("1.dcm"))
        running.put(received("2.dcm"))
        assert told.next() == ["1.dcm"]
        assert told.next() == ["2.dcm"]
        study = ["study", "1.2", "/data/1.2", "CT", "STORE", "10.0.0.1"]
        assert told.next() == study
        running.put(received("3.dcm"))
        assert told.next() == ["3.dcm"]
        assert told.next() == study
        told.answer()
    assert told.is_silent()


def test_a_study_waits_for_its_quiet_time(told: Told) -> None:
    """An hour: only the end has it run, once for each study."""
    of_study = command(told, "#u", of_study=True)
    running = Commands(None, of_study, 3600)
    with running:
        for study in ("1.1", "1.2", "1.1"):
            running.put(received(study=study))
        assert told.is_silent()
        ending = threading.Thread(target=running.__exit__)
        ending.start()
        assert told.next() == ["1.2"]
        assert told.next() == ["1.1"]
        told.answer()
        ending.join(DEADLINE)
    assert told.is_silent()


def test_failures_are_logged(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    """Without the directory, which may have a Patient ID in it."""
    with Commands(command(told, "#f"), command(told, "#a", of_study=True), 0) as running:
        running.put(received("1.dcm", "JANE"))
        told.next()
        told.answer(3)
        told.next()
        told.answer(0)
        running.put(received("2.dcm", calling="-rf"))
        told.next()
        told.answer(0)
    levels = [record.levelname for record in caplog.records]
    assert levels == ["ERROR", "ERROR"]
    assert "1.dcm ended with status 3" in caplog.messages[0]
    assert "study 1.2: not run" in caplog.messages[1]
    assert "/data" not in caplog.text


def test_a_program_that_is_gone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    one = Command("--exec-on-receive", str(program))
    program.unlink()
    with Commands(one, None, 0) as running:
        running.put(received())
    assert "not run: No such file" in caplog.text


def test_the_end_does_not_wait_for_ever(
    told: Told, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What still runs is ended, and what is not run is said."""
    monkeypatch.setattr(commands, "CLOSING_SECONDS", 0.05)
    monkeypatch.setattr(commands, "TERMINATED_SECONDS", DEADLINE)
    with Commands(command(told, "#f"), None, 0) as running:
        for number in range(3):
            running.put(received(f"{number}.dcm"))
        told.next()
    assert f"0.dcm ended with signal {signal.SIGTERM:d}" in caplog.messages[0]
    assert ["not run, there was no time left" in text for text in caplog.messages[1:]] == [True] * 2
    assert told.is_silent()


def test_there_is_a_limit(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "MOST_WAITING", 3)
    with Commands(command(told, "#f"), None, 0) as running:
        running.put(received("0.dcm"))
        told.next()
        for number in (1, 2):
            running.put(received(f"{number}.dcm"))
            assert not running.is_full
        running.put(received("3.dcm"))
        assert running.is_full
        for _ in range(3):
            told.next()
        told.answer()


# -------------------------------------------------------------------------------- as a program


def test_storescp_runs_commands_and_no_association_waits(serve_app: Any, told: Told) -> None:
    """The first one runs while more is received; the studies are told of at the end."""
    ct, mr = dcmread(CT), dcmread(MR)
    scp = serve_app(
        "storescp", "--sort", "study", "--exec-on-receive", f"{told.program} #p #f #a #c",
        "-xcs", f"{told.program} study #p #u", "-tos", "3600", "-v",
    )  # fmt: skip
    assert send(scp.port, ct, mr) == [0x0000, 0x0000]
    folders = {
        "ct": str(scp.directory / ct.StudyInstanceUID),
        "mr": str(scp.directory / mr.StudyInstanceUID),
    }
    titles = ["PYNETDICOM", "ANY-SCP"]
    assert told.next() == [folders["ct"], f"{ct.SOPInstanceUID}.dcm", *titles]
    assert send(scp.port, ct) == [0x0000]
    assert told.next() == [folders["mr"], f"{mr.SOPInstanceUID}.dcm", *titles]
    assert told.next() == [folders["ct"], f"{ct.SOPInstanceUID}.dcm", *titles]
    told.answer(1)
    scp.process.send_signal(signal.SIGTERM)
    assert told.next() == ["study", folders["mr"], mr.StudyInstanceUID]
    assert told.next() == ["study", folders["ct"], ct.StudyInstanceUID]
    told.answer()
    assert scp.process.wait(DEADLINE) == scp.stop() == 0
    assert f"--exec-on-receive of {ct.SOPInstanceUID}.dcm ended with status 1" in scp.errors()


def test_too_many_commands_are_refused(
    tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The object is not stored: whoever sends it knows that it has to come again."""
    from types import SimpleNamespace

    from pynetdicom.apps import storescp

    monkeypatch.setattr(commands, "MOST_WAITING", 0)
    with Commands(command(told, "#f"), None, 0) as running:
        event: Any = SimpleNamespace()
        assert storescp.file_and_tell(event, str(tmp_path), False, None, running) == 0xA700


@pytest.mark.parametrize(
    "arguments",
    [
        ("--exec-on-receive", "/nowhere/at-all"), ("--exec-on-study", "sh #f"),
        ("--exec-on-receive", "sh #f", "--ignore"), ("--sort", "size"), ("-tos", "-1"),
    ],
)  # fmt: skip
def test_wrong_arguments(run_app: Any, arguments: tuple[str, ...]) -> None:
    ran = run_app("storescp", "0", *arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert len(ran.stderr.splitlines()) == 1
