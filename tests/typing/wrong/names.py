"""Misspelt names, wrong values: each line that is marked must be complained of."""

from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from pynetdicom import AE, build_context, build_role, debug_loger, evt  # wrong
from pynetdicom.events import CStorEvent  # wrong
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import CTImageStorag, CTImageStorage  # wrong


def store(event: evt.CStoreEvent) -> int:
    print(event.dataest)  # wrong
    print(event.identifier)  # wrong
    print(event.asoc)  # wrong
    print(event.assoc.requester)  # wrong
    print(event.file_name + 1)  # wrong
    event.save_as(17)  # wrong
    event.save_as("x.dcm", overwrit=False)  # wrong
    return "0x0000"  # wrong


def anything(event: evt.Event) -> int:
    print(event.dataest)  # wrong
    print(event.message_id + "1")  # wrong
    return 0x0000


def finding(event: evt.CFindEvent) -> None:
    print(event.dataset)  # wrong
    print(event.is_canceled)  # wrong


def on_c_store(dataset: Dataset, context: Any) -> int:
    return 0x0000


def on_c_find(dataset: Dataset, context: Any, info: Any) -> int:
    return 0x0000


class Ours(AE):
    def on_c_echo(self, context: Any) -> int:  # wrong
        return 0x0000


ae = AE(ae_titel="MY_SCU")  # wrong
ae = AE(17)  # wrong
ae.ae_title = 17  # wrong
ae.maximum_associations = "many"  # wrong
ae.add_requested_contexts(CTImageStorage)  # wrong
ae.add_requested_context(CTImageStorage, scp_role=True)  # wrong
ae.add_supported_context(17)  # wrong
ae.add_supported_context(CTImageStorage, scu_role="yes")  # wrong
ae.requested_contexts = CTImageStorage  # wrong
ae.requested_contexts = [CTImageStorage]  # wrong
ae.on_c_store = on_c_store  # wrong
ae.on_c_find = on_c_find  # wrong
ae.on_c_echo = 0x0000  # wrong
ae.on_c_store = lambda dataset, context, info: "success"  # wrong

assoc = ae.associate("127.0.0.1", "11112")  # wrong
assoc = ae.associate("127.0.0.1")  # wrong
assoc = ae.associate("127.0.0.1", 104, ae_tile="ANY-SCP")  # wrong
assoc = ae.associate("127.0.0.1", 104, tls_args="ca.pem")  # wrong
assoc = ae.associate("127.0.0.1", 104, window=8)  # wrong
assoc = ae.associate("127.0.0.1", 104, contexts=[CTImageStorage])  # wrong
assoc.is_establish  # wrong
assoc.is_established = True  # wrong
assoc.send_c_echo("1")  # wrong
assoc.send_c_echo().Status.name  # wrong
assoc.send_c_echo().problem.upper()  # wrong
assoc.send_c_echo().message_id.upper()  # wrong
assoc.send_c_store(17)  # wrong
assoc.send_c_store(b"ct.dcm")  # wrong
assoc.send_c_store("ct.dcm", priority="high")  # wrong
assoc.send_c_store("ct.dcm").NumberOfFailedSuboperations.upper()  # wrong
assoc.send_c_stores([Dataset()])  # wrong, says pyright
assoc.send_c_stores(17)  # wrong
for path, status in assoc.send_c_stores([Path("ct.dcm")]):
    print(path.upper())  # wrong
    print(status.ErrorComment + 1)  # wrong
assoc.send_c_find(Dataset(), query_model=17)  # wrong
assoc.send_c_find("STUDY", "S")  # wrong
assoc.send_c_find(Dataset(), "S", query_mode="S")  # wrong
assoc.send_c_get(Dataset(), "S", "1")  # wrong
assoc.send_c_move(Dataset(), 17, "S")  # wrong
assoc.send_c_move(Dataset())  # wrong
assoc.send_c_cancel("1")  # wrong
assoc.send_n_create(Dataset())  # wrong
assoc.send_n_action(Dataset(), "1", CTImageStorage, "1.2.3")  # wrong
assoc.send_n_delete(CTImageStorage)  # wrong
assoc.realese()  # wrong

server = ae.start_server(("", 104), block=False)
ae.start_server(("", 104), block=False, blocks=True)  # wrong
ae.start_server(("", 104), block=False, ssl_context="ca.pem")  # wrong
ae.start_server(11112, block=False)  # wrong
ae.start_server(("", 104), block=True).shutdown()  # wrong
server.server_adress  # wrong

context = build_context(CTImageStorage)
context.abstract_syntax.nam  # wrong
context.transfer_syntax = 17  # wrong
context.transfer_syntaxes  # wrong
build_role(CTImageStorage, scp=True)  # wrong
identity = UserIdentityNegotiation()
identity.user_identity_typ  # wrong
