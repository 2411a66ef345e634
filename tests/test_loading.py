"""What is imported by a server's first association: nothing."""

from __future__ import annotations

import subprocess
import sys

from tests.sampled import sampled

SERVER = """
import subprocess, sys, tempfile
from pynetdicom import AE, _config, evt

def on_c_store(dataset, context, info):
    assert dataset.PatientName == "SECRET^PATIENT"
    assert context.abstract_syntax.name == "CT Image Storage"
    return 0x0000

def handle_store(event):
    assert event.dataset.PatientName == "SECRET^PATIENT"
    assert event.file_meta.TransferSyntaxUID == event.context.transfer_syntax
    event.encoded_dataset()
    assert event.dataset_path
    with tempfile.TemporaryDirectory() as directory:
        event.save_as(directory + "/" + event.file_name)
    event.received.decode()
    return 0x0000

def handle_find(event):
    identifier = event.identifier
    identifier.PatientName = "B^A"
    yield 0xFF00, identifier

def handle_get(event):
    event.identifier
    yield 0

def handle_move(event):
    from pydicom.dataset import Dataset, FileMetaDataset
    yield "127.0.0.1", event.assoc.acceptor.port
    yield 1
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    image.SOPClassUID, image.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4"
    image.PatientName = "SECRET^PATIENT"
    yield 0xFF00, image

def handle_identity(event):
    return True, b"answer"

def note(event):
    str(event.assoc.requestor.primitive)
    [cx.abstract_syntax for cx in event.assoc.accepted_contexts]

ae = AE()
for uid in {uids}:
    ae.add_supported_context(uid)
{more}
before = set(sys.modules)
subprocess.run([sys.executable, "-c", CLIENT, str(server.server_address[1])], check=True)
for assoc in server.all_associations():
    assoc.join(30)
late = sorted(set(sys.modules) - before)
ae.shutdown()
print(*late)
print("pydicom" in before)
"""

CLIENT = """
import sys
from pynetdicom import AE
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from tests.peers import ct
from pydicom import Dataset
ae = AE()
identity = UserIdentityNegotiation()
identity.user_identity_type = 1
identity.positive_response_requested = True
identity.primary_field = b"user"
for uid in {uids}:
    ae.add_requested_context(uid, "1.2.840.10008.1.2")
assoc = ae.associate("127.0.0.1", int(sys.argv[1]), ext_neg=[identity])
assert assoc.is_established, assoc.ended
def query():
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.PatientName = "A*"
    return identifier
{asks}
assoc.release()
"""

VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
ECHO = "assert assoc.send_c_echo().Status == 0"
STORE = "assert assoc.send_c_store(ct()).Status == assoc.send_c_store(ct(100_000)).Status == 0"
QUERY = f"assert [s.Status for s, _ in assoc.send_c_find(query(), '{FIND}')] == [0xFF00, 0]"
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
SEND = f"assert [s.Status for s, _ in assoc.send_c_move(query(), 'X', '{MOVE}')] == [0xFF00, 0]"
RETRIEVE = f"assert [s.Status for s, _ in assoc.send_c_get(query(), '{GET}')] == [0]"
SERVE = "server = ae.start_server(('127.0.0.1', 0), block=False"
HANDLERS = """, evt_handlers=[
    (evt.EVT_C_STORE, handle_store), (evt.EVT_C_FIND, handle_find), (evt.EVT_C_GET, handle_get),
    (evt.EVT_C_MOVE, handle_move), (evt.EVT_USER_ID, handle_identity),
    (evt.EVT_ESTABLISHED, note), (evt.EVT_REQUESTED, note),
])"""
SCRIPTS = {
    # what is supported, how it is served, what is asked for, whether pydicom is there
    "verification": ([VERIFICATION], SERVE + ")", [ECHO], False),
    "storage that nobody decodes": ([CT], SERVE + ", preload=False)", [], False),
    "handlers": (
        [VERIFICATION, CT, FIND, GET, MOVE], SERVE + HANDLERS,
        [ECHO, STORE, QUERY, RETRIEVE, SEND], True,
    ),
    "a callback": ([CT], f"ae.on_c_store = on_c_store; {SERVE})", [STORE], True),
}  # fmt: skip


@sampled("what", SCRIPTS, keep=["handlers"])
def test_the_first_association_loads_nothing(what: str, python_env: dict[str, str]) -> None:
    uids, more, asks, with_pydicom = SCRIPTS[what]
    client = CLIENT.format(uids=uids, asks="\n".join(asks))
    server = f"CLIENT = {client!r}\n" + SERVER.format(uids=uids, more=more)
    result = subprocess.run(
        [sys.executable, "-c", server], env=python_env, check=False, capture_output=True, text=True
    )
    assert result.stderr == ""
    late, has_pydicom = result.stdout.splitlines()
    assert late == ""
    assert has_pydicom == str(with_pydicom)
