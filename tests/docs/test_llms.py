"""The index for language models has each page in its group, with its first sentence."""

from __future__ import annotations

import sys

import pytest

from tests.conftest import ROOT

pytest.importorskip("sphinx", reason="the documentation is built with the docs extra")
sys.path.insert(0, str(ROOT / "docs" / "_ext"))
import pynetdicom_llms as llms
from docutils import nodes
from docutils.core import publish_doctree
from sphinx import addnodes


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("One sentence. And another one.", "One sentence."),
        ("With ``code`` in it: and so on.", "With code in it: and so on."),
        ("Without an end", "Without an end"),
        ("Before a list:\n\n* one\n* two", "Before a list"),
        ("word " * 100, ("word " * 40).rstrip() + " …"),
        ("* a list\n* only", ""),
    ],
)
def test_a_page_has_its_first_sentence(text: str, sentence: str) -> None:
    page = f"Title\n=====\n\n{text}\n\nOther\n-----\n\nNot this.\n"
    settings = {"doctitle_xform": False}
    found = llms.first_sentence(publish_doctree(page, settings_overrides=settings))
    assert found == (sentence or "Not this.")


def test_pages_are_in_the_groups_of_the_manual_with_those_below_them() -> None:
    root = nodes.container()
    for caption, names in {"Start": ["start"], "Reference": ["reference/index"]}.items():
        root += addnodes.toctree(caption=caption, entries=[(None, name) for name in names])
    children = {"reference/index": ["reference/ae", "reference/errors"]}
    assert list(llms.groups(root, children)) == [
        ("Start", "start"),
        ("Reference", "reference/index"),
        ("Reference", "reference/ae"),
        ("Reference", "reference/errors"),
    ]


def test_the_index_is_markdown() -> None:
    pages = [
        llms.Page("Guide", "errors", "Errors", "Three things go wrong."),
        llms.Page("Guide", "tls", "TLS", ""),
        llms.Page("Moving", "moving/from_1", "From 1.x", "It works."),
    ]
    assert llms.index_text("name", "What it is.", pages).splitlines() == [
        "# name",
        "",
        "> What it is.",
        "",
        "## Guide",
        "",
        "- [Errors](errors.html): Three things go wrong.",
        "- [TLS](tls.html)",
        "",
        "## Moving",
        "",
        "- [From 1.x](moving/from_1.html): It works.",
    ]


def test_the_manual_is_in_nine_groups() -> None:
    """What the index is made of; no page is left out, which Sphinx would say."""
    page = (ROOT / "docs" / "index.rst").read_text()
    captions = [line.split(": ")[1] for line in page.splitlines() if ":caption:" in line]
    assert captions == [
        *("Start", "Tutorials", "Guide", "Services", "Moving", "Troubleshooting", "Programs"),
        *("Reference", "Inside"),
    ]
