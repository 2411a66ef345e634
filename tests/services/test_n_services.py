"""Each service of the N-services with a peer: its SOP Classes, operations, types and statuses.

What there is comes from tables of the standard that are not the library's own.
"""

from __future__ import annotations

import csv
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pynetdicom import AE, build_role, evt, presentation, register_uid, sop_class, status
from pynetdicom.dimse import primitives
from pynetdicom.dimse.primitives import Primitive
from pynetdicom.dsutils import encode_dataset
from pynetdicom.services import classes, registry
from pynetdicom.services.classes import ALL_N
from pynetdicom.status import code_to_category
from tests.association.test_normalized import IMPLICIT, data_set, send
from tests.pair import serve
from tests.peers import DEADLINE, Acceptor, Call, listening

DATA = Path(__file__).parents[1] / "data"


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


SERVICES = rows("n_services.tsv")
FIELDS = rows("n_status_fields.tsv")


def uid_of(keyword: str) -> str:
    return str(getattr(sop_class, keyword))


@contextmanager
def associated(handlers: Any, *uids: str) -> Iterator[Any]:
    """An association in which either side has either role for these SOP Classes."""
    scp, scu = AE("SCP"), AE("SCU")
    for uid in uids:
        scp.add_supported_context(uid, scu_role=True, scp_role=True)
        scu.add_requested_context(uid)
    server = serve(scp, evt_handlers=[(getattr(evt, event), f) for event, f in handlers.items()])
    try:
        roles = [build_role(uid, scu_role=True, scp_role=True) for uid in uids]
        with scu.associate(*server.server_address[:2], ext_neg=roles) as assoc:
            assert assoc.is_established
            yield assoc
    finally:
        server.shutdown()
        scu.shutdown()


def ask(assoc: Any, operation: str, uid: str, **how: Any) -> tuple[Dataset, Dataset | None]:
    """Ask for an operation, whatever it is; give the status and the data set."""
    kind = how.pop("type", 1)
    sent = how.pop("sent", data_set(PatientID="1"))
    calls: Any = {
        "N-ACTION": lambda: assoc.send_n_action(sent, kind, uid, "1.2", **how),
        "N-CREATE": lambda: assoc.send_n_create(sent, uid, "1.2", **how),
        "N-DELETE": lambda: (assoc.send_n_delete(uid, "1.2", **how), None),
        "N-EVENT-REPORT": lambda: assoc.send_n_event_report(sent, kind, uid, "1.2", **how),
        "N-GET": lambda: assoc.send_n_get([], uid, "1.2", **how),
        "N-SET": lambda: assoc.send_n_set(sent, uid, "1.2", **how),
    }
    status, reply = calls[operation]()
    return status, reply


def event_of(operation: str) -> str:
    return "EVT_" + operation.replace("-", "_")


DONE = {event_of(operation): lambda event: 0x0000 for operation in ALL_N}


# What there is


@pytest.mark.parametrize("row", SERVICES, ids=lambda row: row["keyword"])
def test_the_operations_of_a_sop_class(row: dict[str, str]) -> None:
    """Those of the standard are served, the others answered with 0x0211."""
    uid, there = uid_of(row["keyword"]), row["operations"].split()
    assert uid == row["uid"]
    assert {*registry.operations(uid)} & {*ALL_N} == {*there}
    asked: list[str] = []

    def handle(event: Any) -> int:
        asked.append(event.request.name)
        return 0x0000

    types = {"N-ACTION": row["actions"], "N-EVENT-REPORT": row["events"]}
    with associated(dict.fromkeys(DONE, handle), uid) as assoc:
        for operation in ALL_N:
            first = (types.get(operation) or "1").split()[0]
            found, _ = ask(assoc, operation, uid, type=int(first))
            assert found.Status == (0x0000 if operation in there else 0x0211), operation
    assert sorted(asked) == sorted(there)


@pytest.mark.parametrize("row", SERVICES, ids=lambda row: row["keyword"])
def test_the_actions_and_events_of_a_sop_class(row: dict[str, str]) -> None:
    """Those of the standard reach the handler; there is no other where the standard tells them."""
    uid = row["uid"]
    for operation, types, code in (
        ("N-ACTION", row["actions"], 0x0123),
        ("N-EVENT-REPORT", row["events"], 0x0113),
    ):
        if operation not in row["operations"].split():
            continue
        there = range(20) if types == "" else {int(one) for one in types.split()}
        with associated(DONE, uid) as assoc:
            for kind in range(20):
                found, _ = ask(assoc, operation, uid, type=kind)
                assert found.Status == (0x0000 if kind in there else code), kind


@pytest.mark.parametrize("row", SERVICES, ids=lambda row: row["keyword"])
def test_a_sop_class_is_in_a_list_of_contexts_and_its_instance_has_a_name(
    row: dict[str, str],
) -> None:
    contexts = getattr(presentation, row["contexts"])
    assert row["uid"] in {context.abstract_syntax for context in contexts}
    if not row["instance"]:
        return
    name, uid = row["instance"].split("=")
    assert getattr(sop_class, name) == uid
    assert registry.is_sop_instance(uid)
    seen: list[str] = []

    def handle(event: Any) -> int:
        request = event.request
        seen.append(request.RequestedSOPInstanceUID)
        return 0x0000

    operation = "N-ACTION" if "N-ACTION" in row["operations"] else "N-GET"
    kind = int((row["actions"] or "1").split()[0])
    with associated({event_of(operation): handle}, row["uid"]) as assoc:
        instance = getattr(sop_class, name)
        if operation == "N-GET":
            assert assoc.send_n_get([], row["uid"], instance)[0].Status == 0x0000
        else:
            assert assoc.send_n_action(None, kind, row["uid"], instance)[0].Status == 0x0000
    assert seen == [uid]


@pytest.mark.parametrize("row", SERVICES, ids=lambda row: row["keyword"])
def test_each_status_of_a_service_comes_back_with_its_category(row: dict[str, str]) -> None:
    uid = row["uid"]
    name = registry.service_class_of(uid).status_table
    assert name == row["statuses"]
    table = {
        int(one[end], 16): one["category"]
        for one in rows("ps3.4_status_codes.tsv")
        for end in ("code_first", "code_last")
        if one["table"] == name
    }
    ours = {code: category for code, (category, _) in getattr(status, name).items()}
    assert table.items() <= ours.items()
    given: list[int] = []
    with associated(
        {event_of(operation): lambda event: given[-1] for operation in ALL_N}, uid
    ) as assoc:
        for operation in row["operations"].split():
            types = {"N-ACTION": row["actions"], "N-EVENT-REPORT": row["events"]}.get(operation)
            for code, category in table.items():
                if category == "Pending":  # of C-FIND
                    continue
                given.append(code)
                found, _ = ask(assoc, operation, uid, type=int((types or "1").split()[0]))
                assert found.Status == code
                assert code_to_category(found.Status) == category


# What goes with a status


RT = uid_of("RTConventionalMachineVerification")
VALUES = {
    "AffectedSOPClassUID": "1.2.3.4",
    "AffectedSOPInstanceUID": "1.2.3.5",
    "ActionTypeID": 7,
    "AttributeIdentifierList": [0x00100010, 0x00100020],
    "ErrorComment": "that is why",
    "ErrorID": 0xA710,
    "EventTypeID": 8,
}


@pytest.mark.parametrize("operation", ALL_N)
@pytest.mark.parametrize("row", FIELDS, ids=lambda row: row["status"])
def test_the_fields_of_a_status(row: dict[str, str], operation: str) -> None:
    """Each that PS3.7 Annex C has for it, where the operation's response has a place for it."""
    code, wanted = int(row["status"], 16), row["fields"].split()
    assert code_to_category(code) == row["category"].capitalize()
    usage = getattr(primitives, operation.replace("-", "_")).parameters
    given = data_set(Status=code, **{k: VALUES[k] for k in wanted if k != "DataSet"})
    reply = data_set(PatientID="wrong") if "DataSet" in wanted else None

    def handle(event: Any) -> Any:
        return given if operation == "N-DELETE" else (given, reply)

    with associated({event_of(operation): handle}, RT) as assoc:
        found, data_set_there = ask(assoc, operation, RT)
    assert found.Status == code
    assert data_set_there == (None if operation == "N-DELETE" else reply)
    for keyword in wanted:
        if keyword in usage:
            value = found.get(keyword)
            value = list(value) if keyword == "AttributeIdentifierList" else value
            assert value == VALUES[keyword], keyword
    for keyword in {"ErrorComment", "ErrorID", "AttributeIdentifierList"} - {*wanted}:
        assert keyword not in found


# What a message lacks


LACKING = [
    (kind, keyword)
    for kind in primitives.OPERATIONS
    if kind.__name__.startswith("N_")
    for keyword in kind.sides[0].mandatory[1:-1] + kind.sides[0].data_sets
]


@pytest.mark.parametrize(
    ("kind", "keyword"), LACKING, ids=lambda one: getattr(one, "__name__", one)
)
def test_a_request_without_a_mandatory_parameter(kind: type[Primitive], keyword: str) -> None:
    """PS3.7 10.1: the SCP answers with 0x0212, and says what is missing; nobody is asked."""
    values: dict[str, Any] = {
        name: 1 if name.endswith("TypeID") else RT if "Class" in name else "1.2"
        for name in kind.sides[0].mandatory[1:-1]
        if name != keyword
    }
    if kind.sides[0].data_sets and keyword not in kind.sides[0].data_sets:
        values["data_set"] = encode_dataset(data_set(PatientID="1"), IMPLICIT)
    with associated({event_of(kind.name): lambda event: 1 / 0}, RT) as assoc:
        response = send(assoc, kind(**values), RT)
        assert response.Status == 0x0212
        assert response.ErrorComment == f"missing: {keyword}"
        assert assoc.is_established


@pytest.mark.parametrize(
    ("operation", "keyword", "arguments"),
    [
        ("n_action", "RequestedSOPInstanceUID", (None, 1, RT, None)),
        ("n_action", "ActionTypeID", (None, None, RT, "1.2")),
        ("n_delete", "RequestedSOPInstanceUID", (RT, None)),
        ("n_event_report", "AffectedSOPInstanceUID", (None, 1, RT, None)),
        ("n_event_report", "EventTypeID", (None, None, RT, "1.2")),
        ("n_get", "RequestedSOPInstanceUID", ([], RT, None)),
        ("n_set", "RequestedSOPInstanceUID", (Dataset(), RT, None)),
        ("n_set", "ModificationList", (None, RT, "1.2")),
    ],
)
def test_a_request_of_ours_without_a_mandatory_parameter(
    operation: str, keyword: str, arguments: Any
) -> None:
    with associated({}, RT) as assoc:
        with pytest.raises(ValueError, match=rf"send_{operation}\(\): no {keyword}"):
            getattr(assoc, f"send_{operation}")(*arguments)
        assert assoc.is_established


def test_the_class_is_always_needed() -> None:
    with associated({}, RT) as assoc:
        for operation in ALL_N:
            with pytest.raises(ValueError, match=r"no \w+SOPClassUID"):
                ask(assoc, operation, None, meta_uid=RT)  # type: ignore[arg-type]  # that is wrong


@pytest.mark.parametrize("kind", [k for k in primitives.OPERATIONS if k.__name__[0] == "N"])
def test_a_response_without_a_status(kind: type[Primitive]) -> None:
    """The association is aborted, and says why."""

    def script(peer: Acceptor) -> None:
        rq = peer.accept()
        assert rq.presentation_contexts
        context_id, request = peer.command()
        peer.respond(context_id, kind(MessageIDBeingRespondedTo=request.MessageID))
        peer.rest_until_abort()

    with listening(script) as listener:
        ae = AE("SCU")
        ae.add_requested_context(RT)
        role = [build_role(RT, scu_role=True, scp_role=True)]
        assoc = ae.associate("127.0.0.1", listener.port, ext_neg=role)
        found, reply = ask(assoc, kind.name, RT)
        assert (len(found), reply) == (0, None)
        assert f"{kind.name}-RSP without Status" in str(assoc.ended)
        ae.shutdown()


@pytest.mark.parametrize(
    ("code", "named", "problem"),
    [
        (0x0000, None, "the peer does not name the SOP Instance that it has created"),
        (0x0107, None, "the peer does not name the SOP Instance that it has created"),
        (0x0110, None, None),
        (0x0000, "1.2.9", None),
    ],
)
def test_a_creation_that_is_not_named(code: int, named: str | None, problem: str | None) -> None:
    def script(peer: Acceptor) -> None:
        peer.accept()
        context_id, request = peer.command()
        answer = request.response(code)
        answer.AffectedSOPInstanceUID = named
        peer.respond(context_id, answer)
        peer.rest_until_abort()

    with listening(script) as listener:
        ae = AE("SCU")
        ae.add_requested_context(RT)
        assoc = ae.associate("127.0.0.1", listener.port)
        found, _ = assoc.send_n_create(None, RT)
        assert (found.Status, found.get("AffectedSOPInstanceUID")) == (code, named)
        assert getattr(found, "problem", None) == problem
        assoc.abort()
        ae.shutdown()


def test_an_attribute_in_vain_is_named() -> None:
    """In words, and by its tag; also where it is in an item, and where there is no data set."""

    def handle(event: Any) -> Any:
        return 0x0000, event.action_information.ReferencedSOPSequence[0]

    with associated({"EVT_N_ACTION": handle}, RT) as assoc:
        found, _ = assoc.send_n_action(None, 1, RT, "1.2")
    assert found.Status == 0x0120
    assert found.AttributeIdentifierList == 0x00081199
    assert found.ErrorComment == "ReferencedSOPSequence is missing"


def test_an_attribute_that_a_callback_looks_for_in_vain() -> None:
    scp, scu = AE("SCP"), AE("SCU")
    scp.on_n_set = lambda dataset, context, info: dataset.PatientName  # type: ignore[method-assign]
    scp.add_supported_context(RT)
    scu.add_requested_context(RT)
    server = serve(scp)
    with scu.associate(*server.server_address[:2]) as assoc:
        found, _ = ask(assoc, "N-SET", RT)
    server.shutdown()
    assert (found.Status, found.AttributeIdentifierList) == (0x0120, 0x00100010)


def test_no_attributes_are_all_attributes() -> None:
    """An empty list of tags is left out: it is not said anywhere what one would mean."""
    lists: list[Any] = []

    def handle(event: Any) -> int:
        lists.append((event.request.AttributeIdentifierList, event.attribute_identifiers))
        return 0x0000

    with associated({"EVT_N_GET": handle}, RT) as assoc:
        for empty in (None, [], ()):
            assert assoc.send_n_get(empty, RT, "1.2")[0].Status == 0x0000
    assert lists == [(None, [])] * 3


# One context, several SOP Classes


GRAYSCALE = uid_of("BasicGrayscalePrintManagementMeta")
COLOR = uid_of("BasicColorPrintManagementMeta")
PRINTING = [row for row in SERVICES if row["contexts"].startswith("PrintManagement")]
MEMBERS = {
    GRAYSCALE: ["BasicFilmSession", "BasicFilmBox", "BasicGrayscaleImageBox", "Printer"],
    COLOR: ["BasicFilmSession", "BasicFilmBox", "BasicColorImageBox", "Printer"],
}


@pytest.mark.parametrize("meta", [GRAYSCALE, COLOR])
@pytest.mark.parametrize("row", PRINTING, ids=lambda row: row["keyword"])
def test_a_context_of_a_meta_sop_class(row: dict[str, str], meta: str) -> None:
    """It stands for its members, each with its operations, actions and events (PS3.4 H.3)."""
    seen: list[Any] = []

    def handle(event: Any) -> int:
        request = event.request
        seen.append(request.RequestedSOPClassUID or request.AffectedSOPClassUID)
        return 0x0000

    is_member = row["keyword"] in MEMBERS[meta]
    with associated(dict.fromkeys(DONE, handle), meta) as assoc:
        for operation in ALL_N:
            there = is_member and operation in row["operations"].split()
            found, _ = ask(assoc, operation, row["uid"], meta_uid=meta)
            code = 0x0000 if there else 0x0211 if is_member else 0x0118
            assert found.Status == code, operation
            assert found.AffectedSOPClassUID == row["uid"]
            if there and operation in ("N-ACTION", "N-EVENT-REPORT"):
                found, _ = ask(assoc, operation, row["uid"], meta_uid=meta, type=4)
                assert found.Status == (0x0123 if operation == "N-ACTION" else 0x0113)
    assert set(seen) == ({row["uid"]} if is_member else set())


# Of one's own


N_CLASSES = [one for one in classes.SERVICE_CLASSES if set(one.operations) <= {*ALL_N}]


@pytest.mark.usefixtures("forget_registered")
@pytest.mark.parametrize("service_class", N_CLASSES, ids=lambda one: one.__name__)
def test_a_private_sop_class_of_an_n_service(service_class: Any) -> None:
    """It has the operations of the service, any types, and is served by events and callbacks."""
    register_uid("1.2.3.4.5", "MyMachine", service_class)
    assert uid_of("MyMachine") == "1.2.3.4.5"
    seen: list[str] = []

    def handle(event: Any) -> int:
        seen.append(event.request.name)
        return 0xC123

    with associated(dict.fromkeys(DONE, handle), "1.2.3.4.5") as assoc:
        for operation in ALL_N:
            found, _ = ask(assoc, operation, "1.2.3.4.5", type=99)
            there = operation in service_class.operations
            assert found.Status == (0xC123 if there else 0x0211)
    assert sorted(seen) == sorted(service_class.operations)


@pytest.mark.usefixtures("forget_registered")
def test_a_private_sop_class_with_operations_types_and_members_of_its_own() -> None:
    class MachineServiceClass(classes.ServiceClass):
        operations = ("N-ACTION", "N-GET")
        types = {"1.2.3.4.5": {"N-ACTION": (7,)}}  # noqa: RUF012  # as the library's
        members = {"1.2.3.4.6": ("1.2.3.4.5",)}  # noqa: RUF012

    register_uid("1.2.3.4.5", "MyMachine", MachineServiceClass)
    register_uid("1.2.3.4.6", "MyMachines", MachineServiceClass)
    with associated(DONE, "1.2.3.4.5", "1.2.3.4.6") as assoc:
        for how in ({}, {"meta_uid": "1.2.3.4.6"}):
            for operation, kind, code in (
                ("N-ACTION", 7, 0x0000),
                ("N-ACTION", 8, 0x0123),
                ("N-GET", 1, 0x0000),
                ("N-SET", 1, 0x0211),
            ):
                found, _ = ask(assoc, operation, "1.2.3.4.5", type=kind, **how)
                assert found.Status == code
        assert ask(assoc, "N-GET", "1.2.3", meta_uid="1.2.3.4.6")[0].Status == 0x0118


def test_a_sop_class_that_nobody_knows() -> None:
    """Until it is registered, a private one is taken as storage: no N-service reaches a handler."""
    with associated(DONE, "1.2.3.4.5") as assoc:
        for operation in ALL_N:
            assert ask(assoc, operation, "1.2.3.4.5")[0].Status == 0x0211


# Odd data sets

ATTRIBUTES = ("action_information", "attribute_list", "event_information", "modification_list")


def odd() -> Dataset:
    """Characters, empty and nested sequences, private elements, values of odd length, binary."""
    item = data_set(CodeValue="1", CodeMeaning="Wert")
    nested = data_set(ConceptNameCodeSequence=[item], ContentSequence=[Dataset()])
    ds = data_set(
        SpecificCharacterSet="ISO_IR 192",
        PatientName="Müller^Jörg=山田",
        PatientID=None,
        ReferencedSOPSequence=[],
        ContentSequence=[nested, Dataset()],
        SelectorATValue=[0x00100010, 0x00100020],
        PixelAspectRatio=["1", "3"],
    )
    block = ds.private_block(0x0009, "OURS", create=True)
    block.add_new(0x01, "SQ", [data_set(PatientID="odd")])
    block.add_new(0x02, "OB", b"\0\1\2\3")
    block.add_new(0x03, "FD", 1.5)
    return ds


@pytest.mark.parametrize("syntax", presentation.DEFAULT_TRANSFER_SYNTAXES)
@pytest.mark.parametrize("operation", [one for one in ALL_N if one not in ("N-GET", "N-DELETE")])
def test_odd_data_sets_in_every_uncompressed_transfer_syntax(operation: str, syntax: str) -> None:
    """What one side gives, the other finds, there and back."""
    found: list[Dataset] = []

    def handle(event: Any) -> Any:
        name = next(n for n in ATTRIBUTES if n in event.event.attributes)
        found.append(getattr(event, name))
        return 0x0000, odd()

    scp, scu = AE("SCP"), AE("SCU")
    scp.add_supported_context(RT, syntax, scu_role=True, scp_role=True)
    scu.add_requested_context(RT, syntax)
    server = serve(scp, evt_handlers=[(getattr(evt, event_of(operation)), handle)])
    role = [build_role(RT, scu_role=True, scp_role=True)]
    with scu.associate(*server.server_address[:2], ext_neg=role) as assoc:
        status, reply = ask(assoc, operation, RT, sent=odd())
        assert status.Status == 0x0000
        assert assoc.accepted_contexts[0].transfer_syntax == [syntax]
    server.shutdown()
    for one in (found[0], reply):
        assert one is not None
        assert one.PatientName == odd().PatientName
        assert one.ReferencedSOPSequence == []
        assert len(one.ContentSequence) == 2
        assert one.ContentSequence[0] == odd().ContentSequence[0]
        assert one.SelectorATValue == odd().SelectorATValue
        assert one.PixelAspectRatio == odd().PixelAspectRatio


# The other way round


@pytest.mark.parametrize("style", ["events", "callbacks"])
@pytest.mark.parametrize("operation", ALL_N)
def test_the_acceptor_asks_the_requestor(operation: str, style: str) -> None:
    """Who requests the association is SCP by role selection; an event goes either way."""
    acceptors: queue.SimpleQueue[Any] = queue.SimpleQueue()
    seen: list[str] = []

    def handle(*args: Any) -> Any:
        seen.append(operation)
        return 0xC123 if operation == "N-DELETE" else (0xC123, data_set(PatientID="2"))

    scp, scu = AE("ACCEPTOR"), AE("REQUESTOR")
    scp.add_supported_context(RT, scu_role=True, scp_role=True)
    scu.add_requested_context(RT)
    server = serve(scp, evt_handlers=[(evt.EVT_ESTABLISHED, lambda e: acceptors.put(e.assoc))])
    handlers = [(getattr(evt, event_of(operation)), handle)] if style == "events" else []
    if style == "callbacks":
        setattr(scu, event_of(operation).replace("EVT_", "on_").lower(), handle)
    role = [build_role(RT, scu_role=operation == "N-EVENT-REPORT", scp_role=True)]
    with scu.associate(*server.server_address[:2], ext_neg=role, evt_handlers=handlers):
        acceptor = acceptors.get(timeout=DEADLINE)
        found, reply = Call(ask, acceptor, operation, RT).result(DEADLINE)
        assert found.Status == 0xC123
        assert reply == (None if operation == "N-DELETE" else data_set(PatientID="2"))
    server.shutdown()
    assert seen == [operation]


@pytest.mark.parametrize("operation", ALL_N)
def test_whose_role_it_is_not(operation: str) -> None:
    """By default the requestor is SCU: only its peer reports, and only it asks for the rest."""
    acceptors: queue.SimpleQueue[Any] = queue.SimpleQueue()
    scp, scu = AE("ACCEPTOR"), AE("REQUESTOR")
    scp.add_supported_context(RT)
    scu.add_requested_context(RT)
    server = serve(scp, evt_handlers=[(evt.EVT_ESTABLISHED, lambda e: acceptors.put(e.assoc))])
    with scu.associate(*server.server_address[:2]) as assoc:
        acceptor = acceptors.get(timeout=DEADLINE)
        refused, may = (assoc, acceptor) if operation == "N-EVENT-REPORT" else (acceptor, assoc)
        with pytest.raises(ValueError, match="no accepted presentation context"):
            ask(refused, operation, RT)
        assert Call(ask, may, operation, RT).result(DEADLINE)[0].Status == 0x0110  # nobody is bound
    server.shutdown()
