"""The DIMSE operations as primitives, which `Event.request` is one of.

They live in `pynetdicom.dimse.primitives`.
"""

from __future__ import annotations

from pynetdicom.dimse import primitives as _primitives

C_STORE = _primitives.C_STORE
C_FIND = _primitives.C_FIND
C_GET = _primitives.C_GET
C_MOVE = _primitives.C_MOVE
C_ECHO = _primitives.C_ECHO
C_CANCEL = _primitives.C_CANCEL
N_EVENT_REPORT = _primitives.N_EVENT_REPORT
N_GET = _primitives.N_GET
N_SET = _primitives.N_SET
N_ACTION = _primitives.N_ACTION
N_CREATE = _primitives.N_CREATE
N_DELETE = _primitives.N_DELETE
