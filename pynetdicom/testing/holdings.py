"""What a PACS for tests has: instances, and the entities that they make at each level (PS3.4 C.6).

In: data sets, files and folders. Out: for a level its patients, studies, series or images as data
sets, whose attributes are those of their instances, or counted.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pynetdicom.apps.archive.attributes import ATTRIBUTES, LEVELS, UNIQUE_KEYS

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Keys = Mapping[str, list[str]]
"""Level → values of its unique key."""


class Held:
    """An instance.

    Parameters
    ----------
    content : path or Dataset
        What is sent.
    dataset : Dataset
        What is matched.
    """

    def __init__(self, content: Any, dataset: Dataset) -> None:
        self.content = content
        self.dataset = dataset
        self.keys = {level: str(dataset.get(key) or "") for level, key in UNIQUE_KEYS.items()}

    def is_within(self, unique: Keys) -> bool:
        """Whether it is of the entities that some unique keys name."""
        return all(self.keys[level] in values for level, values in unique.items())


class Holdings:
    """Instances, the later of two with the same UID. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unread: list[str] = []
        self._held: dict[str, Held] = {}

    def add(self, what: Any) -> None:
        """Take a data set, a file, or all files of a folder; files are read when asked for."""
        if isinstance(what, (str, os.PathLike)):
            path = os.fspath(what)
            if not os.path.exists(path):
                raise FileNotFoundError(f"there is no {path}")
            found = [path] if os.path.isfile(path) else list(_files(path))
            with self._lock:
                self._unread += found
            return
        held = Held(what, what)
        with self._lock:
            self._held[held.keys["IMAGE"]] = held

    def all(self) -> list[Held]:
        """Give them, in the order they came."""
        with self._lock:
            while self._unread:
                self._read(self._unread.pop(0))
            return list(self._held.values())

    def _read(self, path: str) -> None:
        from pydicom import dcmread
        from pydicom.errors import InvalidDicomError

        try:
            ds = dcmread(path, stop_before_pixels=True)
        except InvalidDicomError:  # a folder may have other files, too
            return
        if "SOPInstanceUID" in ds and "SOPClassUID" in ds:
            held = Held(path, ds)
            self._held.setdefault(held.keys["IMAGE"], held)

    def within(self, unique: Keys) -> list[Held]:
        """Give the instances of the entities that some unique keys name."""
        return [held for held in self.all() if held.is_within(unique)]

    def entities(self, level: str, unique: Keys) -> Iterator[Dataset]:
        """Give what there is at a level, below the entities that some unique keys name."""
        above = LEVELS[: LEVELS.index(level) + 1]
        groups: dict[tuple[str, ...], list[Held]] = {}
        for held in self.within(unique):
            groups.setdefault(tuple(held.keys[one] for one in above), []).append(held)
        for group in groups.values():
            yield _entity(level, [held.dataset for held in group])


def _files(folder: str) -> Iterator[str]:
    for directory, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield os.path.join(directory, name)


def _entity(level: str, instances: list[Dataset]) -> Dataset:
    """Give an entity with what is of its level, or above it, or the same in all its instances."""
    from pydicom.dataset import Dataset

    entity = Dataset()
    below = LEVELS[LEVELS.index(level) + 1 :]
    for element in instances[0]:
        known = ATTRIBUTES.get(element.keyword)
        if known is not None and known.level in below:
            continue
        is_same = known is not None or len(instances) == 1
        if is_same or all(one.get(element.tag) == element for one in instances[1:]):
            entity[element.tag] = element
    for keyword, (of, make) in _COMPUTED.items():
        if of == level:
            setattr(entity, keyword, make(instances))
    return entity


def _count(keyword: str) -> Callable[[list[Dataset]], int]:
    return lambda instances: len({str(one.get(keyword)) for one in instances})


def _values(keyword: str) -> Callable[[list[Dataset]], list[str]]:
    return lambda instances: sorted(
        {str(one[keyword].value) for one in instances if keyword in one}
    )


_STUDIES, _SERIES, _INSTANCES = (
    _count(UNIQUE_KEYS[level]) for level in ("STUDY", "SERIES", "IMAGE")
)
_COMPUTED: dict[str, tuple[str, Callable[[list[Dataset]], Any]]] = {
    "NumberOfPatientRelatedStudies": ("PATIENT", _STUDIES),
    "NumberOfPatientRelatedSeries": ("PATIENT", _SERIES),
    "NumberOfPatientRelatedInstances": ("PATIENT", _INSTANCES),
    "NumberOfStudyRelatedSeries": ("STUDY", _SERIES),
    "NumberOfStudyRelatedInstances": ("STUDY", _INSTANCES),
    "ModalitiesInStudy": ("STUDY", _values("Modality")),
    "SOPClassesInStudy": ("STUDY", _values("SOPClassUID")),
    "NumberOfSeriesRelatedInstances": ("SERIES", _INSTANCES),
}
"""Keyword → level, and what makes it of the instances (PS3.4 C.3.4)."""
