"""``qrscp import``: the DICOM files of a directory become objects of the archive.

A file is copied, or linked, as it is, with its time; where it comes from nothing is written. What
is in the archive already is passed over, so that an import which was ended goes on where it was.
"""

from __future__ import annotations

import logging
import os
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pynetdicom._version import PYNETDICOM_IMPLEMENTATION_UID
from pynetdicom.apps import options
from pynetdicom.apps.archive.admin.digests import digests_of
from pynetdicom.apps.archive.admin.files import link
from pynetdicom.apps.archive.index import Index, NotIndexable, record_of
from pynetdicom.apps.archive.objects import InvalidUID, ObjectStore, uid_and_name
from pynetdicom.apps.archive.opening import HASH_UIDS
from pynetdicom.apps.progress import Terminal
from pynetdicom.data_sets.part10 import Part10, header_builder, read_checked, same_data_set
from pynetdicom.data_sets.provisional import (
    PART_PREFIX,
    ProvisionalFile,
    copy_file,
    system_directory,
    write_all,
)
from pynetdicom.errors import DataSetDecodeError, FileProblem, MissingUID, NotDICOM

if TYPE_CHECKING:
    from pynetdicom.apps.archive.handlers import Archive
    from pynetdicom.data_sets.data_set import EncodedDataSet

LOGGER = logging.getLogger(__name__)

POSITIONAL = (
    options.option(
        "directory", help="where the files are, also in the folders below it, however they are"
        " named: those of another archive, for instance",
    ),
)  # fmt: skip
OPTIONS = (
    options.option(
        "--link", action="store_true",
        help="make hard links of the files instead of copies, where that can be: they take no room,"
        " and must never be changed by anybody any more",
    ),
    HASH_UIDS,
)  # fmt: skip

IMPORTED, THERE, DIFFERS, REFUSED, FAILED, OTHER = (
    "imported", "there already", "there with other bytes", "refused", "failed", "no DICOM objects",
)  # fmt: skip
TOLD_EVERY = 1000


class SourceFile:
    """A file that is imported; see `ObjectFile`.

    Parameters
    ----------
    path : str
    header : Part10
    may_link : bool
        Whether to make a link rather than a copy.
    """

    def __init__(self, path: str, header: Part10, *, may_link: bool) -> None:
        self.data_set: EncodedDataSet = header.data_set()
        self._path = os.path.realpath(path)  # a link is to be of the file
        self._time = os.stat(path).st_mtime_ns
        with open(path, "rb") as file:
            self._is_part10 = file.read(132)[128:] == b"DICM"
        self._may_link = may_link and self._is_part10
        self._uids = header.sop_class_uid, header.sop_instance_uid
        self._temporary: ProvisionalFile | None = None

    @property
    def path(self) -> str:
        """The file, if it has meta information in front, or else a temporary one that has."""
        if self._is_part10:
            return self._path
        self._temporary = self._copy(system_directory())
        return self._temporary.name_it()

    def save_as(self, path: str, overwrite: bool = True, sync: bool = False) -> None:
        """Have the file under another path too."""
        if self._may_link and link(self._path, path, sync=sync):
            return
        with closing(self._copy(os.path.dirname(path))) as copy:
            copy.publish(path, overwrite=overwrite, sync=sync)
        with suppress(OSError):
            os.utime(path, ns=(self._time, self._time))

    def _copy(self, directory: str) -> ProvisionalFile:
        copy = ProvisionalFile(directory)
        try:
            if self._is_part10:
                with open(self._path, "rb") as source:
                    copy_file(source.fileno(), copy.fd, os.fstat(source.fileno()).st_size)
            else:
                syntax = self.data_set.transfer_syntax
                build = header_builder(
                    syntax, implementation_class_uid=PYNETDICOM_IMPLEMENTATION_UID
                )
                write_all(copy.fd, [build(*self._uids), *self.data_set.parts()])
        except BaseException:
            copy.close()
            raise
        return copy

    def close(self) -> None:
        """Be done with it."""
        self.data_set.close()
        if self._temporary is not None:
            self._temporary.close()


class Importer:
    """Takes files into an archive.

    Parameters
    ----------
    archive : Archive
    terminal : Terminal
        Which is told what cannot be taken.
    may_link : bool
    """

    def __init__(self, archive: Archive, terminal: Terminal, *, may_link: bool = False) -> None:
        self._index: Index = archive.index
        self._store: ObjectStore = archive.store_of_objects
        self._room = archive.room
        self._renewed = archive.renewed
        self._hashed = archive.config.hash_uids
        self._terminal = terminal
        self._may_link = may_link

    def take(self, path: str) -> str:
        """Take a file; gives what became of it."""
        try:
            with read_checked(path) as header:
                header.check_encoding()
                with closing(SourceFile(path, header, may_link=self._may_link)) as source:
                    return self._keep(path, source)
        except (NotDICOM, MissingUID):
            LOGGER.info("no DICOM object: %s", path)
            return OTHER
        except (FileProblem, DataSetDecodeError, NotIndexable, InvalidUID) as error:
            return self._tell(path, REFUSED, error)
        except (OSError, sa.exc.SQLAlchemyError) as error:
            why = getattr(error, "strerror", None) or getattr(error, "orig", None) or error
            return self._tell(path, FAILED, why)

    def _keep(self, path: str, source: SourceFile) -> str:
        data_set = source.data_set
        record = record_of(data_set.decode(), data_set.transfer_syntax)
        uid, name = uid_and_name(record.sop_instance_uid, hashed=self._hashed)
        there = self._index.location_of(uid)
        if there is not None:
            return self._compare(path, source, there)
        why = self._room.problem(data_set.size)
        if why is not None:
            return self._tell(path, FAILED, why)
        kept = self._store.keep_file(source, name)
        if kept.is_new:
            self._room.took(data_set.size)
            self._renewed(kept.location)
        if not self._index.add(record, kept.location, kept.folder, kept.arrived):
            return self._tell(path, DIFFERS, f"kept as {kept.location}")
        LOGGER.info("imported %s", name)
        return IMPORTED

    def _compare(self, path: str, source: SourceFile, location: str) -> str:
        """See whether what has the UID is what is to be imported; nothing is replaced."""
        with self._store.fetch(location) as stored:
            if os.path.samefile(path, stored) or same_data_set(source.data_set, stored):
                return THERE
        return self._tell(path, DIFFERS, f"{location} has its SOP Instance UID: it is not imported")

    def _tell(self, path: str, outcome: str, why: object) -> str:
        self._terminal.problem(f"{path}: {why}")
        return outcome


def files_of(directory: str, terminal: Terminal) -> Iterator[str]:
    """Give the files below a directory, in the order of their names."""

    def report(error: OSError) -> None:
        terminal.problem(f"{error.filename}: {error.strerror}")

    for above, folders, names in os.walk(directory, onerror=report):
        folders.sort()
        for name in sorted(names):
            if not name.startswith(PART_PREFIX):
                yield os.path.join(above, name)


def run(archive: Archive, args: Namespace, terminal: Terminal) -> int:
    """Import all files of a directory."""
    if not os.path.isdir(args.directory):
        raise options.Failure(f"{args.directory} is no directory")
    quiet = Terminal("", quiet=True)
    total = sum(1 for _ in files_of(args.directory, quiet))
    counts: Counter[str] = Counter()
    try:
        with digests_of(archive, make=False) as digests, terminal.counting():
            if digests is not None:
                archive.renewed = digests.forget
            importer = Importer(archive, terminal, may_link=args.link)
            for done, path in enumerate(files_of(args.directory, terminal), 1):
                counts[importer.take(path)] += 1
                terminal.count(done, total)
                if done % TOLD_EVERY == 0:
                    LOGGER.info("%d of %d files", done, total)
    finally:
        terminal.result(summary(counts))
        sys.stdout.flush()
    return options.FAILED if terminal.problems else 0


def summary(counts: Counter[str]) -> str:
    """What became of how many files."""
    shown: Sequence[str] = (IMPORTED, THERE, DIFFERS, REFUSED, FAILED, OTHER)
    return ", ".join(f"{counts[one]} {one}" for one in shown)
