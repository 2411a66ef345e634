"""What is asked of an association by those who send over others than their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from pynetdicom.running import Runs

if TYPE_CHECKING:
    from pynetdicom.association.invoking import Invoker
    from pynetdicom.association.link import Link


class Party(Runs, Protocol):
    """An association."""

    acse_timeout: Any
    _link: Link
    _invoker: Invoker

    def release(self) -> None: ...
    def _release_later(self) -> None: ...
    def _make_successor(self) -> Party: ...
