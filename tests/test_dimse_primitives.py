"""pynetdicom.dimse_primitives: the names scripts import."""

from __future__ import annotations

from pynetdicom import dimse_primitives
from pynetdicom.dimse.primitives import OPERATIONS


def test_names() -> None:
    names = {name for name in vars(dimse_primitives) if name[:2] in ("C_", "N_")}
    assert {getattr(dimse_primitives, name) for name in names} == set(OPERATIONS)
    assert names == {operation.__name__ for operation in OPERATIONS}
