from __future__ import annotations

import cProfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynetdicom import _config
from pynetdicom.errors import PDUDecodeError
from pynetdicom.upper_layer.fields import UnknownItem
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
from pynetdicom.upper_layer.pdu import (
    A_ABORT,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_ASSOCIATE_RQ,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    P_DATA_TF,
    PDU_TYPES,
    PDV,
    decode_pdu,
)

TITLES = "414E592D534350" + "20" * 9 + "4543484F534355" + "20" * 9 + "00" * 32
APPLICATION = "10 00 0015 312E322E3834302E31303030382E332E312E312E31"
USER = [MaximumLengthNotification(), ImplementationClassUIDNotification("1.2")]
USER_BYTES = "50 00 000F 51 00 0004 00003FFE 52 00 0003 312E32"

# PDU -> its bytes, by hand from PS3.8 Table 9-11, 9-17, 9-21, 9-22, 9-24, 9-25, 9-26
VECTORS = [
    (
        A_ASSOCIATE_RQ(
            called_ae_title="ANY-SCP",
            calling_ae_title="ECHOSCU",
            presentation_contexts=[PresentationContextRQ(1, "1.2.3", ["1.2"])],
            user_information=USER,
        ),
        "01 00 00000088 0001 0000"
        + TITLES
        + APPLICATION
        + "20 00 0014 01000000 30 00 0005 312E322E33 40 00 0003 312E32"
        + USER_BYTES,
    ),
    (
        A_ASSOCIATE_AC(
            called_ae_title="ANY-SCP",
            calling_ae_title="ECHOSCU",
            presentation_contexts=[PresentationContextAC(1, 0, "1.2")],
            user_information=USER,
        ),
        "02 00 0000007F 0001 0000"
        + TITLES
        + APPLICATION
        + "21 00 000B 01000000 40 00 0003 312E32"
        + USER_BYTES,
    ),
    (A_ASSOCIATE_RJ(1, 2, 3), "03 00 00000004 00 01 02 03"),
    (
        P_DATA_TF(pdvs=[PDV(1, 3, b"abc"), PDV(3, 0, b"")]),
        "04 00 0000000F 00000005 01 03 616263 00000002 03 00",
    ),
    (A_RELEASE_RQ(), "05 00 00000004 00000000"),
    (A_RELEASE_RP(), "06 00 00000004 00000000"),
    (A_ABORT(2, 6), "07 00 00000004 00 00 02 06"),
]
MINIMAL_RQ = bytes.fromhex("01 00 00000044 0001 0000" + TITLES)


def vectors():
    return pytest.mark.parametrize(
        ("pdu", "encoded"),
        [(pdu, bytes.fromhex(encoded)) for pdu, encoded in VECTORS],
        ids=[pdu.name for pdu, _ in VECTORS],
    )


def with_items(*items: bytes) -> bytes:
    body = MINIMAL_RQ[6:] + b"".join(items)
    return b"\x01\x00" + len(body).to_bytes(4, "big") + body


class TestVectors:
    @vectors()
    def test_encode(self, pdu, encoded):
        assert pdu.encode() == encoded

    @vectors()
    def test_decode(self, pdu, encoded):
        assert decode_pdu(encoded) == pdu
        assert decode_pdu(memoryview(encoded)) == pdu
        assert decode_pdu(bytearray(encoded)) == pdu

    @vectors()
    def test_cut_short_or_too_long(self, pdu, encoded):
        for end in range(len(encoded)):
            with pytest.raises(PDUDecodeError):
                decode_pdu(encoded[:end])
        with pytest.raises(PDUDecodeError):
            decode_pdu(encoded + b"\0")

    @vectors()
    def test_shown(self, pdu, encoded):
        assert repr(pdu).startswith(type(pdu).__name__)
        assert pdu.dump().startswith(type(pdu).__name__)

    def test_types(self):
        assert sorted(PDU_TYPES) == [1, 2, 3, 4, 5, 6, 7]


class TestTolerated:
    @pytest.mark.parametrize(
        ("reserved", "pdu"),
        [
            ("03 FF 00000004 FF 01 02 03", A_ASSOCIATE_RJ(1, 2, 3)),
            ("05 FF 00000004 FFFFFFFF", A_RELEASE_RQ()),
            ("06 FF 00000004 FFFFFFFF", A_RELEASE_RP()),
            ("07 FF 00000004 FF FF 00 00", A_ABORT(0, 0)),
        ],
    )
    def test_reserved_bytes_are_not_tested(self, reserved, pdu):
        assert decode_pdu(bytes.fromhex(reserved)) == pdu

    def test_reserved_bytes_of_an_associate(self):
        data = bytearray(MINIMAL_RQ)
        data[8:10] = b"\xff\xff"
        data[42:74] = b"\xff" * 32
        assert decode_pdu(data) == decode_pdu(MINIMAL_RQ)
        assert decode_pdu(data).encode() == MINIMAL_RQ

    def test_nothing_but_the_fixed_part(self):
        rq = decode_pdu(MINIMAL_RQ)
        assert rq.application_context_name == ""
        assert rq.presentation_contexts == []
        assert rq.user_information == []

    def test_unknown_items_are_skipped_and_kept(self):
        user = b"\x50\x00\x00\x0d" + b"\x60\x00\x00\x01x" + b"\x51\x00\x00\x04\x00\x00\x00\x00"
        rq = decode_pdu(with_items(b"\x99\x00\x00\x02ab", user))
        assert rq.unknown_items == [UnknownItem(0x99, b"ab")]
        assert rq.user_information == [UnknownItem(0x60, b"x"), MaximumLengthNotification(0)]
        assert decode_pdu(rq.encode()) == rq

    def test_unknown_rejection_values_are_shown_raw(self):
        rj = decode_pdu(bytes.fromhex("03 00 00000004 00 07 08 09"))
        assert (rj.result, rj.source, rj.reason) == (7, 8, 9)

    def test_ac_may_repeat_a_context_id(self):
        """Who asked decides what to make of it (`acse.conclude`)."""
        ac = A_ASSOCIATE_AC(presentation_contexts=[PresentationContextAC(1, 0, "1.2")] * 2)
        assert decode_pdu(ac.encode()) == ac


class TestRefused:
    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"", 1),
            (b"GET / HTTP/1.1\r\n\r\n", 1),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 1),
            (b"\x00\x00\x00\x00\x00\x00", 1),
            (b"\x08\x00\x00\x00\x00\x00", 1),
            (b"\x05", 6),
            (b"\x05\x00\xff\xff\xff\xff\x00\x00\x00\x00", 6),
            (b"\x05\x00\x00\x00\x00\x03\x00\x00\x00", 6),
            (b"\x05\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00", 6),
            (b"\x04\x00\x00\x00\x00\x00", 6),
            (b"\x04\x00\x00\x00\x00\x04\x00\x00\x00\x00", 6),
            (b"\x04\x00\x00\x00\x00\x05\x00\x00\x00\x01\x01", 6),
            (b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x03\x01\x03", 6),
        ],
    )
    def test_reason(self, data, reason):
        with pytest.raises(PDUDecodeError) as caught:
            decode_pdu(data)
        assert caught.value.reason == reason

    def test_context_id_twice(self):
        context = PresentationContextRQ(1, "1.2", ["1.2"]).encode()
        with pytest.raises(PDUDecodeError, match="twice"):
            decode_pdu(with_items(context, context))

    def test_129_contexts(self):
        context = PresentationContextAC(1, 0, "1.2").encode()
        ac = A_ASSOCIATE_AC(presentation_contexts=[PresentationContextAC(1, 0, "1.2")] * 129)
        assert context in ac.encode()
        with pytest.raises(PDUDecodeError, match="more than 128") as caught:
            decode_pdu(ac.encode())
        assert caught.value.reason == 5

    def test_256_user_items(self):
        rq = A_ASSOCIATE_RQ(user_information=[MaximumLengthNotification(1)] * 255)
        assert decode_pdu(rq.encode()) == rq
        rq.user_information.append(MaximumLengthNotification(1))
        with pytest.raises(PDUDecodeError, match="more than 255"):
            decode_pdu(rq.encode())

    @pytest.mark.parametrize("most", [2, 130, 300])
    def test_how_many_are_taken_is_configured(self, most, monkeypatch):
        monkeypatch.setattr(_config, "MAXIMUM_CONTEXTS", most)
        monkeypatch.setattr(_config, "MAXIMUM_USER_ITEMS", most)
        fields = {
            "presentation_contexts": PresentationContextAC(1, 0, "1.2"),
            "user_information": MaximumLengthNotification(1),
        }
        for name, item in fields.items():
            ac = A_ASSOCIATE_AC(**{name: [item] * most})
            assert decode_pdu(ac.encode()) == ac
            getattr(ac, name).append(item)
            with pytest.raises(PDUDecodeError, match=f"more than {most} ") as caught:
                decode_pdu(ac.encode())
            assert caught.value.reason == 5
        unknown = [bytes.fromhex("77 00 0000")] * most
        assert len(decode_pdu(with_items(*unknown)).unknown_items) == most
        with pytest.raises(PDUDecodeError, match=f"more than {most} unknown"):
            decode_pdu(with_items(*unknown, unknown[0]))

    @pytest.mark.parametrize("item", ["10 00 0003 312E32", "50 00 0000"])
    def test_single_item_twice(self, item):
        with pytest.raises(PDUDecodeError, match="more than 1"):
            decode_pdu(with_items(*[bytes.fromhex(item)] * 2))

    def test_says_where(self):
        data = with_items(bytes.fromhex("50 00 0008 51 00 0005 00000000"))
        with pytest.raises(PDUDecodeError) as caught:
            decode_pdu(data)
        assert caught.value.pdu == "A-ASSOCIATE-RQ"
        assert caught.value.field == "A_ASSOCIATE_RQ.user_information"
        assert caught.value.offset == 82  # behind the header of the item that does not fit


def test_the_largest_legal_request():
    """What it costs grows with its bytes: twice the contexts are twice the calls."""
    syntaxes = [f"1.2.840.10008.1.2.4.{n}" for n in range(60)]
    calls = []
    for count in (64, 128):
        rq = A_ASSOCIATE_RQ(
            presentation_contexts=[
                PresentationContextRQ(2 * n + 1, f"1.2.840.10008.5.1.4.1.1.{n}", syntaxes)
                for n in range(count)
            ]
        )
        encoded = rq.encode()
        profile = cProfile.Profile()
        assert profile.runcall(decode_pdu, encoded) == rq
        calls.append(sum(entry.callcount for entry in profile.getstats()))
    assert calls[1] < 2.2 * calls[0]


uids = st.text("0123456789.", min_size=1, max_size=64).filter(lambda uid: uid.strip())
octets = st.binary(max_size=20)
user_items = st.one_of(
    st.builds(MaximumLengthNotification, st.integers(0, 2**32 - 1)),
    st.builds(ImplementationClassUIDNotification, uids),
    st.builds(ImplementationVersionNameNotification, st.text("ABC_1", min_size=1, max_size=16)),
    st.builds(
        AsynchronousOperationsWindowNegotiation, st.integers(0, 65535), st.integers(0, 65535)
    ),
    st.builds(SCP_SCU_RoleSelectionNegotiation, uids, st.booleans(), st.booleans()),
    st.builds(SOPClassExtendedNegotiation, uids, octets),
    st.builds(SOPClassCommonExtendedNegotiation, uids, uids, st.lists(uids, max_size=3)),
    st.builds(UserIdentityNegotiation, st.integers(1, 5), st.booleans(), octets, octets),
    st.builds(UserIdentityNegotiation, server_response=octets),
    st.builds(UnknownItem, st.integers(0x60, 0xFF), octets),
)
odd = st.integers(0, 127).map(lambda n: 2 * n + 1)
titles = st.text("ABC 1", max_size=16)
common = {
    "called_ae_title": titles,
    "calling_ae_title": titles,
    "application_context_name": uids,
    "user_information": st.lists(user_items, max_size=4),
}
pdus = st.one_of(
    st.builds(
        A_ASSOCIATE_RQ,
        presentation_contexts=st.lists(
            st.builds(PresentationContextRQ, odd, uids, st.lists(uids, max_size=3)),
            max_size=4,
            unique_by=lambda context: context.context_id,
        ),
        **common,
    ),
    st.builds(
        A_ASSOCIATE_AC,
        presentation_contexts=st.lists(
            st.builds(PresentationContextAC, odd, st.integers(0, 5), uids), max_size=4
        ),
        **common,
    ),
    st.builds(A_ASSOCIATE_RJ, *[st.integers(0, 255)] * 3),
    st.builds(
        P_DATA_TF,
        st.lists(
            st.builds(PDV, st.integers(0, 255), st.integers(0, 255), octets),
            min_size=1,
            max_size=3,
        ),
    ),
    st.builds(A_RELEASE_RQ),
    st.builds(A_RELEASE_RP),
    st.builds(A_ABORT, *[st.integers(0, 255)] * 2),
)


def decodes_or_raises(data: bytes) -> None:
    """Any byte string gives a PDU that encodes and decodes to itself, or a PDUDecodeError."""
    try:
        pdu = decode_pdu(data)
    except PDUDecodeError:
        return
    assert decode_pdu(pdu.encode()) == pdu
    repr(pdu)
    pdu.dump()


class TestAnyBytes:
    @given(pdus)
    def test_round_trip(self, pdu):
        assert decode_pdu(pdu.encode()) == pdu

    @given(st.binary(max_size=200))
    def test_random(self, data):
        decodes_or_raises(data)

    @given(st.integers(1, 7), st.binary(max_size=300))
    def test_random_body(self, pdu_type, body):
        decodes_or_raises(bytes([pdu_type, 0]) + len(body).to_bytes(4, "big") + body)

    @given(st.lists(st.tuples(st.sampled_from([0x10, 0x20, 0x21, 0x30, 0x40, 0x50]), octets)))
    def test_random_items(self, items):
        encoded = [UnknownItem(number, data).encode() for number, data in items]
        decodes_or_raises(with_items(*encoded))
        decodes_or_raises(b"\x02" + with_items(*encoded)[1:])

    @given(st.integers(0x50, 0x5A), octets)
    def test_random_user_item(self, number, data):
        inner = UnknownItem(number, data).encode()
        decodes_or_raises(with_items(UnknownItem(0x50, inner).encode()))

    @given(pdus, st.data())
    def test_mutated(self, pdu, data):
        encoded = bytearray(pdu.encode())
        for _ in range(data.draw(st.integers(1, 3))):
            encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
        decodes_or_raises(bytes(encoded))

    @given(pdus, st.data())
    def test_bytes_lost_or_gained(self, pdu, data):
        body = pdu.encode()[6:]
        at = data.draw(st.integers(0, len(body)))
        body = body[:at] + data.draw(octets) + body[at + data.draw(st.integers(0, 4)) :]
        decodes_or_raises(bytes([pdu.pdu_type, 0]) + len(body).to_bytes(4, "big") + body)
