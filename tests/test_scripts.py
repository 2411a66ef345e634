"""Short scripts as users of each generation write them, with the names that they import."""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

import pynetdicom3
from pynetdicom import AE, QueryRetrievePresentationContexts, _config, build_context, evt
from pynetdicom.dimse.primitives import C_STORE
from pynetdicom.dsutils import InMemory
from tests.examples.certificates import write_certificates
from tests.pair import CT, DEADLINE, IMPLICIT, VERIFICATION, Pair, Seen, ended, serve
from tests.peers import ct

STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"


def query(**keys: str | None) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return identifier


class Scp:
    """An AE that listens, of whichever generation."""

    def __init__(self, ae: AE, *handlers: tuple[Any, ...], **options: Any) -> None:
        self.ae = ae
        self.server = serve(ae, evt_handlers=list(handlers), **options)
        self.port: int = self.server.server_address[1]


@pytest.fixture
def scp() -> Iterator[Callable[..., Scp]]:
    made: list[Scp] = []

    def make(ae: AE, *handlers: tuple[Any, ...], **options: Any) -> Scp:
        made.append(Scp(ae, *handlers, **options))
        return made[-1]

    yield make
    for one in made:
        one.ae.shutdown()


# Version 0.9, pynetdicom3


def test_09_echo(scp: Any) -> None:
    from pynetdicom3 import AE, VerificationSOPClass

    there = scp(AE(scp_sop_class=[VerificationSOPClass]))
    ae = AE(ae_title="MY_SCU", port=0, scu_sop_class=[VerificationSOPClass])
    assoc = ae.associate("127.0.0.1", there.port, "ANY-SCP")
    assert assoc.is_established
    assert assoc.acceptor.ae_title == "ANY-SCP"
    status = assoc.send_c_echo()
    assert status.code == 0x0000
    assoc.release()


def test_09_store(scp: Any) -> None:
    from pynetdicom3 import AE, StorageSOPClassList, VerificationSOPClass

    stored: list[Any] = []

    def on_c_store(dataset: Any, context: Any, info: Any) -> int:
        stored.append(dataset.SOPInstanceUID)
        return 0x0000

    acceptor = AE("STORE", 0, [], [*StorageSOPClassList, VerificationSOPClass], [IMPLICIT])
    acceptor.on_c_store = on_c_store
    there = scp(acceptor)
    ae = AE(scu_sop_class=StorageSOPClassList, transfer_syntax=[IMPLICIT])
    assoc = ae.associate("127.0.0.1", there.port, b"STORE", 16382)
    assert assoc.send_c_store(ct()).code == 0x0000
    assert stored == ["1.2.3.4"]
    assoc.release()


def test_09_find(scp: Any) -> None:
    from pynetdicom3 import AE, QueryRetrieveSOPClassList

    def on_c_find(dataset: Any, context: Any, info: Any) -> Any:
        yield 0xFF00, query(PatientName="A")

    acceptor = AE(scp_sop_class=QueryRetrieveSOPClassList)
    acceptor.on_c_find = on_c_find
    there = scp(acceptor)
    ae = AE(scu_sop_class=QueryRetrieveSOPClassList)
    assoc = ae.associate("127.0.0.1", there.port, ae_title="QR")
    found = [
        (status.code, identifier)
        for status, identifier in assoc.send_c_find(query(PatientName="*"), query_model="S")
    ]
    assert [code for code, _ in found] == [0xFF00, 0x0000]
    assert found[0][1].PatientName == "A"
    assoc.release()


def test_09_everything_fits_into_one_association() -> None:
    from pynetdicom3 import (
        AE,
        QueryRetrieveSOPClassList,
        StorageSOPClassList,
        VerificationSOPClass,
    )

    ae = AE(scu_sop_class=[VerificationSOPClass, QueryRetrieveSOPClassList, StorageSOPClassList])
    assert len(ae.requested_contexts) == 128
    assert ae.supported_contexts == []


def test_09_names() -> None:
    from pynetdicom3 import (
        pynetdicom_implementation_uid,
        pynetdicom_uid_prefix,
        pynetdicom_version,
    )
    from pynetdicom3.applicationentity import ApplicationEntity
    from pynetdicom3.sop_class import QR_CLASS_LIST, STORAGE_CLASS_LIST, CTImageStorage

    assert ApplicationEntity is pynetdicom3.AE
    assert CTImageStorage in STORAGE_CLASS_LIST
    assert all(uid.name != uid for uid in [*STORAGE_CLASS_LIST, *QR_CLASS_LIST])
    assert pynetdicom_implementation_uid.startswith(pynetdicom_uid_prefix)
    assert len(pynetdicom_version) <= 16
    assert {"VerificationSOPClass", "applicationentity"} <= set(dir(pynetdicom3))


class OldClass:
    """As that version's SOP Classes were."""

    UID = CT


@pytest.mark.parametrize(
    "given",
    [CT, CT.encode(), [CT], (CT, CT), {CT}, iter([CT]), [[CT], [[CT]]], OldClass, [OldClass],
     build_context(CT), [build_context(CT)]],
)  # fmt: skip
def test_09_what_a_sop_class_may_be(given: Any) -> None:
    ae = pynetdicom3.AE(scu_sop_class=given, transfer_syntax=IMPLICIT)
    assert [cx.abstract_syntax for cx in ae.requested_contexts] == [CT]
    assert ae.requested_contexts[0].transfer_syntax == [IMPLICIT]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"scu_sop_class": 7}, TypeError),
        ({"scp_sop_class": [CT, None, 7]}, TypeError),
        ({"transfer_syntax": 7}, TypeError),
        ({"scu_sop_class": [f"1.2.{n}" for n in range(129)]}, ValueError),
        ({"scu_sop_class": [""]}, ValueError),
    ],
)
def test_09_what_it_may_not_be(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        pynetdicom3.AE(**arguments)


def test_09_no_answer_has_no_code(scp: Any) -> None:
    there = scp(
        pynetdicom3.AE(scp_sop_class=VERIFICATION),
        (evt.EVT_C_ECHO, lambda event: event.assoc.abort()),
    )
    ae = pynetdicom3.AE(scu_sop_class=VERIFICATION)
    assert ae.associate("127.0.0.1", there.port, "X").send_c_echo().code is None


def test_contexts_are_still_the_third_argument(scp: Any) -> None:
    there = scp(pynetdicom3.AE(scp_sop_class=[VERIFICATION]))
    ae = pynetdicom3.AE()
    with ae.associate("127.0.0.1", there.port, [build_context(VERIFICATION)], "T") as assoc:
        assert assoc.is_established
        assert assoc.acceptor.ae_title == "T"


# Version 1, callbacks


def test_callbacks_and_bytes(scp: Any) -> None:
    from pynetdicom.sop_class import CTImageStorage, VerificationSOPClass

    seen: list[Any] = []

    def on_c_store(dataset: Any, context: Any, info: Any) -> Any:
        seen.append(info["requestor"]["ae_title"])
        seen.append(info["acceptor"]["ae_title"])
        status = Dataset()
        status.Status = 0xB007
        status.ErrorComment = "odd"
        return status

    acceptor = AE(ae_title=b"STORE           ")
    acceptor.add_supported_context(VerificationSOPClass)
    acceptor.add_supported_context(CTImageStorage)
    acceptor.on_c_store = on_c_store  # type: ignore[method-assign]
    acceptor.require_calling_aet = b"ME"
    acceptor.require_called_aet = True
    there = scp(acceptor)
    ae = AE(b"ME")
    ae.requested_contexts = [build_context(CTImageStorage, IMPLICIT)]
    assoc = ae.associate("127.0.0.1", there.port, ae_title=b"STORE")
    assert assoc.is_established
    status = assoc.send_c_store(ct(), originator_aet=b"ORIGIN", originator_id=3)
    assert (status.Status, status.ErrorComment) == (0xB007, "odd")
    assert seen == [b"ME              ", b"STORE           "]
    # Others than the callbacks see text.
    assert assoc.local["ae_title"] == assoc.requestor.info["ae_title"] == "ME"
    assert assoc.remote["ae_title"] == assoc.acceptor.info["ae_title"] == "STORE"
    assoc.release()


@pytest.mark.parametrize("give", [str, str.encode, lambda t: t.encode().ljust(16)])
def test_titles_are_taken_as_text_or_bytes(give: Callable[[str], Any], scp: Any) -> None:
    import warnings

    moved = Seen()

    def handle_move(event: evt.Event) -> Any:
        moved.add(event.move_destination)
        yield "127.0.0.1", there.port, {"ae_title": give("THERE")}
        yield 1
        yield 0xFF00, ct()

    def handle_store(event: evt.Event) -> int:
        moved.add(event.assoc.requestor.primitive.called_ae_title)
        moved.add(event.request.MoveOriginatorApplicationEntityTitle)
        return 0x0000

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ae = AE(give("TITLE"))
        assert ae.ae_title == "TITLE"
        ae.ae_title = give("OTHER")
        ae.require_calling_aet = [give("OTHER"), give("MORE")]
        assert ae.require_calling_aet == ["OTHER", "MORE"]
        ae.require_calling_aet = give("OTHER")
        for uid in (CT, STUDY_MOVE):
            ae.add_supported_context(uid, IMPLICIT)
            ae.add_requested_context(uid, IMPLICIT)
        handlers = [(evt.EVT_C_MOVE, handle_move), (evt.EVT_C_STORE, handle_store)]
        there = scp(ae, *handlers, ae_title=give("SERVER"))
        assert there.server.ae_title == "SERVER"
        there.server.ae_title = give("LATER")
        assert there.server.ae_title == "LATER"
        assoc = ae.associate("127.0.0.1", there.port, ae_title=give("CALLED"))
        assoc.acceptor.ae_title = give("PEER")
        assert assoc.remote["ae_title"] == "PEER"
        assert assoc.acceptor.primitive.called_ae_title == "CALLED"
        statuses = [s.Status for s, _ in assoc.send_c_move(query(), give("DEST"), STUDY_MOVE)]
        assert statuses == [0xFF00, 0x0000]
        assert moved.wait(3) == ["DEST", "THERE", "OTHER"]
        assert assoc.send_c_store(ct(), originator_aet=give("ORIGIN")).Status == 0x0000
        assert moved.notes[-1] == "ORIGIN"
        assoc.release()


def test_raw_bytes_for_on_c_store(scp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "DECODE_STORE_DATASETS", False)
    raw: list[Any] = []

    def on_c_store(dataset: Any, context: Any, info: Any) -> int:
        raw.append((dataset, context.transfer_syntax))
        return 0x0000

    acceptor = AE()
    acceptor.add_supported_context(CT)
    acceptor.on_c_store = on_c_store  # type: ignore[method-assign]
    there = scp(acceptor)
    ae = AE()
    ae.add_requested_context(CT, IMPLICIT)
    with ae.associate("127.0.0.1", there.port) as assoc:
        for size in (100, 200_000):  # in memory, in a file
            assert assoc.send_c_store(ct(size)).Status == 0x0000
            dataset, transfer_syntax = raw.pop()
            assert type(dataset) is bytes
            assert transfer_syntax == IMPLICIT
            found = dcmread(io.BytesIO(dataset), force=True)
            assert found.PatientName == "SECRET^PATIENT"
            assert len(found.EncapsulatedDocument) == size
        monkeypatch.setattr(_config, "DECODE_STORE_DATASETS", True)
        assert assoc.send_c_store(ct()).Status == 0x0000
        assert raw[0][0].PatientName == "SECRET^PATIENT"


def test_raw_bytes_that_do_not_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are the callback's to judge, and not answered with 0xC210."""
    monkeypatch.setattr(_config, "DECODE_STORE_DATASETS", False)
    broken = b"\x08\x00\x05\x00\xff\xff\xff\x7f"
    given: list[Any] = []
    with Pair() as pair, pair.associate() as assoc:
        pair.scu.on_c_store = lambda dataset, context, info: given.append(dataset)  # type: ignore[method-assign]
        request = C_STORE(MessageID=1, Priority=2, AffectedSOPClassUID=CT)
        for data_set, raw in ((InMemory(broken, IMPLICIT), broken), (None, b"")):
            request.data_set = data_set
            attrs = {"request": request, "_context": assoc.accepted_contexts[1]}
            evt.ask(evt.Event(assoc, evt.EVT_C_STORE, attrs))
            assert given.pop() == raw


# Version 3, events


def nothing_found(event: evt.Event) -> None:
    event.identifier


@pytest.mark.parametrize(
    "handler",
    [nothing_found, lambda event: [], lambda event: (), lambda event: iter(()), lambda event: 0],
)
def test_a_query_that_finds_nothing(handler: Any, scp: Any) -> None:
    acceptor = AE()
    acceptor.add_supported_context(STUDY_FIND)
    there = scp(acceptor, (evt.EVT_C_FIND, handler))
    ae = AE()
    ae.add_requested_context(STUDY_FIND)
    with ae.associate("127.0.0.1", there.port) as assoc:
        (answer,) = assoc.send_c_find(query(), STUDY_FIND)
        assert (answer[0].Status, answer[1]) == (0x0000, None)


def test_a_callback_that_finds_nothing(scp: Any) -> None:
    acceptor = AE()
    acceptor.add_supported_context(STUDY_FIND)
    acceptor.on_c_find = lambda dataset, context, info: None  # type: ignore[method-assign]
    there = scp(acceptor)
    ae = AE()
    ae.add_requested_context(STUDY_FIND)
    with ae.associate("127.0.0.1", there.port) as assoc:
        assert [s.Status for s, _ in assoc.send_c_find(query(), query_model="S")] == [0x0000]


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.int64, np.array])
def test_statuses_of_another_type(kind: Callable[[int], Any], scp: Any) -> None:
    def as_data_set(code: int) -> Dataset:
        status = Dataset()
        status.Status = kind(code)
        return status

    def handle_find(event: evt.Event) -> Any:
        yield kind(0xFF00), query(PatientName="A")
        yield kind(0xA700), None

    def handle_get(event: evt.Event) -> Any:
        yield kind(1)
        yield kind(0xFF00), ct()
        yield kind(0xB000), None

    acceptor = AE()
    for uid in (VERIFICATION, STUDY_FIND, STUDY_GET):
        acceptor.add_supported_context(uid, IMPLICIT)
    acceptor.add_supported_context(CT, IMPLICIT, scu_role=True, scp_role=True)
    answers: dict[str, Any] = {"store": kind(0xB007)}
    there = scp(
        acceptor,
        (evt.EVT_C_ECHO, lambda event: kind(0x0122)),
        (evt.EVT_C_STORE, lambda event: answers["store"]),
        (evt.EVT_C_FIND, handle_find),
        (evt.EVT_C_GET, handle_get),
    )
    ae = AE()
    for uid in (VERIFICATION, CT, STUDY_FIND, STUDY_GET):
        ae.add_requested_context(uid, IMPLICIT)
    from pynetdicom import build_role

    stored = Seen()

    def handle_store(event: evt.Event) -> Any:
        stored.add(event.request.AffectedSOPInstanceUID)
        return kind(0x0000)

    with ae.associate(
        "127.0.0.1",
        there.port,
        ext_neg=[build_role(CT, scu_role=True, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, handle_store)],
    ) as assoc:
        assert assoc.send_c_echo().Status == 0x0122
        assert assoc.send_c_store(ct()).Status == 0xB007
        if kind is not np.array:  # which pydicom does not take as a value
            answers["store"] = as_data_set(0xB006)
            assert assoc.send_c_store(ct()).Status == 0xB006
        for wrong in (np.True_, np.float64(0), np.int64(0x10000), np.int64(-1)):
            answers["store"] = wrong
            assert assoc.send_c_store(ct()).Status == 0xC002
        found = [s.Status for s, _ in assoc.send_c_find(query(), STUDY_FIND)]
        assert found == [0xFF00, 0xA700]
        found = [s.Status for s, _ in assoc.send_c_get(query(), STUDY_GET)]
        assert found == [0xFF00, 0xB000]
        assert stored.notes == ["1.2.3.4"]


def test_status_helpers_take_other_integers() -> None:
    from pynetdicom.status import STATUS_WARNING, code_to_category, code_to_status

    assert code_to_category(np.uint16(0xB000)) == STATUS_WARNING
    status = code_to_status(np.int64(0xA700))
    assert type(status.Status) is int
    for wrong in (True, np.True_, 1.0, "0", None, -1):
        with pytest.raises(ValueError):
            code_to_category(wrong)  # type: ignore[arg-type]


def why(assoc: Any) -> tuple[str, str, str]:
    """As scripts find out why they were rejected."""
    primitive = assoc.acceptor.primitive
    return primitive.result_str, primitive.source_str, primitive.reason_str


def test_why_it_was_rejected() -> None:
    rejections = Seen()

    def note(event: evt.Event) -> None:
        rejections.add(why(event.assoc))

    expected = ("Rejected Permanent", "Service User", "Called AE title not recognised")
    with Pair(scp_handlers=[(evt.EVT_REJECTED, note)]) as pair:
        pair.scp.require_called_aet = True
        assoc = pair.associate(evt_handlers=[(evt.EVT_REJECTED, note)])
        assert assoc.is_rejected
        assert why(assoc) == expected
        assert assoc.requestor.primitive.result is None
        assert rejections.wait(2) == [expected] * 2
        pair.scp.require_called_aet = False
        pair.scp.maximum_associations = 1
        pair.scp.require_calling_aet = "NOBODY"
        assert why(pair.associate())[2] == "Calling AE title not recognised"
        pair.scp.require_calling_aet = ""
        for other in pair.server.all_associations():
            ended(other)
        with pair.associate() as first:
            assert why(first) == ("Accepted", "Service User", "(no value available)")
            busy = pair.associate(evt_handlers=[(evt.EVT_REJECTED, note)])
            assert why(busy) == (
                "Rejected Transient", "Service Provider (Presentation)", "Local limit exceeded",
            )  # fmt: skip


def test_what_both_sides_have_said() -> None:
    seen = Seen()

    def note(event: evt.Event) -> None:
        seen.add((event.assoc.requestor.primitive, event.assoc.acceptor.primitive))

    handlers = [(evt.EVT_REQUESTED, note), (evt.EVT_ESTABLISHED, note)]
    with Pair(scp_handlers=handlers) as pair:  # noqa: SIM117  # the outer is left last
        with pair.associate(ae_title="CALLED", max_pdu=5000) as assoc:
            seen.wait(2)
            theirs = seen.notes[1]
            assert seen.notes[0] == (theirs[0], None)
            for asked, answered in (
                (assoc.requestor.primitive, assoc.acceptor.primitive), theirs
            ):  # fmt: skip
                assert (asked.calling_ae_title, asked.called_ae_title) == ("SCU", "CALLED")
                assert asked.maximum_length_received == 5000
                assert [
                    (cx.context_id, cx.abstract_syntax, cx.transfer_syntax)
                    for cx in asked.presentation_context_definition_list
                ] == [(1, VERIFICATION, [IMPLICIT]), (3, CT, [IMPLICIT])]
                assert asked.result is None
                assert [
                    (cx.context_id, cx.result, cx.transfer_syntax)
                    for cx in answered.presentation_context_definition_results_list
                ] == [(1, 0, [IMPLICIT]), (3, 0, [IMPLICIT])]
                assert answered.result == 0
                assert len(answered.user_information) >= 3
                assert asked.implementation_class_uid == answered.implementation_class_uid


def test_no_connection_has_no_primitive(free_port: int) -> None:
    ae = AE()
    ae.add_requested_context(VERIFICATION)
    assoc = ae.associate("127.0.0.1", free_port)
    assert assoc.acceptor.primitive is None
    assert ae._prepare("127.0.0.1", free_port).requestor.primitive is None


def test_the_address_of_a_peer() -> None:
    peers = Seen()
    handler = (evt.EVT_ESTABLISHED, lambda e: peers.add(e.assoc.dul.socket.socket.getpeername()))
    with Pair(scp_handlers=[handler]) as pair, pair.associate() as assoc:
        assert peers.wait() == [("127.0.0.1", assoc.requestor.port)]
        sock = assoc.dul.socket.socket
        assert sock.getpeername() == pair.server.server_address
        assert not hasattr(sock, "getpeercert")
        info = pair.server.address_info
        assert (info.address, info.port) == ("127.0.0.1", pair.port)
        assert info.as_tuple == pair.server.server_address
        assert not info.is_ipv6


def test_the_certificate_of_a_peer(tmp_path: Path) -> None:
    write_certificates(tmp_path, ("scp", "scu"))
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(tmp_path / "scp.pem", tmp_path / "scp.key")
    server_context.load_verify_locations(tmp_path / "ca.pem")
    server_context.verify_mode = ssl.CERT_REQUIRED
    client_context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    client_context.load_cert_chain(tmp_path / "scu.pem", tmp_path / "scu.key")
    peers = Seen()

    def note(event: evt.Event) -> None:
        sock = event.assoc.dul.socket.socket
        peers.add((sock.getpeercert()["subject"], sock.getpeername(), sock.version()))

    ae = AE()
    ae.add_supported_context(VERIFICATION)
    ae.add_requested_context(VERIFICATION)
    with ae:
        server = serve(ae, ssl_context=server_context, evt_handlers=[(evt.EVT_REQUESTED, note)])
        with ae.associate(
            "127.0.0.1", server.server_address[1], tls_args=(client_context, "localhost")
        ) as assoc:
            assert assoc.is_established, assoc.ended
            sock = assoc.dul.socket.socket
            ((subject, address, version),) = peers.wait()
            assert address == sock.getsockname() == ("127.0.0.1", assoc.requestor.port)
            assert version == sock.version()
            assert "scu" in str(subject)
            assert "scp" in str(sock.getpeercert()["subject"])
            assert sock.getpeercert(True) != b""
            assert sock.cipher()[0]
            assert assoc.send_c_echo().Status == 0x0000


def test_no_cancel_of_what_cannot_be_cancelled(scp: Any) -> None:
    seen: list[Any] = []

    def handle_store(event: evt.Event) -> int:
        seen.append(event.is_cancelled)
        return 0x0000

    with Pair(
        scp_handlers=[
            (evt.EVT_C_STORE, handle_store),
            (evt.EVT_ESTABLISHED, lambda event: seen.append(event.is_cancelled)),
        ]
    ) as pair:
        with pair.associate() as assoc:
            assert assoc.send_c_store(ct()).Status == 0x0000
        assert seen == [False, False]


def test_names_that_scripts_import() -> None:
    from pynetdicom._globals import (
        ALL_TRANSFER_SYNTAXES,
        DEFAULT_MAX_LENGTH,
        DEFAULT_TRANSFER_SYNTAXES,
        STATUS_CANCEL,
        STATUS_FAILURE,
        STATUS_PENDING,
        STATUS_SUCCESS,
        STATUS_UNKNOWN,
        STATUS_WARNING,
    )
    from pynetdicom.association import ServiceUser
    from pynetdicom.service_class import ServiceClass, StorageServiceClass
    from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # as scripts do
        _QR_CLASSES,
        _STORAGE_CLASSES,
        _VERIFICATION_CLASSES,
    )
    from pynetdicom.status import code_to_category

    ae = AE()
    for uid in _STORAGE_CLASSES.values():
        ae.add_supported_context(uid, ALL_TRANSFER_SYNTAXES)
    assert len(ae.supported_contexts) == 170
    assert _STORAGE_CLASSES["CTImageStorage"] == CT
    assert set(_QR_CLASSES.values()) == {
        cx.abstract_syntax for cx in QueryRetrievePresentationContexts
    }
    assert list(_VERIFICATION_CLASSES) == ["Verification"]
    assert (
        DEFAULT_TRANSFER_SYNTAXES
        is importlib.import_module("pynetdicom.presentation").DEFAULT_TRANSFER_SYNTAXES
    )
    assert ae.maximum_pdu_size == DEFAULT_MAX_LENGTH
    categories = [code_to_category(code) for code in (0, 0xFF00, 0xFE00, 0xB000, 0xA700, 0x0002)]
    assert categories == [
        STATUS_SUCCESS, STATUS_PENDING, STATUS_CANCEL, STATUS_WARNING, STATUS_FAILURE,
        STATUS_UNKNOWN,
    ]  # fmt: skip
    assert ServiceUser(None, "requestor").primitive is None
    assert ServiceClass(None).ae is None
    with Pair() as pair, pair.associate() as assoc:
        assert StorageServiceClass(assoc).ae is pair.scu


def test_a_typed_list_of_handlers() -> None:
    from pynetdicom.events import EventHandlerType

    handlers: list[EventHandlerType] = [(evt.EVT_C_ECHO, lambda event: 0x0000)]
    with Pair(scp_handlers=handlers) as pair, pair.associate() as assoc:
        assert assoc.send_c_echo().Status == 0x0000


# What is modelled on the apps


@pytest.fixture
def loggers() -> Iterator[None]:
    names = ("pynetdicom", "my_app")
    before = [(n, logging.getLogger(n).handlers[:], logging.getLogger(n).level) for n in names]
    yield
    for name, handlers, level in before:
        logging.getLogger(name).handlers = handlers
        logging.getLogger(name).setLevel(level)


@pytest.mark.parametrize(
    ("arguments", "level"),
    [
        ({}, logging.ERROR),
        ({"log_type": "v", "log_level": None}, logging.INFO),
        ({"log_type": "d", "log_level": None}, logging.DEBUG),
        ({"log_type": None, "log_level": "warn"}, logging.WARNING),
        ({"verbose": True, "debug": False, "quiet": False}, logging.INFO),
        ({"debug": True}, logging.DEBUG),
        ({"log_type": "q"}, logging.CRITICAL + 1),
        ({"quiet": True}, logging.CRITICAL + 1),
    ],
)
@pytest.mark.usefixtures("loggers")
def test_logging_of_a_script(
    arguments: dict[str, Any], level: int, capsys: pytest.CaptureFixture[str]
) -> None:
    from pynetdicom.apps.common import setup_logging

    for _ in range(2):
        logger = setup_logging(argparse.Namespace(**arguments), "my_app")
    assert logger.name == "my_app"
    assert logger.level == logging.getLogger("pynetdicom").level == level
    logger.critical("said once")
    logging.getLogger("pynetdicom.assoc").critical("by the library")
    shown = "C: said once\nC: by the library\n" if level <= logging.CRITICAL else ""
    assert capsys.readouterr().err == shown


def test_an_identifier_of_a_script(caplog: pytest.LogCaptureFixture) -> None:
    from pynetdicom.apps.common import create_dataset

    keys = ["QueryRetrieveLevel=STUDY", "PatientName=A*", "StudyInstanceUID"]
    identifier = create_dataset(argparse.Namespace(keyword=keys, file=None))
    assert identifier == query(PatientName="A*", StudyInstanceUID=None)
    assert len(create_dataset(argparse.Namespace(keyword=None, file=None), None)) == 0
    logger = logging.getLogger("my_app")
    with caplog.at_level("ERROR", "my_app"), pytest.raises(ValueError, match="Nonsense"):
        create_dataset(argparse.Namespace(keyword=["Nonsense=1"], file=None), logger)
    assert "Nonsense" in caplog.text


def test_start_in_the_style_of_callbacks(free_port: int) -> None:
    from pynetdicom.sop_class import VerificationSOPClass

    echoed = threading.Event()
    ae = AE(port=free_port)
    ae.bind_addr = "127.0.0.1"
    ae.add_supported_context(VerificationSOPClass)

    def on_c_echo(context: Any, info: Any) -> int:
        echoed.set()
        return 0x0000

    ae.on_c_echo = on_c_echo  # type: ignore[method-assign]
    opened = threading.Event()

    class Told(set[Any]):
        def add(self, server: Any) -> None:
            super().add(server)
            opened.set()

    ae._running.servers = Told()
    thread = threading.Thread(target=ae.start)
    thread.start()
    assert opened.wait(DEADLINE)
    scu = AE()
    scu.add_requested_context(VerificationSOPClass)
    with scu.associate("127.0.0.1", free_port) as assoc:
        assert assoc.send_c_echo().Status == 0x0000
    assert echoed.is_set()
    ae.stop()
    thread.join(DEADLINE)
    assert not thread.is_alive()
