"""The version of the package, and what peers are told of it: the one place that holds them."""

from __future__ import annotations

__version__ = "4.5.0"

# From a UUID, so that nobody had to register it (PS3.5 B.2).
PYNETDICOM_UID_PREFIX = "2.25.48878802104670192765007933725363628825."
PYNETDICOM_IMPLEMENTATION_UID = f"{PYNETDICOM_UID_PREFIX}{__version__}"
PYNETDICOM_IMPLEMENTATION_VERSION = "PYNETDICOM_" + __version__.replace(".", "")
