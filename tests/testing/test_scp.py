"""`DicomSCP`: what it keeps of what came, what it answers, and that it ends."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from pynetdicom import AE, build_role, evt
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import (
    CTImageStorage,
    ModalityPerformedProcedureStep,
    MRImageStorage,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    Verification,
)
from pynetdicom.testing import DicomFactory, DicomSCP, ScriptedPeer, TLSPair

FIND = PatientRootQueryRetrieveInformationModelFind
GET = PatientRootQueryRetrieveInformationModelGet
MOVE = PatientRootQueryRetrieveInformationModelMove
EXPLICIT = "1.2.840.10008.1.2.1"
LONG = 3600


def requesting(*uids: str) -> AE:
    ae = AE("MY_SCU")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = LONG
    for uid in uids or (Verification, CTImageStorage):
        ae.add_requested_context(uid, EXPLICIT)
    return ae


def associated(scp: DicomSCP, *uids: str, **options: Any) -> Any:
    assoc = requesting(*uids).associate(*scp.address, **options)
    assert assoc.is_established, assoc.ended
    return assoc


def keys(**elements: Any) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = "PATIENT"
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def test_it_keeps_what_came(dicom_scp: DicomSCP, dicom_factory: DicomFactory) -> None:
    ct = dicom_factory(PatientName="Müller^Jörg")
    assoc = associated(dicom_scp, ae_title="CALLED")
    assert assoc.send_c_echo().Status == 0x0000
    assert assoc.send_c_store(ct).Status == 0x0000
    assoc.release()
    [association] = dicom_scp.wait_for_end()
    assert association.ended == "released"
    assert association.calling_ae_title == "MY_SCU"
    assert association.called_ae_title == "CALLED"
    assert association.address[0] == "127.0.0.1"
    assert association.maximum_length == 16382
    assert {syntax for _, syntax in association.contexts.values()} == {EXPLICIT}
    assert [one.operation for one in dicom_scp.received] == ["C-ECHO", "C-STORE"]
    assert association.requests == dicom_scp.received
    [stored] = dicom_scp.stored
    assert stored.calling_ae_title == "MY_SCU"
    assert stored.message_id == 2
    assert stored.status == 0x0000
    assert (stored.sop_class_uid, stored.sop_instance_uid) == (CTImageStorage, ct.SOPInstanceUID)
    assert stored.dataset == ct
    assert stored.dataset.file_meta.TransferSyntaxUID == EXPLICIT
    with pytest.raises(ValueError, match="C-ECHO-RQ has no data set"):
        _ = dicom_scp.received[0].dataset


def test_it_writes_files(tmp_path: Path, dicom_factory: DicomFactory) -> None:
    ct = dicom_factory()
    with DicomSCP(directory=tmp_path) as scp:
        assoc = associated(scp)
        assoc.send_c_store(ct)
        assoc.release()
        [path] = scp.files
    assert Path(path) == tmp_path / f"{ct.SOPInstanceUID}.dcm"
    assert dcmread(path) == ct


def test_what_is_no_file_name_is_none(tmp_path: Path) -> None:
    """A peer may say anything, also ``../x``."""
    with DicomSCP(directory=tmp_path) as scp, ScriptedPeer.connect(scp.address) as peer:
        peer.send("A-ASSOCIATE-RQ", [CTImageStorage])
        peer.expect("A-ASSOCIATE-AC")
        uids = {"AffectedSOPClassUID": CTImageStorage, "AffectedSOPInstanceUID": "../../x"}
        peer.send("C-STORE-RQ", data_set=b"", **uids)
        peer.expect("C-STORE-RSP")
        assert [Path(path).parent for path in scp.files] == [tmp_path]


def test_a_user_identity_is_kept_and_answered(dicom_scp: DicomSCP) -> None:
    user = UserIdentityNegotiation()
    user.user_identity_type = 1
    user.primary_field = b"me"
    user.positive_response_requested = True
    assoc = associated(dicom_scp, ext_neg=[user])
    assert assoc.acceptor.user_identity is not None
    assoc.release()
    [association] = dicom_scp.wait_for_end()
    assert association.user_identity is not None
    assert association.user_identity.primary_field == b"me"


@pytest.mark.parametrize(
    ("contexts", "result"),
    [
        ([CTImageStorage], 0),
        ([(CTImageStorage, [EXPLICIT])], 0),
        ([MRImageStorage], 3),
        ([(CTImageStorage, ["1.2.840.10008.1.2"])], 4),
    ],
)
def test_it_accepts_what_it_is_told(contexts: list[Any], result: int) -> None:
    with DicomSCP(contexts) as scp:
        assoc = requesting(CTImageStorage).associate(*scp.address)
        [context] = [*assoc.accepted_contexts, *assoc.rejected_contexts]
        assert context.result == result
        assoc.abort()


# Answers


def status_set(status: int, **elements: Any) -> Dataset:
    ds = Dataset()
    ds.Status = status
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


@pytest.mark.parametrize(
    "answer",
    [
        0xA700,
        status_set(0xA700),
        (0xA700, None),
        [0xA700],
        lambda request: 0xA700,
        lambda request: iter([status_set(0xA700)]),
    ],
    ids=["int", "data set", "tuple", "list", "callable", "generator"],
)
def test_a_status_in_every_form(answer: Any, dicom_scp: DicomSCP) -> None:
    dicom_scp.respond(answer, to="C-ECHO", times=1, ErrorComment="full")
    assoc = associated(dicom_scp)
    first, second = assoc.send_c_echo(), assoc.send_c_echo()
    assert (first.Status, first.ErrorComment) == (0xA700, "full")
    assert second.Status == 0x0000
    assoc.release()
    assert [one.status for one in dicom_scp.received] == [0xA700, 0x0000]


def test_the_newest_answer_counts_until_it_is_used_up(
    dicom_scp: DicomSCP, dicom_factory: DicomFactory
) -> None:
    dicom_scp.respond(0xB000)
    dicom_scp.respond(0xA700, to=["C-STORE", "C-FIND"], skip=1, times=1)
    assoc = associated(dicom_scp)
    got = [assoc.send_c_store(dicom_factory()).Status for _ in range(3)]
    got.append(assoc.send_c_echo().Status)
    dicom_scp.heal()
    got.append(assoc.send_c_echo().Status)
    assoc.release()
    assert got == [0xB000, 0xA700, 0xB000, 0xB000, 0x0000]


def test_matches_of_a_query(dicom_scp: DicomSCP) -> None:
    matches = [keys(PatientID=str(number)) for number in range(3)]
    dicom_scp.respond(matches, to="C-FIND")
    assoc = associated(dicom_scp, FIND)
    found = [ds.PatientID for _, ds in assoc.send_c_find(keys(PatientID=""), FIND) if ds]
    assert found == ["0", "1", "2"]
    dicom_scp.respond([(0xFF01, matches[0]), 0xA700], to="C-FIND")
    codes = [status.Status for status, _ in assoc.send_c_find(keys(PatientID=""), FIND)]
    assert codes == [0xFF01, 0xA700]
    assoc.release()
    assert dicom_scp.received[0].dataset == keys(PatientID="")


def test_a_query_is_cancelled(dicom_scp: DicomSCP) -> None:
    cancelled = threading.Event()

    def endless(request: Any) -> Any:
        while True:
            yield keys(PatientID="1")
            if cancelled.is_set():
                dicom_scp.pause(0.01)

    dicom_scp.respond(endless, to="C-FIND")
    assoc = associated(dicom_scp, FIND)
    codes = []
    for status, _ in assoc.send_c_find(keys(PatientID=""), FIND):
        if not cancelled.is_set():
            assoc.send_c_cancel(status.message_id, query_model=FIND)
            cancelled.set()
        codes.append(status.Status)
    assoc.release()
    assert codes[-1] == 0xFE00
    assert dicom_scp.received[0].is_cancelled


def test_instances_of_a_c_get(dicom_scp: DicomSCP, dicom_factory: DicomFactory) -> None:
    dicom_scp.respond(dicom_factory.series(2), to="C-GET")
    got = []

    def store(event: Any) -> int:
        got.append(event.dataset.InstanceNumber)
        return 0x0000 if len(got) == 1 else 0xA700

    assoc = associated(
        dicom_scp,
        GET,
        CTImageStorage,
        ext_neg=[build_role(CTImageStorage, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, store)],
    )
    *_, (status, identifier) = assoc.send_c_get(keys(PatientID="1"), GET)
    assoc.release()
    assert got == [1, 2]
    assert status.Status == 0xB000
    assert (status.NumberOfCompletedSuboperations, status.NumberOfFailedSuboperations) == (1, 1)
    assert identifier.FailedSOPInstanceUIDList


def test_instances_that_cannot_be_sent_have_failed(
    dicom_scp: DicomSCP, dicom_factory: DicomFactory
) -> None:
    dicom_scp.respond(dicom_factory.series(2, "MRImageStorage"), to="C-GET")
    assoc = associated(dicom_scp, GET, CTImageStorage)
    *_, (status, _) = assoc.send_c_get(keys(PatientID="1"), GET)
    assoc.release()
    assert status.Status == 0xA702


@pytest.mark.parametrize("known", [True, False])
def test_instances_of_a_c_move(
    known: bool, dicom_scp: DicomSCP, dicom_factory: DicomFactory
) -> None:
    dicom_scp.respond(dicom_factory.study(["CTImageStorage", "BasicTextSRStorage"]), to="C-MOVE")
    with DicomSCP() as destination:
        if known:
            dicom_scp.destinations["DEST"] = destination.address
        assoc = associated(dicom_scp, MOVE)
        *_, (status, _) = assoc.send_c_move(keys(PatientID="1"), "DEST", MOVE)
        assoc.release()
        assert status.Status == (0x0000 if known else 0xA801)
        assert len(destination.stored) == (6 if known else 0)
        for one in destination.stored:
            assert one.command.MoveOriginatorApplicationEntityTitle == "MY_SCU"
            assert one.command.MoveOriginatorMessageID == dicom_scp.received[0].message_id


def test_n_services_are_answered(dicom_scp: DicomSCP) -> None:
    assoc = associated(dicom_scp, ModalityPerformedProcedureStep)
    status, _ = assoc.send_n_create(keys(), ModalityPerformedProcedureStep)
    assert status.Status == 0x0000
    dicom_scp.respond(keys(PatientID="1"), to="N-GET")
    status, attributes = assoc.send_n_get([0x00100020], ModalityPerformedProcedureStep, "1.2.3")
    assert (status.Status, attributes.PatientID) == (0x0000, "1")
    assoc.release()
    assert [one.sop_instance_uid for one in dicom_scp.received] == ["", "1.2.3"]


def test_it_takes_its_time(dicom_scp: DicomSCP) -> None:
    """No more than it is told to, and no longer than it lives."""
    dicom_scp.delay(0.01, to="C-ECHO", times=1)
    dicom_scp.delay(3600, to="C-ECHO", skip=1)
    assoc = associated(dicom_scp)
    assert assoc.send_c_echo().Status == 0x0000
    is_sent = threading.Event()
    assoc.bind(evt.EVT_DIMSE_SENT, lambda event: is_sent.set())
    ended = threading.Thread(target=lambda: (is_sent.wait(60), dicom_scp.close()))
    ended.start()
    assert "Status" not in assoc.send_c_echo()
    ended.join(60)
    assoc.join(60)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda scp: scp.respond(0, to="C-SHOP"), "C-SHOP: no operation; they are C-STORE"),
        (lambda scp: scp.respond(0, times=0), "times 1 or more"),
        (lambda scp: scp.delay(1, before="lunch"), "'lunch' is none of accepting"),
    ],
)
def test_what_cannot_be_is_refused(call: Any, says: str, dicom_scp: DicomSCP) -> None:
    with pytest.raises(ValueError, match=says):
        call(dicom_scp)


# What goes wrong


@pytest.mark.parametrize("kind", [LookupError, FileNotFoundError, EOFError, ValueError])
def test_an_answer_that_fails_is_raised_at_the_end(kind: type[Exception]) -> None:
    def fail(request: Any) -> int:
        raise kind("my own mistake")

    def asks() -> None:
        with DicomSCP() as scp:
            scp.respond(fail)
            assoc = associated(scp)
            status = assoc.send_c_echo()
            assoc.release()
            assert (status.Status, status.ErrorComment) == (0xC000, kind.__name__)

    with pytest.raises(kind, match="my own mistake") as error:
        asks()
    assert "raised by what was to answer a C-ECHO-RQ" in error.value.__notes__


def test_the_failure_of_a_test_is_not_hidden_by_it() -> None:
    scp = DicomSCP()
    scp.problems.append(LookupError("my own mistake"))
    with pytest.raises(ZeroDivisionError) as error, scp:
        raise ZeroDivisionError
    assert error.value.__notes__ == ["DicomSCP: LookupError: my own mistake"]


def test_several_failures_are_raised_together() -> None:
    scp = DicomSCP()
    scp.problems.extend([LookupError("one"), LookupError("two")])
    with pytest.raises(BaseExceptionGroup, match="DicomSCP: 2 failures"), scp:
        pass


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "PDU"),
        (bytes.fromhex("05 00 00000004 00000000"), "expected A-ASSOCIATE-RQ, but A-RELEASE-RQ"),
    ],
)
def test_a_peer_that_is_none_is_told_of(said: bytes, problem: str) -> None:
    def talks() -> None:
        with DicomSCP() as scp, ScriptedPeer.connect(scp.address) as peer:
            peer.send(said)
            peer.rest()

    with pytest.raises(Exception, match=problem):
        talks()


def test_waiting_says_what_came() -> None:
    with DicomSCP(timeout=0.05) as scp:
        assoc = associated(scp)
        assoc.send_c_echo()
        with pytest.raises(TimeoutError, match=r"2 C-STORE; came: \[<C-ECHO from MY_SCU, 0x0000>"):
            scp.wait_for(2, "C-STORE")
        with pytest.raises(TimeoutError, match="for an end"):
            scp.wait_for_end()
        assoc.abort()


def test_it_ends_with_associations_open(dicom_scp: DicomSCP) -> None:
    assocs = [associated(dicom_scp) for _ in range(3)]
    dicom_scp.close()
    dicom_scp.close()
    for assoc in assocs:
        assoc.join(60)
        assert assoc.is_aborted


def test_it_stops_listening(dicom_scp: DicomSCP) -> None:
    assoc = associated(dicom_scp)
    dicom_scp.stop()
    assert "no connection" in str(requesting().associate(*dicom_scp.address).ended)
    assert assoc.send_c_echo().Status == 0x0000
    assoc.release()
    assert assoc.is_released


def test_many_associations_at_once(dicom_scp: DicomSCP) -> None:
    assocs = [associated(dicom_scp) for _ in range(20)]
    for assoc in assocs:
        assert assoc.send_c_echo().Status == 0x0000
    for assoc in assocs:
        assoc.release()
    assert len(dicom_scp.wait_for_end()) == len(dicom_scp.wait_for(20)) == 20


def test_tls(dicom_tls: TLSPair) -> None:
    with DicomSCP(tls=dicom_tls.server) as scp:
        ae = requesting()
        assoc = ae.associate(*scp.address, tls_args=(dicom_tls.client, "localhost"))
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()
        refused = ae.associate(*scp.address, tls_args=(dicom_tls.stranger, "localhost"))
        assert "requires a certificate" in str(refused.ended)
        assert [one.operation for one in scp.received] == ["C-ECHO"]
