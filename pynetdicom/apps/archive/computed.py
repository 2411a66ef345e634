"""Attributes that are not stored but counted, or collected from the levels below (PS3.4 C.3.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from pynetdicom.apps.archive.schema import instance, patient, series, study


class _Collected(FunctionElement[str]):
    """The distinct values of a column, with commas between them."""

    type = sa.Text()
    inherit_cache = True


@compiles(_Collected, "sqlite")
def _in_sqlite(element: _Collected, compiler: Any, **options: Any) -> str:
    return f"group_concat(DISTINCT {compiler.process(element.clauses, **options)})"


@compiles(_Collected, "postgresql")
def _in_postgresql(element: _Collected, compiler: Any, **options: Any) -> str:
    return f"string_agg(DISTINCT {compiler.process(element.clauses, **options)}, ',')"


class Computed(NamedTuple):
    """An attribute that is made when it is asked for.

    Attributes
    ----------
    level, keyword, vr : str
    column : sqlalchemy.ColumnElement
        Gives it.
    tested, source, where : optional
        The column with its values and where that is; None: it is matched row by row.
    """

    level: str
    keyword: str
    vr: str
    column: sa.ColumnElement[Any]
    tested: sa.ColumnElement[Any] | None = None
    source: sa.FromClause | None = None
    where: sa.ColumnElement[bool] | None = None

    def has(self, test: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        """The condition that one of its values passes a test of `tested`."""
        assert self.source is not None
        assert self.where is not None
        query = sa.select(sa.literal(1)).select_from(self.source).where(self.where, test)
        return query.correlate(study).exists()


def _count(level: str, keyword: str, source: sa.FromClause, below: Any) -> Computed:
    outer = {"PATIENT": patient, "STUDY": study, "SERIES": series}[level]
    query = sa.select(sa.func.count()).select_from(source).where(below == outer.c.pk)
    return Computed(level, keyword, "IS", query.correlate(outer).scalar_subquery())


def _collection(keyword: str, vr: str, value: Any, source: sa.FromClause, below: Any) -> Computed:
    where = below == study.c.pk
    query = sa.select(_Collected(value)).select_from(source).where(where, value != "")
    text = sa.func.replace(query.correlate(study).scalar_subquery(), ",", "\\")
    return Computed("STUDY", keyword, vr, text, value, source, where)


_SERIES_OF_PATIENT = series.join(study, series.c.study_pk == study.c.pk)
_OF_STUDY = instance.join(series, instance.c.series_pk == series.c.pk)
_OF_PATIENT = _OF_STUDY.join(study, series.c.study_pk == study.c.pk)

_ROWS: Sequence[Computed] = (
    _count("PATIENT", "NumberOfPatientRelatedStudies", study, study.c.patient_pk),
    _count("PATIENT", "NumberOfPatientRelatedSeries", _SERIES_OF_PATIENT, study.c.patient_pk),
    _count("PATIENT", "NumberOfPatientRelatedInstances", _OF_PATIENT, study.c.patient_pk),
    _count("STUDY", "NumberOfStudyRelatedSeries", series, series.c.study_pk),
    _count("STUDY", "NumberOfStudyRelatedInstances", _OF_STUDY, series.c.study_pk),
    _count("SERIES", "NumberOfSeriesRelatedInstances", instance, instance.c.series_pk),
    _collection("ModalitiesInStudy", "CS", series.c.modality, series, series.c.study_pk),
    _collection("SOPClassesInStudy", "UI", instance.c.sop_class_uid, _OF_STUDY, series.c.study_pk),
    Computed("IMAGE", "AvailableTransferSyntaxUID", "UI", instance.c.transfer_syntax_uid),
)

COMPUTED = {row.keyword: row for row in _ROWS}
