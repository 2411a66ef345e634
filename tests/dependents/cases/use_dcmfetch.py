"""dcmfetch: C-FIND at each level, and C-GET of a series."""

from __future__ import annotations

from dcmfetch import qipynetdicom as qi
from given import ARCHIVE, ARCHIVES, HOST, INSTANCES, PATIENT_ID, SERIES, STUDY, WORK, done

for name, port in ARCHIVES.items():
    peer = ARCHIVE, HOST, port, "DCMFETCH"
    [patient] = qi.dcm_pat_level_find(*peer, "*", PATIENT_ID, "", "")
    assert patient.patid == PATIENT_ID
    [study] = qi.dcm_stu_level_find(*peer, PATIENT_ID)
    assert study.studyuid == STUDY
    assert {one.seriesuid for one in qi.dcm_ser_level_find(*peer, PATIENT_ID, STUDY)} == {*SERIES}
    images = list(qi.dcm_img_level_find(*peer, PATIENT_ID, STUDY, SERIES[0]))
    assert len(images) == INSTANCES
    done(f"C-FIND at {name}")
    folder = WORK / name
    folder.mkdir()
    responses = list(qi.dcm_ser_level_get(*peer, PATIENT_ID, STUDY, SERIES[0], str(folder)))
    assert len(list(folder.iterdir())) == INSTANCES, responses
    done(f"C-GET from {name}")
