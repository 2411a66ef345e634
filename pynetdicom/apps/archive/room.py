"""How much room there is: on the disks of the archive, and below its quota.

In: the sizes of objects that come. Out: why one cannot be taken, before a disk is full; and lines
in the log from 80 % on. Disks are looked at once a second, or when an eighth of what was left may
have been taken; while nothing is taken, each time. What all objects take is counted in the database
by all processes, some at a time.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from pynetdicom.apps.archive.schema import setting

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from pynetdicom.apps.archive.config import Config
    from pynetdicom.apps.archive.database import Database
    from pynetdicom.apps.archive.objects import ObjectStore

LOGGER = logging.getLogger(__name__)

QUOTA = "the quota"

WARNED_AT = (0.80, 0.95)
FALLEN = 0.01
"""By how much less there has to be, before it is warned again."""

LOOK_SECONDS = 1.0
PART_TAKEN = 8
"""Of what was left, which part may be taken before it is looked at again."""

MOST_RESERVED = 1 << 30
PARTS_RESERVED = 100
"""Which part of a disk is left free where nothing else is said, if it is not more than that."""

_BYTES = setting.c.name == "bytes"


class Filled(NamedTuple):
    """How full something is.

    Attributes
    ----------
    name : str
    share : float
        Of it which is used, up to 1.
    left : int
        Bytes that may still be taken.
    """

    name: str
    share: float
    left: int


class Room:
    """The room for objects; for any thread.

    One lock: taken by whoever has an object to be kept, for numbers only.

    Parameters
    ----------
    config : Config
    database : Database
    store : ObjectStore
    """

    def __init__(self, config: Config, database: Database, store: ObjectStore) -> None:
        self._quota = config.quota
        self._reserve = config.reserve
        self._database = database
        self._store = store
        paths = [store.directory, os.path.dirname(database.path) if database.path else None]
        self._disks = _disks([path for path in paths if path])
        self._lock = threading.Lock()
        self._unlooked = 0  # bytes that may be taken without looking
        self._look_at = 0.0
        self._untold = 0  # bytes that the database does not count yet
        self._levels: dict[str, int] = {}
        self._is_full = False

    def limit(self, config: Config) -> None:
        """Have another quota and reserve hold, from now on."""
        is_new = self._quota is None
        self._quota, self._reserve = config.quota, config.reserve
        if is_new:  # what objects take was not counted
            self.measure()
        with self._lock:
            self._unlooked = 0

    def problem(self, size: int) -> str | None:
        """Why an object of a size cannot be taken; None: it can."""
        with self._lock:
            self._unlooked -= size
            if self._unlooked > 0 and time.monotonic() < self._look_at:
                return None
        return self._look(size)

    def took(self, size: int) -> None:
        """Count an object that was kept, or by a negative size one that was deleted."""
        if self._quota is not None:
            with self._lock:
                self._untold += size

    def look(self) -> None:
        """See how full all is, and log it where it matters."""
        self._look(0)

    def close(self) -> None:
        """Tell the database what it does not count yet."""
        if self._untold:
            with suppress(sa.exc.SQLAlchemyError):  # it is counted anew at the next start
                self._count()

    def filled(self) -> list[Filled]:
        """How full the disks are, and the quota."""
        found = []
        for path in self._disks:
            with suppress(OSError):  # a store that is down says so by itself
                total, used, free = shutil.disk_usage(path)
                reserve = self._reserve
                if reserve is None:
                    reserve = min(total // PARTS_RESERVED, MOST_RESERVED)
                share = used / (used + free) if used + free else 1.0
                found.append(Filled(f"the disk of {path}", share, free - reserve))
        if self._quota is not None:
            with suppress(sa.exc.SQLAlchemyError):  # so does an index that fails
                taken = self._count()
                found.append(Filled(QUOTA, taken / self._quota, self._quota - taken))
        return found

    def _look(self, size: int) -> str | None:
        found = self.filled()
        least = min((one.left for one in found), default=1 << 62)
        # The object is on the disk already; of the quota it is a part only when it is kept.
        full = [one for one in found if one.left < (size if one.name == QUOTA else 0)]
        with self._lock:
            self._unlooked = 0 if full else least // PART_TAKEN
            self._look_at = time.monotonic() + LOOK_SECONDS
            was_full, self._is_full = self._is_full, bool(full)
            risen = [one for one in found if self._has_risen(one)]
        for one in risen:
            LOGGER.warning("%s is %.0f %% full", one.name, one.share * 100)
        if full and not was_full:
            LOGGER.error("%s is used up: nothing is stored until there is room", full[0].name)
        elif was_full and not full:
            LOGGER.warning("there is room again: objects are stored")
        return f"{full[0].name} is used up" if full else None

    def _has_risen(self, one: Filled) -> bool:
        """Whether more is used than was ever told, since there was less."""
        before = self._levels.get(one.name, 0)
        level = sum(one.share >= limit for limit in WARNED_AT)
        if level < before and one.share > WARNED_AT[before - 1] - FALLEN:
            level = before
        self._levels[one.name] = level
        return level > before

    # The quota

    def measure(self) -> None:
        """Count what all objects take, where there is a quota."""
        if self._quota is None:
            return
        size = self._store.size()

        def work(connection: Connection) -> None:
            connection.execute(setting.delete().where(_BYTES))
            connection.execute(setting.insert().values(name="bytes", value=str(size)))

        self._database.write(work)

    def _count(self) -> int:
        """Have the database count what was kept, and give what all objects take."""
        with self._lock:
            size, self._untold = self._untold, 0
        try:
            total = self._add(size)
        except BaseException:
            with self._lock:
                self._untold += size
            raise
        if total is None:
            self.measure()
            total = self._add(0)
        return int(total or 0)

    def _add(self, size: int) -> str | None:
        found: str | None
        if not size:
            with self._database.reading() as connection:
                found = connection.scalar(sa.select(setting.c.value).where(_BYTES))
                return found
        total = sa.cast(sa.cast(setting.c.value, sa.BigInteger) + size, sa.Text)
        change = setting.update().where(_BYTES).values(value=total).returning(setting.c.value)
        found = self._database.write(lambda connection: connection.scalar(change))
        return found


def _disks(paths: Sequence[str]) -> list[str]:
    """Of some paths one for each disk."""
    found: dict[int, str] = {}
    for path in paths:
        with suppress(OSError):
            found.setdefault(os.stat(path).st_dev, path)
    return list(found.values())
