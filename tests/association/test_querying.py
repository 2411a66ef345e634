"""association.querying: requests of both generations, statuses, C-CANCEL, and a peer's faults."""

from __future__ import annotations

import contextlib
import logging
import struct
import threading
from collections.abc import Callable
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID

from pynetdicom import _config, build_role, evt
from pynetdicom import sop_class as sop
from pynetdicom.data_sets.data_set import InMemory, encode_dataset
from pynetdicom.dimse import waiting
from pynetdicom.dimse.primitives import C_CANCEL, C_ECHO, C_STORE, Primitive
from pynetdicom.network import dul
from pynetdicom.query_models import query_model_uid
from tests.association.test_responses import Cancellable, accept_with_roles, names
from tests.clock import Clock
from tests.faults.peer import CT, IMPLICIT, Peer, context, p_data, pdv, request, until
from tests.pair import Pair
from tests.peers import DEADLINE, Call
from tests.scp import (
    FIND,
    GET,
    MOVE,
    PENDING,
    Scp,
    associated,
    identifier,
    matching,
    requestor,
)

LETTERS = {
    # as pynetdicom 1.1 has them
    ("find", "P"): sop.PatientRootQueryRetrieveInformationModelFind,
    ("find", "S"): sop.StudyRootQueryRetrieveInformationModelFind,
    ("find", "O"): sop.PatientStudyOnlyQueryRetrieveInformationModelFind,
    ("find", "W"): sop.ModalityWorklistInformationFind,
    ("find", "G"): sop.GeneralRelevantPatientInformationQuery,
    ("find", "B"): sop.BreastImagingRelevantPatientInformationQuery,
    ("find", "C"): sop.CardiacRelevantPatientInformationQuery,
    ("find", "PC"): sop.ProductCharacteristicsQuery,
    ("find", "SA"): sop.SubstanceApprovalQuery,
    ("find", "H"): sop.HangingProtocolInformationModelFind,
    ("find", "D"): sop.DefinedProcedureProtocolInformationModelFind,
    ("find", "CP"): sop.ColorPaletteInformationModelFind,
    ("find", "IG"): sop.GenericImplantTemplateInformationModelFind,
    ("find", "IA"): sop.ImplantAssemblyTemplateInformationModelFind,
    ("find", "IT"): sop.ImplantTemplateGroupInformationModelFind,
    ("get", "P"): sop.PatientRootQueryRetrieveInformationModelGet,
    ("get", "S"): sop.StudyRootQueryRetrieveInformationModelGet,
    ("get", "O"): sop.PatientStudyOnlyQueryRetrieveInformationModelGet,
    ("get", "C"): sop.CompositeInstanceRootRetrieveGet,
    ("get", "CB"): sop.CompositeInstanceRetrieveWithoutBulkDataGet,
    ("get", "H"): sop.HangingProtocolInformationModelGet,
    ("get", "D"): sop.DefinedProcedureProtocolInformationModelGet,
    ("get", "CP"): sop.ColorPaletteInformationModelGet,
    ("get", "IG"): sop.GenericImplantTemplateInformationModelGet,
    ("get", "IA"): sop.ImplantAssemblyTemplateInformationModelGet,
    ("get", "IT"): sop.ImplantTemplateGroupInformationModelGet,
    ("move", "P"): sop.PatientRootQueryRetrieveInformationModelMove,
    ("move", "S"): sop.StudyRootQueryRetrieveInformationModelMove,
    ("move", "O"): sop.PatientStudyOnlyQueryRetrieveInformationModelMove,
    ("move", "C"): sop.CompositeInstanceRootRetrieveMove,
    ("move", "H"): sop.HangingProtocolInformationModelMove,
    ("move", "D"): sop.DefinedProcedureProtocolInformationModelMove,
    ("move", "CP"): sop.ColorPaletteInformationModelMove,
    ("move", "IG"): sop.GenericImplantTemplateInformationModelMove,
    ("move", "IA"): sop.ImplantAssemblyTemplateInformationModelMove,
    ("move", "IT"): sop.ImplantTemplateGroupInformationModelMove,
}
BY_UID_ONLY = [
    ("find", sop.ProtocolApprovalInformationModelFind),
    ("move", sop.ProtocolApprovalInformationModelMove),
    ("get", sop.ProtocolApprovalInformationModelGet),
    ("find", sop.InventoryFind),
    ("move", sop.InventoryMove),
    ("get", sop.InventoryGet),
    ("find", sop.RepositoryQuery),
    ("find", sop.UnifiedProcedureStepPull),
    ("find", "1.2.826.0.1.3680043.9.9999.1"),  # a private one
]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dul, "LINGER", 0.2)


class Recorder:
    """An SCP that notes the requests, and answers each with success."""

    def __init__(self, status: int = 0, **parameters: Any) -> None:
        self.requests: list[tuple[int, Primitive, Dataset | None]] = []
        self._answer = status, parameters

    def __call__(self, peer: Scp) -> None:
        def handle(context_id: int, request: Primitive, asked: Dataset | None) -> None:
            self.requests.append((context_id, request, asked))
            if request.name != "C-CANCEL":
                status, parameters = self._answer
                peer.answer(context_id, request.response(status, **parameters))

        peer.serve(handle)

    @property
    def last(self) -> Any:
        return self.requests[-1][1]


# Query models


@pytest.mark.parametrize(("operation", "letter"), LETTERS)
def test_letters(operation: str, letter: str) -> None:
    assert query_model_uid(f"C-{operation.upper()}", letter) == LETTERS[operation, letter]


@pytest.mark.parametrize("operation", ["C-FIND", "C-GET", "C-MOVE"])
@pytest.mark.parametrize("letter", ["", "X", "p", "XX"])
def test_unknown_letters(operation: str, letter: str) -> None:
    with pytest.raises(ValueError, match="not a query model"):
        query_model_uid(operation, letter)


@pytest.mark.parametrize(
    ("operation", "letter"), [("C-FIND", "CB"), ("C-GET", "W"), ("C-MOVE", "CB")]
)
def test_letters_of_other_operations(operation: str, letter: str) -> None:
    with pytest.raises(ValueError, match=f"not a query model of {operation}"):
        query_model_uid(operation, letter)


def test_a_query_model_by_keyword() -> None:
    assert query_model_uid("C-FIND", "PatientRootQueryRetrieveInformationModelFind") == FIND
    with pytest.raises(ValueError, match="did you mean PatientRoot"):
        query_model_uid("C-FIND", "PatientRootQueryRetrieveInformationFind")


def test_what_is_no_query_model_at_all() -> None:
    with pytest.raises(TypeError):
        query_model_uid("C-FIND", 5)  # type: ignore[arg-type]  # that is the test


@pytest.mark.parametrize(
    ("operation", "model"), [*((op, uid) for (op, _), uid in LETTERS.items()), *BY_UID_ONLY]
)
def test_every_model_by_uid(operation: str, model: str) -> None:
    scp = Recorder()
    where = ["DESTINATION"] if operation == "move" else []
    with associated(scp, model) as assoc:
        responses = getattr(assoc, f"send_c_{operation}")(identifier(), *where, model)
        assert [(status.Status, found) for status, found in responses] == [(0, None)]
        ((context_id, request, asked),) = scp.requests
        assert (context_id, request.name) == (3, f"C-{operation.upper()}")
        assert request.AffectedSOPClassUID == model
        assert asked == identifier()


# Both generations' signatures

CALLS: list[tuple[tuple[Any, ...], dict[str, Any], tuple[str, int | None, int]]] = [
    # positional, keywords: SOP Class, Message ID, priority
    ((), {}, (FIND, 1, 2)),
    ((None,), {}, (FIND, 1, 2)),
    ((FIND,), {}, (FIND, 1, 2)),
    ((UID(FIND),), {}, (FIND, 1, 2)),
    ((FIND, 7), {}, (FIND, 7, 2)),
    ((FIND, 7, 1), {}, (FIND, 7, 1)),
    (("P", 7, 0), {}, (FIND, 7, 0)),
    ((), {"query_model": "P", "msg_id": 9}, (FIND, 9, 2)),
    ((FIND,), {"priority": 0}, (FIND, 1, 0)),
    ((5,), {}, (FIND, 5, 2)),
    ((5, 1), {}, (FIND, 5, 1)),
    ((5, 1, "P"), {}, (FIND, 5, 1)),
    ((None, 1, "P"), {}, (FIND, 1, 1)),
    ((5,), {"query_model": "P"}, (FIND, 5, 2)),
    ((5,), {"query_model": FIND, "priority": 1}, (FIND, 5, 1)),
    ((5, 0), {"query_model": None}, (FIND, 5, 0)),
]


@pytest.mark.parametrize(("args", "kwargs", "expected"), CALLS)
def test_arguments_of_send_c_find(args: Any, kwargs: Any, expected: Any) -> None:
    scp = Recorder()
    with associated(scp) as assoc:
        responses = assoc.send_c_find(identifier(), *args, **kwargs)
        assert len(list(responses)) == 1
        request = scp.last
        found = (request.AffectedSOPClassUID, request.MessageID, request.Priority)
        assert found == expected
        assert responses.message_id == expected[1]


@pytest.mark.parametrize("aet", ["STORESCP", b"STORESCP", b"STORESCP        "])
@pytest.mark.parametrize("args", [(MOVE, 5, 1), (5, 1, "P"), ("P", 5, 1)])
def test_arguments_of_send_c_move(aet: Any, args: Any) -> None:
    scp = Recorder()
    with associated(scp, MOVE) as assoc:
        list(assoc.send_c_move(identifier(), aet, *args))
        request = scp.last
        assert (request.MoveDestination, request.MessageID, request.Priority) == ("STORESCP", 5, 1)
        list(assoc.send_c_move(dataset=identifier(), move_aet=aet, msg_id=6, query_model="P"))
        assert scp.last.MessageID == 6


@pytest.mark.parametrize("args", [(GET, 5, 1), (5, 1, "P"), ("P", 5, 1)])
def test_arguments_of_send_c_get(args: Any) -> None:
    scp = Recorder()
    with associated(scp, GET) as assoc:
        list(assoc.send_c_get(identifier(), *args))
        assert (scp.last.MessageID, scp.last.Priority) == (5, 1)


@pytest.mark.parametrize(
    ("args", "kwargs", "error"),
    [
        ((FIND, 1, 2, 3), {}, TypeError),
        ((FIND,), {"query_model": FIND}, TypeError),
        ((5,), {"msg_id": 5}, TypeError),
        ((FIND,), {"colour": 1}, TypeError),
        ((FIND, "5"), {}, TypeError),
        ((FIND, 5.0), {}, TypeError),
        ((FIND, -1), {}, ValueError),
        ((FIND, 65536), {}, ValueError),
        ((FIND, 1, 3), {}, ValueError),
        ((FIND, 1, None), {}, TypeError),
        ((MOVE,), {}, ValueError),
        (("S",), {}, ValueError),
        (("nonsense",), {}, ValueError),
    ],
)
def test_wrong_arguments_leave_nothing_behind(args: Any, kwargs: Any, error: Any) -> None:
    scp = Recorder()
    with associated(scp) as assoc:
        with pytest.raises(error):
            assoc.send_c_find(identifier(), *args, **kwargs)
        assert not assoc.dimse.outstanding()
        assert len(list(assoc.send_c_find(identifier()))) == 1
        assert len(scp.requests) == 1


@pytest.mark.parametrize("aet", ["", "A" * 17, "A\\B", "Ä", 5, None])
def test_wrong_destinations(aet: Any) -> None:
    with (
        associated(Recorder(), MOVE) as assoc,
        pytest.raises((TypeError, ValueError)),
    ):
        assoc.send_c_move(identifier(), aet, MOVE)


@pytest.mark.parametrize(
    ("dataset", "error"),
    [
        (None, TypeError),
        ({"PatientName": "X"}, TypeError),
        (identifier(CommandGroupLength=1), ValueError),
        (identifier(Rows=-1), ValueError),
        (identifier(PatientName="ALICE^É"), ValueError),
        (identifier(PatientName="ALICE^Ł", SpecificCharacterSet="ISO_IR 100"), ValueError),
    ],
)
def test_what_is_no_identifier(dataset: Any, error: type[Exception]) -> None:
    with associated(Recorder()) as assoc:
        with pytest.raises(error) as caught:
            assoc.send_c_find(dataset, FIND)
        assert "ALICE" not in str(caught.value)
        assert not assoc.dimse.outstanding()


def test_an_identifier_that_is_encoded_already() -> None:
    scp = Recorder()
    with associated(scp) as assoc:
        for syntax in (IMPLICIT, "1.2.840.10008.1.2.1"):
            list(assoc.send_c_find(encode_dataset(identifier(), syntax), FIND))
            assert scp.requests[-1][2] == identifier()


@pytest.mark.parametrize("operation", ["find", "get", "move"])
def test_without_an_association(operation: str) -> None:
    where = ["DESTINATION"] if operation == "move" else []
    with associated(Recorder()) as assoc:
        assoc.release()
        with pytest.raises(RuntimeError, match="must be established"):
            getattr(assoc, f"send_c_{operation}")(identifier(), *where, FIND)
        with pytest.raises(RuntimeError, match="must be established"):
            assoc.send_c_cancel(1)


def test_the_request_is_sent_at_the_call() -> None:
    arrived = threading.Event()

    def script(peer: Scp) -> None:
        context_id, request, _ = peer.message()
        arrived.set()
        peer.answer(context_id, request.response(0))
        peer.rest_until_abort()

    with associated(script) as assoc:
        responses = assoc.send_c_find(identifier(), FIND)
        assert arrived.wait(DEADLINE)
        assert len(list(responses)) == 1


# Statuses and identifiers


def test_what_a_status_has() -> None:
    numbers = {
        "NumberOfRemainingSuboperations": 3,
        "NumberOfCompletedSuboperations": 65535,
        "NumberOfFailedSuboperations": 0,
        "NumberOfWarningSuboperations": 1,
    }
    more = {"ErrorComment": "why", "OffendingElement": [0x00100010], "ErrorID": 5}
    with associated(Recorder(0xB000, **numbers, **more), GET) as assoc:
        ((status, found),) = list(assoc.send_c_get(identifier(), GET))
        assert found == Dataset()  # the peer sends none
        assert status.Status == 0xB000
        for keyword, value in numbers.items():
            assert status[keyword].value == value
            assert status[keyword].VR == "US"
        assert (status.ErrorComment, status.OffendingElement, status.ErrorID) == (
            "why",
            0x00100010,
            5,
        )
        assert (status.message_id, status.problem) == (1, None)
        assert len(status) == 8


def test_the_final_response_of_a_retrieval_may_have_an_identifier() -> None:
    failed = Dataset()
    failed.FailedSOPInstanceUIDList = ["1.2.3", "1.2.4"]

    def script(peer: Scp) -> None:
        context_id, request, _ = peer.message()
        # Tolerated: one in a pending response.
        peer.answer(context_id, request.response(PENDING), failed)
        peer.answer(context_id, request.response(0xB000), failed)
        peer.rest_until_abort()

    for model, where in ((GET, []), (MOVE, ["DESTINATION"])):
        with associated(script, model) as assoc:
            send = assoc.send_c_get if model is GET else assoc.send_c_move
            results = list(send(identifier(), *where, model))
            assert [status.Status for status, _ in results] == [PENDING, 0xB000]
            assert [found for _, found in results] == [None, failed]


@pytest.mark.parametrize("model", [GET, MOVE])
@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xA702, 0xFE00, 0xC123])
def test_a_final_response_without_an_identifier(model: str, status: int) -> None:
    """An empty one is given in its place, unless the retrieval succeeded."""
    where = ["DESTINATION"] if model is MOVE else []
    with associated(Recorder(status), model) as assoc:
        send = assoc.send_c_get if model is GET else assoc.send_c_move
        ((got, found),) = list(send(identifier(), *where, model))
        assert got.Status == status
        assert found == (Dataset() if status else None)


@pytest.mark.parametrize("model", [GET, MOVE])
@pytest.mark.parametrize(
    ("value", "uids"),
    [
        (b"1.2.3\\1.2.4\0", ["1.2.3", "1.2.4"]),
        (b"1.2.3\0", ["1.2.3"]),
        (b"", []),
        (b"\\".join([b"1.2.840.113619.2.1.1.1.1.%d" % n for n in range(500)]), 500),
    ],
    ids=["two", "one", "none", "many"],
)
def test_a_list_of_failed_instances_in_the_command_set(
    model: str, value: bytes, uids: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Which large archives send: it is taken as if it were in an identifier, and noted once."""
    value += b"\0" * (len(value) % 2)

    def script(peer: Scp) -> None:
        for _ in range(2):
            context_id, request, _ = peer.message()
            response = request.response(0xB000)
            response.NumberOfFailedSuboperations = 2
            foreign = struct.pack("<HHI", 8, 0x58, len(value)) + value
            foreign += struct.pack("<HHI", 8, 0x52, 6) + b"STUDY "
            peer.send(p_data(pdv(context_id, 3, response.encode() + foreign)))
        peer.rest_until_abort()

    where = ["DESTINATION"] if model is MOVE else []
    with associated(script, model) as assoc:
        send = assoc.send_c_get if model is GET else assoc.send_c_move
        for _ in range(2):
            ((status, found),) = list(send(identifier(), *where, model))
            assert (status.Status, status.NumberOfFailedSuboperations) == (0xB000, 2)
            assert status.problem is None
            given = found.get("FailedSOPInstanceUIDList") or []
            given = [given] if isinstance(given, str) else list(given)
            assert (len(given) if isinstance(uids, int) else given) == uids
    assert caplog.text.count("other groups than 0000") == 1


def test_an_identifier_is_believed_more_than_the_command_set() -> None:
    failed = Dataset()
    failed.FailedSOPInstanceUIDList = ["1.2.3", "1.2.4"]

    def script(peer: Scp) -> None:
        context_id, request, _ = peer.message()
        response = request.response(0xB000)
        response.extra[0x00080058] = b"9.9\0"
        peer.answer(context_id, response, failed)
        peer.rest_until_abort()

    with associated(script, GET) as assoc:
        assert [found for _, found in assoc.send_c_get(identifier(), GET)] == [failed]


def test_a_request_with_elements_of_other_groups_is_served() -> None:
    """They are for nobody."""
    with Pair() as pair:
        assoc = pair.established()
        assert assoc.send_c_echo().Status == 0
        request = C_ECHO(MessageID=2, AffectedSOPClassUID="1.2.840.10008.1.1")
        request.extra[0x00100010] = b"SECRET"
        response, _ = assoc._invoker.exchange(
            request, assoc._link.negotiated.context_for("1.2.840.10008.1.1"), None
        )
        assert response is not None
        assert response.Status == 0


def test_an_identifier_with_the_final_response_of_a_query_is_no_match() -> None:
    def script(peer: Scp) -> None:
        context_id, request, _ = peer.message()
        peer.answer(context_id, request.response(0x0000), identifier())
        peer.rest_until_abort()

    with associated(script) as assoc:
        assert [found for _, found in assoc.send_c_find(identifier(), FIND)] == [None]


@pytest.mark.parametrize("status", [0xFF00, 0xFF01])
def test_both_pending_statuses(status: int) -> None:
    def script(peer: Scp) -> None:
        context_id, request, _ = peer.message()
        peer.answer(context_id, request.response(status), identifier())
        peer.answer(context_id, request.response(0))
        peer.rest_until_abort()

    with associated(script) as assoc:
        results = list(assoc.send_c_find(identifier(), FIND))
        assert [(one.Status, found) for one, found in results] == [
            (status, identifier()),
            (0, None),
        ]


@pytest.mark.parametrize("take", ["values", "items", "elements"])
def test_whoever_takes_all_elements_of_an_identifier_finds_them_decoded(take: str) -> None:
    match = b"".join(
        struct.pack("<HHL", *tag, len(value)) + value
        for tag, value in {
            (0x0010, 0x0020): b"1 ",
            (0x0028, 0x0002): b"odd",  # it is a US
            (0x0028, 0x0010): b"\0\2",
        }.items()
    )

    def script(peer: Scp) -> None:
        context_id, request, _ = peer.message()
        peer.answer(context_id, request.response(PENDING), match)
        peer.answer(context_id, request.response(0))
        peer.rest_until_abort()

    with associated(script) as assoc:
        status, found = next(assoc.send_c_find(identifier(), FIND))
        assert isinstance(found, Dataset)
        of_status = [one[1] if take == "items" else one for one in getattr(status, take)()]
        assert [(one.keyword, one.value) for one in of_status] == [("Status", PENDING)]
        elements = [one[1] if take == "items" else one for one in getattr(found, take)()]
        assert [one.value for one in elements] == ["1", b"odd", 512]
        assert elements[2].keyword == "Rows"


def test_identifiers_are_logged_at_debug_only(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with associated(lambda peer: peer.serve(matching(peer, 1))) as assoc:
        with caplog.at_level(logging.INFO, "pynetdicom"):
            list(assoc.send_c_find(identifier(), FIND))
        assert "ALICE" not in caplog.text
        with caplog.at_level(logging.DEBUG, "pynetdicom"):
            list(assoc.send_c_find(identifier(), FIND))
        assert caplog.text.count("ALICE") == 2
        caplog.clear()
        monkeypatch.setattr(_config, "LOG_REQUEST_IDENTIFIERS", False)
        monkeypatch.setattr(_config, "LOG_RESPONSE_IDENTIFIERS", False)
        with caplog.at_level(logging.DEBUG, "pynetdicom"):
            list(assoc.send_c_find(identifier(), FIND))
        assert "ALICE" not in caplog.text


def test_notifications_of_messages() -> None:
    sent: list[str] = []
    received: list[str] = []
    handlers = [
        (evt.EVT_DIMSE_SENT, lambda event: sent.append(event.message.name)),
        (evt.EVT_DIMSE_RECV, lambda event: received.append(event.message.name)),
    ]
    with associated(lambda peer: peer.serve(matching(peer, 2)), evt_handlers=handlers) as assoc:
        list(assoc.send_c_find(identifier(), FIND))
        assert sent == ["C-FIND-RQ"]
        assert received == ["C-FIND-RSP"] * 3


# C-CANCEL


def cancelled(cancel: Callable[[Any, Any], None], msg_id: int | None = None) -> list[int]:
    """The statuses of a query that is cancelled after its first match."""
    scp = Cancellable()
    with associated(scp) as assoc:
        responses = assoc.send_c_find(identifier(), FIND, msg_id=msg_id)
        statuses = [next(responses)[0].Status]
        cancel(assoc, responses)
        statuses += [status.Status for status, _ in responses]
        assert names(assoc.send_c_find(identifier("BOB"), FIND)) == ["BOB"] * 3
    assert scp.cancelled == [1 if msg_id is None else msg_id]
    return statuses


@pytest.mark.parametrize(
    "cancel",
    [
        lambda assoc, responses: assoc.send_c_cancel(responses.message_id),
        lambda assoc, responses: assoc.send_c_cancel(responses.message_id, 3),
        lambda assoc, responses: assoc.send_c_cancel(responses.message_id, query_model=FIND),
        lambda assoc, responses: assoc.send_c_cancel(responses.message_id, query_model="P"),
        lambda assoc, responses: assoc.send_c_cancel_find(responses.message_id),
        lambda assoc, responses: assoc.send_c_cancel_get(responses.message_id),
        lambda assoc, responses: assoc.send_c_cancel_move(responses.message_id),
        lambda assoc, responses: Call(assoc.send_c_cancel, responses.message_id).result(),
    ],
)
def test_cancelling(cancel: Callable[[Any, Any], None]) -> None:
    for msg_id in (None, 7):
        assert cancelled(cancel, msg_id) == [PENDING] * 12 + [0xFE00]


def test_1_stands_for_the_operation_whose_number_the_library_chose() -> None:
    scp = Cancellable()
    with associated(scp) as assoc:
        for _ in range(3):
            assert len(list(assoc.send_c_find(identifier("BOB"), FIND))) == 4
        for cancel in (
            lambda: assoc.send_c_cancel(1),
            lambda: assoc.send_c_cancel(1, 3),
            lambda: assoc.send_c_cancel(1, query_model=FIND),
        ):
            responses = assoc.send_c_find(identifier(), FIND)
            cancel()
            assert list(responses)[-1][0].Status == 0xFE00
        # Not for one whose number was given.
        responses = assoc.send_c_find(identifier(), FIND, msg_id=30)
        with pytest.raises(ValueError, match="which context"):
            assoc.send_c_cancel(99)
        assoc.send_c_cancel(1)  # that one has ended
        responses.close()
    assert scp.cancelled == [4, 5, 6, 30]


def test_1_is_the_operation_1_until_its_last_response_was_consumed() -> None:
    scp = Cancellable()
    with associated(scp) as assoc:
        first = assoc.send_c_find(identifier("BOB"), FIND)
        assert first.message_id == 1
        second = assoc.send_c_find(identifier(), FIND)  # by then the first has ended
        assoc.send_c_cancel(first.message_id)
        assert [one.is_cancelled for one in assoc.dimse.outstanding()] == [False]
        assert names(first) == ["BOB"] * 3
        assoc.send_c_cancel(1)  # nobody can mean that one any more
        assert list(second)[-1][0].Status == 0xFE00
    assert scp.cancelled == [second.message_id]


@pytest.mark.parametrize("msg_id", ["1", 1.0, None, True, b"1"])
def test_cancelling_by_what_is_no_message_id(msg_id: Any) -> None:
    with associated(Recorder()) as assoc:
        for cancel in (assoc.send_c_cancel, assoc.send_c_cancel_find):
            with pytest.raises(TypeError):
                cancel(msg_id)


def test_cancelling_what_is_not_known() -> None:
    scp = Recorder()
    with associated(scp, FIND, MOVE) as assoc:
        with pytest.raises(ValueError, match="which context"):
            assoc.send_c_cancel(1)
        with pytest.raises(ValueError, match="no presentation context 9"):
            assoc.send_c_cancel(1, 9)
        for model in ("S", sop.StudyRootQueryRetrieveInformationModelFind):
            with pytest.raises(ValueError, match="no presentation context for the query model"):
                assoc.send_c_cancel(1, query_model=model)
        assoc.send_c_cancel(40, 5)
        assoc.send_c_cancel(41, query_model=MOVE)
        assoc.send_c_cancel(42, query_model=FIND)
        assoc.send_c_cancel(43, query_model="P")
        assoc.send_c_echo()
        sent = [
            (context_id, request.MessageIDBeingRespondedTo)
            for context_id, request, _ in scp.requests
            if isinstance(request, C_CANCEL)
        ]
        assert sent == [(5, 40), (5, 41), (3, 42), (3, 43)]


def test_a_cancel_that_crosses_the_last_response_is_harmless() -> None:
    scp = Recorder()
    with associated(scp) as assoc:
        for _ in range(100):
            responses = assoc.send_c_find(identifier(), FIND)
            cancel = Call(assoc.send_c_cancel, responses.message_id)
            assert [status.Status for status, _ in responses] == [0]
            cancel.result()
            assoc.send_c_cancel(responses.message_id)
        assert assoc.is_established
        assert assoc.dimse.strays == 0


# C-GET


class Retrieved:
    """An SCP that answers a C-GET with `count` sub-operations, a pending response after each."""

    def __init__(self, count: int, context_id: int = 5) -> None:
        self.count, self.context_id = count, context_id
        self.statuses: list[int | None] = []

    def __call__(self, peer: Scp) -> None:
        from tests.peers import CT, ct

        def handle(context_id: int, request: Primitive, asked: Dataset | None) -> None:
            if request.name != "C-GET":
                return
            for number in range(self.count):
                sub = C_STORE(
                    MessageID=number + 1,
                    AffectedSOPClassUID=CT,
                    AffectedSOPInstanceUID=f"1.2.{number}",
                    Priority=2,
                )
                peer.answer(self.context_id, sub, ct())
                response = peer.command()[1]
                while response.name == "C-CANCEL":
                    response = peer.command()[1]
                self.statuses.append(response.Status)
                pending = request.response(PENDING)
                pending.NumberOfCompletedSuboperations = number + 1
                peer.answer(context_id, pending)
            peer.answer(context_id, request.response(0x0000))

        peer.serve(handle)


def retrieving(
    scp: Callable[[Scp], None], handler: Callable[[Any], int] | None, **kwargs: Any
) -> Any:
    from pynetdicom.upper_layer.items import SCP_SCU_RoleSelectionNegotiation
    from tests.pair import CT

    return associated(
        scp,
        ae=requestor(GET, CT, **kwargs),
        ext_neg=[build_role(CT, scp_role=True)],
        evt_handlers=[] if handler is None else [(evt.EVT_C_STORE, handler)],
        accept=lambda peer: accept_with_roles(peer, SCP_SCU_RoleSelectionNegotiation, CT),
    )


@pytest.mark.threads("names the thread")
def test_sub_operations_are_served_by_the_association_thread() -> None:
    threads: set[Any] = set()
    stored: list[str] = []

    def store(event: Any) -> int:
        threads.add(threading.current_thread())
        stored.append(event.request.AffectedSOPInstanceUID)
        return 0

    scp = Retrieved(10)
    with retrieving(scp, store) as assoc:
        results = list(assoc.send_c_get(identifier(), GET))
        assert [status.Status for status, _ in results] == [PENDING] * 10 + [0]
        assert [one.NumberOfCompletedSuboperations for one, _ in results[:-1]] == list(range(1, 11))
        assert stored == [f"1.2.{number}" for number in range(10)]
        assert threads == {assoc}
    assert scp.statuses == [0] * 10


@pytest.mark.parametrize("leaves", [False, True])
def test_a_release_during_a_c_get_has_its_sub_operations_served(leaves: bool) -> None:
    storing, go_on = threading.Event(), threading.Event()

    def store(event: Any) -> int:
        storing.set()
        go_on.wait(DEADLINE)
        return 0

    scp = Retrieved(5)
    with retrieving(scp, store) as assoc:
        responses = assoc.send_c_get(identifier(), GET)
        assert storing.wait(DEADLINE)
        release = Call(assoc.release)
        assert until(lambda: not assoc._link.inbox.is_waiting())  # before the second sub-operation
        if leaves:
            responses.close()
        go_on.set()
        release.result()
        assert assoc.is_released
        if not leaves:
            assert [status.Status for status, _ in responses] == [PENDING] * 5 + [0]
    assert scp.statuses == [0] * 5


def test_sub_operations_are_given_to_the_callback() -> None:
    given: list[Any] = []

    def on_c_store(dataset: Any, context: Any, info: Any) -> int:
        given.append((dataset.SOPClassUID, context.abstract_syntax, info["parameters"]))
        return 0xB000

    scp = Retrieved(2)
    with retrieving(scp, None) as assoc:
        assoc.ae.on_c_store = on_c_store
        assert list(assoc.send_c_get(identifier(), 1, 2, "P"))[-1][0].Status == 0
    assert scp.statuses == [0xB000] * 2
    assert [(one, two) for one, two, _ in given] == [(sop.CTImageStorage,) * 2] * 2
    assert [info["message_id"] for *_, info in given] == [1, 2]


def test_a_caller_who_pauses_does_not_stop_the_storing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "MAXIMUM_WAITING_RESPONSES", 8)
    count = 40
    done = threading.Event()
    stored: list[int] = []

    def store(event: Any) -> int:
        stored.append(1)
        if len(stored) == count:
            done.set()
        return 0

    scp = Retrieved(count)
    with retrieving(scp, store) as assoc:
        responses = assoc.send_c_get(identifier(), GET)
        assert done.wait(DEADLINE)
        results = list(responses)
        assert [one.NumberOfCompletedSuboperations for one, _ in results[:-1]] == list(
            range(1, count + 1)
        )
        assert results[-1][0].Status == 0


def sub_operation(peer: Scp, number: int = 7) -> None:
    """Have an instance stored."""
    from tests.peers import CT, ct

    sub = C_STORE(
        MessageID=number, AffectedSOPClassUID=CT, AffectedSOPInstanceUID="1.2", Priority=2
    )
    peer.answer(5, sub, ct())
    peer.command()


LONG_TIME = 1000.0


def passes(clock: Clock, times: float, assoc: Any) -> None:
    """So many times `LONG_TIME` pass, and who looks whether the peer is silent finds it is not."""
    clock.later(times * LONG_TIME, assoc)
    (operation, *_) = assoc.dimse.outstanding()
    heard = max(operation.last_heard, Call(assoc._invoker._last_received).result())
    assert clock.now < heard + LONG_TIME


def test_sub_operations_renew_the_wait_for_a_response(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)

    def store(event: Any) -> int:
        passes(clock, 0.3, event.assoc)
        return 0

    def script(peer: Scp) -> None:
        context_id, request, _ = peer.message()
        for number in range(6):
            sub_operation(peer, number)
        peer.answer(context_id, request.response(0))
        peer.rest_until_abort()

    with retrieving(script, store, dimse_timeout=LONG_TIME) as assoc:
        ((status, _),) = list(assoc.send_c_get(identifier(), GET))
        assert status.Status == 0


def test_an_instance_that_nobody_asked_for() -> None:
    """It is for the handler to judge."""
    judged: list[str] = []

    def judge(event: Any) -> int:
        judged.append(event.request.AffectedSOPInstanceUID)
        return 0xA900 if judged[-1] == "1.2.1" else 0x0000

    asked = identifier()
    asked.QueryRetrieveLevel = "IMAGE"
    asked.SOPInstanceUID = "1.2.0"
    scp = Retrieved(2)
    with retrieving(scp, judge) as assoc:
        list(assoc.send_c_get(asked, GET))
        assert assoc.is_established
    assert judged == ["1.2.0", "1.2.1"]
    assert scp.statuses == [0, 0xA900]


@pytest.mark.parametrize(
    ("handling", "silent"),
    [
        (1.5, 0.0),  # while we store, the peer waits for us and not we for it
        (0.7, 0.5),  # from then on it has as long as ever
    ],
)
def test_a_slow_store_handler_is_no_silence_of_the_peer(
    monkeypatch: pytest.MonkeyPatch, handling: float, silent: float
) -> None:
    clock = Clock(monkeypatch)
    waiting: list[Any] = []

    def store(event: Any) -> int:
        waiting.append(event.assoc)
        passes(clock, handling, event.assoc)
        return 0

    def script(peer: Scp) -> None:
        context_id, request, _ = peer.message()
        sub_operation(peer)
        assert until(lambda: waiting[0]._link.inbox.is_waiting())
        passes(clock, silent, waiting[0])
        peer.answer(context_id, request.response(0))
        peer.rest_until_abort()

    with retrieving(script, store, dimse_timeout=LONG_TIME) as assoc:
        ((status, _),) = list(assoc.send_c_get(identifier(), GET))
        assert status.get("Status") == 0, assoc.ended


def test_a_slow_store_handler_gives_the_peer_no_longer_than_ever() -> None:
    def script(peer: Scp) -> None:
        peer.message()
        sub_operation(peer)
        peer.rest_until_abort()

    with retrieving(script, lambda event: 0, dimse_timeout=0.5) as assoc:
        ((status, _),) = list(assoc.send_c_get(identifier(), GET))
        assert status.get("Status") is None
        assert assoc.ended.timer == "dimse_timeout"


def test_who_waits_for_a_c_get_to_end_waits_while_its_handler_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)

    def store(event: Any) -> int:
        assert until(lambda: event.assoc.dimse.in_line() > 1)
        passes(clock, 2, event.assoc)
        return 0

    def script(peer: Scp) -> None:
        context_id, request, _ = peer.message()
        sub_operation(peer)
        peer.answer(context_id, request.response(0))
        peer.serve(matching(peer))

    with retrieving(script, store, dimse_timeout=LONG_TIME) as assoc:
        responses = assoc.send_c_get(identifier(), GET)
        echo = Call(assoc.send_c_echo)
        assert [status.get("Status") for status, _ in responses] == [0], assoc.ended
        assert echo.result().Status == 0


@pytest.mark.parametrize(
    ("originator", "is_answered"),
    [(("SCU", 1), True), (("SCU", 2), False), (("OTHER", 1), False), ((None, None), False)],
)
def test_what_arrives_by_our_own_c_move_is_no_silence(
    monkeypatch: pytest.MonkeyPatch,
    originator: tuple[str | None, int | None],
    is_answered: bool,
) -> None:
    """A large instance to ourselves, of which the SCP says nothing before it has been sent."""
    stored: list[Any] = []
    moving: list[Any] = []
    clock = Clock(monkeypatch)
    # Whoever waits for the answer looks at that clock every now and then.
    monkeypatch.setattr(waiting, "LONGEST", 0.01)
    ae = requestor(MOVE, dimse_timeout=LONG_TIME, network_timeout=100 * LONG_TIME)
    ae.add_supported_context(CT)

    def store(event: Any) -> int:
        stored.append(event.request.MoveOriginatorMessageID)
        clock.later(1.5 * LONG_TIME, *moving)  # longer than the timeout, as the sending is
        return 0

    def receiving() -> Any:
        (assoc,) = (one for one in ae._running.associations if one.is_acceptor)
        return assoc

    def send_slowly(peer: Peer) -> None:
        peer.associate(request(context(1, CT)))
        sub = C_STORE(MessageID=1, AffectedSOPClassUID=CT, AffectedSOPInstanceUID="1.2", Priority=2)
        sub.MoveOriginatorApplicationEntityTitle, sub.MoveOriginatorMessageID = originator
        sub.data_set = encode_dataset(identifier(), IMPLICIT)
        peer.send(p_data(pdv(1, 3, sub.encode())))
        for byte in sub.data_set.getvalue()[:4]:
            peer.send(p_data(pdv(1, 0, bytes([byte]))))
            assert until(lambda: moving[0].ended or receiving().dul.last_received == clock.now)
            clock.later(0.5 * LONG_TIME, *moving)
        peer.send(p_data(pdv(1, 2, sub.data_set.getvalue()[4:])))
        peer.pdu()

    def script(peer: Scp) -> None:
        context_id, asked, _ = peer.message()
        # Whoever gives up closes this one too.
        with contextlib.suppress(OSError, EOFError), Peer.connect(server.server_address) as sender:
            send_slowly(sender)
        # The sub-operation's end is heard too, and counts from then on.
        assert until(lambda: not [one for one in ae._running.associations if one.is_acceptor])
        clock.later(0.9 * LONG_TIME, *moving)
        looks = clock.looks
        assert until(lambda: moving[0].ended or clock.looks > looks + 20)
        assert is_answered or until(lambda: moving[0].ended)
        with contextlib.suppress(OSError, EOFError):
            peer.answer(context_id, asked.response(0))
            peer.serve(matching(peer))

    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    assert server is not None
    with associated(script, ae=ae) as assoc:
        moving.append(assoc)
        *_, (status, _) = assoc.send_c_move(identifier(), "SCU", MOVE, msg_id=1)
        if is_answered:
            assert status.get("Status") == 0, assoc.ended
            assert stored == [1]
        else:
            assert status.get("Status") is None
            assert assoc.ended.timer == "dimse_timeout"


@pytest.mark.parametrize("strict", [False, True])
def test_a_peer_that_does_not_answer_role_selection(
    strict: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told at once; what it sends is taken, which is noted once, unless not wanted."""
    from tests.pair import CT

    monkeypatch.setattr(_config, "STRICT_ROLES", strict)
    scp = Retrieved(3)
    handled: list[Any] = []

    def store(event: Any) -> int:
        handled.append(event.request.AffectedSOPInstanceUID)
        return 0

    roles = [build_role(CT, scp_role=True)]
    handlers = [(evt.EVT_C_STORE, store)]
    with associated(scp, GET, CT, ext_neg=roles, evt_handlers=handlers) as assoc:
        context = next(cx for cx in assoc.accepted_contexts if cx.abstract_syntax == CT)
        assert (context.as_scu, context.as_scp, context.scp_unanswered) == (True, False, True)
        note = f"has not answered the role selection for CTImageStorage ({CT}): "
        assert caplog.text.count(f"{note}it may take us for SCU only") == 1
        assert list(assoc.send_c_get(identifier(), GET))[-1][0].Status == 0
    if strict:
        assert scp.statuses == [0x0122] * 3
        assert handled == []
        assert "the peer has not answered the role selection" in caplog.text
    else:
        assert scp.statuses == [0] * 3
        assert handled == ["1.2.0", "1.2.1", "1.2.2"]
        assert caplog.text.count(f"{note}what it sends is taken") == 1


def test_a_peer_that_does_not_answer_role_selection_and_sends_unasked() -> None:
    """It is not the answer to a C-GET of ours: there is nothing to be tolerated."""
    from tests.peers import CT, ct

    statuses: list[int | None] = []
    handled: list[Any] = []
    refused = threading.Event()

    def script(peer: Scp) -> None:
        sub = C_STORE(
            MessageID=1, AffectedSOPClassUID=CT, AffectedSOPInstanceUID="1.2.0", Priority=2
        )
        peer.answer(5, sub, ct())
        statuses.append(peer.command()[1].Status)
        refused.set()
        retrieved = Retrieved(1)
        retrieved(peer)
        statuses.extend(retrieved.statuses)

    def store(event: Any) -> int:
        handled.append(event.request.AffectedSOPInstanceUID)
        return 0

    roles = [build_role(CT, scp_role=True)]
    with associated(
        script, GET, CT, ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, store)]
    ) as assoc:
        assert refused.wait(DEADLINE)
        assert list(assoc.send_c_get(identifier(), GET))[-1][0].Status == 0
    assert statuses == [0x0122, 0]
    assert handled == ["1.2.0"]


def test_a_peer_that_answers_that_we_are_not_scp(caplog: pytest.LogCaptureFixture) -> None:
    from pynetdicom.upper_layer.items import SCP_SCU_RoleSelectionNegotiation
    from tests.pair import CT

    def role(**values: Any) -> Any:
        return SCP_SCU_RoleSelectionNegotiation(**(values | {"scu_role": True, "scp_role": False}))

    scp = Retrieved(2)
    with associated(
        scp,
        GET,
        CT,
        ext_neg=[build_role(CT, scu_role=True, scp_role=True)],
        accept=lambda peer: accept_with_roles(peer, role, CT),
    ) as assoc:
        assert list(assoc.send_c_get(identifier(), GET))[-1][0].Status == 0
    assert scp.statuses == [0x0122] * 2
    assert "no SCP for this SOP Class was negotiated" in caplog.text


def test_a_sub_operation_without_the_scp_role() -> None:
    from tests.pair import CT

    scp = Retrieved(2)
    handled: list[Any] = []
    with associated(scp, GET, CT, evt_handlers=[(evt.EVT_C_STORE, handled.append)]) as assoc:
        assert list(assoc.send_c_get(identifier(), GET))[-1][0].Status == 0
    assert scp.statuses == [0x0122, 0x0122]
    assert handled == []


# A peer's faults


def faulty(*answers: Callable[[Scp, int, Primitive], None]) -> Callable[[Scp], None]:
    """Answers the first request so, and then goes on in order, if it is let."""

    def script(peer: Scp) -> None:
        context_id, request, _ = peer.message()
        for answer in answers:
            answer(peer, context_id, request)
        peer.serve(matching(peer))

    return script


def pending(peer: Scp, context_id: int, request: Primitive) -> None:
    peer.answer(context_id, request.response(PENDING), identifier())


def final(peer: Scp, context_id: int, request: Primitive) -> None:
    peer.answer(context_id, request.response(0))


def test_responses_with_another_message_id_or_after_the_final_one_are_dropped() -> None:
    def other(peer: Scp, context_id: int, request: Primitive) -> None:
        response = request.response(PENDING)
        response.MessageIDBeingRespondedTo = 77
        peer.answer(context_id, response, identifier("MALLORY"))

    script = faulty(other, pending, other, final, pending, final, other)
    with associated(script) as assoc:
        assert names(assoc.send_c_find(identifier(), FIND)) == ["ALICE"]
        assert names(assoc.send_c_find(identifier("BOB"), FIND)) == ["BOB"] * 20
        assert assoc.dimse.strays == 5


def without_identifier(peer: Scp, context_id: int, request: Primitive) -> None:
    peer.answer(context_id, request.response(PENDING))


def of_another_kind(peer: Scp, context_id: int, request: Primitive) -> None:
    peer.answer(context_id, C_ECHO(MessageIDBeingRespondedTo=request.MessageID, Status=0))


def on_another_context(peer: Scp, context_id: int, request: Primitive) -> None:
    peer.answer(1, request.response(0))


def with_data_that_was_not_announced(peer: Scp, context_id: int, request: Primitive) -> None:
    peer.send(p_data(pdv(context_id, 3, request.response(PENDING).encode())))
    peer.send(p_data(pdv(context_id, 2, b"\x10\x00\x10\x00\x02\x00\x00\x00AB")))


def without_status(peer: Scp, context_id: int, request: Primitive) -> None:
    response = request.response(0)
    response.Status = None
    peer.answer(context_id, response)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (without_identifier, "without identifier"),
        (of_another_kind, "cannot answer"),
        (on_another_context, "cannot answer"),
        (with_data_that_was_not_announced, ""),
        (without_status, "Status"),
    ],
)
def test_answers_that_are_none_end_the_association(fault: Any, why: str) -> None:
    seen: list[bytes] = []

    def script(peer: Scp) -> None:
        context_id, request, _ = peer.message()
        pending(peer, context_id, request)
        fault(peer, context_id, request)
        seen.append(peer.rest_until_abort()[-10:])

    with associated(script) as assoc:
        results = list(assoc.send_c_find(identifier(), FIND))
        assert names(results) == ["ALICE"]
        assert [len(status) for status, _ in results] == [1, 0]
        assert why in str(assoc.ended)
        assert "no answer" in results[-1][0].problem
    assert seen == [bytes.fromhex("07 00 00000004 0000 00 00")]


@pytest.mark.parametrize("data", [b"\xff", b"\x10\x00\x10\x00\xf0\x00\x00\x00AB"])
def test_an_identifier_that_does_not_decode_is_reported(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(peer: Scp, context_id: int, request: Primitive) -> None:
        peer.answer(context_id, request.response(PENDING), data)

    with associated(faulty(pending, broken, pending, final)) as assoc:
        results = list(assoc.send_c_find(identifier(), FIND))
        assert [status.Status for status, _ in results] == [PENDING] * 3 + [0]
        assert [found is None for _, found in results] == [False, True, False, True]
        assert [bool(status.problem) for status, _ in results] == [False, True, False, False]
        assert "cannot be decoded" in results[1][0].problem
        assert "cannot be decoded" in caplog.text
        assert names(assoc.send_c_find(identifier("BOB"), FIND)) == ["BOB"] * 20


def test_an_identifier_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "MAXIMUM_IDENTIFIER", 1000)

    def long(peer: Scp, context_id: int, request: Primitive) -> None:
        peer.answer(context_id, request.response(PENDING), identifier("A" * 2000))

    with associated(faulty(pending, long, final)) as assoc:
        results = list(assoc.send_c_find(identifier(), FIND))
        assert names(results) == ["ALICE"]
        assert "1000 bytes" in results[1][0].problem


def test_an_encoded_identifier_is_not_touched() -> None:
    """Whatever is in it: the peer decides."""
    scp = Recorder()
    with associated(scp) as assoc:
        list(assoc.send_c_find(InMemory(b"\x10\x00\x10\x00\x02\x00\x00\x00AB", IMPLICIT), FIND))
        assert scp.requests[0][2].PatientName == "AB"  # type: ignore[union-attr]
