"""dimsechord: C-FIND, C-GET, C-STORE and C-MOVE to itself, from a loop of asyncio."""

from __future__ import annotations

import asyncio

from dimsechord import (
    AssociationPool,
    DicomCache,
    DicomClient,
    DicomNode,
    ImageQuery,
    PullEngine,
    QueryEngine,
    SeriesQuery,
    StorageSCP,
    StoreSession,
    StudyQuery,
    convert_datasets_to_dicom_json,
)
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
from pydicom import Dataset, dcmread

from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as MODEL


async def ask(name: str, peer: DicomNode) -> None:
    """Find, and get."""
    client = DicomClient(calling_aet="DIMSECHORD")
    [study] = await client.find_studies(StudyQuery(patient_id=PATIENT_ID), peer)
    assert study.study_instance_uid == STUDY
    series = await client.find_series(SeriesQuery(study_instance_uid=STUDY), peer)
    assert {one.series_instance_uid for one in series} == {*SERIES}
    query = ImageQuery(study_instance_uid=STUDY, series_instance_uid=SERIES[0])
    assert len(await client.find_images(query, peer)) == INSTANCES
    done(f"C-FIND at {name}")
    result = await client.get_study_to_memory(STUDY, peer)
    assert len(result.instances) == len(FILES), result
    result = await client.get_series(STUDY, SERIES[1], peer, WORK / f"{name}-got")
    assert result.num_completed == INSTANCES, result
    done(f"C-GET from {name}")


async def pull(name: str, peer: DicomNode) -> None:
    """Move to itself, and find, by the engines."""
    pool = AssociationPool(aets=[DESTINATION])
    scp = StorageSCP()
    scp.start({DESTINATION: LISTEN}, ip=HOST)
    cache = DicomCache(base_dir=WORK / name, index_path=WORK / f"{name}.db")
    try:
        engine = PullEngine(pool=pool, scp=scp, cache=cache, pacs=peer)
        cached = await engine.ensure_series(STUDY, SERIES[0])
        shown = convert_datasets_to_dicom_json(list(cached.instances.values()), base_url="http://x")
        assert len(shown) == INSTANCES
        streamed = [ds async for ds in engine.stream_series(STUDY, SERIES[1])]
        assert len(streamed) == INSTANCES
        identifier = Dataset()
        identifier.QueryRetrieveLevel = "STUDY"
        identifier.StudyInstanceUID = STUDY
        found = [ds async for ds in QueryEngine(pool, peer).stream_find(identifier, model=MODEL)]
        assert [ds.StudyInstanceUID for ds in found] == [STUDY]
    finally:
        scp.stop()
        cache.shutdown()
    done(f"C-MOVE from {name}")


async def main() -> None:
    """Do all of it."""
    for name, port in ARCHIVES.items():
        peer = DicomNode(aet=ARCHIVE, host=HOST, port=port)
        await ask(name, peer)
        await pull(name, peer)
    for name, (port, _) in STORES.items():
        peer = DicomNode(aet=ARCHIVE, host=HOST, port=port)
        datasets = [dcmread(path) for path in FILES]
        result = await DicomClient(calling_aet="DIMSECHORD").store_instances_batch(datasets, peer)
        assert (result.total_sent, result.total_failed) == (len(FILES), 0), result
        session = StoreSession(peer, calling_aet="DIMSECHORD")
        assert session.store(datasets[0]) == 0x0000
        session.close()
        done(f"C-STORE to {name}")


asyncio.run(main())
