"""What serving needs is loaded before a server listens: its first peer does not wait for imports.

To import the package costs next to nothing, since everything is loaded when it is first used. For
a server that would be while a peer waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

ASSOCIATIONS = (
    "association",
    "association.extended_negotiation",
    "association.serving",
    "upper_layer.primitives",
)
"""What any association of an acceptor uses."""

HANDLERS = (
    "association.destinations",
    "dsutils",
    "pdu_primitives",
    "association.response_status",
    "association.sub_operations",
)
"""What is used where handlers are called, or by them."""

PYDICOM = ("charset", "dataset", "filereader", "filewriter", "uid", "valuerep")
"""What decoding and encoding a data set uses."""


def load(abstract_syntaxes: Iterable[str], *, handled: bool) -> None:
    """Load what associations use.

    Parameters
    ----------
    abstract_syntaxes : iterable of str
        What is supported.
    handled : bool
        Whether there are handlers, which decode data sets.
    """
    names = ASSOCIATIONS + HANDLERS if handled else ASSOCIATIONS
    for name in names:
        import_module(f"pynetdicom.{name}")
    if handled:
        for name in PYDICOM:
            import_module(f"pydicom.{name}")
    from pynetdicom.services import registry
    from pynetdicom.utils import printable

    printable("")  # its codec
    for uid in abstract_syntaxes:
        registry.operations(uid)
