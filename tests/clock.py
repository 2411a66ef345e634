"""A clock that goes on only when it is told to: how quick the machine is makes no difference."""

from __future__ import annotations

import sys
import time
from types import ModuleType
from typing import Any

import pytest


class Clock:
    """Stands for the module `time` in some modules of the library, or in all that are loaded.

    Waits that were under way take as long as they would have; see `later`.
    """

    def __init__(self, patch: pytest.MonkeyPatch, *modules: ModuleType) -> None:
        self.now = float(int(time.monotonic()))  # so that sums with whole numbers are exact
        self.looks = 0
        for module in modules or [
            module
            for name, module in list(sys.modules.items())
            if name.startswith("pynetdicom.") and vars(module).get("time") is time
        ]:
            patch.setattr(module, "time", self)

    def monotonic(self) -> float:
        self.looks += 1
        return self.now

    def later(self, seconds: float, *assocs: Any) -> None:
        """Have the time go on, and whoever waits on these associations look at it."""
        self.now += seconds
        for assoc in assocs:
            assoc.dul.wake()
            assoc.dimse.wake()

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)
