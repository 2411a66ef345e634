"""passwd: write the file of users and passcodes that the servers' ``--passwords`` reads."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence

from pynetdicom.apps import options
from pynetdicom.apps.progress import Terminal

FILE = (
    options.option("file", metavar="FILE", help="the file, which is made if need be"),
    options.option("user", metavar="USER", help="the user's name"),
)
MISCELLANEOUS = (
    options.option("--delete", action="store_true", help="take the user out of the file"),
)


def make_parser() -> options.Parser:
    """Make the command line."""
    parser = options.make_parser(
        "passwd",
        "Gives a user of the servers a passcode: asks for it, or reads the first line of standard"
        " input where that is no terminal. The file has a hash of it, by scrypt.",
        FILE,
    )
    parser.add_options("miscellaneous", MISCELLANEOUS)
    return parser


def write(args: Namespace, terminal: Terminal) -> int:
    """Write the file anew, with the user or without."""
    from pynetdicom.identity import PasswordFile

    file = PasswordFile(args.file)
    try:
        file.set(args.user, None if args.delete else _passcode(args.user))
    except KeyError:
        raise options.Failure(f"{args.file}: there is no such user") from None
    except ValueError as error:
        raise options.Misuse(str(error)) from None
    except OSError as error:
        raise options.Failure(f"{args.file}: {error.strerror or error}") from None
    terminal.result(f"{args.file}: {args.user} is {'taken out' if args.delete else 'set'}")
    return 0


def _passcode(name: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    from getpass import getpass

    passcode = getpass(f"passcode of {name}: ")
    if getpass("again: ") != passcode:
        raise options.Failure("that is not the same")
    return passcode


def main(argv: Sequence[str] | None = None) -> int:
    """Run passwd; gives its exit code."""
    return options.run(make_parser(), write, argv)


if __name__ == "__main__":
    sys.exit(main())
