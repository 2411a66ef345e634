"""Our programs and DCMTK's, with the same options, by each profile: who gets through, who not."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pynetdicom.tls import PROFILES
from tests.apps.conftest import RunApp, ServeApp, run_app, serve_app
from tests.examples.certificates import write_certificates
from tests.interop.test_tls import has_tls

__all__ = ["has_tls", "run_app", "serve_app"]  # fixtures

OURS = {"bcp195": "--profile-8996", "bcp195-modified": "--profile-8996-modified"}
THEIRS = {"bcp195": "+py", "bcp195-modified": "+pz"}
"""What DCMTK 3.6.7 has that comes nearest: non-downgrading, and extended."""


class Case(NamedTuple):
    """What each side has."""

    server: str = "made/scp"
    server_trusts: str = "made"
    client: str | None = "made/scu"
    client_trusts: str = "made"
    old: bool = False
    """Whether DCMTK's side has a profile from before TLS 1.2 was required."""
    plain: str = ""
    """Which side has no TLS."""
    client_more: tuple[str, ...] = ()
    gets_through: tuple[bool, bool] = (False, False)
    """With our program as client, and with DCMTK's."""


CASES = {
    "right": Case(gets_through=(True, True)),
    "a client's certificate of a stranger": Case(client="stranger/scu"),
    "no client's certificate": Case(client=None),
    "a server's certificate of a stranger": Case(server="stranger/scp"),
    "which the client ignores": Case(
        server="stranger/scp", client_more=("-ic",), gets_through=(True, True)
    ),
    # DCMTK's tools do not look at the name.
    "a server's certificate for another host": Case(
        server="elsewhere/scp", client_trusts="elsewhere", gets_through=(False, True)
    ),
    "a server's certificate that has expired": Case(server="expired/scp", client_trusts="expired"),
    "no version or suite in common": Case(old=True),
    "a client without TLS": Case(plain="client"),
}
COMBINATIONS = list(itertools.product(CASES, PROFILES, (0, 1)))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates with RSA keys, for which DCMTK has suites in each of its profiles."""
    directory = tmp_path_factory.mktemp("certificates")
    kinds: dict[str, dict[str, Any]] = {
        "made": {}, "stranger": {}, "elsewhere": {"host": "pacs.example.org"},
        "expired": {"days": -2},
    }  # fmt: skip
    for name, options in kinds.items():
        (directory / name).mkdir()
        write_certificates(directory / name, rsa=2048, **options)
    return directory


def own(place: Path, case: Case, side: str) -> list[object]:
    """The options of one side."""
    if case.plain == side:
        return []
    name, trusts = (
        (case.server, case.server_trusts) if side == "server" else (case.client, case.client_trusts)
    )
    files = ["+tla"] if name is None else ["+tls", place / f"{name}.key", place / f"{name}.pem"]
    more = case.client_more if side == "client" else ()
    return [*files, "+cf", place / trusts / "ca.pem", *more]


@pytest.mark.parametrize(("name", "profile", "theirs"), COMBINATIONS)
def test_who_gets_through(
    place: Path,
    dcmtk: Any,
    run_app: RunApp,
    serve_app: ServeApp,
    name: str,
    profile: str,
    theirs: int,
) -> None:
    case = CASES[name]
    server, client = own(place, case, "server"), own(place, case, "client")
    of_dcmtk = "+pa" if case.old else THEIRS[profile]
    flags = [OURS[profile], of_dcmtk] if theirs else [of_dcmtk, OURS[profile]]
    server, client = (
        [*options, *([flag] if options else [])]
        for options, flag in zip((server, client), flags, strict=True)
    )
    if theirs:
        served: Any = serve_app("echoscp", *server)
        ran = dcmtk.run("echoscu", *client, "localhost", served.port)
    else:
        served = dcmtk.storescp(*server)
        ran = run_app("echoscu", *client, "localhost", served.port)
    assert (ran.returncode == 0) is case.gets_through[theirs], ran.stdout


def test_there_are_36() -> None:
    assert len(COMBINATIONS) == 36
