"""pynetdicom.data_sets.descriptor: no descriptor is ever nobody's."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest

from pynetdicom.data_sets.descriptor import open_file
from pynetdicom.data_sets.provisional import ProvisionalFile
from tests.conftest import leaked_descriptors, open_descriptors
from tests.injection import FILE, Injector, in_time


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("what", ["file", "provisional"])
def test_ctrl_c_between_any_two_bytecodes_leaves_none_open(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What comes into a finalizer is dropped by Python.
    monkeypatch.setattr(sys, "unraisablehook", lambda *_: None)

    def use() -> None:
        if what == "file":
            descriptor = open_file(FILE)
        else:
            part = ProvisionalFile(str(tmp_path))  # which closes it with its last reference
            descriptor = part.descriptor
        other = descriptor.duplicate()
        other.close()
        descriptor.close()

    injector = Injector(0, _interrupt)
    in_time(use, what, injector)
    descriptors = open_descriptors()
    for at in range(1, injector.count + 1):
        injector = Injector(at, _interrupt)
        assert isinstance(in_time(use, what, injector), (KeyboardInterrupt, type(None)))
        if leaked_descriptors(descriptors):
            gc.collect()
        assert not leaked_descriptors(descriptors), injector.where
