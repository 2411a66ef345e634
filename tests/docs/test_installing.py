"""Nobody is told to install what the Python Package Index has under this library's name."""

from __future__ import annotations

import re

from tests.conftest import ROOT

PLACES = ("README.rst", "docs/**/*.rst", "examples/**/*", "pynetdicom*/**/*.py")
# A command, with what it installs: our own name, without a URL that says where it is.
COMMAND = re.compile(r"""pip install [^\n`]*(?<![\w/.-])pynetdicom(?![\w/.-])(?!\[\w*\] @)""")
SAID = "Not by ``pip install pynetdicom``: under that name"


def test_nobody_is_told_to_install_another_project() -> None:
    found = [
        (path.name, line)
        for place in PLACES
        for path in ROOT.glob(place)
        if path.suffix in (".rst", ".py") and "_build" not in path.parts
        for line in path.read_text().splitlines()
        if COMMAND.search(line) and SAID not in line
    ]
    assert found == []


def test_such_a_command_would_be_found() -> None:
    for wrong in (
        "pip install pynetdicom",
        'pip install "pynetdicom[apps]"',
        "pip install -U pynetdicom",
    ):
        assert COMMAND.search(wrong)
    for right in (
        "pip install .",
        'pip install "pynetdicom[apps] @ git+https://x.org/pynetdicom.git"',
    ):
        assert not COMMAND.search(right)


def test_it_is_said_how_to_install_it() -> None:
    for page in ("README.rst", "docs/index.rst"):
        text = (ROOT / page).read_text()
        for said in ("pip install .", "pip install dist/*.whl", "@ git+https://", SAID):
            assert said in text, (page, said)
