"""The pytest plugin: the fixtures of the test kit, which pytest finds by its entry point.

Nothing of DICOM is imported before a test asks for a fixture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pynetdicom.testing.factory import DicomFactory
    from pynetdicom.testing.listening import Listener
    from pynetdicom.testing.pacs import MockPACS
    from pynetdicom.testing.peers import ScriptedPeer
    from pynetdicom.testing.scp import DicomSCP
    from pynetdicom.testing.tls import TLSPair


@pytest.fixture
def dicom_scp() -> Iterator[DicomSCP]:
    """An SCP on a free port that takes everything, keeps what came, and errs as it is told."""
    from pynetdicom.testing.scp import DicomSCP

    with DicomSCP() as scp:
        yield scp


@pytest.fixture
def mock_pacs() -> Iterator[MockPACS]:
    """A PACS on a free port that finds, sends and takes; `mock_pacs.add` gives it instances."""
    from pynetdicom.testing.pacs import MockPACS

    with MockPACS() as pacs:
        yield pacs


@pytest.fixture
def dicom_factory(request: pytest.FixtureRequest) -> DicomFactory:
    """Makes small instances of any storage SOP Class, the same each time the test is run."""
    from pynetdicom.testing.factory import DicomFactory

    return DicomFactory(request.node.nodeid)


class ScriptedPeers:
    """Makes scripted peers, and ends them with the test."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def listen(self, script: Callable[[ScriptedPeer], object], **options: Any) -> Listener:
        """Be the acceptor, see `ScriptedPeer.listen`."""
        from pynetdicom.testing.peers import ScriptedPeer

        return self._stack.enter_context(ScriptedPeer.listen(script, **options))

    def connect(self, address: tuple[Any, ...], **options: Any) -> ScriptedPeer:
        """Be the requestor, see `ScriptedPeer.connect`."""
        from pynetdicom.testing.peers import ScriptedPeer

        return self._stack.enter_context(ScriptedPeer.connect(address, **options))


@pytest.fixture
def scripted_peer() -> Iterator[ScriptedPeers]:
    """ScriptedPeers that say and expect PDU after PDU: `listen(script)` and `connect(address)`."""
    with ExitStack() as stack:
        yield ScriptedPeers(stack)


@pytest.fixture(scope="session")
def dicom_tls() -> TLSPair:
    """TLS contexts of a server and a client that know each other."""
    from pynetdicom.testing.tls import tls_pair

    return tls_pair()
