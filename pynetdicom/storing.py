"""What an association asks of its peer with C-STORE: data sets and files, one by one or many.

In: data sets, encoded or not, and paths. Out: C-STORE requests by `Requests`; a file is sent as it
is, and the next one is made ready while the peer works on the last.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from pynetdicom.dimse.primitives import C_STORE, Primitive
from pynetdicom.errors import DataSetDecodeError, FileProblem, MissingUID
from pynetdicom.requests import Requests, prepare_statuses, to_status

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.dimse.data_set import EncodedDataSet
    from pynetdicom.dimse.messages import Batch
    from pynetdicom.dimse.operation import Operation
    from pynetdicom.upper_layer.acse import PresentationContext

Path = str | os.PathLike[str]


class StoreResult(NamedTuple):
    """What became of a file that was to be sent."""

    path: Path
    status: int | None
    """The peer's status; None when there is none."""
    problem: str | None
    """Why there is none."""
    response: Primitive | None = None
    message_id: int = 0


class StoreParameters(NamedTuple):
    """What a C-STORE request says besides its SOP Instance."""

    priority: int
    originator_aet: str | bytes | None
    originator_id: int | None

    def request(self, sop_class: str, sop_instance: str, data_set: EncodedDataSet) -> C_STORE:
        """Make a request; raises TypeError or ValueError for what cannot be in one."""
        request = C_STORE(
            AffectedSOPClassUID=sop_class,
            Priority=self.priority,
            AffectedSOPInstanceUID=sop_instance,
            data_set=data_set,
        )
        if self.originator_aet is not None:
            request.MoveOriginatorApplicationEntityTitle = self.originator_aet
        if self.originator_id is not None:
            request.MoveOriginatorMessageID = self.originator_id
        return request


class _Sent(NamedTuple):
    """A file that is on its way, or why it is not."""

    path: Path
    operation: Operation | None
    problem: str | None = None


class _Instance(NamedTuple):
    """A SOP Instance that is ready to be sent."""

    request: C_STORE
    data_set: EncodedDataSet
    context: PresentationContext
    ready: list[Batch] | None = None
    """The message, as it goes out if its Message ID is the one that was expected."""


class _Ahead:
    """The files that are to be sent, the next one of which may be read before it is asked for."""

    def __init__(self, paths: Iterator[Path], prepare: Callable[[Path], _Instance]) -> None:
        self._paths = paths
        self._prepare = prepare
        self._next: tuple[Path, _Instance | str] | None = None
        self._error: Exception | None = None

    def take(self) -> tuple[Path, _Instance | str] | None:
        """The next file, ready to be sent, or with the reason why it cannot be.

        Raises
        ------
        Exception
            What the caller's iterable has raised.
        """
        self.read()
        ready, self._next = self._next, None
        if ready is None and self._error is not None:
            raise self._error
        return ready

    def read(self) -> None:
        """Make the next file ready."""
        if self._next is not None or self._error is not None:
            return
        try:
            path = next(self._paths, None)
        except Exception as error:  # told when the files before it have had their answers
            self._error = error
            return
        if path is None:
            return
        try:
            self._next = path, self._prepare(path)
        except OSError as error:
            self._next = path, f"cannot be read: {error.strerror or error}"
        except (FileProblem, ValueError) as error:
            self._next = path, str(error)
        except Exception as error:  # its text may be about the patient
            self._next = path, f"cannot be sent: {type(error).__name__}"

    def close(self) -> None:
        """Let go of a file that is not going to be sent."""
        ready, self._next = self._next, None
        if ready is not None and not isinstance(ready[1], str):
            ready[1].data_set.close()


class Storing(Requests):
    """The SCU's side of an `Association` for the Storage Service Class."""

    def send_c_store(
        self,
        dataset: Dataset | Path | EncodedDataSet,
        msg_id: int | None = None,
        priority: int = 2,
        originator_aet: str | bytes | None = None,
        originator_id: int | None = None,
    ) -> Dataset:
        """Have the peer store a data set, or a file.

        A file, or a data set that is encoded already, is sent as it is, without being decoded, if
        its transfer syntax was accepted; an uncompressed one may be re-encoded to another
        uncompressed transfer syntax. Its SOP Class and Instance are those of its data set.

        Parameters
        ----------
        dataset : pydicom.dataset.Dataset, str, pathlib.Path or pynetdicom.dsutils.EncodedDataSet
            With a ``file_meta.TransferSyntaxUID``; or the path of a DICOM file; or a data set that
            is encoded already, such as ``event.received``, which is not closed.
        msg_id : int, optional
            The Message ID; by default the library chooses one.
        priority : int
            0 medium, 1 high, 2 low.
        originator_aet, originator_id : optional
            AE title and Message ID of the C-MOVE that this is a sub-operation of.

        Returns
        -------
        pydicom.dataset.Dataset
            The status; empty when there was no answer, see `ended`.

        Raises
        ------
        RuntimeError
            There is no established association.
        AttributeError
            The data set has no SOP Class UID, SOP Instance UID or transfer syntax.
        ValueError
            No presentation context fits, or the data set cannot be encoded: a text in it has
            characters that its Specific Character Set lacks, for instance.
        pynetdicom.errors.FileProblem
            The file is not DICOM, is truncated, is encoded otherwise than it says, or lacks UIDs,
            as may an encoded data set.
        pynetdicom.errors.DataSetDecodeError
            An element of an encoded data set overruns it.
        OSError
            The file cannot be read.

        Notes
        -----
        PS3.7 9.1.1
        """
        self._must_be_established("send_c_store()")
        from pynetdicom.dimse.data_set import EncodedDataSet

        prepare_statuses()
        parameters = StoreParameters(priority, originator_aet, originator_id)
        if isinstance(dataset, (str, os.PathLike)):
            os.stat(dataset)  # FileNotFoundError says more than FileProblem
            instance = self._from_file(dataset, parameters)
        elif isinstance(dataset, EncodedDataSet):
            instance = self._from_encoded(dataset, parameters)
        else:
            instance = self._from_dataset(dataset, parameters)
        try:
            return to_status(*self._exchange(instance.request, instance.context, msg_id))
        finally:
            if instance.data_set is not dataset:
                instance.data_set.close()

    def send_c_stores(
        self,
        paths: Iterable[Path],
        *,
        priority: int = 2,
        originator_aet: str | bytes | None = None,
        originator_id: int | None = None,
        send_ahead: bool = False,
    ) -> Iterator[tuple[Path, Dataset]]:
        """Have the peer store many files, reading the next one while it works on the last.

        Parameters
        ----------
        paths : iterable of str or pathlib.Path
        priority, originator_aet, originator_id
            As for `send_c_store`.
        send_ahead : bool
            Send a file as soon as the one before it is answered, before that one's result is given
            out, so that the peer need not wait for what the caller does with it. Whoever leaves the
            loop early does not learn what became of the file that was under way.

        Yields
        ------
        tuple of path and pydicom.dataset.Dataset
            The file and its status. A file that could not be sent, or was not answered, has an
            empty data set whose attribute ``problem`` says why; the others are still sent. When the
            association ends, no more are.

        Raises
        ------
        RuntimeError
            There is no established association.

        Notes
        -----
        PS3.7 9.1.1
        """
        prepare_statuses()
        results = self.store_files(
            paths,
            priority=priority,
            originator_aet=originator_aet,
            originator_id=originator_id,
            send_ahead=send_ahead,
        )
        return ((result.path, _file_status(result)) for result in results)

    def store_files(
        self,
        paths: Iterable[Path],
        *,
        priority: int = 2,
        originator_aet: str | bytes | None = None,
        originator_id: int | None = None,
        send_ahead: bool = False,
    ) -> Iterator[StoreResult]:
        """As `send_c_stores`, with plain numbers as statuses."""
        self._must_be_established("store_files()")
        return self._store_files(
            iter(paths), StoreParameters(priority, originator_aet, originator_id), send_ahead
        )

    def _store_files(
        self, paths: Iterator[Path], parameters: StoreParameters, send_ahead: bool
    ) -> Iterator[StoreResult]:
        ahead = _Ahead(paths, lambda path: self._from_file(path, parameters, ahead=True))
        try:
            sent = self._send_next(ahead)
            while sent is not None:
                result = self._result_of(sent, ahead)
                sent = None
                is_over = result.status is None and self.ended is not None
                if send_ahead and not is_over:
                    sent = self._send_next(ahead)
                yield result
                if is_over:
                    return
                if not send_ahead:
                    sent = self._send_next(ahead)
        finally:
            ahead.close()

    def _send_next(self, ahead: _Ahead) -> _Sent | None:
        """Send the next file; None when there is no other."""
        ready = ahead.take()
        if ready is None:
            return None
        path, instance = ready
        if isinstance(instance, str):
            return _Sent(path, None, instance)
        try:
            operation = self._send_request(instance.request, instance.context, None, instance.ready)
            return _Sent(path, operation)
        except (FileProblem, OSError, ValueError) as error:
            return _Sent(path, None, f"not sent: {error}")
        finally:
            instance.data_set.close()

    def _result_of(self, sent: _Sent, ahead: _Ahead) -> StoreResult:
        """Wait for the answer to what was sent; make the next file ready meanwhile."""
        path, operation, problem = sent
        if problem is not None:
            return StoreResult(path, None, problem)
        if operation is not None:
            ahead.read()
        response = self._response_to(operation)
        if response is None or operation is None:
            return StoreResult(path, None, self.why_no_answer())
        return StoreResult(path, response.Status, None, response, operation.message_id)

    def _from_file(
        self, path: Path, parameters: StoreParameters, *, ahead: bool = False
    ) -> _Instance:
        from pynetdicom.dimse.part10 import read_header

        if not isinstance(path, (str, os.PathLike)):
            raise ValueError(f"a {type(path).__name__} is not a path")
        with read_header(path) as header:
            header.check()
            header.check_encoding()
            context = self._context_for(header.sop_class_uid, header.transfer_syntax)
            data_set = header.data_set()
            if header.transfer_syntax not in context.transfer_uids:
                with closing(data_set):
                    data_set = _re_encoded(data_set, context.transfer_uids[0])
            request = parameters.request(header.sop_class_uid, header.sop_instance_uid, data_set)
            ready = None
            if ahead and data_set.read_ahead():
                ready = self._make_ready(request, context)
            return _Instance(request, data_set, context, ready)

    def _from_encoded(self, data_set: EncodedDataSet, parameters: StoreParameters) -> _Instance:
        from pynetdicom.dimse.part10 import SOP_CLASS_UID, SOP_INSTANCE_UID

        data_set.check()
        values = data_set.peek(SOP_CLASS_UID, SOP_INSTANCE_UID)
        sop_class, sop_instance = (
            values.get(tag, b"").decode("latin-1").strip(" \0")
            for tag in (SOP_CLASS_UID, SOP_INSTANCE_UID)
        )
        if not (sop_class and sop_instance):
            raise MissingUID("the data set has no SOP Class UID or SOP Instance UID")
        context = self._context_for(sop_class, data_set.transfer_syntax)
        if data_set.transfer_syntax not in context.transfer_uids:
            data_set = _re_encoded(data_set, context.transfer_uids[0])
        return _Instance(parameters.request(sop_class, sop_instance, data_set), data_set, context)

    def _from_dataset(self, dataset: Dataset, parameters: StoreParameters) -> _Instance:
        from pynetdicom.dimse.data_set import encode_dataset

        for keyword in ("SOPClassUID", "SOPInstanceUID"):
            if not dataset.get(keyword):
                raise AttributeError(f"the data set has no {keyword}")
        meta = getattr(dataset, "file_meta", None)
        if meta is None or not meta.get("TransferSyntaxUID"):
            raise AttributeError("the data set has no file_meta.TransferSyntaxUID")
        transfer_syntax = meta.TransferSyntaxUID
        implicit, little = dataset.original_encoding
        encoding = (transfer_syntax.is_implicit_VR, transfer_syntax.is_little_endian)
        if None not in (implicit, little) and (implicit, little) != encoding:
            raise ValueError(
                f"the data set is not encoded as its file_meta.TransferSyntaxUID says,"
                f" {transfer_syntax.name}"
            )
        context = self._context_for(str(dataset.SOPClassUID), str(transfer_syntax))
        data_set = encode_dataset(dataset, context.transfer_uids[0])
        request = parameters.request(
            str(dataset.SOPClassUID), str(dataset.SOPInstanceUID), data_set
        )
        return _Instance(request, data_set, context)


def _file_status(result: StoreResult) -> Dataset:
    status = to_status(result.response, result.message_id)
    status.__dict__["problem"] = result.problem
    return status


def _re_encoded(data_set: EncodedDataSet, transfer_syntax: str) -> EncodedDataSet:
    from pynetdicom.dimse.data_set import encode_dataset

    try:
        return encode_dataset(data_set.decode(), transfer_syntax)
    except DataSetDecodeError as error:
        raise ValueError(f"cannot be re-encoded: {error}") from error
