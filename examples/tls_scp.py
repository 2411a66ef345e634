"""Verification SCP over TLS that knows its peers by their certificates.

    python examples/tls_scp.py 127.0.0.1 2762 --certificate scp.pem --key scp.key --ca ca.pem

Runs until Ctrl-C or SIGTERM, and then ends with 0.
"""

import argparse
import signal
import ssl
import sys
import threading

from pynetdicom import AE
from pynetdicom.sop_class import Verification
from pynetdicom.tls import server_context


def main() -> int:
    parser = argparse.ArgumentParser(description="Answer C-ECHO requests over TLS.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=2762)
    parser.add_argument("--certificate", default="scp.pem", help="our certificate")
    parser.add_argument("--key", default="scp.key", help="our private key")
    parser.add_argument("--ca", default="ca.pem", help="who vouches for our peers")
    parser.add_argument("--raw", action="store_true", help="with an SSLContext made by hand")
    args = parser.parse_args()

    # By the profile that DICOM has for it (PS3.15 B.12). With authorities, peers must have a
    # certificate, too. When the files are replaced, the next handshake has the new ones.
    context: ssl.SSLContext = server_context(
        "bcp195", certificate=args.certificate, key=args.key, authorities=args.ca
    )
    if args.raw:
        # Or all by yourself, in any SSLContext: then the profile is your affair.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(args.certificate, args.key)
        context.load_verify_locations(args.ca)
        context.verify_mode = ssl.CERT_REQUIRED

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    ae = AE("TLS_EXAMPLE")
    ae.add_supported_context(Verification)
    server = ae.start_server((args.host, args.port), block=False, tls=context)
    print(f"listening on {server.server_address[0]} port {server.server_address[1]}", flush=True)
    stop.wait()
    ae.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
