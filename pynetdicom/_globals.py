"""Constants under the name by which scripts import them; each has its home elsewhere."""

from __future__ import annotations

from pynetdicom.presentation import ALL_TRANSFER_SYNTAXES as ALL_TRANSFER_SYNTAXES
from pynetdicom.presentation import DEFAULT_TRANSFER_SYNTAXES as DEFAULT_TRANSFER_SYNTAXES
from pynetdicom.status import STATUS_CANCEL as STATUS_CANCEL
from pynetdicom.status import STATUS_FAILURE as STATUS_FAILURE
from pynetdicom.status import STATUS_PENDING as STATUS_PENDING
from pynetdicom.status import STATUS_SUCCESS as STATUS_SUCCESS
from pynetdicom.status import STATUS_UNKNOWN as STATUS_UNKNOWN
from pynetdicom.status import STATUS_WARNING as STATUS_WARNING
from pynetdicom.upper_layer.items import DEFAULT_MAX_LENGTH as DEFAULT_MAX_LENGTH
from pynetdicom.upper_layer.pdu import APPLICATION_CONTEXT

APPLICATION_CONTEXT_NAME = APPLICATION_CONTEXT
MODE_ACCEPTOR = "acceptor"
MODE_REQUESTOR = "requestor"
