"""pyconquest: receives, sends, finds, and moves to itself."""

from __future__ import annotations

from pathlib import Path

from given import (
    ARCHIVE,
    ARCHIVES,
    DESTINATION,
    FILES,
    HOST,
    INSTANCES,
    LISTEN,
    PATIENT_ID,
    SERIES,
    STORES,
    STUDY,
    WORK,
    app,
    done,
)
from mover import start
from pyconquest import pyconquest

INDEXED = "select * from dicomimages"


def conquest(name: str) -> pyconquest:
    """A new one, with a database of its own."""
    (WORK / name).mkdir()
    made = pyconquest(data_directory=str(WORK / name), database_filename=str(WORK / f"{name}.db"))
    made.create_standard_dicom_tables()
    return made


sender = conquest("sender")
for name, (port, folder) in STORES.items():
    sender.send_dicom_file(HOST, port, list(map(str, FILES)), aetitle=ARCHIVE.encode())
    assert len(list(Path(folder).iterdir())) == len(FILES)
    done(f"C-STORE to {name}")
for name, port in ARCHIVES.items():
    own = conquest(name)
    peer = {"addres": HOST, "port": port, "ae_title": ARCHIVE}
    found = own.query_dicom(**peer, patientid=PATIENT_ID, studyuid=STUDY)
    assert {one["SeriesInstanceUID"] for one in found} == {*SERIES}, found
    done(f"C-FIND at {name}")
moving, mover = start(), conquest("mover")
problem = mover.get_dicom(
    addres=HOST, port=moving.server_address[1], ae_title=ARCHIVE, series_uid=SERIES[0],
    patientid=PATIENT_ID, receiving_ae_title=DESTINATION, receiving_ip=HOST,
    receiving_port_number=LISTEN,
)  # fmt: skip
assert problem is None
assert len(mover.execute_db_query(INDEXED)) == INSTANCES
moving.shutdown()
done("C-MOVE")
receiver = conquest("receiver")
receiver.start_dicom_listener(port=LISTEN, block=False)
app("storescu", HOST, LISTEN, *FILES)
assert len(receiver.execute_db_query(INDEXED)) == len(FILES)
done("receives")
