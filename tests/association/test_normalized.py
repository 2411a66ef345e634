"""pynetdicom.association.normalized and the engine *reply*: the six N-services, both sides."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID

from pynetdicom import AE, _config, build_role, evt
from pynetdicom.dimse.primitives import N_ACTION, N_EVENT_REPORT, Primitive
from pynetdicom.dsutils import EncodedDataSet, encode_dataset
from pynetdicom.sop_class import (
    BasicFilmSession,
    BasicGrayscalePrintManagementMeta,
    InventoryCreation,
    MediaCreationManagement,
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepNotification,
    Printer,
    PrinterInstance,
    PrintJob,
    RTConventionalMachineVerification,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepWatch,
)
from tests.pair import serve
from tests.peers import DEADLINE, Call

IMPLICIT = "1.2.840.10008.1.2"
UIDS = (
    BasicFilmSession,
    BasicGrayscalePrintManagementMeta,
    InventoryCreation,
    MediaCreationManagement,
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepNotification,
    PrintJob,
    Printer,
    RTConventionalMachineVerification,
    StorageCommitmentPushModel,
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepWatch,
)
RT = RTConventionalMachineVerification  # which has all six


@contextmanager
def associated(
    *handlers: Any, scu: Any = (), scp_ae: AE | None = None, roles: bool | None = None, **how: Any
) -> Iterator[Any]:
    """An association for the N-services, whose SCP has these handlers.

    `roles`: whether the requestor proposes to be SCP of all of them, and the acceptor answers.
    """
    scp = scp_ae or AE("SCP")
    requestor = AE("SCU")
    for uid in UIDS:
        if roles is None:
            scp.add_supported_context(uid)
        else:
            scp.add_supported_context(uid, scu_role=True, scp_role=roles)
        requestor.add_requested_context(uid)
    if roles is not None:
        how["ext_neg"] = [build_role(uid, scu_role=True, scp_role=True) for uid in UIDS]
    server = serve(scp, evt_handlers=list(handlers))
    try:
        address = server.server_address[:2]
        assoc = requestor.associate(*address, evt_handlers=list(scu), **how)
        assert assoc.is_established
        with assoc:
            yield assoc
    finally:
        server.shutdown()
        requestor.shutdown()


def data_set(**elements: Any) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


SENT = data_set(PatientID="1", PatientName="Sent^One")
ANSWER = data_set(PatientID="2")

CALLS: dict[Any, tuple[Callable[[Any], Any], dict[str, Any]]] = {
    # event: how it is asked for, what the handler finds
    evt.EVT_N_ACTION: (
        lambda assoc: assoc.send_n_action(SENT, 3, RT, "1.2"),
        {"action_type": 3, "action_information": SENT},
    ),
    evt.EVT_N_CREATE: (
        lambda assoc: assoc.send_n_create(SENT, RT, "1.2"),
        {"attribute_list": SENT},
    ),
    evt.EVT_N_DELETE: (lambda assoc: (assoc.send_n_delete(RT, "1.2"), None), {}),
    evt.EVT_N_EVENT_REPORT: (
        lambda assoc: assoc.send_n_event_report(SENT, 4, RT, "1.2"),
        {"event_type": 4, "event_information": SENT},
    ),
    evt.EVT_N_GET: (
        lambda assoc: assoc.send_n_get([(0x10, 0x20), 0x00100010, "PatientSex"], RT, "1.2"),
        {"attribute_identifiers": [0x00100020, 0x00100010, 0x00100040]},
    ),
    evt.EVT_N_SET: (
        lambda assoc: assoc.send_n_set(SENT, RT, "1.2"),
        {"modification_list": SENT},
    ),
}


@pytest.mark.parametrize("event", CALLS, ids=str)
def test_a_service_through_handlers(event: Any) -> None:
    call, attributes = CALLS[event]
    found: dict[str, Any] = {}

    def handle(happened: evt.Event, *args: Any) -> Any:
        found.update({name: getattr(happened, name) for name in attributes})
        request = happened.request
        found["uids"] = [
            value
            for keyword, value in vars(request).items()
            if keyword.endswith(("SOPClassUID", "SOPInstanceUID"))
        ]
        found["args"] = args
        return 0x0000 if event is evt.EVT_N_DELETE else (0x0000, ANSWER)

    roles = True if event is evt.EVT_N_EVENT_REPORT else None
    with associated((event, handle, [7]), roles=roles) as assoc:
        status, reply = call(assoc)
        assert status.Status == 0x0000
        assert status.AffectedSOPClassUID == RT
        assert status.AffectedSOPInstanceUID == "1.2"
        assert reply == (None if event is evt.EVT_N_DELETE else ANSWER)
        # The next one, of the library's numbers.
        assert call(assoc)[0].message_id == status.message_id + 1
    assert found == {**attributes, "uids": [RT, "1.2"], "args": (7,)}


@pytest.mark.parametrize("event", CALLS, ids=str)
def test_a_service_through_callbacks(event: Any) -> None:
    call, attributes = CALLS[event]
    found: list[Any] = []

    def callback(*args: Any) -> Any:
        found.extend(args)
        return 0x0000 if event is evt.EVT_N_DELETE else (0x0000, ANSWER)

    scp = AE("SCP")
    setattr(scp, event.name.replace("EVT_", "on_").lower(), callback)
    roles = True if event is evt.EVT_N_EVENT_REPORT else None
    with associated(scp_ae=scp, roles=roles) as assoc:
        status, reply = call(assoc)
    assert status.Status == 0x0000
    assert reply == (None if event is evt.EVT_N_DELETE else ANSWER)
    *data_sets, context, info = found
    # Of what the handler finds, the callback gets the data set, or the tags.
    assert data_sets == [value for value in attributes.values() if not isinstance(value, int)]
    assert context.abstract_syntax == RT
    assert info["parameters"]["requested_sop_class_uid"] == RT
    assert info["parameters"]["requested_sop_instance_uid"] == "1.2"


@pytest.mark.parametrize("event", CALLS, ids=str)
@pytest.mark.parametrize(
    ("given", "code", "has_reply"),
    [
        (0x0112, 0x0112, False),
        ((0x0112, None), 0x0112, False),
        ([0x0107, ANSWER], 0x0107, True),  # with a warning
        ((0x0106, ANSWER), 0x0106, True),  # the attributes that are wrong
        (None, 0xC002, False),
        ((None, None), 0xC002, False),
        ("0", 0xC002, False),
        (0xFF00, 0xC002, False),  # there is one response
        ((0xFF01, ANSWER), 0xC002, False),
        ((data_set(Status=0xFF00), ANSWER), 0xC002, False),
        ({0x0000: ANSWER}, 0xC002, False),
        ((0x0000, None, None), 0xC002, False),
        ((0x0000, b"bytes"), 0x0110, False),
        ((0x0000, "text"), 0x0110, False),
        (data_set(ErrorComment="no Status"), 0xC001, False),
        (ZeroDivisionError, 0x0110, False),
        (SystemExit, 0x0110, False),
    ],
    ids=str,
)
@pytest.mark.parametrize("style", ["events", "callbacks"])
def test_what_a_handler_gives(
    event: Any, given: Any, code: int, has_reply: bool, style: str
) -> None:
    def handle(*args: Any) -> Any:
        if isinstance(given, type):
            raise given
        return given

    roles = True if event is evt.EVT_N_EVENT_REPORT else None
    handlers, scp = [(event, handle)], AE("SCP")
    if style == "callbacks":
        handlers = []
        setattr(scp, event.name.replace("EVT_", "on_").lower(), handle)
    with associated(*handlers, scp_ae=scp, roles=roles) as assoc:
        status, reply = CALLS[event][0](assoc)
        assert assoc.is_established
    if event is evt.EVT_N_DELETE and isinstance(given, (tuple, list)) and len(given) == 2:
        has_reply = False  # there is no data set to send
        code = 0x0000 if given[0] == 0x0000 else code
    assert (status.Status, reply) == (code, ANSWER if has_reply else None)


def test_no_handler(caplog: pytest.LogCaptureFixture) -> None:
    with associated() as assoc:
        status, reply = assoc.send_n_get([], Printer, PrinterInstance)
    assert (status.Status, reply) == (0x0110, None)
    assert "no handler is bound to EVT_N_GET, and on_n_get is not assigned" in caplog.text


def test_the_fields_that_go_with_a_status() -> None:
    """PS3.7 Annex C."""
    fields = data_set(
        Status=0x0107,
        ErrorComment="some are not known",
        ErrorID=0xA710,
        AttributeIdentifierList=[0x00100020, 0x00100010],
        AffectedSOPInstanceUID="1.2.3",
        ActionTypeID=9,
    )

    def handle(happened: evt.Event) -> Any:
        return fields, None

    with associated((evt.EVT_N_ACTION, handle)) as assoc:
        status, _ = assoc.send_n_action(None, 3, RT, "1.2")
    assert status.Status == 0x0107
    assert status.ErrorComment == "some are not known"
    assert status.ErrorID == 0xA710
    assert list(status.AttributeIdentifierList) == [0x00100020, 0x00100010]
    assert status.AffectedSOPInstanceUID == "1.2.3"
    assert status.ActionTypeID == 9


def test_a_reply_that_is_encoded_already() -> None:
    def handle(happened: evt.Event) -> Any:
        return 0x0000, encode_dataset(ANSWER, "1.2.840.10008.1.2.1")

    with associated((evt.EVT_N_GET, handle)) as assoc:
        status, reply = assoc.send_n_get(None, Printer, PrinterInstance)
    assert (status.Status, reply) == (0x0000, ANSWER)


def test_a_request_that_is_encoded_already() -> None:
    received: list[EncodedDataSet] = []

    def handle(happened: evt.Event) -> Any:
        received.append(happened.received)
        return 0x0000, happened.received

    with associated((evt.EVT_N_SET, handle)) as assoc:
        status, reply = assoc.send_n_set(encode_dataset(SENT, IMPLICIT), RT, "1.2")
    assert (status.Status, reply) == (0x0000, SENT)
    assert received[0].decode() == SENT


# N-CREATE


@pytest.mark.parametrize(
    "given",
    [
        (data_set(Status=0x0000, AffectedSOPInstanceUID="1.2.9"), None),
        (data_set(Status=0xB300, AffectedSOPInstanceUID="1.2.9"), ANSWER),
        (0x0000, data_set(SOPInstanceUID="1.2.9")),
        (0x0000, data_set(AffectedSOPInstanceUID="1.2.9", PatientID="2")),
    ],
)
def test_the_handler_names_what_it_creates(given: Any) -> None:
    """PS3.7 10.1.5.1.4"""
    with associated((evt.EVT_N_CREATE, lambda happened: given)) as assoc:
        for _ in range(2):  # the same objects: they stay as they are
            status, reply = assoc.send_n_create(SENT, MediaCreationManagement)
            assert status.AffectedSOPInstanceUID == "1.2.9"
            assert "AffectedSOPInstanceUID" not in (reply or {})  # which is of the command set


def test_nobody_names_what_is_created(caplog: pytest.LogCaptureFixture) -> None:
    with associated((evt.EVT_N_CREATE, lambda happened: (0x0000, ANSWER))) as assoc:
        status, reply = assoc.send_n_create(SENT, MediaCreationManagement)
    assert (status.Status, reply) == (0x0110, None)
    assert "neither the request nor the handler names the SOP Instance created" in caplog.text


def test_nothing_is_created() -> None:
    with associated((evt.EVT_N_CREATE, lambda happened: (0x0124, None))) as assoc:
        status, _ = assoc.send_n_create(None, MediaCreationManagement)
    assert status.Status == 0x0124
    assert "AffectedSOPInstanceUID" not in status


# Which context, which class


def test_a_meta_sop_class() -> None:
    """The message has the class's own UID, the context the Meta SOP Class (PS3.4 H.3)."""
    seen: list[Any] = []

    def handle(happened: evt.Event) -> Any:
        seen.append((happened.request.AffectedSOPClassUID, happened.context.abstract_syntax))
        return 0x0000, None

    with associated((evt.EVT_N_CREATE, handle)) as assoc:
        meta = BasicGrayscalePrintManagementMeta
        assert assoc.send_n_create(SENT, BasicFilmSession, "1.2", meta_uid=meta)[0].Status == 0
    assert seen == [(BasicFilmSession, BasicGrayscalePrintManagementMeta)]


@pytest.mark.parametrize(
    ("context", "action", "code"),
    [
        (UnifiedProcedureStepPull, 1, 0x0000),
        (UnifiedProcedureStepPull, 2, 0x0123),
        (UnifiedProcedureStepPush, 2, 0x0000),
        (UnifiedProcedureStepPush, 1, 0x0123),
        (UnifiedProcedureStepWatch, 2, 0x0000),
        (UnifiedProcedureStepWatch, 5, 0x0000),
        (UnifiedProcedureStepWatch, 1, 0x0123),
        (UnifiedProcedureStepEvent, 1, 0x0211),
    ],
)
def test_messages_of_ups(context: UID, action: int, code: int) -> None:
    """They carry the UID of UPS Push; what may be done, the context says (PS3.4 CC.3.1)."""
    seen: list[Any] = []

    def handle(happened: evt.Event) -> Any:
        seen.append(happened.request.RequestedSOPClassUID)
        return 0x0000, None

    with associated((evt.EVT_N_ACTION, handle)) as assoc:
        push = UnifiedProcedureStepPush
        status, _ = assoc.send_n_action(None, action, push, "1.2", meta_uid=context)
    assert status.Status == code
    assert seen == [push] * (code == 0)


@pytest.mark.parametrize(
    ("uid", "types"),
    [
        (BasicFilmSession, {1}),
        (InventoryCreation, {11, 12, 13, 14, 15}),
        (MediaCreationManagement, {1, 2}),
        (StorageCommitmentPushModel, {1}),
        (RT, set(range(18))),  # the standard's table is not known to us: any
    ],
)
def test_the_actions_that_there_are(uid: UID, types: set[int]) -> None:
    with associated((evt.EVT_N_ACTION, lambda happened: (0x0000, None))) as assoc:
        for action_type in range(18):
            status, _ = assoc.send_n_action(SENT, action_type, uid, "1.2")
            assert status.Status == (0x0000 if action_type in types else 0x0123), action_type
            # PS3.7 C.5.7: the type that there is not.
            assert status.ActionTypeID == action_type


@pytest.mark.parametrize(
    ("uid", "types"),
    [
        (StorageCommitmentPushModel, {1, 2}),
        (Printer, {1, 2, 3}),
        (PrintJob, {1, 2, 3, 4}),
        (ModalityPerformedProcedureStepNotification, {1, 2, 3, 4, 5}),
        (UnifiedProcedureStepEvent, {1, 2, 3, 4, 5}),
        (InventoryCreation, {11, 12, 13}),
    ],
)
def test_the_events_that_there_are(uid: UID, types: set[int]) -> None:
    with associated((evt.EVT_N_EVENT_REPORT, lambda happened: (0x0000, None)), roles=True) as assoc:
        for event_type in range(16):
            status, _ = assoc.send_n_event_report(SENT, event_type, uid, "1.2")
            assert status.Status == (0x0000 if event_type in types else 0x0113), event_type
            assert status.EventTypeID == event_type


# An attribute that the request lacks


@pytest.mark.parametrize(
    ("read", "tag"),
    [
        (lambda ds: ds.TransactionUID, 0x00081195),
        (lambda ds: ds.ReferencedSOPSequence[0].ReferencedSOPInstanceUID, 0x00081155),
    ],
)
def test_an_attribute_that_the_handler_looks_for_in_vain(read: Any, tag: int) -> None:
    def handle(happened: evt.Event) -> Any:
        read(happened.action_information)

    sent = data_set(ReferencedSOPSequence=[data_set(ReferencedSOPClassUID="1.2")])
    with associated((evt.EVT_N_ACTION, handle)) as assoc:
        instance = StorageCommitmentPushModelInstance
        status, _ = assoc.send_n_action(sent, 1, StorageCommitmentPushModel, instance)
    assert status.Status == 0x0120
    assert status.AttributeIdentifierList == tag


@pytest.mark.parametrize(
    "mistake",
    [
        lambda ds: data_set(PatientID="").PatientName,  # of another data set
        lambda ds: ds.NoSuchKeyword,
        lambda ds: None.PatientName,  # type: ignore[attr-defined]  # that is the mistake
        lambda ds: ds[0x00081195],
    ],
)
def test_a_mistake_of_the_handler_is_no_fault_of_the_request(mistake: Any) -> None:
    def handle(happened: evt.Event) -> Any:
        mistake(happened.action_information)

    with associated((evt.EVT_N_ACTION, handle)) as assoc:
        status, _ = assoc.send_n_action(SENT, 3, RT, "1.2")
    assert status.Status == 0x0110
    assert "AttributeIdentifierList" not in status


# Events, in either direction


def test_events_come_while_the_requestor_waits() -> None:
    """The SCP reports from its handler, before it answers, and afterwards from another thread."""
    reports: list[Any] = []

    def handle(happened: evt.Event) -> Any:
        status, _ = report(happened.assoc)
        reports.append(status.Status)
        return 0x0000, None

    def report(assoc: Any) -> Any:
        commitment, instance = StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        return assoc.send_n_event_report(SENT, 1, commitment, instance)

    def take(happened: evt.Event) -> Any:
        reports.append((happened.event_type, happened.event_information.PatientID))
        return 0x0000, None

    acceptors: list[Any] = []
    handlers = [
        (evt.EVT_N_ACTION, handle),
        (evt.EVT_ESTABLISHED, lambda happened: acceptors.append(happened.assoc)),
    ]
    with associated(*handlers, scu=[(evt.EVT_N_EVENT_REPORT, take)]) as assoc:
        instance = StorageCommitmentPushModelInstance
        status, _ = assoc.send_n_action(SENT, 1, StorageCommitmentPushModel, instance)
        assert status.Status == 0x0000
        assert reports == [(1, "1"), 0x0000]
        status, _ = Call(report, acceptors[0]).result(DEADLINE)
        assert status.Status == 0x0000
    assert reports == [(1, "1"), 0x0000, (1, "1")]


@pytest.mark.parametrize("roles", [True, False, None])
@pytest.mark.parametrize("strict", [True, False])
def test_a_requestor_reports(
    roles: bool | None,
    strict: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Who reports a result on an association of its own is SCP by role selection."""
    monkeypatch.setattr(_config, "STRICT_ROLES", strict)

    def report(assoc: Any) -> Any:
        commitment, instance = StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        return assoc.send_n_event_report(SENT, 1, commitment, instance)

    take = (evt.EVT_N_EVENT_REPORT, lambda happened: (0x0000, None))
    with associated(take, roles=roles) as assoc:
        if roles:
            assert report(assoc)[0].Status == 0x0000
        else:
            with pytest.raises(ValueError, match=r"in which we are SCP, see build_role\(\)"):
                report(assoc)
    assert "the role selection" not in caplog.text


@pytest.mark.parametrize("strict", [True, False])
def test_a_peer_that_reports_without_role_selection(
    strict: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """There are archives that do; it is noted once."""
    monkeypatch.setattr(_config, "STRICT_ROLES", strict)
    taken: list[Any] = []

    def take(happened: evt.Event) -> Any:
        taken.append(happened.event_type)
        return 0x0000, None

    with associated((evt.EVT_N_EVENT_REPORT, take)) as assoc:
        for _ in range(2):
            response = send(
                assoc,
                N_EVENT_REPORT(
                    AffectedSOPClassUID=StorageCommitmentPushModel,
                    AffectedSOPInstanceUID=StorageCommitmentPushModelInstance,
                    EventTypeID=1,
                ),
                StorageCommitmentPushModel,
            )
            assert response.Status == (0x0122 if strict else 0x0000)
    assert taken == ([] if strict else [1, 1])
    assert caplog.text.count("the peer has not proposed the role selection") == 1 + strict


def send(assoc: Any, request: Primitive, uid: str) -> Primitive:
    """Send a request as it is, whatever it lacks."""
    (context,) = (cx for cx in assoc.accepted_contexts if cx.abstract_syntax == uid)
    response, _ = assoc._invoker.exchange(request, context, None)
    assert isinstance(response, Primitive)
    return response


def test_an_acceptor_that_does_not_answer_the_role_selection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """We have proposed to be SCP, are told at once, and report all the same unless not wanted."""
    taken: list[Any] = []

    def take(happened: evt.Event) -> Any:
        taken.append(happened.event_type)
        return 0x0000, None

    scp, archive = AE("SCP"), AE("ARCHIVE")
    scp.add_supported_context(StorageCommitmentPushModel)  # without roles: not answered
    archive.add_requested_context(StorageCommitmentPushModel)
    server = serve(scp, evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)])
    commitment, instance = StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    role = [build_role(commitment, scp_role=True)]
    with archive.associate(*server.server_address[:2], ext_neg=role) as assoc:
        assert "the peer has not answered the role selection for Storage" in caplog.text
        status, _ = assoc.send_n_event_report(SENT, 1, commitment, instance)
        assert status.Status == 0x0000
    monkeypatch.setattr(_config, "STRICT_ROLES", True)
    with (
        archive.associate(*server.server_address[:2], ext_neg=role) as assoc,
        pytest.raises(ValueError, match="in which we are SCP"),
    ):
        assoc.send_n_event_report(SENT, 1, commitment, instance)
    server.shutdown()
    assert taken == [1]


# What is refused


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (N_ACTION(RequestedSOPClassUID=RT, RequestedSOPInstanceUID="1.2"), 0x0212),
        (N_ACTION(RequestedSOPClassUID=RT, ActionTypeID=1), 0x0212),
        (N_ACTION(RequestedSOPInstanceUID="1.2", ActionTypeID=1), 0x0212),
    ],
)
def test_a_mandatory_parameter_is_missing(request_: Primitive, code: int) -> None:
    with associated((evt.EVT_N_ACTION, lambda happened: (0x0000, None))) as assoc:
        assert send(assoc, request_, RT).Status == code
        assert assoc.send_n_action(None, 1, RT, "1.2")[0].Status == 0x0000


def test_an_operation_that_the_sop_class_has_not() -> None:
    with associated((evt.EVT_N_DELETE, lambda happened: 0x0000)) as assoc:
        status = assoc.send_n_delete(ModalityPerformedProcedureStep, "1.2")
    assert status.Status == 0x0211


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda a: a.send_n_get([], "1.2.3", "1.2"), ValueError, "no accepted presentation"),
        (lambda a: a.send_n_get([], RT, "1.2", meta_uid="1.2.3"), ValueError, "no accepted"),
        (lambda a: a.send_n_get(["Nonsense"], RT, "1.2"), ValueError, "Nonsense"),
        (lambda a: a.send_n_get([], RT, None), ValueError, "RequestedSOPInstanceUID"),
        (lambda a: a.send_n_set(None, RT, "1.2"), ValueError, "ModificationList"),
        (lambda a: a.send_n_set("text", RT, "1.2"), ValueError, "not a data set"),
        (lambda a: a.send_n_action(None, None, RT, "1.2"), ValueError, "ActionTypeID"),
        (lambda a: a.send_n_action(None, "1", RT, "1.2"), TypeError, "ActionTypeID"),
        (lambda a: a.send_n_event_report(None, 1, RT, "1.2"), ValueError, "build_role"),
    ],
)
def test_what_cannot_be_asked(call: Any, error: type[Exception], text: str) -> None:
    with associated((evt.EVT_N_DELETE, lambda happened: 0x0000)) as assoc:
        with pytest.raises(error, match=text):
            call(assoc)
        assert assoc.send_n_delete(RT, "1.2").Status == 0x0000  # nothing is outstanding


def test_there_is_no_association_any_more() -> None:
    with associated() as assoc:
        assoc.release()
        for call, _ in CALLS.values():
            with pytest.raises(RuntimeError, match=r"send_n_\w+\(\)|must be established"):
                call(assoc)


def test_there_is_no_answer() -> None:
    def handle(happened: evt.Event) -> Any:
        happened.assoc.abort()

    with associated((evt.EVT_N_GET, handle)) as assoc:
        status, reply = assoc.send_n_get([], RT, "1.2")
        assert assoc.ended.by == "peer"
    assert (status, reply) == (Dataset(), None)


def test_a_reply_that_does_not_decode(caplog: pytest.LogCaptureFixture) -> None:
    from pynetdicom.data_sets.data_set import InMemory

    broken = InMemory(b"\x10\x00\x20\x00\xff\x00\x00\x00", IMPLICIT)
    with associated((evt.EVT_N_GET, lambda happened: (0x0000, broken))) as assoc:
        status, reply = assoc.send_n_get([], RT, "1.2")
        assert assoc.send_n_get([], RT, "1.2")[0].Status == 0x0000
    assert (status.Status, reply) == (0x0000, None)
    assert status.problem.startswith("the data set cannot be decoded: ")


def test_a_request_that_does_not_decode() -> None:
    from pynetdicom.data_sets.data_set import InMemory

    broken = InMemory(b"\x10\x00\x20\x00\xff\x00\x00\x00", IMPLICIT)
    scp = AE("SCP")
    scp.on_n_create = lambda *args: (0x0000, None)
    with associated(scp_ae=scp) as assoc:
        status, _ = assoc.send_n_create(broken, RT, "1.2")
        assert status.Status == 0x0110


def test_many_instances_in_one_request() -> None:
    """Storage commitment of 100,000: its data set is of some 12 MB."""
    item = data_set(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    item.ReferencedSOPInstanceUID = "1.2.826.0.1.3680043.9.3811." + "1" * 37
    sent = encode_dataset(data_set(ReferencedSOPSequence=[item] * 2000), IMPLICIT)
    sizes: list[int] = []

    def handle(happened: evt.Event) -> Any:
        sizes.append(len(happened.action_information.ReferencedSOPSequence))
        return 0x0000, None

    with associated((evt.EVT_N_ACTION, handle)) as assoc:
        commitment, instance = StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        status, _ = assoc.send_n_action(sent, 1, commitment, instance)
    assert status.Status == 0x0000
    assert sizes == [2000]


def test_a_debug_log_shows_the_messages(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "pynetdicom")
    with associated((evt.EVT_N_CREATE, lambda happened: (0x0000, ANSWER))) as assoc:
        assoc.send_n_create(SENT, RT, "1.2")
    assert "N-CREATE-RQ" in caplog.text
    assert "N-CREATE-RSP" in caplog.text
