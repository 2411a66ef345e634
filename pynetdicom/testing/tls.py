"""TLS contexts of a server and a client that trust each other, for as long as the tests run."""

from __future__ import annotations

import atexit
import os
import shutil
import ssl
import tempfile
from datetime import timedelta
from functools import cache
from typing import NamedTuple

NAMES = ("localhost", "127.0.0.1", "::1")


class TLSPair(NamedTuple):
    """Two sides that know each other by an authority of their own.

    Attributes
    ----------
    server : ssl.SSLContext
        For ``ae.start_server(…, ssl_context=pair.server)`` and ``DicomSCP(tls=pair.server)``.
        It wants the client's certificate.
    client : ssl.SSLContext
        For ``ae.associate(…, tls_args=(pair.client, "localhost"))``.
    stranger : ssl.SSLContext
        A client's without a certificate, which the server refuses.
    ca_file, server_cert, server_key, client_cert, client_key : str
        The same as PEM files, for other programs. They are removed at the end of the process.
    """

    server: ssl.SSLContext
    client: ssl.SSLContext
    stranger: ssl.SSLContext
    ca_file: str
    server_cert: str
    server_key: str
    client_cert: str
    client_key: str


@cache
def tls_pair() -> TLSPair:
    """Give the pair of this process; it is made once.

    Raises
    ------
    ImportError
        ``cryptography`` is not installed, which makes the certificates.
    """
    try:
        from pynetdicom.apps.tls_test_ca import Authority, elliptic_key

        authority = Authority(timedelta(days=1), elliptic_key)
    except ImportError as error:
        raise ImportError(
            "the TLS pair needs the package cryptography, which the extra apps has"
        ) from error
    folder = tempfile.mkdtemp(prefix="pynetdicom-tls-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    files = {"ca.pem": authority.pem}
    for name in ("server", "client"):
        files[f"{name}.pem"], files[f"{name}.key"] = authority.issue(name, NAMES, None)
    paths = {name: os.path.join(folder, name) for name in files}
    for name, data in files.items():
        with open(paths[name], "wb") as file:
            file.write(data)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(paths["server.pem"], paths["server.key"])
    server.load_verify_locations(paths["ca.pem"])
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cafile=paths["ca.pem"])
    client.load_cert_chain(paths["client.pem"], paths["client.key"])
    stranger = ssl.create_default_context(cafile=paths["ca.pem"])
    return TLSPair(
        server,
        client,
        stranger,
        *(
            paths[name]
            for name in ("ca.pem", "server.pem", "server.key", "client.pem", "client.key")
        ),
    )
