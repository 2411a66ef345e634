"""The packages that only the archive needs, and what to say when one is missing."""

from __future__ import annotations

import importlib
from typing import Any

EXTRAS = {"sqlalchemy": "apps", "psycopg": "postgres", "fsspec": "cloud"}
"""Package → the extra of pynetdicom that brings it."""


class MissingExtra(Exception):
    """A package is needed that is not installed."""


def require(package: str) -> Any:
    """Import a package that comes with an extra.

    Raises
    ------
    MissingExtra
        It is not installed; the message has the command that installs it.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingExtra(
            f"{package} is needed for this and cannot be imported ({error}): "
            f"pip install 'pynetdicom[{EXTRAS[package]}]'"
        ) from error
