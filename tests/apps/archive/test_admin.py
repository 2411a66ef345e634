"""``qrscp VERB``: the frame of the verbs, and ``--clean``."""

from __future__ import annotations

import io
import signal
import sqlite3

import pytest

from pynetdicom.apps.archive import admin
from pynetdicom.apps.archive.database import Database
from pynetdicom.apps.archive.presence import InUse, alone, at_work
from pynetdicom.apps.qrscp import main
from tests.apps.archive.conftest import MakeEvent, Qrscp, Start, make


def test_each_verb_has_a_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in admin.VERBS:
        with pytest.raises(SystemExit) as ended:
            main([verb, "--help"])
        assert ended.value.code == 0
        assert f"usage: qrscp {verb}" in capsys.readouterr().out


def test_verbs_do_not_make_an_archive(qrscp: Qrscp) -> None:
    for verb, its in admin.VERBS.items():
        if not its.makes:
            assert qrscp(verb, *["x"] * len(admin._module(verb).POSITIONAL)) == 1
            assert "there is no archive here" in qrscp.err
    assert list(qrscp.place.iterdir()) == []


def test_clean_deletes_all_and_logs_it(qrscp: Qrscp, store_event: MakeEvent) -> None:
    qrscp.fill(store_event, make(1), make(2), make(3, StudyInstanceUID="1.9"))
    assert qrscp("--clean", "--yes") == 0
    assert "deleted all: 3 objects of 2 studies" in qrscp.err
    assert qrscp.objects() == []
    assert qrscp.indexed() == set()


@pytest.mark.parametrize(("answer", "code", "left"), [("no\n", 1, 1), ("", 1, 1), ("yes\n", 0, 0)])
def test_clean_asks(
    qrscp: Qrscp,
    store_event: MakeEvent,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
    left: int,
) -> None:
    qrscp.fill(store_event, make(1))
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    assert qrscp("--clean") == code
    assert "1 objects of 1 studies?" in qrscp.out
    assert len(qrscp.objects()) == len(qrscp.indexed()) == left


def test_clean_refuses_where_nobody_can_be_asked(
    qrscp: Qrscp, store_event: MakeEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    qrscp.fill(store_event, make(1))
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    assert qrscp("--clean") == 1
    assert "say --yes" in qrscp.err
    assert len(qrscp.objects()) == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_clean_refuses_under_an_archive(qrscp: Qrscp, start: Start, workers: int) -> None:
    for ended in (signal.SIGTERM, signal.SIGKILL):
        served = start(*qrscp.places, "--workers", workers)
        assert qrscp("--clean", "--yes") == 1
        assert "an archive is at work" in qrscp.err
        served.stop(ended)
        served.errors()  # which workers hold open
        assert qrscp("--clean", "--yes") == 0


def test_who_is_at_work_is_known_in_each_database(location: str) -> None:
    first, second, third = (Database(location) for _ in range(3))
    with at_work(first), at_work(second), pytest.raises(InUse, match="at work"), alone(third):
        pass
    for database in (first, second):
        database.close()
    with alone(third):
        pass
    third.close()


def test_nobody_begins_while_somebody_is_alone(
    qrscp: Qrscp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pynetdicom.apps.archive.presence.PATIENCE", 0.01)
    database = Database(qrscp.config.database_location)
    with alone(database):
        assert qrscp("import", qrscp.place) == 1
        assert "somebody is alone with" in qrscp.err
    database.close()


def test_a_file_that_cannot_be_locked(qrscp: Qrscp, caplog: pytest.LogCaptureFixture) -> None:
    """What is there can be found and sent; but nothing is deleted."""
    (qrscp.place / "index.sqlite-inuse").mkdir()
    database = Database(qrscp.config.database_location)
    with at_work(database):
        assert "nobody can see that it is in use" in caplog.text
    with pytest.raises(InUse, match="cannot be told"), alone(database):
        pass
    database.close()


def test_the_lock_is_no_file_of_strangers(qrscp: Qrscp, start: Start) -> None:
    served = start(
        "--instance-location", qrscp.place, "--database-location", qrscp.place / "i.sqlite"
    )
    served.stop(signal.SIGTERM)
    served = start(
        "--instance-location", qrscp.place, "--database-location", qrscp.place / "i.sqlite"
    )
    served.stop(signal.SIGTERM)
    assert "not the archive's" not in served.errors()
    assert sqlite3.connect(qrscp.place / "i.sqlite-inuse").execute("SELECT 1").fetchone() == (1,)
