"""The examples of the manual on associations run word for word, against DCMTK and against us.

They are in ``tests/data/manual``, one file a code block. The manual has port 11112 in their text,
so each runs in a network of its own.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tests.conftest import ROOT
from tests.examples.conftest import (
    MANUAL_PORT,
    Network,
    pydicom_file,
    qrscp_arguments,
    result_of,
    tool,
)
from tests.interop.conftest import Dcmtk
from tests.sampled import sampled

pytestmark = pytest.mark.interop

MANUAL = ROOT / "tests" / "data" / "manual"
HERE = Path(__file__).parent
PEER = ("127.0.0.1", str(MANUAL_PORT))
CT = pydicom_file("CT_small.dcm")
QUERY_RETRIEVE = "1.2.840.10008.5.1.4.1.2."
VERIFICATION = "1.2.840.10008.1.1"

BY = ("dcmtk", "ours")


class Peers:
    """The other side of an example, which is DCMTK's or ours."""

    def __init__(self, network: Network, tools: Dcmtk, env: dict[str, str]) -> None:
        self.network = network
        self._tools = tools
        self._env = env

    def storescp(self, by: str, *options: str) -> Any:
        """A storage and verification SCP, which says what it does."""
        return self._serve(by, "storescp", "-d", *options, str(MANUAL_PORT))

    def archive(self, by: str) -> str:
        """A Query/Retrieve SCP with a CT image; gives the UID of its study."""
        if by == "dcmtk":
            arguments = qrscp_arguments(self.network.directory, MANUAL_PORT, "ANY-SCP")
        else:
            arguments = ["-v", "--port", str(MANUAL_PORT)]
        self._serve(by, "dcmqrscp" if by == "dcmtk" else "qrscp", *arguments)
        stored = self.run("dcmtk", "storescu", *PEER, str(CT))
        assert stored.returncode == 0, stored.stdout
        return str(dcmread(CT).StudyInstanceUID)

    def listening(self, name: str) -> Any:
        """An example that listens."""
        return self.network.serve([sys.executable, str(MANUAL / f"{name}.py")], self._env)

    def run(self, by: str, app: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run an SCU to its end."""
        return self.network.run([*self._command(by, app), *arguments], self._env)

    def examples(self, *names: str, get: str | None = None) -> Any:
        """Run examples that request associations; gives what became of them."""
        paths = [str(MANUAL / f"{name}.py") for name in names]
        options = [] if get is None else ["--get", get]
        command = [sys.executable, str(HERE / "manual.py"), *paths, *options]
        return result_of(self.network.run(command, self._env))

    def _serve(self, by: str, app: str, *arguments: str) -> Any:
        return self.network.serve([*self._command(by, app), *arguments], self._env)

    def _command(self, by: str, app: str) -> list[str]:
        if by == "dcmtk":
            return [tool(self._tools, app)]
        return [sys.executable, "-m", "pynetdicom", app]


@pytest.fixture
def peers(network: Network, dcmtk: Dcmtk, python_env: dict[str, str]) -> Peers:
    return Peers(network, dcmtk, python_env)


def test_all_blocks_are_here() -> None:
    names = sorted(path.stem for path in MANUAL.glob("*.py"))
    assert [name[:2] for name in names] == [f"{number:02}" for number in range(1, 8)]
    ran = Path(__file__).read_text()
    assert [name for name in names if f'"{name}"' not in ran] == []


@sampled("by", BY)
def test_requesting_an_association(by: str, peers: Peers) -> None:
    scp = peers.storescp(by)
    ran = peers.examples("01_associate")
    (assoc,) = ran["associations"]
    assert assoc["established"]
    assert assoc["accepted"] == [VERIFICATION]
    assert assoc["echo"] == 0x0000
    assert ran["released"] == [True]
    assert "release" in scp.output().lower()


@sampled("by", BY)
def test_called_ae_title(by: str, peers: Peers) -> None:
    # forking, DCMTK's serves the second association while the first one is there
    scp = peers.storescp(by, *(("--fork",) if by == "dcmtk" else ()))
    ran = peers.examples("01_associate", "02_called_ae_title")
    assert [assoc["established"] for assoc in ran["associations"]] == [True, True]
    assert [assoc["echo"] for assoc in ran["associations"]] == [0x0000, 0x0000]
    assert ran["released"] == [True, True]
    assert [assoc["called"] for assoc in ran["associations"]] == ["ANY-SCP", "STORE_SCP"]
    if by == "dcmtk":  # which shows what it was sent
        assert "STORE_SCP" in scp.output()


@pytest.mark.slow
@sampled("by", BY)
def test_contexts_for_an_association(by: str, peers: Peers) -> None:
    peers.storescp(by)
    (assoc,) = peers.examples("03_contexts")["associations"]
    assert assoc["established"]
    assert assoc["accepted"] == [VERIFICATION]
    assert assoc["echo"] == 0x0000


@sampled("by", BY)
def test_role_selection_with_a_storage_peer(by: str, peers: Peers) -> None:
    peers.storescp(by)
    (assoc,) = peers.examples("04_role_selection")["associations"]
    assert assoc["established"]
    assert 13 + 90 < assoc["requested"] <= 128
    assert assoc["roles"] == assoc["requested"] - 13
    assert len(assoc["accepted"]) + assoc["rejected"] == assoc["requested"]
    # Storage it accepts, Query/Retrieve it does not know.
    assert len(assoc["accepted"]) > 80
    assert not any(uid.startswith(QUERY_RETRIEVE) for uid in assoc["accepted"])


@pytest.mark.slow
@sampled("by", BY)
def test_role_selection_with_a_query_retrieve_peer(by: str, peers: Peers) -> None:
    """It takes effect: the peer, who is SCP of everything else, sends the image that it has."""
    study = peers.archive(by)
    ran = peers.examples("04_role_selection", get=study)
    (assoc,) = ran["associations"]
    assert assoc["established"]
    assert assoc["requested"] <= 128
    # FIND, MOVE and GET of the patient root and of the study root, and storage.
    assert sum(uid.startswith(QUERY_RETRIEVE) for uid in assoc["accepted"]) >= 6
    storage = [uid for uid in assoc["accepted"] if not uid.startswith(QUERY_RETRIEVE)]
    assert len(storage) > 80
    assert assoc["as_scp"] == storage
    assert ran["get"] == 0x0000
    assert ran["stored"] == [dcmread(CT).SOPInstanceUID]
    assert ran["released"] == [True]


@sampled("by", BY)
def test_outcomes(by: str, peers: Peers) -> None:
    scp = peers.storescp(by)
    (assoc,) = peers.examples("05_outcomes")["associations"]
    assert assoc["released"], assoc["ended"]
    assert "release" in scp.output().lower()


@sampled("name", ["01_associate", "05_outcomes"])
def test_without_a_peer(name: str, peers: Peers) -> None:
    (assoc,) = peers.examples(name)["associations"]
    assert not assoc["established"]
    assert assoc["ended"].startswith("no connection")


@sampled("by", BY)
@sampled("name", ["06_listen", "07_on_c_store"])
def test_listening(name: str, by: str, peers: Peers) -> None:
    scp = peers.listening(name)
    echo = peers.run(by, "echoscu", "-v", *PEER)
    assert echo.returncode == 0, echo.stdout
    # What the example supports is verification: a peer that would store is refused its contexts.
    store = peers.run(by, "storescu", "-v", *PEER, str(CT))
    assert store.returncode != 0
    assert re.search("no (acceptable |accepted )?presentation context", store.stdout, re.I)
    # The server is still there, and ends cleanly.
    assert peers.run(by, "echoscu", *PEER).returncode == 0
    assert scp.stop(signal.SIGINT) == 0
    # Nobody has configured logging: what ended against its will is seen, and nothing else.
    seen = r"association with .*(aborted by the peer|connection lost).*\n"
    assert re.fullmatch(f"({seen})?", scp.output())


@sampled("by", BY)
def test_the_callback_is_called(by: str, peers: Peers, python_env: dict[str, str]) -> None:
    # The example stores nothing for want of a context. With one, set by who runs the example and
    # not by its text, the callback answers.
    unrestricted = (
        "import runpy, sys; from pynetdicom import _config;"
        "_config.UNRESTRICTED_STORAGE_SERVICE = True; runpy.run_path(sys.argv[1])"
    )
    path = str(MANUAL / "07_on_c_store.py")
    scp = peers.network.serve([sys.executable, "-c", unrestricted, path], python_env)
    store = peers.run(by, "storescu", "-v", *PEER, str(CT))
    assert store.returncode == 0, store.stdout
    assert (
        "Received Store Response (Success)" if by == "dcmtk" else "1 file stored"
    ) in store.stdout
    assert scp.stop(signal.SIGINT) == 0
    assert scp.output() == ""
