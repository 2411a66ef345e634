"""A plugin for pytest: the tests are run as if on Windows, see `windows`."""

from __future__ import annotations

from tests.windows import pytest_collection_modifyitems, pytest_configure, simulate

__all__ = ["pytest_collection_modifyitems", "pytest_configure"]

simulate()
