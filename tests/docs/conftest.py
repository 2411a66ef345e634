"""Runs the manual's code blocks as programs, as comments in front of them ask for.

A comment is not shown to readers. It says what a block needs, and holds for the next one:

``.. test: scp``
    An SCP is there: verification, every storage class, and both roles for requestors.
``.. test: scp tls``
    It speaks TLS, and wants a certificate.
``.. test: serves echo``
    The block listens. It is asked by C-ECHO, then interrupted, and has to end with 0. Instead of
    ``echo``: ``store`` sends it an image, ``roles`` asks to be SCP, ``tls`` asks over TLS. Other
    words, such as ``find get``, are what it serves to blocks of the page that ask.
``.. test: asks find``
    The block asks, one after another, the listening blocks of the page that serve this, and prints
    something.
``.. test: continues``
    The block comes after those before it on the page, back to one that does not continue, but not
    after those that listen. What it needs itself may follow, as in ``continues, serves find``.
``.. test: complete``
    A block of TOML has all sections and keys of the archive's configuration.

``.. test: pytest``
    All such blocks of a page are run by pytest, by ``test_testing.py``; one that begins with a
    comment ``# name.py`` is the file that the others import.

The pages of `IN_ORDER` are run from top to bottom instead, as a reader would, by ``test_start.py``.

Ports 11112 and 11113 of a block become free ones. Blocks run in a directory with ``ct.dcm``,
``mr.dcm``, the directory ``images``, and certificates: ``ca.pem``, ``crl.pem``, ``scp.pem``,
``scp.key``, ``scu.pem`` and ``scu.key``.
"""

from __future__ import annotations

import re
import shutil
import ssl
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import ROOT
from tests.examples.certificates import revoke, write_certificates
from tests.examples.conftest import MANUAL_PORT, Scripts, pydicom_file, scripts

__all__ = ["scripts"]  # a fixture

DOCS = ROOT / "docs"
IN_ORDER = (
    "docs/start.rst",
    "docs/tutorials/ai_pipeline.rst",
    "docs/tutorials/cohort_pull.rst",
    "docs/tutorials/modality.rst",
    "docs/tutorials/router.rst",
)
PAGES = sorted(
    [
        *DOCS.rglob("*.rst"),
        *(ROOT / name for name in ("CONTRIBUTING.rst", "README.rst", "examples/README.rst")),
    ]
)
_BLOCK = re.compile(
    r"^(?P<indent> *)\.\. (?P<kind>code-block:: (?P<language>\w+)|test: (?P<needs>.*))$"
)


class Block(NamedTuple):
    """A code block of a page.

    Attributes
    ----------
    line : int
        Where its text begins.
    needs : str
        What the comment in front of it says it needs.
    continues : bool
        Whether it goes on where earlier blocks of the page have ended.
    """

    page: str
    line: int
    language: str
    needs: str
    continues: bool
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    """The code blocks of a page, in order."""
    lines = page.read_text().splitlines()
    needs, continues, number = "", False, 0
    while number < len(lines):
        found = _BLOCK.match(lines[number])
        number += 1
        if not found:
            continue
        if found["needs"] is not None:
            first, _, rest = found["needs"].partition(",")
            continues = first.strip() == "continues"
            needs = rest.strip() if continues else found["needs"].strip()
            continue
        content = []
        indent = found["indent"] + " "
        begin = number
        while number < len(lines) and (not lines[number] or lines[number].startswith(indent)):
            content.append(lines[number])
            number += 1
        text = textwrap.dedent("\n".join(content)).strip("\n") + "\n"
        name = page.relative_to(ROOT).as_posix()
        yield Block(name, begin + 2, found["language"], needs, continues, text)
        needs, continues = "", False


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What blocks find in their directory."""
    directory = tmp_path_factory.mktemp("material")
    write_certificates(directory, ("scp", "scu"))
    revoke(directory)
    (directory / "images" / "older").mkdir(parents=True)
    for name, copies in {
        "CT_small.dcm": ("ct.dcm", "images/ct.dcm"),
        "MR_small.dcm": ("mr.dcm", "images/mr.dcm"),
        "693_J2KI.dcm": ("images/older/compressed.dcm",),
    }.items():
        for copy in copies:
            shutil.copy(pydicom_file(name), directory / copy)
    return directory


@pytest.fixture
def place(material: Path, tmp_path: Path) -> Path:
    """A directory for a block, with the material in it."""
    directory = tmp_path / "place"
    shutil.copytree(material, directory)
    return directory


def server_context(directory: Path) -> ssl.SSLContext:
    """TLS for an SCP that wants a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "scp.pem", directory / "scp.key")
    context.load_verify_locations(directory / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(directory: Path) -> ssl.SSLContext:
    """TLS for an SCU that has a certificate."""
    context = ssl.create_default_context(cafile=str(directory / "ca.pem"))
    context.load_cert_chain(directory / "scu.pem", directory / "scu.key")
    return context


class Blocks:
    """Runs blocks as programs."""

    def __init__(self, runner: Scripts, place: Path) -> None:
        self._runner = runner
        self.place = place

    def write(self, block: Block, *ports: int) -> Path:
        """The block, and those it continues, as a script; with ports for those from 11112 on."""
        before = [
            other
            for other in BLOCKS
            if (other.page, other.language) == (block.page, "python") and other.line < block.line
        ]
        text, continues = block.text, block.continues
        while continues:
            other = before.pop()
            if not other.needs.startswith("serves"):
                text, continues = other.text + text, other.continues
        script = self.place / "block.py"
        for number, port in enumerate(ports, MANUAL_PORT):
            text = text.replace(str(number), str(port))
        script.write_text(text)
        return script
