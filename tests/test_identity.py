"""Users who identify themselves by name and passcode: the file, and who is let in."""

from __future__ import annotations

import hashlib
import logging
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pynetdicom import AE, evt
from pynetdicom.identity import PasswordFile
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import Verification
from tests.faults import tls

LOCAL = "127.0.0.1"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = PasswordFile(tmp_path / "users")
    file.set("alice", "correct horse")
    file.set("bob:the-builder", "Grüße")
    return tmp_path / "users"


# The file


@pytest.mark.parametrize(
    ("name", "passcode", "fits"),
    [
        ("alice", "correct horse", True), ("alice", "Correct horse", False), ("alice", "", False),
        ("bob:the-builder", "Grüße", True), ("bob", "Grüße", False), ("", "", False),
        (b"alice", b"correct horse", True), (b"\xff", b"\xff", False), ("carol", "x", False),
    ],
)  # fmt: skip
def test_who_is_who(path: Path, name: Any, passcode: Any, fits: bool) -> None:
    assert PasswordFile(path).check(name, passcode) is fits


def test_no_passcode_is_in_the_file(path: Path) -> None:
    text = path.read_text()
    assert "horse" not in text
    assert [line.split(":scrypt$32768$8$1$")[0] for line in text.splitlines()] == [
        "alice", "bob:the-builder",
    ]  # fmt: skip
    PasswordFile(path).set("alice", "correct horse")
    assert path.read_text() != text  # another salt


def test_unknown_users_cost_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []
    scrypt = hashlib.scrypt

    def noted(passcode: bytes, **options: Any) -> bytes:
        calls.append({**options, "salt": len(options["salt"])})
        return scrypt(passcode, **options)

    monkeypatch.setattr(hashlib, "scrypt", noted)
    for name, passcode in (("alice", "x"), ("nobody", "x"), ("alice", "correct horse")):
        calls.clear()
        PasswordFile(path).check(name, passcode)
        assert calls == [
            {"salt": 16, "n": 32768, "r": 8, "p": 1, "maxmem": 256 * 32768 * 8, "dklen": 32}
        ]


def test_few_passcodes_are_looked_at_at_a_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask: each takes memory."""
    inside, most, counting = 0, 0, threading.Lock()
    all_in = threading.Barrier(4)

    def slow(passcode: bytes, **options: Any) -> bytes:
        nonlocal inside, most
        with counting:
            inside += 1
            most = max(most, inside)
        all_in.wait(300)  # four at a time get here
        with counting:
            inside -= 1
        return bytes(32)

    monkeypatch.setattr(hashlib, "scrypt", slow)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: PasswordFile(path).check("alice", "x"), range(16)))
    assert answers == [False] * 16
    assert most == 4


def test_it_is_read_again_when_it_has_changed(path: Path) -> None:
    users = PasswordFile(path)
    assert users.check("alice", "correct horse")
    PasswordFile(path).set("alice", "another")
    assert users.check("alice", "another")
    assert not users.check("alice", "correct horse")
    PasswordFile(path).set("alice", None)
    assert not users.check("alice", "another")
    assert users.check("bob:the-builder", "Grüße")
    with pytest.raises(KeyError):
        users.set("alice", None)


def test_lines_that_are_at_fault(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = path.read_text().splitlines()
    hashed = good[0].partition(":")[2]
    lines = [
        "# a comment: of the site", "", "alice", "alice:", "alice:secret", f"alice:x{hashed}",
        "alice:scrypt$32768$8$1$x$y", f"alice:{hashed}$", f"alice:{hashed[:-4]}",
        "alice:" + hashed.replace("$32768$", "$32769$"), "alice:" + hashed.replace("$8$", "$99$"),
        "alice:ü", good[1],
    ]  # fmt: skip
    path.write_text("\n".join(lines))
    users = PasswordFile(path)
    assert list(users.users()) == [b"bob:the-builder"]
    assert [one.getMessage() for one in caplog.records] == [
        f"{path}: line {number} is not that of a user" for number in range(3, 13)
    ]
    users.set("alice", "new")
    assert path.read_text().splitlines()[:2] == lines[:2]
    assert users.check("alice", "new")


def test_a_file_that_cannot_be_read(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    users = PasswordFile(path)
    path.unlink()
    assert not users.check("alice", "correct horse")
    (one,) = caplog.records
    assert one.getMessage() == f"{path}: no user can be looked up: No such file or directory"
    with pytest.raises(FileNotFoundError):
        PasswordFile(path / "x" / "y").set("alice", "x")


def test_what_cannot_be_set(path: Path) -> None:
    before = path.read_text()
    for name, passcode in (("", "x"), ("a\nb", "x"), ("#a", "x"), ("alice", "")):
        with pytest.raises(ValueError):
            PasswordFile(path).set(name, passcode)
    assert path.read_text() == before


def test_it_is_its_owners_alone(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    PasswordFile(path).set("carol", "x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(path.parent.iterdir()) == [path]


# On an association


@pytest.fixture
def serve() -> Iterator[Callable[..., int]]:
    """``serve(handler)`` gives the port of an SCP that requires a user identity."""
    entities: list[AE] = []

    def start(handler: Any, **options: Any) -> int:
        scp = AE("SCP")
        entities.append(scp)
        scp.add_supported_context(Verification)
        scp.require_user_identity = True
        handlers = [(evt.EVT_USER_ID, handler)] if handler is not None else []
        server = scp.start_server((LOCAL, 0), block=False, evt_handlers=handlers, **options)
        assert server is not None
        return int(server.server_address[1])

    yield start
    for one in entities:
        one.shutdown()


def associate(port: int, *, tls: Any = None, **identity: Any) -> Any:
    scu = AE("SCU")
    scu.acse_timeout = scu.connection_timeout = 60
    scu.add_requested_context(Verification)
    items = [UserIdentityNegotiation(**identity)] if identity else []
    return scu.associate(LOCAL, port, ext_neg=items, tls=tls)


ALICE = {
    "user_identity_type": 2,
    "primary_field": b"alice",
    "secondary_field": b"correct horse",
}


@pytest.mark.parametrize("in_clear", [False, True])
@pytest.mark.parametrize("with_tls", [False, True])
@pytest.mark.parametrize("passcode", [b"correct horse", b"battery"])
def test_who_is_let_in(
    path: Path, serve: Any, caplog: Any, in_clear: bool, with_tls: bool, passcode: bytes
) -> None:
    ours, theirs = tls.contexts() if with_tls else (None, None)
    caplog.set_level(logging.INFO, "pynetdicom.acse")
    port = serve(PasswordFile(path, in_clear=in_clear), tls=ours)
    assoc = associate(port, tls=theirs, **{**ALICE, "secondary_field": passcode})
    is_let_in = passcode == b"correct horse" and (in_clear or with_tls)
    assert assoc.is_established is is_let_in
    assert is_let_in or assoc.is_rejected
    assoc.release() if is_let_in else None
    why = "there is no such user, or the passcode is wrong"
    if not (in_clear or with_tls):
        why = "the passcode was sent without TLS"
    expected = f"the user of SCU at {LOCAL} is not let in: {why}"
    if is_let_in:
        expected = f"the user of SCU at {LOCAL} is alice"
    assert expected in [one.getMessage() for one in caplog.records]
    assert passcode.decode() not in caplog.text


@pytest.mark.parametrize("kind", [1, 3, 4, 5])
def test_other_types_are_not_let_in(path: Path, serve: Any, kind: int) -> None:
    port = serve(PasswordFile(path, in_clear=True))
    assert associate(port, user_identity_type=kind, primary_field=b"alice").is_rejected
    assert associate(port).is_rejected


@pytest.mark.parametrize("asked", [False, True])
def test_the_positive_response(path: Path, serve: Any, asked: bool) -> None:
    port = serve(PasswordFile(path, in_clear=True))
    assoc = associate(port, **ALICE, positive_response_requested=asked)
    answer = assoc.acceptor.user_identity
    assert (answer is not None) is asked
    assert answer is None or answer.server_response == b""
    assoc.release()


def test_the_servers_response(serve: Any) -> None:
    """Of a ticket, an assertion, or a token, as a handler gives it."""
    port = serve(lambda event: (event.user_id_type == 5, b"token " + event.primary_field))
    token = {"user_identity_type": 5, "primary_field": b"abc"}
    assoc = associate(port, **token, positive_response_requested=True)
    assert assoc.acceptor.user_identity.server_response == b"token abc"
    assoc.release()
    assert associate(port, **ALICE).is_rejected


def test_as_a_callback(path: Path, serve: Any) -> None:
    users = PasswordFile(path)

    class Scp(AE):
        def on_user_identity(self, kind: int, name: bytes, passcode: bytes, info: Any) -> Any:
            return kind == 2 and users.check(name, passcode), None

    with Scp() as scp:
        scp.add_supported_context(Verification)
        server = scp.start_server((LOCAL, 0), block=False)
        assert server is not None
        port = server.server_address[1]
        assoc = associate(port, **ALICE)
        assert assoc.is_established
        assoc.release()
        assert associate(port, **{**ALICE, "secondary_field": b"x"}).is_rejected
