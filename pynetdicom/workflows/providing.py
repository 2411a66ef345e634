"""What the workflows share: who serves what, how SCPs answer, and what answers refuse."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from pynetdicom import event_types as evt
from pynetdicom.data_sets.data_set import InMemory, encode_dataset
from pynetdicom.events import Event
from pynetdicom.services.engines import code_of
from pynetdicom.services.statuses import SUCCESS, WARNING, code_to_category, status_dict
from pynetdicom.workflows.attributes import Findings
from pynetdicom.workflows.stores import Store

LOGGER = logging.getLogger("pynetdicom.workflows")

Answer = tuple[Dataset, Dataset | None]
"""The status of a response, and its data set."""

UNRECOGNIZED_OPERATION = 0x0211
INVALID_ATTRIBUTE_VALUE = 0x0106
MISSING_ATTRIBUTE = 0x0120
MISSING_ATTRIBUTE_VALUE = 0x0121

_EXPLICIT = "1.2.840.10008.1.2.1"
_UTF8 = "ISO_IR 192"
_CHARACTER_SET = Tag("SpecificCharacterSet")


class Provider(Protocol):
    """The SCP of a workflow."""

    @property
    def sop_classes(self) -> frozenset[str]:
        """The abstract syntaxes that it serves."""

    @property
    def handlers(self) -> Mapping[evt.InterventionEvent, Callable[[Event], Any]]:
        """What handles its requests."""


@runtime_checkable
class Notifying(Protocol):
    """One that has something to tell peers on their own associations."""

    def established(self, event: Event) -> None:
        """Take note of an association."""


class Refused(Exception):
    """The peer refused what it was asked for; or did not answer.

    Attributes
    ----------
    status : pydicom.dataset.Dataset
        The status of its response; empty when there was none.
    data_set : pydicom.dataset.Dataset or None
        The data set of its response.
    """

    def __init__(
        self,
        what: str,
        status: Dataset,
        data_set: Dataset | None = None,
        service: str = "GENERAL_STATUS",
    ) -> None:
        code = status.get("Status")
        why = "not answered" if code is None else f"answered with 0x{code:04X}"
        if code in (known := status_dict(service)):
            why += f" ({known[code][1]})"
        super().__init__(f"{what}: {why}")
        self.status = status
        self.data_set = data_set


def is_done(code: int | None) -> bool:
    """Whether a status says that something was done: a success or a warning.

    One that is in no table is of the class that its first digits say (PS3.7 Annex C): 0xB000 to
    0xBFFF are warnings. One without a class, of which nothing is known, says nothing was done; nor
    do pending, where there is no more to come, and cancel.
    """
    return code is not None and code_to_category(code) in (SUCCESS, WARNING)


def taken(
    what: str,
    answered: tuple[Dataset, Dataset | None],
    service: str = "GENERAL_STATUS",
) -> Dataset:
    """Give the status of the response to what an SCU has asked for, unless that was refused.

    The one rule of all the workflows: a success or a warning refuses nothing, all else does, and
    so does no answer; see `is_done`.

    Parameters
    ----------
    what : str
        What was asked for, for the message.
    answered : tuple
        The response's status and data set.
    service : str
        The table of `pynetdicom.status` that the status is in; a warning that is not is logged.

    Raises
    ------
    Refused
    """
    status, data_set = answered
    code = status.get("Status")
    if not is_done(code):
        raise Refused(what, status, data_set, service)
    if code not in status_dict(service):
        LOGGER.warning("%s: answered with 0x%04X, an unknown warning: taken as done", what, code)
    return status


def handlers(*providers: Provider) -> list[tuple[Any, Callable[[Event], Any]]]:
    """Give the event handlers with which a server provides workflows.

    Parameters
    ----------
    *providers : Provider
        Such as `mpps.Provider`. A request goes to the one that serves the abstract syntax of its
        presentation context.

    Returns
    -------
    list of tuple
        For `AE.start_server`, or `AE.associate`.
    """

    def negotiate(event: Event) -> dict[str, bytes]:
        negotiating = (provider.handlers.get(evt.EVT_SOP_EXTENDED) for provider in providers)
        answers = (handler(event) for handler in negotiating if handler is not None)
        return {uid: information for answer in answers for uid, information in answer.items()}

    def handle(event: Event) -> Any:
        if event.event is evt.EVT_SOP_EXTENDED:
            return negotiate(event)
        for provider in providers:
            if event.context.abstract_syntax in provider.sop_classes:
                handler = provider.handlers.get(event.event)  # type: ignore[call-overload]  # it is
                if handler is not None:
                    return handler(event)
        nothing = UNRECOGNIZED_OPERATION, None
        return [nothing] if event.event is evt.EVT_C_FIND else nothing

    events = dict.fromkeys(event for provider in providers for event in provider.handlers)
    served: list[tuple[Any, Callable[[Event], Any]]] = [(event, handle) for event in events]
    for provider in providers:
        if isinstance(provider, Notifying):
            served.append((evt.EVT_ESTABLISHED, provider.established))
    return served


def answer(
    code: int,
    *,
    comment: str = "",
    tags: Iterable[int] = (),
    data_set: Dataset | None = None,
    **fields: Any,
) -> Answer:
    """Make the answer to a request.

    Parameters
    ----------
    code : int
        The Status.
    comment : str
        The Error Comment.
    tags : iterable of int
        The Attribute Identifier List.
    data_set : pydicom.dataset.Dataset, optional
    **fields
        Further fields by keyword, such as ``ErrorID``.
    """
    status = Dataset()
    status.Status = code
    if comment:
        status.ErrorComment = comment[:64]
    if tags := list(tags):
        status.AttributeIdentifierList = tags
    for keyword, value in fields.items():
        setattr(status, keyword, value)
    return status, data_set


def accepted(decision: Any) -> int | None:
    """With which status the application lets something be done; None if it refuses.

    It gives nothing, or what a handler would: a success or a warning refuses nothing.
    """
    if decision is None:
        return 0x0000
    code = code_of(decision if isinstance(decision, (tuple, list)) else (decision, None))
    return code if is_done(code) else None


def refusal(findings: Findings) -> Answer | None:
    """Refuse a data set with wrong attributes, or that lacks some (PS3.7 C.5.14) or their values.

    None if nothing is wrong.
    """
    if findings.wrong:
        return answer(INVALID_ATTRIBUTE_VALUE, data_set=empty(findings.wrong))
    if findings.absent:
        return answer(MISSING_ATTRIBUTE, tags=findings.absent)
    if findings.empty:
        return answer(MISSING_ATTRIBUTE_VALUE, data_set=empty(findings.empty))
    return None


def empty(tags: Iterable[int]) -> Dataset:
    """A data set of elements without values."""
    data_set = Dataset()
    for tag in tags:
        data_set.add_new(tag, dictionary_VR(tag), None)
    return data_set


_SAID_OF = {
    INVALID_ATTRIBUTE_VALUE: "with a value that it cannot have",
    MISSING_ATTRIBUTE: "missing",
    MISSING_ATTRIBUTE_VALUE: "without a value",
}
"""Status → what is wrong with the attributes that are named."""


def raise_for(problem: Answer | None) -> None:
    """Raise a ValueError for what a peer would refuse."""
    if problem is not None:
        from pydicom.datadict import keyword_for_tag

        status, data_set = problem
        tags = status.get("AttributeIdentifierList") or list(data_set or ())
        tags = tags if isinstance(tags, (list, tuple)) or hasattr(tags, "append") else [tags]
        tags = [Tag(getattr(tag, "tag", tag)) for tag in tags]
        named = ", ".join(keyword_for_tag(tag) or str(tag) for tag in tags)
        why = status.get("ErrorComment") or _SAID_OF.get(status.Status, "it cannot be so")
        raise ValueError(f"{why}: {named}")


def merged(stored: Dataset, change: Dataset) -> Dataset:
    """What a step is after an N-SET; the character set is whatever the step had."""
    for part in (stored, change):
        read_text(part)  # by its own character set
    both = Dataset()
    both.update(stored)
    both.update({tag: element for tag, element in change.items() if tag != _CHARACTER_SET})
    return both


def only(data_set: Dataset, keyword: str) -> Dataset:
    """A data set of one element of another one."""
    one = Dataset()
    one[keyword] = data_set[keyword]
    return one


def chosen(data_set: Dataset, tags: Iterable[int]) -> tuple[Dataset, bool]:
    """Give what an N-GET asks for, and whether all of it is there; all there is, if for nothing."""
    wanted = list(tags)
    if not wanted:
        return data_set, True
    found = Dataset()
    found.update({Tag(tag): data_set[tag] for tag in wanted if tag in data_set})
    if "SpecificCharacterSet" in data_set:
        found.SpecificCharacterSet = data_set.SpecificCharacterSet
    return found, all(tag in data_set for tag in wanted)


def read_text(data_set: Dataset) -> None:
    """Have text decoded, before elements are in another data set, or under another character set.

    Not `Dataset.decode`: that makes question marks of a person's name that was given as text.
    """
    for _ in data_set.iterall():
        pass


def pack(data_set: Dataset) -> bytes:
    """Encode a data set to be stored; its text as UTF-8, which fits whoever has written it."""
    read_text(data_set)
    data_set.SpecificCharacterSet = _UTF8
    return encode_dataset(data_set, _EXPLICIT).getvalue()


def kept(store: Store, kind: str) -> list[tuple[str, Dataset]]:
    """Give all data sets of a kind in a store, by their SOP Instance UIDs."""
    with store.begin() as records:
        found = records.items(kind)
    return [(uid, unpack(record)) for uid, record in found]


def unpack(record: bytes) -> Dataset:
    """Give the data set that `pack` has encoded."""
    return InMemory(record, _EXPLICIT).decode()
