"""dicomtrolley: searches of studies over C-FIND."""

from __future__ import annotations

from dicomtrolley.core import Query, QueryLevels
from dicomtrolley.dicom_qr import DICOMQR
from given import ARCHIVE, ARCHIVES, HOST, PATIENT_NAME, SERIES, STUDY, done

for name, port in ARCHIVES.items():
    searcher = DICOMQR(HOST, port, aet="DICOMTROLLEY", aec=ARCHIVE)
    [study] = searcher.find_studies(Query(PatientName="Dep*"))
    assert study.uid == STUDY
    assert str(study.data.PatientName) == PATIENT_NAME
    [study] = searcher.find_studies(Query(StudyInstanceUID=STUDY, query_level=QueryLevels.SERIES))
    assert {series.uid for series in study.series} == {*SERIES}
    assert searcher.find_studies(Query(PatientName="Nobody")) == []
    done(f"C-FIND at {name}")
