"""pynetdicom.dimse_primitives: the names scripts import."""

from __future__ import annotations

from pynetdicom import dimse_primitives
from pynetdicom.dimse.primitives import OPERATIONS


def test_names() -> None:
    assert sorted(dimse_primitives.__all__) == sorted(cls.__name__ for cls in OPERATIONS)
    assert {getattr(dimse_primitives, name) for name in dimse_primitives.__all__} == set(OPERATIONS)
