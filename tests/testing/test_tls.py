"""The TLS pair: made once, good for other programs, and what is missing is said."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

import pytest

from pynetdicom import testing
from pynetdicom.testing import TLSPair, tls_pair


def test_it_is_made_once(dicom_tls: TLSPair) -> None:
    assert dicom_tls is tls_pair() is testing.tls_pair()
    assert dicom_tls.server.verify_mode == ssl.CERT_REQUIRED


def test_its_files_are_for_other_programs(dicom_tls: TLSPair) -> None:
    files = [Path(one) for one in dicom_tls[3:]]
    assert all(path.read_bytes().startswith(b"-----BEGIN") for path in files)
    context = ssl.create_default_context(cafile=dicom_tls.ca_file)
    context.load_cert_chain(dicom_tls.client_cert, dicom_tls.client_key)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(ImportError, match="needs the package cryptography"):
        tls_pair.__wrapped__()
