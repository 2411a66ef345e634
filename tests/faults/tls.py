"""TLS contexts of both sides for 127.0.0.1, new ones each time."""

from __future__ import annotations

import ssl

from pynetdicom.testing import tls_pair


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """New TLS contexts for the side that listens and the side that connects, which has no
    certificate."""
    pair = tls_pair()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pair.server_cert, pair.server_key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(pair.ca_file)
    return server, client
