"""association.extended_negotiation: the five items, both ways, by events and by callbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.network import dul
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from tests.pair import DEADLINE
from tests.peers import CT, VERIFICATION, ct

MR = "1.2.840.10008.5.1.4.1.1.4"
GENERAL = "1.2.840.10008.5.1.4.1.1.88.22"


class Sides:
    """An acceptor, event handlers for it, and a requestor."""

    def __init__(self) -> None:
        self.scp = AE("SCP")
        self.scp.add_supported_context(VERIFICATION)
        self.scp.add_supported_context(CT)
        self.scu = AE("SCU")
        self.scu.add_requested_context(VERIFICATION)
        self.scu.add_requested_context(CT)
        self.acceptors: list[Any] = []

    def associate(self, items: list[Any], *handlers: tuple[Any, ...], **kwargs: Any) -> Any:
        server = self.scp.start_server(
            ("127.0.0.1", 0),
            block=False,
            evt_handlers=[
                (evt.EVT_CONN_OPEN, lambda event: self.acceptors.append(event.assoc)),
                *handlers,
            ],
        )
        assert server is not None
        return self.scu.associate("127.0.0.1", server.server_address[1], ext_neg=items, **kwargs)

    @property
    def acceptor(self) -> Any:
        """The acceptor's association, once it is established."""
        self.acceptors[-1]._lifetime.negotiated.wait()
        return self.acceptors[-1]


@pytest.fixture
def sides(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sides]:
    monkeypatch.setattr(dul, "LINGER", 0.2)
    made = Sides()
    yield made
    made.scu.shutdown()
    made.scp.shutdown()


def window(invoked: int = 5, performed: int = 7) -> AsynchronousOperationsWindowNegotiation:
    item = AsynchronousOperationsWindowNegotiation()
    item.maximum_number_operations_invoked = invoked
    item.maximum_number_operations_performed = performed
    return item


def extended(uid: str = CT, information: bytes = b"\x01\x02") -> SOPClassExtendedNegotiation:
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid = uid
    item.service_class_application_information = information
    return item


def common(uid: str = CT) -> SOPClassCommonExtendedNegotiation:
    item = SOPClassCommonExtendedNegotiation()
    item.sop_class_uid = uid
    item.service_class_uid = "1.2.840.10008.4.2"
    item.related_general_sop_class_identification = [GENERAL]
    return item


def identity(kind: int = 2, answered: bool = False) -> UserIdentityNegotiation:
    item = UserIdentityNegotiation()
    item.user_identity_type = kind
    item.positive_response_requested = answered
    item.primary_field = b"user"
    if kind == 2:
        item.secondary_field = b"secret"
    return item


def raises(*args: Any) -> Any:
    raise ValueError("no")


# The asynchronous operations window


def test_window_is_answered_within_the_offer(sides: Sides) -> None:
    seen: list[Any] = []

    def on_window(event: evt.Event) -> tuple[int, int]:
        seen.append((event.nr_invoked, event.nr_performed))
        return 4, 9

    assoc = sides.associate([window()], (evt.EVT_ASYNC_OPS, on_window))
    assert assoc.is_established
    assert seen == [(5, 7)]
    assert assoc.requestor.asynchronous_operations == (5, 7)
    assert assoc.acceptor.asynchronous_operations == (4, 7)
    assert len(assoc.acceptor.extended_negotiation) == 1
    assert sides.acceptor.acceptor.asynchronous_operations == (4, 7)


def test_window_by_callback(sides: Sides) -> None:
    seen: list[Any] = []
    sides.scp.on_async_ops_window = lambda *args: seen.append(args) or args  # type: ignore[method-assign]
    assoc = sides.associate([window(0, 3)])
    assert seen == [(0, 3)]
    assert len(assoc.acceptor.extended_negotiation) == 1


@pytest.mark.parametrize("handler", [None, raises])
def test_window_without_an_answer(sides: Sides, handler: Any) -> None:
    handlers = [(evt.EVT_ASYNC_OPS, handler)] if handler else []
    assoc = sides.associate([window()], *handlers)
    assert assoc.is_established
    assert assoc.acceptor.extended_negotiation == []


def test_window_that_nobody_proposed(sides: Sides) -> None:
    asked: list[Any] = []
    assoc = sides.associate([], (evt.EVT_ASYNC_OPS, asked.append))
    assert assoc.is_established
    assert asked == []


# SOP class extended negotiation


def test_extended(sides: Sides) -> None:
    seen: list[Any] = []

    def on_extended(event: evt.Event) -> dict[str, bytes]:
        seen.append(event.app_info)
        return {CT: b"\x00"}

    assoc = sides.associate(
        [extended(), extended(MR, b"\x03")], (evt.EVT_SOP_EXTENDED, on_extended)
    )
    assert seen == [{CT: b"\x01\x02", MR: b"\x03"}]
    assert assoc.acceptor.sop_class_extended == {CT: b"\x00"}
    assert assoc.requestor.sop_class_extended == {CT: b"\x01\x02", MR: b"\x03"}


def test_extended_by_callback(sides: Sides) -> None:
    sides.scp.on_sop_class_extended = lambda app_info: app_info  # type: ignore[method-assign]
    assoc = sides.associate([extended()])
    assert assoc.acceptor.sop_class_extended == {CT: b"\x01\x02"}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        "nonsense",
        {MR: b"\x01"},  # was not proposed
        {CT: "text"},
        {CT: None},
        {5: b"\x01"},
    ],
    ids=str,
)
def test_extended_without_an_answer(sides: Sides, answer: Any) -> None:
    assoc = sides.associate([extended()], (evt.EVT_SOP_EXTENDED, lambda event: answer))
    assert assoc.is_established
    assert assoc.acceptor.sop_class_extended == {}


def test_extended_handler_raises(sides: Sides) -> None:
    assoc = sides.associate([extended()], (evt.EVT_SOP_EXTENDED, raises))
    assert assoc.is_established
    assert assoc.acceptor.extended_negotiation == []


# SOP class common extended negotiation


def test_common_extended(sides: Sides) -> None:
    seen: list[Any] = []

    def on_common(event: evt.Event) -> dict[str, Any]:
        seen.append(event.items)
        return {CT: event.items[CT], GENERAL: event.items[CT]}

    assoc = sides.associate([common(), common(MR)], (evt.EVT_SOP_COMMON, on_common))
    assert assoc.is_established
    assert sorted(seen[0]) == sorted([CT, MR])
    item = seen[0][CT]
    assert item.service_class_uid == "1.2.840.10008.4.2"
    assert item.related_general_sop_class_identification == [GENERAL]
    assert list(sides.acceptor.acceptor.accepted_common_extended) == [CT]
    # There is no answer to it (PS3.7 D.3.3.6).
    assert assoc.acceptor.extended_negotiation == []
    with pytest.raises(RuntimeError):
        _ = assoc.requestor.accepted_common_extended


def test_common_extended_by_callback(sides: Sides) -> None:
    sides.scp.on_sop_class_common_extended = lambda items: items  # type: ignore[method-assign]
    sides.associate([common()])
    assert list(sides.acceptor.acceptor.accepted_common_extended) == [CT]
    assert list(sides.acceptor.requestor.sop_class_common_extended) == [CT]


@pytest.mark.parametrize("handler", [None, raises, lambda event: None])
def test_common_extended_without_an_answer(sides: Sides, handler: Any) -> None:
    handlers = [(evt.EVT_SOP_COMMON, handler)] if handler else []
    assert sides.associate([common()], *handlers).is_established
    assert sides.acceptor.acceptor.accepted_common_extended == {}


# User identity


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("answered", [False, True])
def test_user_identity_accepted(sides: Sides, kind: int, answered: bool) -> None:
    seen: list[Any] = []

    def on_identity(event: evt.Event) -> tuple[bool, bytes]:
        seen.append((event.user_id_type, event.primary_field, event.secondary_field))
        return True, b"welcome"

    assoc = sides.associate([identity(kind, answered)], (evt.EVT_USER_ID, on_identity))
    assert assoc.is_established
    assert seen == [(kind, b"user", b"secret" if kind == 2 else seen[0][2])]
    item = assoc.acceptor.user_identity
    assert (item.server_response if item else None) == (b"welcome" if answered else None)
    assert assoc.requestor.user_identity.primary_field == b"user"


@pytest.mark.parametrize(
    "answer",
    [
        lambda event: (False, None),
        lambda event: (False, b"x"),
        lambda event: (None, None),
        lambda event: None,
        lambda event: True,
        lambda event: (True, "text"),
        raises,
    ],
)
def test_user_identity_not_accepted(sides: Sides, answer: Callable[[Any], Any]) -> None:
    """Whoever cannot be checked is not let in either."""
    assoc = sides.associate([identity(answered=True)], (evt.EVT_USER_ID, answer))
    assert assoc.is_rejected
    assert assoc.ended is not None
    assert (assoc.ended.result, assoc.ended.source, assoc.ended.reason) == (1, 1, 1)


def test_user_identity_that_nobody_checks(sides: Sides) -> None:
    assoc = sides.associate([identity(answered=True)])
    assert assoc.is_established
    assert assoc.acceptor.user_identity is None


def test_user_identity_by_callback(sides: Sides) -> None:
    seen: list[Any] = []

    def on_user_identity(kind: int, primary: bytes, secondary: bytes, info: Any) -> Any:
        seen.append((kind, primary, secondary, info["requestor"]["ae_title"]))
        return primary == b"other", None

    sides.scp.on_user_identity = on_user_identity  # type: ignore[method-assign]
    assert sides.associate([identity()]).is_rejected
    assert seen == [(2, b"user", b"secret", b"SCU             ")]


def test_user_identity_callback_that_is_not_implemented(sides: Sides) -> None:
    def on_user_identity(*args: Any) -> Any:
        raise NotImplementedError

    sides.scp.on_user_identity = on_user_identity  # type: ignore[method-assign]
    assert sides.associate([identity()]).is_established


# A user identity that is required


def never(event: evt.Event) -> Any:
    raise AssertionError(f"{event.event} was asked")


def rejected(assoc: Any) -> bool:
    ended = assoc.ended
    return (ended.kind, ended.result, ended.source, ended.reason) == ("rejected", 1, 1, 1)


@pytest.mark.parametrize("handlers", [[], [(evt.EVT_USER_ID, never)]])
def test_none_is_given_where_one_is_required(
    sides: Sides, handlers: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    sides.scp.require_user_identity = True
    others = [
        (event, never)
        for event in (evt.EVT_ASYNC_OPS, evt.EVT_SOP_EXTENDED, evt.EVT_SOP_COMMON, evt.EVT_C_ECHO)
    ]
    with caplog.at_level("WARNING", "pynetdicom"):
        assoc = sides.associate([window(), extended(), common()], *handlers, *others)
    assert rejected(assoc)
    (line,) = [text for text in caplog.messages if "a user identity is required" in text]
    assert f"{assoc.requestor.ae_title} at 127.0.0.1:" in line  # who it was
    assert "was asked" not in caplog.text


def test_none_is_given_and_none_is_required(sides: Sides) -> None:
    """The handler is asked about identities, and about nothing else."""
    assert sides.scp.require_user_identity is False
    assert sides.associate([], (evt.EVT_USER_ID, never)).is_established


def test_one_is_given_where_one_is_required(sides: Sides) -> None:
    sides.scp.require_user_identity = True
    seen: list[bytes] = []

    def on_identity(event: evt.Event) -> tuple[bool, None]:
        seen.append(event.primary_field)
        return event.primary_field == b"user", None

    assert sides.associate([identity()], (evt.EVT_USER_ID, on_identity)).is_established
    other = identity()
    other.primary_field = b"other"
    assert rejected(sides.associate([other], (evt.EVT_USER_ID, on_identity)))
    assert seen == [b"user", b"other"]
    sides.scp.require_user_identity = False
    assert sides.associate([], (evt.EVT_USER_ID, on_identity)).is_established


def test_one_is_given_by_callback_where_one_is_required(sides: Sides) -> None:
    sides.scp.require_user_identity = True
    sides.scp.on_user_identity = lambda *args: (True, None)  # type: ignore[method-assign]
    assert sides.associate([identity()]).is_established
    assert rejected(sides.associate([]))


def test_one_is_required_and_nobody_checks_it(
    sides: Sides, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever cannot be checked is not let in."""
    sides.scp.require_user_identity = True
    assert rejected(sides.associate([identity()]))
    assert "there is no handler to check it" in caplog.text


def test_a_peer_turned_away_takes_no_place(sides: Sides) -> None:
    sides.scp.require_user_identity = True
    sides.scp.maximum_associations = 1
    for _ in range(3):
        assert rejected(sides.associate([]))
        sides.acceptors[-1].join(DEADLINE)
    assert sides.associate([identity()], (evt.EVT_USER_ID, lambda e: (True, None))).is_established


# Answers that are too long


@pytest.mark.parametrize("length", [65531, 65532, 65533, 65534, 65535, 65536, 100_000])
def test_a_response_that_is_too_long(
    sides: Sides, length: int, caplog: pytest.LogCaptureFixture
) -> None:
    """For itself, or for the User Information item that it is in: 65,535 bytes each."""
    answer = b"k" * length
    assoc = sides.associate(
        [identity(answered=True)], (evt.EVT_USER_ID, lambda event: (True, answer))
    )
    assert rejected(assoc)
    assert any(record.levelname == "ERROR" for record in caplog.records)
    assert "kkk" not in caplog.text
    # The next one comes in.
    assert sides.associate([identity()], (evt.EVT_USER_ID, lambda e: (True, None))).is_established


def test_a_response_that_is_as_long_as_it_may_be(sides: Sides) -> None:
    handler = (evt.EVT_USER_ID, lambda event: (True, b"k" * 65_000))
    assoc = sides.associate([identity(3, answered=True)], handler)
    assert assoc.is_established
    assert len(assoc.acceptor.user_identity.server_response) == 65_000


def test_a_long_response_that_was_not_asked_for(sides: Sides) -> None:
    handler = (evt.EVT_USER_ID, lambda event: (True, b"k" * 100_000))
    assert sides.associate([identity()], handler).is_established


def test_answers_that_are_too_long_together(sides: Sides, caplog: pytest.LogCaptureFixture) -> None:
    handler = (evt.EVT_SOP_EXTENDED, lambda event: dict.fromkeys(event.app_info, bytes(40_000)))
    assoc = sides.associate([extended(), extended(MR)], handler)
    assert rejected(assoc)
    assert "cannot be sent: user_information takes" in caplog.text


# Role selection


def store_back(sides: Sides) -> tuple[Any, list[Any]]:
    """The acceptor stores an image with the requestor; what that gave, and what was served."""
    served: list[Any] = []
    sides.scp.remove_supported_context(CT)
    sides.scp.add_supported_context(CT, scu_role=True, scp_role=True)

    def on_store(event: evt.Event) -> int:
        served.append((event.request.AffectedSOPInstanceUID, str(event.dataset.PatientName)))
        return 0xB007

    assoc = sides.associate(
        [build_role(CT, scu_role=True, scp_role=True)], evt_handlers=[(evt.EVT_C_STORE, on_store)]
    )
    assert assoc.is_established
    return assoc, served


def test_a_requestor_that_is_scp_is_served_by_the_acceptor(sides: Sides) -> None:
    assoc, served = store_back(sides)
    context = next(cx for cx in assoc.accepted_contexts if cx.abstract_syntax == CT)
    assert (context.as_scu, context.as_scp) == (True, True)
    status = sides.acceptor.send_c_store(ct())
    assert status.Status == 0xB007
    assert served == [("1.2.3.4", "SECRET^PATIENT")]
    assoc.release()
    assert assoc.is_released


def test_a_requestor_that_is_scp_by_callback(sides: Sides) -> None:
    sides.scu.on_c_store = lambda dataset, context, info: 0xB006  # type: ignore[method-assign]
    sides.scp.remove_supported_context(CT)
    sides.scp.add_supported_context(CT, scu_role=False, scp_role=True)
    assoc = sides.associate([build_role(CT, scp_role=True)])
    context = next(cx for cx in assoc.accepted_contexts if cx.abstract_syntax == CT)
    assert (context.as_scu, context.as_scp) == (False, True)
    assert sides.acceptor.send_c_store(ct()).Status == 0xB006
    # Not SCU any more: there is no context that it could store with.
    with pytest.raises(ValueError, match="no accepted"):
        assoc.send_c_store(ct())


def test_both_store_at_the_same_time(sides: Sides) -> None:
    """Neither has to wait for the other: what each asks for is answered while it asks."""
    served: list[int] = []

    def store_back_first(event: evt.Event) -> int:
        if len(served) < 5:
            served.append(event.assoc.send_c_store(ct()).Status)
        return 0

    sides.scp.remove_supported_context(CT)
    sides.scp.add_supported_context(CT, scu_role=True, scp_role=True)
    assoc = sides.associate(
        [build_role(CT, scu_role=True, scp_role=True)],
        (evt.EVT_C_STORE, store_back_first),
        evt_handlers=[(evt.EVT_C_STORE, lambda event: 0xB000)],
    )
    for _ in range(5):
        assert assoc.send_c_store(ct()).Status == 0
    assert served == [0xB000] * 5


def test_roles_that_are_not_proposed(sides: Sides) -> None:
    """Without role selection the acceptor is SCP: it cannot store with us."""
    sides.scp.remove_supported_context(CT)
    sides.scp.add_supported_context(CT, scu_role=True, scp_role=True)
    served: list[Any] = []
    assoc = sides.associate([], evt_handlers=[(evt.EVT_C_STORE, served.append)])
    assert assoc.is_established
    with pytest.raises(ValueError, match="no accepted"):
        sides.acceptor.send_c_store(ct())
    # It does so all the same.
    for context in sides.acceptor.accepted_contexts:
        context.as_scu = True
    assert sides.acceptor.send_c_store(ct()).Status == 0x0122
    assert served == []


def test_roles_that_are_not_accepted(sides: Sides) -> None:
    sides.scp.remove_supported_context(CT)
    sides.scp.add_supported_context(CT, scu_role=True, scp_role=False)
    assoc = sides.associate([build_role(CT, scu_role=True, scp_role=True)])
    context = next(cx for cx in assoc.accepted_contexts if cx.abstract_syntax == CT)
    assert (context.as_scu, context.as_scp) == (True, False)
    assert assoc.acceptor.role_selection[CT].scp_role is False


# All together


def test_all_five(sides: Sides) -> None:
    sides.scp.remove_supported_context(CT)
    sides.scp.add_supported_context(CT, scu_role=True, scp_role=True)
    items = [window(), extended(), common(), identity(answered=True), build_role(CT, True, True)]
    assoc = sides.associate(
        items,
        (evt.EVT_ASYNC_OPS, lambda event: (1, 1)),
        (evt.EVT_SOP_EXTENDED, lambda event: event.app_info),
        (evt.EVT_SOP_COMMON, lambda event: event.items),
        (evt.EVT_USER_ID, lambda event: (True, b"yes")),
    )
    assert assoc.is_established
    assert len(assoc.acceptor.extended_negotiation) == 4
    assert len(sides.acceptor.requestor.extended_negotiation) == 5
    assert assoc.acceptor.user_identity.server_response == b"yes"


def test_items_of_the_ae(sides: Sides) -> None:
    sides.scu.extended_negotiation = [extended()]
    assoc = sides.associate([], (evt.EVT_SOP_EXTENDED, lambda event: event.app_info))
    assert assoc.acceptor.sop_class_extended == {CT: b"\x01\x02"}


def test_a_handler_may_end_it(sides: Sides) -> None:
    """`EVT_REQUESTED` is not the only one that is asked before the answer."""
    assoc = sides.associate(
        [identity()], (evt.EVT_USER_ID, lambda event: (event.assoc.abort(), (True, None))[1])
    )
    assert assoc.is_aborted


def test_the_accepted_contexts_are_what_the_handler_of_requested_says(sides: Sides) -> None:
    def restrict(event: evt.Event) -> None:
        event.assoc.acceptor.supported_contexts = [build_context(VERIFICATION)]

    assoc = sides.associate([], (evt.EVT_REQUESTED, restrict))
    assert [cx.abstract_syntax for cx in assoc.accepted_contexts] == [VERIFICATION]
    assert [cx.abstract_syntax for cx in assoc.rejected_contexts] == [CT]
