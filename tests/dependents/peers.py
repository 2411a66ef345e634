"""What the packages are given to work with: files, archives, listeners, steps and worklists."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

from benchmarks.processes import free_port, peer, run

HOST = "127.0.0.1"
ARCHIVE = "ARCHIVE"
"""What both archives are called."""

DESTINATION = "DEPENDENT"
"""Where both archives move objects to: a port that a package may listen on."""

ROOT = "1.2.826.0.1.3680043.8.498.77."
STUDY, SERIES = f"{ROOT}1", (f"{ROOT}1.1", f"{ROOT}1.2")
PATIENT_ID, PATIENT_NAME, ACCESSION = "DEP-1", "Depend^Ent", "A77"
INSTANCES = 3
"""So many a series."""

CONSTANTS = {
    "HOST": HOST,
    "ARCHIVE": ARCHIVE,
    "DESTINATION": DESTINATION,
    "PATIENT_ID": PATIENT_ID,
    "PATIENT_NAME": PATIENT_NAME,
    "STUDY": STUDY,
    "SERIES": SERIES,
    "INSTANCES": INSTANCES,
}
"""What a case is told under the same names."""

CONFIG = """\
[archive]
ae_title = "{title}"
bind_address = "{host}"
port = {port}
[storage]
location = "objects"
sync = false
[[peer]]
ae_title = "{destination}"
address = "{host}"
port = {destination_port}
"""

DCMTK_CONFIG = """\
NetworkTCPPort = {port}
MaxPDUSize = 131072
MaxAssociations = 16
HostTable BEGIN
destination = ({destination}, {host}, {destination_port})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
{title} {area} RW (500, 1024mb) ANY
AETable END
"""


def write_study(folder: Path) -> list[Path]:
    """Write a study of two series, CT and MR, as files."""
    folder.mkdir()
    paths = []
    for number, name in enumerate(("CT_small.dcm", "MR_small.dcm"), 1):
        ds = dcmread(str(get_testdata_file(name)))
        ds.PatientID, ds.PatientName, ds.AccessionNumber = PATIENT_ID, PATIENT_NAME, ACCESSION
        ds.StudyInstanceUID, ds.StudyID, ds.StudyDate = STUDY, "1", "20240102"
        ds.StudyDescription = "Dependents"
        ds.SeriesInstanceUID, ds.SeriesNumber = SERIES[number - 1], number
        for instance in range(1, INSTANCES + 1):
            ds.SOPInstanceUID = f"{ds.SeriesInstanceUID}.{instance}"
            ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
            ds.InstanceNumber = instance
            paths.append(folder / f"{name[:2]}{instance}.dcm")
            ds.save_as(paths[-1])
    return paths


def write_worklist(folder: Path) -> None:
    """Write a worklist of one item, as DICOM JSON."""
    folder.mkdir()
    item, step = Dataset(), Dataset()
    item.PatientID, item.PatientName, item.AccessionNumber = PATIENT_ID, PATIENT_NAME, ACCESSION
    item.StudyInstanceUID = STUDY
    step.Modality, step.ScheduledStationAETitle = "CT", DESTINATION
    step.ScheduledProcedureStepStartDate = "20240102"
    step.ScheduledProcedureStepID = "S1"
    item.ScheduledProcedureStepSequence = [step]
    (folder / "item.json").write_text(item.to_json())


@contextmanager
def given(work: Path, environment: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Start all peers, and say to a package where they are."""
    work.mkdir(parents=True)
    files = write_study(work / "files")
    write_worklist(work / "worklist")
    listen = free_port()
    names = {"host": HOST, "title": ARCHIVE, "destination": DESTINATION, "destination_port": listen}
    apps = [sys.executable, "-m", "pynetdicom"]
    with ExitStack() as stack:

        def start(name: str, *command: str) -> None:
            folder = work / name
            folder.mkdir(exist_ok=True)
            words = [word.replace("PORT", str(ports[name])) for word in command]
            log = work / f"{name}.log"
            stack.enter_context(peer(words, environment, log, port=ports[name]))

        ports = {
            name: free_port() for name in ("qrscp", "dcmqrscp", "storescp", "dcmstore", "workflows")
        }
        config = work / "archive.toml"
        config.write_text(CONFIG.format(port=ports["qrscp"], **names))
        start("qrscp", *apps, "qrscp", "--config", str(config))
        start("storescp", *apps, "storescp", "PORT", "-od", str(work / "storescp"), "-v")
        store = str(work / "workflows.sqlite")
        start(
            "workflows", *apps, "workflowscp", "--port", "PORT", "--store", store,
            "--worklist", str(work / "worklist"), "-v",
        )  # fmt: skip
        archives, stores = ["qrscp"], ["storescp"]
        if shutil.which("dcmqrscp"):
            archives.append("dcmqrscp")
            stores.append("dcmstore")
            config = work / "dcmqrscp.cfg"
            area = work / "area"
            area.mkdir()
            config.write_text(DCMTK_CONFIG.format(port=ports["dcmqrscp"], area=area, **names))
            start("dcmqrscp", *tool("dcmqrscp"), "-c", str(config))
            start(
                "dcmstore",
                *tool("storescp"),
                "-aet",
                ARCHIVE,
                "-od",
                str(work / "dcmstore"),
                "PORT",
            )
        for name in archives:
            send = [*apps, "storescu", HOST, str(ports[name]), "-aec", ARCHIVE]
            run([*send, *map(str, files)], environment)
        yield {
            **CONSTANTS,
            "archives": {name: ports[name] for name in archives},
            "stores": {name: [ports[name], str(work / name)] for name in stores},
            "workflows": ports["workflows"],
            "listen": listen,
            "files": [str(path) for path in files],
            "work": str(work / "own"),
            "apps": apps,
            "environment": dict(environment),
        }


def tool(name: str) -> list[str]:
    """A program of DCMTK's, not ours of the same name."""
    folders = [one for one in os.get_exec_path() if not (Path(one) / "python").exists()]
    return [str(shutil.which(name, path=os.pathsep.join(folders)))]
