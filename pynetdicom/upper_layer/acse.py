"""Presentation contexts and their negotiation as values: a request in, an answer out.

PS3.8 7.1 and 9.3, PS3.7 Annex D.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pynetdicom.upper_layer.fields import checked_uid

if TYPE_CHECKING:
    from pydicom.uid import UID

RESULTS = {
    0: "Accepted",
    1: "User Rejected",
    2: "Provider Rejected",
    3: "Abstract Syntax Not Supported",
    4: "Transfer Syntax(es) Not Supported",
}
"""Result of a presentation context, PS3.8 Table 9-18."""


def _to_uid(uid: str) -> UID:
    from pydicom import config
    from pydicom.uid import UID

    # What a peer sent is shown as it is: pydicom shall not warn about it.
    return UID(uid, validation_mode=config.IGNORE)


class PresentationContextTuple(NamedTuple):
    """The accepted presentation context of a message, as handlers see it."""

    context_id: int
    abstract_syntax: UID
    transfer_syntax: UID


class PresentationContext:
    """A presentation context: a kind of object or service, and the encodings it may use.

    Parameters
    ----------
    abstract_syntax : str, bytes or pydicom.uid.UID, optional
        The abstract syntax, usually a SOP Class UID.
    transfer_syntax : sequence of str, bytes or pydicom.uid.UID, optional
        The transfer syntaxes, the preferred one first.
    context_id : int, optional
        Odd, 1 to 255.

    Attributes
    ----------
    result : int or None
        0 accepted, 1 user rejected, 2 provider rejected, 3 abstract syntax not supported,
        4 transfer syntaxes not supported; None before the negotiation.
    as_scu, as_scp : bool or None
        Whether the local side may act in that role on the accepted context.

    Notes
    -----
    PS3.8 7.1.1.13 and 9.3.2.2
    """

    __slots__ = (
        "_context_id",
        "_scp_role",
        "_scu_role",
        "abstract_uid",
        "as_scp",
        "as_scu",
        "result",
        "transfer_uids",
    )

    def __init__(
        self,
        abstract_syntax: str | bytes | None = None,
        transfer_syntax: Sequence[str | bytes] = (),
        context_id: int | None = None,
    ) -> None:
        self.abstract_uid: str = ""
        self.transfer_uids: list[str] = []
        self.result: int | None = None
        self.as_scu: bool | None = None
        self.as_scp: bool | None = None
        self._context_id: int | None = None
        self._scu_role: bool | None = None
        self._scp_role: bool | None = None
        if abstract_syntax is not None:
            self.abstract_syntax = abstract_syntax
        if transfer_syntax:
            self.transfer_syntax = transfer_syntax
        self.context_id = context_id

    @classmethod
    def from_wire(
        cls, context_id: int, abstract_uid: str, transfer_uids: Iterable[str]
    ) -> PresentationContext:
        """Return a context of what a peer sent, unchecked."""
        context = cls()
        context._context_id = context_id
        context.abstract_uid = abstract_uid
        context.transfer_uids = list(dict.fromkeys(transfer_uids))
        return context

    @property
    def context_id(self) -> int | None:
        """Get or set the presentation context ID, odd and 1 to 255 (PS3.8 9.3.2.2)."""
        return self._context_id

    @context_id.setter
    def context_id(self, value: int | None) -> None:
        if value is not None:
            if not isinstance(value, int):
                raise TypeError(f"'context_id' must be int, not {type(value).__name__!r}")
            if not 1 <= value <= 255 or value % 2 == 0:
                raise ValueError("'context_id' must be an odd integer between 1 and 255, inclusive")
        self._context_id = value

    @property
    def abstract_syntax(self) -> UID | None:
        """Get or set the abstract syntax; `abstract_uid` is the same as plain str."""
        return _to_uid(self.abstract_uid) if self.abstract_uid else None

    @abstract_syntax.setter
    def abstract_syntax(self, value: str | bytes) -> None:
        self.abstract_uid = checked_uid(value, "abstract_syntax")

    @property
    def transfer_syntax(self) -> list[UID]:
        """Get or set the transfer syntaxes; the list is a copy, see `add_transfer_syntax`."""
        return [_to_uid(uid) for uid in self.transfer_uids]

    @transfer_syntax.setter
    def transfer_syntax(self, value: Sequence[str | bytes]) -> None:
        if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
            raise TypeError("'transfer_syntax' must be a list")
        self.transfer_uids = list(dict.fromkeys(checked_uid(v, "transfer_syntax") for v in value))

    def add_transfer_syntax(self, syntax: str | bytes) -> None:
        """Append a transfer syntax, unless it is there already."""
        uid = checked_uid(syntax, "transfer_syntax")
        if uid not in self.transfer_uids:
            self.transfer_uids.append(uid)

    @property
    def scu_role(self) -> bool | None:
        """Get or set whether the requestor may be SCU, as proposed or as accepted."""
        return self._scu_role

    @scu_role.setter
    def scu_role(self, value: bool | None) -> None:
        self._scu_role = _checked_role(value, "scu_role")

    @property
    def scp_role(self) -> bool | None:
        """Get or set whether the requestor may be SCP, as proposed or as accepted."""
        return self._scp_role

    @scp_role.setter
    def scp_role(self, value: bool | None) -> None:
        self._scp_role = _checked_role(value, "scp_role")

    @property
    def status(self) -> str:
        """Return `result` in words."""
        return "Pending" if self.result is None else RESULTS.get(self.result, "Unknown")

    @property
    def as_tuple(self) -> PresentationContextTuple:
        """Return the context ID, the abstract syntax and the first transfer syntax."""
        if self._context_id is None or not self.abstract_uid or not self.transfer_uids:
            raise ValueError("The presentation context has no ID, abstract or transfer syntax yet")
        return PresentationContextTuple(
            self._context_id, _to_uid(self.abstract_uid), _to_uid(self.transfer_uids[0])
        )

    def copy(self) -> PresentationContext:
        """Return an independent copy."""
        other = PresentationContext()
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        other.transfer_uids = list(self.transfer_uids)
        return other

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PresentationContext):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash((self.abstract_uid, tuple(self.transfer_uids)))

    def __repr__(self) -> str:
        return (
            f"<PresentationContext {self._context_id}: {self.abstract_uid or None},"
            f" {self.transfer_uids}, {self.status}>"
        )

    def __str__(self) -> str:
        def named(uid: str) -> str:
            return _to_uid(uid).name

        lines = [f"Abstract Syntax: {named(self.abstract_uid)}"] if self.abstract_uid else []
        if self._context_id is not None:
            lines.insert(0, f"ID: {self._context_id}")
        if self.transfer_uids:
            lines += ["Transfer Syntax(es):", *(f"    ={named(uid)}" for uid in self.transfer_uids)]
        if self._scu_role is not None or self._scp_role is not None:
            lines.append(f"SCP/SCU Role: {self._scp_role}/{self._scu_role}")
        if self.result is not None:
            lines.append(f"Result: {self.status}")
        return "\n".join(lines)


def _checked_role(value: bool | None, name: str) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"{name!r} must be a bool or None")
    return value
