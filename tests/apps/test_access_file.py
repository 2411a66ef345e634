"""``--access`` of the servers that have no configuration: a file of rules and limits."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from pynetdicom import AE, build_context
from pynetdicom.access import Limits
from pynetdicom.apps import security
from pynetdicom.apps.access import load
from pynetdicom.apps.options import Failure
from pynetdicom.apps.storescp import make_parser
from pynetdicom.sop_class import CTImageStorage, Verification
from tests.examples.certificates import write_certificates

RULES = """
[[access]]
name = "rooms"
calling = ["CT*"]
networks = ["loopback"]
may = ["store"]
maximum_associations = 1
"""


def parse(*arguments: object) -> Namespace:
    return make_parser().parse_args(["104", *map(str, arguments)])


@pytest.mark.parametrize("app", ["storescp", "echoscp"])
def test_who_comes_under_a_rule(serve_app: Any, tmp_path: Path, app: str) -> None:
    path = tmp_path / "access.toml"
    role = {"storescp": "store", "echoscp": "echo"}[app]
    path.write_text(RULES.replace('"store"', f'"{role}"'))
    scp = serve_app(app, "--access", path)
    contexts = [build_context(Verification), build_context(CTImageStorage)]
    with AE("CT_2").associate("127.0.0.1", scp.port, contexts) as assoc:
        allowed = CTImageStorage if app == "storescp" else Verification
        assert [one.abstract_syntax for one in assoc.accepted_contexts] == [allowed]
        another = AE("CT_3").associate("127.0.0.1", scp.port, contexts)
        assert another.ended is not None
        assert (another.ended.kind, another.ended.reason) == ("rejected", 2)
    stranger = AE("STRANGER").associate("127.0.0.1", scp.port, contexts)
    assert stranger.ended is not None
    assert (stranger.ended.kind, stranger.ended.reason) == ("rejected", 3)
    assert "no access rule is for that calling AE title" in scp.errors()


def test_limits(tmp_path: Path) -> None:
    path = tmp_path / "access.toml"
    path.write_text("[limits]\nmaximum_object_bytes = 9\nmaximum_unassociated = 7\n" + RULES)
    rules = load(str(path), "")
    assert rules.limits == Limits(object_bytes=9)
    assert (rules.unassociated, rules.unassociated_per_address) == (7, None)
    assert rules.rules[0].limits == Limits(associations=1)
    assert not rules.otherwise


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "[[access]]: is missing"),
        ("[archive]\n", "[archive]: there is no such section; there are limits and [[access]]"),
        ('[[peer]]\nae_title = "A"\n', "[peer]: there is no such section; there are limits and"),
        ("[limits]\nmax_pdu = -1\n", "[limits] max_pdu: -1 is not a whole number from 0"),
        ('[[access]]\nname = "a"\n', "number 1: may is missing: a list of some of echo, store"),
        (f'{RULES}certificate = ["CN=*"]\n', "certificate: needs --tls-authorities"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "access.toml"
    path.write_text(text)
    with pytest.raises(Failure) as caught:
        security.of_listener(parse("--access", path), AE())
    assert str(caught.value).startswith(f"{path}: ")
    assert why in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"no\.toml: No such file"):
        security.of_listener(parse("--access", tmp_path / "no.toml"), AE())


def test_certificates_are_looked_at_where_they_are_verified(tmp_path: Path) -> None:
    write_certificates(tmp_path)
    path = tmp_path / "access.toml"
    path.write_text(f'{RULES}certificate = ["CN=*"]\n')
    tls = ["+tls", tmp_path / "scp.key", tmp_path / "scp.pem", "+cf", tmp_path / "ca.pem"]
    made = security.of_listener(parse("--access", path, *tls), AE())
    assert made["access"].rules[0].certificate == ("CN=*",)
    with pytest.raises(Failure, match="no --ignore-peer-cert"):
        security.of_listener(parse("--access", path, *tls, "-ic"), AE())
