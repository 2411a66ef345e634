"""TLS, users and access rules on the command line, of apps that connect and of those that listen.

In: options, DCMTK's spelling of those that it has among them. Out: parameters of
`ApplicationEntity.associate` and `ApplicationEntity.start_server`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pynetdicom.apps.options import Failure, Misuse, Option, Parser, option

if TYPE_CHECKING:
    from pynetdicom.access import AccessRules
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.tls import Context


class _KeyAndCertificate(argparse.Action):
    """``+tls KEY CERTIFICATE``."""

    def __call__(self, _: object, args: argparse.Namespace, values: Any, __: object = None) -> None:
        args.tls_key, args.tls_certificate = values


TLS = (
    option(
        "-tls", "--disable-tls", dest="tls", action="store_false", default=None,
        help="no TLS (default), whatever else is given",
    ),
    option(
        "+tls", "--enable-tls", nargs=2, action=_KeyAndCertificate, dest="tls_certificate",
        metavar=("KEY", "CERTIFICATE"), help="use TLS, with these files of mine, in PEM form",
    ),
    option(
        "--tls-certificate", metavar="FILE",
        help="use TLS, with this certificate of mine; --tls-key is in the same file if not given",
    ),
    option("--tls-key", metavar="FILE", help="the private key of my certificate, no passphrase"),
    option(
        "+cf", "--add-cert-file", "--tls-authorities", dest="tls_authorities", action="append",
        metavar="FILE", help="certificates of who vouches for peers; may be given several times",
    ),
    option(
        "+cd", "--add-cert-dir", dest="tls_authorities", action="append", metavar="DIRECTORY",
        help="a directory of such files",
    ),
    option(
        "+crl", "--add-crl-file", "--tls-crl", dest="tls_crl", action="append", metavar="FILE",
        help="a list of revoked certificates; those of an authority without a list do not count",
    ),
    option(
        "--profile-8996", dest="tls_profile", action="store_const", const="bcp195",
        help="the BCP 195 RFC 8996, 9325 TLS Profile (default)",
    ),
    option(
        "--profile-8996-modified", dest="tls_profile", action="store_const",
        const="bcp195-modified", help="the Modified BCP 195 RFC 8996, 9325 TLS Profile",
    ),
)  # fmt: skip
CLIENT = (
    option(
        "+tla", "--anonymous-tls", "--tls", dest="tls", action="store_true", default=None,
        help="use TLS, without a certificate of mine",
    ),
    *TLS,
    option(
        "-rc", "--require-peer-cert", dest="tls_peers", action="store_const", const="require",
        help="the peer must have a certificate that is vouched for (default), by the system's"
        " authorities if none are given",
    ),
    option(
        "-ic", "--ignore-peer-cert", dest="tls_peers", action="store_const", const="ignore",
        help="take any certificate: no protection from who is on the way",
    ),
    option(
        "--tls-host", metavar="NAME",
        help="the peer's certificate must be for this host (default: the one that is connected to)",
    ),
    option("--tls-any-host", action="store_true", help="it may be for any host"),
)  # fmt: skip
LISTENER = (
    *TLS,
    option(
        "-rc", "--require-peer-cert", dest="tls_peers", action="store_const", const="require",
        help="a peer must have a certificate that is vouched for (default, with --tls-authorities)",
    ),
    option(
        "-vc", "--verify-peer-cert", dest="tls_peers", action="store_const", const="verify",
        help="if a peer has a certificate, it must be vouched for",
    ),
    option(
        "-ic", "--ignore-peer-cert", dest="tls_peers", action="store_const", const="ignore",
        help="ask peers for no certificate (default, without --tls-authorities)",
    ),
    option(
        "--tls-plain-too", action="store_true",
        help="serve peers without TLS too, on the same port",
    ),
)  # fmt: skip

IN_CLEAR = option("--password-in-clear", action="store_true", help="passcodes without TLS, too")
USER = (
    option("-usr", "--user", metavar="NAME", help="my user's name"),
    option(
        "--password-file", metavar="FILE", help="my user's passcode is the first line of this file"
    ),
    option(
        "-rsp", "--pos-response", action="store_true",
        help="ask for an answer that says that the user is accepted, and fail without one",
    ),
    IN_CLEAR,
)  # fmt: skip
USERS = (
    option(
        "--passwords", metavar="FILE",
        help="let in only users that this file knows, by name and passcode, over TLS; the app"
        " passwd writes it",
    ),
    IN_CLEAR,
)  # fmt: skip
ACCESS = (
    option(
        "--access", metavar="FILE",
        help="who may do what, and how much of it: a file with [[access]] and [limits], TOML;"
        " whoever comes under none is rejected (default: all may do all)",
    ),
)  # fmt: skip


def add_client(parser: Parser) -> None:
    """Add the options of an app that requests associations."""
    parser.add_options("TLS", CLIENT)
    parser.add_options("user identity", USER)


def add_listener(parser: Parser) -> None:
    """Add the options of an app that accepts associations."""
    parser.add_options("TLS", LISTENER)
    parser.add_options("user identity", USERS)
    parser.add_options("access", ACCESS)


def wants_tls(args: argparse.Namespace, rows: Sequence[Option]) -> bool:
    """Whether the command line asks for TLS; Misuse where it asks for a part of it only."""
    if args.tls is False:
        return False
    if args.tls or args.tls_certificate is not None:
        if args.tls_key is not None and args.tls_certificate is None:
            raise Misuse("--tls-key needs --tls-certificate")
        return True
    for flags, settings in rows:
        name = settings.get("dest") or flags[-1].lstrip("-").replace("-", "_")
        given = getattr(args, name)
        if given not in (None, False) and given == settings.get("const", given):
            how = " or ".join(("+tls", "--tls")[: 1 + (rows is CLIENT)])
            raise Misuse(f"{flags[-1]} needs {how}: without it there is no TLS")
    return False


def client_tls(args: argparse.Namespace) -> Context | None:
    """What the command line says that TLS is made with by who connects; None: no TLS."""
    if not wants_tls(args, CLIENT):
        return None
    from pynetdicom.errors import TLSFileProblem
    from pynetdicom.tls import client_context

    try:
        return client_context(
            args.tls_profile or "bcp195",
            authorities=args.tls_authorities,
            certificate=args.tls_certificate,
            key=args.tls_key,
            crls=args.tls_crl,
            verify=args.tls_peers != "ignore",
            check_hostname=not args.tls_any_host,
        )
    except TLSFileProblem as problem:
        raise _failure(problem) from problem


def server_tls(args: argparse.Namespace) -> Context | None:
    """What the command line says that TLS is made with by who listens; None: no TLS."""
    if not wants_tls(args, LISTENER if "tls_plain_too" in args else CLIENT):
        return None
    if args.tls_certificate is None:
        raise Misuse("to listen with TLS takes --tls-certificate")
    if args.tls_authorities is None and args.tls_peers in ("require", "verify"):
        raise Misuse("who vouches for the certificates of peers takes --tls-authorities")
    from pynetdicom.errors import TLSFileProblem
    from pynetdicom.tls import server_context

    try:
        return server_context(
            args.tls_profile or "bcp195",
            certificate=args.tls_certificate,
            key=args.tls_key,
            authorities=args.tls_authorities,
            crls=args.tls_crl,
            clients=args.tls_peers,
        )
    except TLSFileProblem as problem:
        raise _failure(problem) from problem


def _failure(problem: Any) -> Failure:
    return Failure(f"--tls-{problem.what} {problem.path}: {problem.why}")


def of_client(args: argparse.Namespace) -> dict[str, Any]:
    """Parameters of `ApplicationEntity.associate`: TLS, and the user's identity."""
    if "tls" not in args:
        return {}
    made: dict[str, Any] | None = getattr(args, "of_client", None)
    if made is None:  # it may be one association of many
        context = client_tls(args)
        host = args.tls_host or args.addr
        made = args.of_client = {
            "tls_args": None if context is None else (context, host),
            "ext_neg": _identity(args, is_secure=context is not None),
        }
    return made.copy()


def _identity(args: argparse.Namespace, *, is_secure: bool) -> list[Any]:
    if args.user is None:
        for name in ("password_file", "pos_response"):
            if getattr(args, name):
                raise Misuse(f"--{name.replace('_', '-')} needs --user")
        return []
    from pynetdicom.pdu_primitives import UserIdentityNegotiation

    item = UserIdentityNegotiation(
        user_identity_type=1,
        primary_field=args.user.encode(),
        positive_response_requested=args.pos_response,
    )
    if args.password_file is not None:
        if not (is_secure or args.password_in_clear):
            raise Misuse("a passcode is sent over TLS only, unless there is --password-in-clear")
        item.user_identity_type = 2
        item.secondary_field = _first_line(args.password_file)
    return [item]


def _first_line(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            line = file.readline().rstrip(b"\r\n")
    except OSError as error:
        raise Failure(f"--password-file {path}: {error.strerror or error}") from None
    if not line:
        raise Failure(f"--password-file {path}: there is no passcode in its first line")
    return line


def _without_defaults(rows: Sequence[Option]) -> tuple[Option, ...]:
    return tuple((flags, {**settings, "default": None}) for flags, settings in rows)


def add_configured(parser: Parser) -> None:
    """Add the options of an app that listens, and has a configuration where they may be, too."""
    parser.add_options("TLS", _without_defaults(LISTENER[1:]))
    parser.add_options("user identity", _without_defaults(USERS))


def of_listener(args: argparse.Namespace, ae: ApplicationEntity) -> dict[str, Any]:
    """Parameters of `ApplicationEntity.start_server`: TLS, access rules, a handler of users."""
    if "tls" not in args:
        return {}
    context = server_tls(args)
    made: dict[str, Any] = {"tls": context, "plain_too": args.tls_plain_too}
    if args.access is not None:
        made["access"] = access_rules(args, context)
    if args.passwords is not None:
        if context is None and not args.password_in_clear:
            raise Misuse("--passwords takes TLS, unless there is --password-in-clear")
        try:
            open(args.passwords, "rb").close()
        except OSError as error:
            raise Failure(f"--passwords {args.passwords}: {error.strerror or error}") from None
        made["evt_handlers"] = [users(args.passwords, ae, in_clear=args.password_in_clear)]
    return made


def access_rules(args: argparse.Namespace, context: Context | None) -> AccessRules:
    """The access rules of a file; Failure if something in it is wrong."""
    from pynetdicom.apps.access import load
    from pynetdicom.apps.configuring import ConfigError

    needs = "needs --tls-authorities, who vouch for it, and no --ignore-peer-cert"
    try:
        return load(args.access, "" if context is not None and context.verify_mode else needs)
    except ConfigError as error:
        raise Failure(str(error)) from error


def users(path: str, ae: ApplicationEntity, *, in_clear: bool) -> tuple[Any, Any]:
    """Have an AE let in the users of a file only; gives the handler for that."""
    from pynetdicom.events import EVT_USER_ID
    from pynetdicom.identity import PasswordFile

    ae.require_user_identity = True
    return EVT_USER_ID, PasswordFile(path, in_clear=in_clear)
