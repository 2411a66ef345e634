"""The pytest plugin: cheap where it is not used, and the same however often it is loaded."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests import warm
from tests.conftest import ROOT

PLUGIN = ("-p", "pynetdicom.testing.plugin")

USES = """
    from pynetdicom import AE
    from pynetdicom.sop_class import CTImageStorage, Verification

    def test_all(dicom_scp, mock_pacs, dicom_factory, scripted_peer, dicom_tls):
        ae = AE("ME")
        ae.add_requested_context(Verification)
        ae.add_requested_context(CTImageStorage)
        assoc = ae.associate(*dicom_scp.address)
        assert assoc.send_c_store(dicom_factory()).Status == 0x0000
        assoc.release()
        assert dicom_scp.stored[0].dataset.PatientName == "Factory^Test"
        assert ae.associate(*mock_pacs.address).is_established
        with scripted_peer.connect(dicom_scp.address) as peer:
            peer.send("A-ASSOCIATE-RQ")
            peer.expect("A-ASSOCIATE-AC")
            peer.send("A-ABORT")
        assert dicom_tls.client
        ae.shutdown()
"""


def run(folder: Path, code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a test module with a pytest of its own."""
    (folder / "test_it.py").write_text(textwrap.dedent(code))
    return warm.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "."],
        cwd=folder,
        env=ENV,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


ENV: dict[str, str] = {}


@pytest.fixture(autouse=True)
def here(python_env: dict[str, str]) -> None:
    ENV.update(python_env)


@pytest.mark.parametrize(
    "options",
    [
        (),
        pytest.param(PLUGIN, marks=pytest.mark.slow),
        pytest.param(("-n", "2"), marks=pytest.mark.slow),
        pytest.param(("--assert=plain",), marks=pytest.mark.slow),
    ],
    ids=["once", "twice", "xdist", "plain"],
)
def test_every_fixture_works(tmp_path: Path, options: tuple[str, ...]) -> None:
    done = run(tmp_path, USES, *PLUGIN, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


FAILS = """
    def mistaken(request):
        raise LookupError("my own mistake")

    def test_it(dicom_scp, scripted_peer):
        dicom_scp.respond(mistaken)
        peer = scripted_peer.connect(dicom_scp.address)
        peer.send("A-ASSOCIATE-RQ")
        peer.expect("A-ASSOCIATE-AC")
        peer.send("C-ECHO-RQ")
        peer.expect("C-ECHO-RSP")
        peer.send("A-ABORT")
"""


def test_what_fails_on_a_thread_fails_the_test(tmp_path: Path) -> None:
    done = run(tmp_path, FAILS, *PLUGIN)
    assert done.returncode == 1
    assert "LookupError: my own mistake" in done.stdout
    assert "raised by what was to answer a C-ECHO-RQ" in done.stdout


# The entry point is that of the copy that is installed: here it is made up.
AS_INSTALLED = """
    import importlib.metadata
    import sys

    class Installed(importlib.metadata.Distribution):
        def read_text(self, name):
            texts = {
                "METADATA": "Name: made-up",
                "entry_points.txt": "[pytest11]\\n"
                "pynetdicom.testing.plugin = pynetdicom.testing.plugin\\n",
            }
            return texts.get(name)

        def locate_file(self, path):
            return path

    class Finder(importlib.metadata.DistributionFinder):
        def find_spec(self, *args):
            return None

        def find_distributions(self, context=None):
            return [Installed()]

    sys.meta_path.append(Finder())
    import pytest

    code = pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:], "test_it.py"])
    for name in ("pydicom", "pynetdicom.ae", "pynetdicom.testing.scp", "socket", "ssl"):
        print(name, name in sys.modules)
    sys.exit(code)
"""
LEAVES_IT_ALONE = """
    import sys

    def test_it(pytestconfig):
        names = [name for name, _ in pytestconfig.pluginmanager.list_name_plugin()]
        assert names.count("pynetdicom.testing.plugin") == 1
        heavy = ("pydicom", "pynetdicom.ae", "pynetdicom.testing.scp")
        assert [name for name in heavy if name in sys.modules] == []
"""


@pytest.mark.parametrize("options", [(), PLUGIN], ids=["entry point", "and -p"])
def test_a_test_that_does_not_use_it_does_not_pay(options: tuple[str, ...], tmp_path: Path) -> None:
    """Not for pydicom, and not for ours; and it may be loaded twice."""
    (tmp_path / "test_it.py").write_text(textwrap.dedent(LEAVES_IT_ALONE))
    (tmp_path / "start.py").write_text(textwrap.dedent(AS_INSTALLED))
    done = subprocess.run(
        [sys.executable, "-W", "error", "start.py", *options],
        cwd=tmp_path,
        env=ENV,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert "pydicom False" in done.stdout


def test_outside_of_pytest_it_is_not_needed(tmp_path: Path) -> None:
    code = """
        import sys
        sys.modules["pytest"] = None
        from pynetdicom.testing import DicomFactory, DicomSCP, MockPACS, ScriptedPeer, tls_pair
        with DicomSCP() as scp, MockPACS(DicomFactory().study()) as pacs:
            with ScriptedPeer.connect(pacs.address) as peer:
                peer.send("A-ASSOCIATE-RQ")
                peer.expect("A-ASSOCIATE-AC")
    """
    (tmp_path / "it.py").write_text(textwrap.dedent(code))
    done = warm.run(
        [sys.executable, "it.py"],
        cwd=tmp_path,
        env=ENV,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_nothing_else_imports_it() -> None:
    found = [
        path
        for path in (ROOT / "pynetdicom").rglob("*.py")
        if path.parent.name != "testing" and "pynetdicom.testing" in path.read_text()
    ]
    assert found == []
