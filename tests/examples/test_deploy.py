"""The files for those who run an archive: they parse, and name programs and options that exist."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from pynetdicom.access import Granted
from pynetdicom.apps.archive.config import access_rules, load
from pynetdicom.apps.notify import READY
from pynetdicom.sop_class import CTImageStorage, StudyRootQueryRetrieveInformationModelFind
from tests.conftest import ROOT

DEPLOY = ROOT / "examples" / "deploy"
UNIT = DEPLOY / "qrscp.service"


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes="#")
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their case
    parser.read(UNIT)
    return parser


def instructions() -> Iterator[tuple[str, str]]:
    """What a Containerfile says, by line."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Containerfile").read_text(), flags=re.MULTILINE)
    for line in text.replace("\\\n", " ").splitlines():
        if line:
            name, _, rest = line.partition(" ")
            yield name, rest


def check(words: list[str]) -> dict[str, object]:
    """See whether a command line is one of ours; gives what it says."""
    module = import_module(f"pynetdicom.apps.{Path(words[0]).name}")
    return vars(module.make_parser().parse_args(words[1:]))


def test_the_unit_names_a_command_line_of_ours() -> None:
    service = unit()["Service"]
    said = check(shlex.split(service["ExecStart"]))
    assert said["config"] == "/etc/pynetdicom/archive.toml"
    # It is told when we listen, by the process that it has started.
    assert (service["Type"], service["NotifyAccess"], READY) == ("notify", "main", "READY=1")
    # The peers have their time, and so have the workers after that.
    assert isinstance(said["drain"], float)
    assert int(service["TimeoutStopSec"]) > said["drain"] + 30
    assert service["KillMode"] == "mixed"
    assert "-HUP" in service["ExecReload"]
    for key, place in (("StateDirectory", "/var/lib/"), ("LogsDirectory", "/var/log/")):
        assert place + service[key] in UNIT.read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """But for the program and the user, which are not on this machine."""
    text = UNIT.read_text().replace("/opt/pynetdicom/bin/qrscp", sys.executable)
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub(r"^(User|Group)=.*\n", "", text, flags=re.MULTILINE))
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    about_it = [line for line in ran.stderr.splitlines() if UNIT.name in line]
    assert about_it == [], ran.stderr


def test_the_configuration_is_one(tmp_path: Path) -> None:
    config = load(str(DEPLOY / "archive.toml"))
    assert config.port == 104
    state = "/var/lib/" + unit()["Service"]["StateDirectory"]
    assert config.instance_location.startswith(state)
    assert config.database_location.startswith(state)


def test_no_title_alone_opens_the_archive() -> None:
    rules = access_rules(load(str(DEPLOY / "archive.toml")))
    for title in ("CT1", "WORKSTATION"):
        found = rules.decide("192.0.2.9", title, "ARCHIVE")
        assert isinstance(found, Granted)
        assert found.may(CTImageStorage, "C-STORE") is False
        assert found.may(StudyRootQueryRetrieveInformationModelFind, "C-FIND") is False
    assert isinstance(found := rules.decide("10.1.0.7", "CT1", "ARCHIVE"), Granted)
    assert found.may(CTImageStorage, "C-STORE")


def test_the_container_runs_a_command_line_of_ours() -> None:
    found = dict(instructions())
    assert next(iter(found)) == "FROM"
    assert set(found) <= {
        "FROM", "COPY", "RUN", "USER", "WORKDIR", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK",
        "ENTRYPOINT", "CMD",
    }  # fmt: skip
    check([*json.loads(found["ENTRYPOINT"]), *json.loads(found["CMD"])])
    asks = check(json.loads(found["HEALTHCHECK"].partition("CMD ")[2]))
    assert asks["port"] == load(str(DEPLOY / "archive.toml")).port == int(found["EXPOSE"])
    assert found["STOPSIGNAL"] == "SIGTERM"
    assert found["USER"] != "root"


def test_logrotate_has_to_tell_nobody() -> None:
    text = (DEPLOY / "logrotate.conf").read_text()
    said = check(shlex.split(unit()["Service"]["ExecStart"]))
    (pattern,) = re.findall(r"^(/\S+) \{$", text, re.MULTILINE)
    assert Path(str(said["log_file"])).match(pattern)
    assert "copytruncate" not in text
    assert "postrotate" not in text
    assert text.count("{") == text.count("}") == 1
