"""DICOM over asyncio: what the library has for threads, as coroutines.

``async with aio.associate(…) as assoc:`` for what is asked of a peer, ``async with aio.serve(…)``
for what is served. It is the same code that does it, see `strands`; it needs the package greenlet.
"""

from __future__ import annotations

try:
    import greenlet as _greenlet  # noqa: F401  # only to say what is missing
except ImportError as error:
    raise ImportError("pynetdicom.aio needs the package greenlet: pip install greenlet") from error

from pynetdicom.aio.association import Associating, Association, associate, association_of
from pynetdicom.aio.results import Responses
from pynetdicom.aio.server import Server, Serving, serve

__all__ = [
    "Associating",
    "Association",
    "Responses",
    "Server",
    "Serving",
    "associate",
    "association_of",
    "serve",
]
