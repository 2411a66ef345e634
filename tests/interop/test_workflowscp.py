"""workflowscp's worklist beside DCMTK's, of one directory; and odil's MPPS, which empties it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from pynetdicom import AE
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStepRetrieve,
    ModalityWorklistInformationFind,
)
from pynetdicom.workflows import mpps, worklist
from tests.apps.test_workflowscp import Start, place, start
from tests.interop.test_query_scu import tool
from tests.interop.test_query_scu import worklist as wlmscpfs
from tests.interop.test_steps import END, bare, odil
from tests.interop.test_store_scu import read
from tests.peers import DEADLINE
from tests.workflows.test_mpps import change, full
from tests.workflows.test_worklist import scheduled

__all__ = ["odil", "place", "start", "tool", "wlmscpfs"]  # fixtures

KEYS = {
    # what findscu, and our SCU, ask both servers
    "all": {},
    "modality": {"Modality": "MR"},
    "station and date": {
        "ScheduledStationAETitle": "SCANNER",
        "ScheduledProcedureStepStartDate": "20240101-20240103",
    },
    "none": {"Modality": "US"},
}


def told(item: Dataset) -> tuple[str, ...]:
    """What of an item does not depend on its character set."""
    [step] = item.ScheduledProcedureStepSequence
    return (
        *(str(item[name].value) for name in ("PatientID", "StudyInstanceUID", "AccessionNumber")),
        *(str(step[name].value) for name in ("Modality", "ScheduledProcedureStepID")),
    )


def by_findscu(dcmtk: Any, port: int, place: Path, keys: dict[str, str]) -> list[Any]:
    place.mkdir(parents=True)
    path = "ScheduledProcedureStepSequence[0]"
    wanted = {"Modality": "", "ScheduledProcedureStepID": "", **keys}
    options = [f"{path}.{name}={value}" for name, value in wanted.items()]
    options += ["PatientID", "StudyInstanceUID", "AccessionNumber"]
    asked = [part for one in options for part in ("-k", one)]
    dcmtk.run(
        "findscu", "-W", "-X", "-od", place, "-aec", "WORKLIST", *asked, "127.0.0.1", port,
        check=True,
    )  # fmt: skip
    return sorted(told(read(path)) for path in place.glob("rsp*.dcm"))


def by_us(port: int, keys: dict[str, str]) -> list[Any]:
    ae = AE("SCANNER")
    ae.add_requested_context(ModalityWorklistInformationFind)
    asked = Dataset()
    asked.ScheduledProcedureStepSequence = [change(**keys)]
    with ae.associate("127.0.0.1", port, ae_title="WORKLIST") as assoc:
        return sorted(map(told, worklist.find(assoc, asked)))


def test_one_directory_two_servers_two_clients(
    dcmtk: Any, wlmscpfs: Any, start: Start, tmp_path: Path
) -> None:
    """wlmscpfs and workflowscp tell findscu and our SCU the same."""
    theirs = wlmscpfs(12).port
    ours = start("--worklist", tmp_path / "worklists").port
    for name, keys in KEYS.items():
        answers = [
            by_findscu(dcmtk, theirs, tmp_path / name / "theirs", keys),
            by_findscu(dcmtk, ours, tmp_path / name / "ours", keys),
            by_us(theirs, keys),
            by_us(ours, keys),
        ]
        assert answers == [answers[0]] * 4, name
        assert len(answers[0]) == {"all": 12, "modality": 6, "none": 0}.get(name, 12)


def test_odil_performs_what_the_worklist_has(
    odil: list[str], dcmtk: Any, start: Start, place: Path, tmp_path: Path
) -> None:
    items = place / "worklist"
    items.mkdir()
    # As the step is of, which odil begins: see `full`.
    (items / "1.json").write_text(scheduled("1.2.3", "1").to_json(), "utf-8")
    (items / "2.json").write_text(scheduled("1.2.4", "1").to_json(), "utf-8")
    scp = start("--worklist", "worklist")
    attributes = full()
    attributes.SpecificCharacterSet, attributes.PatientName = "ISO_IR 192", "Müller"
    completed = change(**END, PerformedProcedureStepStatus="COMPLETED")
    assert len(by_findscu(dcmtk, scp.port, tmp_path / "before", {})) == 2
    calls = [("create", "1.2.1", attributes), ("set", "1.2.1", completed)]
    calls.append(("set", "1.2.1", completed))
    done = subprocess.run(
        [*odil, "scu", str(scp.port)],
        input=json.dumps([(name, uid, given.to_json_dict()) for name, uid, given in calls]),
        stdout=subprocess.PIPE,
        env=bare(),
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    *answers, _ = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Dataset.from_json(command).Status for _, _, command in answers] == [0, 0, 0x0110]
    [left] = by_findscu(dcmtk, scp.port, tmp_path / "after", {})
    assert left[1] == "1.2.4"
    ae = AE("VIEWER")
    ae.add_requested_context(ModalityPerformedProcedureStepRetrieve)
    with ae.associate("127.0.0.1", scp.port) as assoc:
        step = mpps.get(assoc, "1.2.1")
    assert (step.PerformedProcedureStepStatus, step.PatientName) == ("COMPLETED", "Müller")
