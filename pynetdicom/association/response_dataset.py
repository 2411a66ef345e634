"""The data sets of a response, its status and its identifier, as scripts take them apart.

In: what pydicom read, whose elements are raw until each is asked for by itself. Out: the same, with
elements that are decoded for whoever takes all of them at once. Scripts have relied on that since
3.x decoded each of them to log it; here it costs nothing unless it is used.
"""

from __future__ import annotations

from collections.abc import Iterator, ValuesView
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Any

from pydicom.dataset import Dataset


class ResponseDataset(Dataset):
    """A data set whose `values`, `items` and `elements` are decoded, but for what cannot be."""

    def values(self) -> ValuesView[Any]:
        """Return the elements."""
        self._decode()
        return super().values()

    def items(self) -> AbstractSet[tuple[Any, Any]]:
        """Return the elements, and the tags before them."""
        self._decode()
        return super().items()

    def elements(self) -> Iterator[Any]:
        """Yield the elements in the order of their tags."""
        self._decode()
        return super().elements()

    def _decode(self) -> None:
        for tag in self.keys():  # to iterate over the data set gives its elements
            with suppress(Exception):  # an odd value stays raw: pydicom raises whatever it likes
                self[tag]
