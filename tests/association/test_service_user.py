from __future__ import annotations

from types import SimpleNamespace

import pytest
from pydicom.uid import UID

from pynetdicom.association.service_user import ServiceUser
from pynetdicom.upper_layer.acse import accept, request
from pynetdicom.upper_layer.contexts import PresentationContext
from pynetdicom.upper_layer.fields import UnknownItem
from pynetdicom.upper_layer.items import (
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"

WINDOW = AsynchronousOperationsWindowNegotiation(3, 4)
ROLE = SCP_SCU_RoleSelectionNegotiation(CT, True, True)
EXTENDED = SOPClassExtendedNegotiation(CT, b"\x01")
COMMON = SOPClassCommonExtendedNegotiation(CT, "1.2.3")
IDENTITY = UserIdentityNegotiation(1, False, b"user")
ITEMS = [WINDOW, ROLE, EXTENDED, COMMON, IDENTITY]


def context():
    return PresentationContext(CT, [IMPLICIT])


def rq(**changes):
    values = {
        "called_ae_title": "SCP",
        "calling_ae_title": "SCU",
        "contexts": [context()],
        "maximum_length": 5000,
        "implementation_class_uid": "1.2.3",
        "implementation_version_name": "NAME_1",
        "ext_neg": ITEMS,
    }
    return request(**values | changes)


def ac():
    supported = context()
    supported.scu_role = supported.scp_role = True
    return accept(
        rq(),
        [supported],
        maximum_length=0,
        implementation_class_uid="1.2.4",
        implementation_version_name=None,
        user_items=[EXTENDED],
    )[0]


@pytest.fixture
def requestor():
    return ServiceUser(None, "requestor")


@pytest.fixture
def acceptor():
    return ServiceUser(None, "acceptor")


class TestBefore:
    def test_mode(self, requestor, acceptor):
        assert (requestor.mode, requestor.is_requestor, requestor.is_acceptor) == (
            "requestor",
            True,
            False,
        )
        assert (acceptor.mode, acceptor.is_requestor, acceptor.is_acceptor) == (
            "acceptor",
            False,
            True,
        )
        with pytest.raises(ValueError, match="'mode'"):
            ServiceUser(None, "other")

    def test_defaults(self, requestor):
        assert requestor.writeable
        assert requestor.ae_title == ""
        assert requestor.maximum_length == 16382
        assert requestor.implementation_class_uid is None
        assert requestor.implementation_version_name is None
        assert requestor.requested_contexts == []
        assert requestor.extended_negotiation == []
        assert requestor.asynchronous_operations == (1, 1)
        assert requestor.role_selection == {}
        assert requestor.sop_class_extended == {}
        assert requestor.sop_class_common_extended == {}
        assert requestor.user_identity is None
        assert requestor.user_information == [MaximumLengthNotification()]

    def test_address(self, requestor):
        for name in ("address", "port"):
            with pytest.raises(ValueError, match="No address"):
                getattr(requestor, name)
            with pytest.raises(AttributeError):
                setattr(requestor, name, 1)
        requestor.address_info = SimpleNamespace(address="::1", port=104)
        assert (requestor.address, requestor.port) == ("::1", 104)

    def test_info(self, requestor):
        requestor.ae_title = "SCU"
        assert requestor.info == {
            "ae_title": "SCU",
            "address": None,
            "port": None,
            "mode": "requestor",
            "pdv_size": 16382,
        }
        requestor.address_info = SimpleNamespace(address="::1", port=104)
        assert (requestor.info["address"], requestor.info["port"]) == ("::1", 104)

    def test_what_is_to_be_said(self, requestor):
        requestor.maximum_length = 0
        requestor.implementation_class_uid = "1.2.3"
        requestor.implementation_version_name = "NAME"
        requestor.add_negotiation_item(ROLE)
        assert isinstance(requestor.implementation_class_uid, UID)
        assert requestor.user_information == [
            MaximumLengthNotification(0),
            ImplementationClassUIDNotification("1.2.3"),
            ImplementationVersionNameNotification("NAME"),
            ROLE,
        ]

    @pytest.mark.parametrize(
        ("name", "value", "error"),
        [
            ("maximum_length", -1, ValueError),
            ("maximum_length", None, TypeError),
            ("implementation_class_uid", "1" * 65, ValueError),
            ("implementation_class_uid", 1, TypeError),
            ("implementation_version_name", "x" * 17, ValueError),
            ("requested_contexts", [1], TypeError),
        ],
    )
    def test_wrong(self, requestor, name, value, error):
        with pytest.raises(error):
            setattr(requestor, name, value)

    def test_contexts(self, requestor, acceptor):
        requestor.requested_contexts = [context()]
        assert requestor.requested_contexts == [context()]
        assert requestor.get_contexts("requested") == [context()]
        acceptor.supported_contexts = [context()]
        assert acceptor.supported_contexts == [context()]
        assert acceptor.get_contexts("supported") == [context()]

    def test_contexts_of_the_other_side(self, requestor, acceptor):
        with pytest.raises(AttributeError, match="association acceptor"):
            requestor.supported_contexts = []
        with pytest.raises(AttributeError, match="association requestor"):
            acceptor.requested_contexts = []
        for user, kinds in (
            (requestor, ("supported", "pcdl", "pcdrl", "other")),
            (acceptor, ("requested", "supported", "pcdl", "pcdrl")),
        ):
            for kind in kinds:
                with pytest.raises(ValueError, match=kind):
                    user.get_contexts(kind)

    def test_items(self, requestor):
        for item in ITEMS:
            requestor.add_negotiation_item(item)
        assert requestor.extended_negotiation == ITEMS
        assert requestor.asynchronous_operations == (3, 4)
        assert requestor.role_selection == {CT: ROLE}
        assert requestor.sop_class_extended == {CT: b"\x01"}
        assert requestor.sop_class_common_extended == {CT: COMMON}
        assert requestor.user_identity is IDENTITY
        requestor.remove_negotiation_item(ROLE)
        requestor.remove_negotiation_item(ROLE)
        assert requestor.role_selection == {}
        requestor.reset_negotiation_items()
        assert requestor.extended_negotiation == []

    @pytest.mark.parametrize("item", [1, None, MaximumLengthNotification(), UnknownItem(1, b"")])
    def test_wrong_item(self, requestor, item):
        with pytest.raises(TypeError, match="extended negotiation item"):
            requestor.add_negotiation_item(item)
        with pytest.raises(TypeError, match="extended negotiation item"):
            requestor.remove_negotiation_item(item)

    def test_the_list_is_a_copy(self, requestor):
        requestor.extended_negotiation.append(ROLE)
        assert requestor.extended_negotiation == []
        with pytest.raises(AttributeError):
            requestor.extended_negotiation = []

    def test_accepted_common_extended(self, requestor, acceptor):
        assert acceptor.accepted_common_extended == {}
        acceptor.accepted_common_extended = {CT: COMMON}
        assert acceptor.accepted_common_extended == {CT: COMMON}
        with pytest.raises(RuntimeError, match="acceptor"):
            requestor.accepted_common_extended
        with pytest.raises(RuntimeError, match="acceptor"):
            requestor.accepted_common_extended = {}


class TestAfter:
    def test_requestor(self, requestor):
        requestor.load(rq())
        assert not requestor.writeable
        assert requestor.ae_title == "SCU"
        assert requestor.maximum_length == 5000
        assert requestor.info["pdv_size"] == 5000
        assert requestor.implementation_class_uid == "1.2.3"
        assert requestor.implementation_version_name == "NAME_1"
        assert requestor.extended_negotiation == ITEMS
        assert requestor.user_information == rq().user_information
        (proposed,) = requestor.requested_contexts
        assert (proposed.context_id, proposed.abstract_syntax) == (1, CT)
        assert requestor.get_contexts("pcdl") == [proposed]
        with pytest.raises(ValueError, match="requested"):
            requestor.get_contexts("requested")

    def test_own_contexts_stay(self, requestor):
        requestor.requested_contexts = [context()]
        requestor.load(rq())
        assert requestor.get_contexts("requested") == [context()]
        assert requestor.requested_contexts[0].context_id == 1

    def test_acceptor(self, acceptor):
        acceptor.load(ac())
        assert not acceptor.writeable
        assert acceptor.ae_title == "SCP"
        assert acceptor.maximum_length == 0
        assert acceptor.implementation_class_uid == "1.2.4"
        assert acceptor.implementation_version_name is None
        assert acceptor.role_selection == {CT: ROLE}
        assert acceptor.sop_class_extended == {CT: b"\x01"}
        (answer,) = acceptor.get_contexts("pcdrl")
        assert (answer.context_id, answer.result, answer.transfer_uids) == (1, 0, [IMPLICIT])
        assert acceptor.supported_contexts == [answer]

    def test_own_title_and_contexts_stay(self, acceptor):
        acceptor.ae_title = "OWN"
        acceptor.implementation_version_name = "NAME"
        acceptor.supported_contexts = [context()]
        acceptor.load(ac())
        assert acceptor.ae_title == "OWN"
        assert acceptor.implementation_version_name is None
        assert acceptor.supported_contexts == [context()]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("maximum_length", 1),
            ("implementation_class_uid", "1.2"),
            ("implementation_version_name", "A"),
            ("requested_contexts", []),
        ],
    )
    def test_read_only(self, requestor, name, value):
        requestor.load(rq())
        with pytest.raises(RuntimeError, match="after negotiation"):
            setattr(requestor, name, value)

    def test_items_are_read_only(self, requestor):
        requestor.load(rq())
        with pytest.raises(RuntimeError):
            requestor.add_negotiation_item(ROLE)
        with pytest.raises(RuntimeError):
            requestor.remove_negotiation_item(ROLE)
        with pytest.raises(RuntimeError):
            requestor.reset_negotiation_items()

    def test_a_peer_that_says_nothing(self, requestor):
        pdu = rq(ext_neg=())
        pdu.user_information = [UnknownItem(0x60, b"x")]
        requestor.load(pdu)
        assert requestor.maximum_length == 0
        assert requestor.implementation_class_uid is None
        assert requestor.implementation_version_name is None
        assert requestor.extended_negotiation == []
        assert requestor.user_information == [UnknownItem(0x60, b"x")]
