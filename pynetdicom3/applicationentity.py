"""The application entity as version 0.9 had it: SOP Classes and transfer syntaxes when it is made.

A translation and nothing else: what it is asked for, the library's own AE does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pynetdicom.ae import ApplicationEntity as _ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.presentation import DEFAULT_TRANSFER_SYNTAXES, PresentationContext


class ApplicationEntity(_ApplicationEntity):
    """A DICOM application entity, as SCU and as SCP.

    Parameters
    ----------
    scu_sop_class, scp_sop_class : optional
        What is requested, what is supported: a SOP Class, or a list of SOP Classes and such lists.
    transfer_syntax : optional
        One or several, for each of them; default `DEFAULT_TRANSFER_SYNTAXES`.
    """

    def __init__(
        self,
        ae_title: str | bytes = "PYNETDICOM",
        port: int = 0,
        scu_sop_class: Any = None,
        scp_sop_class: Any = None,
        transfer_syntax: Any = None,
    ) -> None:
        super().__init__(ae_title, port)
        syntaxes = list(_uids(transfer_syntax)) or DEFAULT_TRANSFER_SYNTAXES
        for uid in dict.fromkeys(_uids(scu_sop_class)):
            self.add_requested_context(uid, syntaxes)
        for uid in dict.fromkeys(_uids(scp_sop_class)):
            self.add_supported_context(uid, syntaxes)

    def associate(self, addr: Any, port: int, *args: Any, **kwargs: Any) -> Association:
        """Request an association with a peer; the third argument may be the peer's AE title."""
        from pynetdicom.association.response_status import ResponseStatus

        # Not before it is needed, since the class comes with pydicom. None without a response.
        code = property(lambda status: status.get("Status"))
        ResponseStatus.code = code  # type: ignore[attr-defined]  # a name of that version alone
        if args and isinstance(args[0], (str, bytes)):
            args = (None, *args)
        return super().associate(addr, port, *args, **kwargs)


AE = ApplicationEntity


def _uids(given: Any) -> Iterator[str]:
    """The UIDs of a SOP Class or transfer syntax, or of lists of them, within each other too."""
    if isinstance(given, PresentationContext):
        yield given.abstract_uid
    elif isinstance(given, (str, bytes)):
        yield given if isinstance(given, str) else given.decode("ascii")
    elif hasattr(given, "UID"):
        yield str(given.UID)
    elif isinstance(given, Iterable):
        for one in given:
            yield from _uids(one)
    elif given is not None:
        raise TypeError(f"{given!r} is neither a UID nor a list of them")
