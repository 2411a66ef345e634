"""C-ECHO and C-STORE as SCU: data sets and files, one by one or many.

In: data sets, encoded or not, and paths. Out: C-STORE requests, which `services.instances` makes;
many files go through `file_stream`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from pynetdicom.association.file_stream import FileStream, OwnPaths, Path, StoreResult
from pynetdicom.association.invoking import prepare_statuses
from pynetdicom.dimse.operations import Operation
from pynetdicom.dimse.primitives import C_ECHO, C_STORE, Primitive
from pynetdicom.services.instances import Instance, StoreParameters, take
from pynetdicom.upper_layer.ended import Ended

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.association.invoking import Invoker
    from pynetdicom.association.link import Link
    from pynetdicom.association.response_status import ResponseStatus
    from pynetdicom.association.succession import Party
    from pynetdicom.data_sets.data_set import EncodedDataSet
    from pynetdicom.upper_layer.contexts import PresentationContext

VERIFICATION = "1.2.840.10008.1.1"
_USUAL = StoreParameters()


def echo(invoker: Invoker, msg_id: int | None) -> tuple[Primitive | None, int]:
    """Send a C-ECHO request; see `Association.send_c_echo`."""
    invoker.must_be_established("send_c_echo()")
    context = invoker.link.negotiated.context_for(VERIFICATION)
    request = C_ECHO()
    request.__dict__["AffectedSOPClassUID"] = VERIFICATION  # which needs no check
    prepare_statuses()
    return invoker.exchange(request, context, msg_id)


def store(
    invoker: Invoker,
    dataset: Dataset | Path | EncodedDataSet,
    msg_id: int | None,
    parameters: StoreParameters,
) -> ResponseStatus:
    """Have the peer store a data set, or a file; see `Association.send_c_store`."""
    invoker.must_be_established("send_c_store()")
    to_status = prepare_statuses()
    if hasattr(dataset, "group_dataset"):
        meta = getattr(dataset, "file_meta", None)
        if meta is None or not meta.get("TransferSyntaxUID"):
            raise AttributeError("the data set has no file_meta.TransferSyntaxUID")
    elif getattr(dataset, "memory", None) is None:
        return to_status(*_store_file(invoker, dataset, msg_id, parameters))
    instance, context, request = _make(dataset, invoker.link, parameters)
    try:
        return to_status(*invoker.exchange(request, context, msg_id))
    finally:
        if instance.is_own:
            instance.close()


def _store_file(
    invoker: Invoker, given: Any, msg_id: int | None, parameters: StoreParameters
) -> tuple[Primitive | None, int]:
    """Have the peer store what is in a file; gives the response and the Message ID."""
    link = invoker.link
    instance: Instance | None = None

    def make_and_send() -> Operation | None:
        nonlocal instance
        instance, context, request = _make(given, link, parameters)
        operation.request, operation.context_id = request, context.context_id or 0
        if not link.runtime.reads_ahead or not instance.read_ahead():
            return None
        # A thread reads the file for an event loop; the peer has not to wait until that knows.
        return invoker.send_request(operation, msg_id, waits=False)

    with Operation(invoker.operations, C_STORE(), None) as operation:
        try:
            sent = link.runtime.aside(make_and_send)
            sent = sent or invoker.send_request(operation, msg_id)
            response = invoker.response_to(sent)
            return response, 0 if sent is None else operation.message_id
        except link.runtime.stops:
            if operation.last_heard < math.inf:
                link.dul.abort(Ended("aborted", "local", 0, 0))
            raise
        finally:
            if instance is not None:
                instance.close()


def _make(
    given: Any, link: Link, parameters: StoreParameters
) -> tuple[Instance, PresentationContext, C_STORE]:
    """Make the request that has something stored."""
    if isinstance(given, (str, os.PathLike)):
        os.stat(given)  # FileNotFoundError says more than FileProblem
    instance = take(given)
    try:
        context = link.negotiated.context_for(instance.sop_class, instance.transfer_syntax)
        return instance, context, instance.request(context, parameters)
    except BaseException:
        instance.close()
        raise


def store_files(
    assoc: Party,
    paths: Iterable[Any],
    parameters: StoreParameters = _USUAL,
    *,
    send_ahead: bool = False,
    associations: int = 1,
) -> Generator[StoreResult, None, None]:
    """Have the peer store many files, with plain numbers as statuses.

    See `Association.send_c_stores`.
    """
    assoc._invoker.must_be_established("send_c_stores()")
    if isinstance(associations, bool) or not isinstance(associations, int):
        raise TypeError("'associations' must be int")
    if associations < 1 or (associations > 1 and assoc.is_acceptor):
        raise ValueError("'associations' must be 1, or more where we requested the association")
    if associations == 1:
        return FileStream(assoc, OwnPaths(iter(paths)), parameters).results(send_ahead)
    from pynetdicom.association.spreading import Spread

    assoc._invoker.check_wait()  # that others wait for, so that they cannot know of it
    return Spread(assoc, iter(paths), parameters, associations).results()


def statuses_of(
    results: Generator[StoreResult, None, None],
) -> Iterator[tuple[Any, ResponseStatus]]:
    """Give what became of files; whatever ends this ends what it is made of.

    Their paths are what was given as such.
    """
    to_status = prepare_statuses()
    with closing(results):
        for result in results:
            status = to_status(result.response, result.message_id)
            status.__dict__["problem"] = result.problem
            yield result.path, status
