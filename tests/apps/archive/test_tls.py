"""TLS that is set by half, or with files that are at fault: an error names the file and the key."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pynetdicom.apps.archive.config import Config, Peer, load
from pynetdicom.apps.configuring import ConfigError
from pynetdicom.apps.tls import security
from tests.apps.conftest import RunApp, run_app
from tests.sampled import sampled

__all__ = ["run_app"]  # a fixture


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tls")
    for name in ("scp", "other"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
             "/CN=localhost", "-keyout", f"{name}.key", "-out", f"{name}.pem"],
            cwd=place, check=True, capture_output=True,
        )  # fmt: skip
    subprocess.run(
        ["openssl", "rsa", "-aes128", "-passout", "pass:x", "-in", "scp.key", "-out", "locked.key"],
        cwd=place, check=True, capture_output=True,
    )  # fmt: skip
    both = [(place / name).read_text() for name in ("scp.pem", "scp.key")]
    (place / "both.pem").write_text("".join(both))
    (place / "junk").write_text("junk")
    (place / "empty").touch()
    return place


# What may be wrong with each is in test_tls.
WRONG = [
    (("junk", "scp.key", None), "certificate", "junk", "no certificates in PEM form"),
    (("scp.pem", "locked.key", None), "key", "locked.key", "the key is encrypted"),
    (("scp.pem", "scp.key", "missing"), "authorities", "missing", "No such file"),
]


def configured(files: Path, names: tuple[str | None, str | None, str | None]) -> Config:
    certificate, key, authorities = (None if one is None else str(files / one) for one in names)
    return Config(tls_certificate=certificate, tls_key=key, tls_authorities=authorities)


@pytest.mark.parametrize(("names", "key", "file", "why"), WRONG, ids=str)
@pytest.mark.parametrize("of_peers", [False, True])
def test_files_that_are_at_fault(
    files: Path, names: tuple[str, str, str], key: str, file: str, why: str, of_peers: bool
) -> None:
    config = configured(files, names)
    if of_peers:
        config.peers["X"] = Peer("X", "h", tls=True)  # type: ignore[index]  # a dict
    with pytest.raises(ConfigError) as caught:
        security(config, "q.toml")
    text = str(caught.value)
    assert text.startswith(f"q.toml: [tls] {key}: {files / file}: ")
    assert why in text


def test_files_that_are_in_order(files: Path) -> None:
    for names in (("scp.pem", "scp.key", "other.pem"), ("both.pem", None, None)):
        made = security(configured(files, names))
        assert made.server is not None
        assert made.destinations is None
    assert security(Config()) == (None, None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[tls]\nauthorities = 'ca.pem'", "[tls] authorities: needs a certificate too"),
        ("[tls]\nkey = 'k'", "[tls] key: needs a certificate too"),
        ("[tls]\n", "[tls]: needs a certificate"),
        ("[tls]\nplain_too = true", "[tls] plain_too: needs a certificate too"),
        ("[tls]\ncertificate='c'\ncrl = 'x'", "[tls] crl: needs authorities too"),
        ("[tls]\nclients = 'x'", "'x' is not one of require, verify, ignore"),
        ("[tls]\nprofile = 'x'", "'x' is not one of bcp195, bcp195-modified"),
        (
            "[tls]\ncertificate='c'\nclients='verify'",
            "[tls] clients: verify needs authorities that",
        ),
        ("[identity]\npasswords = 'u'", "[identity] passwords: needs TLS, or in_clear = true"),
        ("[[peer]]\nae_title='X'\ntls=true", "[[peer]] number 1 tls: needs an address too"),
        ("tls = 1", "tls: is a section, [tls], and no key"),
        ("[archive]\nport = [}\n", "line 2"),
        ("[archive]\nport = 1\nport = 2\n", "line 3"),
        ("[archive]\nport = " + "9" * 5000, "Exceeds the limit"),
        ("x = " + "[" * 5000, "nested"),
        ('[storage]\nlocation = "a\\u0000"', "[storage] location: "),
        ("[archive]\nport = '" + "x" * 5000 + "'", "… is not a whole number"),
    ],
    ids=lambda value: value[:30],
)
def test_what_is_set_by_half(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "q.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert why in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "q.toml"
    path.write_text("[archive]\nport = 5\n", encoding="utf-8-sig")
    assert load(str(path)).port == 5


@sampled(
    ("text", "why"),
    [
        ("[tls]\ncertificate = 'nothing.pem'", "[tls] certificate: "),
        ("[tls]\nauthorities = 'nothing.pem'", "[tls] authorities: needs a certificate too"),
        ("[identity]\npasswords = 'x'\nin_clear = true", "[identity] passwords: "),
        ("[worklist]\ndirectory = 'nothing'", "[worklist] directory: "),
        ("[worklist]\ndirectory = 'q.toml'", "[worklist] directory: "),
        ("[storage]\nlocation = 'q.toml'", "[storage] location: "),
        ("[storage]\nlocation = 'nothing://x'", "[storage] location: "),
        ("[database]\nlocation = 'q.toml'", "[database] location: "),
        ("[database]\nlocation = '/proc/nothing/x'", "[database] location: "),
    ],
    count=2,
)
@sampled("workers", [1, 2])
def test_the_archive_names_file_and_key(
    tmp_path: Path, run_app: RunApp, text: str, why: str, workers: int
) -> None:
    (tmp_path / "q.toml").write_text(text)
    ran = run_app("qrscp", "--config", "q.toml", "--port", "0", "--workers", workers)
    assert (ran.returncode, ran.stdout) == (1, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith(f"qrscp: q.toml: {why}")
    assert "cannot listen" not in line
