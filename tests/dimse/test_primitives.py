"""pynetdicom.dimse.primitives: the operations and their parameters."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynetdicom import _config
from pynetdicom.data_sets.data_set import InMemory
from pynetdicom.dimse import decoding, primitives
from pynetdicom.dimse.decoding import decode_command
from pynetdicom.dimse.parameters import ROWS
from pynetdicom.dimse.primitives import (
    C_CANCEL,
    C_ECHO,
    C_FIND,
    C_MOVE,
    C_STORE,
    N_ACTION,
    N_CREATE,
    N_GET,
    N_SET,
    OPERATIONS,
    Primitive,
)
from pynetdicom.errors import DIMSEDecodeError

FIELDS = {
    "C-STORE": 0x0001,
    "C-GET": 0x0010,
    "C-FIND": 0x0020,
    "C-MOVE": 0x0021,
    "C-ECHO": 0x0030,
    "N-EVENT-REPORT": 0x0100,
    "N-GET": 0x0110,
    "N-SET": 0x0120,
    "N-ACTION": 0x0130,
    "N-CREATE": 0x0140,
    "N-DELETE": 0x0150,
    "C-CANCEL": 0x0FFF,
}

VALUES: dict[str, Any] = {"US": 1, "UI": "1.2.840", "AE": "TITLE", "LO": "text", "AT": [0x00100010]}


def full(operation: type[Primitive], side: int) -> Primitive:
    """A message with all its parameters."""
    values: dict[str, Any] = {
        keyword: VALUES[ROWS[keyword].vr]
        for keyword, usage in operation.parameters.items()
        if usage[side] != "-"
    }
    return operation(data_set=InMemory(b"", "1.2.840.10008.1.2"), **values)


SIDES = [
    (operation, side)
    for operation in OPERATIONS
    for side in (0, 1)
    if side == 0 or operation.response_field
]


def test_command_fields() -> None:
    assert {operation.name: operation.request_field for operation in OPERATIONS} == FIELDS
    for operation in OPERATIONS:
        if operation is not C_CANCEL:
            assert operation.response_field == operation.request_field | 0x8000


def test_parameters_have_the_vr_of_the_dictionary() -> None:
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    for operation in OPERATIONS:
        for keyword in operation.parameters:
            vr = ROWS[keyword].vr
            assert dictionary_VR(tag_for_keyword(keyword) or 0) == vr
            assert ROWS[keyword].check(VALUES[vr]) == VALUES[vr]


@pytest.mark.parametrize(("operation", "side"), SIDES)
def test_round_trip(operation: type[Primitive], side: int) -> None:
    primitive = full(operation, side)
    assert primitive.missing() == []
    assert primitive.message_name == operation.name + ("-RQ", "-RSP")[side]
    raw = primitive.encode()
    decoded = decode_command(raw)
    assert decoded == primitive
    assert decoded.has_data_set
    assert decoded.encode() == raw
    assert repr(decoded).startswith(operation.name.replace("-", "_") + "(")


@pytest.mark.parametrize(("operation", "side"), SIDES)
def test_missing(operation: type[Primitive], side: int) -> None:
    id_keyword = "MessageIDBeingRespondedTo" if side or operation is C_CANCEL else "MessageID"
    primitive = operation(**{id_keyword: 3})
    expected = [
        keyword
        for keyword, usage in operation.parameters.items()
        if usage[side] == "M" and keyword != id_keyword
    ] + [name for name, usage in operation.data_set_parameters.items() if usage[side] == "M"]
    assert decode_command(primitive.encode()).missing() == expected


def test_missing_command_data_set_type() -> None:
    raw = C_ECHO(MessageID=1, AffectedSOPClassUID="1.2").encode()[:-10]
    decoded = decode_command(raw)
    assert decoded.missing() == ["CommandDataSetType"]
    assert not decoded.has_data_set


def test_store_request_without_data_set() -> None:
    rq = C_STORE(MessageID=1, AffectedSOPClassUID="1.2", AffectedSOPInstanceUID="1.3", Priority=0)
    assert rq.missing() == ["DataSet"]


def test_unset_parameters_are_none() -> None:
    rq = C_STORE()
    assert rq.MessageID is None
    assert rq.Status is None
    assert rq.DataSet is None
    assert rq.data_set is None
    assert rq.extra == {}


def test_response_copies_from_the_request() -> None:
    rq = C_STORE(MessageID=9, AffectedSOPClassUID="1.2", AffectedSOPInstanceUID="1.3", Priority=2)
    rsp = rq.response(0xB000, ErrorComment="hm", OffendingElement=[0x00080016])
    assert isinstance(rsp, C_STORE)
    assert rsp.CommandField >= 0x8000
    assert rsp.CommandField == 0x8001
    assert rsp.MessageIDBeingRespondedTo == 9
    assert rsp.MessageID is None
    assert rsp.Priority is None
    assert rsp.AffectedSOPClassUID == "1.2"
    assert rsp.AffectedSOPInstanceUID == "1.3"
    assert (rsp.Status, rsp.ErrorComment, rsp.OffendingElement) == (0xB000, "hm", [0x00080016])
    assert not rsp.has_data_set


def test_response_turns_requested_into_affected() -> None:
    rq = N_ACTION(
        MessageID=1, RequestedSOPClassUID="1.2", RequestedSOPInstanceUID="1.3", ActionTypeID=4
    )
    rsp = rq.response(0, data_set=InMemory(b"", ""))
    assert rsp.AffectedSOPClassUID == "1.2"
    assert rsp.AffectedSOPInstanceUID == "1.3"
    assert rsp.RequestedSOPClassUID is None
    assert rsp.ActionTypeID == 4
    assert rsp.has_data_set


def test_response_to_cancel() -> None:
    with pytest.raises(ValueError, match="no response"):
        C_CANCEL(MessageIDBeingRespondedTo=1).response(0)


def test_cancel() -> None:
    rq = C_CANCEL(MessageIDBeingRespondedTo=1)
    assert rq.CommandField < 0x8000
    assert rq.message_name == "C-CANCEL-RQ"
    assert decode_command(rq.encode()) == rq


def test_data_set_as_bytes_io_and_by_its_names() -> None:
    rq = C_FIND(MessageID=1)
    assert not rq.has_data_set
    rq.Identifier = BytesIO(b"abcd")
    assert rq.has_data_set
    assert rq.Identifier is not None
    assert rq.Identifier.getvalue() == b"abcd"
    assert rq.DataSet.getvalue() == b"abcd"
    rq.DataSet = None
    assert rq.data_set is None
    assert rq.Identifier is None
    assert not rq.has_data_set
    with pytest.raises(TypeError):
        rq.Identifier = "abc"  # type: ignore[assignment]
    for operation, names in {
        N_SET: ("ModificationList", "AttributeList"),
        N_CREATE: ("AttributeList",),
        N_ACTION: ("ActionInformation", "ActionReply"),
        primitives.N_EVENT_REPORT: ("EventInformation", "EventReply"),
    }.items():
        assert tuple(operation.data_set_parameters) == names


@pytest.mark.parametrize(
    ("keyword", "value", "error"),
    [
        ("MessageID", "1", TypeError),
        ("MessageID", True, TypeError),
        ("MessageID", -1, ValueError),
        ("MessageID", 65536, ValueError),
        ("Priority", 3, ValueError),
        ("AffectedSOPClassUID", 1, TypeError),
        ("AffectedSOPClassUID", "", ValueError),
        ("AffectedSOPClassUID", "1" * 65, ValueError),
        ("AffectedSOPClassUID", "1.ä", ValueError),
        ("MoveDestination", "", ValueError),
        ("MoveDestination", "A" * 17, ValueError),
        ("MoveDestination", "A\\B", ValueError),
        ("MoveDestination", "A\nB", ValueError),
        ("MoveDestination", 1, TypeError),
        ("OffendingElement", None.__class__, TypeError),
        ("OffendingElement", [-1], ValueError),
        ("OffendingElement", 1.5, TypeError),
        ("ErrorComment", 5, TypeError),
        ("NoSuchThing", 5, AttributeError),
    ],
)
def test_checks(keyword: str, value: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        setattr(C_MOVE(), keyword, value)


def test_what_is_accepted() -> None:
    from pydicom.tag import Tag
    from pydicom.uid import UID

    rq = C_MOVE(MoveDestination=b"STORE   ", AffectedSOPClassUID=UID("1.2.3"))
    assert rq.MoveDestination == "STORE"
    assert type(rq.AffectedSOPClassUID) is str
    rq.MoveDestination = None
    assert rq.MoveDestination is None
    get = N_GET(AttributeIdentifierList=[Tag(0x0010, 0x0010), (0x0010, 0x0020), "PatientSex"])
    assert get.AttributeIdentifierList == [0x00100010, 0x00100020, 0x00100040]
    assert all(type(tag) is int for tag in get.AttributeIdentifierList)
    assert N_GET(AttributeIdentifierList=(0x0010, 0x0020)).AttributeIdentifierList == [0x00100020]
    assert N_GET(AttributeIdentifierList=0x00100020).AttributeIdentifierList == [0x00100020]


def test_uid_conformance(monkeypatch: pytest.MonkeyPatch) -> None:
    assert C_ECHO(AffectedSOPClassUID="1.02.x").AffectedSOPClassUID == "1.02.x"
    monkeypatch.setattr(_config, "ENFORCE_UID_CONFORMANCE", True)
    with pytest.raises(ValueError):
        C_ECHO(AffectedSOPClassUID="1.02")
    assert C_ECHO(AffectedSOPClassUID="1.0.2").AffectedSOPClassUID == "1.0.2"


def test_validators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_config.VALIDATORS, "AE", lambda value: (value == "X" * 20, "not X"))
    assert C_MOVE(MoveDestination="X" * 20).MoveDestination == "X" * 20
    with pytest.raises(ValueError, match="not X"):
        C_MOVE(MoveDestination="A")


def test_codecs_of_ae_titles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "CODECS", ("ascii", "utf8"))
    rq = C_MOVE(MessageID=1, MoveDestination="TÖST")
    assert decode_command(rq.encode()).MoveDestination == "TÖST"
    assert C_MOVE(MoveDestination="A?").MoveDestination == "A?"


def test_naming_the_request_makes_a_response() -> None:
    rsp = C_ECHO(MessageIDBeingRespondedTo=1, Status=0)
    assert rsp.CommandField >= 0x8000
    rsp.MessageIDBeingRespondedTo = None
    assert rsp.CommandField < 0x8000


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", "no Command Field"),
        (b"\0\0\0\1\2\0\0\0\x77\x77", "unknown Command Field 0x7777"),
        (b"\0\0\0\1\2\0\0\0\x30\x00", "C-ECHO: no MessageID"),
        (b"\0\0\0\1\2\0\0\0\x30\x80\0\0\x10\1\2\0\0\0\1\0", "no MessageIDBeingRespondedTo"),
        (b"\0\0\0\1\2\0\0\0\xff\x0f\0\0\x10\1\2\0\0\0\1\0", "no MessageIDBeingRespondedTo"),
    ],
)
def test_decode_faults(raw: bytes, text: str) -> None:
    with pytest.raises(DIMSEDecodeError, match=text):
        decode_command(raw)


def test_parameters_of_other_messages_are_kept_as_extra() -> None:
    raw = C_MOVE(MessageID=1, MoveDestination="ABC").encode().replace(b"\x21\0", b"\x20\0")
    decoded = decode_command(raw)
    assert isinstance(decoded, C_FIND)
    assert decoded.extra == {0x0600: b"ABC "}
    assert decode_command(decoded.encode()) == decoded


def test_decoding_does_not_check() -> None:
    raw = C_STORE(MessageID=1, Priority=2).encode().replace(b"\7\2\0\0\0\2\0", b"\7\2\0\0\0\x63\0")
    assert decode_command(raw).Priority == 99


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_raise(raw: bytes) -> None:
    try:
        primitive = decode_command(raw)
    except DIMSEDecodeError:
        return
    assert decode_command(primitive.encode()) == primitive


@given(
    st.sampled_from(sorted(decoding._MESSAGES)),
    st.lists(st.tuples(st.sampled_from(sorted(ROWS)), st.binary(max_size=9))),
)
def test_decode_encode_decode(field: int, elements: list[tuple[str, bytes]]) -> None:
    raw = b"".join(
        number.to_bytes(4, "little")[2:]
        + number.to_bytes(2, "little")
        + len(value).to_bytes(4, "little")
        + value
        for number, value in (
            *((ROWS[keyword].element, value) for keyword, value in elements),
            (0x0110, b"\1\0"),
            (0x0120, b"\1\0"),
            (0x0100, field.to_bytes(2, "little")),
        )
    )
    primitive = decode_command(raw)
    primitive.missing()
    # A comment is cleaned when it is encoded: after that nothing changes any more.
    once = decode_command(primitive.encode()).encode()
    assert decode_command(once).encode() == once
