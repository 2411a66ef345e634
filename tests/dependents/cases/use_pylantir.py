"""pylantir: its worklist and MPPS server, asked by programs of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from given import (
    ARCHIVE,
    HOST,
    LISTEN,
    PATIENT_ID,
    PATIENT_NAME,
    STUDY,
    WORK,
    app,
    done,
    until_listening,
)

database = WORK / "worklist.db"
os.environ["DB_PATH"] = str(database)

from pylantir.db_setup import Base, Session, engine  # noqa: E402  # they read that
from pylantir.models import WorklistItem  # noqa: E402

Base.metadata.create_all(engine)
with Session() as session:
    session.add(
        WorklistItem(
            study_instance_uid=STUDY,
            patient_name=PATIENT_NAME,
            patient_id=PATIENT_ID,
            modality="MR",
            scheduled_start_date="20240102",
            performed_procedure_step_status="SCHEDULED",
        )
    )
    session.commit()


def status() -> str:
    """What the database has of the step."""
    with Session() as session:
        return str(session.query(WorklistItem).one().performed_procedure_step_status)


config = WORK / "pylantir.json"
config.write_text(
    json.dumps({"db_path": str(database), "allowed_aet": [], "data_sources": [], "protocol": {}})
)
program = Path(sys.executable).with_name("pylantir")
options = ["--ip", HOST, "--port", str(LISTEN), "--AEtitle", ARCHIVE]
server = subprocess.Popen(
    [str(program), "start", *options, "--pylantir_config", str(config)],
    stdin=subprocess.DEVNULL,
    stdout=sys.stderr,
)
where = HOST, LISTEN, "-aec", ARCHIVE
try:
    until_listening(LISTEN, server)
    app("echoscu", *where)
    found = app("findscu", *where, "-W", "--usual-keys", "--json").splitlines()
    assert [json.loads(one)["00100020"]["Value"] for one in found] == [[PATIENT_ID]]
    done("serves C-FIND")
    attributes = [f"ScheduledStepAttributesSequence[0].StudyInstanceUID={STUDY}"]
    attributes += ["Modality=MR", "PerformedProcedureStepID=1", f"PatientID={PATIENT_ID}"]
    keys = [word for one in attributes for word in ("-k", one)]
    step = app("mppsscu", *where, "begin", *keys).partition(":")[0]
    assert status() == "IN_PROGRESS", status()
    done("serves N-CREATE")
    app("mppsscu", *where, "discontinue", "--uid", step)
    assert status() == "DISCONTINUED", status()
    done("serves N-SET")
finally:
    server.kill()
    server.wait()
