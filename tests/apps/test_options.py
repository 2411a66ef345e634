"""The options of the apps, and the frame that they run in."""

from __future__ import annotations

import logging
import subprocess
import sys
from argparse import Namespace
from typing import Any

import pytest

from pynetdicom import __version__
from pynetdicom.apps import echoscp, echoscu, options, storescp, storescu
from pynetdicom.apps.progress import Terminal
from tests.sampled import sampled

MODULES = {
    "echoscu": echoscu,
    "echoscp": echoscp,
    "storescu": storescu,
    "storescp": storescp,
}
POSITIONAL = {
    "echoscu": ["host", "104"],
    "echoscp": ["104"],
    "storescu": ["host", "104", "file"],
    "storescp": ["104"],
}
COMMON = {
    "-ta": ("acse_timeout", 30.0),
    "--acse-timeout": ("acse_timeout", 30.0),
    "-td": ("dimse_timeout", 30.0),
    "--dimse-timeout": ("dimse_timeout", 30.0),
    "-tn": ("network_timeout", 30.0),
    "--network-timeout": ("network_timeout", 30.0),
    "-pdu": ("max_pdu", 1048576),
    "--max-pdu": ("max_pdu", 1048576),
}
EXPLICIT, BIG, IMPLICIT = (
    options.EXPLICIT_LITTLE,
    options.EXPLICIT_BIG,
    options.IMPLICIT_LITTLE,
)


def parse(app: str, *arguments: str) -> Namespace:
    return MODULES[app].make_parser().parse_args([*POSITIONAL[app], *arguments])


@pytest.mark.parametrize("app", MODULES)
@pytest.mark.parametrize(("flag", "what"), COMMON.items())
def test_limits(app: str, flag: str, what: tuple[str, float]) -> None:
    name, default = what
    assert getattr(parse(app), name) == default
    assert getattr(parse(app, flag, "17"), name) == 17


@pytest.mark.parametrize("app", MODULES)
@pytest.mark.parametrize("flag", ["-q", "--quiet", "-v", "--verbose", "-d", "--debug"])
def test_verbosity(app: str, flag: str) -> None:
    args = parse(app, flag)
    assert [args.quiet, args.verbose, args.debug].count(True) == 1


@pytest.mark.parametrize("app", MODULES)
def test_verbosities_exclude_each_other(app: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse(app, "-q", "-v")
    assert exit_.value.code == options.WRONG_ARGUMENTS
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("app", MODULES)
@pytest.mark.parametrize("level", ["critical", "error", "warn", "info", "debug"])
def test_log_level(app: str, level: str) -> None:
    assert parse(app, "-ll", level).log_level == level
    assert parse(app, "--log-level", level).log_level == level


@pytest.mark.parametrize("app", MODULES)
def test_version(app: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse(app, "--version")
    assert not exit_.value.code
    assert capsys.readouterr().out == f"{app}.py v{__version__}\n"


@pytest.mark.parametrize("app", MODULES)
def test_help_fills_in_the_defaults(app: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(app, "-h")
    text = capsys.readouterr().out
    assert "1048576" in text
    assert "{" not in text


@pytest.mark.parametrize(
    ("app", "name", "default"),
    [
        ("echoscu", "calling_aet", "ECHOSCU"),
        ("echoscu", "called_aet", "ANY-SCP"),
        ("storescu", "calling_aet", "STORESCU"),
        ("storescu", "called_aet", "ANY-SCP"),
        ("echoscp", "ae_title", "ECHOSCP"),
        ("storescp", "ae_title", "STORESCP"),
    ],
)
def test_titles(app: str, name: str, default: str) -> None:
    short = {"calling_aet": "-aet", "called_aet": "-aec", "ae_title": "-aet"}[name]
    long = f"--{name.replace('_', '-')}"
    assert getattr(parse(app), name) == default
    assert getattr(parse(app, short, " ME "), name) == "ME"
    assert getattr(parse(app, long, "ME"), name) == "ME"


@pytest.mark.parametrize("app", ["echoscu", "storescu"])
@pytest.mark.parametrize(
    ("flags", "uid"),
    [
        ((), None),
        (("-xe", "--request-little"), EXPLICIT),
        (("-xb", "--request-big"), BIG),
        (("-xi", "--request-implicit"), IMPLICIT),
    ],
)
def test_requested_syntaxes(app: str, flags: tuple[str, ...], uid: str | None) -> None:
    for flag in flags:
        assert parse(app, flag).requested == uid
    assert parse(app).requested is None


@pytest.mark.parametrize("app", ["echoscp", "storescp"])
@pytest.mark.parametrize(
    ("flags", "uids"),
    [
        (("-x=", "--prefer-uncompr"), options.UNCOMPRESSED),
        (("-xe", "--prefer-little"), (EXPLICIT, BIG, IMPLICIT)),
        (("-xb", "--prefer-big"), (BIG, EXPLICIT, IMPLICIT)),
        (("-xi", "--implicit"), (IMPLICIT,)),
    ],
)
def test_preferred_syntaxes(app: str, flags: tuple[str, ...], uids: tuple[str, ...]) -> None:
    for flag in flags:
        assert parse(app, flag).preferred == uids
    assert parse(app).preferred == options.UNCOMPRESSED


def test_own_flags() -> None:
    args = parse("echoscu", "--repeat", "3", "--abort")
    assert (args.addr, args.port, args.repeat, args.abort) == ("host", 104, 3, True)
    assert parse("echoscu").repeat == 1
    args = parse("storescu", "more", "-r", "-cx")
    assert (args.path, args.recurse, args.required_contexts) == (["file", "more"], True, True)
    args = parse("storescu", "--recurse", "--required-contexts")
    assert (args.recurse, args.required_contexts) == (True, True)
    args = parse("storescp", "-od", "out", "--ignore", "--no-echo", "-ba", "::1")
    assert (args.output_directory, args.ignore, args.no_echo) == ("out", True, True)
    assert args.bind_address == "::1"
    assert parse("storescp", "--output-directory", "out").output_directory == "out"
    assert parse("echoscp", "--bind-address", "::1").bind_address == "::1"
    assert parse("storescp").output_directory == "."


@pytest.mark.parametrize(
    ("app", "arguments"),
    [
        ("echoscu", []),
        ("echoscu", ["host"]),
        ("echoscu", ["host", "0"]),
        ("echoscu", ["host", "65536"]),
        ("echoscu", ["host", "http"]),
        ("echoscu", ["host", "104", "--repeat", "0"]),
        ("echoscu", ["host", "104", "-aet", " "]),
        ("echoscu", ["host", "104", "-aet", "A" * 17]),
        ("echoscu", ["host", "104", "-aec", "A\\B"]),
        ("echoscu", ["host", "104", "-aec", "A\nB"]),
        ("echoscu", ["host", "104", "-ta", "-1"]),
        ("echoscu", ["host", "104", "-ta", "nan"]),
        ("echoscu", ["host", "104", "-pdu", "-1"]),
        ("echoscu", ["host", "104", "-xe", "-xi"]),
        ("echoscu", ["host", "104", "-ll", "loud"]),
        ("echoscu", ["host", "104", "--rep", "3"]),
        ("storescu", ["host", "104"]),
        ("storescp", ["-1"]),
    ],
)
def test_wrong_arguments_are_one_line(
    app: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        MODULES[app].main(arguments)
    assert exit_.value.code == options.WRONG_ARGUMENTS
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"{app}: ")
    assert captured.err.count("\n") == 1


def run_body(body: Any, *arguments: str) -> int:
    parser = options.make_parser("app", "", ())
    return options.run(parser, body, list(arguments))


def test_run_gives_the_exit_code_of_the_body() -> None:
    assert run_body(lambda args, terminal: 7) == 7


def test_run_turns_an_exception_into_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def body(args: Namespace, terminal: Terminal) -> int:
        raise ValueError("two\nlines")

    assert run_body(body) == options.FAILED
    error = capsys.readouterr().err
    assert error.startswith("app: ValueError: two")
    assert error.count("\n") == 1


def test_run_reports_an_interrupt(capsys: pytest.CaptureFixture[str]) -> None:
    def body(args: Namespace, terminal: Terminal) -> int:
        raise KeyboardInterrupt

    assert run_body(body) == options.INTERRUPTED
    assert capsys.readouterr().err == "app: interrupted\n"


@pytest.mark.parametrize(
    ("arguments", "levels"),
    [
        ([], []),
        (["-q"], []),
        (["-v"], ["I", "W", "E"]),
        (["-d"], ["D", "I", "W", "E"]),
        (["-ll", "warn"], ["W", "E"]),
        (["-ll", "critical"], []),
    ],
)
def test_run_logs_at_the_chosen_level(
    arguments: list[str], levels: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def body(args: Namespace, terminal: Terminal) -> int:
        logger = logging.getLogger("pynetdicom.upper_layer")
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logger.log(level, "text")
        return 0

    handlers = list(logging.getLogger("pynetdicom").handlers)
    assert run_body(body, *arguments) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == [f"{level}: text" for level in levels]
    assert logging.getLogger("pynetdicom").handlers == handlers


@sampled("app", MODULES)
def test_apps_start_without_numpy_and_pydicom(app: str, python_env: dict[str, str]) -> None:
    code = (
        "import sys\n"
        f"from pynetdicom.apps import {app}\n"
        f"{app}.make_parser()\n"
        "print(*(name for name in ('numpy', 'pydicom', 'rich') if name in sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], env=python_env, check=True, capture_output=True, text=True
    )
    assert result.stdout.split() == []


def test_a_program_forbids_numpy(python_env: dict[str, str]) -> None:
    code = (
        "import sys\n"
        "from pynetdicom.apps import options\n"
        "sys.argv = ['app']\n"
        "options.run(options.make_parser('app', '', ()), lambda args, terminal: 0, None)\n"
        "assert sys.modules['numpy'] is None\n"
        "import pydicom\n"
    )
    subprocess.run([sys.executable, "-c", code], env=python_env, check=True)
