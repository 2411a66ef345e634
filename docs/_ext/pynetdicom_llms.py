"""Writes ``llms.txt``, an index of the pages for language models, and ``llms-full.txt``.

The index has each page with its first sentence, in the groups of the manual; the other file is all
of the manual as plain text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.text import TextTranslator

LOGGER = logging.getLogger(__name__)
LONGEST = 200
"""Characters that a page's line may have beside its title."""

NOT_IN_FULL = {"error_texts", "reference/sop_class"}
"""Long lists, of which a reader of all has no use."""


class Page(NamedTuple):
    """A page of the manual: its group, name, title, and what it begins with."""

    group: str
    name: str
    title: str
    sentence: str


def first_sentence(doctree: nodes.Node) -> str:
    """The first sentence of a page's first paragraph; of a page without one it is empty."""
    for paragraph in doctree.findall(nodes.paragraph):
        if not isinstance(paragraph.parent, nodes.section):
            continue
        text = " ".join(paragraph.astext().split())
        sentence = re.split(r"(?<=[.?])\s", text, maxsplit=1)[0].rstrip(":")
        if len(sentence) > LONGEST:
            sentence = sentence[:LONGEST].rsplit(" ", 1)[0] + " …"
        return sentence
    return ""


def groups(doctree: nodes.Node, children: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """The pages below a page's toctrees, and below those, with the caption that each is under."""

    def below(name: str) -> Iterator[str]:
        yield name
        for child in children.get(name, ()):
            yield from below(child)

    for toctree in doctree.findall(addnodes.toctree):
        for _, name in toctree["entries"]:
            for page in below(name):
                yield toctree["caption"] or "", page


def index_text(project: str, about: str, pages: list[Page]) -> str:
    """What ``llms.txt`` says."""
    lines = [f"# {project}", "", f"> {about}"]
    group = None
    for page in pages:
        if page.group != group:
            group = page.group
            lines += ["", f"## {group}", ""]
        line = f"- [{page.title}]({page.name}.html)"
        lines.append(f"{line}: {page.sentence}" if page.sentence else line)
    return "\n".join(lines) + "\n"


def write(app: Sphinx, exception: Exception | None) -> None:
    """Write both files when the manual has been built."""
    if exception is not None or app.builder.format != "html":
        return
    env = app.env
    root = env.get_doctree(env.config.root_doc)
    pages = [
        Page(group, name, env.titles[name].astext(), first_sentence(env.get_doctree(name)))
        for group, name in groups(root, env.toctree_includes)
    ]
    for page in pages:
        if not page.sentence and not page.name.startswith("reference/"):
            LOGGER.warning("%s: begins with no sentence for llms.txt", page.name)
    about = first_sentence(root)
    out = Path(app.outdir)
    (out / "llms.txt").write_text(index_text(app.config.project, about, pages), encoding="utf-8")
    texts = [as_text(app, page.name) for page in pages if page.name not in NOT_IN_FULL]
    (out / "llms-full.txt").write_text("\n\n".join(texts), encoding="utf-8")


def as_text(app: Sphinx, name: str) -> str:
    """A page as plain text."""
    doctree = app.env.get_and_resolve_doctree(name, app.builder)
    for raw in [*doctree.findall(nodes.raw)]:
        raw.parent.remove(raw)
    translator = TextTranslator(doctree, app.builder)  # type: ignore[arg-type]  # needs no other
    doctree.walkabout(translator)
    return translator.body


def setup(app: Sphinx) -> dict[str, Any]:
    """Have the files written."""
    app.connect("build-finished", write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
