"""SOP Class UID → service class and operations.

The service classes list their SOP Classes, and storage the usual ones. Those answer without
pydicom, which takes as long to import as hundreds of images take to send. Whatever else the
standard has comes from pydicom's UID dictionary by rule, with what that dictionary lacks added.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from keyword import iskeyword

from pynetdicom.services import classes
from pynetdicom.services.classes import ServiceClass, StorageServiceClass
from pynetdicom.uids import ROOT, Row, registered, registrations, standard_names, uid_dictionary

MEDIA_STORAGE_DIRECTORY = ROOT + "1.3.10"
"""Named like a storage class, but of media: it is never sent by itself (PS3.3 F)."""

_LATE = [ROOT + f"5.1.4.1.1.2.{n}" for n in (3, 4, 5)]
"""Storage, but younger than the list of 170 that scripts know as all storage classes."""

_STORAGE_KEYWORD = re.compile(r".*Storage(ForPresentation|ForProcessing|Retired|Trial)?")

_known: dict[str, tuple[type[ServiceClass], tuple[str, ...]]] = {
    uid: (service_class, operations)
    for service_class in classes.SERVICE_CLASSES
    for uid, operations in service_class.sop_classes.items()
}
_known[MEDIA_STORAGE_DIRECTORY] = (ServiceClass, ())


def _is_storage_row(row: Row) -> bool:
    return row[1] == "SOP Class" and _STORAGE_KEYWORD.fullmatch(row[4]) is not None


def _lookup(uid: str) -> tuple[type[ServiceClass], tuple[str, ...]]:
    known = _known.get(uid)
    if known is not None:
        return known
    # No UID outside the standard's root is in the dictionary: a private one costs no import.
    row = uid_dictionary().get(uid) if uid.startswith(ROOT) else None
    return (
        (StorageServiceClass, classes.STORE) if row and _is_storage_row(row) else (ServiceClass, ())
    )


def declared(uid: str) -> tuple[type[ServiceClass], tuple[str, ...]] | None:
    """Return service class and operations of a SOP Class UID that is in a table, or registered.

    Those that are known by rule alone are of storage; to apply the rule takes pydicom.
    """
    return _known.get(uid)


def service_class_of(uid: str) -> type[ServiceClass]:
    """Return the service class of a SOP Class UID; `ServiceClass` when there is none."""
    return _lookup(uid)[0]


def operations(uid: str) -> tuple[str, ...]:
    """Return the DIMSE operations of a SOP Class UID, such as ``("C-STORE",)``."""
    return (_known.get(uid) or _lookup(uid))[1]


def types(uid: str, operation: str) -> Collection[int] | None:
    """Return the type IDs of the actions, or events, of a SOP Class; None if it may be any."""
    return service_class_of(uid).types.get(uid, {}).get(operation)


def members(uid: str) -> tuple[str, ...] | None:
    """Return the SOP Classes that a Meta SOP Class stands for; None if `uid` is none."""
    return service_class_of(uid).members.get(uid)


def is_storage(uid: str) -> bool:
    """Return whether objects of this SOP Class are stored by C-STORE."""
    return "C-STORE" in _lookup(uid)[1]


@cache
def all_storage() -> tuple[str, ...]:
    """Return the storage classes of PS3.4 Annex B that are not retired, the most used first."""
    others = {
        MEDIA_STORAGE_DIRECTORY,
        *_LATE,
        *classes.NonPatientObjectStorageServiceClass.sop_classes,
    }
    current = [
        uid
        for uid, row in uid_dictionary().items()
        # Classes of DICOS and DICONDE have an info; they are not PS3.4's.
        if _is_storage_row(row) and not row[2] and not row[3] and uid not in others
    ]
    current.sort(key=lambda uid: [int(part) for part in uid.split(".")])
    usual = [uid for uid in StorageServiceClass.sop_classes if uid in current]
    return tuple(dict.fromkeys(usual + current))


def is_named(uid: str) -> bool:
    """Return whether `uid` is of the standard or has been registered."""
    return uid in _known or uid in uid_dictionary()


def is_sop_instance(uid: str) -> bool:
    """Return whether `uid` is a well-known SOP Instance of the standard."""
    row = uid_dictionary().get(uid)
    return row is not None and row[1] == "Well-known SOP Instance"


def register_uid(
    uid: str, keyword: str, service_class: type[ServiceClass], dimse_msg_type: str = ""
) -> None:
    """Make a private or new SOP Class known, so that it is served like the others.

    Parameters
    ----------
    uid : str
        The SOP Class UID.
    keyword : str
        The name it gets in `pynetdicom.sop_class`.
    service_class : type
        The service class it belongs to, such as `StorageServiceClass`, or a subclass of one.
    dimse_msg_type : str
        ``"C-FIND"``, ``"C-GET"`` or ``"C-MOVE"``, for a service class that has several of them. A
        service class of N-services gives it all of its operations, and any types of actions and
        events.

    Raises
    ------
    TypeError
        If `service_class` is not a subclass of `ServiceClass`.
    ValueError
        If `keyword` is not an identifier or is another UID's in the standard, or `dimse_msg_type`
        is missing.
    """
    if not keyword.isidentifier() or iskeyword(keyword):
        raise ValueError(f"the keyword {keyword!r} is not a Python identifier")
    if standard_names().get(keyword, uid) != uid:
        raise ValueError(f"the keyword {keyword!r} is that of {standard_names()[keyword]}")
    given: object = service_class
    if not isinstance(given, type) or not issubclass(given, ServiceClass):
        raise TypeError(f"'service_class' must be a subclass of ServiceClass, not {given!r}")
    allowed = service_class.operations
    choices = [name for name in allowed if name in classes.SEVERAL]
    if len(choices) > 1:
        if dimse_msg_type not in choices:
            raise ValueError(
                f"'dimse_msg_type' must be one of {', '.join(choices)}"
                f" to register a UID with {service_class.__name__}"
            )
        allowed = (dimse_msg_type,)
    _known[str(uid)] = (service_class, allowed)
    registered[keyword] = str(uid)
    registrations.append(str(uid))
