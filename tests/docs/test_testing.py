"""The blocks of the manual that are tests pass."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests import warm
from tests.docs.conftest import BLOCKS, Block
from tests.sampled import sampled

BY_PYTEST = [block for block in BLOCKS if block.needs == "pytest"]
PAGES = sorted({block.page for block in BY_PYTEST})
_FILE = re.compile(r"# (\w+\.py)\n")


def name_of(block: Block) -> str:
    named = _FILE.match(block.text)
    return named[1] if named else f"test_line_{block.line}.py"


@sampled("page", PAGES, keep=["docs/testing.rst"])
def test_the_tests_of_a_page_pass(page: str, tmp_path: Path, python_env: dict[str, str]) -> None:
    blocks = [block for block in BY_PYTEST if block.page == page]
    for block in blocks:
        (tmp_path / name_of(block)).write_text(block.text)
    plugin = ["-p", "pynetdicom.testing.plugin", "-p", "no:cacheprovider", "-W", "error"]
    done = warm.run(
        [sys.executable, "-m", "pytest", "-q", "--timeout", "120", *plugin, "."],
        cwd=tmp_path,
        env=python_env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ran = len([block for block in blocks if "def test_" in block.text])
    assert int(re.findall(r"(\d+) passed", done.stdout)[-1]) >= ran


def test_there_are_some() -> None:
    assert "docs/testing.rst" in PAGES
