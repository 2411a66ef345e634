"""``make dependents`` itself; the packages are left to it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from pydicom import dcmread

from tests.conftest import ROOT
from tests.dependents import __main__ as dependents
from tests.dependents import peers


def test_each_package_has_its_case() -> None:
    cases = {path.stem.removeprefix("use_") for path in dependents.CASES.glob("use_*.py")}
    assert cases == {name.replace("-", "_") for name in dependents.DEPENDENTS}
    assert "-m tests.dependents" in (ROOT / "Makefile").read_text()


def test_a_case_is_told_what_the_peers_have() -> None:
    tree = ast.parse((dependents.CASES / "given.py").read_text())
    told = {
        node.target.id
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    assert set(peers.CONSTANTS) <= told


def test_the_study_is_whole(tmp_path: Path) -> None:
    datasets = [dcmread(path) for path in peers.write_study(tmp_path / "files")]
    assert {ds.StudyInstanceUID for ds in datasets} == {peers.STUDY}
    assert {ds.SeriesInstanceUID for ds in datasets} == {*peers.SERIES}
    assert len({ds.SOPInstanceUID for ds in datasets}) == peers.INSTANCES * len(peers.SERIES)


def test_what_was_done_is_read_from_what_was_printed() -> None:
    assert dependents.done("+ C-FIND\nnoise\n+ C-GET\n") == ("C-FIND", "C-GET")
    assert dependents.done(b"+ C-FIND\n") == ("C-FIND",)
    assert dependents.done(None) == ()


def test_this_python_will_do_where_it_is_new_enough() -> None:
    assert dependents.interpreter("3.11") == sys.executable
    assert dependents.interpreter("3.99") is None
