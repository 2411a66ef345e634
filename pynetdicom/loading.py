"""What serving needs is loaded before a server listens: its first peer does not wait for imports.

To import the package costs next to nothing, since everything is loaded when it is first used. For
a server that would be while a peer waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

ASSOCIATIONS = (
    "pynetdicom.association.extended_negotiation",
    "pynetdicom.association.serving",
    "pynetdicom.upper_layer.primitives",
)
"""What any association of an acceptor uses."""

HANDLERS = (
    "pydicom",
    "pynetdicom.association.destinations",
    "pynetdicom.association.response_status",
    "pynetdicom.dsutils",
    "pynetdicom.pdu_primitives",
)
"""What is used where handlers are called, or by them."""


def load(abstract_syntaxes: Iterable[str], *, handled: bool) -> None:
    """Load what associations use.

    Parameters
    ----------
    abstract_syntaxes : iterable of str
        What is supported.
    handled : bool
        Whether there are handlers, which decode data sets.
    """
    for name in ASSOCIATIONS + HANDLERS if handled else ASSOCIATIONS:
        import_module(name)
    from pynetdicom.services import registry
    from pynetdicom.utils import printable

    printable("")  # its codec
    for uid in abstract_syntaxes:
        registry.operations(uid)
