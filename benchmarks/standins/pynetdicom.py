"""pydcm, a library in C++ with a Python face, under the names that the workers ask for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pydcm
from pydcm import dimse
from pydcm.dimse import evt as evt

__version__ = f"pydcm {pydcm.__version__}"


class _Server:
    """A server that says where it listens."""

    def __init__(self, server: Any) -> None:
        self.server_address = ("127.0.0.1", server.bound_port)
        self.shutdown = server.shutdown


class AE(dimse.AE):
    """Its application entity, which stores by itself where a handler would."""

    def start_server(
        self,
        address: Any,
        *args: Any,
        block: bool = True,
        evt_handlers: Sequence[Any] = (),
        **others: Any,
    ) -> Any:
        out = next((rest[0][0] for _, _, *rest in evt_handlers if rest), None)
        # As a file name of its own choice, from which nothing but the number of files follows.
        store = {"store_dir": os.fspath(out)} if out else {}
        return _Server(super().start_server(address, block=block, **store))
