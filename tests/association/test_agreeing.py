"""association.agreeing: what is like an earlier negotiation is neither made again nor mixed up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pynetdicom import AE, build_context, build_role, evt, uids
from pynetdicom.association import agreeing
from pynetdicom.association.serving import may_be_storage
from pynetdicom.services import registry
from pynetdicom.services.classes import QueryRetrieveServiceClass
from pynetdicom.upper_layer import acse, items
from pynetdicom.upper_layer import pdu as pdus

VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
OURS: dict[str, Any] = {
    "maximum_length": 16382,
    "implementation_class_uid": "1.2.3",
    "implementation_version_name": "OURS",
}


def request(*uids: str, ext_neg: Any = (), **others: Any) -> pdus.A_ASSOCIATE_RQ:
    titles = {"called_ae_title": "SCP", "calling_ae_title": "SCU"}
    return agreeing.request([build_context(uid) for uid in uids], ext_neg, **titles | OURS | others)


def received(rq: pdus.A_ASSOCIATE_RQ) -> Any:
    return pdus.recognise(rq.encode())


def test_the_same_is_not_made_again() -> None:
    rq = request(VERIFICATION, CT)
    assert request(VERIFICATION, CT) is rq
    assert received(rq) is received(rq)
    supported = [build_context(VERIFICATION)]
    made = agreeing.answer(received(rq), supported, **OURS)
    assert agreeing.answer(received(rq), supported, **OURS) is made
    concluded = agreeing.conclude(rq, received(made[0]))
    assert agreeing.conclude(rq, received(made[0])) is concluded
    assert [len(concluded[0].accepted), len(concluded[0].rejected)] == [1, 1]


@pytest.mark.parametrize(
    "change",
    [
        {"called_ae_title": "OTHER"},
        {"calling_ae_title": "OTHER"},
        {"maximum_length": 0},
        {"implementation_class_uid": "1.2.4"},
        {"implementation_version_name": None},
        {"ext_neg": [build_role(CT, scp_role=True)]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_request(change: dict[str, Any]) -> None:
    rq, other = request(CT), request(CT, **change)
    assert other is not rq
    assert other.encode() != rq.encode()
    assert received(other) == pdus.decode_pdu(other.encode())


def test_contexts_that_have_changed() -> None:
    """Those of an AE may be changed at any time, each of them too."""
    context = build_context(CT)
    wire = agreeing.request([context], [], called_ae_title="", calling_ae_title="", **OURS).encode()
    context.add_transfer_syntax("1.2.840.10008.1.2.4.50")
    other = agreeing.request([context], [], called_ae_title="", calling_ae_title="", **OURS)
    assert other.encode() != wire
    assert len(other.presentation_contexts[0].transfer_syntaxes) == 5

    rq, supported = received(request(CT)), build_context(CT, "1.2.840.10008.1.2")
    first = agreeing.answer(rq, [supported], **OURS)[0]
    supported.transfer_syntax = ["1.2.840.10008.1.2.1"]
    second = agreeing.answer(rq, [supported], **OURS)[0]
    chosen = [ac.presentation_contexts[0].transfer_syntax for ac in (first, second)]
    assert chosen == ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"]


def test_items_that_change_later() -> None:
    role = build_role(CT, scp_role=True)
    rq = request(CT, ext_neg=[role])
    role.sop_class_uid = MR
    assert acse.roles_in(rq) == {CT: (False, True)}
    assert acse.roles_in(request(CT, ext_neg=[role])) == {MR: (False, True)}


def test_rules_are_asked_each_time() -> None:
    """Who may have what is not told by the request, nor what handlers answer."""
    rq = received(request(CT))
    for allowed in (True, False):
        permitted = lambda uid, is_scp: allowed  # noqa: B023, E731  # called at once
        _, agreed = agreeing.answer(rq, [build_context(CT)], permitted=permitted, **OURS)
        assert bool(agreed.accepted) is allowed


def test_storage_that_is_made_known_later(monkeypatch: pytest.MonkeyPatch) -> None:
    uid = "1.2.826.0.1.3680043.8.498.7.14"
    for table, key in ((registry._known, uid), (uids.registered, "LaterQuery")):
        monkeypatch.setitem(table, key, None)  # which is taken back
        del table[key]  # type: ignore[attr-defined]
    rq = received(request(uid))
    taken = agreeing.answer(rq, [], unrestricted=may_be_storage, **OURS)
    assert agreeing.answer(rq, [], unrestricted=may_be_storage, **OURS) is taken
    assert taken[1].accepted
    registry.register_uid(uid, "LaterQuery", QueryRetrieveServiceClass, "C-FIND")
    refused = agreeing.answer(rq, [], unrestricted=may_be_storage, **OURS)
    assert not refused[1].accepted


def test_a_passcode_is_not_kept() -> None:
    identity = items.UserIdentityNegotiation(2, False, b"user", b"passcode")
    rq = request(CT, ext_neg=[identity])
    assert request(CT, ext_neg=[identity]) is not rq
    assert received(rq) is not received(rq)
    assert received(rq).wire == b""
    kept = (*agreeing._requests.values(), *pdus._kept)
    assert not any(b"passcode" in (one if isinstance(one, bytes) else one.wire) for one in kept)


def test_what_is_kept_is_bounded() -> None:
    for number in range(1000):
        rq = request(CT, implementation_class_uid=f"1.2.{number}")
        ac, _ = agreeing.answer(received(rq), [build_context(CT)], **OURS)
        agreeing.conclude(rq, received(ac))
    for kept in (pdus._kept, agreeing._requests, agreeing._answers, agreeing._conclusions):
        assert 0 < len(kept) <= 64
    large = request(*[CT] * 128, called_ae_title="LARGE")
    assert len(large.encode()) < pdus._LONGEST  # as long as any usual one
    assert received(large) is received(large)
    huge = large.for_user()
    huge.user_information.append(items.SOPClassExtendedNegotiation(CT, bytes(pdus._LONGEST)))
    assert received(huge) is not received(huge)


# What programs do to what they are given is no matter of other associations


@pytest.fixture
def aes() -> Iterator[tuple[AE, AE]]:
    scp, scu = AE("SCP"), AE("SCU")
    scp.add_supported_context(CT)
    scu.add_requested_context(CT)
    yield scp, scu
    scu.shutdown()
    scp.shutdown()


def spoil(value: Any) -> None:
    """Change all that can be changed of it."""
    for name in ("user_information", "presentation_contexts"):
        getattr(value, name, []).clear()
    for name in ("called_ae_title", "calling_ae_title"):
        if hasattr(value, name):
            setattr(value, name, "SPOILT")


def test_what_handlers_are_given_is_their_own(aes: tuple[AE, AE]) -> None:
    scp, scu = aes
    seen: list[Any] = []

    def spoil_pdu(event: evt.Event) -> None:
        seen.append(event.pdu)
        spoil(event.pdu)

    def spoil_primitive(event: evt.Event) -> None:
        seen.append(event.primitive)
        for item in getattr(event.primitive, "user_information", []):
            vars(item).clear()

    handlers = [
        *((event, spoil_pdu) for event in (evt.EVT_PDU_RECV, evt.EVT_PDU_SENT)),
        *((event, spoil_primitive) for event in (evt.EVT_ACSE_RECV, evt.EVT_ACSE_SENT)),
    ]
    server = scp.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    for _ in range(3):
        with scu.associate(*server.server_address[:2], evt_handlers=handlers) as assoc:
            assert assoc.is_established
            assert assoc.acceptor.maximum_length == assoc.requestor.maximum_length == 16382
            (accepting,) = server.active_associations
            assert accepting.requestor.ae_title == "SCU"
            assert accepting.requestor.implementation_version_name
            for user in (assoc.requestor, accepting.requestor):
                user.user_information.clear()
                assert len(user.user_information) == 3
                assert [cx.abstract_syntax for cx in user.requested_contexts] == [CT]
    assert len({id(one) for one in seen}) == len(seen) > 20


def test_accepted_contexts_are_their_own(aes: tuple[AE, AE]) -> None:
    """What a program says of them counts, there and nowhere else."""
    scp, scu = aes
    scp.add_supported_context(CT, scu_role=True, scp_role=True)
    server = scp.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    for _ in range(3):
        with scu.associate(*server.server_address[:2]) as assoc:
            (context,) = assoc.accepted_contexts
            assert assoc.accepted_contexts[0] is context
            assert not context.as_scp
            context.as_scp = True
            assert assoc._link.negotiated.context_for(CT, as_scp=True) is context
