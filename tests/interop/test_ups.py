"""Unified procedure steps, with pynetdicom 3.0.4 on the other side."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pynetdicom.workflows import ups
from pynetdicom.workflows.providing import Refused
from tests.interop.test_n_services import old_python, sides
from tests.peers import DEADLINE
from tests.workflows.ups_pair import RIS, made, performed, ris, step

__all__ = ["old_python", "sides"]  # fixtures

SCRIPT = str(Path(__file__).with_name("old_ups.py"))
Sides = dict[str, tuple[str, dict[str, str]]]
STATE, CANCEL = ups.STATE_REPORT, ups.CANCEL_REQUESTED

pytestmark = pytest.mark.slow


@pytest.fixture
def office() -> Iterator[RIS]:
    with ris() as one:
        yield one


def begin(
    side: tuple[str, dict[str, str]], *arguments: object
) -> tuple[subprocess.Popen[str], int]:
    """Start a script; gives it, and the port that it listens on."""
    python, env = side
    process = subprocess.Popen(
        [python, SCRIPT, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=env,
        text=True,
    )
    assert process.stdout is not None
    (_, port) = json.loads(process.stdout.readline())
    return process, port


def told(process: subprocess.Popen[str], told_first: str = "") -> list[object]:
    """Let it go on to its end; what it has told."""
    out, _ = process.communicate(told_first, timeout=DEADLINE)
    assert process.returncode == 0
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize("which", ["theirs", "ours"])
def test_they_ask(which: str, sides: Sides, office: RIS) -> None:
    """With our own as the SCU, too: what the script says is not about the library."""
    addresses: dict[str, tuple[str, int]] = {}
    provider = office.provide(where=addresses.get)
    process, port = begin(sides[which], "scu", office.port)
    addresses["OLD"] = "127.0.0.1", port
    assert told(process, "\n") == [
        *(["subscribed", 0x0000], ["pushed", 0x0000], ["again", 0x0111]),
        ["found", [[0xFF00, "1.2.3"], [0x0000, None]]],
        *(["claimed", 0x0000], ["too late", 0xC301], ["asked", 0x0000], ["not mine", 0xC301]),
        *(["not yet", 0xC304], ["set", 0x0000], ["completed", 0x0000]),
        ["got", 0x0000, "Plan, für Dœ", False],
        ["cannot be canceled", 0xC311],
        *(["heard", STATE, "1.2.3", "SCHEDULED"], ["heard", STATE, "1.2.3", "IN PROGRESS"]),
        *(["heard", CANCEL, "1.2.3", "None"], ["heard", STATE, "1.2.3", "COMPLETED"]),
        ["no longer subscribed", 0x0000],
    ]
    assert provider.delete_finished() == ["1.2.3"]


@pytest.mark.parametrize("which", ["theirs", "ours"])
def test_we_ask(which: str, sides: Sides, office: RIS) -> None:
    watcher = office.watch("WATCHER")
    process, port = begin(sides[which], "scp", watcher.address[1])
    office.ports.append(port)
    with office.associate() as assoc:
        ups.subscribe(assoc, "WATCHER", lock=True)
        sent = step(PatientName="Dœ^J", SpecificCharacterSet="ISO_IR 192")
        assert ups.push(assoc, sent, "1.2.3") == "1.2.3"
        with pytest.raises(Refused, match="0x0111"):
            ups.push(assoc, sent, "1.2.3")
        ups.modify(assoc, "1.2.3", made(ProcedureStepLabel="other"))
        keys = made(ProcedureStepState="SCHEDULED", SOPInstanceUID="")
        assert [match.SOPInstanceUID for match in ups.find(assoc, keys)] == ["1.2.3"]
        own = ups.claim(assoc, "1.2.3", "1.2.4")
        with pytest.raises(Refused, match="0xC301"):
            ups.claim(assoc, "1.2.3")
        with pytest.raises(Refused, match="0xC307"):
            ups.claim(assoc, "1.2.404")
        own.progress(50, "hälfte")
        again = ups.resume(assoc, "1.2.3", "1.2.4")
        again.progress(75)
        item = ups.get(assoc, "1.2.3").ProcedureStepProgressInformationSequence[0]
        assert item.ProcedureStepProgressDescription == "hälfte"
        again.complete(performed())
        ups.unsubscribe(assoc, "WATCHER")
    progress, everything = "ProcedureStepProgressInformationSequence", "1.2.840.10008.5.1.4.34.5"
    assert told(process) == [
        ["action", 3, everything, "WATCHER", "TRUE"],
        ["created", "1.2.3", "Plan", "Dœ^J"],
        ["set", "1.2.3", ["ProcedureStepLabel"]],
        ["state", "1.2.3", "IN PROGRESS"],
        *[["set", "1.2.3", [progress, "SpecificCharacterSet", "TransactionUID"]]] * 2,
        ["set", "1.2.3", ["TransactionUID", "UnifiedProcedureStepPerformedProcedureSequence"]],
        ["state", "1.2.3", "COMPLETED"],
        ["action", 4, everything, "WATCHER", "None"],
        *[["reported", 0x0000]] * 3,
    ]
    states = [information.ProcedureStepState for _, _, information in watcher.heard.wait(3)]
    assert states == ["SCHEDULED", "IN PROGRESS", "COMPLETED"]
