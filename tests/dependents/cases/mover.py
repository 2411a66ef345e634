"""A move SCP for packages whose identifiers name an instance by its UID alone.

``qrscp`` refuses such ones, and DCMTK's archive finds nothing: both want the levels above, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from given import ARCHIVE, DESTINATION, FILES, HOST, LISTEN
from pydicom import dcmread

from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    MRImageStorage,
    PatientRootQueryRetrieveInformationModelMove,
)


def handle_move(event: Any) -> Iterator[Any]:
    """Move a study, or a series."""
    assert event.move_destination == DESTINATION
    keyword = f"{event.identifier.QueryRetrieveLevel.title()}InstanceUID"
    datasets = [dcmread(path) for path in FILES]
    asked = [ds for ds in datasets if ds[keyword].value == event.identifier[keyword].value]
    yield HOST, LISTEN
    yield len(asked)
    for ds in asked:
        yield 0xFF00, ds


def start() -> Any:
    """Have one listen."""
    ae = AE(ARCHIVE)
    ae.add_requested_context(CTImageStorage)
    ae.add_requested_context(MRImageStorage)
    ae.add_supported_context(PatientRootQueryRetrieveInformationModelMove)
    return ae.start_server((HOST, 0), block=False, evt_handlers=[(evt.EVT_C_MOVE, handle_move)])
