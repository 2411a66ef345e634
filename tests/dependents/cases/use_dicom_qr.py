"""dicom-qr: C-FIND, C-GET, C-MOVE to itself, and C-STORE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dicom_qr.dimse.query_c_find import QueryPacsFind
from dicom_qr.dimse.retrieve_c_get import RetrievePacsGet
from dicom_qr.dimse.retrieve_c_move import RetrievePacsMove
from dicom_qr.dimse.store_c_store import Settings, StorePacsStore
from dicom_qr.search import SearchTerms
from dicom_qr.settings import DicomTransferMethod, Dimse, PacsConfig
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
    done,
)


def nothing(_: Any) -> None:
    """Nobody needs to be told."""


def same(uid: str) -> str:
    """Folders are named after the UIDs."""
    return uid


def config(name: str, port: int, method: DicomTransferMethod) -> PacsConfig:
    """Where the peer is, and where objects go."""
    dimse = Dimse(
        server_ae_title=ARCHIVE, server_ae_ip=HOST, server_ae_port=port,
        client_ae_title=DESTINATION, client_ae_port=LISTEN, transfer_method=method,
    )  # fmt: skip
    return PacsConfig(dimse=dimse, base_folder=WORK / f"{name}-{method.value}")


def came(folder: Path) -> int:
    """How many objects are there."""
    return sum(1 for path in folder.rglob("*") if path.is_file())


for name, port in ARCHIVES.items():
    get = config(name, port, DicomTransferMethod.GET)
    query = QueryPacsFind(get)
    [study] = query.get_studies(SearchTerms(patid=PATIENT_ID))
    assert study.StudyInstanceUID == STUDY
    series = query.get_series_for_study(STUDY)
    assert {one.SeriesInstanceUID for one in series} == {*SERIES}
    assert len(query.get_instances(STUDY, SERIES[0])) == INSTANCES
    done(f"C-FIND at {name}")
    for one in series:
        RetrievePacsGet(get, same, nothing, nothing).retrieve_images_for_a_series(one)
    assert came(get.base_folder) == len(FILES), list(get.base_folder.rglob("*"))
    done(f"C-GET from {name}")
    if name != next(iter(ARCHIVES)):
        continue  # it never stops listening
    move = config(name, port, DicomTransferMethod.MOVE)
    mover = RetrievePacsMove(move, same, nothing, nothing)
    for one in series:
        mover.retrieve_images_for_a_series(one)
    assert came(move.base_folder) == len(FILES)
    done(f"C-MOVE from {name}")
for name, (port, _) in STORES.items():
    sender = StorePacsStore(HOST, port, Settings(called_aet=ARCHIVE))
    for number, path in enumerate(FILES):
        status = sender.store(path, number)
        assert status is not None
        assert status.name == "SUCCESS", status
    done(f"C-STORE to {name}")
