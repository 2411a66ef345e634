"""The version of the package: the one place that holds it."""

from __future__ import annotations

__version__ = "4.0.0"
