"""Storage commitment with Orthanc, both ways; Debian has it as a package."""

from __future__ import annotations

import json
import os
import shutil
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    MRImageStorage,
    StorageCommitmentPushModel,
)
from pynetdicom.workflows.commitment import (
    CLASS_INSTANCE_CONFLICT,
    NO_SUCH_INSTANCE,
    Failure,
    Provider,
    Reference,
    Results,
    commit,
    reference_of,
)
from pynetdicom.workflows.providing import handlers
from tests.apps.conftest import CT, MR
from tests.conftest import find_free_port
from tests.faults.peer import until
from tests.interop.conftest import is_listening
from tests.interop.test_store_scu import numbered
from tests.peers import DEADLINE
from tests.programs import Program

OURS = "OURS"
THEIRS = "ORTHANC"


class Orthanc(NamedTuple):
    """What it is, and where."""

    port: int
    http: int
    program: Program

    def rest(self, path: str, sent: Any = None) -> Any:
        """Ask its REST API; with `sent`, by POST."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http}{path}",
            data=None if sent is None else json.dumps(sent).encode(),
        )
        with urllib.request.urlopen(request, timeout=DEADLINE) as response:
            return json.load(response)

    def report(self, path: str) -> Any:
        """The result of a request for commitment, once it is there."""
        assert until(lambda: self.rest(path)["Status"] != "Pending")
        return self.rest(path)


@pytest.fixture
def listens_at() -> int:
    """Where ours listens, which Orthanc is told when it starts."""
    return find_free_port()


@pytest.fixture
def orthanc(tmp_path: Path, listens_at: int) -> Iterator[Orthanc]:
    """Orthanc, with nothing in it."""
    command = shutil.which("Orthanc", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if command is None:
        pytest.skip("Orthanc is not installed")
    port, http = find_free_port(), find_free_port()
    config = tmp_path / "orthanc.json"
    settings = {
        "StorageDirectory": str(tmp_path / "storage"),
        "IndexDirectory": str(tmp_path / "storage"),
        "Plugins": [],
        "HttpPort": http,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": THEIRS,
        "DicomPort": port,
        "DicomCheckModalityHost": True,
        "DicomAlwaysAllowStore": False,
        "DicomModalities": {
            "ours": {
                "AET": OURS,
                "Host": "127.0.0.1",
                "Port": listens_at,
                "AllowStore": True,
                "AllowStorageCommitment": True,
            }
        },
    }
    config.write_text(json.dumps(settings))
    program = Program(
        [command, "--verbose", str(config)],
        tmp_path / "orthanc.log",
        lambda: is_listening(http) and is_listening(port),
        dict(os.environ),
    )
    yield Orthanc(port, http, program)
    program.stop()


@pytest.fixture
def ours(listens_at: int) -> Iterator[AE]:
    """A modality that is an archive too."""
    ae = AE(OURS)
    for uid in (CTImageStorage, MRImageStorage, StorageCommitmentPushModel):
        ae.add_requested_context(uid)
    ae.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    yield ae
    ae.shutdown()


def test_it_commits_itself(orthanc: Orthanc, ours: AE, listens_at: int) -> None:
    """It reports on an association of its own, where it proposes to be the SCP."""
    results = Results()
    reports: list[Any] = []

    def take(event: Any) -> Any:
        reports.append((event.assoc, event.event_type))
        return results.take(event)

    ours.start_server(
        ("127.0.0.1", listens_at), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)]
    )
    ct, mr = reference_of(CT), reference_of(MR)
    of_another_class = Reference(str(MRImageStorage), ct.sop_instance)
    many = [Reference(str(CTImageStorage), f"1.2.3.{number}") for number in range(200)]
    with ours.associate("127.0.0.1", orthanc.port, ae_title=THEIRS) as assoc:
        assert [status.Status for _, status in assoc.send_c_stores([CT])] == [0x0000]
        kept = commit(assoc, [ct], results=results, timeout=DEADLINE)
        partly = commit(assoc, [ct, mr], results=results, timeout=DEADLINE)
        none = commit(assoc, [of_another_class], results=results, timeout=DEADLINE)
        lost = commit(assoc, many, results=results, timeout=DEADLINE)
    assert (kept.committed, kept.failed, kept.is_complete) == ([ct], [], True)
    assert partly.committed == [ct]
    assert partly.failed == [Failure(mr, NO_SUCH_INSTANCE)]
    assert none.failed == [Failure(of_another_class, CLASS_INSTANCE_CONFLICT)]
    assert lost.failed == [Failure(one, NO_SUCH_INSTANCE) for one in many]
    assert partly.missing == none.missing == lost.missing == []
    assert [event_type for _, event_type in reports] == [1, 2, 2, 2]
    for own, _ in reports:
        assert own.is_acceptor
        assert own.requestor.ae_title == THEIRS
        (role,) = own.requestor.role_selection.values()
        assert (role.scu_role, role.scp_role) == (False, True)


def test_it_releases_before_the_result(orthanc: Orthanc, ours: AE, listens_at: int) -> None:
    """Ours is asked for commitment, and its result finds a way, at the first attempt."""
    checked: list[Reference] = []
    released = threading.Event()
    ct, mr = reference_of(CT), reference_of(MR)

    def check(instance: Reference) -> int:
        assert released.wait(DEADLINE)
        checked.append(instance)
        return 0 if instance == ct else NO_SUCH_INSTANCE

    where = {THEIRS: ("127.0.0.1", orthanc.port)}
    provider = Provider(ours, check, where=where.get, delays=(3600.0,))
    ours.start_server(
        ("127.0.0.1", listens_at),
        block=False,
        evt_handlers=[
            *handlers(provider),
            (evt.EVT_RELEASED, lambda event: released.set()),
        ],
    )
    try:
        for instances, status in (([ct], "Success"), ([ct, mr], "Failure"), ([mr], "Failure")):
            checked.clear()
            sent = {"DicomInstances": [list(instance) for instance in instances]}
            asked = orthanc.rest("/modalities/ours/storage-commitment", sent)
            result = orthanc.report(asked["Path"])
            assert (result["Status"], result["RemoteAET"]) == (status, OURS)
            told = [(one["SOPClassUID"], one["SOPInstanceUID"]) for one in result["Success"]]
            assert told == [one for one in instances if one == ct]
            failures = {one["SOPInstanceUID"]: one["FailureReason"] for one in result["Failures"]}
            wanted = {one.sop_instance: NO_SUCH_INSTANCE for one in instances if one != ct}
            assert failures == wanted
            assert checked == instances
        assert until(lambda: provider.outstanding == [])
    finally:
        provider.close()


def test_several_associations(orthanc: Orthanc, ours: AE, tmp_path: Path) -> None:
    paths = numbered(tmp_path, 40)
    with ours.associate("127.0.0.1", orthanc.port, ae_title=THEIRS) as assoc:
        results = list(assoc.send_c_stores(paths, associations=4))
    assert sorted(path for path, _ in results) == sorted(paths)
    assert {status.Status for _, status in results} == {0x0000}
    assert len(orthanc.rest("/instances")) == len(paths)
