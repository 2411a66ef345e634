"""pynetdicom.association.storing: data sets and files to the peer, one by one and many."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from pynetdicom import AE, build_context, evt
from pynetdicom.association.storing import store_files
from pynetdicom.dimse.primitives import C_STORE
from pynetdicom.dsutils import EncodedDataSet, InFile, InMemory, encode_dataset
from pynetdicom.errors import (
    DataSetDecodeError,
    FileProblem,
    MissingUID,
    NotDICOM,
    TruncatedFile,
)
from pynetdicom.network import dul
from pynetdicom.services.instances import StoreParameters
from tests.peers import CT, DEADLINE, VERIFICATION, Acceptor, Call, ct, listening, requestor

IMPLICIT = ImplicitVRLittleEndian


class Store:
    """An SCP that keeps what it gets, and answers with `status`."""

    def __init__(self) -> None:
        self.ae = AE("STORE")
        self.ae.add_supported_context(VERIFICATION)
        self.ae.add_supported_context(CT, [IMPLICIT, ExplicitVRLittleEndian, JPEGBaseline8Bit])
        self.events: list[C_STORE] = []
        self.stored: list[bytes] = []
        self.titles: list[tuple[Any, ...]] = []
        self.status: Any = 0x0000
        server = self.ae.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
        )
        assert server is not None
        self.port: int = server.server_address[1]
        self.scu = requestor()

    def _store(self, event: evt.Event) -> Any:
        self.events.append(event.request)
        self.stored.append(event.encoded_dataset(include_meta=False))
        rq = event.request
        self.titles.append(
            (rq.Priority, rq.MoveOriginatorApplicationEntityTitle, rq.MoveOriginatorMessageID)
        )
        status = self.status
        return status(event) if callable(status) else status

    def associate(self, **kwargs: Any) -> Any:
        assoc = self.scu.associate("127.0.0.1", self.port, **kwargs)
        assert assoc.is_established
        return assoc


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(dul, "LINGER", 0.2)
    made = Store()
    yield made
    made.scu.shutdown()
    made.ae.shutdown()
    made.events.clear()  # whose data sets live as long


@pytest.fixture
def files(tmp_path: Path) -> Callable[[int], list[Path]]:
    """``files(n)``: as many CT images, whose instances are numbered."""

    def make(count: int) -> list[Path]:
        paths = []
        for number in range(count):
            ds = ct(100)
            ds.SOPInstanceUID = f"1.2.3.{number}"
            paths.append(tmp_path / f"{number}.dcm")
            ds.save_as(paths[-1], enforce_file_format=True)
        return paths

    return make


def uids(store: Store) -> list[Any]:
    return [request.AffectedSOPInstanceUID for request in store.events]


# send_c_store


def test_a_data_set(store: Store) -> None:
    ds = ct(3000)
    status = store.associate().send_c_store(ds)
    assert status.Status == 0
    assert store.events[0].AffectedSOPClassUID == CT
    assert uids(store) == ["1.2.3.4"]
    assert bytes(ds[0x00420011].value) in store.stored[0]
    assert store.titles == [(2, None, None)]


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path(store: Store, files: Callable[[int], list[Path]], kind: type) -> None:
    assert store.associate().send_c_store(kind(files(1)[0])).Status == 0
    assert uids(store) == ["1.2.3.0"]


def test_the_parameters(store: Store) -> None:
    assoc = store.associate()
    status = assoc.send_c_store(ct(), 77, 1, b"MOVER", 9)
    assert (status.Status, status.message_id) == (0, 77)
    assert store.titles == [(1, "MOVER", 9)]
    assert store.events[0].MessageID == 77


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"priority": 3}, ValueError),
        ({"priority": "low"}, TypeError),
        ({"msg_id": 70000}, ValueError),
        ({"msg_id": "1"}, TypeError),
        ({"originator_aet": "A" * 17}, ValueError),
        ({"originator_id": -1}, ValueError),
    ],
    ids=str,
)
def test_wrong_parameters_harm_nothing(
    store: Store, given: dict[str, Any], error: type[Exception]
) -> None:
    assoc = store.associate()
    with pytest.raises(error):
        assoc.send_c_store(ct(), **given)
    assert assoc.send_c_store(ct()).Status == 0


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID", "TransferSyntaxUID", "meta"])
def test_what_a_data_set_must_have(store: Store, keyword: str) -> None:
    ds = ct()
    if keyword == "meta":
        del ds.file_meta
    else:
        delattr(ds.file_meta if keyword == "TransferSyntaxUID" else ds, keyword)
    with pytest.raises(AttributeError, match=keyword.replace("meta", "TransferSyntaxUID")):
        store.associate().send_c_store(ds)
    assert store.events == []


def test_a_transfer_syntax_that_contradicts_the_encoding(store: Store) -> None:
    ds = Dataset()
    ds.update(ct())
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    ds.set_original_encoding(True, True)
    with pytest.raises(ValueError, match=r"ExplicitVRBigEndian \(1.2.840.10008.1.2.2\)"):
        store.associate().send_c_store(ds)


def test_a_data_set_that_cannot_be_encoded(store: Store) -> None:
    ds = ct()
    ds.add_new(0x00280010, "US", "not a number")
    assoc = store.associate()
    with pytest.raises(ValueError):
        assoc.send_c_store(ds)
    assert assoc.send_c_store(ct()).Status == 0


def test_no_context(store: Store) -> None:
    assoc = store.associate(contexts=[build_context(VERIFICATION)])
    with pytest.raises(ValueError, match=CT):
        assoc.send_c_store(ct())
    with pytest.raises(ValueError, match="no accepted presentation context"):
        store.associate(contexts=[build_context(CT)]).send_c_echo()


def test_no_association(store: Store) -> None:
    assoc = store.associate()
    assoc.release()
    for call in (
        assoc.send_c_echo,
        lambda: assoc.send_c_store(ct()),
        lambda: assoc.send_c_stores([]),
        lambda: store_files(assoc, []),
    ):
        with pytest.raises(RuntimeError, match="established"):
            call()


def test_a_context_is_chosen_by_transfer_syntax(store: Store) -> None:
    contexts = [
        build_context(CT, JPEGBaseline8Bit),
        build_context(CT, ExplicitVRLittleEndian),
        build_context(CT, IMPLICIT),
    ]
    used: list[int] = []
    store.status = lambda event: used.append(event.context.context_id) or 0
    assoc = store.associate(contexts=contexts)
    for syntax in (IMPLICIT, ExplicitVRLittleEndian, ExplicitVRBigEndian):
        ds = ct()
        ds.file_meta.TransferSyntaxUID = syntax
        assert assoc.send_c_store(ds).Status == 0
    # The last is re-encoded to one that was accepted.
    assert used == [5, 3, 3]


def test_a_compressed_file_is_not_decompressed(store: Store) -> None:
    path = get_testdata_file("JPEG-lossy.dcm")
    assoc = store.associate(contexts=[build_context(CT, IMPLICIT)])
    with pytest.raises(ValueError, match=r"JPEG|1\.2\.840\.10008\.1\.2\.4"):
        assoc.send_c_store(path)


def test_a_file_goes_out_as_it_is(store: Store) -> None:
    path = Path(get_testdata_file("CT_small.dcm"))
    assoc = store.associate(contexts=[build_context(CT, ExplicitVRLittleEndian)])
    assert assoc.send_c_store(path).Status == 0
    assert path.read_bytes().endswith(store.stored[0])
    assert len(store.stored[0]) > 30000


def test_an_uncompressed_file_is_re_encoded(store: Store) -> None:
    path = get_testdata_file("CT_small.dcm")
    assoc = store.associate(contexts=[build_context(CT, IMPLICIT)])
    assert assoc.send_c_store(path).Status == 0
    assert not path.encode().endswith(store.stored[0])


BAD: dict[str, tuple[Callable[[bytes], bytes], type[Exception]]] = {
    "junk": (lambda data: b"no DICOM, by no means" * 20, NotDICOM),
    "empty": (lambda data: b"", NotDICOM),
    "truncated": (lambda data: data[:-10], TruncatedFile),
    "without UIDs": (lambda data: data[: data.index(b"\x08\0\x18\0")], FileProblem),
    # The length is that of Implicit VR Little Endian, padded.
    "encoded otherwise than it says": (
        lambda data: data.replace(b"1.2.840.10008.1.2\0", b"1.2.840.10008.1.9\0", 1),
        FileProblem,
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_files(
    store: Store, files: Callable[[int], list[Path]], tmp_path: Path, what: str
) -> None:
    spoil, error = BAD[what]
    path = tmp_path / "bad.dcm"
    path.write_bytes(spoil(files(1)[0].read_bytes()))
    assoc = store.associate()
    with pytest.raises(error) as raised:
        assoc.send_c_store(path)
    assert "SECRET" not in str(raised.value)
    assert assoc.send_c_store(ct()).Status == 0


def test_a_missing_uid_is_named(store: Store, tmp_path: Path) -> None:
    ds = ct()
    del ds.SOPInstanceUID
    ds.file_meta.MediaStorageSOPClassUID = CT
    ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    ds.save_as(tmp_path / "x.dcm", implicit_vr=True, little_endian=True)
    with pytest.raises(MissingUID):
        store.associate().send_c_store(tmp_path / "x.dcm")


def test_a_file_that_is_not_there(store: Store, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.associate().send_c_store(tmp_path / "none.dcm")


def test_what_a_status_has(store: Store) -> None:
    assoc = store.associate()
    for number in (1, 2):
        status = assoc.send_c_store(ct(), msg_id=number)
        assert (status.Status, status.message_id, status.problem) == (0x0000, number, None)
        assert "ErrorComment" not in status
        assert not hasattr(status, "ErrorComment")


def test_the_status_carries_what_the_peer_said(store: Store) -> None:
    def refuse(event: Any) -> Dataset:
        status = Dataset()
        status.Status = 0xA900
        status.ErrorComment = "wrong" * 10
        status.OffendingElement = [0x00080016, 0x00080018]
        return status

    store.status = refuse
    status = store.associate().send_c_store(ct())
    assert (status.Status, status.ErrorComment) == (0xA900, "wrong" * 10)
    assert list(status.OffendingElement) == [0x00080016, 0x00080018]


def test_a_comment_that_breaks_the_rules_is_shown_as_it_came() -> None:
    """Longer than its VR allows; pydicom would warn, which is an error in these tests."""

    def script(peer: Acceptor) -> None:
        peer.accept()
        context_id, request = peer.command()
        response = request.response(0xA700)
        response.__dict__["ErrorComment"] = "x" * 64
        data = response.encode().replace(b"x" * 64, b"\\" * 64)
        peer.respond(context_id, data)
        peer.rest()

    with listening(script) as listener:
        ae = requestor()
        status = ae.associate("127.0.0.1", listener.port).send_c_echo()
        assert status.Status == 0xA700
        assert "ErrorComment" in status
        ae.shutdown()


def test_a_response_about_another_instance(caplog: pytest.LogCaptureFixture) -> None:
    """It answers the request whose Message ID it has; the log says it, once."""
    named = ["1.2.3.4", "", None, "1.2.9", "1.2.8", "1.2.3.4"]

    def script(peer: Acceptor) -> None:
        peer.accept()
        for uid in named:
            context_id, request = peer.command()
            peer.pdu()
            response = request.response(0)
            response.__dict__["AffectedSOPInstanceUID"] = uid  # which may be empty
            peer.respond(context_id, response)
        peer.rest()

    with listening(script) as listener:
        ae = requestor()
        ae.add_requested_context(CT, IMPLICIT)
        assoc = ae.associate("127.0.0.1", listener.port)
        assert [assoc.send_c_store(ct()).Status for _ in named] == [0] * len(named)
        (told,) = (record.getMessage() for record in caplog.records if record.levelno > 20)
        assert told == (
            "the peer's response to C-STORE 4 is about another instance, 1.2.9: it is taken for"
            " that to 1.2.3.4"
        )
        ae.shutdown()


# Data sets that are encoded already


def as_file(ds: Dataset, syntax: str, tmp_path: Path) -> InFile:
    data = encode_dataset(ds, syntax).getvalue()
    (tmp_path / "raw").write_bytes(b"head" + data)
    return InFile(tmp_path / "raw", 4, len(data), syntax)


def in_memory(ds: Dataset, syntax: str, tmp_path: Path) -> EncodedDataSet:
    return encode_dataset(ds, syntax)


@pytest.mark.parametrize("make", [in_memory, as_file])
@pytest.mark.parametrize("size", [100, 3_000_000])
def test_an_encoded_data_set_goes_out_as_it_is(
    store: Store, tmp_path: Path, make: Callable[..., EncodedDataSet], size: int
) -> None:
    encoded = make(ct(size), IMPLICIT, tmp_path)
    assoc = store.associate()
    for message_id in 1, 2:  # it is still open after the first
        status = assoc.send_c_store(encoded, message_id, 1, "MOVER", 9)
        assert (status.Status, status.message_id) == (0, message_id)
    assert store.stored == [encoded.getvalue()] * 2
    assert uids(store) == ["1.2.3.4"] * 2
    assert store.events[0].AffectedSOPClassUID == CT
    assert store.titles == [(1, "MOVER", 9)] * 2
    encoded.close()


def test_an_encoded_data_set_for_another_context(store: Store, tmp_path: Path) -> None:
    assoc = store.associate(contexts=[build_context(CT, IMPLICIT)])
    encoded = as_file(ct(), ExplicitVRLittleEndian, tmp_path)
    assert assoc.send_c_store(encoded).Status == 0
    assert store.stored == [encode_dataset(ct(), IMPLICIT).getvalue()]
    compressed = InMemory(encoded.getvalue(), JPEGBaseline8Bit)
    with pytest.raises(ValueError, match="no accepted presentation context"):
        assoc.send_c_store(compressed)
    assert len(store.stored) == 1
    encoded.close()


def test_encoded_data_sets_that_cannot_be_sent(store: Store, tmp_path: Path) -> None:
    assoc = store.associate()
    ds = ct()
    del ds.SOPInstanceUID
    with pytest.raises(MissingUID):
        assoc.send_c_store(encode_dataset(ds, IMPLICIT))
    data = encode_dataset(ct(), IMPLICIT).getvalue()
    with pytest.raises(DataSetDecodeError):
        assoc.send_c_store(InMemory(data[:-3], IMPLICIT))
    with pytest.raises(FileNotFoundError):
        assoc.send_c_store(InFile(tmp_path / "none", 0, 100, IMPLICIT))
    assert assoc.send_c_store(InMemory(data, IMPLICIT)).Status == 0


@pytest.mark.parametrize("size", [100, 300_000])
def test_what_was_received_is_sent_on(store: Store, size: int) -> None:
    """By a handler, without being decoded: not even text without a character set is touched."""
    ds = ct(size)
    data = encode_dataset(ds, ExplicitVRLittleEndian).getvalue()
    data = data.replace(b"SECRET^PATIENT", b"M\xfcller^Thomas ")
    contexts = [build_context(CT, ExplicitVRLittleEndian)]
    kept = []

    def forward(event: Any) -> int:
        kept.append(event.received)
        status: int = onward.send_c_store(event.received).Status
        assert event.encoded_dataset(include_meta=False) == data  # it is still there
        return status

    router = AE("ROUTER")
    router.add_supported_context(CT, ExplicitVRLittleEndian)
    server = router.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, forward)]
    )
    assert server is not None
    try:
        onward = store.associate(contexts=contexts)
        assoc = store.scu.associate("127.0.0.1", server.server_address[1], contexts)
        encoded = InMemory(data, ExplicitVRLittleEndian)
        assert assoc.send_c_store(encoded).Status == 0
        store.status = 0xA702
        assert assoc.send_c_store(encoded).Status == 0xA702
    finally:
        router.shutdown()
    assert store.stored == [data] * 2
    assert kept[0].getvalue() == data  # as long as somebody holds it
    kept.clear()


def test_a_name_that_its_character_set_lacks(store: Store) -> None:
    ds = ct()
    ds.PatientName = "Łukasz"
    assoc = store.associate()
    for character_set in None, "ISO_IR 100":
        ds.SpecificCharacterSet = character_set
        with pytest.raises(ValueError, match="PatientName has a character") as caught:
            assoc.send_c_store(ds)
        assert "ukasz" not in str(caught.value)
    assert store.stored == []
    ds.SpecificCharacterSet = "ISO_IR 192"
    assert assoc.send_c_store(ds).Status == 0
    assert "Łukasz".encode() in store.stored[0]


# Many files


def test_files_in_order(store: Store, files: Callable[[int], list[Path]]) -> None:
    paths = files(20)
    results = list(store.associate().send_c_stores(paths))
    assert [path for path, _ in results] == paths
    assert [status.Status for _, status in results] == [0] * 20
    assert all(status.problem is None for _, status in results)
    assert uids(store) == [f"1.2.3.{number}" for number in range(20)]


def test_store_files_gives_plain_numbers(store: Store, files: Callable[[int], list[Path]]) -> None:
    paths = files(2)
    store.status = 0xB000
    results = list(store_files(store.associate(), paths, StoreParameters(1, "MOVER")))
    assert [result[:3] for result in results] == [
        (paths[0], 0xB000, None),
        (paths[1], 0xB000, None),
    ]
    assert store.titles == [(1, "MOVER", None)] * 2


def test_bad_files_are_named_and_the_others_sent(
    store: Store, files: Callable[[int], list[Path]], tmp_path: Path
) -> None:
    good = files(4)
    bad = {}
    for what, (spoil, _) in BAD.items():
        bad[what] = tmp_path / f"{what}.dcm"
        bad[what].write_bytes(spoil(good[0].read_bytes()))
    other = ct()
    other.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    other.save_as(tmp_path / "mr.dcm", enforce_file_format=True)
    paths: list[Any] = [
        tmp_path / "none.dcm",
        good[0],
        *bad.values(),
        good[1],
        tmp_path,
        5,
        good[2],
        tmp_path / "mr.dcm",
        good[3],
    ]
    results = list(store_files(store.associate(), paths))
    assert [result.path for result in results] == paths
    for result in results:
        assert (result.status == 0) is (result.path in good)
        assert (result.problem is None) is (result.path in good)
        assert result.problem is None or "\n" not in result.problem
        assert "SECRET" not in str(result.problem)
    assert len(store.events) == 4


def test_nothing_to_send(store: Store) -> None:
    assoc = store.associate()
    assert list(assoc.send_c_stores([])) == []
    assert assoc.send_c_echo().Status == 0


def test_a_data_set_that_overruns_cannot_be_re_encoded(store: Store, tmp_path: Path) -> None:
    """Its element headers pass when it is read, its sequence does not when it is decoded."""
    ds = ct()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    item = Dataset()
    item.PatientID = "SECRET"
    ds.ReferencedStudySequence = [item]
    ds.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    data = (tmp_path / "x.dcm").read_bytes()
    at = data.index(b"\x10\0\x20\0LO")
    (tmp_path / "x.dcm").write_bytes(data[: at + 6] + b"\xff\0" + data[at + 8 :])
    assoc = store.associate(contexts=[build_context(CT, IMPLICIT), build_context(VERIFICATION)])
    [result] = store_files(assoc, [tmp_path / "x.dcm"])
    assert result.status is None
    assert "SECRET" not in result.problem
    with pytest.raises((ValueError, FileProblem)):
        assoc.send_c_store(tmp_path / "x.dcm")
    assert assoc.send_c_echo().Status == 0


def test_what_the_callers_iterable_raises_comes_after_what_was_sent(
    store: Store, files: Callable[[int], list[Path]]
) -> None:
    good = files(2)

    def paths() -> Iterator[Path]:
        yield from good
        raise ValueError("mine")

    assoc = store.associate()
    results = store_files(assoc, paths())
    assert [next(results).status for _ in good] == [0, 0]
    with pytest.raises(ValueError, match="mine"):
        next(results)
    assert assoc.send_c_echo().Status == 0


def test_left_early_the_association_is_still_of_use(
    store: Store, files: Callable[[int], list[Path]]
) -> None:
    assoc = store.associate()
    for _ in range(3):
        for _, status in assoc.send_c_stores(files(5)):
            assert status.Status == 0
            break
    results = assoc.send_c_stores(files(5))
    next(results)
    results.close()
    assert len(store.events) == 4
    assert assoc.send_c_store(ct()).Status == 0
    assert assoc.send_c_echo().message_id == 6


def test_the_end_of_the_association_in_the_midst(
    store: Store, files: Callable[[int], list[Path]]
) -> None:
    def status(event: Any) -> int:
        if len(store.events) == 3:
            event.assoc.abort()
        return 0

    store.status = status
    paths = files(6)
    results = list(store.associate().send_c_stores(paths))
    assert [path for path, _ in results] == paths
    assert [status.get("Status") for _, status in results] == [0, 0, None, 0, 0, 0]
    assert "aborted by the peer" in results[2][1].problem


def test_other_requests_in_between(store: Store, files: Callable[[int], list[Path]]) -> None:
    assoc = store.associate()
    for _, status in assoc.send_c_stores(files(4)):
        assert status.Status == 0
        assert assoc.send_c_echo().Status == 0


def test_two_threads_send_files_on_one_association(
    store: Store, files: Callable[[int], list[Path]]
) -> None:
    """Each gets the statuses of its own: that of an instance is its number."""
    store.status = lambda event: 0xB000 + int(event.request.AffectedSOPInstanceUID[6:])
    paths = files(30)
    assoc = store.associate()
    halves = [paths[::2], paths[1::2]]
    calls = [Call(lambda half=half: list(store_files(assoc, half))) for half in halves]
    for half, call in zip(halves, calls, strict=True):
        results = call.result(2 * DEADLINE)
        assert [result.path for result in results] == half
        assert [result.status for result in results] == [0xB000 + int(p.stem) for p in half]


def test_the_file_that_is_read_ahead_is_given_back(
    store: Store, files: Callable[[int], list[Path]]
) -> None:
    """The next file is open while the caller looks at the last one's status, and no longer."""

    def open_files() -> int:
        directory = "/proc/self/fd"
        links = (f"{directory}/{fd}" for fd in os.listdir(directory))
        return sum(os.path.exists(p) and os.readlink(p).endswith(".dcm") for p in links)

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no /proc/self/fd here")
    results = store_files(store.associate(), files(3))
    next(results)
    assert open_files() <= 1
    results.close()
    assert open_files() == 0


# send_ahead


def test_nothing_is_sent_before_it_is_asked_for(
    store: Store, files: Callable[[int], list[Path]]
) -> None:
    assoc = store.associate()
    results = assoc.send_c_stores(files(3))
    next(results)
    assert assoc.send_c_echo().Status == 0
    assert len(store.events) == 1


def test_send_ahead(store: Store, files: Callable[[int], list[Path]]) -> None:
    """The next file goes out before the last one's result is looked at, and each has its own."""
    paths = files(4)
    store.status = lambda event: 0xB000 if event.request.MessageID == 2 else 0
    assoc = store.associate()
    seen = []
    for path, status in assoc.send_c_stores(paths, send_ahead=True):
        # Waits for the answer to the next one, which is under way.
        assert assoc.send_c_echo().Status == 0
        seen.append((path, status.Status, status.message_id, len(store.events)))
    # Message IDs 2, 4 and 6 are the echoes'.
    assert seen == [
        (paths[0], 0, 1, 2),
        (paths[1], 0xB000, 2, 3),
        (paths[2], 0, 4, 4),
        (paths[3], 0, 6, 4),
    ]


def test_leaving_early_with_a_file_under_way(
    store: Store, files: Callable[[int], list[Path]]
) -> None:
    assoc = store.associate()
    results = assoc.send_c_stores(files(3), send_ahead=True)
    next(results)
    results.close()
    store.status = 0xA700
    [(_, status)] = assoc.send_c_stores(files(1))
    assert status.Status == 0xA700
    assert uids(store) == ["1.2.3.0", "1.2.3.1", "1.2.3.0"]
    assoc.release()
    assert assoc.is_released


def test_send_ahead_and_a_peer_that_aborts(
    store: Store, files: Callable[[int], list[Path]]
) -> None:
    def abort(event: evt.Event) -> int:
        if len(store.events) == 2:
            event.assoc.abort()
        return 0

    store.status = abort
    results = list(store_files(store.associate(), files(4), send_ahead=True))
    assert [result.status for result in results] == [0, None, 0, 0]
    assert "no answer" in str(results[1].problem)


def test_a_message_id_that_was_expected_for_the_next_file_and_is_taken(
    store: Store, files: Callable[[int], list[Path]]
) -> None:
    """The next file is encoded while the one before is under way; its Message ID is a guess."""
    assoc = store.associate()
    taken = []
    for _, status in assoc.send_c_stores(files(3)):
        assert status.Status == 0
        taken.append(assoc.send_c_echo().message_id)
    assert [request.MessageID for request in store.events] == [1, 3, 5]
    assert taken == [2, 4, 6]


def test_others_are_answered_while_files_are_sent_ahead(
    store: Store, files: Callable[[int], list[Path]]
) -> None:
    """Whoever has read an answer sends the next file first, and waits for nobody in between."""
    assoc = store.associate()
    over = threading.Event()
    echoes: list[int] = []

    def echo() -> None:
        while not echoes or not over.is_set():
            echoes.append(assoc.send_c_echo().Status)

    threads = [threading.Thread(target=echo) for _ in range(2)]
    for thread in threads:
        thread.start()
    results = list(assoc.send_c_stores(files(60), send_ahead=True))
    over.set()
    for thread in threads:
        thread.join(60)
    assert [status.Status for _, status in results] == [0] * 60
    assert set(echoes) == {0}
    assert not assoc.dul.is_reading_here


@pytest.mark.parametrize("count", [1, 2])
def test_a_consumer_of_files_sent_ahead_who_takes_his_time(
    store: Store, files: Callable[[int], list[Path]], count: int
) -> None:
    """He may do anything in between: others read."""
    assoc = store.associate()
    for _, status in assoc.send_c_stores(files(count), send_ahead=True):
        assert status.Status == 0
        thread = threading.Thread(target=assoc.send_c_echo)
        thread.start()
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.parametrize("event", [evt.EVT_DIMSE_RECV, evt.EVT_DIMSE_SENT])
def test_handlers_while_files_are_sent_ahead_may_wait_for_others_to_read(
    store: Store, files: Callable[[int], list[Path]], event: evt.EventType
) -> None:
    assoc = store.associate()
    reading: list[bool] = []
    assoc.bind(event, lambda happened: reading.append(happened.assoc.dul.is_reading_here))
    results = list(assoc.send_c_stores(files(6), send_ahead=True))
    assert [status.Status for _, status in results] == [0] * 6
    assert reading == [False] * 6
