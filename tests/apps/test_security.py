"""TLS and user identity of the programs, as client and as listener."""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import stat
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pynetdicom import AE, evt
from pynetdicom.apps import security, tls_test_ca
from pynetdicom.apps.archive import extras
from pynetdicom.apps.options import Failure, Misuse
from pynetdicom.identity import PasswordFile
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.tls import client_context
from tests import warm
from tests.apps.conftest import CT, MR, RunApp, ServeApp, Served, run_app, serve_app
from tests.apps.test_draining import Start, start
from tests.faults.peer import until
from tests.peers import DEADLINE, VERIFICATION
from tests.sampled import sampled

__all__ = ["run_app", "serve_app", "start"]  # fixtures

CLIENTS = {
    "echoscu": [], "storescu": ["file"], "findscu": ["-k", "PatientID"],
    "getscu": ["-k", "PatientID"], "movescu": ["-k", "PatientID"], "mppsscu": ["begin"],
    "stgcmtscu": ["file"], "ianscu": ["-aer", "X", "file"], "upsscu": ["find"],
}  # fmt: skip
LISTENERS = ("echoscp", "storescp")
LOCAL = "127.0.0.1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What tls-test-ca makes, and in `other` what it makes another time."""
    place = tmp_path_factory.mktemp("made")
    assert tls_test_ca.main([str(place)]) == 0
    assert tls_test_ca.main([str(place / "other")]) == 0
    PasswordFile(place / "users").set("alice", "secret")
    (place / "passcode").write_text("secret\nmore\n")
    (place / "wrong").write_text("another")
    (place / "empty").touch()
    return place


def own(place: Path, name: str, authorities: Path | None = None) -> list[object]:
    certificate = [place / f"{name}.key", place / f"{name}.pem"]
    return ["+tls", *certificate, "+cf", (authorities or place) / "ca.pem"]


def parse(app: str, *arguments: object) -> Namespace:
    parser = import_module(f"pynetdicom.apps.{app}").make_parser()
    positional = [LOCAL, "104", *CLIENTS[app]] if app in CLIENTS else ["104"]
    args = parser.parse_args([*positional, *map(str, arguments)])
    assert isinstance(args, Namespace)
    return args


# The command line


@pytest.mark.parametrize("app", [*CLIENTS, *LISTENERS])
def test_every_app_has_the_options(made: Path, app: str) -> None:
    key, certificate, ca = (str(made / name) for name in ("client.key", "client.pem", "ca.pem"))
    for arguments in (
        ["+tls", key, certificate, "+cf", ca, "+cd", str(made)],
        ["--enable-tls", key, certificate, "--add-cert-file", ca, "--add-cert-dir", str(made)],
        ["--tls-key", key, "--tls-certificate", certificate, "--tls-authorities", ca, "+cd", made],
    ):
        args = parse(app, *arguments, "--profile-8996-modified")
        make: Any = security.client_tls if app in CLIENTS else security.server_tls
        context = make(args)
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.expires is not None
        assert "ECDHE-RSA-CHACHA20-POLY1305" in {one["name"] for one in context.get_ciphers()}
        assert (args.tls_key, args.tls_certificate) == (key, certificate)
        assert args.tls_authorities == [ca, str(made)]
        assert make(parse(app, *arguments, "-tls")) is None
        assert make(parse(app)) is None


def test_the_checks_of_a_client(made: Path) -> None:
    for arguments, mode, name in (
        (["--tls"], ssl.CERT_REQUIRED, True),
        (["+tla", "-rc"], ssl.CERT_REQUIRED, True),
        (["--anonymous-tls", "--tls-any-host"], ssl.CERT_REQUIRED, False),
        (["--tls", "-ic"], ssl.CERT_NONE, False),
    ):
        context = security.client_tls(parse("echoscu", *arguments))
        assert context is not None
        assert (context.verify_mode, context.check_hostname) == (mode, name)
    for arguments, host in ((["--tls"], LOCAL), (["--tls", "--tls-host", "pacs"], "pacs")):
        assert security.of_client(parse("echoscu", *arguments))["tls_args"][1] == host


@pytest.mark.parametrize(
    ("more", "mode"),
    [
        (["+cf", "ca.pem"], ssl.CERT_REQUIRED), (["+cf", "ca.pem", "-rc"], ssl.CERT_REQUIRED),
        (["+cf", "ca.pem", "-vc"], ssl.CERT_OPTIONAL), (["+cf", "ca.pem", "-ic"], ssl.CERT_NONE),
        ([], ssl.CERT_NONE), (["-ic"], ssl.CERT_NONE),
    ],
)  # fmt: skip
def test_the_checks_of_a_listener(made: Path, more: list[str], mode: int) -> None:
    more = [str(made / one) if one == "ca.pem" else one for one in more]
    args = parse("echoscp", "+tls", made / "server.key", made / "server.pem", *more)
    context = security.server_tls(args)
    assert context is not None
    assert context.verify_mode == mode


MISUSES = [
    ("echoscu", ["+cf", "ca.pem"], "--tls-authorities needs +tls or --tls: without it there is no"),
    ("echoscu", ["+cd", "."], "--tls-authorities needs +tls or --tls"),
    ("echoscu", ["+crl", "x"], "--tls-crl needs +tls or --tls"),
    ("echoscu", ["-ic"], "--ignore-peer-cert needs +tls or --tls"),
    ("echoscu", ["-rc"], "--require-peer-cert needs"),
    ("echoscu", ["--tls-key", "x"], "--tls-key needs"),
    ("echoscu", ["--tls", "--tls-key", "x"], "--tls-key needs --tls-certificate"),
    ("echoscu", ["--tls-host", "x"], "--tls-host needs"),
    ("echoscu", ["--tls-any-host"], "--tls-any-host needs"),
    ("echoscu", ["--profile-8996"], "--profile-8996 needs"),
    ("echoscu", ["--profile-8996-modified"], "--profile-8996-modified needs"),
    ("echoscu", ["--password-file", "passcode"], "--password-file needs --user"),
    ("echoscu", ["-rsp"], "--pos-response needs --user"),
    ("echoscu", ["--user", "a", "--password-file", "passcode"], "a passcode is sent over TLS only"),
    ("echoscp", ["-vc"], "--verify-peer-cert needs +tls: without it there is no TLS"),
    ("echoscp", ["--tls-plain-too"], "--tls-plain-too needs +tls"),
    ("echoscp", ["+tls", "server.key", "server.pem", "-rc"], "takes --tls-authorities"),
    ("echoscp", ["+tls", "server.key", "server.pem", "-vc"], "takes --tls-authorities"),
    (
        "echoscp",
        ["--passwords", "users"],
        "--passwords takes TLS, unless there is",
    ),
]
FAILURES = [
    ("echoscu", ["+tls", "x", "client.pem"], "--tls-key {}/x: No such file"),
    ("echoscu", ["+tls", "client.key", "x"], "--tls-certificate {}/x: No such file"),
    ("echoscu", ["+tls", "server.key", "client.pem"], "--tls-key {}/server.key: not the key of"),
    ("echoscu", ["--tls", "+cf", "users"], "--tls-authorities {}/users: no certificates in PEM"),
    ("echoscu", ["--user", "a", "--password-file", "x", "--password-in-clear"], "-file {}/x: No"),
    ("echoscu", ["--user", "a", "--password-file", "empty", "--password-in-clear"], "no passcode"),
    ("echoscu", ["--tls", "+cf", "ca.pem", "+crl", "x"], "--tls-crl {}/x: No such file"),
    ("echoscp", ["+tls", "x", "server.pem"], "--tls-key {}/x: No such file"),
    ("echoscp", ["--passwords", "x", "--password-in-clear"], "--passwords {}/x: No such file"),
]


@pytest.mark.parametrize(("app", "arguments", "why"), MISUSES + FAILURES, ids=str)
def test_what_does_not_go_together(made: Path, app: str, arguments: list[str], why: str) -> None:
    names = {one for one in arguments if (made / one).exists() or one == "x"}
    args = parse(app, *(made / one if one in names else one for one in arguments))
    made_by = partial(security.of_listener, ae=AE()) if app in LISTENERS else security.of_client
    with pytest.raises(Failure) as caught:
        made_by(args)
    assert why.format(made) in str(caught.value)
    is_misuse = (app, arguments, why) in MISUSES
    assert isinstance(caught.value, Misuse) is is_misuse
    assert caught.value.code == (2 if is_misuse else 1)


def test_a_listener_of_an_app_that_asks(made: Path) -> None:
    args = parse("movescu", *own(made, "client"))
    context = security.server_tls(args)
    assert context is not None
    assert context.verify_mode == ssl.CERT_REQUIRED
    with pytest.raises(Misuse, match="to listen with TLS takes --tls-certificate"):
        security.server_tls(parse("stgcmtscu", "--tls"))


# Programs


def test_echo_and_store(made: Path, run_app: RunApp, serve_app: ServeApp) -> None:
    served = serve_app("storescp", *own(made, "server"), "-v")
    client = own(made, "client")
    assert run_app("echoscu", "localhost", served.port, *client).returncode == 0
    sent = ["--associations", 2, CT, MR]
    assert run_app("storescu", LOCAL, served.port, *client, *sent).returncode == 0
    assert len(served.files()) == 2
    for arguments, why in (
        ([], "expect TLS?"),
        (["--tls", "+cf", made / "ca.pem"], "certificate"),  # it has none of its own
        (own(made / "other", "client", made), "authority of our certificate"),
        (own(made, "client", made / "other"), "the peer's certificate is not accepted"),
        ([*client, "--tls-host", "elsewhere"], "Hostname mismatch"),
    ):
        ran = run_app("echoscu", "localhost", served.port, *arguments)
        assert (ran.returncode, why in ran.stderr) == (1, True), ran.stderr
    lenient = [*own(made, "client", made / "other"), "-ic", "--tls-host", "elsewhere"]
    assert run_app("echoscu", "localhost", served.port, *lenient).returncode == 0


def test_one_port_for_both(made: Path, run_app: RunApp, serve_app: ServeApp) -> None:
    served = serve_app("echoscp", *own(made, "server"), "--tls-plain-too")
    for arguments in ([], own(made, "client")):
        assert run_app("echoscu", LOCAL, served.port, *arguments).returncode == 0


def test_users(made: Path, run_app: RunApp, serve_app: ServeApp) -> None:
    server = ["+tls", made / "server.key", made / "server.pem"]
    served = serve_app("echoscp", *server, "--passwords", made / "users")
    tls = ["--tls", "+cf", made / "ca.pem"]
    alice = ["--user", "alice", "--password-file"]
    for arguments, code in (
        ([*alice, made / "passcode"], 0), ([*alice, made / "passcode", "-rsp"], 0),
        ([*alice, made / "wrong"], 1), (["--user", "alice"], 1), ([], 1),
        (["-usr", "bob", "--password-file", made / "passcode"], 1),
    ):  # fmt: skip
        ran = run_app("echoscu", LOCAL, served.port, *tls, *arguments)
        assert ran.returncode == code, ran.stderr
        assert code == 0 or "rejected permanently" in ran.stderr


def test_users_in_clear(made: Path, run_app: RunApp, serve_app: ServeApp) -> None:
    served = serve_app("storescp", "--passwords", made / "users", "--password-in-clear")
    alice = ["--user", "alice", "--password-file", made / "passcode"]
    address = (LOCAL, served.port)
    assert run_app("storescu", *address, *alice, CT).returncode == 2
    assert run_app("storescu", *address, *alice, "--password-in-clear", CT).returncode == 0


def test_a_peer_that_does_not_answer(made: Path, run_app: RunApp, serve_app: ServeApp) -> None:
    served = serve_app("echoscp")
    address = (LOCAL, served.port)
    assert run_app("echoscu", *address, "--user", "alice").returncode == 0
    ran = run_app("echoscu", *address, "--user", "alice", "-rsp")
    assert ran.returncode == 1
    assert "does not say that the user is accepted" in ran.stderr


def test_users_are_told_beside_other_negotiation(made: Path, run_app: RunApp) -> None:
    """What an app negotiates itself goes with it."""
    heard: list[Any] = []
    scp = AE()
    from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as Model

    scp.add_supported_context(Model)
    handlers = [
        (evt.EVT_REQUESTED, lambda event: heard.append(event.assoc.requestor)),
        (evt.EVT_C_GET, lambda event: iter([0])),
    ]
    server = scp.start_server((LOCAL, 0), block=False, evt_handlers=handlers)
    assert server is not None
    with scp:
        port = server.server_address[1]
        run_app("getscu", LOCAL, port, "--user", "alice", "-k", "PatientID=1", "-S")
    (requestor,) = heard
    assert isinstance(requestor.user_identity, UserIdentityNegotiation)
    assert requestor.user_identity.primary_field == b"alice"
    assert requestor.role_selection


@pytest.fixture
def archive(python_env: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """``archive(app, option, …)`` starts a server that may have a configuration."""
    started: list[Served] = []

    def start(app: str, *options: object) -> Served:
        place = tmp_path / "archive"
        place.mkdir()
        command = [sys.executable, "-m", "pynetdicom", app, "--port", "0", "-ba", LOCAL]
        started.append(Served([*command, *map(str, options)], python_env, place))
        return started[0]

    yield start
    for served in started:
        assert served.stop() == 0, served.errors()


@sampled("server", [["qrscp", "--workers", 1], ["qrscp", "--workers", 2], ["workflowscp"]], count=2)
def test_servers_with_a_configuration(
    made: Path, run_app: RunApp, archive: Callable[..., Served], server: list[object]
) -> None:
    users = ["--passwords", made / "users"]
    for arguments, why in (
        (users, "[identity] passwords: needs TLS, or in_clear = true"),
        (["+cf", made / "ca.pem"], "[tls] authorities: needs a certificate too"),
        ([*own(made, "server"), "--passwords", made / "x"], "[identity] passwords: "),
        (own(made / "x", "server"), "[tls] certificate: "),
    ):
        ran = run_app(*server, "--port", 0, *arguments)
        assert (ran.returncode, ran.stderr.count("\n")) == (1, 1), ran.stderr
        assert f"{server[0]}: command line: {why}" in ran.stderr
    served = archive(*server, *own(made, "server"), "-vc", *users)
    alice = ["--user", "alice", "--password-file", made / "passcode"]
    trusting = ["--tls", "+cf", made / "ca.pem"]
    for arguments, code in (
        ([*own(made, "client"), *alice], 0), ([*trusting, *alice], 0), (trusting, 1),
        ([*own(made / "other", "client", made), *alice], 1), (alice[:2], 1),
    ):  # fmt: skip
        ran = run_app("echoscu", LOCAL, served.port, *arguments)
        assert ran.returncode == code, ran.stderr


# passwd


def passwd(*arguments: object, given: str = "", env: dict[str, str]) -> Any:
    return warm.run(
        [sys.executable, "-m", "pynetdicom", "passwd", *map(str, arguments)],
        input=given, capture_output=True, text=True, env=env, check=False, timeout=300,
    )  # fmt: skip


def test_passwd(tmp_path: Path, python_env: dict[str, str]) -> None:
    path = tmp_path / "users"
    users = PasswordFile(path)
    assert passwd(path, "alice", given="one\n", env=python_env).returncode == 0
    assert passwd(path, "bob", given="two", env=python_env).returncode == 0
    assert users.check("alice", "one")
    assert users.check("bob", "two")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert passwd(path, "bob", "--delete", env=python_env).returncode == 0
    assert list(users.users()) == [b"alice"]
    for arguments, given, code, why in (
        ((path, "bob", "--delete"), "", 1, "there is no such user"),
        ((path, "bob"), "", 2, "the passcode is empty"),
        ((path, "#bob"), "x", 2, "no # in front"),
        ((tmp_path / "x" / "y", "bob"), "x", 1, "No such file"),
    ):
        ran = passwd(*arguments, given=given, env=python_env)
        assert (ran.returncode, ran.stderr.count("\n")) == (code, 1), ran.stderr
        assert why in ran.stderr


def test_passwd_asks_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pynetdicom.apps import passwd as app

    answers = iter(["one", "one", "two", "three"])
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(answers))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    path = str(tmp_path / "users")
    assert app.main([path, "alice"]) == 0
    assert app.main([path, "alice"]) == 1
    assert PasswordFile(path).check("alice", "one")


# tls-test-ca


def test_what_tls_test_ca_makes(tmp_path: Path) -> None:
    x509 = pytest.importorskip("cryptography.x509")
    place = tmp_path / "new"
    options = ["--days", "30", "--host", "pacs.example.org", "--host", "10.0.0.7"]
    titles = ["--server-title", "MY SCP", "--client-title", "SCU"]
    assert tls_test_ca.main([str(place), *options, *titles]) == 0
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()}
    assert {name: mode & 0o077 for name, mode in modes.items() if name.endswith(".key")} == {
        "server.key": 0, "client.key": 0,
    }  # fmt: skip
    assert set(modes) == {"ca.pem", "server.pem", "server.key", "client.pem", "client.key"}
    server = x509.load_pem_x509_certificate((place / "server.pem").read_bytes())
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "pacs.example.org"} <= set(names.get_values_for_type(x509.DNSName))
    assert {LOCAL, "::1", "10.0.0.7"} <= {
        str(one) for one in names.get_values_for_type(x509.IPAddress)
    }
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["dicom:MY%20SCP"]
    lasts = server.not_valid_after_utc - server.not_valid_before_utc
    assert lasts.total_seconds() == 30 * 86400 + 3600


def test_tls_test_ca_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "client.key").write_text("precious")
    assert tls_test_ca.main([str(tmp_path)]) == 1
    assert "client.key: there already, nothing is written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["client.key"]
    assert tls_test_ca.main([str(tmp_path / "client.key")]) == 1
    assert tls_test_ca.main([str(tmp_path / "a"), "--host", "ä.org"]) == 1
    assert not (tmp_path / "a").exists()


def test_tls_test_ca_without_cryptography(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    assert tls_test_ca.main([str(tmp_path / "a")]) == 1
    assert f"pip install '{extras.REQUIREMENTS['cryptography']}'" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP")
@pytest.mark.parametrize("app", ["echoscp", "workflowscp"])
def test_a_hangup_has_the_certificates_read_again(made: Path, start: Start, app: str) -> None:
    """No association is lost; what is at fault changes nothing."""
    own = made.parent / f"hangup-{app}"
    shutil.copytree(made, own)
    certificate = ["--tls-certificate", own / "server.pem", "--tls-key", own / "server.key"]
    served = start(app, *certificate)
    ae = AE()
    ae.add_requested_context(VERIFICATION)

    def shown() -> bytes | None:
        with socket.create_connection((LOCAL, served.port), DEADLINE) as connection:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with context.wrap_socket(connection) as secure:
                return secure.getpeercert(binary_form=True)

    before = shown()
    unverified = client_context(verify=False, check_hostname=False)
    with ae.associate(LOCAL, served.port, tls=unverified) as assoc:
        (own / "server.pem").write_text("junk")
        served.process.send_signal(signal.SIGHUP)
        assert until(lambda: "SIGHUP: all stays as it was" in served.errors())
        assert shown() == before
        for name in ("server.pem", "server.key"):
            shutil.copy(made / "other" / name, own / name)
        served.process.send_signal(signal.SIGHUP)
        assert until(lambda: "SIGHUP: read anew" in served.errors())
        assert shown() != before
        assert assoc.send_c_echo().Status == 0x0000


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP")
def test_a_hangup_without_certificates_ends_it(start: Start) -> None:
    """As it ends other programs, when their terminal is closed."""
    served = start("echoscp")
    assert served.stop(signal.SIGHUP) == -signal.SIGHUP
