"""ianscu: what it tells, what it prints, and its exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from pynetdicom import AE
from pynetdicom.sop_class import InstanceAvailabilityNotification
from pynetdicom.workflows.availability import Provider
from pynetdicom.workflows.providing import answer, handlers
from tests.apps.conftest import CT, MR, WITHOUT_UIDS, RunApp
from tests.pair import serve


class Ris:
    """A peer that keeps notifications, but of one study."""

    refused = ""

    def __init__(self) -> None:
        self.provider = Provider(decide=self.decide)
        self.ae = AE("RIS")
        self.ae.add_supported_context(InstanceAvailabilityNotification)
        server = serve(self.ae, evt_handlers=handlers(self.provider))
        self.peer = ("127.0.0.1", server.server_address[1], "-aer", "ARCHIVE")

    def decide(self, event: Any, notification: Any) -> Any:
        if notification.StudyInstanceUID == self.refused:
            return answer(0x0110, comment="not that one")
        return None


@pytest.fixture
def ris() -> Iterator[Ris]:
    made = Ris()
    yield made
    made.ae.shutdown()


def test_a_notification_for_each_study(ris: Ris, run_app: RunApp, tmp_path: Path) -> None:
    images = tmp_path / "images"
    (images / "more").mkdir(parents=True)
    (images / "ct").write_bytes(CT.read_bytes())
    (images / "more" / "mr").write_bytes(MR.read_bytes())
    flags = ("-r", "--availability", "NEARLINE", "--step", "1.2.3")
    result = run_app("ianscu", *ris.peer, *flags, images)
    assert (result.returncode, result.stderr) == (0, "")
    told = dict(ris.provider.notifications())
    ct, mr = dcmread(CT), dcmread(MR)
    assert {one.StudyInstanceUID for one in told.values()} == {
        ct.StudyInstanceUID,
        mr.StudyInstanceUID,
    }
    for line in result.stdout.splitlines():
        uid, text = line.split(": ", 1)
        notification = told.pop(uid)
        assert text == f"1 object of study {notification.StudyInstanceUID}, 0x0000"
        [step] = notification.ReferencedPerformedProcedureStepSequence
        assert step.ReferencedSOPInstanceUID == "1.2.3"
        [series] = notification.ReferencedSeriesSequence
        [one] = series.ReferencedSOPSequence
        assert (one.RetrieveAETitle, one.InstanceAvailability) == ("ARCHIVE", "NEARLINE")
    assert not told


def test_json_and_a_refusal(ris: Ris, run_app: RunApp) -> None:
    ris.refused = dcmread(MR).StudyInstanceUID
    result = run_app("ianscu", *ris.peer, CT, MR, "--json")
    assert result.returncode == 1
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(row["objects"], row["status"], row["comment"]) for row in rows] == [
        (1, 0x0000, None),
        (1, 0x0110, "not that one"),
    ]
    [(uid, _)] = ris.provider.notifications()
    assert rows[0]["uid"] == uid
    assert result.stderr.count("\n") == 1
    assert "not that one" in result.stderr


def test_what_cannot_be_read(ris: Ris, run_app: RunApp, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no DICOM")
    result = run_app("ianscu", *ris.peer, tmp_path / "text", WITHOUT_UIDS, tmp_path / "none", CT)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 3
    assert len(ris.provider.notifications()) == 1
    result = run_app("ianscu", *ris.peer, tmp_path / "text")
    assert result.returncode == 1
    assert "no objects" in result.stderr


def test_wrong_arguments(run_app: RunApp, free_port: int) -> None:
    for flags in (["x"], ["x", "-aer", "A", "--availability", "SOON"]):
        result = run_app("ianscu", "127.0.0.1", free_port, *flags)
        assert result.returncode == 2
        assert result.stderr.count("\n") == 1


def test_no_such_context(run_app: RunApp, serve_app: Any) -> None:
    scp = serve_app("echoscp")
    result = run_app("ianscu", "127.0.0.1", scp.port, "-aer", "ARCHIVE", CT)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
