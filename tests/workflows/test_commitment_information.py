"""pynetdicom.workflows.commitment_information: what is written, and whatever a peer may write."""

from __future__ import annotations

import itertools
import os
import random
import struct
import subprocess
import sys
from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pynetdicom.data_sets.data_set import EncodedDataSet, InMemory, encode_dataset
from pynetdicom.errors import DataSetDecodeError
from pynetdicom.workflows.commitment_information import (
    FAILED,
    FAILURE_REASON,
    REFERENCED,
    REFERENCED_CLASS,
    REFERENCED_INSTANCE,
    TRANSACTION_UID,
    Information,
    Item,
    Told,
    Writer,
    is_twice,
    rewritten,
    untold,
    write,
)
from pynetdicom.workflows.commitment_rules import Reference
from tests.memory import PEAK
from tests.peers import DEADLINE

IMPLICIT, EXPLICIT, BIG, DEFLATED = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)
SYNTAXES = [IMPLICIT, EXPLICIT, BIG, DEFLATED]
CT = "1.2.840.10008.5.1.4.1.1.2"
ONE, TWO, THREE = (Reference(CT, f"1.2.{'3' * n}") for n in (1, 2, 3))


def written(syntax: str, *, count: int = 3, title: str | None = "ARCHIVE") -> EncodedDataSet:
    """A report, `count` instances of which are kept."""
    referenced, failed = Writer(syntax), Writer(syntax)
    for number in range(count):
        referenced.add(Reference(CT, f"1.2.{number}"))
        failed.add(Reference(CT, f"1.3.{number}"), 0x0112)
    return write(syntax, "1.2.840.1", title, failed=failed, referenced=referenced)


@pytest.mark.parametrize(
    ("count", "syntax"), [*itertools.product((1, 3), SYNTAXES), (9_000, EXPLICIT)]
)
def test_what_is_written_is_what_pydicom_would_write(count: int, syntax: str) -> None:
    """In memory, and in files: 9,000 instances take more than 1 MiB."""
    report = written(syntax, count=count)
    ds = report.decode()
    assert (ds.TransactionUID, ds.RetrieveAETitle) == ("1.2.840.1", "ARCHIVE")
    assert list(ds) == [ds[tag] for tag in sorted(ds.keys())]
    for items, prefix in ((ds.ReferencedSOPSequence, "1.2"), (ds.FailedSOPSequence, "1.3")):
        assert [item.ReferencedSOPInstanceUID for item in items] == [
            f"{prefix}.{number}" for number in range(count)
        ]
        assert {item.ReferencedSOPClassUID for item in items} == {CT}
    assert {item.FailureReason for item in ds.FailedSOPSequence} == {0x0112}
    if syntax != DEFLATED:
        assert report.getvalue() == encode_dataset(ds, syntax).getvalue()


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_is_written_is_read(syntax: str) -> None:
    said = Information(written(syntax))
    assert said.transaction_uid == "1.2.840.1"
    assert not said.findings(REFERENCED)
    assert list(said.items(REFERENCED)) == [
        Item(Reference(CT, f"1.2.{n}"), 0, "ARCHIVE") for n in range(3)
    ]
    assert [item.reason for item in said.items(FAILED)] == [0x0112] * 3
    assert (said.count(REFERENCED), said.count(FAILED)) == (3, 3)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("other", SYNTAXES)
@pytest.mark.parametrize("title", ["ARCHIVE", None])
def test_a_report_goes_out_in_another_transfer_syntax(
    syntax: str, other: str, title: str | None
) -> None:
    report = rewritten(written(syntax, title=title), other)
    assert report.transfer_syntax == other
    assert report.getvalue() == written(other, title=title).getvalue()


def plain() -> Dataset:
    ds = Dataset()
    ds.TransactionUID = "1.2.840.1"
    ds.ReferencedSOPSequence = []
    for one in (ONE, TWO, THREE):
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = one
        ds.ReferencedSOPSequence.append(item)
    return ds


def undefined_lengths(ds: Dataset) -> None:
    ds["ReferencedSOPSequence"].is_undefined_length = True
    for item in ds.ReferencedSOPSequence:
        item.is_undefined_length_sequence_item = True


def undefined_sequence(ds: Dataset) -> None:
    ds["ReferencedSOPSequence"].is_undefined_length = True


def undefined_items(ds: Dataset) -> None:
    for item in ds.ReferencedSOPSequence:
        item.is_undefined_length_sequence_item = True


def private_elements(ds: Dataset) -> None:
    for item in ds.ReferencedSOPSequence:
        block = item.private_block(0x0009, "SOMEBODY", create=True)
        block.add_new(0x01, "UT", "x" * 9000)  # more than what is read at a time
        block.add_new(0x02, "SQ", [plain()])


def other_sequences(ds: Dataset) -> None:
    """Lists of that name within items are something else."""
    for is_undefined, item in enumerate(ds.ReferencedSOPSequence):
        item.ReferencedSeriesSequence = [plain(), plain()]
        item["ReferencedSeriesSequence"].is_undefined_length = bool(is_undefined)
        item.ReferencedSOPSequence = [plain()]
    ds.ReferencedStudySequence = [plain()]
    ds["ReferencedStudySequence"].is_undefined_length = True


def file_set(ds: Dataset) -> None:
    ds.StorageMediaFileSetID, ds.StorageMediaFileSetUID = "DISC", "1.2.9"
    for item in ds.ReferencedSOPSequence:
        item.StorageMediaFileSetID, item.StorageMediaFileSetUID = "DISC", "1.2.9"


def text(ds: Dataset) -> None:
    ds.SpecificCharacterSet = "ISO_IR 192"
    for item in ds.ReferencedSOPSequence:
        item.PatientName = "Müller^Jürgen"


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(
    "change",
    [
        undefined_lengths,
        undefined_sequence,
        undefined_items,
        private_elements,
        other_sequences,
        file_set,
        text,
    ],
)
def test_what_peers_may_write(change: Callable[[Dataset], None], syntax: str) -> None:
    ds = plain()
    change(ds)
    said = Information(encode_dataset(ds, syntax))
    assert not said.findings(REFERENCED)
    assert said.transaction_uid == "1.2.840.1"
    assert list(said.instances(REFERENCED)) == [ONE, TWO, THREE]
    assert said.count(FAILED) == 0


@pytest.mark.parametrize("is_undefined", [False, True])
def test_a_sequence_of_unknown_vr(is_undefined: bool) -> None:
    """Whoever does not know the element writes it as UN: it is in implicit VR then."""
    ds = plain()
    if is_undefined:
        undefined_sequence(ds)
    whole = encode_dataset(ds, IMPLICIT).getvalue()
    place = whole.index(struct.pack("<HH", 0x0008, 0x1199))
    length, items = whole[place + 4 : place + 8], whole[place + 8 :]
    uid = encode_dataset(Dataset({0x00081195: ds[0x00081195]}), EXPLICIT).getvalue()
    un = struct.pack("<HH2sH", 0x0008, 0x1199, b"UN", 0) + length + items
    said = Information(InMemory(uid + un, EXPLICIT))
    assert list(said.instances(REFERENCED)) == [ONE, TWO, THREE]


def test_where_it_can_be_retrieved_from() -> None:
    """It is said of all, or of each; what is said of one counts."""
    ds = plain()
    ds.RetrieveAETitle = "ALL"
    ds.ReferencedSOPSequence[1].RetrieveAETitle = ["ONE", "TWO"]
    said = Information(encode_dataset(ds, EXPLICIT))
    titles = [item.retrieve_ae_title for item in said.items(REFERENCED)]
    assert titles == ["ALL", "ONE\\TWO", "ALL"]


@pytest.mark.parametrize("is_empty", [False, True])
@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(
    ("tag", "where"),
    [
        (TRANSACTION_UID, None),
        (REFERENCED, None),
        (REFERENCED_CLASS, REFERENCED),
        (REFERENCED_INSTANCE, REFERENCED),
        (REFERENCED_CLASS, FAILED),
        (REFERENCED_INSTANCE, FAILED),
        (FAILURE_REASON, FAILED),
    ],
)
def test_what_is_absent_or_empty(tag: int, where: int | None, syntax: str, is_empty: bool) -> None:
    ds = plain()
    ds.FailedSOPSequence = Sequence(plain().ReferencedSOPSequence)
    for item in ds.FailedSOPSequence:
        item.FailureReason = 0x0110
    holder = ds if where is None else ds[where].value[-1]
    if is_empty:
        holder[tag].value = None
    else:
        del holder[tag]
    found = Information(encode_dataset(ds, syntax)).findings(REFERENCED)
    assert found[:3] == (([], [tag], []) if is_empty else ([tag], [], []))


def test_a_report_needs_one_of_the_lists() -> None:
    ds = plain()
    ds.FailedSOPSequence = []
    assert not Information(encode_dataset(ds, EXPLICIT)).findings(REFERENCED, FAILED)
    del ds.ReferencedSOPSequence
    found = Information(encode_dataset(ds, EXPLICIT)).findings(REFERENCED, FAILED)
    assert found.absent == [REFERENCED]


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
def test_random_bytes(syntax: str) -> None:
    """They are read, or refused by one kind of error."""
    chance = random.Random(11)
    changes = (undefined_lengths, private_elements, other_sequences, file_set)
    wholes = [written(syntax).getvalue()]
    for change in changes:
        ds = plain()
        change(ds)
        wholes.append(encode_dataset(ds, syntax).getvalue())
    refused = 0
    for _ in range(3000):
        data = bytearray(chance.choice(wholes))
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.choice((0, 1, 8, 0xFF, 0xFE, 0x7F))
        if chance.random() < 0.3:
            del data[chance.randrange(len(data)) :]
        try:
            said = Information(InMemory(bytes(data), syntax))
            said.findings(REFERENCED, FAILED)
            list(said.items(REFERENCED))
            list(said.items(FAILED))
        except DataSetDecodeError:
            refused += 1
    assert 0 < refused < 3000


def test_a_list_that_is_none() -> None:
    head = struct.pack("<HH2sH", 0x0008, 0x1199, b"LO", 4)
    with pytest.raises(DataSetDecodeError, match="0008,1199"):
        Information(InMemory(head + b"text", EXPLICIT))


def test_a_value_that_is_too_long() -> None:
    with pytest.raises(DataSetDecodeError, match="0008,1195"):
        Information(InMemory(struct.pack("<HHI", 0x0008, 0x1195, 2000) + b"1" * 2000, IMPLICIT))
    with pytest.raises(ValueError, match="at most 64"):
        Writer(EXPLICIT).add(Reference(CT, "1" * 2000))


def test_a_uid_that_is_there_twice() -> None:
    uids = [f"1.2.{number}" for number in range(10_000)]
    assert not is_twice(lambda: uids)
    assert is_twice(lambda: [*uids, uids[77]])


def test_what_has_the_same_fingerprint_is_not_the_same() -> None:
    class Odd(str):
        __slots__ = ()
        __hash__ = lambda self: 7  # noqa: E731  # all of them

    assert not is_twice(lambda: map(Odd, ("1.1", "1.2", "1.3")))
    assert is_twice(lambda: map(Odd, ("1.1", "1.2", "1.1")))


def test_what_is_not_told() -> None:
    everything = [Reference(CT, f"1.2.{number}") for number in range(40)]
    chance = random.Random(3)
    for _ in range(300):
        told, missing, lists = [], [], ([], [])
        for one in everything:
            if chance.random() < 0.1:
                missing.append(one)
            else:
                told.append(one)
        if chance.random() < 0.5:
            chance.shuffle(told)
        for one in (*told, Reference(CT, "1.9"), Reference("1.2", everything[0].sop_instance)):
            chance.choice(lists).append(one)
        assert untold(everything, *lists) == missing


def test_a_list_that_is_read_anew() -> None:
    told = Told(lambda: iter("abc"), 3)
    assert (len(told), told[0], told[-1], told[1:]) == (3, "a", "c", ["b", "c"])
    assert told == ["a", "b", "c"]
    assert told != ["a", "b"]
    assert told != ["a", "b", "d"]
    assert told != 3
    assert "b" in told
    with pytest.raises(IndexError):
        told[3]


COUNT = int(os.environ.get("PYNETDICOM_COMMITMENT", "30000"))
PROGRAM = """
import sys
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, StorageCommitmentPushModel
from pynetdicom.workflows.commitment import Provider, commit
from pynetdicom.workflows.providing import handlers
from pynetdicom.workflows.stores import SQLiteStore

def instances(count):
    return ((CTImageStorage, f"1.2.826.0.1.3680043.8.498.{'1' * 30}.{n}") for n in range(count))

def check(instance):
    return 0x0112 if instance.sop_instance.endswith("7") else 0

scp, scu = AE(), AE()
scp.add_supported_context(StorageCommitmentPushModel)
scu.add_requested_context(StorageCommitmentPushModel)
store = SQLiteStore("store")
provider = Provider(scp, check, store=store)
server = scp.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers(provider))
assoc = scu.associate("127.0.0.1", server.server_address[1])
commit(assoc, instances(3000), timeout=600)
before = peak()
result = commit(assoc, instances(int(sys.argv[1])), timeout=600)
print(len(result.committed), len(result.failed), len(result.missing), peak() - before)
assoc.release()
provider.close()
scp.shutdown()
store.close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_does_not_grow_with_the_number_of_instances(tmp_path: object) -> None:
    """Both sides in one process. As objects of pydicom, 30,000 instances take 190 MiB.

    ``PYNETDICOM_COMMITMENT`` in the environment says how many there are.
    """
    done = subprocess.run(
        [sys.executable, "-c", PEAK + PROGRAM, str(COUNT)],
        capture_output=True,
        text=True,
        cwd=str(tmp_path),
        timeout=COUNT // 3000 * DEADLINE,
        check=False,
    )
    assert done.stderr == ""
    committed, failed, missing, growth = map(int, done.stdout.split())
    assert (committed, failed, missing) == (COUNT - COUNT // 10, COUNT // 10, 0)
    assert growth < 20 << 20
