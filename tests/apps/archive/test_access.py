"""Who may do what in an archive that runs: over this machine's own addresses."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from pynetdicom import AE, build_context
from pynetdicom.access import AccessRules
from pynetdicom.apps import qrscp
from pynetdicom.apps.archive.config import Config, access_rules, load
from pynetdicom.apps.archive.handlers import Archive
from pynetdicom.dsutils import create_file_meta
from pynetdicom.upper_layer.pdu import A_ASSOCIATE_AC, decode_pdu
from tests.apps.archive.conftest import Start, make
from tests.examples.certificates import write_certificates
from tests.faults.peer import CT, VERIFICATION, Peer, context, reject, request
from tests.faults.peer import until as is_so
from tests.pair import serve

FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in "123")
WORKLIST, COMMITMENT = "1.2.840.10008.5.1.4.31", "1.2.840.10008.1.20.1"
ASKED = [VERIFICATION, CT, FIND, MOVE, GET, WORKLIST, COMMITMENT]
NAMES = dict(
    zip(ASKED, ("echo", "store", "find", "move", "get", "worklist", "commit"), strict=True)
)

RULES = """
[archive]
unknown_peers = []

[[access]]
name = "strangers"
networks = ["127.0.0.9"]
may = []

[[access]]
name = "modalities"
calling = ["CT*"]
called = ["ARCHIVE"]
networks = ["127.0.0.2"]
may = ["echo", "store", "worklist"]
maximum_associations = 2

[[access]]
name = "readers"
calling = ["WS"]
networks = ["127.0.0.0/8"]
may = ["find", "retrieve"]
destinations = ["WS"]

[[peer]]
ae_title = "WS"
address = "127.0.0.1"
port = 104

[[peer]]
ae_title = "BACKUP"
address = "127.0.0.1"
port = 104

[[peer]]
ae_title = "RIS"
may = ["store"]

[worklist]
directory = "."

[commitment]
store = "commitment.sqlite"
"""


@contextlib.contextmanager
def served(tmp_path: Path, text: str) -> Iterator[tuple[str, int]]:
    """An archive of that configuration, in this process."""
    path = tmp_path / "qrscp.toml"
    path.write_text(text)
    config = load(str(path))
    ae = qrscp.make_ae(config)
    archive = Archive(config)
    ae.add_supported_context(COMMITMENT)
    server = serve(
        ae,
        evt_handlers=archive.handlers(),
        access=access_rules(config),
        unrestricted_storage=True,
    )
    try:
        yield server.server_address[:2]
    finally:
        ae.shutdown()
        archive.close()


def ask(address: tuple[str, int], source: str, calling: str, called: str) -> set[str] | bytes:
    """What a peer is let do, or how it is rejected."""
    with Peer(socket.create_connection(address, 300, (source, 0))) as peer:
        contexts = [context(2 * at + 1, uid) for at, uid in enumerate(ASKED)]
        peer.send(request(*contexts, calling_ae_title=calling, called_ae_title=called))
        try:
            answer = peer.pdu()
        except (EOFError, ConnectionError):
            return b""
        if answer[0] != 2:
            return answer
        decoded = decode_pdu(answer)
        assert isinstance(decoded, A_ASSOCIATE_AC)
        return {
            NAMES[ASKED[one.context_id // 2]]
            for one in decoded.presentation_contexts
            if not one.result
        }


@pytest.mark.parametrize(
    ("source", "calling", "called", "outcome"),
    [
        ("127.0.0.9", "WS", "ARCHIVE", b""),
        ("127.0.0.2", "CT1", "ARCHIVE", {"echo", "store", "worklist"}),
        ("127.0.0.2", "CT1", "OTHER", {"echo"}),
        ("127.0.0.1", "CT1", "ARCHIVE", {"echo"}),
        ("127.0.0.2", "WS", "OTHER", {"find", "worklist", "get", "move"}),
        ("127.0.0.1", "WS", "OTHER", {"find", "worklist", "get", "move"}),
        ("127.0.0.1", "BACKUP", "OTHER", {"echo"}),
        ("127.0.0.1", "RIS", "OTHER", {"echo", "store", "commit"}),
        ("127.0.0.1", "NOBODY", "OTHER", {"echo"}),
    ],
)
def test_rules_and_peers(
    tmp_path: Path, source: str, calling: str, called: str, outcome: set[str] | bytes
) -> None:
    with served(tmp_path, RULES) as address:
        assert ask(address, source, calling, called) == outcome


def test_strangers_are_rejected_where_a_rule_says_so(tmp_path: Path) -> None:
    last = '[[access]]\nname = "readers"\ncalling = ["WS"]\nmay = ["find"]\n'
    last += '[[access]]\nname = "others"\nmay = []\n'
    with served(tmp_path, last) as address:
        assert ask(address, "127.0.0.1", "NOBODY", "X") == reject(1, 1, 1)
        assert ask(address, "127.0.0.1", "WS", "X") == {"find"}


def test_a_move_destination(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One that its rule does not name is not authorised; one that is not known is not known."""
    everything = '[[access]]\nname = "all"\nmay = ["all"]\n[[peer]]\nae_title = "WS"\n'
    scu = AE("WS")
    scu.requested_contexts = [build_context(MOVE)]
    identifier = Dataset()
    identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", "1.2.1"
    for text, destination, due in (
        (RULES, "BACKUP", 0x0124),
        (RULES, "NOBODY", 0x0124),
        (everything, "NOBODY", 0xA801),
    ):
        with served(tmp_path, text) as address, scu.associate(*address) as assoc:
            ((status, _),) = assoc.send_c_move(identifier, destination, MOVE)
            assert status.Status == due
            assert ("not authorized" in status.ErrorComment) == (due == 0x0124)
    assert caplog.text.count("(access rule readers, for WS at 127.0.0.1:") == 2


def test_a_query_of_too_many_matches(tmp_path: Path) -> None:
    scu = AE("WS")
    scu.requested_contexts = [build_context(FIND), build_context(CT)]
    identifier = Dataset()
    identifier.QueryRetrieveLevel, identifier.SOPInstanceUID = "IMAGE", ""
    identifier.StudyInstanceUID, identifier.SeriesInstanceUID = "1.2.1", "1.2.2"
    with (
        served(tmp_path, "[limits]\nmaximum_matches = 3\n") as address,
        scu.associate(*address) as assoc,
    ):
        for number in range(5):
            ds = make(number)
            ds.file_meta = create_file_meta(
                sop_class_uid=CT, sop_instance_uid=ds.SOPInstanceUID,
                transfer_syntax="1.2.840.10008.1.2",
            )  # fmt: skip
            assert assoc.send_c_store(ds).Status == 0x0000
        found = [status for status, _ in assoc.send_c_find(identifier, FIND)]
    assert [one.Status for one in found] == [0xFF00] * 3 + [0xA700]
    assert found[-1].ErrorComment == "Ended: more than 3 matches"


def test_a_certificate(start: Start, tmp_path: Path) -> None:
    """Of two peers that one authority vouches for, each may do what its rule says."""
    write_certificates(tmp_path, ("scp", "scu", "ward"))
    path = tmp_path / "q.toml"
    path.write_text(
        "[tls]\ncertificate = 'scp.pem'\nkey = 'scp.key'\nauthorities = 'ca.pem'\n"
        "[[access]]\nname = 'scanner'\ncertificate = ['CN=scu']\nmay = ['store']\n"
        "[[access]]\nname = 'ward'\ncertificate = ['dns:localhost']\nmay = ['find']\n"
    )
    archive = start("-c", path)
    asked = [build_context(uid) for uid in (VERIFICATION, CT, FIND)]
    for name, may in (("scu", {CT}), ("ward", {FIND})):
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        context.load_cert_chain(tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
        with AE(name.upper()).associate(
            "127.0.0.1", archive.port, asked, tls_args=(context, "localhost")
        ) as assoc:
            assert {one.abstract_syntax for one in assoc.accepted_contexts} == may


SAID = qrscp.OTHERS


@pytest.mark.parametrize(
    ("text", "options", "is_said"),
    [
        ("", (), 1),
        ("", ("--workers", 2), 1),
        ("[limits]\nmaximum_matches = 3\n", (), 1),
        ("[archive]\nunknown_peers = ['store']\n", ("--verbose",), 0),
        ("[[peer]]\nae_title = 'A'\n", (), 0),
        ("[[peer]]\nae_title = 'A'\n", ("--verbose",), 1),
    ],
)
def test_what_is_said_at_the_start(
    start: Start, tmp_path: Path, text: str, options: tuple[object, ...], is_said: int
) -> None:
    """One line, unless it was decided upon."""
    path = tmp_path / "q.toml"
    path.write_text(text)
    archive = start(*(("-c", path) if text else ()), *options)
    assert is_so(lambda: archive.errors().count(SAID) == is_said)
    assert ask(("127.0.0.1", archive.port), "127.0.0.1", "A", "X") >= {"echo", "store"}


def test_without_a_configuration_others_may_only_send_an_echo() -> None:
    rules = access_rules(Config())
    assert isinstance(rules, AccessRules)
    assert rules.closed_to("192.0.2.1") == ""
    assert rules.otherwise == {"echo"}
