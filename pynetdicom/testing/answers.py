"""What requests are answered with: what a test has said, as statuses and data sets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from pynetdicom.services.classes import PENDING

CANNOT_UNDERSTAND = 0xC000
"""What a request is answered when what should have answered it has failed."""

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.data_sets.encoded import EncodedDataSet
    from pynetdicom.testing.records import ReceivedRequest

    One = (
        int
        | Dataset
        | EncodedDataSet
        | str
        | os.PathLike[str]
        | tuple[int | Dataset, Dataset | EncodedDataSet | None]
        | None
    )
    Answer = One | Iterable[One] | Callable[[ReceivedRequest], One | Iterable[One]]
else:
    Answer = Any
"""What a request is answered with.

* a status: an ``int``, or a data set with a ``Status`` and further elements of group 0000;
* a data set: a match of a C-FIND, an instance for a C-GET or C-MOVE, what comes with the success of
  an N-service;
* ``(status, data set)``, for both;
* several of these, in a list or from a generator;
* a callable: ``answer(request)``, with a `ReceivedRequest`, gives one of these.
"""


class Step(NamedTuple):
    """One thing of an answer.

    Attributes
    ----------
    status : int or None
        None: what fits a data set alone.
    data_set : Dataset, path or None
    elements : dict
        Further elements of the command set.
    """

    status: int | None
    data_set: Any = None
    elements: dict[str, Any] = {}  # noqa: RUF012 - never changed

    @property
    def is_pending(self) -> bool:
        """Whether more has to follow."""
        return self.status in PENDING


def steps(answer: Any, request: ReceivedRequest) -> Iterator[Step]:
    """Give an answer, thing by thing, as it is made."""
    if callable(answer):
        answer = answer(request)
    if _is_one(answer):
        yield _step(answer)
        return
    for one in answer:
        yield _step(one)


def _is_one(answer: Any) -> bool:
    if isinstance(answer, Step):
        return True
    if answer is None or isinstance(answer, (int, str)) or not isinstance(answer, Iterable):
        return True
    if isinstance(answer, tuple):
        return len(answer) == 2 and (answer[0] is None or isinstance(answer[0], int))
    return hasattr(answer, "group_dataset")


def _step(answer: Any) -> Step:
    if isinstance(answer, Step):
        return answer
    if answer is None:
        return Step(0x0000)
    if isinstance(answer, bool):
        raise TypeError("a status is a number, not True or False")
    if isinstance(answer, int):
        return Step(int(answer))
    if isinstance(answer, tuple):
        status, data_set = answer
        if not isinstance(status, int):
            status = _step(status)
            return status._replace(data_set=data_set)
        return Step(status, data_set)
    if hasattr(answer, "group_dataset") and "Status" in answer:
        elements = {element.keyword: element.value for element in answer}
        return Step(int(elements.pop("Status")), None, elements)
    return Step(None, answer)
