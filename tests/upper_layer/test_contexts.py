from __future__ import annotations

import itertools
import subprocess
import sys

import pytest
from pydicom.uid import UID

from pynetdicom.upper_layer.contexts import (
    PresentationContext,
    PresentationContextTuple,
    negotiate,
    negotiate_as_acceptor,
    negotiate_as_requestor,
    negotiate_unrestricted,
)
from pynetdicom.upper_layer.items import SCP_SCU_RoleSelectionNegotiation

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG = "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.50"

ROLES = [None, *itertools.product([True, False], repeat=2)]


def context(uid=CT, syntaxes=(IMPLICIT, EXPLICIT), context_id=None, roles=None):
    cx = PresentationContext(uid, syntaxes, context_id)
    if roles is not None:
        cx.scu_role, cx.scp_role = roles
    return cx


class TestPresentationContext:
    def test_without_arguments(self):
        cx = PresentationContext()
        assert cx.context_id is None
        assert cx.abstract_syntax is None
        assert cx.transfer_syntax == []
        assert (cx.scu_role, cx.scp_role, cx.as_scu, cx.as_scp) == (None,) * 4
        assert cx.result is None
        assert cx.status == "Pending"

    def test_uids_are_shown_as_uid_and_kept_as_str(self):
        cx = context(UID(CT), [UID(IMPLICIT), b"1.2.3\0"])
        assert isinstance(cx.abstract_syntax, UID)
        assert cx.abstract_syntax.name == "CT Image Storage"
        assert [type(uid) for uid in cx.transfer_syntax] == [UID, UID]
        assert type(cx.abstract_uid) is str
        assert [type(uid) for uid in cx.transfer_uids] == [str, str]
        assert cx.transfer_uids == [IMPLICIT, "1.2.3"]

    def test_does_not_import_pydicom(self):
        code = (
            "import sys; from pynetdicom.upper_layer.contexts import PresentationContext as P;"
            "repr(P('1.2', ['1.3'], 1)), P() == P(), hash(P());"
            "assert 'pydicom' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    @pytest.mark.parametrize("value", [1, 3, 255, None])
    def test_context_id(self, value):
        assert context(context_id=value).context_id == value

    @pytest.mark.parametrize("value", [0, 2, 256, 257, -1])
    def test_context_id_wrong(self, value):
        with pytest.raises(ValueError, match="context_id"):
            PresentationContext().context_id = value

    def test_context_id_wrong_type(self):
        with pytest.raises(TypeError, match="context_id"):
            PresentationContext().context_id = "1"

    @pytest.mark.parametrize("value", [1, None])
    def test_abstract_syntax_wrong_type(self, value):
        with pytest.raises(TypeError, match="abstract_syntax"):
            PresentationContext().abstract_syntax = value

    @pytest.mark.parametrize("value", ["", "1" * 65])
    def test_abstract_syntax_wrong(self, value):
        with pytest.raises(ValueError, match="abstract_syntax"):
            PresentationContext().abstract_syntax = value

    @pytest.mark.parametrize("value", ["1.2", b"1.2", None, 1, [1]])
    def test_transfer_syntax_wrong_type(self, value):
        with pytest.raises(TypeError, match="transfer_syntax"):
            PresentationContext().transfer_syntax = value

    def test_transfer_syntaxes_are_kept_once(self):
        cx = context(syntaxes=[EXPLICIT, IMPLICIT, EXPLICIT])
        cx.add_transfer_syntax(IMPLICIT)
        cx.add_transfer_syntax(BIG)
        assert cx.transfer_syntax == [EXPLICIT, IMPLICIT, BIG]

    @pytest.mark.parametrize("name", ["scu_role", "scp_role"])
    def test_roles(self, name):
        cx = PresentationContext()
        for value in (True, False, None):
            setattr(cx, name, value)
            assert getattr(cx, name) is value
        with pytest.raises(TypeError, match=name):
            setattr(cx, name, 1)

    def test_status(self):
        cx = PresentationContext()
        texts = []
        for cx.result in range(6):
            texts.append(cx.status)
        assert texts == [
            "Accepted",
            "User Rejected",
            "Provider Rejected",
            "Abstract Syntax Not Supported",
            "Transfer Syntax(es) Not Supported",
            "Unknown",
        ]

    def test_as_tuple(self):
        assert context(context_id=5).as_tuple == PresentationContextTuple(5, CT, IMPLICIT)
        assert context(context_id=5).as_tuple.transfer_syntax.is_implicit_VR
        with pytest.raises(ValueError):
            PresentationContext().as_tuple

    def test_equality(self):
        assert context() == context()
        assert hash(context()) == hash(context())
        assert context() != context(MR)
        assert context() != context(context_id=1)
        assert context() != context(syntaxes=[EXPLICIT, IMPLICIT])
        assert context() != context(roles=(True, True))
        assert context() != 1

    @pytest.mark.parametrize("make", [PresentationContext, lambda: context().copy()])
    def test_a_misspelt_attribute_is_refused(self, make):
        cx = make()
        with pytest.raises(AttributeError, match="transfer_syntaxes"):
            cx.transfer_syntaxes = [JPEG]

    def test_what_a_script_puts_into_a_class_of_its_own(self):
        class Labelled(PresentationContext):
            pass

        cx = Labelled(CT)
        cx.label = "CT"
        assert cx.label == "CT"

    def test_copy(self):
        cx = context(context_id=1, roles=(True, False))
        other = cx.copy()
        assert other == cx
        other.add_transfer_syntax(BIG)
        assert other != cx

    def test_str(self):
        cx = context(context_id=1, roles=(True, False))
        cx.result = 0
        assert str(cx).splitlines() == [
            "ID: 1",
            "Abstract Syntax: CT Image Storage",
            "Transfer Syntax(es):",
            "    =Implicit VR Little Endian",
            "    =Explicit VR Little Endian",
            "SCP/SCU Role: False/True",
            "Result: Accepted",
        ]


class TestAsAcceptor:
    def outcome(self, rq, ac, roles=None):
        answers, _ = negotiate_as_acceptor(rq, ac, roles)
        return [(cx.context_id, cx.result, cx.transfer_uids) for cx in answers]

    def test_every_context_once_in_order(self):
        rq = [
            context(VERIFICATION, context_id=5),
            context(MR, [JPEG, BIG], context_id=1),
            context(CT, context_id=3),
            context(CT, [JPEG], context_id=255),
        ]
        assert self.outcome(rq, [context(CT), context(MR)]) == [
            (5, 3, [IMPLICIT]),
            (1, 4, [JPEG]),
            (3, 0, [IMPLICIT]),
            (255, 4, [JPEG]),
        ]

    def test_first_supported_that_is_proposed(self):
        rq = [context(CT, [IMPLICIT, EXPLICIT, BIG], 1)]
        assert self.outcome(rq, [context(CT, [JPEG, BIG, IMPLICIT])]) == [(1, 0, [BIG])]

    def test_no_transfer_syntax(self):
        rq = [PresentationContext.from_wire(1, CT, [])]
        assert self.outcome(rq, [context(CT)]) == [(1, 4, [IMPLICIT])]

    def test_nothing_supported(self):
        assert self.outcome([context(context_id=1)], []) == [(1, 3, [IMPLICIT])]

    def test_nothing_proposed(self):
        assert negotiate_as_acceptor([], [context()]) == ([], [])

    def test_default_roles(self):
        answers, items = negotiate_as_acceptor([context(context_id=1)], [context()])
        assert (answers[0].as_scu, answers[0].as_scp) == (False, True)
        assert items == []

    @pytest.mark.parametrize("offered", ROLES)
    @pytest.mark.parametrize("allowed", ROLES)
    def test_roles(self, offered, allowed):
        """PS3.7 D.3.3.4: what both want, or the defaults where one of them did not say."""
        answers, items = negotiate_as_acceptor(
            [context(context_id=1)],
            [context(roles=allowed)],
            {} if offered is None else {CT: offered},
        )
        answer = answers[0]
        if offered is None or allowed is None:
            assert (answer.result, answer.as_scu, answer.as_scp) == (0, False, True)
            assert items == []
            return
        scu, scp = offered[0] and allowed[0], offered[1] and allowed[1]
        assert (answer.as_scu, answer.as_scp) == (scp, scu)
        if scu or scp:
            assert answer.result == 0
            assert items == [SCP_SCU_RoleSelectionNegotiation(CT, scu, scp)]
        else:
            assert answer.result == 1
            assert items == []

    def test_one_role_item_for_several_contexts(self):
        rq = [context(CT, [IMPLICIT], 1), context(CT, [EXPLICIT], 3), context(MR, context_id=5)]
        ac = [context(CT, roles=(True, True)), context(MR)]
        answers, items = negotiate_as_acceptor(rq, ac, {CT: (False, True), MR: (False, True)})
        assert items == [SCP_SCU_RoleSelectionNegotiation(CT, False, True)]
        assert [(cx.as_scu, cx.as_scp) for cx in answers] == [
            (True, False),
            (True, False),
            (False, True),
        ]

    def test_no_role_item_for_a_rejected_context(self):
        _, items = negotiate_as_acceptor(
            [context(CT, [JPEG], 1)], [context(CT, roles=(True, True))], {CT: (True, True)}
        )
        assert items == []

    def test_inputs_stay_as_they_are(self):
        rq, ac = context(context_id=1), context()
        before = rq.copy(), ac.copy()
        negotiate_as_acceptor([rq], [ac])
        assert (rq, ac) == before


class TestUnrestricted:
    def test_unknown_is_taken_as_storage(self):
        rq = [
            context("1.2.3.4", ["1.2.5", IMPLICIT], 1),
            context(VERIFICATION, context_id=3),
            context(CT, [JPEG], 5),
        ]
        answers, items = negotiate_unrestricted(rq, [context(VERIFICATION), context(CT)])
        assert [(cx.result, cx.transfer_uids) for cx in answers] == [
            (0, ["1.2.5"]),
            (0, [IMPLICIT]),
            (4, [JPEG]),
        ]
        assert (answers[0].as_scu, answers[0].as_scp) == (False, True)
        assert items == []

    def test_roles_as_proposed(self):
        answers, items = negotiate_unrestricted(
            [context("1.2.3.4", context_id=1)], [], {"1.2.3.4": (False, True)}
        )
        assert (answers[0].result, answers[0].as_scu, answers[0].as_scp) == (0, True, False)
        assert items == [SCP_SCU_RoleSelectionNegotiation("1.2.3.4", False, True)]

    def test_only_what_is_a_uid(self):
        rq = [
            PresentationContext.from_wire(1, "1" * 65, [IMPLICIT]),
            PresentationContext.from_wire(3, "1.2.3", ["", "\xe4", "1.2.5"]),
            PresentationContext.from_wire(5, "1.2.3", []),
        ]
        answers, _ = negotiate_unrestricted(rq, [])
        assert [cx.result for cx in answers] == [3, 0, 4]
        assert answers[1].transfer_uids == ["1.2.5"]

    def test_callable_says_what(self):
        rq = [context(MR, [JPEG], 1), context(CT, [JPEG], 3), context(VERIFICATION, [JPEG], 5)]
        ac = [context(CT), context(VERIFICATION)]
        answers, _ = negotiate(rq, ac, {}, lambda uid: uid == CT)
        assert [cx.result for cx in answers] == [3, 0, 4]


class TestAsRequestor:
    def answer(self, rq, syntaxes=(IMPLICIT,), result=0):
        cx = PresentationContext.from_wire(rq.context_id, "", syntaxes)
        cx.result = result
        return cx

    def test_requires_contexts(self):
        with pytest.raises(ValueError, match="required"):
            negotiate_as_requestor([], [])

    def test_not_answered_is_rejected(self):
        answers = negotiate_as_requestor([context(context_id=1)], [])
        assert [(cx.result, cx.as_scu, cx.as_scp) for cx in answers] == [(2, False, False)]

    @pytest.mark.parametrize("result", [0, 1, 2, 3, 4, 5, 255])
    def test_result(self, result):
        rq = context(context_id=1)
        (cx,) = negotiate_as_requestor([rq], [self.answer(rq, result=result)])
        assert cx.result == result
        assert cx.abstract_uid == CT
        assert (cx.as_scu, cx.as_scp) == (result == 0, False)

    @pytest.mark.parametrize("proposed", ROLES)
    @pytest.mark.parametrize("answered", ROLES)
    def test_roles(self, proposed, answered):
        rq = context(context_id=1, roles=proposed)
        roles = {} if answered is None else {CT: answered}
        (cx,) = negotiate_as_requestor([rq], [self.answer(rq)], roles)
        if proposed is None or answered is None:
            assert (cx.as_scu, cx.as_scp) == (True, False)
        else:
            assert cx.as_scu is (proposed[0] and answered[0])
            assert cx.as_scp is (proposed[1] and answered[1])
