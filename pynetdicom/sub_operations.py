"""The C-STORE sub-operations of a C-GET or C-MOVE: what a handler yields, and how it is sent.

In: data sets, paths, and objects that know their encoded bytes, as handlers yield them. Out:
C-STORE requests by `Storing`, and what became of them. Bytes that a context takes as they are go
out as they are, without being decoded.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pynetdicom.dimse.data_set import EncodedDataSet, change_syntax, encode_dataset
from pynetdicom.dimse.element_walk import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    encoding_of,
)
from pynetdicom.dimse.part10 import SOP_CLASS_UID, SOP_INSTANCE_UID, Part10, read_header
from pynetdicom.dimse.primitives import C_STORE
from pynetdicom.errors import DataSetDecodeError, FileProblem
from pynetdicom.services.retrieval import Outcome
from pynetdicom.storing import StoreParameters
from pynetdicom.utils import printable

if TYPE_CHECKING:
    from pynetdicom.storing import Storing
    from pynetdicom.upper_layer.contexts import PresentationContext

LOGGER = logging.getLogger("pynetdicom.service")


class Unsendable(Exception):
    """What a handler has yielded cannot be sent; the message says why, without patient data."""

    def __init__(self, reason: str, sop_instance: str = "") -> None:
        super().__init__(reason)
        self.sop_instance = sop_instance


class Candidate:
    """A SOP Instance that a handler has yielded, before it is known how it will be sent.

    Attributes
    ----------
    sop_class, sop_instance : str
        Its UIDs, those of the data set.
    transfer_syntax : str
        How it is encoded, or is to be encoded first of all.
    """

    def __init__(
        self,
        sop_class: str,
        sop_instance: str,
        transfer_syntax: str,
        source: Any,
    ) -> None:
        self.sop_class = sop_class
        self.sop_instance = sop_instance
        self.transfer_syntax = transfer_syntax
        self._source = source

    def for_context(self, context: PresentationContext) -> EncodedDataSet:
        """Encode it as a context has it, if it is not encoded so already.

        Raises
        ------
        Unsendable
            It cannot be encoded as the context has it.
        """
        syntax = context.transfer_uids[0]
        source = self._source
        try:
            if not isinstance(source, EncodedDataSet):
                source = encode_dataset(source, syntax)
            elif source.transfer_syntax != syntax:
                source = change_syntax(source, syntax)
        except (DataSetDecodeError, ValueError) as error:
            raise Unsendable(str(error), self.sop_instance) from error
        encoded: EncodedDataSet = source
        return encoded

    def read_ahead(self) -> None:
        """Have the file's bytes in memory, if it is one, and small enough."""
        if isinstance(self._source, EncodedDataSet):
            with contextlib.suppress(OSError, ValueError):  # sending it will say so
                self._source.read_ahead()

    def close(self) -> None:
        """Let go of the file, if it is one."""
        if isinstance(self._source, EncodedDataSet):
            self._source.close()


def candidate(data_set: Any, *, check: bool = True) -> Candidate:
    """Take what a handler has yielded.

    Parameters
    ----------
    data_set : pydicom.dataset.Dataset, str, os.PathLike or EncodedDataSet
        The latter is closed when it has been sent. Or what `make_ready` gave for one of them.
    check : bool
        Whether to go over a file to its end.

    Raises
    ------
    Unsendable
        It is none of them, or cannot be read, or lacks UIDs.
    """
    if isinstance(data_set, Candidate):
        return data_set
    if isinstance(data_set, Unsendable):
        raise data_set
    try:
        if isinstance(data_set, (str, os.PathLike)):
            return _of_path(data_set, check)
        if isinstance(data_set, EncodedDataSet):
            return _of_encoded(data_set)
        if hasattr(data_set, "group_dataset"):
            return _of_dataset(data_set)
    except Unsendable:
        raise
    except FileProblem as error:
        raise Unsendable(str(error)) from error
    except Exception as error:  # its text may be about the patient
        raise Unsendable(f"it cannot be read: {type(error).__name__}") from error
    kind = "no data set" if data_set is None else f"a {type(data_set).__name__}"
    raise Unsendable(f"the handler gave {kind}")


def make_ready(data_set: Any) -> Candidate | Unsendable:
    """Take what a handler has yielded, as `candidate`, and read it; raises nothing."""
    try:
        what = candidate(data_set)
    except Unsendable as error:
        return error
    what.read_ahead()
    return what


def _of_path(path: str | os.PathLike[str], check: bool) -> Candidate:
    with read_header(path) as header:
        try:
            if check:
                header.check()
        except FileProblem as error:
            raise Unsendable(str(error), _instance_in(header)) from error
        return Candidate(
            header.sop_class_uid,
            header.sop_instance_uid,
            header.transfer_syntax,
            header.data_set(),
        )


def _instance_in(header: Part10) -> str:
    """The SOP Instance UID of a file that is damaged, as far as it has one."""
    try:
        return header.sop_instance_uid
    except FileProblem:
        return ""


def _of_encoded(data_set: EncodedDataSet) -> Candidate:
    # An archive knows them from its index.
    sop_class = getattr(data_set, "sop_class_uid", "")
    sop_instance = getattr(data_set, "sop_instance_uid", "")
    if not (sop_class and sop_instance):
        values = data_set.peek(SOP_CLASS_UID, SOP_INSTANCE_UID)
        sop_class, sop_instance = (
            values.get(tag, b"").decode("latin-1").strip(" \0")
            for tag in (SOP_CLASS_UID, SOP_INSTANCE_UID)
        )
    if not (sop_class and sop_instance):
        raise Unsendable("the data set lacks a SOP Class or Instance UID", sop_instance)
    return Candidate(sop_class, sop_instance, data_set.transfer_syntax, data_set)


def _of_dataset(ds: Any) -> Candidate:
    sop_class, sop_instance = (str(ds.get(k) or "") for k in ("SOPClassUID", "SOPInstanceUID"))
    if not (sop_class and sop_instance):
        raise Unsendable("the data set lacks a SOP Class or Instance UID", sop_instance)
    implicit, little = ds.original_encoding
    meta = getattr(ds, "file_meta", None)
    syntax = None if meta is None else meta.get("TransferSyntaxUID")
    if syntax:
        encoding = encoding_of(str(syntax))
        if None not in (implicit, little) and (implicit, little) != encoding[:2]:
            raise Unsendable("the data set is not encoded as its file_meta says", sop_instance)
    elif little is False:
        syntax = EXPLICIT_VR_BIG_ENDIAN
    else:
        syntax = IMPLICIT_VR_LITTLE_ENDIAN if implicit else EXPLICIT_VR_LITTLE_ENDIAN
    return Candidate(sop_class, sop_instance, str(syntax), ds)


class Originator:
    """What a C-STORE sub-operation says of the operation that it is part of.

    Parameters
    ----------
    request : C_GET or C_MOVE
    ae_title : str
        Of the requestor of a C-MOVE; empty for a C-GET, of which sub-operations say nothing.
    """

    def __init__(self, request: Any, ae_title: str = "") -> None:
        title = message_id = None
        if ae_title:
            message_id = request.MessageID
            # The requestor may have called itself what a command set has no room for.
            with contextlib.suppress(ValueError):
                C_STORE(MoveOriginatorApplicationEntityTitle=ae_title)
                title = ae_title
        priority = request.Priority if request.Priority in (0, 1, 2) else 0
        self.parameters = StoreParameters(priority, title, message_id)


def context_for(assoc: Storing, what: Candidate) -> PresentationContext | None:
    """The accepted context on which an instance can be sent; None if there is none."""
    try:
        return assoc._context_for(what.sop_class, what.transfer_syntax)
    except ValueError:
        return None


def store(
    assoc: Storing,
    what: Candidate,
    originator: Originator,
    meanwhile: Callable[[], None] | None = None,
) -> Outcome:
    """Have an instance stored over an association, and do something else `meanwhile`."""
    context = context_for(assoc, what)
    if context is None:
        problem = (
            f"no accepted presentation context for {what.sop_class}"
            f" with transfer syntax {what.transfer_syntax}"
        )
        return Outcome(None, what.sop_instance, printable(problem))
    try:
        data_set = what.for_context(context)
        request = originator.parameters.request(what.sop_class, what.sop_instance, data_set)
        if meanwhile is None:
            response, _ = assoc._exchange(request, context, None)
        else:
            operation = assoc._send_request(request, context, None)
            meanwhile()
            response = assoc._response_to(operation)
    except Unsendable as error:
        return Outcome(None, what.sop_instance, str(error))
    except (FileProblem, ValueError) as error:
        return Outcome(None, what.sop_instance, f"not sent: {error}")
    except Exception as error:  # its text may be about the patient
        return Outcome(None, what.sop_instance, f"not sent: {type(error).__name__}")
    if response is None:
        return Outcome(None, what.sop_instance, f"no answer: {printable(str(assoc.ended))}")
    return Outcome(response.Status, what.sop_instance)


class SameAssociation:
    """Where the sub-operations of a C-GET go: back on its own association (PS3.4 C.4.3)."""

    def __init__(self, assoc: Storing, originator: Originator) -> None:
        self._assoc = assoc
        self._originator = originator

    make_ready = staticmethod(make_ready)

    def store(
        self,
        data_set: Any,
        report: Callable[[], None] | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Outcome:
        """Have a data set stored by the requestor of the C-GET, who hears it come."""
        try:
            what = candidate(data_set)
        except Unsendable as error:
            return Outcome(None, error.sop_instance, str(error))
        try:
            return store(self._assoc, what, self._originator, meanwhile)
        finally:
            what.close()

    def close(self) -> None:
        """Leave the association as it is."""
