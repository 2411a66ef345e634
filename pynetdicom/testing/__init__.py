"""Everything to test one's own DICOM code with, in pytest and outside of it.

Each of these is a context manager that listens on a free port of 127.0.0.1, and of each there is a
pytest fixture, which need not be imported: the plugin comes with the package.

===================  ============================================================================
fixture              the same, outside of pytest
===================  ============================================================================
``dicom_scp``        `DicomSCP`: takes everything, keeps it, answers and errs as it is told
``mock_pacs``        `MockPACS`: the same, and answers C-FIND, C-GET, C-MOVE and worklists from
                     a folder or a list of data sets
``dicom_factory``    `DicomFactory`: makes small, valid instances of any storage SOP Class
``scripted_peer``    `ScriptedPeer`: says and expects PDU after PDU, as acceptor or requestor
``dicom_tls``        `tls_pair`: TLS contexts of a server and a client that know each other
===================  ============================================================================

A sender that has to try again::

    def test_that_it_tries_again(dicom_scp, dicom_factory):
        dicom_scp.respond(0xA700, times=1)  # out of resources
        dicom_scp.fault("abort in mid-message", skip=1, times=1)
        send(dicom_factory("CTImageStorage"), to=dicom_scp.address)
        assert [r.status for r in dicom_scp.stored] == [0xA700, 0x0000]
        assert dicom_scp.received[0].calling_ae_title == "MY_SCU"
        assert dicom_scp.received[0].dataset.PatientName == "Factory^Test"

A query and a retrieve::

    def test_that_it_pulls(mock_pacs, dicom_factory, tmp_path):
        mock_pacs.add(dicom_factory.study(series=2, instances=3, PatientID="1"))
        pull(mock_pacs.address, patient_id="1", into=tmp_path)
        assert len(list(tmp_path.iterdir())) == 6

The same without pytest::

    from pynetdicom import testing

    with testing.DicomSCP() as scp:
        send(instance, to=scp.address)
        scp.wait_for(1)

`FAULTS` has all faults by name. What fails on a thread of the kit, such as a callable given to
`respond`, is raised where the context ends.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pynetdicom.testing.factory import DicomFactory as DicomFactory
    from pynetdicom.testing.faults import FAULTS as FAULTS
    from pynetdicom.testing.faults import Fault as Fault
    from pynetdicom.testing.pacs import MockPACS as MockPACS
    from pynetdicom.testing.pdus import Message as Message
    from pynetdicom.testing.peers import ScriptedPeer as ScriptedPeer
    from pynetdicom.testing.peers import Unexpected as Unexpected
    from pynetdicom.testing.plugin import ScriptedPeers as ScriptedPeers
    from pynetdicom.testing.records import ReceivedAssociation as ReceivedAssociation
    from pynetdicom.testing.records import ReceivedRequest as ReceivedRequest
    from pynetdicom.testing.scp import DicomSCP as DicomSCP
    from pynetdicom.testing.tls import TLSPair as TLSPair
    from pynetdicom.testing.tls import tls_pair as tls_pair

# Loaded on first use: pytest imports this package, for its plugin, whoever needs it or not.
_MODULES = {
    "DicomFactory": "factory",
    "DicomSCP": "scp",
    "FAULTS": "faults",
    "Fault": "faults",
    "Message": "pdus",
    "MockPACS": "pacs",
    "ReceivedAssociation": "records",
    "ReceivedRequest": "records",
    "ScriptedPeer": "peers",
    "ScriptedPeers": "plugin",
    "TLSPair": "tls",
    "Unexpected": "peers",
    "tls_pair": "tls",
}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
