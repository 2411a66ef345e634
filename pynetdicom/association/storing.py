"""What an association asks of its peer with C-STORE: data sets and files, one by one or many.

In: data sets, encoded or not, and paths. Out: C-STORE requests, which `services.instances` makes;
many files go through `file_stream`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, cast

from pynetdicom.association.file_stream import FileStream, Path, StoreResult
from pynetdicom.association.requests import Requests, prepare_statuses, to_status
from pynetdicom.services.instances import StoreParameters, take

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.association import Association
    from pynetdicom.data_sets.data_set import EncodedDataSet


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
        prepare_statuses()
        if isinstance(dataset, (str, os.PathLike)):
            os.stat(dataset)  # FileNotFoundError says more than FileProblem
        elif hasattr(dataset, "group_dataset"):
            meta = getattr(dataset, "file_meta", None)
            if meta is None or not meta.get("TransferSyntaxUID"):
                raise AttributeError("the data set has no file_meta.TransferSyntaxUID")
        instance = take(dataset)
        try:
            context = self._context_for(instance.sop_class, instance.transfer_syntax)
            parameters = StoreParameters(priority, originator_aet, originator_id)
            request = instance.request(context, parameters)
            return to_status(*self._exchange(request, context, msg_id))
        finally:
            instance.close()

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
            empty data set whose attribute ``problem`` says why; the others are still sent.

        Raises
        ------
        RuntimeError
            There is no established association.

        Notes
        -----
        When the peer ends the association, or the connection breaks, the file that was under way
        has failed and is not tried again. For those after it another association is made, as often
        as it takes: to the same address, with the same AE, contexts, titles, TLS, timeouts and
        handlers. It belongs to the iterator, which releases it in the end. `is_established` of this
        association is False from then on and `ended` says how it ended; nothing else can be sent on
        it. `abort` and `release` of this association, and the AE's `shutdown`, end the iterator and
        abort or release what it sends on. If the peer releases the association, cannot be reached
        again, rejects, or answers nothing in time twice in a row, or if it was the peer who
        requested this association, the rest is given out with a ``problem``; the paths are asked
        for to their end all the same.

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
        parameters = StoreParameters(priority, originator_aet, originator_id)
        return FileStream(cast("Association", self), iter(paths), parameters).results(send_ahead)


def _file_status(result: StoreResult) -> Dataset:
    status = to_status(result.response, result.message_id)
    status.__dict__["problem"] = result.problem
    return status
