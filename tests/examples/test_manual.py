"""The examples of the manual on associations run word for word, against DCMTK.

They are in ``tests/data/manual``, one file a code block. The manual has port 11112 in their text,
so each runs in a network of its own.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.examples.conftest import (
    MANUAL_PORT,
    Network,
    pydicom_file,
    result_of,
    tool,
)
from tests.interop.conftest import Dcmtk

pytestmark = pytest.mark.interop

MANUAL = ROOT / "tests" / "data" / "manual"
HERE = Path(__file__).parent
PEER = ("127.0.0.1", str(MANUAL_PORT))
QUERY_RETRIEVE = "1.2.840.10008.5.1.4.1.2."
VERIFICATION = "1.2.840.10008.1.1"

QRSCP_CONFIG = """\
NetworkTCPPort = {port}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
ANY-SCP {storage} RW (9, 1024mb) ANY
AETable END
"""


def storescp(network: Network, dcmtk: Dcmtk, env: dict[str, str], *options: str) -> Any:
    return network.serve([tool(dcmtk, "storescp"), "-v", *options, str(MANUAL_PORT)], env)


def run(network: Network, env: dict[str, str], *names: str) -> Any:
    paths = [str(MANUAL / f"{name}.py") for name in names]
    return result_of(network.run([sys.executable, str(HERE / "manual.py"), *paths], env))


def test_all_blocks_are_here() -> None:
    names = sorted(path.stem for path in MANUAL.glob("*.py"))
    assert [name[:2] for name in names] == [f"{number:02}" for number in range(1, 8)]
    ran = Path(__file__).read_text()
    assert [name for name in names if f'"{name}"' not in ran] == []


def test_requesting_an_association(
    network: Network, dcmtk: Dcmtk, python_env: dict[str, str]
) -> None:
    scp = storescp(network, dcmtk, python_env)
    ran = run(network, python_env, "01_associate")
    (assoc,) = ran["associations"]
    assert assoc["established"]
    assert assoc["accepted"] == [VERIFICATION]
    assert assoc["echo"] == 0x0000
    assert ran["released"] == [True]
    assert "Association Release" in scp.output()


def test_called_ae_title(network: Network, dcmtk: Dcmtk, python_env: dict[str, str]) -> None:
    # forking, it serves the second association while the first one is there
    scp = storescp(network, dcmtk, python_env, "-d", "--fork")
    ran = run(network, python_env, "01_associate", "02_called_ae_title")
    assert [assoc["established"] for assoc in ran["associations"]] == [True, True]
    assert [assoc["echo"] for assoc in ran["associations"]] == [0x0000, 0x0000]
    assert ran["released"] == [True, True]
    assert "STORE_SCP" in scp.output()


def test_contexts_for_an_association(
    network: Network, dcmtk: Dcmtk, python_env: dict[str, str]
) -> None:
    storescp(network, dcmtk, python_env)
    ran = run(network, python_env, "03_contexts")
    (assoc,) = ran["associations"]
    assert assoc["established"]
    assert assoc["accepted"] == [VERIFICATION]
    assert assoc["echo"] == 0x0000


def test_role_selection_with_a_storage_peer(
    network: Network, dcmtk: Dcmtk, python_env: dict[str, str]
) -> None:
    storescp(network, dcmtk, python_env)
    (assoc,) = run(network, python_env, "04_role_selection")["associations"]
    assert assoc["established"]
    assert 13 + 90 < assoc["requested"] <= 128
    assert assoc["roles"] == assoc["requested"] - 13
    assert len(assoc["accepted"]) + assoc["rejected"] == assoc["requested"]
    # Storage it accepts, Query/Retrieve it does not know.
    assert len(assoc["accepted"]) > 80
    assert not any(uid.startswith(QUERY_RETRIEVE) for uid in assoc["accepted"])


def test_role_selection_with_a_query_retrieve_peer(
    network: Network, dcmtk: Dcmtk, python_env: dict[str, str]
) -> None:
    storage = network.directory / "storage"
    storage.mkdir()
    config = network.directory / "dcmqrscp.cfg"
    config.write_text(QRSCP_CONFIG.format(port=MANUAL_PORT, storage=storage))
    network.serve(
        [tool(dcmtk, "dcmqrscp"), "-v", "--single-process", "-c", str(config), str(MANUAL_PORT)],
        python_env,
    )
    (assoc,) = run(network, python_env, "04_role_selection")["associations"]
    assert assoc["established"]
    assert assoc["requested"] <= 128
    # FIND, MOVE and GET of the patient root and of the study root, and storage.
    assert sum(uid.startswith(QUERY_RETRIEVE) for uid in assoc["accepted"]) >= 6
    assert sum(not uid.startswith(QUERY_RETRIEVE) for uid in assoc["accepted"]) > 80


def test_outcomes(network: Network, dcmtk: Dcmtk, python_env: dict[str, str]) -> None:
    scp = storescp(network, dcmtk, python_env)
    (assoc,) = run(network, python_env, "05_outcomes")["associations"]
    assert assoc["released"], assoc["ended"]
    assert "Association Release" in scp.output()


@pytest.mark.parametrize("name", ["01_associate", "05_outcomes"])
def test_without_a_peer(name: str, network: Network, python_env: dict[str, str]) -> None:
    (assoc,) = run(network, python_env, name)["associations"]
    assert not assoc["established"]
    assert assoc["ended"].startswith("no connection")


@pytest.mark.parametrize("name", ["06_listen", "07_on_c_store"])
def test_listening(name: str, network: Network, dcmtk: Dcmtk, python_env: dict[str, str]) -> None:
    scp = network.serve([sys.executable, str(MANUAL / f"{name}.py")], python_env)
    echo = network.run([tool(dcmtk, "echoscu"), "-v", *PEER], python_env)
    assert echo.returncode == 0, echo.stdout
    assert "Received Echo Response" in echo.stdout
    # What the example supports is verification: a peer that would store is refused its contexts.
    store = network.run(
        [tool(dcmtk, "storescu"), "-v", *PEER, str(pydicom_file("CT_small.dcm"))], python_env
    )
    assert store.returncode != 0
    assert "No presentation context" in store.stdout or "No Acceptable" in store.stdout
    # The server is still there, and ends cleanly.
    assert network.run([tool(dcmtk, "echoscu"), *PEER], python_env).returncode == 0
    assert scp.stop(signal.SIGINT) == 0
    assert scp.output() == ""


def test_the_callback_is_called(network: Network, dcmtk: Dcmtk, python_env: dict[str, str]) -> None:
    # The example stores nothing for want of a context. With one, set by who runs the example and
    # not by its text, the callback answers.
    unrestricted = (
        "import runpy, sys; from pynetdicom import _config;"
        "_config.UNRESTRICTED_STORAGE_SERVICE = True; runpy.run_path(sys.argv[1])"
    )
    path = str(MANUAL / "07_on_c_store.py")
    scp = network.serve([sys.executable, "-c", unrestricted, path], python_env)
    store = network.run(
        [tool(dcmtk, "storescu"), "-v", *PEER, str(pydicom_file("CT_small.dcm"))], python_env
    )
    assert store.returncode == 0, store.stdout
    assert "Received Store Response (Success)" in store.stdout
    assert scp.stop(signal.SIGINT) == 0
    assert scp.output() == ""
