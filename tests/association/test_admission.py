"""Servers with access rules, and bare sockets of several addresses that come to them."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pynetdicom import AE, evt, transport
from pynetdicom.access import AccessRules, Limits, Rule
from pynetdicom.dimse.primitives import C_FIND, C_GET, C_MOVE, Primitive
from pynetdicom.transport import ThreadedAssociationServer
from pynetdicom.upper_layer import items
from pynetdicom.upper_layer import pdu as pdus
from tests.faults.peer import (
    CT,
    STORE,
    Peer,
    abort,
    context,
    echo_rq,
    p_data,
    pdv,
    reject,
    request,
    until,
)
from tests.faults.tls import contexts as tls_contexts
from tests.pair import Seen
from tests.query_peer import PATIENT_ROOT, STUDY_LEVEL, WORKLIST
from tests.scp import encoded

FIND, MOVE, GET = (PATIENT_ROOT + number for number in "123")
ALL = [
    context(1),
    context(3, CT),
    context(5, FIND),
    context(7, MOVE),
    context(9, GET),
    context(11, WORKLIST),
]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


class Place:
    """Servers on 127.0.0.1 and ::1 with the same rules, and what their handlers are told."""

    def __init__(self, access: AccessRules | None, **options: Any) -> None:
        self.ae = AE("ARCHIVE")
        for one in ALL:
            self.ae.add_supported_context(one.abstract_syntax, scu_role=True, scp_role=True)
        self.ae.acse_timeout = self.ae.network_timeout = 3600
        self.seen = Seen()
        names = ("EVT_CONN_OPEN", "EVT_REQUESTED", "EVT_REJECTED", "EVT_CONN_CLOSE")
        told: list[Any] = [(getattr(evt, name), self._note) for name in names]
        self.handlers: dict[str, Callable[[Any], Any]] = {}
        asked: list[Any] = [
            (event, self._serve)
            for event in (evt.EVT_C_ECHO, evt.EVT_C_STORE, evt.EVT_C_FIND, evt.EVT_C_MOVE)
        ]
        asked.append((evt.EVT_C_GET, self._serve))
        self.servers: dict[bool, ThreadedAssociationServer] = {}
        for host in ("127.0.0.1", "::1") if has_ipv6() else ("127.0.0.1",):
            server = self.ae.start_server(
                (host, 0), block=False, access=access, evt_handlers=told + asked, **options
            )
            assert server is not None
            self.servers[":" in host] = server

    def _note(self, event: Any) -> None:
        self.seen.add(event.event.name)

    def _serve(self, event: Any) -> Any:
        self.seen.add(event.request.name)
        return self.handlers.get(event.request.name, lambda event: 0x0000)(event)

    @property
    def server(self) -> ThreadedAssociationServer:
        return self.servers[False]

    def connect(self, source: str = "127.0.0.1") -> Peer:
        is_ipv6 = ":" in source
        if is_ipv6 and is_ipv6 not in self.servers:
            pytest.skip("there is no IPv6")
        address = self.servers[is_ipv6].server_address[:2]
        sock = socket.create_connection(address, 300, (source, 0))  # type: ignore[arg-type]  # str
        return Peer(sock)

    def associate(
        self, source: str = "127.0.0.1", calling: str = "PEER", called: str = "ARCHIVE"
    ) -> tuple[Peer, pdus.A_ASSOCIATE_AC | bytes]:
        """Ask for all, and give the answer, decoded if it is an acceptance."""
        peer = self.connect(source)
        peer.send(request(*ALL, calling_ae_title=calling, called_ae_title=called))
        answer = peer.pdu()
        decoded = pdus.decode_pdu(answer)
        return peer, decoded if isinstance(decoded, pdus.A_ASSOCIATE_AC) else answer


Make = Callable[..., Place]


@pytest.fixture
def make() -> Iterator[Make]:
    with ExitStack() as stack:

        def made(access: AccessRules | None, **options: Any) -> Place:
            place = Place(access, **options)
            stack.callback(place.ae.shutdown)
            return place

        yield made


def accepted(answer: pdus.A_ASSOCIATE_AC | bytes) -> dict[int, int]:
    """The result for each context."""
    assert isinstance(answer, pdus.A_ASSOCIATE_AC)
    return {one.context_id: one.result for one in answer.presentation_contexts}


def ask(
    peer: Peer, context_id: int, primitive: Primitive, data_set: bytes | None = STUDY_LEVEL
) -> tuple[int, str]:
    """Request something, and give status and comment of the first response."""
    peer.send(encoded(context_id, primitive, data_set))
    response = peer.message().primitive
    values = response.__dict__
    return values["Status"], values.get("ErrorComment", "")


def find(message_id: int = 1) -> C_FIND:
    return C_FIND(MessageID=message_id, AffectedSOPClassUID=FIND, Priority=2)


def lines(caplog: pytest.LogCaptureFixture, what: str) -> list[str]:
    return [one for one in caplog.messages if what in one]


RULES = AccessRules(
    [
        Rule("banned", networks=["127.0.0.9"], may=()),
        Rule("six", networks=["::1"], may=["echo"]),
        Rule("modalities", calling=["CT*"], called="ARCHIVE", networks="127.0.0.2", may="store"),
        Rule("readers", calling=["WS"], networks=["loopback"], may=["find", "move"]),
    ]
)
NOTHING = dict.fromkeys((1, 3, 5, 7, 9, 11), 1)


@pytest.mark.parametrize(
    ("source", "calling", "called", "outcome"),
    [
        ("::1", "ANY", "ANY", NOTHING | {1: 0}),
        ("127.0.0.2", "CT1", "ARCHIVE", NOTHING | {3: 0}),
        ("127.0.0.2", "CT1", "OTHER", reject(1, 1, 7)),
        ("127.0.0.2", "MR1", "ARCHIVE", reject(1, 1, 3)),
        ("127.0.0.1", "CT1", "ARCHIVE", reject(1, 1, 3)),
        ("127.0.0.2", "WS", "OTHER", NOTHING | {5: 0, 7: 0, 11: 0}),
        ("127.0.0.1", "WS", "ARCHIVE", NOTHING | {5: 0, 7: 0, 11: 0}),
    ],
)
def test_rules_and_peers(
    make: Make, source: str, calling: str, called: str, outcome: dict[int, int] | bytes
) -> None:
    peer, answer = make(RULES).associate(source, calling, called)
    with peer:
        assert (answer if isinstance(outcome, bytes) else accepted(answer)) == outcome


def test_a_rejection_names_peer_and_rule(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    place = make(RULES)
    peer, answer = place.associate(calling="MR1")
    with peer:
        assert answer == reject(1, 1, 3)
        assert peer.rest() == b""
        here = peer.socket.getsockname()
    place.seen.wait(4)
    # All is told of it, after it was sent.
    assert place.seen.notes == ["EVT_CONN_OPEN", "EVT_REQUESTED", "EVT_REJECTED", "EVT_CONN_CLOSE"]
    (line,) = lines(caplog, "rejected")
    assert line.startswith(f"the association of MR1 at 127.0.0.1:{here[1]} was rejected: ")
    assert line.endswith("no access rule is for that calling AE title")


def test_an_acceptance_names_rule_and_what_it_does_not_allow(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "pynetdicom")
    place = make(RULES)
    for calling, due in (
        ("WS", "rule readers, 3 of 6 presentation contexts; not allowed: Verification (1.2.840.1"),
        ("::1", "rule six, 1 of 6 presentation contexts; not allowed: CTImageStorage (1.2.840."),
    ):
        source = calling if calling == "::1" else "127.0.0.1"
        with place.associate(source, calling)[0]:
            pass
        assert until(lambda due=due: lines(caplog, due))


def test_an_address_that_no_rule_is_for_is_not_heard(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    place = make(RULES)
    for _ in range(3):
        with place.connect("127.0.0.9") as peer:
            assert peer.rest() == b""
    place.associate(calling="WS")[0].close()
    (line,) = lines(caplog, "127.0.0.9")
    assert line.endswith("was closed: the access rule banned lets nobody in")
    assert len(place.server._lobby) == place.server._lobby.never_asked == 0
    place.ae.shutdown()
    assert "EVT_REJECTED" not in place.seen.notes


def test_a_server_without_rules_lets_all_in(make: Make) -> None:
    peer, answer = make(None).associate("127.0.0.9", "ANYBODY")
    with peer:
        assert set(accepted(answer).values()) == {0}


def test_what_is_no_access_rules(make: Make) -> None:
    with pytest.raises(TypeError, match="'access' must be AccessRules or None"):
        make([Rule("r")])


# Operations


def test_a_role_selection_for_retrieval(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """Its objects come as C-STORE requests to a peer that may send none itself."""
    place = make(AccessRules([Rule("reads", may=["get"])]))
    with place.connect() as peer:
        rq = pdus.decode_pdu(request(*ALL, calling_ae_title="WS"))
        rq.user_information.append(items.SCP_SCU_RoleSelectionNegotiation(CT, True, True))
        answer = peer.associate(rq.encode())
        assert accepted(answer) == NOTHING | {3: 0, 9: 0}
        assert ask(peer, 3, STORE, b"") == (0x0124, "not authorized: C-STORE")
        where = f"WS at 127.0.0.1:{peer.socket.getsockname()[1]}"
    (line,) = lines(caplog, "refused")
    assert line.endswith(f"refused: not authorized: C-STORE (access rule reads, for {where})")
    assert "C-STORE" not in place.seen.notes


def test_a_role_selection_of_who_may_not_retrieve(make: Make) -> None:
    place = make(AccessRules([Rule("echoes", may=["echo"])]))
    with place.connect() as peer:
        rq = pdus.decode_pdu(request(*ALL))
        rq.user_information.append(items.SCP_SCU_RoleSelectionNegotiation(CT, True, True))
        answer = peer.associate(rq.encode())
        assert accepted(answer) == NOTHING | {1: 0}
        kinds = {type(item) for item in answer.user_information}
        assert items.SCP_SCU_RoleSelectionNegotiation not in kinds


@pytest.mark.parametrize(
    ("destination", "outcome"),
    [
        ("WS1", (0xC511, "Unable to process")),
        ("ELSEWHERE", (0x0124, "not authorized: a C-MOVE to that destination")),
    ],
)
def test_a_move_destination(make: Make, destination: str, outcome: tuple[int, str]) -> None:
    def fails(event: Any) -> Any:
        raise ValueError

    place = make(AccessRules([Rule("r", destinations=["WS*"])]))
    place.handlers["C-MOVE"] = fails
    peer, _ = place.associate()
    with peer:
        moves = C_MOVE(MessageID=1, AffectedSOPClassUID=MOVE, Priority=2)
        moves.MoveDestination = destination
        assert ask(peer, 7, moves) == outcome
    assert ("C-MOVE" in place.seen.notes) == (outcome[0] == 0xC511)


# Limits


def test_the_number_of_matches(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    place = make(AccessRules([Rule("r", limits=Limits(matches=3))]))
    from pydicom.dataset import Dataset

    match = Dataset()
    match.PatientID = "1"
    counts = iter((3, 4))
    place.handlers["C-FIND"] = lambda event: [(0xFF00, match)] * next(counts)
    peer, _ = place.associate(calling="WS")
    with peer:
        for final in ((0x0000, ""), (0xA700, "Ended: more than 3 matches")):
            peer.send(encoded(5, find(), STUDY_LEVEL))
            responses = [peer.message().primitive for _ in range(4)]
            assert [one.Status for one in responses] == [0xFF00] * 3 + [final[0]]
            assert responses[-1].__dict__.get("ErrorComment", "") == final[1]
    (line,) = lines(caplog, "ended")
    assert line.startswith("C-FIND-RQ ended: more than 3 matches (access rule r, for WS at 127.")


def test_a_handler_that_refuses_is_not_beyond_a_limit(make: Make) -> None:
    place = make(AccessRules([Rule("r", limits=Limits(matches=1, query_seconds=3600))]))
    place.handlers["C-FIND"] = lambda event: (0xA900, None)
    peer, _ = place.associate()
    with peer:
        assert ask(peer, 5, find())[0] == 0xA900


def until_cancelled(event: Any) -> None:
    assert until(lambda: event.is_cancelled)


def says_it_was_cancelled(event: Any) -> Iterator[Any]:
    until_cancelled(event)
    yield 0xFE00, None


def just_ends(event: Any) -> Iterator[Any]:
    until_cancelled(event)
    yield from ()


def goes_on(event: Any) -> Iterator[Any]:
    until_cancelled(event)
    yield 0xFF00, None


@pytest.mark.parametrize("handler", [says_it_was_cancelled, just_ends, goes_on])
def test_the_time_of_a_query(make: Make, handler: Callable[[Any], Any]) -> None:
    place = make(AccessRules([Rule("r")], limits=Limits(query_seconds=0.01)))
    place.handlers["C-FIND"] = handler
    peer, _ = place.associate()
    with peer:
        assert ask(peer, 5, find()) == (0xA700, "Ended: it takes more than 0.01 s")
        # A retrieve has time.
        place.handlers["C-GET"] = lambda event: [0]
        gets = C_GET(MessageID=2, AffectedSOPClassUID=GET, Priority=2)
        assert ask(peer, 9, gets)[0] == 0x0000


def test_lengths(make: Make) -> None:
    limits = Limits(pdu_length=4096, command_set_bytes=300, object_bytes=1000)
    place = make(AccessRules([Rule("r", limits=limits)]))
    peer, answer = place.associate()
    with peer:
        assert isinstance(answer, pdus.A_ASSOCIATE_AC)
        (maximum,) = (
            one.maximum_length_received
            for one in answer.user_information
            if isinstance(one, items.MaximumLengthNotification)
        )
        assert maximum == 4096
        assert ask(peer, 3, STORE, bytes(1000))[0] == 0x0000
        assert ask(peer, 3, STORE, bytes(1002))[0] == 0xA700
        peer.send(p_data(pdv(3, 1, bytes(150)), pdv(3, 1, bytes(151))))
        assert peer.pdu() == abort(0, 0)
    peer, _ = place.associate()
    with peer:
        peer.send(p_data(pdv(3, 1, bytes(4091))))
        assert peer.pdu() == abort(2, 6)


def test_associations_at_a_time(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    place = make(
        AccessRules(
            [
                Rule("few", calling="FEW", limits=Limits(associations=1)),
                Rule("each", limits=Limits(associations_per_peer=2)),
            ],
            limits=Limits(associations=4),
        )
    )
    table = [
        # address, title, whether it is accepted
        ("127.0.0.1", "FEW", True),
        ("127.0.0.2", "FEW", False),
        ("127.0.0.1", "A", True),
        ("127.0.0.1", "B", True),
        ("127.0.0.1", "C", False),
        ("127.0.0.2", "A", True),
        ("127.0.0.2", "A", False),
    ]
    with ExitStack() as stack:
        for source, calling, fits in table:
            peer, answer = place.associate(source, calling)
            stack.enter_context(peer)
            assert isinstance(answer, pdus.A_ASSOCIATE_AC) == fits
            assert fits or answer == reject(2, 3, 2)
    said = [line.partition("rejected: ")[2] for line in lines(caplog, "rejected")]
    assert said == [
        "the access rule few is for 1 associations at a time",
        "the access rule each is for 2 associations at a time from one address",
        "the access rule each is for 4 associations at a time",
    ]
    # Who has left makes room.
    assert until(lambda: not place.server.active_associations)
    peer, answer = place.associate("127.0.0.2", "FEW")
    with peer:
        accepted(answer)


def test_one_address_does_not_fill_the_lobby(make: Make) -> None:
    """500 connections say nothing, and others associate; who waits elsewhere stays."""
    place = make(AccessRules([Rule("r")], unassociated=60, unassociated_per_address=20))
    lobby = place.server._lobby
    with ExitStack() as stack:
        waits = stack.enter_context(place.connect("127.0.0.3"))
        assert until(lambda: len(lobby) == 1)
        crowd = []
        for number in range(500):
            crowd.append(stack.enter_context(place.connect("127.0.0.2")))
            if number % 100 == 50:
                peer, answer = place.associate("127.0.0.1")
                with peer:
                    accepted(answer)
                    peer.echo()
                    peer.release()
        assert until(lambda: lobby.never_asked == 480)
        assert crowd[0].rest() == b""
        peer, answer = place.associate("127.0.0.2")
        with peer:
            accepted(answer)
        waits.send(request(*ALL))
        accepted(pdus.decode_pdu(waits.pdu()))


def test_the_lobby_of_a_server_with_rules(make: Make) -> None:
    place = make(AccessRules([Rule("r")], unassociated=2))
    with place.connect() as first, place.connect("127.0.0.2"), place.connect("127.0.0.3"):
        assert first.rest() == b""


# Rules that come later


def test_rules_that_are_replaced(make: Make) -> None:
    place = make(RULES)
    peer, answer = place.associate(calling="WS")
    with peer:
        accepted(answer)
        place.server.access = AccessRules([Rule("new", may=["echo"])])
        # What has associated goes on as it was.
        place.handlers["C-FIND"] = lambda event: []
        assert ask(peer, 5, find())[0] == 0x0000
    peer, answer = place.associate("127.0.0.9", calling="ANYBODY")
    with peer:
        assert accepted(answer) == NOTHING | {1: 0}
        peer.send(echo_rq())
        assert peer.message().primitive.Status == 0x0000
    place.server.access = None
    peer, answer = place.associate(calling="ANYBODY")
    with peer:
        assert set(accepted(answer).values()) == {0}
    with pytest.raises(TypeError, match="'access' must be"):
        place.server.access = "all"  # type: ignore[assignment]
    assert place.server.access is None


def test_rules_that_are_replaced_while_a_connection_waits(make: Make) -> None:
    place = make(RULES)
    with place.connect() as peer:
        assert until(lambda: len(place.server._lobby) == 1)
        place.server.access = AccessRules([Rule("r", networks="192.0.2.0/24")])
        peer.send(request(*ALL, calling_ae_title="WS"))
        assert peer.pdu() == reject(1, 1, 1)


def test_rules_that_are_replaced_while_many_come(make: Make) -> None:
    """Each is accepted or rejected by one set of rules or the other; none is let in by both."""
    place = make(RULES)
    either = [RULES, AccessRules([Rule("new", calling="CT1", may=["echo"])])]
    done = threading.Event()

    def replace() -> None:
        while not done.is_set():
            for access in either:
                place.server.access = access

    replacing = threading.Thread(target=replace)
    replacing.start()
    try:
        for _ in range(50):
            peer, answer = place.associate(calling="WS")
            with peer:
                assert answer == reject(1, 1, 3) or accepted(answer)[5] == 0
    finally:
        done.set()
        replacing.join()


# Certificates


def certificate_of(directory: Path, name: str, title: str) -> tuple[ssl.SSLContext, str]:
    """A client with a certificate of its own making, and the certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Hospital"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.UniformResourceIdentifier(f"dicom:{title}"), x509.DNSName("ct1.example.org")]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain
    )
    path = directory / f"{name}.pem"
    path.write_bytes(pem + private)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.load_cert_chain(path)
    return client, pem.decode()


@pytest.mark.parametrize(
    ("certificate", "calling", "fits"),
    [
        (["CN=ct1,*"], "ANY", True),
        (["CN=ct1,O=Hospital"], "ANY", True),
        (["CN=ct2,*"], "CT1", False),
        (["dicom:CT?"], "ANY", True),
        (["dicom:{calling}"], "CT1", True),
        (["dicom:{calling}"], "CT2", False),
        (["dns:*.example.org"], "ANY", True),
        (["dns:*.example.com", "dicom:CT1"], "ANY", True),
    ],
)
def test_a_certificate(
    make: Make, tmp_path: Path, certificate: list[str], calling: str, fits: bool
) -> None:
    client, pem = certificate_of(tmp_path, "ct1", "CT1")
    server, _ = tls_contexts()
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(cadata=pem)
    place = make(AccessRules([Rule("sealed", certificate=certificate)]), ssl_context=server)
    sock = socket.create_connection(place.server.server_address[:2], 300)
    with Peer(client.wrap_socket(sock)) as peer:
        peer.send(request(calling_ae_title=calling))
        answer = peer.pdu()
    assert answer == reject(1, 1, 1) if not fits else answer[0] == 2


def test_a_certificate_that_nobody_verifies_counts_for_nothing(make: Make, tmp_path: Path) -> None:
    client, _ = certificate_of(tmp_path, "ct1", "CT1")
    server, _ = tls_contexts()
    for options in ({"ssl_context": server}, {}):
        place = make(AccessRules([Rule("sealed", certificate="CN=ct1,*")]), **options)
        sock = socket.create_connection(place.server.server_address[:2], 300)
        with Peer(client.wrap_socket(sock) if options else sock) as peer:
            peer.send(request())
            assert peer.pdu() == reject(1, 1, 1)


def test_user_code_does_not_see_what_is_refused(make: Make) -> None:
    """The rejection is sent whatever a handler of what happened before does."""
    place = make(RULES)
    holds = threading.Event()
    place.server.bind(evt.EVT_REQUESTED, lambda event: holds.wait(300))
    try:
        peer, answer = place.associate(calling="NOBODY")
        with peer:
            assert answer == reject(1, 1, 3)
    finally:
        holds.set()


def test_strangers_do_not_fill_the_log(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    place = make(RULES)
    for number in range(6):
        with place.associate(calling=("STRANGER", "ANOTHER")[number % 2])[0]:
            pass
        place.seen.wait(4 * (number + 1))  # all is told of it when it has been logged
    assert len(lines(caplog, "STRANGER")) == len(lines(caplog, "ANOTHER")) == 1


@pytest.mark.threads("counts the threads that tell")
def test_handlers_that_do_not_return_are_not_told_of_all(make: Make) -> None:
    place = make(RULES)
    holds, told = threading.Event(), Seen()

    def hold(event: Any) -> None:
        told.add(None)
        holds.wait(300)

    place.server.bind(evt.EVT_REJECTED, hold)
    try:
        for _ in range(transport._MOST_TOLD + 20):
            peer, answer = place.associate(calling="NOBODY")
            with peer:
                assert answer == reject(1, 1, 3)
        told.wait(transport._MOST_TOLD)
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("pynetdicom-rejected") == transport._MOST_TOLD
    finally:
        holds.set()
    assert until(lambda: len(place.server._telling) == 0)
    with place.associate(calling="NOBODY")[0]:
        told.wait(transport._MOST_TOLD + 1)


def test_what_an_ae_requires_is_still_required(make: Make) -> None:
    place = make(AccessRules([Rule("r")]))
    place.ae.require_calling_aet = ["WS"]
    for calling, fits in (("WS", True), ("OTHER", False)):
        peer, answer = place.associate(calling=calling)
        with peer:
            assert isinstance(answer, bytes) != fits
