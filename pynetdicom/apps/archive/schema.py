"""The tables of the index, the same in SQLite and PostgreSQL.

Made of the table in `attributes`: patient, study, series and instance, each row of the one above
it. A study belongs to one patient: objects of one study that name two patients make two studies of
the same UID, so that nobody's images are ever shown as somebody else's.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from pynetdicom.apps.archive.attributes import HEAD_LENGTH, OF_LEVEL

VERSION = 3
"""Of the schema; an index of another version is made anew from the objects."""

metadata = sa.MetaData()

# Compared byte by byte, so that ranges and prefixes can use an index whatever the locale.
_Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class Head(FunctionElement[str]):
    """The beginning of a text, as it is in an index: SQLite has all of it there."""

    type = sa.Text()
    inherit_cache = True


@compiles(Head, "sqlite")
def _in_sqlite(element: Head, compiler: Any, **options: Any) -> str:
    text: str = compiler.process(element.clauses, **options)
    return text


@compiles(Head, "postgresql")
def _in_postgresql(element: Head, compiler: Any, **options: Any) -> str:
    return f"left({compiler.process(element.clauses, **options)}, {HEAD_LENGTH})"


def _columns(level: str) -> list[sa.Column[str]]:
    names: dict[str, None] = {}
    for attribute in OF_LEVEL[level]:
        names[attribute.column] = names[attribute.search] = None
    return [sa.Column(name, _Text, nullable=False, server_default="") for name in names]


def _table(name: str, level: str, *items: sa.schema.SchemaItem) -> sa.Table:
    # A number is not given twice, or a row that was read before could be of something else since.
    key = sa.Column("pk", _Key, primary_key=True, autoincrement=True)
    return sa.Table(name, metadata, key, *_columns(level), *items, sqlite_autoincrement=True)


def _parent(table: str) -> sa.Column[int]:
    return sa.Column(f"{table}_pk", _Key, sa.ForeignKey(f"{table}.pk"), nullable=False)


def _said() -> sa.Column[str]:
    # Which object each value is of, see `said`.
    return sa.Column("said", _Text, nullable=False, server_default="")


patient = _table(
    "patient",
    "PATIENT",
    sa.Column("identity", _Text, nullable=False, unique=True),
    _said(),
    sa.Index("ix_patient_birth_date", "patient_birth_date_search"),
)
study = _table(
    "study",
    "STUDY",
    _parent("patient"),
    _said(),
    sa.UniqueConstraint("study_instance_uid", "patient_pk"),
    sa.Index("ix_study_patient", "patient_pk"),
    sa.Index("ix_study_date", "study_date_search"),
)
series = _table(
    "series",
    "SERIES",
    _parent("study"),
    _said(),
    sa.UniqueConstraint("series_instance_uid", "study_pk"),
    sa.Index("ix_series_date", "series_date_search"),
)
instance = _table(
    "instance",
    "IMAGE",
    _parent("series"),
    sa.Column("transfer_syntax_uid", _Text, nullable=False),
    sa.Column("location", _Text, nullable=False, unique=True),
    sa.Column("folder", _Text, nullable=False),
    sa.UniqueConstraint("sop_instance_uid"),
    sa.Index("ix_instance_series", "series_pk", "sop_class_uid"),
    sa.Index("ix_instance_folder", "folder"),
)

# What a peer may make long, and is compared as it is.
HEADS = frozenset(
    (
        patient.c.patient_id,
        patient.c.patient_name_search,
        study.c.accession_number,
        study.c.study_id,
        series.c.modality,
    )
)
"""The columns whose index has the beginnings of the values only, in PostgreSQL."""

sa.Index("ix_patient_id", Head(patient.c.patient_id))
sa.Index("ix_patient_name", Head(patient.c.patient_name_search))
sa.Index("ix_study_accession_number", Head(study.c.accession_number))
sa.Index("ix_study_id", Head(study.c.study_id))
sa.Index("ix_series_study", series.c.study_pk, Head(series.c.modality))
sa.Index("ix_series_modality", Head(series.c.modality))

SEVERAL_GROUPS: sa.ColumnClause[str] = sa.literal_column("'%=%'")
"""What a name is like that is written in more than one way."""

NAMES_OF_SEVERAL_GROUPS = sa.Index(
    # What the second of its groups begins with, no index of the whole tells; few names have one.
    "ix_patient_name_groups",
    patient.c.pk,
    postgresql_where=patient.c.patient_name_search.like(SEVERAL_GROUPS),
).ddl_if(dialect="postgresql")

duplicate = sa.Table(
    # Second copies that differ from the first: kept, but neither found nor sent.
    "duplicate",
    metadata,
    sa.Column("pk", _Key, primary_key=True, autoincrement=True),
    sa.Column("sop_instance_uid", _Text, nullable=False, index=True),
    sa.Column("location", _Text, nullable=False, unique=True),
    sa.Column("folder", _Text, nullable=False, index=True),
)
folder = sa.Table(
    # What the start-up check has seen: folders that have not changed since need no second look.
    "folder",
    metadata,
    sa.Column("name", _Text, primary_key=True),
    sa.Column("state", _Text, nullable=False),
)
setting = sa.Table(
    "setting",
    metadata,
    sa.Column("name", _Text, primary_key=True),
    sa.Column("value", _Text, nullable=False),
)

TABLES = {"PATIENT": patient, "STUDY": study, "SERIES": series, "IMAGE": instance}
PARENT_KEYS = {"STUDY": "patient_pk", "SERIES": "study_pk", "IMAGE": "series_pk"}
