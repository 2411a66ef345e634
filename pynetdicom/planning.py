"""The presentation contexts that files need.

Each context has one transfer syntax, so that the peer cannot choose another one for a file that it
would have taken as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from pynetdicom.data_sets.element_walk import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    UNCOMPRESSED,
)
from pynetdicom.upper_layer.contexts import MAXIMUM_CONTEXTS, PresentationContext

if TYPE_CHECKING:
    from pynetdicom.services.instances import Kind

Path = str | os.PathLike[str]
P = TypeVar("P", bound=Path)

FALLBACKS = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
"""What an uncompressed file may be sent as, where the peer does not take it as it is."""

_VERIFICATION = ("1.2.840.10008.1.1", IMPLICIT_VR_LITTLE_ENDIAN)


def needed_by(kind: Kind) -> list[Kind]:
    """The contexts to propose for files of a kind, each a SOP Class and a transfer syntax."""
    sop_class, syntax = kind
    fallbacks = FALLBACKS if syntax in UNCOMPRESSED else ()
    return list(dict.fromkeys((kind, *((sop_class, fallback) for fallback in fallbacks))))


def in_associations(
    kinds: Iterable[Kind], needed: Callable[[Kind], list[Kind]] = needed_by
) -> Iterator[tuple[list[Kind], list[Kind]]]:
    """Give contexts of each association, 128 at most, and the kinds of files that they are for."""
    contexts: dict[Kind, None] = {}
    members: list[Kind] = []
    for kind in dict.fromkeys(kinds):
        together = contexts | dict.fromkeys(needed(kind))
        if len(together) > MAXIMUM_CONTEXTS:
            yield list(contexts), members
            together, members = dict.fromkeys(needed(kind)), []
        contexts = together
        members.append(kind)
    if members:
        yield list(contexts), members


def to_contexts(kinds: Iterable[Kind]) -> list[PresentationContext]:
    """Make the contexts; what a file has as SOP Class UID is proposed as it is."""
    return [PresentationContext.from_wire(None, uid, [syntax]) for uid, syntax in kinds]


def plan_associations(
    paths: Iterable[P],
) -> Iterator[tuple[list[PresentationContext], list[P]]]:
    """Look into files, and give for each association what to propose and which files to send.

    Each transfer syntax is proposed in a context of its own, so that the peer takes every file as
    it is if it can; with uncompressed ones, both of the usual encodings are proposed besides. One
    association is enough unless that takes more than 128 contexts.

    Parameters
    ----------
    paths : iterable of str or os.PathLike

    Yields
    ------
    tuple of (list of PresentationContext, list of path)
        For `AE.associate` and `Association.send_c_stores`. Every path is in one of the lists: those
        that cannot be read are in the first one, so that sending them says why. If there are no
        others, Verification is what is proposed.
    """
    from pynetdicom.services.instances import kind_of

    found: list[tuple[Kind | None, P]] = []
    for path in paths:
        try:
            found.append((kind_of(path), path))
        except Exception:  # whatever is wrong with it is said when it is to be sent
            found.append((None, path))
    planned = list(in_associations(kind for kind, _ in found if kind is not None))
    if found and not planned:
        planned = [([_VERIFICATION], [])]
    for number, (contexts, kinds) in enumerate(planned):
        wanted = {*kinds} if number else {*kinds, None}
        yield to_contexts(contexts), [path for kind, path in found if kind in wanted]


def build_contexts_for(paths: Iterable[Path]) -> list[PresentationContext]:
    """Look into files, and give the presentation contexts to propose for sending them.

    Each transfer syntax is proposed in a context of its own, as by `plan_associations`.

    Parameters
    ----------
    paths : iterable of str or os.PathLike

    Returns
    -------
    list of PresentationContext
        For `AE.associate`.

    Raises
    ------
    ValueError
        They take more than the 128 contexts of one association: use `plan_associations`.
    """
    planned = list(plan_associations(paths))
    if len(planned) > 1:
        raise ValueError(
            f"these files take {sum(len(contexts) for contexts, _ in planned)} presentation"
            f" contexts, and an association has at most {MAXIMUM_CONTEXTS}:"
            f" plan_associations() makes several of them."
        )
    return planned[0][0] if planned else []
