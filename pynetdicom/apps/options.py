"""The command line options of the apps as tables, and the frame that every app runs in.

In: the arguments of a command line. Out: an exit code; 0 only when all went well, 1 when something
did not, 2 for arguments that are wrong, 130 when interrupted.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

from pynetdicom._version import __version__
from pynetdicom.apps.logs import JSON, LEVELS, SILENT, TEXT, logging_with, make_handler
from pynetdicom.apps.progress import Terminal

if TYPE_CHECKING:
    from pynetdicom.ae import ApplicationEntity

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

FAILED = 1
WRONG_ARGUMENTS = 2
INTERRUPTED = 130

MAX_PDU = 1 << 20
"""The longest PDU that the apps announce: whoever sends as long ones has an image in one piece."""


def _port(lowest: int) -> Callable[[str], int]:
    def port(text: str) -> int:
        number = int(text)
        if not lowest <= number <= 65535:
            raise argparse.ArgumentTypeError(f"{text} is not a port between {lowest} and 65535")
        return number

    return port


def _at_least(lowest: int, highest: int | None = None) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if value < lowest:
            raise argparse.ArgumentTypeError(f"{text} is less than {lowest}")
        if highest is not None and value > highest:
            raise argparse.ArgumentTypeError(f"{text} is more than {highest}")
        return value

    return number


def seconds(text: str) -> float:
    """Seconds of a timeout; infinity is for ever."""
    value = float(text)
    if not value >= 0:  # NaN is neither
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return value


def ae_title(text: str) -> str:
    """An AE title: 1 to 16 characters without backslash and control characters (PS3.5 6.2)."""
    title = text.strip()
    if not 1 <= len(title) <= 16:
        raise argparse.ArgumentTypeError(f"{text!r} is not 1 to 16 characters long")
    if not (title.isascii() and title.isprintable()) or "\\" in title:
        raise argparse.ArgumentTypeError(f"{text!r} has characters that an AE title cannot have")
    return title


# An option: its flags, and what argparse is told about it. `{default}` in a help text is filled in.
Option = tuple[tuple[str, ...], dict[str, Any]]


def option(*flags: str, **settings: Any) -> Option:
    """One row of a table of options."""
    return flags, settings


PEER = (
    option("addr", help="TCP/IP address or host name of the peer"),
    option("port", type=_port(1), help="TCP port of the peer"),
)
LISTEN_PORT = (option("port", type=_port(0), help="TCP port to listen on; 0 takes a free one"),)

VERBOSITY = (
    option("-q", "--quiet", action="store_true", help="print no warnings and errors"),
    option("-v", "--verbose", action="store_true", help="print what is being done"),
    option("-d", "--debug", action="store_true", help="print everything, patient data included"),
)
LOG_LEVEL = (
    option(
        "-ll", "--log-level", metavar="LEVEL", choices=LEVELS,
        help=f"log level: {', '.join(LEVELS)}",
    ),
    option(
        "--log-file", metavar="FILE",
        help="log to this file, not to standard error; it may be renamed while the program runs,"
        " as logrotate does",
    ),
    option(
        "--log-format", metavar="FORMAT", choices=(TEXT, JSON), default=TEXT,
        help="log as text (default), or as json, an object a line, with peer, association,"
        " operation, bytes, milliseconds and status as members",
    ),
)  # fmt: skip

TIMEOUTS = (
    option(
        "-ta", "--acse-timeout", type=seconds, default=30.0, metavar="SECONDS",
        help="wait so long for the association to be made or released (default: {default:g})",
    ),
    option(
        "-td", "--dimse-timeout", type=seconds, default=30.0, metavar="SECONDS",
        help="wait so long for the answer to a request (default: {default:g})",
    ),
    option(
        "-tn", "--network-timeout", type=seconds, default=30.0, metavar="SECONDS",
        help="wait so long for a peer that says nothing or takes nothing (default: {default:g})",
    ),
)  # fmt: skip
MAX_PDU_OPTION = (
    option(
        "-pdu", "--max-pdu", type=_at_least(0), default=MAX_PDU, metavar="BYTES",
        help="the largest PDU that the peer may send, 0 for no limit (default: {default}, with"
        " which large objects arrive faster than with the customary 16382)",
    ),
)  # fmt: skip


MOST_OUTSTANDING = 0xFFFF
"""Of a window that is negotiated (PS3.7 D.3.3.3.1)."""


CAPTURE = option(
    "--capture", metavar="FILE",
    help="write all that is sent and received to this file, deciphered, for Wireshark; it has"
    " patient data",
)  # fmt: skip


def metrics_address(text: str) -> tuple[str, int]:
    """``PORT`` or ``ADDRESS:PORT``; without an address for this machine alone."""
    host, _, port = text.rpartition(":")
    return host.strip("[]") or "127.0.0.1", _port(0)(port)


OPERATING = (
    option(
        "--drain", type=seconds, default=5.0, metavar="SECONDS",
        help="when it is to stop (SIGTERM, SIGINT), let peers finish what they are at for so long;"
        " a second signal stops it at once (default: {default:g})",
    ),
    option(
        "--metrics", type=metrics_address, metavar="[ADDRESS:]PORT",
        help="tell by HTTP what was done, at /metrics for Prometheus, and whether it is there and"
        " listens, at /health and /ready; without an address to this machine only",
    ),
    CAPTURE,
)  # fmt: skip


def titles(calling: str) -> Sequence[Option]:
    """AE titles of an app that requests associations."""
    return (
        option(
            "-aet", "--calling-aet", type=ae_title, default=calling, metavar="TITLE",
            help="my AE title (default: {default})",
        ),
        option(
            "-aec", "--called-aet", type=ae_title, default="ANY-SCP", metavar="TITLE",
            help="the peer's AE title (default: {default})",
        ),
        CAPTURE,
    )  # fmt: skip


def listener(title: str) -> Sequence[Option]:
    """AE title and interface of an app that accepts associations."""
    return (
        option(
            "-aet", "--ae-title", type=ae_title, default=title, metavar="TITLE",
            help="my AE title (default: {default})",
        ),
        option(
            "-ba", "--bind-address", default="", metavar="ADDRESS",
            help="the address of the interface to listen on (default: all, by IPv4; :: for all, by"
            " IPv6 and IPv4)",
        ),
        *OPERATING,
    )  # fmt: skip


BIND_ADDRESS = option(
    "-ba", "--bind-address", default="", metavar="ADDRESS",
    help="the address of the interface to listen on (default: all, by IPv4)",
)  # fmt: skip
"""That of an app which only listens beside what it does."""


def configured(title: str, port: int, file: str) -> Sequence[Option]:
    """Network options of an app that accepts associations and has a configuration file.

    They are None where they are not given: then the file says it, or else these defaults.
    """
    return (
        option("-c", "--config", metavar="FILE", help=file),
        option(
            "--port", type=_port(0), metavar="PORT",
            help=f"TCP port to listen on; 0 takes a free one (default: {port})",
        ),
        option(
            "-aet", "--ae-title", type=ae_title, metavar="TITLE",
            help=f"my AE title (default: {title})",
        ),
        option(
            "-ba", "--bind-address", metavar="ADDRESS",
            help="the address of the interface to listen on (default: all)",
        ),
        *OPERATING,
        *(_without_default(one) for one in (*TIMEOUTS, *MAX_PDU_OPTION)),
    )  # fmt: skip


def _without_default(one: Option) -> Option:
    flags, settings = one
    text = settings["help"].format(default=settings["default"])
    return flags, {**settings, "default": None, "help": text}


REQUESTED_SYNTAXES = (
    option(
        "-xe", "--request-little", dest="requested", action="store_const", const=EXPLICIT_LITTLE,
        help="request explicit VR little endian only",
    ),
    option(
        "-xb", "--request-big", dest="requested", action="store_const", const=EXPLICIT_BIG,
        help="request explicit VR big endian only",
    ),
    option(
        "-xi", "--request-implicit", dest="requested", action="store_const", const=IMPLICIT_LITTLE,
        help="request implicit VR little endian only",
    ),
)  # fmt: skip

_NATIVE = EXPLICIT_LITTLE if sys.byteorder == "little" else EXPLICIT_BIG
_SWAPPED = EXPLICIT_BIG if sys.byteorder == "little" else EXPLICIT_LITTLE
UNCOMPRESSED = (_NATIVE, _SWAPPED, IMPLICIT_LITTLE)

PREFERRED_SYNTAXES = (
    option(
        "-x=", "--prefer-uncompr", dest="preferred", action="store_const", const=UNCOMPRESSED,
        default=UNCOMPRESSED, help="prefer explicit VR in this machine's byte order (default)",
    ),
    option(
        "-xe", "--prefer-little", dest="preferred", action="store_const",
        const=(EXPLICIT_LITTLE, EXPLICIT_BIG, IMPLICIT_LITTLE),
        help="prefer explicit VR little endian",
    ),
    option(
        "-xb", "--prefer-big", dest="preferred", action="store_const",
        const=(EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE),
        help="prefer explicit VR big endian",
    ),
    option(
        "-xi", "--implicit", dest="preferred", action="store_const", const=(IMPLICIT_LITTLE,),
        help="accept implicit VR little endian only",
    ),
)  # fmt: skip


class _Formatter(argparse.HelpFormatter):
    """The help's layout; there is one for each option that is added, and it is to be quick."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=terminal_columns() - 2)


@cache
def terminal_columns() -> int:
    """The columns of the terminal, as `shutil` tells them, which takes long to be imported."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):  # it is none, or closed
        return 80


class Failure(Exception):
    """Why an app cannot go on; it is reported, and the app ends with `code`."""

    code = FAILED


class Misuse(Failure):
    """Arguments that do not go together."""

    code = WRONG_ARGUMENTS


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_ARGUMENTS, f"{self.prog}: {message} (--help tells more)\n")

    def add_options(self, title: str, rows: Sequence[Option], *, exclusive: bool = False) -> None:
        """Add a table of options as a group of the help text."""
        group: argparse._ActionsContainer = self.add_argument_group(title)
        if exclusive:
            group = group.add_mutually_exclusive_group()
        for flags, settings in rows:
            text = settings["help"].format(default=settings.get("default"))
            group.add_argument(*flags, **{**settings, "help": text})


def make_parser(app: str, description: str, positional: Sequence[Option]) -> Parser:
    """Make the parser of an app, with what all apps have in common."""
    parser = Parser(
        prog=app,
        description=description,
        allow_abbrev=False,
        formatter_class=_Formatter,
        prefix_chars="-+",  # as DCMTK's tools have it
    )
    parser.add_argument("--version", action="version", version=f"{app}.py v{__version__}")
    parser.add_options("parameters", positional)
    parser.add_options("verbosity", VERBOSITY, exclusive=True)
    parser.add_options("logging", LOG_LEVEL)
    parser.set_defaults(capturing=())
    return parser


def apply_limits(ae: ApplicationEntity, args: argparse.Namespace) -> None:
    """Give an AE the timeouts and the PDU size of the command line."""
    ae.acse_timeout = args.acse_timeout
    ae.dimse_timeout = args.dimse_timeout
    ae.network_timeout = args.network_timeout
    ae.maximum_pdu_size = args.max_pdu


def forbid_numpy() -> None:
    """Keep pydicom from importing numpy, which takes long and is needed for pixels only."""
    sys.modules.setdefault("numpy", None)  # type: ignore[arg-type]


def ignore_odd_values() -> None:
    """Keep pydicom from warning of a peer's values: what they are may be about a patient."""
    warnings.filterwarnings("ignore", category=UserWarning, module=r"pydicom\.")


@contextmanager
def captured(args: argparse.Namespace, terminal: Terminal) -> Iterator[None]:
    """Have what is sent and received meanwhile written to a file, if that is wanted."""
    if getattr(args, "capture", None) is None:
        yield
        return
    from pynetdicom.capture import LOGGER, Capture

    try:
        capture = Capture(args.capture)
    except OSError as error:
        raise Failure(f"--capture {args.capture}: {error.strerror or error}") from None
    with capture:
        args.capturing = capture.handlers
        if not LOGGER.isEnabledFor(logging.WARNING):
            terminal.warning(capture.warning)
        yield


def drop_output() -> None:
    """Nobody reads standard output: the interpreter must not try to flush it at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def run(
    parser: Parser,
    body: Callable[[argparse.Namespace, Terminal], int],
    argv: Sequence[str] | None,
    *,
    log_level: int = SILENT,
) -> int:
    """Run an app: parse its arguments, run its body, and turn whatever happens into an exit code.

    Parameters
    ----------
    parser : Parser
        Its command line.
    body : callable
        Its work; gives the exit code.
    argv : sequence of str or None
        Its arguments. None: those of this process, which then does nothing but run the app.
    log_level : int
        The level of the library's log where no option says anything. An app that reports what went
        wrong by itself needs none.
    """
    if argv is None:
        forbid_numpy()
        ignore_odd_values()
    args = parser.parse_args(argv)
    terminal = Terminal(parser.prog, quiet=args.quiet)
    try:
        handler = make_handler(args)
    except OSError as error:
        terminal.problem(f"{args.log_file}: cannot log there: {error.strerror or error}")
        return FAILED
    with logging_with(handler, args, log_level):
        try:
            with captured(args, terminal):
                return body(args, terminal)
        except Failure as failure:
            terminal.problem(str(failure))
            return failure.code
        except KeyboardInterrupt:
            terminal.problem("interrupted")
            return INTERRUPTED
        except BrokenPipeError:
            drop_output()
            return FAILED
        except Exception as error:
            terminal.problem(f"{type(error).__name__}: {error}")
            logging.getLogger(__name__).debug("the error was raised here", exc_info=True)
            return FAILED
