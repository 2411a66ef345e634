"""The callbacks of an AE: what they are called with, and what becomes of their answers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from pydicom.uid import UID

from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.data_sets.data_set import InMemory
from pynetdicom.dimse.primitives import C_ECHO, C_STORE, Primitive
from pynetdicom.hooks import CALLBACK_OF, Callbacks
from pynetdicom.pdu_primitives import A_ABORT, A_ASSOCIATE, A_P_ABORT, A_RELEASE
from pynetdicom.presentation import PresentationContextTuple
from tests.faults.peer import Peer, p_data, pdv, request
from tests.pair import CT, EXPLICIT, IMPLICIT, VERIFICATION, Pair, Seen, acceptor_of, ended
from tests.peers import ct

SIDE = {"ae_title", "address", "port", "mode", "pdv_size"}


def dataset(**elements: Any) -> Any:
    from pydicom.dataset import Dataset

    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def noting(calls: list[Any]) -> Callable[..., int]:
    def callback(*args: Any) -> int:
        calls.append(args)
        return 0x0000

    return callback


def context_of(context_id: int, abstract_syntax: str) -> PresentationContextTuple:
    return PresentationContextTuple(context_id, UID(abstract_syntax), UID(IMPLICIT))


def padded(title: str) -> bytes:
    return title.encode().ljust(16)


# What they are called with


def check_sides(info: dict[str, Any], assoc: Association) -> None:
    assert info["requestor"] == {
        "ae_title": padded("SCU"),
        "address": "127.0.0.1",
        "port": assoc.requestor.port,
        "mode": "requestor",
        "pdv_size": 16382,
    }
    assert info["acceptor"] == {
        "ae_title": padded("SCP"),
        "address": "127.0.0.1",
        "port": assoc.acceptor.port,
        "mode": "acceptor",
        "pdv_size": 16382,
    }
    assert info["sop_class_extended"] == {}
    assert info["sop_class_common_extended"] == {}


def test_on_c_echo_s_context_and_info() -> None:
    with Pair() as pair:
        calls: list[Any] = []
        pair.scp.on_c_echo = noting(calls)  # type: ignore[method-assign]
        assoc = pair.established()
        assert assoc.send_c_echo(msg_id=17).Status == 0x0000
        ((context, info),) = calls
        assert context == context_of(1, VERIFICATION)
        assert (context.context_id, context.abstract_syntax) == (1, VERIFICATION)
        assert context.transfer_syntax.is_implicit_VR
        check_sides(info, assoc)
        assert info["parameters"] == {"message_id": 17}
        assert set(info) == {
            "requestor",
            "acceptor",
            "parameters",
            "sop_class_extended",
            "sop_class_common_extended",
        }
        assoc.release()


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        (
            {},
            {"message_id": 1, "priority": 2, "originator_aet": None, "originator_message_id": None},
        ),
        (
            {"msg_id": 7, "priority": 1, "originator_aet": "MOVER", "originator_id": 42},
            {
                "message_id": 7,
                "priority": 1,
                "originator_aet": padded("MOVER"),
                "originator_message_id": 42,
            },
        ),
        (
            {"originator_aet": b"MOVER           "},
            {
                "message_id": 1,
                "priority": 2,
                "originator_aet": padded("MOVER"),
                "originator_message_id": None,
            },
        ),
    ],
)
def test_on_c_store_s_arguments(arguments: dict[str, Any], parameters: dict[str, Any]) -> None:
    with Pair() as pair:
        calls: list[Any] = []
        pair.scp.on_c_store = noting(calls)  # type: ignore[method-assign]
        assoc = pair.established()
        assert assoc.send_c_store(ct(), **arguments).Status == 0x0000
        ((ds, context, info),) = calls
        assert ds.PatientName == "SECRET^PATIENT"
        assert ds.file_meta.TransferSyntaxUID == IMPLICIT
        assert context == context_of(3, CT)
        check_sides(info, assoc)
        assert info["parameters"] == parameters
        assoc.release()


def test_on_c_store_at_the_requestor() -> None:
    """A peer in the SCU role sends: the title of its side is the acceptor's."""
    scp = AE("SCP")
    scp.add_supported_context(CT, scu_role=True, scp_role=True)
    with Pair(scp) as pair:
        calls: list[Any] = []
        pair.scu.on_c_store = noting(calls)  # type: ignore[method-assign]
        assoc = pair.established(ae_title="SCP", ext_neg=[build_role(CT, scp_role=True)])
        assert acceptor_of(pair).send_c_store(ct(), originator_id=5).Status == 0x0000
        ((_, context, info),) = calls
        assert context == context_of(3, CT)
        check_sides(info, assoc)
        assert info["parameters"] == {
            "message_id": 1,
            "priority": 2,
            "originator_aet": None,
            "originator_message_id": 5,
            "original_message_id": 5,
        }
        assoc.release()


# Who is asked


def test_overridden_in_a_subclass() -> None:
    class Ours(AE):
        def on_c_echo(self, context: Any, info: Any) -> int:
            return 0x0210

        def on_c_store(self, dataset: Any, context: Any, info: Any) -> int:
            return 0xB000

    with Pair(Ours("SCP")) as pair:
        assoc = pair.established()
        assert assoc.send_c_echo().Status == 0x0210
        assert assoc.send_c_store(ct()).Status == 0xB000
        assoc.release()


def test_assigned_one_wins_over_the_class_and_may_be_changed_at_any_time() -> None:
    class Ours(AE):
        def on_c_echo(self, context: Any, info: Any) -> int:
            return 0x0210

    with Pair(Ours("SCP")) as pair:
        pair.scp.on_c_echo = lambda context, info: 0x0211  # type: ignore[method-assign]
        assoc = pair.established()
        assert assoc.send_c_echo().Status == 0x0211
        pair.scp.on_c_echo = lambda context, info: 0x0212  # type: ignore[method-assign]
        assert assoc.send_c_echo().Status == 0x0212
        del pair.scp.on_c_echo
        assert assoc.send_c_echo().Status == 0x0210
        assoc.release()


def test_bound_handler_wins_until_it_is_unbound() -> None:
    def bound(event: evt.Event) -> int:
        return 0xA700

    with Pair(scp_handlers=[(evt.EVT_C_STORE, bound)]) as pair:
        pair.scp.on_c_store = lambda dataset, context, info: 0x0000  # type: ignore[method-assign]
        assoc = pair.established()
        assert assoc.send_c_store(ct()).Status == 0xA700
        pair.server.unbind(evt.EVT_C_STORE, bound)
        assert assoc.send_c_store(ct()).Status == 0x0000
        assoc.release()


def test_nobody_to_ask() -> None:
    with Pair() as pair:
        assoc = pair.established()
        assert assoc.send_c_echo().Status == 0x0000
        status = assoc.send_c_store(ct())
        assert status.Status == 0xC211
        assert assoc.is_established
        assoc.release()


# What they answer

ANSWERS: list[tuple[Callable[[], Any], int, int, str | None]] = [
    # answer, status for C-STORE, for C-ECHO, comment
    (lambda: 0x0000, 0x0000, 0x0000, None),
    (lambda: 0xC123, 0xC123, 0xC123, None),
    (lambda: dataset(Status=0xB007), 0xB007, 0xB007, None),
    (lambda: dataset(Status=0xA900, ErrorComment="Why"), 0xA900, 0xA900, "Why"),
    (lambda: dataset(ErrorComment="Why"), 0xC001, 0x0000, "No status"),
    (lambda: dataset(Status=None), 0xC001, 0x0000, "No status"),
    (lambda: "0000", 0xC002, 0x0000, "Invalid status"),
    (lambda: None, 0xC002, 0x0000, "Invalid status"),
    (lambda: True, 0xC002, 0x0000, "Invalid status"),
    (lambda: -1, 0xC002, 0x0000, "Invalid status"),
    (lambda: 0x10000, 0xC002, 0x0000, "Invalid status"),
    (lambda: (0x0000, None), 0xC002, 0x0000, "Invalid status"),
    (lambda: 1 // 0, 0xC211, 0x0000, "Unable to process"),
    (lambda: exit(3), 0xC211, 0x0000, "Unable to process"),
]


@pytest.mark.parametrize(("answer", "of_store", "of_echo", "comment"), ANSWERS)
def test_what_they_answer(
    answer: Callable[[], Any], of_store: int, of_echo: int, comment: str | None
) -> None:
    with Pair() as pair:
        pair.scp.on_c_echo = lambda context, info: answer()  # type: ignore[method-assign]
        pair.scp.on_c_store = lambda dataset, context, info: answer()  # type: ignore[method-assign]
        assoc = pair.established()
        assert assoc.send_c_echo().Status == of_echo
        status = assoc.send_c_store(ct())
        assert status.Status == of_store
        assert status.get("ErrorComment") == comment
        assert assoc.is_established
        assoc.release()


def test_other_elements_of_a_status_are_copied() -> None:
    from pydicom.tag import Tag

    given = dataset(
        Status=0xA900, ErrorComment="Why", OffendingElement=[0x00100010], PatientName="A^B"
    )
    with Pair() as pair:
        pair.scp.on_c_store = lambda dataset, context, info: given  # type: ignore[method-assign]
        assoc = pair.established()
        status = assoc.send_c_store(ct())
        assert (status.Status, status.ErrorComment) == (0xA900, "Why")
        assert status.OffendingElement in (Tag(0x00100010), [Tag(0x00100010)])
        assert "PatientName" not in status
        assoc.release()


def test_comment_that_cannot_be_sent_does_no_harm() -> None:
    with Pair() as pair:
        answer = dataset(Status=0xA900, ErrorComment="W" * 100)
        pair.scp.on_c_store = lambda dataset, context, info: answer  # type: ignore[method-assign]
        assoc = pair.established()
        assert assoc.send_c_store(ct()).Status == 0xA900
        assert assoc.is_established
        assoc.release()


def test_text_of_an_exception_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail(dataset: Any, context: Any, info: Any) -> None:
        raise ValueError(f"cannot store {dataset.PatientName}")

    with Pair() as pair:
        pair.scp.on_c_store = fail  # type: ignore[method-assign]
        assoc = pair.established()
        assert assoc.send_c_store(ct()).Status == 0xC211
        assoc.release()
    text = [r.getMessage() for r in caplog.records if r.levelno > logging.DEBUG]
    assert any("ValueError" in line for line in text)
    assert not any("SECRET" in line for line in text)


# A data set that does not decode


def store_rq(data: bytes) -> bytes:
    primitive: Primitive = C_STORE(
        MessageID=1,
        AffectedSOPClassUID=CT,
        AffectedSOPInstanceUID="1.2.3",
        Priority=2,
        data_set=InMemory(data, EXPLICIT),
    )
    return p_data(pdv(1, 3, primitive.encode()), pdv(1, 2, data))


@pytest.mark.parametrize(("bind", "status"), [(False, 0xC210), (True, 0xC211)])
def test_undecodable_data_set(bind: bool, status: int) -> None:
    """Decoded before the callback is called, and by a bound handler when it likes."""
    from pynetdicom.dimse.decoding import decode_command
    from pynetdicom.upper_layer import items

    called: list[Any] = []
    handlers = [(evt.EVT_C_STORE, lambda event: event.dataset and 0x0000)] if bind else []
    with Pair(scp_handlers=handlers) as pair:
        pair.scp.on_c_store = noting(called)  # type: ignore[method-assign]
        with Peer.connect(("127.0.0.1", pair.port)) as peer:
            context = items.PresentationContextRQ(
                context_id=1, abstract_syntax=CT, transfer_syntaxes=[EXPLICIT]
            )
            peer.associate(request(context))
            # An element that is longer than what follows.
            peer.send(store_rq(b"\x10\x00\x10\x00PN\xff\x00SHORT^"))
            response = decode_command(peer.pdu()[12:])
            assert response.Status == status
            peer.release()
    assert called == []


# Notification


def test_on_association_callbacks_of_an_accepted_and_released_one() -> None:
    seen = Seen()

    class Ours(AE):
        def on_association_requested(self, primitive: Any) -> None:
            seen.add(("requested", primitive))

        def on_association_accepted(self, primitive: Any) -> None:
            seen.add(("accepted", primitive))

        def on_association_released(self, primitive: Any = None) -> None:
            seen.add(("released", primitive))

    with Pair(Ours("SCP")) as pair:
        pair.established(ae_title="CALLED").release()
        requested, accepted, released = seen.wait(3)
    assert [name for name, _ in seen.notes] == ["requested", "accepted", "released"]
    assert isinstance(requested[1], A_ASSOCIATE)
    assert requested[1].calling_ae_title == "SCU"
    assert requested[1].called_ae_title == "CALLED"
    assert requested[1].result is None
    assert isinstance(accepted[1], A_ASSOCIATE)
    assert accepted[1].result == 0
    assert isinstance(released[1], A_RELEASE)
    assert released[1].result == "affirmative"


def test_on_association_callbacks_of_a_rejected_one_on_both_sides() -> None:
    seen = Seen()
    with Pair() as pair:
        pair.scp.require_called_aet = True
        for ae, side in ((pair.scp, "acceptor"), (pair.scu, "requestor")):
            ae.on_association_rejected = lambda p, side=side: seen.add((side, p))  # type: ignore[method-assign,misc]
        assert pair.associate(ae_title="OTHER").is_rejected
        notes = dict(seen.wait(2))
    for side in ("acceptor", "requestor"):
        primitive = notes[side]
        assert (primitive.result, primitive.result_source, primitive.diagnostic) == (1, 1, 7)


def test_on_association_callbacks_of_an_aborted_one_on_both_sides() -> None:
    seen = Seen()
    with Pair() as pair:
        for ae, side in ((pair.scp, "acceptor"), (pair.scu, "requestor")):
            ae.on_association_aborted = lambda p=None, side=side: seen.add((side, p))  # type: ignore[method-assign,misc]
        pair.established().abort()
        notes = dict(seen.wait(2))
    assert set(notes) == {"acceptor", "requestor"}
    for primitive in notes.values():
        assert isinstance(primitive, A_ABORT)
        assert primitive.abort_source == 0


def test_on_association_aborted_by_a_provider_and_by_the_network(free_port: int) -> None:
    seen = Seen()
    with Pair(
        scp_handlers=[(evt.EVT_C_ECHO, lambda event: event.assoc.acse.send_abort(2))]
    ) as pair:
        pair.scu.on_association_aborted = seen.add  # type: ignore[method-assign,assignment]
        assert len(pair.established().send_c_echo()) == 0
        ended(pair.scu.associate("127.0.0.1", free_port))
        notes = seen.wait(2)
    # Each association tells in a thread of its own: in any order.
    assert all(isinstance(primitive, A_P_ABORT) for primitive in notes)
    assert {primitive.provider_reason for primitive in notes} == {0, None}


@pytest.mark.parametrize(("source", "reason"), [(2, 3), (2, 255), (5, 0)])
def test_on_association_aborted_by_what_the_standard_does_not_have(
    source: int, reason: int
) -> None:
    seen = Seen()
    handlers: list[Any] = [
        (evt.EVT_ABORTED, lambda event: seen.add(event.event)),
        (evt.EVT_ACSE_RECV, lambda event: seen.add(event.primitive)),
    ]
    with Pair(scp_handlers=handlers) as pair:
        pair.scp.on_association_aborted = seen.add  # type: ignore[method-assign,assignment]
        with Peer.connect(("127.0.0.1", pair.port)) as peer:
            peer.send(request())
            assert peer.pdu()[0] == 2
            peer.send(bytes((7, 0, 0, 0, 0, 4, 0, 0, source, reason)))
            _, received, event, told = seen.wait(4)
    assert event is evt.EVT_ABORTED
    for primitive in (received, told):
        if source == 2:
            assert primitive.provider_reason == reason
        else:
            assert primitive.abort_source == source


# Debug hooks of an association

HOOKS = [f"debug_association_{what}" for what in ("requested", "accepted", "rejected")]
HOOKS += ["debug_association_released", "debug_association_aborted"]


def hooked(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Assign all hooks to `Association`; each notes (hook, primitive)."""
    seen = Seen()
    for name in HOOKS:

        def hook(primitive: Any = None, name: str = name) -> None:
            seen.add((name.rpartition("_")[2], primitive))

        monkeypatch.setattr(Association, name, staticmethod(hook))
    return seen


def test_debug_hooks_do_nothing_by_themselves() -> None:
    for name in HOOKS:
        assert getattr(Association, name)(None) is None


def test_debug_hooks_of_a_released_association(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = hooked(monkeypatch)
    with Pair() as pair:
        pair.established().release()
        notes = seen.wait(6)
    # Both sides.
    assert sorted(name for name, _ in notes) == sorted(["requested", "accepted", "released"] * 2)
    for name, primitive in notes:
        assert isinstance(primitive, A_RELEASE if name == "released" else A_ASSOCIATE)


def test_debug_hooks_of_a_rejected_association(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = hooked(monkeypatch)
    with Pair() as pair:
        pair.scp.require_called_aet = True
        assert pair.associate(ae_title="OTHER").is_rejected
        notes = seen.wait(4)
    assert sorted(name for name, _ in notes) == sorted(["requested", "rejected"] * 2)
    assert {p.diagnostic for name, p in notes if name == "rejected"} == {7}


def test_debug_hooks_of_an_aborted_association(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = hooked(monkeypatch)
    with Pair() as pair:
        pair.established().abort()
        notes = seen.wait(6)
    aborts = [primitive for name, primitive in notes if name == "aborted"]
    assert [type(primitive) for primitive in aborts] == [A_ABORT] * 2


@pytest.mark.threads("the older style, of threads only")
def test_a_debug_hook_of_one_association() -> None:
    seen: list[Any] = []
    with Pair() as pair:
        assoc = pair.established()
        assoc.debug_association_released = seen.append  # type: ignore[method-assign,assignment]
        other = pair.established()
        assoc.release()
        other.release()
    assert [type(primitive) for primitive in seen] == [A_RELEASE]


def test_a_debug_hook_that_raises(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(primitive: Any) -> None:
        raise ValueError("of a hook")

    monkeypatch.setattr(Association, "debug_association_accepted", staticmethod(fail))
    with Pair() as pair:
        assoc = pair.established()
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()
    assert "debug_association_accepted raised" in caplog.text


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_what_notification_callbacks_raise_goes_no_further(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(primitive: Any = None) -> None:
        raise error("of a callback")

    with Pair() as pair:
        for name in CALLBACK_OF.values():
            setattr(pair.scp, name, fail)
        assoc = pair.established()
        acceptor = acceptor_of(pair)
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()
        assert assoc.is_released
        ended(acceptor)
        assoc = pair.established()
        acceptor = acceptor_of(pair)
        assoc.abort()
        ended(acceptor)
        assert pair.scp.active_associations == []
    logged = [text for text in caplog.messages if f" raised {error.__name__} at " in text]
    assert len(logged) == 6
    assert "of a callback" not in caplog.text


# The table


def test_every_callback_of_the_table_is_one_of_the_class() -> None:
    names = set(CALLBACK_OF.values())
    ours = {name for name in vars(Callbacks) if name.startswith("on_")}
    assert names <= ours
    never_called = {
        "on_c_find_cancel",
        "on_c_get_cancel",
        "on_c_move_cancel",
        "on_receive_connection",
        "on_make_connection",
    }
    assert ours - names == never_called


@pytest.mark.parametrize(
    "name",
    [
        "on_c_store", "on_c_find", "on_c_get", "on_c_move", "on_n_action", "on_n_create",
        "on_n_delete", "on_n_event_report", "on_n_get", "on_n_set", "on_async_ops_window",
        "on_user_identity", "on_c_find_cancel", "on_receive_connection",
    ],
)  # fmt: skip
def test_default_of_most_is_not_implemented(name: str) -> None:
    callback = getattr(AE(), name)
    arguments = [None] * (callback.__code__.co_argcount - 1)
    with pytest.raises(NotImplementedError):
        callback(*arguments)


def test_defaults_of_the_others() -> None:
    ae = AE()
    assert ae.on_c_echo(None, None) == 0x0000
    assert ae.on_sop_class_common_extended({"1.2": None}) == {}
    assert ae.on_sop_class_extended({"1.2": b""}) is None
    for event, name in CALLBACK_OF.items():
        assert event.is_intervention or getattr(ae, name)(None) is None


def test_a_subclass_may_call_the_default() -> None:
    class Ours(AE):
        def on_c_store(self, dataset: Any, context: Any, info: Any) -> Any:
            return super().on_c_store(dataset, context, info)

    with Pair(Ours("SCP")) as pair:
        assoc = pair.established()
        assert assoc.send_c_store(ct()).Status == 0xC211
        assoc.release()


def primitive_event(event: evt.EventType, request: Primitive, ae: AE) -> evt.Event:
    from pynetdicom.presentation import PresentationContext

    assoc = Association(ae, "acceptor")
    assoc.requestor.ae_title, assoc.acceptor.ae_title = "SCU", "SCP"
    context = PresentationContext("1.2.840.10008.5.1.1.40", [IMPLICIT], 1)
    return evt.Event(assoc, event, {"request": request, "_context": context})


def test_n_service_callbacks_are_called_with_the_signatures_of_their_generation() -> None:
    from pynetdicom.dimse import primitives as dimse

    encoded = InMemory(b"\x10\x00\x10\x00\x04\x00\x00\x00A^B ", IMPLICIT)
    where: dict[str, Any] = {"RequestedSOPClassUID": "1.2", "RequestedSOPInstanceUID": "1.2.3"}
    affected: dict[str, Any] = {"AffectedSOPClassUID": "1.2", "AffectedSOPInstanceUID": "1.2.3"}
    requests: list[tuple[evt.EventType, str, type[Primitive], dict[str, Any]]] = [
        (
            evt.EVT_N_GET,
            "on_n_get",
            dimse.N_GET,
            {"AttributeIdentifierList": [0x00100010], **where},
        ),
        (evt.EVT_N_SET, "on_n_set", dimse.N_SET, {"data_set": encoded, **where}),
        (
            evt.EVT_N_ACTION,
            "on_n_action",
            dimse.N_ACTION,
            {"ActionTypeID": 1, "data_set": encoded, **where},
        ),
        (evt.EVT_N_DELETE, "on_n_delete", dimse.N_DELETE, where),
        (evt.EVT_N_CREATE, "on_n_create", dimse.N_CREATE, {"data_set": encoded, **affected}),
        (
            evt.EVT_N_EVENT_REPORT,
            "on_n_event_report",
            dimse.N_EVENT_REPORT,
            {"EventTypeID": 2, "data_set": encoded, **affected},
        ),
    ]
    types = {"on_n_action": {"action_type": 1}, "on_n_event_report": {"event_type": 2}}
    for event, name, operation, parameters in requests:
        rq = operation(MessageID=1, **parameters)
        ae = AE()
        calls: list[Any] = []
        setattr(ae, name, lambda *args, calls=calls: calls.append(args) or (0x0000, None))
        assert evt.ask(primitive_event(event, rq, ae)) == (0x0000, None)
        (args,) = calls
        *first, context, info = args
        assert context.abstract_syntax == "1.2.840.10008.5.1.1.40"
        assert info["parameters"] == {
            "message_id": 1,
            "requested_sop_class_uid": "1.2",
            "requested_sop_instance_uid": "1.2.3",
            **types.get(name, {}),
        }
        assert info["requestor"].keys() == SIDE
        if name == "on_n_get":
            assert first == [[0x00100010]]
        elif name == "on_n_delete":
            assert first == []
        else:
            assert first[0].PatientName == "A^B"


def test_c_service_callbacks_are_called_with_the_signatures_of_their_generation() -> None:
    from pynetdicom.dimse import primitives as dimse

    encoded = InMemory(b"\x10\x00\x10\x00\x04\x00\x00\x00A^B ", IMPLICIT)
    common: dict[str, Any] = {
        "MessageID": 9, "AffectedSOPClassUID": "1.2", "Priority": 2, "data_set": encoded
    }  # fmt: skip
    requests: list[tuple[evt.EventType, str, Primitive]] = [
        (evt.EVT_C_FIND, "on_c_find", dimse.C_FIND(**common)),
        (evt.EVT_C_GET, "on_c_get", dimse.C_GET(**common)),
        (evt.EVT_C_MOVE, "on_c_move", dimse.C_MOVE(MoveDestination="THERE", **common)),
    ]
    for event, name, rq in requests:
        ae = AE()
        calls: list[Any] = []
        setattr(ae, name, lambda *args, calls=calls: calls.append(args))
        evt.ask(primitive_event(event, rq, ae))
        (args,) = calls
        identifier, *destination, _, info = args
        assert identifier.PatientName == "A^B"
        assert destination == ([padded("THERE")] if name == "on_c_move" else [])
        assert info["parameters"] == {"message_id": 9, "priority": 2}
        assert info["cancelled"](9) is False


def test_events_without_a_callback_have_no_default() -> None:
    with pytest.raises(ValueError):
        evt.get_default_handler(evt.EVT_CONN_OPEN)
    assert evt.get_default_handler(evt.EVT_C_ECHO) is evt.get_default_handler(evt.EVT_C_STORE)


def test_echo_without_a_request_of_its_own_is_not_asked_for_a_data_set() -> None:
    event = primitive_event(
        evt.EVT_C_ECHO, C_ECHO(MessageID=1, AffectedSOPClassUID=VERIFICATION), AE()
    )
    assert evt.get_default_handler(evt.EVT_C_ECHO)(event) == 0x0000
