"""Verification SCU: as ever, and with TLS and a user's identity."""

import ssl
import sys

from pynetdicom import AE, debug_logger
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import Verification

debug_logger()

ae = AE(ae_title="MY_SCU")
ae.add_requested_context(Verification)
ae.add_requested_context("1.2.840.10008.1.1", ["1.2.840.10008.1.2"])
ae.acse_timeout = 10
ae.dimse_timeout = 2.5
ae.network_timeout = None

assoc = ae.associate("127.0.0.1", 11112, ae_title="ANY-SCP", max_pdu=0)
if assoc.is_established:
    status = assoc.send_c_echo()
    if status:
        print(f"C-ECHO request status: 0x{status.Status:04x}, of {status.message_id:d}")
    else:
        print("timed out, aborted, or an invalid response:", status.problem or assoc.ended)
    assoc.release()
elif assoc.is_rejected:
    print("rejected:", assoc.ended.reason)
    sys.exit(1)

identity = UserIdentityNegotiation()
identity.user_identity_type = 2
identity.primary_field = b"alice"
identity.secondary_field = b"correct horse"

context = ssl.create_default_context(cafile="ca.pem")
with ae.associate(
    "scp.example", 2762, ext_neg=[identity], tls_args=(context, "scp.example")
) as secured:
    secured.acse_timeout = secured.dimse_timeout
    code: int = secured.send_c_echo(msg_id=7).Status
    print(code, secured.acceptor.ae_title.upper(), secured.remote["port"])
with ae.associate("scp.example", 2762, tls="bcp195", window=(8, 1)) as offered:
    print(offered.acceptor.asynchronous_operations[0] + 1)
