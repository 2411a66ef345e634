"""Verification SCU over TLS, with a certificate of its own.

    python examples/tls_scu.py localhost 2762 --certificate scu.pem --key scu.key --ca ca.pem

Ends with 0 if the peer is who it should be and answered, with 1 otherwise.
"""

import argparse
import ssl
import sys

from pynetdicom import AE
from pynetdicom.sop_class import Verification
from pynetdicom.tls import client_context


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask a peer over TLS whether it is there.")
    parser.add_argument("host", nargs="?", default="localhost")
    parser.add_argument("port", nargs="?", type=int, default=2762)
    parser.add_argument("--certificate", default="scu.pem", help="our certificate")
    parser.add_argument("--key", default="scu.key", help="our private key")
    parser.add_argument("--ca", default="ca.pem", help="who vouches for the peer")
    parser.add_argument("--raw", action="store_true", help="with an SSLContext made by hand")
    args = parser.parse_args()

    # By the profile that DICOM has for it (PS3.15 B.12).
    context: ssl.SSLContext = client_context(
        "bcp195", authorities=args.ca, certificate=args.certificate, key=args.key
    )
    if args.raw:
        # Or all by yourself, in any SSLContext: then the profile is your affair.
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=args.ca)
        context.load_cert_chain(args.certificate, args.key)

    ae = AE("TLS_EXAMPLE")
    ae.add_requested_context(Verification)
    # The peer's certificate must be for the host that is connected to. Where it is for another
    # name: tls_args=(context, name).
    assoc = ae.associate(args.host, args.port, tls=context)
    if not assoc.is_established:
        # A certificate that is not trusted ends up here as well.
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1
    status = assoc.send_c_echo()
    assoc.release()
    if status.get("Status") != 0x0000:
        print("the peer did not answer with success", file=sys.stderr)
        return 1
    print("the peer answered over TLS")
    return 0


if __name__ == "__main__":
    sys.exit(main())
