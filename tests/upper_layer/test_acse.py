from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynetdicom.upper_layer.acse import (
    accept,
    check_request,
    conclude,
    maximum_length_in,
    request,
    roles_in,
)
from pynetdicom.upper_layer.contexts import PresentationContext
from pynetdicom.upper_layer.fields import UnknownItem
from pynetdicom.upper_layer.items import (
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    PresentationContextAC,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.upper_layer.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ, decode_pdu

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG = "1.2.840.10008.1.2.4.50"
ANNOUNCED = {
    "maximum_length": 16382,
    "implementation_class_uid": "1.2.3",
    "implementation_version_name": "NAME_1",
}


def cx(uid=CT, syntaxes=(IMPLICIT, EXPLICIT), context_id=None, roles=(None, None)):
    context = PresentationContext(uid, syntaxes, context_id)
    context.scu_role, context.scp_role = roles
    return context


def rq(*contexts, ext_neg=()):
    return request(
        called_ae_title="SCP",
        calling_ae_title="SCU",
        contexts=contexts or [cx()],
        ext_neg=ext_neg,
        **ANNOUNCED,
    )


def role(uid, scu=False, scp=False):
    return SCP_SCU_RoleSelectionNegotiation(uid, scu, scp)


class TestRequest:
    def test_what_is_sent(self):
        pdu = rq(cx(CT), cx(MR, [JPEG]), ext_neg=[role(MR, scp=True)])
        assert decode_pdu(pdu.encode()) == pdu
        assert (pdu.protocol_version, pdu.called_ae_title, pdu.calling_ae_title) == (
            1,
            "SCP",
            "SCU",
        )
        assert pdu.application_context_name == "1.2.840.10008.3.1.1.1"
        assert [
            (one.context_id, one.abstract_syntax, one.transfer_syntaxes)
            for one in pdu.presentation_contexts
        ] == [(1, CT, [IMPLICIT, EXPLICIT]), (3, MR, [JPEG])]
        assert pdu.user_information == [
            MaximumLengthNotification(16382),
            ImplementationClassUIDNotification("1.2.3"),
            role(MR, scp=True),
            ImplementationVersionNameNotification("NAME_1"),
        ]

    def test_no_version_name(self):
        pdu = request(
            called_ae_title="SCP",
            calling_ae_title="SCU",
            contexts=[cx()],
            maximum_length=0,
            implementation_class_uid="1.2.3",
            implementation_version_name=None,
        )
        assert pdu.user_information == [
            MaximumLengthNotification(0),
            ImplementationClassUIDNotification("1.2.3"),
        ]

    def test_given_ids_are_kept(self):
        pdu = rq(cx(), cx(MR, context_id=1), cx(GET))
        assert [one.context_id for one in pdu.presentation_contexts] == [3, 1, 5]

    def test_128_contexts(self):
        pdu = rq(*[cx() for _ in range(128)])
        assert [one.context_id for one in pdu.presentation_contexts] == list(range(1, 256, 2))

    @pytest.mark.parametrize(
        "contexts",
        [
            [cx() for _ in range(129)],
            [cx(context_id=1), cx(context_id=1)],
            [cx(syntaxes=())],
            [PresentationContext()],
        ],
    )
    def test_wrong_contexts(self, contexts):
        with pytest.raises(ValueError):
            rq(*contexts)

    def test_no_contexts(self):
        with pytest.raises(ValueError, match="1 to 128"):
            request(called_ae_title="A", calling_ae_title="B", contexts=[], **ANNOUNCED)

    @pytest.mark.parametrize("item", [1, MaximumLengthNotification(), UnknownItem(1, b"")])
    def test_wrong_item(self, item):
        with pytest.raises(TypeError, match="extended negotiation item"):
            rq(ext_neg=[item])

    def test_one_role_item_for_a_sop_class(self):
        """PS3.7 D.3.3.4: it holds for all contexts of the class."""
        items = [role(CT, scp=True), role(MR, scp=True), role(CT, scp=True)]
        pdu = rq(cx(CT), cx(CT, [JPEG]), cx(MR), ext_neg=items)
        sent = [item for item in pdu.user_information if isinstance(item, type(items[0]))]
        assert sent == [role(CT, scp=True), role(MR, scp=True)]
        with pytest.raises(ValueError, match="different roles are proposed for CTImageStorage"):
            rq(cx(CT), ext_neg=[role(CT, scp=True), role(CT, scu=True, scp=True)])


class TestCheckRequest:
    """The faults: the rows that end in an A-ASSOCIATE-RJ."""

    def check(self, pdu, **options):
        rj = check_request(pdu, **{"ae_title": "SCP", **options})
        return rj and (rj.result, rj.source, rj.reason)

    def test_nothing_wrong(self):
        assert self.check(rq()) is None
        assert self.check(rq(), require_called_aet=True, require_calling_aet=["X", "SCU"]) is None
        assert self.check(rq(), ae_title=" SCP ", require_called_aet=True) is None

    @pytest.mark.parametrize("name", ["", "1.2.840.10008.3.1.1.2"])
    def test_application_context(self, name):
        pdu = rq()
        pdu.application_context_name = name
        assert self.check(pdu) == (1, 1, 2)

    def test_called_ae_title(self):
        assert self.check(rq(), ae_title="OTHER", require_called_aet=True) == (1, 1, 7)
        assert self.check(rq(), ae_title="OTHER") is None

    def test_calling_ae_title(self):
        assert self.check(rq(), require_calling_aet=["OTHER"]) == (1, 1, 3)


class TestAccept:
    def test_what_is_sent(self):
        pdu = rq(cx(CT), cx(MR, [JPEG]), cx(GET))
        ac, contexts = accept(pdu, [cx(CT, [EXPLICIT]), cx(MR, [IMPLICIT])], **ANNOUNCED)
        assert decode_pdu(ac.encode()) == ac
        assert (ac.called_ae_title, ac.calling_ae_title) == ("SCP", "SCU")
        assert ac.presentation_contexts == [
            PresentationContextAC(1, 0, EXPLICIT),
            PresentationContextAC(3, 4, JPEG),
            PresentationContextAC(5, 3, IMPLICIT),
        ]
        assert [one.result for one in contexts] == [0, 4, 3]
        assert ac.user_information == [
            MaximumLengthNotification(16382),
            ImplementationClassUIDNotification("1.2.3"),
            ImplementationVersionNameNotification("NAME_1"),
        ]

    def test_titles_are_echoed_as_they_came(self):
        pdu = rq()
        pdu.calling_ae_title = "A\x1b\\\xe4"
        ac, _ = accept(pdu, [cx()], **ANNOUNCED)
        assert ac.encode()[10:42] == pdu.encode()[10:42]

    def test_items_of_the_caller(self):
        answer = SOPClassExtendedNegotiation(CT, b"\x01")
        identity = UserIdentityNegotiation(server_response=b"ok")
        pdu = rq(cx(), ext_neg=[role(CT, scu=True, scp=True)])
        ac, _ = accept(pdu, [cx(roles=(True, True))], user_items=[identity, answer], **ANNOUNCED)
        assert ac.user_information[2:] == [
            role(CT, True, True),
            ImplementationVersionNameNotification("NAME_1"),
            answer,
            identity,
        ]

    @pytest.mark.parametrize(
        ("unrestricted", "results"),
        [(None, [3, 4]), (lambda uid: True, [0, 0]), (lambda uid: uid != CT, [0, 4])],
    )
    def test_unrestricted(self, unrestricted, results):
        pdu = rq(cx("1.2.3.4", [JPEG]), cx(CT, [JPEG]))
        _, contexts = accept(pdu, [cx(CT)], unrestricted=unrestricted, **ANNOUNCED)
        assert [one.result for one in contexts] == results


class TestConclude:
    """The faults, as requestor."""

    def conclude(self, answers, pdu=None, items=()):
        ac = A_ASSOCIATE_AC(presentation_contexts=answers, user_information=list(items))
        return conclude(pdu or rq(cx(CT), cx(MR)), decode_pdu(ac.encode()))

    def ids(self, conclusion):
        return (
            [one.context_id for one in conclusion.accepted],
            [one.context_id for one in conclusion.rejected],
        )

    def test_accepted(self):
        conclusion = self.conclude(
            [PresentationContextAC(3, 0, EXPLICIT), PresentationContextAC(1, 4, "")]
        )
        assert self.ids(conclusion) == ([3], [1])
        assert conclusion.notes == []
        (one,) = conclusion.accepted
        assert (one.abstract_uid, one.transfer_uids, one.result) == (MR, [EXPLICIT], 0)
        assert (one.as_scu, one.as_scp) == (True, False)
        assert conclusion.rejected[0].result == 4

    @pytest.mark.parametrize(
        ("answers", "note"),
        [
            ([], "1 counts as rejected: it was not answered"),
            ([PresentationContextAC(1, 0, JPEG)], "not proposed"),
            ([PresentationContextAC(1, 0, "")], "not proposed"),
            ([PresentationContextAC(1, 0, IMPLICIT)] * 2, "more than once"),
        ],
    )
    def test_counts_as_rejected(self, answers, note):
        conclusion = self.conclude([*answers, PresentationContextAC(3, 0, IMPLICIT)])
        assert self.ids(conclusion) == ([3], [1])
        assert note in conclusion.notes[0]
        assert len(conclusion.notes) == 1

    def test_accepted_with_several_transfer_syntaxes(self):
        answer = PresentationContextAC(1, 0, IMPLICIT)
        answer.unknown_items.append(UnknownItem(0x40, EXPLICIT.encode()))
        conclusion = self.conclude([answer, PresentationContextAC(3, 0, IMPLICIT)])
        assert self.ids(conclusion) == ([3], [1])

    @pytest.mark.parametrize("context_id", [0, 2, 5, 255])
    def test_id_that_was_not_proposed(self, context_id):
        answers = [PresentationContextAC(one, 0, IMPLICIT) for one in (1, 3, context_id)]
        conclusion = self.conclude(answers)
        assert self.ids(conclusion) == ([1, 3], [])
        assert conclusion.notes == [f"presentation context {context_id} was not proposed: ignored"]

    @pytest.mark.parametrize("result", [1, 2, 3, 4, 5, 255])
    def test_rejected_with_the_result_as_it_came(self, result):
        conclusion = self.conclude(
            [PresentationContextAC(1, result, ""), PresentationContextAC(3, result, JPEG)]
        )
        assert [one.result for one in conclusion.rejected] == [result] * 2
        assert conclusion.notes == []

    def test_items_that_were_not_proposed(self):
        conclusion = self.conclude(
            [PresentationContextAC(one, 0, IMPLICIT) for one in (1, 3)],
            items=[
                role(CT, scu=False, scp=True),
                AsynchronousOperationsWindowNegotiation(9, 9),
                UserIdentityNegotiation(server_response=b"x"),
            ],
        )
        assert [(one.as_scu, one.as_scp) for one in conclusion.accepted] == [(True, False)] * 2
        assert len(conclusion.notes) == 3
        assert all("ignored" in note for note in conclusion.notes)

    def test_both_roles_refused(self):
        pdu = rq(cx(CT), ext_neg=[role(CT, scp=True)])
        conclusion = self.conclude(
            [PresentationContextAC(1, 0, IMPLICIT)], pdu, [role(CT, scu=True)]
        )
        (one,) = conclusion.accepted
        assert (one.as_scu, one.as_scp) == (False, False)
        assert "both roles were refused" in conclusion.notes[0]


class TestBothSides:
    def test_roles_for_c_get(self):
        pdu = rq(
            cx(GET),
            cx(CT),
            cx(CT, [JPEG]),
            cx(MR),
            ext_neg=[role(CT, scp=True), role(MR, scp=True)],
        )
        supported = [cx(GET), cx(CT, [IMPLICIT, JPEG], roles=(True, True)), cx(MR)]
        ac, acceptor = accept(decode_pdu(pdu.encode()), supported, **ANNOUNCED)
        requestor = conclude(pdu, decode_pdu(ac.encode())).accepted
        assert [(one.as_scu, one.as_scp) for one in requestor] == [
            (True, False),
            (False, True),
            (False, True),
            (True, False),
        ]
        assert [(one.as_scu, one.as_scp) for one in acceptor] == [
            (False, True),
            (True, False),
            (True, False),
            (False, True),
        ]
        assert roles_in(ac) == {CT: (False, True)}

    uids = st.sampled_from([CT, MR, GET, "1.2.3"])
    syntaxes = st.lists(
        st.sampled_from([IMPLICIT, EXPLICIT, JPEG]), min_size=1, max_size=3, unique=True
    )
    booleans = st.booleans()

    @given(
        st.lists(st.builds(cx, uids, syntaxes), min_size=1, max_size=6),
        st.lists(
            st.builds(
                cx,
                uids,
                syntaxes,
                roles=st.one_of(st.just((None, None)), st.tuples(booleans, booleans)),
            ),
            max_size=4,
            unique_by=lambda one: one.abstract_uid,
        ),
        st.lists(
            st.builds(role, uids, booleans, booleans),
            max_size=3,
            unique_by=lambda one: one.sop_class_uid,
        ),
        st.sampled_from([None, lambda uid: True, lambda uid: uid == MR]),
    )
    def test_they_agree(self, proposed, supported, roles, unrestricted):
        pdu = rq(*proposed, ext_neg=roles)
        ac, acceptor = accept(
            decode_pdu(pdu.encode()), supported, unrestricted=unrestricted, **ANNOUNCED
        )
        ours = conclude(pdu, decode_pdu(ac.encode()))
        assert ours.notes == []
        theirs = {one.context_id: one for one in acceptor}
        assert list(theirs) == [one.context_id for one in pdu.presentation_contexts]
        for one in [*ours.accepted, *ours.rejected]:
            other = theirs[one.context_id]
            assert (one.result, one.transfer_uids) == (other.result, other.transfer_uids) or (
                one.result == other.result != 0
            )
            assert (one.as_scu, one.as_scp) == (other.as_scp, other.as_scu)
            assert (one.as_scu or one.as_scp) == (one.result == 0)


def test_maximum_length():
    assert maximum_length_in(rq()) == 16382
    assert maximum_length_in(A_ASSOCIATE_RQ()) == 0
