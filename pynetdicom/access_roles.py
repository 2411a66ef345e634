"""What access rules allow: roles, and which operation of which service class takes which."""

from __future__ import annotations

from collections.abc import Iterable

from pynetdicom.services import classes, registry

ROLES: dict[str, str] = {
    "echo": "C-ECHO",
    "store": "C-STORE",
    "query": "C-FIND, but for those below",
    "get": "C-GET",
    "move": "C-MOVE",
    "worklist": "C-FIND of Basic Worklist Management",
    "commitment": "Storage Commitment",
    "mpps": "Modality Performed Procedure Step",
    "ups": "Unified Procedure Step, its C-FIND too",
    "print": "Print Management",
    "other": "the N-services of all others",
}
"""What a rule may allow, and what of."""

GROUPS: dict[str, tuple[str, ...]] = {
    "find": ("query", "worklist"),
    "retrieve": ("get", "move"),
    "all": tuple(ROLES),
}
"""Words for several of them."""

_OF_OPERATION = {"C-ECHO": "echo", "C-STORE": "store", "C-GET": "get", "C-MOVE": "move"}
_OF_SERVICE: dict[type, str] = {
    classes.BasicWorklistManagementServiceClass: "worklist",
    classes.StorageCommitmentServiceClass: "commitment",
    classes.ProcedureStepServiceClass: "mpps",
    classes.UnifiedProcedureStepServiceClass: "ups",
    classes.PrintManagementServiceClass: "print",
}


def roles(names: str | Iterable[str]) -> frozenset[str]:
    """Give the roles that are meant by some of `ROLES` and `GROUPS`.

    Raises
    ------
    ValueError
        There is no such role.
    """
    found: set[str] = set()
    for name in (names,) if isinstance(names, str) else names:
        if name not in ROLES and name not in GROUPS:
            raise ValueError(f"{name!r} is none of {', '.join((*ROLES, *GROUPS))}")
        found.update(GROUPS.get(name, (name,)))
    return frozenset(found)


def role_of(sop_class: str, operation: str) -> str:
    """Give the role that an operation such as ``"C-FIND"`` of a SOP Class takes."""
    role = _OF_OPERATION.get(operation)
    if role is not None:
        return role
    for one in registry.service_class_of(sop_class).__mro__:
        if one in _OF_SERVICE:
            return _OF_SERVICE[one]
    return "query" if operation == "C-FIND" else "other"
