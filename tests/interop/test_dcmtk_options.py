"""What the manual says of DCMTK's options is about all that its programs have, and no others."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.conftest import ROOT

OPTION = re.compile(r"^ {2,4}(?P<short>[-+]\S+)? +(?P<long>--[\w-]+)", re.MULTILINE)
ROWS = [line.split("\t") for line in (ROOT / "docs/data/dcmtk.tsv").read_text().splitlines()[1:]]
PROGRAMS = sorted({name for row in ROWS for name in row[0].split()} - {"*"})


def options_of(program: str) -> set[str]:
    """Those that a program lists itself, by both of their names."""
    assert shutil.which(program), f"{program} is not installed"
    ran = subprocess.run(
        [program, "--help"], capture_output=True, text=True, timeout=60, check=False
    )
    found = OPTION.findall(ran.stdout)
    assert len(found) > 10
    return {"/".join(filter(None, names)) for names in found}


@pytest.mark.parametrize("program", PROGRAMS)
def test_all_options_are_in_the_table_and_no_others(program: str) -> None:
    listed = {
        option
        for row in ROWS
        if row[0] == "*" or program in row[0].split()
        for option in row[1].split()
    }
    assert listed == options_of(program)


def test_termscu_has_one_purpose() -> None:
    """It has no counterpart: what it would stop has no such back door."""
    own = {"-aet/--aetitle", "-aec/--call", "-pdu/--max-pdu"}
    assert own <= options_of("termscu")
