"""What is usually wanted of a match, by information model and level, in the order of its columns.

Keys above the level are left out where a query may not have them (PS3.4 C.4.1.2): those of the
patient below the study root model's studies, and in the patient root model below the patient.
"""

from __future__ import annotations

from collections.abc import Sequence

_PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
_COUNTED_PATIENT = (*_PATIENT, "NumberOfPatientRelatedStudies", "NumberOfPatientRelatedInstances")
_STUDY = (
    "StudyDate", "StudyTime", "ModalitiesInStudy", "AccessionNumber", "StudyDescription",
    "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "StudyInstanceUID",
)  # fmt: skip
_SERIES = (
    "SeriesNumber", "Modality", "SeriesDate", "SeriesDescription",
    "NumberOfSeriesRelatedInstances", "SeriesInstanceUID",
)  # fmt: skip
_IMAGE = ("InstanceNumber", "NumberOfFrames", "SOPClassUID", "SOPInstanceUID")
_STEP = (
    "ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime", "Modality",
    "ScheduledStationAETitle", "ScheduledProcedureStepDescription", "ScheduledProcedureStepID",
)  # fmt: skip
_WORKLIST = (
    *_PATIENT,
    *(f"ScheduledProcedureStepSequence[0].{keyword}" for keyword in _STEP),
    "AccessionNumber", "RequestedProcedureDescription", "RequestedProcedureID", "StudyInstanceUID",
)  # fmt: skip
_UPS = (
    *_PATIENT,
    "ScheduledProcedureStepStartDateTime", "ProcedureStepLabel", "ProcedureStepState",
    "ScheduledProcedureStepPriority", "WorklistLabel", "SOPInstanceUID",
)  # fmt: skip

USUAL: dict[tuple[str, str | None], Sequence[str]] = {
    ("P", "PATIENT"): _COUNTED_PATIENT,
    ("P", "STUDY"): _STUDY,
    ("P", "SERIES"): _SERIES,
    ("P", "IMAGE"): _IMAGE,
    ("S", "STUDY"): (*_PATIENT, *_STUDY),
    ("S", "SERIES"): _SERIES,
    ("S", "IMAGE"): _IMAGE,
    ("O", "PATIENT"): _COUNTED_PATIENT,
    ("O", "STUDY"): _STUDY,
    ("W", None): _WORKLIST,
    ("1.2.840.10008.5.1.4.34.6.3", None): _UPS,
}
"""By model, as on the command line, and level; the worklists have none."""
