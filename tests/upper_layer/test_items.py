from __future__ import annotations

import pytest

from pynetdicom.errors import PDUDecodeError
from pynetdicom.upper_layer.fields import Reader
from pynetdicom.upper_layer.items import (
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    PresentationContextAC,
    PresentationContextRQ,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

# item -> its bytes, by hand from the tables named
VECTORS = [
    # PS3.8 Table 9-13, 9-14, 9-15
    (
        PresentationContextRQ(1, "1.2.3", ["1.2", "1.2.4"]),
        "20 00 001D 01 00 00 00  30 00 0005 312E322E33  40 00 0003 312E32  40 00 0005 312E322E34",
    ),
    (PresentationContextRQ(255, "1.2", []), "20 00 000B FF 00 00 00  30 00 0003 312E32"),
    # PS3.8 Table 9-18, 9-19
    (PresentationContextAC(3, 0, "1.2"), "21 00 000B 03 00 00 00  40 00 0003 312E32"),
    (PresentationContextAC(5, 4, ""), "21 00 0004 05 00 04 00"),
    # PS3.8 Table D.1-1
    (MaximumLengthNotification(), "51 00 0004 00003FFE"),
    (MaximumLengthNotification(0), "51 00 0004 00000000"),
    # PS3.7 Table D.3-1, D.3-2
    (ImplementationClassUIDNotification("1.2.3"), "52 00 0005 312E322E33"),
    # PS3.7 Table D.3-3, D.3-4
    (ImplementationVersionNameNotification("AB_1"), "55 00 0004 41425F31"),
    # PS3.7 Table D.3-7, D.3-8
    (AsynchronousOperationsWindowNegotiation(5, 256), "53 00 0004 0005 0100"),
    # PS3.7 Table D.3-9, D.3-10
    (SCP_SCU_RoleSelectionNegotiation("1.2.3", False, True), "54 00 0009 0005 312E322E33 00 01"),
    # PS3.7 Table D.3-11, D.3-12
    (SOPClassExtendedNegotiation("1.2", b"\x01\x00\x01"), "56 00 0008 0003 312E32 010001"),
    # PS3.7 Table D.3-13
    (
        SOPClassCommonExtendedNegotiation("1.2", "1.3", ["1.4", "1.5.6"]),
        "57 00 0018 0003 312E32 0003 312E33 000C 0003 312E34 0005 312E352E36",
    ),
    (
        SOPClassCommonExtendedNegotiation("1.2", "1.3"),
        "57 00 000C 0003 312E32 0003 312E33 0000",
    ),
    # PS3.7 Table D.3-14
    (
        UserIdentityNegotiation(2, True, b"user", b"pw"),
        "58 00 000C 02 01 0004 75736572 0002 7077",
    ),
    (
        UserIdentityNegotiation(user_identity_type=1, primary_field=b"user"),
        "58 00 000A 01 00 0004 75736572 0000",
    ),
    # PS3.7 Table D.3-15
    (UserIdentityNegotiation(server_response=b"ok"), "59 00 0004 0002 6F6B"),
    (UserIdentityNegotiation(server_response=b""), "59 00 0002 0000"),
]


def read(cls, data):
    reader = Reader(memoryview(data), 4, "TEST")
    value = cls.read(reader, data[0])
    reader.leave(reader.end)
    return value


def vectors():
    return pytest.mark.parametrize(
        ("item", "encoded"),
        [(item, bytes.fromhex(encoded)) for item, encoded in VECTORS],
        ids=[type(item).__name__ for item, _ in VECTORS],
    )


class TestVectors:
    @vectors()
    def test_encode(self, item, encoded):
        assert item.encode() == encoded

    @vectors()
    def test_decode(self, item, encoded):
        assert read(type(item), encoded) == item

    @vectors()
    def test_cut_short(self, item, encoded):
        for end in range(4, len(encoded)):
            try:
                decoded = read(type(item), encoded[:end])
            except PDUDecodeError:
                continue
            # Where the end of the item is the end of the value, or items are optional.
            assert decoded.encode()[4:] == encoded[4:end]

    @vectors()
    def test_repr(self, item, encoded):
        assert repr(item).startswith(type(item).__name__)


class TestTolerated:
    def test_uid_padded_to_even_length(self):
        item = read(ImplementationClassUIDNotification, b"\x52\x00\x00\x06" + b"1.2.3\0")
        assert item == ImplementationClassUIDNotification("1.2.3")

    def test_reserved_bytes(self):
        data = bytes.fromhex("20 FF 001A 01 FF FF FF 30 FF 0003 312E32 40 FF 0003 312E32")
        assert read(PresentationContextRQ, data) == PresentationContextRQ(1, "1.2", ["1.2"])

    def test_bytes_behind_common_extended_are_reserved(self):
        data = bytes.fromhex("57 01 000E 0003 312E32 0003 312E33 0000 FFFF")
        assert read(SOPClassCommonExtendedNegotiation, data) == SOPClassCommonExtendedNegotiation(
            "1.2", "1.3"
        )

    def test_items_of_a_context_in_any_order(self):
        data = bytes.fromhex("20 00 0012 01 00 00 00 40 00 0003 312E32 30 00 0003 312E33")
        assert read(PresentationContextRQ, data) == PresentationContextRQ(1, "1.3", ["1.2"])

    @pytest.mark.parametrize("items", ["", "40000000", "4000000331 2E32 40000003 312E33"])
    def test_transfer_syntax_of_a_rejected_context(self, items):
        data = bytes.fromhex("21 00 0000 01 00 03 00" + items)
        item = read(PresentationContextAC, data)
        assert item.result == 3
        assert item.transfer_syntax in ("", "1.2")
        assert read(PresentationContextAC, item.encode()) == item

    def test_an_empty_transfer_syntax_in_front_of_another(self):
        item = read(
            PresentationContextAC, bytes.fromhex("21000000 01000000 40000000 4000000331 2E32")
        )
        assert item.transfer_syntax == "1.2"
        assert read(PresentationContextAC, item.encode()) == item


class TestRefused:
    @pytest.mark.parametrize("context_id", [0, 2, 254])
    def test_context_id_not_odd(self, context_id):
        data = PresentationContextRQ(context_id, "1.2", ["1.2"]).encode()
        with pytest.raises(PDUDecodeError, match="not odd") as caught:
            read(PresentationContextRQ, data)
        assert caught.value.reason == 6
        assert caught.value.offset == 4

    @pytest.mark.parametrize("items", ["", "30000000", "40000003312E32"])
    def test_no_abstract_syntax(self, items):
        with pytest.raises(PDUDecodeError, match="no abstract syntax"):
            read(PresentationContextRQ, bytes.fromhex("20 00 0000 01 00 00 00" + items))

    def test_two_abstract_syntaxes(self):
        with pytest.raises(PDUDecodeError, match="more than 1"):
            read(
                PresentationContextRQ,
                bytes.fromhex("20000000 01000000 30000003312E32 30000003312E33"),
            )

    @pytest.mark.parametrize(
        ("cls", "data"),
        [
            (MaximumLengthNotification, "51 00 0005 00003FFE00"),
            (MaximumLengthNotification, "51 00 0003 003FFE"),
            (AsynchronousOperationsWindowNegotiation, "53 00 0005 0001000100"),
            (SCP_SCU_RoleSelectionNegotiation, "54 00 0006 0005 312E 00 01"),
            (SCP_SCU_RoleSelectionNegotiation, "54 00 0005 0003 312E32"),
            (SOPClassExtendedNegotiation, "56 00 0002 0001"),
            (SOPClassCommonExtendedNegotiation, "57 00 000C 0003 312E32 0003 312E33 0001"),
            (SOPClassCommonExtendedNegotiation, "57 00 000F 0001 31 0001 32 0003 0003 312E32"),
            (UserIdentityNegotiation, "58 00 000A 01 00 0004 75736572 0001"),
            (UserIdentityNegotiation, "58 00 000B 01 00 0004 75736572 0000 00"),
            (UserIdentityNegotiation, "59 00 0004 0003 6F6B"),
        ],
    )
    def test_bad_length(self, cls, data):
        with pytest.raises(PDUDecodeError):
            read(cls, bytes.fromhex(data))


class TestPublicClasses:
    """Made without arguments, with the defaults scripts rely on; assignments are checked."""

    @pytest.mark.parametrize(
        ("cls", "values"),
        [
            (MaximumLengthNotification, {"maximum_length_received": 16382}),
            (ImplementationClassUIDNotification, {"implementation_class_uid": None}),
            (ImplementationVersionNameNotification, {"implementation_version_name": None}),
            (
                AsynchronousOperationsWindowNegotiation,
                {
                    "maximum_number_operations_invoked": 1,
                    "maximum_number_operations_performed": 1,
                },
            ),
            (
                SCP_SCU_RoleSelectionNegotiation,
                {"sop_class_uid": None, "scu_role": None, "scp_role": None},
            ),
            (
                SOPClassExtendedNegotiation,
                {"sop_class_uid": None, "service_class_application_information": None},
            ),
            (
                SOPClassCommonExtendedNegotiation,
                {
                    "sop_class_uid": None,
                    "service_class_uid": None,
                    "related_general_sop_class_identification": [],
                },
            ),
            (
                UserIdentityNegotiation,
                {
                    "user_identity_type": None,
                    "positive_response_requested": False,
                    "primary_field": None,
                    "secondary_field": b"",
                    "server_response": None,
                },
            ),
        ],
    )
    def test_without_arguments(self, cls, values):
        assert vars(cls()) == values

    @pytest.mark.parametrize(
        ("cls", "name", "value"),
        [
            (MaximumLengthNotification, "maximum_length_received", None),
            (MaximumLengthNotification, "maximum_length_received", "1"),
            (ImplementationClassUIDNotification, "implementation_class_uid", 1),
            (ImplementationVersionNameNotification, "implementation_version_name", 1),
            (AsynchronousOperationsWindowNegotiation, "maximum_number_operations_invoked", "a"),
            (SCP_SCU_RoleSelectionNegotiation, "scu_role", 1),
            (SCP_SCU_RoleSelectionNegotiation, "scp_role", "a"),
            (SOPClassExtendedNegotiation, "service_class_application_information", "a"),
            (SOPClassCommonExtendedNegotiation, "related_general_sop_class_identification", "1.2"),
            (SOPClassCommonExtendedNegotiation, "related_general_sop_class_identification", [1]),
            (UserIdentityNegotiation, "user_identity_type", "1"),
            (UserIdentityNegotiation, "positive_response_requested", 1),
            (UserIdentityNegotiation, "primary_field", "a"),
            (UserIdentityNegotiation, "server_response", "a"),
        ],
    )
    def test_wrong_type(self, cls, name, value):
        with pytest.raises(TypeError, match=name):
            setattr(cls(), name, value)

    @pytest.mark.parametrize(
        ("cls", "name", "value"),
        [
            (MaximumLengthNotification, "maximum_length_received", -1),
            (MaximumLengthNotification, "maximum_length_received", 1 << 32),
            (ImplementationClassUIDNotification, "implementation_class_uid", "1" * 65),
            (ImplementationVersionNameNotification, "implementation_version_name", "x" * 17),
            (AsynchronousOperationsWindowNegotiation, "maximum_number_operations_invoked", -1),
            (SCP_SCU_RoleSelectionNegotiation, "sop_class_uid", ""),
            (UserIdentityNegotiation, "user_identity_type", 0),
            (UserIdentityNegotiation, "user_identity_type", 6),
        ],
    )
    def test_wrong_value(self, cls, name, value):
        with pytest.raises(ValueError, match=name):
            setattr(cls(), name, value)

    def test_what_a_peer_sent_is_not_checked(self):
        data = bytes.fromhex("58 00 0007 09 00 0001 75 0000")
        assert read(UserIdentityNegotiation, data).user_identity_type == 9
        name = read(
            ImplementationVersionNameNotification, b"\x55\x00\x00\x14" + b"x" * 19 + b"\xe4"
        )
        assert name.implementation_version_name == "x" * 19 + "ä"

    def test_credentials_are_not_shown(self):
        item = UserIdentityNegotiation(2, False, b"user", b"passcode")
        assert "passcode" not in repr(item) + item.dump()
