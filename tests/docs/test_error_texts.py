"""Each text that the library has when something is wrong is on the page that explains them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import pynetdicom
from pynetdicom import AE, build_context
from pynetdicom.dsutils import split_dataset
from pynetdicom.errors import FileProblem, PDUDecodeError
from pynetdicom.upper_layer.ended import Ended
from pynetdicom.upper_layer.pdu import decode_pdu
from tests.conftest import ROOT, find_free_port

pytest.importorskip("sphinx", reason="the documentation is built with the docs extra")
sys.path.insert(0, str(ROOT / "docs" / "_ext"))
import pynetdicom_errors as errors

PAGE = errors.PAGE.read_text()


def test_every_text_has_a_cause() -> None:
    missing = [str(one) for one in errors.collected() if errors.pattern_for(one) is None]
    assert not missing, "\n".join(
        [
            "docs/error_texts.rst: below the cause of each of these, under its error-texts, add a",
            "line that fits it (* stands for anything), such as this one:",
            *(f"   {one.replace(errors.GAP, '*')}" for one in missing),
        ]
    )


def test_every_pattern_is_for_a_text() -> None:
    patterns = [pattern for cause in errors.causes() for pattern in cause]
    used = {errors.pattern_for(one) for one in errors.collected()}
    assert [one for one in patterns if one not in used] == []
    assert len({*patterns}) == len(patterns)


def test_the_page_lists_every_text_once_and_each_cause_is_explained() -> None:
    listed = []
    for rows in errors.causes():
        directive = object.__new__(errors.ErrorTexts)
        directive.content = rows  # type: ignore[assignment]  # what docutils has is a list, too
        listed += re.findall(r"^   \* - ``(.*)``$", directive.text(), re.MULTILINE)
    assert {*listed} == {one.text for one in errors.collected()}
    sections = re.split(r"\n\.\. _[\w-]+:\n\n", PAGE)[1:]
    assert len(sections) == len(errors.causes())
    for section in sections:
        prose, _, _ = section.partition(".. error-texts::")
        assert len(prose.split()) > 15, section


def test_there_are_no_more_patterns_than_one_can_keep() -> None:
    assert len(errors.collected()) > 600
    assert sum(map(len, errors.causes())) < len(errors.collected()) / 2


@pytest.mark.parametrize(
    ("module", "text"),
    [
        # where it stands itself, in a variable, a constant, an item of a table
        ("ae", "'port' must be int"),
        ("services/retrieval", "Invalid number of sub-operations"),
        ("ae_contexts", "an association has at most … presentation contexts"),
        ("upper_layer/ended", "calling AE title not recognised"),
        # a parameter of the function that raises it, of a method, of one that was handed over
        ("data_sets/element_walk", "its sequences nest deeper than …"),
        ("network/lobby", "the peer asks for TLS, which this port does not speak"),
        ("association/destinations", "The handler gave no destination"),
        # the value of a function; one of two; in the midst of another; of logging
        ("upper_layer/contexts", "no accepted presentation context for ……"),
        ("association/extended_negotiation", "the handler of … (…) gave … instead of …"),
        ("tls", "the certificate … has expired on …, … days ago"),
        # an Error Comment, and what a program says
        ("workflows/ups_rules", "not to be set"),
        ("apps/storescp", "…: cannot write there: …"),
    ],
)
def test_texts_are_found_wherever_they_are(module: str, text: str) -> None:
    assert errors.Text(module, text) in errors.collected()


def shown(message: str) -> list[errors.Text]:
    """The texts that a message begins with."""
    return [
        one
        for one in errors.collected()
        if re.match(".+".join(map(re.escape, one.text.split(errors.GAP))), message, re.DOTALL)
    ]


def nobody_listens() -> None:
    ended = AE().associate("127.0.0.1", find_free_port(), [build_context("1.2.3")]).ended
    assert ended is not None
    raise ValueError(str(ended))


def no_file() -> None:
    split_dataset(str(Path(__file__).parent))


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: AE("x" * 17),
        lambda: AE().add_requested_context("CTImageStorag"),
        lambda: AE().associate("127.0.0.1", 104),
        lambda: AE().start_server(("127.0.0.1", 0)),
        lambda: decode_pdu(b"\x09\x00\x00\x00\x00\x00"),
        lambda: pynetdicom.nothing,  # type: ignore[attr-defined]  # that is the mistake
        no_file,
        nobody_listens,
    ],
)
def test_what_a_user_sees_is_on_the_page(mistake: Callable[[], object]) -> None:
    with pytest.raises(
        (ValueError, TypeError, RuntimeError, AttributeError, FileProblem, PDUDecodeError)
    ) as raised:
        mistake()
    message = str(raised.value)
    assert shown(message) or any(shown(part) for part in message.split(": ")), message


def test_the_end_of_an_association_is_on_the_page() -> None:
    for source, reason in ((1, 3), (1, 7), (3, 2)):
        ended = Ended("rejected", "peer", source, reason, result=1)
        assert any(one.module == "upper_layer/ended" for one in shown(str(ended)))
        assert any(one.text == str(ended).split(": ")[1] for one in errors.collected())
