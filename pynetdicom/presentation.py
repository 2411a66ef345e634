"""Presentation contexts to propose or support: builders, and lists that are ready to use.

Each access to a list makes a new one of new contexts, so that what one part of a program does to
them no other part sees. Keep the list in a variable of your own to change it::

    from pynetdicom import StoragePresentationContexts

    contexts = StoragePresentationContexts[:20]

The lists of transfer syntaxes are plain lists of str; `build_context` uses
`DEFAULT_TRANSFER_SYNTAXES` as it is when called.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pynetdicom.uids import abstract_syntax_uid
from pynetdicom.upper_layer.contexts import (
    MAXIMUM_CONTEXTS,
    PresentationContext,
    PresentationContextTuple,
    negotiate_as_acceptor,
    negotiate_as_requestor,
    negotiate_unrestricted,
)
from pynetdicom.upper_layer.items import SCP_SCU_RoleSelectionNegotiation

if TYPE_CHECKING:
    from pynetdicom.planning import build_contexts_for, plan_associations
    from pynetdicom.services.classes import ServiceClass

DEFAULT_TRANSFER_SYNTAXES: list[str] = [
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2.1.99",  # Deflated Explicit VR Little Endian
    "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
]
"""The uncompressed transfer syntaxes, which data sets can be converted between."""

TO_RECEIVE = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2")
"""What is proposed in one context for what is not compressed, when instances are to be received."""

# Lossless JPEG, JPEG 2000, JPEG-LS, RLE, baseline JPEG: what archives are full of.
OFTEN = tuple(f"1.2.840.10008.1.2.{number}" for number in ["4.70", "4.90", "4.80", "5", "4.50"])

ToReceive = tuple[str, list[str]]
"""SOP Class UID and transfer syntax UIDs of a context."""

ALL_TRANSFER_SYNTAXES: list[str] = [
    *DEFAULT_TRANSFER_SYNTAXES,
    *(
        f"1.2.840.10008.1.2.{number}"
        for row in (
            "4.50 4.51 4.57 4.70",  # JPEG
            "4.80 4.81",  # JPEG-LS
            "4.90 4.91 4.92 4.93 4.94 4.95",  # JPEG 2000, JPIP
            "4.100 4.100.1 4.101 4.101.1",  # MPEG2
            "4.102 4.102.1 4.103 4.103.1 4.104 4.104.1 4.105 4.105.1 4.106 4.106.1",  # MPEG-4
            "4.107 4.108",  # HEVC
            "4.110 4.111 4.112",  # JPEG XL
            "4.201 4.202 4.203 4.204 4.205",  # HTJ2K
            "5",  # RLE
            "7.1 7.2 7.3",  # SMPTE ST 2110
            "8.1",  # deflated frames
        )
        for number in row.split()
    ),
]
"""The transfer syntaxes of PS3.5 that are not retired, and Explicit VR Big Endian.

Without Encapsulated Uncompressed Explicit VR Little Endian, which is rare.
"""

AllStoragePresentationContexts: list[PresentationContext]
ApplicationEventLoggingPresentationContexts: list[PresentationContext]
BasicWorklistManagementPresentationContexts: list[PresentationContext]
ColorPalettePresentationContexts: list[PresentationContext]
DefinedProcedureProtocolPresentationContexts: list[PresentationContext]
DisplaySystemPresentationContexts: list[PresentationContext]
HangingProtocolPresentationContexts: list[PresentationContext]
ImplantTemplatePresentationContexts: list[PresentationContext]
InstanceAvailabilityPresentationContexts: list[PresentationContext]
InventoryPresentationContexts: list[PresentationContext]
MediaCreationManagementPresentationContexts: list[PresentationContext]
MediaStoragePresentationContexts: list[PresentationContext]
ModalityPerformedPresentationContexts: list[PresentationContext]
NonPatientObjectPresentationContexts: list[PresentationContext]
PrintManagementPresentationContexts: list[PresentationContext]
ProcedureStepPresentationContexts: list[PresentationContext]
ProtocolApprovalPresentationContexts: list[PresentationContext]
QueryRetrievePresentationContexts: list[PresentationContext]
RelevantPatientInformationPresentationContexts: list[PresentationContext]
RTMachineVerificationPresentationContexts: list[PresentationContext]
StoragePresentationContexts: list[PresentationContext]
StorageCommitmentPresentationContexts: list[PresentationContext]
StorageManagementPresentationContexts: list[PresentationContext]
SubstanceAdministrationPresentationContexts: list[PresentationContext]
UnifiedProcedurePresentationContexts: list[PresentationContext]
VerificationPresentationContexts: list[PresentationContext]

_SUFFIX = "PresentationContexts"
_OTHERS = {"ModalityPerformed": "ProcedureStep"}

CONTEXT_LISTS: tuple[str, ...] = tuple(
    sorted(name for name in __annotations__ if name.endswith(_SUFFIX))
)
"""The names of the lists of presentation contexts."""


def abstract_syntaxes(name: str) -> Iterable[str]:
    """Return the abstract syntaxes of the list `name`, one of `CONTEXT_LISTS`.

    Raises
    ------
    KeyError
        If there is no such list.
    """
    if name not in CONTEXT_LISTS:
        raise KeyError(name)
    group = name.removesuffix(_SUFFIX)
    from pynetdicom.services import classes, registry

    if group == "AllStorage":
        return registry.all_storage()
    if group == "MediaStorage":
        return (registry.MEDIA_STORAGE_DIRECTORY,)
    # The service class is called like the list, with one of these words more.
    words = ("", "Management", "Notification", "Query", "QueryRetrieve", "Step", "Storage")
    names = (f"{_OTHERS.get(group, group)}{word}ServiceClass" for word in words)
    found: type[ServiceClass] = next(getattr(classes, n) for n in names if hasattr(classes, n))
    return found.sop_classes


def __dir__() -> list[str]:
    return sorted({*globals(), *CONTEXT_LISTS})


if not TYPE_CHECKING:  # for whom there are just the names that are declared

    def __getattr__(name: str) -> Any:
        if name in ("build_contexts_for", "plan_associations"):  # which read files
            from pynetdicom import planning

            return getattr(planning, name)
        if name not in CONTEXT_LISTS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return [build_context(uid) for uid in abstract_syntaxes(name)]


def build_context(
    abstract_syntax: str | bytes, transfer_syntax: str | bytes | Sequence[str | bytes] | None = None
) -> PresentationContext:
    """Return a presentation context to propose or support.

    Parameters
    ----------
    abstract_syntax : str or pydicom.uid.UID
        The abstract syntax, usually a SOP Class: its UID, or its keyword such as
        ``"CTImageStorage"``.
    transfer_syntax : str or pydicom.uid.UID or sequence of them, optional
        The transfer syntaxes, by UID or keyword such as ``"JPEGBaseline8Bit"``, the preferred one
        first; default `DEFAULT_TRANSFER_SYNTAXES`.

    Raises
    ------
    TypeError
        One of them is neither str nor bytes.
    ValueError
        One of them is neither a UID nor a keyword; the message names those like it.

    Notes
    -----
    PS3.8 7.1.1.13
    """
    if transfer_syntax is None:
        transfer_syntax = DEFAULT_TRANSFER_SYNTAXES
    elif isinstance(transfer_syntax, (str, bytes)):
        transfer_syntax = [transfer_syntax]
    return PresentationContext(abstract_syntax_uid(abstract_syntax), transfer_syntax)


def build_role(
    uid: str, scu_role: bool = False, scp_role: bool = False
) -> SCP_SCU_RoleSelectionNegotiation:
    """Return an item for `ext_neg` that proposes roles for a SOP Class.

    Parameters
    ----------
    uid : str or pydicom.uid.UID
        The SOP Class: its UID or its keyword.
    scu_role, scp_role : bool
        Whether the requestor proposes to be SCU, to be SCP.

    Notes
    -----
    PS3.7 D.3.3.4
    """
    sop_class_uid = abstract_syntax_uid(uid, "uid")
    return SCP_SCU_RoleSelectionNegotiation(sop_class_uid, scu_role, scp_role)


def compressed_syntaxes() -> list[str]:
    """Give the transfer syntaxes of compressed images, those in frequent use first."""
    # Deflated is none of them: a peer that chose it of several could send no image as it is. What
    # is stored so can be sent uncompressed.
    known = [uid for uid in map(str, ALL_TRANSFER_SYNTAXES) if uid not in DEFAULT_TRANSFER_SYNTAXES]
    return [*OFTEN, *(uid for uid in known if uid not in OFTEN)]


def spread(classes: Sequence[str], room: int) -> Iterator[ToReceive]:
    """Give so many contexts to SOP Classes, more to the first ones if they cannot be equal.

    Of each context the peer chooses one transfer syntax, and it may be unable to convert to that
    what it has: so each compressed one has a context of its own, as far as they go.
    """
    compressed = compressed_syntaxes()
    share, more = divmod(room - len(classes), len(classes))
    for number, uid in enumerate(classes):
        yield uid, list(TO_RECEIVE)
        count = min(share + (number < more), len(compressed))
        if count:
            yield from ((uid, [syntax]) for syntax in compressed[: count - 1])
            yield uid, compressed[count - 1 :]


def build_contexts_to_receive(
    sop_classes: Iterable[str],
) -> tuple[list[PresentationContext], list[SCP_SCU_RoleSelectionNegotiation]]:
    """Return what to propose so that instances can be sent to us by a C-GET.

    Each SOP Class is proposed uncompressed and in each compressed transfer syntax, those in a
    context each as far as there is room, since the peer chooses one of a context, and may be
    unable to convert to it what it has. One context is left for that of the C-GET.

    Parameters
    ----------
    sop_classes : iterable of str
        Their UIDs, or keywords such as ``"CTImageStorage"``.

    Returns
    -------
    tuple of list of PresentationContext and list of SCP_SCU_RoleSelectionNegotiation
        The first beside the context of the C-GET, as ``contexts`` of `AE.associate`; the second,
        which say that we are their SCP, as its ``ext_neg``.

    Raises
    ------
    ValueError
        They are none, or more than the 127 for which an association has room; or one is no UID.
    """
    room = MAXIMUM_CONTEXTS - 1
    uids = list(dict.fromkeys(abstract_syntax_uid(uid, "SOP Class") for uid in sop_classes))
    if not 0 < len(uids) <= room:
        raise ValueError(f"{len(uids)} SOP Classes cannot be proposed in one association")
    contexts = [build_context(uid, syntaxes) for uid, syntaxes in spread(uids, room)]
    return contexts, [build_role(uid, scp_role=True) for uid in uids]


__all__ = [  # noqa: PLE0604
    "ALL_TRANSFER_SYNTAXES",
    "CONTEXT_LISTS",
    "DEFAULT_TRANSFER_SYNTAXES",
    "PresentationContext",
    "PresentationContextTuple",
    "abstract_syntaxes",
    "build_context",
    "build_contexts_for",
    "build_contexts_to_receive",
    "build_role",
    "negotiate_as_acceptor",
    "negotiate_as_requestor",
    "negotiate_unrestricted",
    "plan_associations",
    *CONTEXT_LISTS,
]
