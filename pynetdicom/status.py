"""Status codes of DIMSE responses, as scripts use them; the tables are in `services.statuses`.

Each status dict has the general statuses of PS3.7 Annex C and those of one service of PS3.4, as
code → (category, meaning).
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from pynetdicom.services import statuses
from pynetdicom.services.statuses import StatusDict
from pynetdicom.services.statuses import code_to_category as code_to_category

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

STATUS_SUCCESS: Final = statuses.SUCCESS
STATUS_PENDING: Final = statuses.PENDING
STATUS_CANCEL: Final = statuses.CANCEL
STATUS_WARNING: Final = statuses.WARNING
STATUS_FAILURE: Final = statuses.FAILURE
STATUS_UNKNOWN: Final = statuses.UNKNOWN

# Made on first use: some have more than 4,000 entries.
APPLICATION_EVENT_LOGGING_SERVICE_CLASS_STATUS: StatusDict
GENERAL_STATUS: StatusDict
MEDIA_CREATION_MANAGEMENT_SERVICE_CLASS_STATUS: StatusDict
MODALITY_WORKLIST_SERVICE_CLASS_STATUS: StatusDict
NON_PATIENT_SERVICE_CLASS_STATUS: StatusDict
PRINT_JOB_MANAGEMENT_SERVICE_CLASS_STATUS: StatusDict
PROCEDURE_STEP_STATUS: StatusDict
QR_FIND_SERVICE_CLASS_STATUS: StatusDict
QR_GET_SERVICE_CLASS_STATUS: StatusDict
QR_MOVE_SERVICE_CLASS_STATUS: StatusDict
RELEVANT_PATIENT_SERVICE_CLASS_STATUS: StatusDict
RT_MACHINE_VERIFICATION_SERVICE_CLASS_STATUS: StatusDict
STORAGE_COMMITMENT_SERVICE_CLASS_STATUS: StatusDict
STORAGE_MANAGEMENT_SERVICE_CLASS_STATUS: StatusDict
STORAGE_SERVICE_CLASS_STATUS: StatusDict
SUBSTANCE_ADMINISTRATION_SERVICE_CLASS_STATUS: StatusDict
UNIFIED_PROCEDURE_STEP_SERVICE_CLASS_STATUS: StatusDict
VERIFICATION_SERVICE_CLASS_STATUS: StatusDict


def _get(name: str) -> StatusDict:
    if name not in statuses.TABLES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return statuses.status_dict(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *statuses.TABLES})


if not TYPE_CHECKING:
    __getattr__ = _get
    __all__ = ["Status", "code_to_category", "code_to_status", *statuses.TABLES]  # noqa: PLE0604
    __all__ += [name for name in globals() if name.startswith("STATUS_")]


class Status(IntEnum):
    """Status codes by name.

    More can be added with `add`, and are then used like the others: ``Status.UNABLE_TO_PROCESS``.
    """

    SUCCESS = 0x0000
    CANCEL = 0xFE00
    PENDING = 0xFF00
    MOVE_DESTINATION_UNKNOWN = 0xA801

    @classmethod
    def add(cls, name: str, code: int) -> None:
        """Add a member; a `code` that has a name gets another one.

        Raises
        ------
        ValueError
            If `name` is no identifier or is taken, or `code` is not a status code.
        """
        if not name.isidentifier() or hasattr(cls, name):
            if cls.__members__.get(name) == code:
                return
            raise ValueError(f"{name!r} cannot be a new name of a status")
        if not 0 <= code <= 0xFFFF:
            raise ValueError(f"a status code is 0 to 0xFFFF, not {code}")
        member = cls._value2member_map_.get(code)
        if member is None:
            member = int.__new__(cls, code)
            member._name_ = name
            member._value_ = code
            cls._value2member_map_[code] = member
            cls._member_names_.append(name)
        # The enum's own bookkeeping: it has no public way to grow.
        type.__setattr__(cls, name, member)
        cls._member_map_[name] = member


def code_to_status(code: int) -> Dataset:
    """Return a dataset with the Status `code` and nothing else (PS3.7 Annex C).

    Raises
    ------
    ValueError
        If `code` is not an int of 0 or more.
    """
    from pydicom.dataset import Dataset

    code_to_category(code)
    status = Dataset()
    status.Status = int(code)
    return status
