"""mppsscu, stgcmtscu and workflowscp with pynetdicom 3.0.4."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.apps.conftest import CT, MR, RunApp, run_app
from tests.apps.test_kept_files import reference_of
from tests.apps.test_workflowscp import Start, place, start
from tests.interop.test_n_services import Side, ask, old_python, sides

__all__ = ["old_python", "place", "run_app", "sides", "start"]  # fixtures

SCRIPT = str(Path(__file__).with_name("old_workflows.py"))
Sides = dict[str, tuple[str, dict[str, str]]]

pytestmark = pytest.mark.slow


def test_our_programs_ask(sides: Sides, run_app: RunApp) -> None:
    scp = Side(*sides["theirs"], SCRIPT)
    try:
        peer = ("127.0.0.1", scp.port, "-aet", "CT_ROOM")
        begun = run_app(
            *("mppsscu", *peer, "begin", "--uid", "1.2.3", "-k", "Modality=CT"),
            *("-k", "PatientName=Dœ^J", "-k", "PerformedProcedureStepID=1"),
            *("-k", "ScheduledStepAttributesSequence[0].StudyInstanceUID=1.2.7"),
        )
        assert (begun.returncode, begun.stderr) == (0, "")
        done = run_app("mppsscu", *peer, "complete", "--uid", "1.2.3")
        assert (done.returncode, done.stderr) == (0, "")
        lost = run_app("mppsscu", *peer, "discontinue", "--uid", "1.2.404")
        assert lost.returncode == 1
        assert "0x0112" in lost.stderr
        all_kept = run_app("stgcmtscu", *peer, CT)
        assert (all_kept.returncode, all_kept.stderr) == (0, "")
        some = run_app("stgcmtscu", *peer, CT, MR)
        assert some.returncode == 1
        assert f"{reference_of(CT).sop_instance}: committed" in some.stdout
        assert f"{reference_of(MR).sop_instance}: failed, 0x0112" in some.stdout
    finally:
        told = scp.told()
    assert told == [
        ["created", "1.2.3", "IN PROGRESS", "Dœ^J"],
        ["set", "1.2.3", "COMPLETED"],
        ["reported", 0x0000],
        ["reported", 0x0000],
    ]


def test_our_server_is_asked(sides: Sides, start: Start) -> None:
    scp = start("--objects", "objects")
    objects = [f"{one.sop_class}={one.sop_instance}" for one in map(reference_of, (CT, MR))]
    assert ask(*sides["theirs"], scp.port, *objects, script=SCRIPT) == [
        ["create", 0x0000],
        ["again", 0x0111],
        ["complete", 0x0000],
        ["too late", 0x0110],
        ["requested", 0x0000],
        ["result", "1.2.3.4", [reference_of(CT).sop_instance], [0x0112]],
    ]
