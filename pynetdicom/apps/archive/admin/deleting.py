"""``qrscp delete``: patients, studies, series or objects, also while the archive is at work."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pynetdicom.apps import options
from pynetdicom.apps.archive.admin import confirm
from pynetdicom.apps.archive.admin.selection import Found, chosen, indexed
from pynetdicom.apps.archive.attributes import ATTRIBUTES, UNIQUE_KEYS
from pynetdicom.apps.archive.index import Record
from pynetdicom.apps.archive.removal import Remover
from pynetdicom.apps.keys import WrongKey, parse_key
from pynetdicom.apps.progress import Terminal
from pynetdicom.workflows.globs import has_wildcard

if TYPE_CHECKING:
    from pynetdicom.apps.archive.handlers import Archive

LOGGER = logging.getLogger(__name__)

KEYS = (*UNIQUE_KEYS.values(), "IssuerOfPatientID")
POSITIONAL = (
    options.option(
        "key", nargs="+", metavar="KEY",
        help="what is to be deleted, such as PatientID=4711, StudyInstanceUID=1.2.3 or"
        " SeriesInstanceUID=1.2.4; of several keys each must hold. There may be"
        f" {', '.join(KEYS)}, without wildcards",
    ),
)  # fmt: skip
OPTIONS = (options.option("--yes", action="store_true", help="do not ask"),)


def parse_keys(texts: list[str]) -> dict[str, str]:
    """The keys and their values, each of which says exactly what is to be deleted.

    Raises
    ------
    Failure
        One does not.
    """
    from pydicom.datadict import keyword_for_tag

    keys: dict[str, str] = {}
    for text in texts:
        try:
            path, value = parse_key(text)
        except WrongKey as error:
            raise options.Failure(str(error)) from error
        keyword = keyword_for_tag(path[-1].tag)
        if len(path) > 1 or keyword not in KEYS:
            raise options.Failure(f"{text!r}: by that nothing is deleted, but by {', '.join(KEYS)}")
        if not value or has_wildcard(value) or "\\" in value:
            raise options.Failure(f"{text!r}: a key needs one value, without wildcards")
        if keys.setdefault(keyword, value) != value:
            raise options.Failure(f"{text!r}: there is another {keyword} already")
    if not set(keys) & set(UNIQUE_KEYS.values()):
        raise options.Failure(f"an {', '.join(keys)} alone says not whose")
    return keys


def run(archive: Archive, args: Namespace, terminal: Terminal) -> int:
    """Delete what the keys say, if that is what is wanted."""
    keys = parse_keys(args.key)
    remover = Remover(archive.index, archive.store_of_objects, archive.room)
    found = list(chosen(archive, [f"{keyword}={value}" for keyword, value in keys.items()]))
    if not found:
        remover.finish()
        terminal.problem("there is no such object")
        return options.FAILED
    if not confirm(f"Delete {_what(found)}?", is_sure=args.yes):
        terminal.result("nothing was deleted")
        return options.FAILED
    for (study, series), count in Counter((one.study, one.series) for one in found).items():
        LOGGER.warning("deleting %d objects of series %s of study %s", count, series, study)
    remover.remove(indexed(archive, found), lambda record: _belongs(record, keys))
    terminal.result(f"deleted {_what(found)}")
    return 0


def _what(found: list[Found]) -> str:
    patients = {(one.patient_id, one.issuer) for one in found}
    studies = {(one.patient_id, one.issuer, one.study) for one in found}
    series = {one.series for one in found}
    return (
        f"{len(found)} objects: of {len(patients)} patients, {len(studies)} studies,"
        f" {len(series)} series"
    )


def _belongs(record: Record, keys: Mapping[str, str]) -> bool:
    """Whether an object is of what is deleted."""
    attributes = {keyword: ATTRIBUTES[keyword] for keyword in keys}
    return all(
        record.values[one.level][one.column] == keys[keyword] for keyword, one in attributes.items()
    )
