from __future__ import annotations

from types import SimpleNamespace

import pytest

from pynetdicom import pdu_primitives
from pynetdicom.pdu_primitives import (
    A_ABORT,
    A_ASSOCIATE,
    A_P_ABORT,
    A_RELEASE,
    P_DATA,
    MaximumLengthNotification,
)
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.acse import accept, request
from pynetdicom.upper_layer.contexts import PresentationContext

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"
ANNOUNCED = {
    "maximum_length": 5000,
    "implementation_class_uid": "1.2.3",
    "implementation_version_name": "NAME_1",
}


def rq():
    return request(
        called_ae_title="SCP",
        calling_ae_title="SCU",
        contexts=[PresentationContext(CT, [IMPLICIT])],
        **ANNOUNCED,
    )


def test_every_name_is_there():
    made = [cls for cls in vars(pdu_primitives).values() if isinstance(cls, type)]
    assert len(made) == 13
    for cls in made:
        assert cls() is not None


class TestAssociate:
    def test_defaults(self):
        primitive = A_ASSOCIATE()
        assert vars(primitive) == {
            "application_context_name": None,
            "calling_ae_title": "DEFAULT",
            "called_ae_title": "DEFAULT",
            "user_information": [],
            "result": None,
            "result_source": None,
            "diagnostic": None,
            "calling_presentation_address": None,
            "called_presentation_address": None,
            "presentation_context_definition_list": [],
            "presentation_context_definition_results_list": [],
        }
        assert primitive.mode == "normal"
        assert primitive.maximum_length_received is None
        assert primitive.implementation_class_uid is None
        assert primitive.result_str == primitive.source_str == "(no value available)"
        assert primitive.reason_str == "(no value available)"

    def test_defaults_are_not_shared(self):
        A_ASSOCIATE().user_information.append(1)
        assert A_ASSOCIATE().user_information == []

    def test_from_request(self):
        primitive = A_ASSOCIATE.from_pdu(rq())
        assert primitive.application_context_name == "1.2.840.10008.3.1.1.1"
        assert (primitive.calling_ae_title, primitive.called_ae_title) == ("SCU", "SCP")
        assert primitive.result is None
        (context,) = primitive.presentation_context_definition_list
        assert (context.context_id, context.abstract_syntax) == (1, CT)
        assert primitive.presentation_context_definition_results_list == []
        assert primitive.maximum_length_received == 5000
        assert primitive.implementation_class_uid == "1.2.3"
        assert "SCU" in repr(primitive)

    def test_from_acceptance(self):
        pdu, _ = accept(rq(), [PresentationContext(CT, [IMPLICIT])], **ANNOUNCED)
        primitive = A_ASSOCIATE.from_pdu(pdu)
        assert primitive.result == 0
        assert primitive.result_str == "Accepted"
        assert primitive.responding_ae_title == "SCP"
        (context,) = primitive.presentation_context_definition_results_list
        assert (context.context_id, context.result) == (1, 0)

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ((1, 1, 7), "Rejected Permanent|Service User|Called AE title not recognised"),
            (
                (1, 2, 2),
                "Rejected Permanent|Service Provider (ACSE)|Protocol version not supported",
            ),
            (
                (2, 3, 2),
                "Rejected Transient|Service Provider (Presentation)|Local limit exceeded",
            ),
            ((9, 8, 7), "Unknown (9)|Unknown (8)|Unknown (7)"),
        ],
    )
    def test_from_rejection(self, values, words):
        primitive = A_ASSOCIATE.from_pdu(pdus.A_ASSOCIATE_RJ(*values))
        assert (primitive.result, primitive.result_source, primitive.diagnostic) == values
        said = (primitive.result_str, primitive.source_str, primitive.reason_str)
        assert "|".join(said) == words

    @pytest.mark.parametrize(
        ("name", "value", "kept"),
        [
            ("application_context_name", b"1.2", "1.2"),
            ("application_context_name", None, None),
            ("calling_ae_title", " A ", "A"),
            ("called_ae_title", b"A", "A"),
            ("result", 2, 2),
            ("result_source", 3, 3),
            ("diagnostic", 7, 7),
            ("user_information", [MaximumLengthNotification()], [MaximumLengthNotification()]),
            ("calling_presentation_address", None, None),
        ],
    )
    def test_assigned(self, name, value, kept):
        assert getattr(A_ASSOCIATE(**{name: value}), name) == kept

    def test_address(self):
        address = SimpleNamespace(address="::1", port=104)
        primitive = A_ASSOCIATE()
        primitive.called_presentation_address = address
        assert primitive.called_presentation_address is address

    @pytest.mark.parametrize(
        ("name", "value", "error"),
        [
            ("application_context_name", 1, TypeError),
            ("application_context_name", "1" * 65, ValueError),
            ("calling_ae_title", None, TypeError),
            ("calling_ae_title", "", ValueError),
            ("calling_ae_title", "x" * 17, ValueError),
            ("called_ae_title", "a\\b", ValueError),
            ("result", 3, ValueError),
            ("result_source", 4, ValueError),
            ("diagnostic", 99, ValueError),
            ("user_information", None, TypeError),
            ("user_information", [1], TypeError),
            ("presentation_context_definition_list", [1], TypeError),
            ("called_presentation_address", ("a", 1), TypeError),
            ("other", 1, AttributeError),
        ],
    )
    def test_wrong(self, name, value, error):
        with pytest.raises(error, match=name):
            setattr(A_ASSOCIATE(), name, value)

    def test_equality(self):
        assert A_ASSOCIATE.from_pdu(rq()) == A_ASSOCIATE.from_pdu(rq())
        assert A_ASSOCIATE() != A_ASSOCIATE(result=1)
        assert A_RELEASE() != A_ABORT()


class TestOthers:
    def test_release(self):
        assert A_RELEASE.from_pdu(pdus.A_RELEASE_RQ()).result is None
        assert A_RELEASE.from_pdu(pdus.A_RELEASE_RP()).result == "affirmative"
        with pytest.raises(ValueError, match="affirmative"):
            A_RELEASE(result="x")

    def test_abort(self):
        assert A_ABORT.from_pdu(pdus.A_ABORT(0, 0)) == A_ABORT(abort_source=0)
        assert A_ABORT.from_pdu(pdus.A_ABORT(2, 6)) == A_P_ABORT(provider_reason=6)
        # As it came, whatever it means.
        assert A_ABORT.from_pdu(pdus.A_ABORT(9, 9)).abort_source == 9
        assert A_ABORT.from_pdu(pdus.A_ABORT(2, 9)).provider_reason == 9
        with pytest.raises(ValueError, match="abort_source"):
            A_ABORT(abort_source=3)
        with pytest.raises(ValueError, match="provider_reason"):
            A_P_ABORT(provider_reason=3)

    def test_data(self):
        pdu = pdus.P_DATA_TF(pdvs=[pdus.PDV(1, 3, b"abc")])
        assert P_DATA.from_pdu(pdu).presentation_data_value_list == [[1, b"\x03abc"]]
        with pytest.raises(TypeError):
            P_DATA(presentation_data_value_list=None)
