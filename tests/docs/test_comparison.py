"""The page that compares: its table is whole, and its ratios come from one command."""

from __future__ import annotations

import re
from datetime import date

from benchmarks import report, run
from benchmarks.cases import CASES
from benchmarks.method import QUICK, Samples, Scale
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "comparison.rst").read_text()
RATIOS = ROOT / "docs" / "data" / "ratios.inc"


def test_each_feature_is_said_of_each() -> None:
    _, _, table = PAGE.partition("\nFeatures\n")
    table = table.partition(".. list-table::")[2].partition("\n\n*")[0]
    rows = [row.split("\n     - ") for row in table.split("\n   * -")[1:]]
    assert len(rows) > 15
    assert {len(row) for row in rows} == {10}
    assert all(cell.strip() for row in rows[1:] for cell in row)
    for name in ("DCMTK", "3.0.4", "pydcm", "dcm4che", "fo-dicom", "GDCM", "odil", "Orthanc"):
        assert any(name in cell for cell in rows[0])


def test_it_says_where_others_are_better() -> None:
    assert PAGE.index("Where others are better") < PAGE.index("Where this one is better")


def test_the_ratios_are_those_of_the_command() -> None:
    assert ".. include:: data/ratios.inc" in PAGE
    assert "make bench-page" in PAGE
    assert "--page docs/data/ratios.inc" in (ROOT / "Makefile").read_text()
    assert set(run.PAGE_CASES) <= set(CASES)
    text = RATIOS.read_text()
    assert text.startswith(".. Written by python -m benchmarks --page")
    assert re.search(r"^Measured on \d{4}-\d\d-\d\d, \d+ alternating rounds", text, re.M)
    for what in ("processor", "system", "Python", "pydicom", "DCMTK", "busy with something else"):
        assert f"* {what}" in text


def test_what_the_page_is_given() -> None:
    found = [
        Samples("DCMTK → DCMTK", [2.0, 2.2]),
        Samples("ours → ours", [1.0, 1.1]),
        Samples("3.0.4 → 3.0.4", [], "/a/b/c *failed*"),
    ]
    result = report.timing("Sending", found, ["DCMTK → DCMTK"], report.Item("s", 1.0), ["A_note."])
    text = report.page({"Python": "3.x", "DCMTK": "3.6.7"}, Scale(rounds=2), {"sending": result})
    assert f"Measured on {date.today().isoformat()}, 2 alternating rounds;" in text
    assert "smoke run" not in text
    assert "\n* Python: 3.x\n* DCMTK: 3.6.7\n" in text
    assert ".. rubric:: Sending\n\n.. list-table::\n   :header-rows: 1\n" in text
    assert "   * - ours → ours\n     - 2\n     - 1.05\n     - 1.00 – 1.10\n" in text
    assert "     - 2.00\n" in text  # twice as fast
    assert "A\\_note." in text
    assert "* not measured: 3.0.4 → 3.0.4: …/c \\*failed\\*" in text
    assert "smoke run" in report.page({}, QUICK, {})
