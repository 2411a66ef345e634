"""What type checkers say of scripts, of the examples, and of the blocks of the manual.

One process of a checker sees all of them, each as a module of its own in one directory.
"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.conftest import ROOT
from tests.docs.conftest import BLOCKS

HERE = Path(__file__).parent
RIGHT = sorted((HERE / "right").glob("*.py"))
WRONG = sorted((HERE / "wrong").glob("*.py"))
TUTORIALS = sorted((ROOT / "examples" / "tutorials").glob("*.py"))
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))

_OURS = re.compile(r'(import_module\("(pynetdicom3?[\w.]*)"\))')
# The manual uses after a loop what the loop has had last.
_OF_BLOCKS = """
# mypy: disable-error-code="ignore-without-code,unused-ignore"
# pyright: reportPossiblyUnboundVariable=false
"""
_UNTYPED = "# mypy: allow-untyped-defs\n"
_OF_OLD = ("docs/moving/from_0_9.rst", "docs/moving/from_1.rst")
"""Pages with scripts as they were written then: without annotations."""
_EXCUSED = {
    # what stands in a line of a block: why checkers complain of it
    "sop_class import OurRobot": "its name is registered at run time",
    "append(event.dataset) or 0x0000": "None is meant",
    "from sender import": "a module that the reader has",
    "scu_sop_class=": "version 0.9, of which type checkers know nothing",
    'associate("127.0.0.1", 11112, b"ANY-SCP")': "the same",
}
EACH = 20
"""Of so many examples and blocks one is checked in each run."""

_MARK = re.compile(r"# wrong(?:, says (\w+))?$", re.MULTILINE)


class Complaint(NamedTuple):
    """What a checker has to say."""

    module: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line}: {self.text}"


def name_of(path: Path) -> str:
    """A module's name that no other has."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[-1] if "tutorials" in parts else "_".join(parts)  # they import each other


def programs() -> Iterator[tuple[str, str]]:
    """All that is checked: names of modules, and their text."""
    for path in (*RIGHT, *WRONG, *EXAMPLES):
        yield name_of(path), path.read_text()
    yield "public_names", public_names()
    yield from blocks()


def public_names() -> str:
    """A program that imports each name of the public API."""
    with (ROOT / "tests" / "data" / "public_api.tsv").open() as file:
        rows = [(row["of"], row["name"]) for row in csv.DictReader(file, delimiter="\t")]
    modules = {f'import_module("{name}")': name for _, name in _OURS.findall(repr(rows))}
    modules |= {"pynetdicom": "pynetdicom", "evt": "pynetdicom.events"}
    names = {(modules[of], name) for of, name in rows if of in modules and name.isidentifier()}
    lines = (
        f"from {module} import {name} as n{n}" for n, (module, name) in enumerate(sorted(names))
    )
    return "\n".join(lines) + "\n"


def blocks() -> Iterator[tuple[str, str]]:
    """The Python blocks of the manual, each after those that it continues, at its line."""
    pages: dict[str, list[tuple[str, bool, str]]] = {}
    for block in BLOCKS:
        if block.language != "python":
            continue
        before = pages.setdefault(block.page, [])
        text, wanted = block.text, block.continues
        for earlier, continues, needs in reversed(before):
            if not wanted:
                break
            if not needs.startswith("serves"):
                text, wanted = earlier + text, continues
        before.append((block.text, block.continues, block.needs))
        page = re.sub(r"\W", "_", block.page.removesuffix(".rst"))
        allowed = _UNTYPED if block.page in _OF_OLD else ""
        yield f"{page}_{block.line}", f"{_excused(text)}{_OF_BLOCKS}{allowed}"


def _excused(text: str) -> str:
    return "".join(
        f"{line}  # type: ignore\n" if any(one in line for one in _EXCUSED) else f"{line}\n"
        for line in text.splitlines()
    )


def marked(checker: str) -> set[tuple[str, int]]:
    """The lines that a checker has to complain of: ``# wrong`` stands at their ends."""
    return {
        (name_of(path), number)
        for path in WRONG
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (found := _MARK.search(line)) and found[1] in (None, checker)
    }


def write(directory: Path, *, everything: bool) -> None:
    """Write all programs into a directory; or of the examples and blocks only some."""
    # The tutorials' programs import each other, and blocks import them.
    ours = {name_of(path) for path in (*RIGHT, *WRONG, *TUTORIALS)}
    others = 0
    for name, text in programs():
        others += name not in ours
        if everything or name in ours or others % EACH == 0:
            (directory / f"{name}.py").write_text(text)


def mypy(directory: Path) -> list[Complaint]:
    """What mypy says of what is in a directory."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(directory)]
    result = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert result.stderr == ""
    found = re.findall(r"^(\S+?)\.py:(\d+): error: (.*)$", result.stdout, re.MULTILINE)
    return [Complaint(Path(path).name, int(line), text) for path, line, text in found]


def pyright(directory: Path) -> list[Complaint]:
    """What pyright says of what is in a directory; OSError where it cannot be run."""
    (directory / "pyrightconfig.json").write_text('{"include": ["."], "pythonVersion": "3.11"}')
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    result = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": path, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    try:
        said = json.loads(result.stdout)["generalDiagnostics"]
    except (ValueError, KeyError) as error:
        raise OSError(f"pyright does not run: {result.stderr[-500:]}") from error
    return [
        Complaint(
            Path(one["file"]).stem,
            one["range"]["start"]["line"] + 1,
            one["message"].splitlines()[0],
        )
        for one in said
        if one["severity"] == "error"
    ]
