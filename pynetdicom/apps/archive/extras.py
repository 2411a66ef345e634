"""The packages that not everybody needs, and what to say when one is missing."""

from __future__ import annotations

import importlib
from typing import Any

REQUIREMENTS = {
    "sqlalchemy": "sqlalchemy>=2",
    "psycopg": "psycopg[binary]>=3",
    "fsspec": "fsspec>=2023.1",
    "cryptography": "cryptography>=42",
}
"""Package → what pip is told to install it; the extras apps, postgres and cloud say the same."""


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
            # Not by our own name, which is another project's on the Python Package Index.
            f"pip install '{REQUIREMENTS[package]}'"
        ) from error
