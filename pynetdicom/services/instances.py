"""A SOP Instance that is to be sent, whatever it is given as → its C-STORE request (PS3.7 9.1.1).

In: a path, a data set, or one that is encoded already. Out: an `Instance`, checked, and for an
accepted presentation context its request. Whoever sends instances makes its requests here, so that
what has to be true of one is true of all: the UIDs are those of the data set, no element overruns
it, and it is encoded as it says. A file is gone over once; its bytes go out as they are where the
context takes them so.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from pynetdicom import raised
from pynetdicom.data_sets import element_walk
from pynetdicom.data_sets.data_set import EncodedDataSet, change_syntax, encode_dataset
from pynetdicom.data_sets.encoded import SOP_CLASS_UID, SOP_INSTANCE_UID, UIDS
from pynetdicom.data_sets.part10 import read_checked, read_header
from pynetdicom.dimse.primitives import C_STORE
from pynetdicom.errors import DataSetDecodeError, FileProblem, MissingUID
from pynetdicom.uids import named

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.upper_layer.contexts import PresentationContext

Kind = tuple[str, str]
"""What a presentation context has to be for: SOP Class UID and transfer syntax UID."""

_UID = re.compile(r"[0-9.]{1,64}")


class Unsendable(ValueError):
    """What was given cannot be sent; the message says why, without patient data."""


class Incomplete(Unsendable, AttributeError):
    """A data set lacks what a C-STORE request has to say of it."""


class KnownPath(str):
    """The path of a file whose SOP Instance UID is known from elsewhere, such as an index.

    A C-GET or C-MOVE handler may yield it in the place of a path: should the file turn out to be
    unreadable, it is listed among those that failed.

    Parameters
    ----------
    path : str or path-like
    sop_instance_uid : str
    is_whole : bool
        Whether it is known that the file was never cut off: one that `Event.save_as` wrote, for
        instance. Bytes after its last element that look like the beginning of another one are then
        no reason not to send it.
    """

    __slots__ = ("is_whole", "sop_instance_uid")
    sop_instance_uid: str
    is_whole: bool

    def __new__(
        cls, path: str | os.PathLike[str], sop_instance_uid: str, *, is_whole: bool = False
    ) -> Self:
        """Make one."""
        known = super().__new__(cls, os.fspath(path))
        known.sop_instance_uid = sop_instance_uid
        known.is_whole = is_whole
        return known


class StoreParameters(NamedTuple):
    """What a C-STORE request says besides its SOP Instance."""

    priority: int = 2
    originator_aet: str | bytes | None = None
    originator_id: int | None = None


class Instance:
    """A SOP Instance that has been checked.

    Attributes
    ----------
    sop_class, sop_instance : str
        Its UIDs, those of the data set.
    transfer_syntax : str
        How it is encoded, or is to be encoded first of all.
    content : EncodedDataSet or Dataset
        Its data set.
    is_own : bool
        Whether nobody else has that. What somebody has given stays open, and is not read ahead into
        a buffer: another thread may send it too.
    """

    def __init__(
        self,
        sop_class: str,
        sop_instance: str,
        transfer_syntax: str,
        content: EncodedDataSet | Dataset,
        is_own: bool = False,
    ) -> None:
        self.sop_class = sop_class
        self.sop_instance = sop_instance
        self.transfer_syntax = transfer_syntax
        self.content = content
        self.is_own = is_own

    @property
    def is_encoded(self) -> bool:
        """Whether there are bytes that may go out as they are."""
        return isinstance(self.content, EncodedDataSet)

    def request(self, context: PresentationContext, parameters: StoreParameters) -> C_STORE:
        """Make the request that has it stored.

        Raises
        ------
        ValueError
            It cannot be encoded as the context has it, or a parameter has a bad value.
        TypeError
            A parameter is of the wrong type.
        """
        request = C_STORE(
            AffectedSOPClassUID=self.sop_class,
            Priority=parameters.priority,
            AffectedSOPInstanceUID=self.sop_instance,
        )
        if parameters.originator_aet is not None:
            request.MoveOriginatorApplicationEntityTitle = parameters.originator_aet
        if parameters.originator_id is not None:
            request.MoveOriginatorMessageID = parameters.originator_id
        content, syntax = self.content, context.transfer_uids[0]
        if not isinstance(content, EncodedDataSet):
            request.data_set = encode_dataset(content, syntax)
            return request
        try:
            request.data_set = change_syntax(content, syntax)
        except DataSetDecodeError as error:
            raise Unsendable(f"cannot be re-encoded: {error}") from error
        return request

    def read_ahead(self) -> bool:
        """Read a small file now; says whether its bytes are in memory."""
        content = self.content
        if self.is_own and isinstance(content, EncodedDataSet):
            with contextlib.suppress(OSError, ValueError):  # sending it will say so
                return content.read_ahead()
        return False

    def close(self) -> None:
        """Let go of the file that was opened for it, if one was."""
        if self.is_own and isinstance(self.content, EncodedDataSet):
            self.content.close()


def take(given: Any) -> Instance:
    """Take what is to be sent, and check it.

    Parameters
    ----------
    given : str, os.PathLike, pydicom.dataset.Dataset or EncodedDataSet
        An encoded data set that has the attributes ``sop_class_uid`` and ``sop_instance_uid``
        vouches for itself, and is not looked into.

    Raises
    ------
    FileProblem
        A file is not DICOM, is cut off, lacks UIDs, or is encoded otherwise than it says.
    DataSetDecodeError
        An element of an encoded data set overruns it.
    Unsendable
        It is something else, or lacks UIDs, or contradicts its own file meta information.
    OSError
        It cannot be read.
    """
    if isinstance(given, Instance):
        return given
    try:
        if isinstance(given, (str, os.PathLike)):
            return _from_path(given)
        if isinstance(given, EncodedDataSet):
            return _from_encoded(given)
        if hasattr(given, "group_dataset"):
            return _from_dataset(given)
    except (FileProblem, DataSetDecodeError, OSError, Unsendable):
        raise
    except Exception as error:  # its text may be about the patient
        raise Unsendable(f"it cannot be read: {type(error).__name__}") from error
    raise Unsendable(f"{raised.kind(given)} is neither a data set nor the path of a file")


def _from_path(path: str | os.PathLike[str]) -> Instance:
    with read_checked(path, is_whole=isinstance(path, KnownPath) and path.is_whole) as header:
        header.check_encoding()
        uids = header.sop_class_uid, header.sop_instance_uid
        return Instance(*uids, header.transfer_syntax, header.data_set(), is_own=True)


def _from_encoded(given: EncodedDataSet) -> Instance:
    data_set = given.reopened()
    is_own = data_set is not given
    try:
        uids = _uids_of(given, data_set)
    except BaseException:
        if is_own:
            data_set.close()
        raise
    return Instance(*uids, data_set.transfer_syntax, data_set, is_own)


def _uids_of(given: EncodedDataSet, data_set: EncodedDataSet) -> tuple[str, str]:
    """The UIDs that an encoded data set has as attributes, or those in it, once it is checked."""
    sop_class = getattr(given, "sop_class_uid", "")
    sop_instance = getattr(given, "sop_instance_uid", "")
    if sop_class and sop_instance:
        return sop_class, sop_instance
    data_set.check()
    sop_class, sop_instance = map(data_set.text, UIDS)
    if not (sop_class and sop_instance):
        raise MissingUID("the data set has no SOP Class UID or SOP Instance UID")
    data_set.check_encoding()
    return sop_class, sop_instance


def _text(given: EncodedDataSet, tag: int) -> str:
    """The value of an element; a file is not left open for that."""
    data_set = given.reopened()
    try:
        return data_set.text(tag)
    finally:
        if data_set is not given:
            data_set.close()


def _from_dataset(ds: Any) -> Instance:
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        if not ds.get(keyword):
            raise Incomplete(f"the data set has no {keyword}")
    implicit, little = ds.original_encoding
    syntax = (getattr(ds, "file_meta", None) or {}).get("TransferSyntaxUID")
    if syntax:
        encoding = element_walk.encoding_of(str(syntax))
        if None not in (implicit, little) and (implicit, little) != encoding[:2]:
            raise Unsendable(
                "the data set is not encoded as its file_meta.TransferSyntaxUID says,"
                f" {named(str(syntax))}"
            )
    elif little is False:
        syntax = element_walk.EXPLICIT_VR_BIG_ENDIAN
    elif implicit:
        syntax = element_walk.IMPLICIT_VR_LITTLE_ENDIAN
    else:
        syntax = element_walk.EXPLICIT_VR_LITTLE_ENDIAN
    return Instance(str(ds.SOPClassUID), str(ds.SOPInstanceUID), str(syntax), ds)


def kind_of(given: Any) -> Kind:
    """What it takes to send something, by the beginning of it alone; raises as `take`."""
    if isinstance(given, (str, os.PathLike)):
        with read_header(given) as header:
            return header.sop_class_uid, header.transfer_syntax
    if isinstance(given, EncodedDataSet):
        known = getattr(given, "sop_class_uid", "")
        return known or _text(given, SOP_CLASS_UID), given.transfer_syntax
    what = take(given)
    return what.sop_class, what.transfer_syntax


def why_not(error: Exception) -> str:
    """Why something was not sent, in one line without patient data."""
    if isinstance(error, (FileProblem, DataSetDecodeError, ValueError)):
        return str(error)
    if isinstance(error, OSError):
        return f"it cannot be read: {error.strerror or type(error).__name__}"
    return f"it cannot be sent: {type(error).__name__}"  # its text may be about the patient


def instance_uid_of(given: Any) -> str:
    """The SOP Instance UID of what cannot be sent, as far as it can be known; empty if it cannot.

    Of a file that is cut off that is what its beginning says.
    """
    try:
        uid = given.sop_instance if isinstance(given, Instance) else _instance_uid_in(given)
    except Exception:  # whatever is wrong with it has been said
        return ""
    return uid if _UID.fullmatch(uid) else ""


def _instance_uid_in(given: Any) -> str:
    known = getattr(given, "sop_instance_uid", "")
    if not known and isinstance(given, EncodedDataSet):
        known = _text(given, SOP_INSTANCE_UID)
    elif not known and hasattr(given, "group_dataset"):
        known = given.get("SOPInstanceUID") or ""
    elif not known and isinstance(given, (str, os.PathLike)) and os.path.isfile(given):
        known = _instance_uid_in_file(given)
    return str(known).strip(" \0")


def _instance_uid_in_file(path: str | os.PathLike[str]) -> str:
    """What the beginning of a damaged file says; the meta information if the data set does not."""
    with contextlib.suppress(FileProblem), read_header(path) as header:
        return header.sop_instance_uid
    from pydicom.filereader import read_partial

    with open(path, "rb") as file:
        ds = read_partial(file, lambda tag, vr, length: tag > SOP_INSTANCE_UID, force=True)
    return ds.get("SOPInstanceUID") or ds.file_meta.get("MediaStorageSOPInstanceUID") or ""
