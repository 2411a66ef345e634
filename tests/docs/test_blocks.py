"""Every code block of the manual runs, and every command line of it parses."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from pynetdicom import (
    AE,
    ALL_TRANSFER_SYNTAXES,
    AllStoragePresentationContexts,
    build_role,
    evt,
)
from pynetdicom.__main__ import APPS
from pynetdicom.apps import workflow_config
from pynetdicom.apps.access import ACCESS
from pynetdicom.apps.archive import admin, config, worklist
from pynetdicom.apps.tls import destination_tls, server_tls
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import CTImageStorage, Verification
from pynetdicom.workflows.matching import Options
from tests import warm
from tests.conftest import ROOT, find_free_port
from tests.docs.conftest import BLOCKS, IN_ORDER, Block, Blocks, client_context, server_context
from tests.examples.conftest import Running, Scripts, pydicom_file
from tests.sampled import sampled

APART = [b for b in BLOCKS if b.page not in IN_ORDER and b.needs != "pytest"]
PYTHON = [block for block in APART if block.language == "python"]
# Those of the first one of these pages are for files that the page has written before.
CONSOLE = [block for block in BLOCKS if block.language == "console" and block.page != IN_ORDER[0]]
TOML = [block for block in BLOCKS if block.language == "toml"]
ASKED_HERE = {f"serves {what}" for what in ("echo", "store", "roles", "tls", "identity", "users")}
SERVING = [block for block in PYTHON if block.needs in ASKED_HERE]
PAIRS = [
    (asking, serving)
    for asking in PYTHON
    for serving in PYTHON
    if asking.needs.startswith("asks ")
    and serving.page == asking.page
    and serving.needs.startswith("serves ")
    and asking.needs.split()[1] in serving.needs.split()[1:]
]
OTHERS = [block for block in PYTHON if block.needs in ("", "scp", "scp tls")]


def first_ones(blocks: list[Block]) -> list[Block]:
    """Those of the README, and the first one of them all."""
    return [block for block in blocks if block.page == "README.rst" or block is blocks[0]]


TROUBLE = ("no association", "no answer", "no connection", "None")
CT = pydicom_file("CT_small.dcm")
_REFERENCE = re.compile(r"(?<!`)`(?:[^`<]*<)?(pynetdicom(?:\.\w+)*)>?`(?!`)")


def test_the_blocks_are_found_and_say_what_they_need() -> None:
    assert len(PYTHON) >= 20
    assert len(CONSOLE) >= 6
    assert {block.needs for block in CONSOLE} == {""}
    assert {block.language for block in BLOCKS} == {"python", "console", "toml"}
    paired = {block for pair in PAIRS for block in pair}
    assert paired.isdisjoint(SERVING)
    assert {*SERVING, *OTHERS, *paired} == set(PYTHON)
    assert {block.needs for block in TOML} <= {"", "complete"}


@pytest.fixture
def scp(request: pytest.FixtureRequest, material: Path) -> Iterator[int]:
    """The port of an SCP, if the block needs one, and of nobody otherwise."""
    needs = request.getfixturevalue("block").needs.split()
    if "scp" not in needs:
        yield find_free_port()
        return
    ae = AE("ANY-SCP")
    ae.add_supported_context(Verification)
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES, True, True)
    server: Any = ae.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[(evt.EVT_C_STORE, lambda event: 0x0000)],
        ssl_context=server_context(material) if "tls" in needs else None,
    )
    yield server.server_address[1]
    ae.shutdown()


def run(script: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return warm.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", script.name],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        env=env,
        cwd=script.parent,
        check=False,
    )


@sampled("block", OTHERS, keep=first_ones(OTHERS), ids=str)
def test_a_block_runs(
    block: Block, scp: int, scripts: Scripts, place: Path, python_env: dict[str, str]
) -> None:
    ran = run(Blocks(scripts, place).write(block, scp), python_env)
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    if "scp" in block.needs.split():
        for trouble in TROUBLE:
            assert trouble not in ran.stdout


def ask(what: str, port: int, directory: Path) -> None:
    """Use a block that listens."""
    ae = AE("ECHOSCU")
    ae.add_requested_context(Verification)
    ae.add_requested_context(CTImageStorage)
    options: dict[str, Any] = {}
    if what in ("tls", "users"):
        options["tls_args"] = (client_context(directory), "localhost")
    if what == "roles":
        options["ext_neg"] = [build_role(CTImageStorage, scp_role=True)]
    title = "MY_SCP"  # of those that want to be called by name
    if what in ("identity", "users"):
        assert ae.associate("127.0.0.1", port, **options).is_rejected
        identity = UserIdentityNegotiation()
        identity.user_identity_type = 2
        identity.primary_field = b"alice"
        identity.secondary_field = b"correct horse"
        options["ext_neg"] = [identity]
    assoc = ae.associate("127.0.0.1", port, ae_title=title, **options)
    assert assoc.is_established, assoc.ended
    contexts = {context.abstract_syntax: context for context in assoc.accepted_contexts}
    if what != "store" or Verification in contexts:
        assert assoc.send_c_echo().Status == 0x0000
    if what == "roles":
        assert contexts[CTImageStorage].as_scp
        assert not contexts[CTImageStorage].as_scu
    if what == "store":
        assert assoc.send_c_store(CT).Status == 0x0000
    assoc.release()
    assert assoc.is_released
    assoc.join(60)


@sampled("block", SERVING, keep=first_ones(SERVING), ids=str)
def test_a_block_serves(
    block: Block, scripts: Scripts, place: Path, python_env: dict[str, str]
) -> None:
    port = find_free_port()
    script = Blocks(scripts, place).write(block, port)
    running = Running([sys.executable, script.name], port, place, python_env)
    try:
        ask(block.needs.split()[1], port, place)
    finally:
        code = running.stop(signal.SIGINT)
    assert code == 0, running.output()
    assert "Traceback" not in running.output()


@sampled(("asking", "serving"), PAIRS, count=2, ids=str)
def test_a_block_asks_another(
    asking: Block,
    serving: Block,
    scripts: Scripts,
    place: Path,
    material: Path,
    tmp_path: Path,
    python_env: dict[str, str],
) -> None:
    other_place = tmp_path / "asking"
    shutil.copytree(material, other_place)
    ports = find_free_port(), find_free_port()
    script = Blocks(scripts, place).write(serving, *ports)
    running = Running([sys.executable, script.name], ports[0], place, python_env)
    try:
        ran = run(Blocks(scripts, other_place).write(asking, *ports), python_env)
    finally:
        code = running.stop(signal.SIGINT)
    assert code == 0, running.output()
    assert "Traceback" not in running.output()
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout
    for trouble in ("Traceback", *TROUBLE):
        assert trouble not in ran.stdout + ran.stderr


def test_the_worklist_item_of_the_manual_is_found(
    scripts: Scripts, place: Path, python_env: dict[str, str]
) -> None:
    [block] = [one for one in PYTHON if one.page == "docs/qrscp.rst"]
    ran = run(Blocks(scripts, place).write(block), python_env)
    assert ran.returncode == 0, ran.stderr
    step = Dataset()
    step.Modality = "MR"
    keys = Dataset()
    keys.PatientName = "Müller*"
    keys.ScheduledProcedureStepSequence = [step]
    [item] = worklist.find(str(place / "worklist"), "ARCHIVE", keys, Options())
    assert item.PatientName == "Müller^Jörg"


@pytest.mark.parametrize("block", TOML, ids=str)
def test_a_configuration_is_one(block: Block, place: Path) -> None:
    path = place / "archive.toml"
    path.write_text(block.text)
    rules = workflow_config if block.page == "docs/apps/workflowscp.rst" else config
    loaded = rules.load(str(path))
    if isinstance(loaded, config.Config):
        assert server_tls(loaded) is None or loaded.tls_certificate is not None
        destination_tls(loaded)
    if block.needs == "complete":
        document = tomllib.loads(block.text)
        peers, access = document.pop("peer"), document.pop("access", [])
        assert {section: set(keys) for section, keys in document.items()} == {
            section: set(keys) for section, keys in rules.SECTIONS.items()
        }
        assert set().union(*peers) == set(rules.PEER)
        assert set().union(*access) == (set(ACCESS) if rules is config else set())


@pytest.mark.parametrize("block", CONSOLE, ids=str)
def test_a_command_line_is_valid(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for line in block.text.splitlines() if line.strip()]
    assert all(line.startswith("$ ") for line in lines)
    for line in lines:
        check_command(shlex.split(line.removeprefix("$ "), comments=True), capsys)


def check_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    if words[:3] == ["python", "-m", "pynetdicom"]:
        words = words[3:]
        if words == ["--version"]:
            return
    verb = admin.verb_of(words[1:]) if words[0] == "qrscp" else None
    if verb is not None:
        admin.make_parser(verb).parse_args(words[2:])
    elif words[0] in APPS:
        module = import_module(f"pynetdicom.apps.{words[0].replace('-', '_')}")
        module.make_parser().parse_args(words[1:])
    elif words[0] == "python":
        assert (ROOT / words[1]).is_file()
    elif words[:3] == [".venv/bin/python", "-m", "pytest"]:
        assert all((ROOT / word).exists() for word in words[3:] if word.startswith("tests/"))
    elif words[0] == "make":
        assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text()
    else:
        assert words[:2] == ["pip", "install"], words


def test_names_of_references_exist() -> None:
    """What pages refer to by its full name is there."""
    for page in (ROOT / "docs").rglob("*.rst"):
        for name in _REFERENCE.findall(page.read_text()):
            found = resolve(name)
            assert found is not None


def resolve(name: str) -> Any:
    """The object of a full name."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:count]))
        except ImportError:
            continue
        for part in parts[count:]:
            found = getattr(found, part)
        return found
    raise AssertionError(name)
