"""TLS on both sides, by the profiles of the standard and by contexts of one's own."""

import ssl

from pynetdicom import AE, evt, tls
from pynetdicom.access import AccessRules, Rule
from pynetdicom.identity import PasswordFile
from pynetdicom.sop_class import Verification

ae = AE()
ae.add_supported_context(Verification)
ae.add_requested_context(Verification)
server_side = tls.server_context(
    "bcp195", certificate="scp.pem", key="scp.key", authorities="ca.pem"
)
server = ae.start_server(
    ("", 2762),
    block=False,
    tls=server_side,
    plain_too=True,
    access=AccessRules([Rule("ward", networks=["10.0.0.0/8"])]),
    evt_handlers=[(evt.EVT_USER_ID, PasswordFile("users"))],
)
own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
own.load_cert_chain("scp.pem", "scp.key")
another = ae.start_server(("", 2763), False, own)
client_side = tls.client_context("bcp195", authorities="ca.pem")
with ae.associate("scp.example", 2762, tls=client_side, capture="seen.pcapng") as assoc:
    assoc.send_c_echo()
server.shutdown()
if another is not None:
    another.shutdown()
