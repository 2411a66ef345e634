"""pynetdicom.debug_log: what is shown at DEBUG, and what never is."""

from __future__ import annotations

import logging

import pytest

from pynetdicom import _config, debug_log, evt
from pynetdicom.dimse.messages import Message
from pynetdicom.dimse.primitives import C_ECHO
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.upper_layer.pdu import A_ASSOCIATE_RQ
from tests.pair import CT, Pair
from tests.peers import ct

SECRET = "swordfish"


def exchange(caplog: pytest.LogCaptureFixture, level: int) -> list[tuple[str, str]]:
    """What an echo and a store are logged as: (logger, text), in order."""
    user = UserIdentityNegotiation()
    user.user_identity_type = 2
    user.primary_field = b"somebody"
    user.secondary_field = SECRET.encode()
    ds = ct(100)
    ds.PatientName = "Doe^Jane"
    with (
        caplog.at_level(level, "pynetdicom"),
        Pair(scp_handlers=[(evt.EVT_C_STORE, lambda event: 0xB007)]) as pair,
    ):
        assoc = pair.scu.associate("127.0.0.1", pair.port, ext_neg=[user])
        assert assoc.send_c_echo().Status == 0x0000
        assert assoc.send_c_store(ds).Status == 0xB007
        assoc.release()
    return [(record.name, record.getMessage()) for record in caplog.records]


def test_negotiation_and_messages(caplog: pytest.LogCaptureFixture) -> None:
    lines = exchange(caplog, logging.DEBUG)
    negotiation = [text for name, text in lines if name == "pynetdicom.acse"]
    assert sorted(text for text in negotiation if text in ("sent", "received")) == [
        "received", "received", "sent", "sent",
    ]  # fmt: skip
    assert negotiation.count("  A_ASSOCIATE_RQ") == negotiation.count("  A_ASSOCIATE_AC") == 2
    assert "    called_ae_title: 'ANY-SCP'" in negotiation
    assert "        abstract_syntax: '1.2.840.10008.1.1'" in negotiation
    implicit = "Accepted, ImplicitVRLittleEndian (1.2.840.10008.1.2)"
    for named in ("Verification (1.2.840.10008.1.1)", f"CTImageStorage ({CT})"):
        shown = [text for text in negotiation if f"{named}: {implicit}" in text]
        assert len(shown) == 2, negotiation  # on both sides
    messages = [text for name, text in lines if name == "pynetdicom.dimse"]
    assert any(f"C-STORE-RQ on context 3, CTImageStorage ({CT}): " in text for text in messages)
    for what in ("C-ECHO-RQ", "C-ECHO-RSP", "C-STORE-RQ", "C-STORE-RSP"):
        assert sorted(text.split(" on ")[0] for text in messages if f"{what} on" in text) == [
            f"received {what}",
            f"sent {what}",
        ]
    assert any("Status=0xB007" in text for text in messages)


def test_one_line_each_and_neither_data_nor_credentials(caplog: pytest.LogCaptureFixture) -> None:
    lines = exchange(caplog, logging.DEBUG)
    text = "\n".join(text for _, text in lines)
    assert len(text.splitlines()) == len(lines)
    assert "Doe" not in text
    assert SECRET not in text


@pytest.mark.parametrize(
    ("level", "handler_level"), [(logging.INFO, "standard"), (logging.DEBUG, "none")]
)
def test_not_unless_it_is_wanted(
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    level: int,
    handler_level: str,
) -> None:
    monkeypatch.setattr(_config, "LOG_HANDLER_LEVEL", handler_level)
    lines = exchange(caplog, level)
    assert not [line for line in lines if line[0] in ("pynetdicom.acse", "pynetdicom.dimse")]


def test_a_peers_text_is_escaped_and_shortened(caplog: pytest.LogCaptureFixture) -> None:
    request = C_ECHO(MessageID=1)
    request.__dict__["AffectedSOPClassUID"] = "1.2\n\x1b[2J" + "9" * 2000
    with caplog.at_level(logging.DEBUG, "pynetdicom"):
        debug_log.show_message("received", Message(request, 1))
        debug_log.show_pdu("received", A_ASSOCIATE_RQ(called_ae_title="A\nB"))
    for record in caplog.records:
        assert record.getMessage().isprintable()
        assert len(record.getMessage()) < 600


def test_each_end_says_whose_it_is(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pynetdicom"), Pair() as pair:
        assoc = pair.established()
        address = assoc.requestor.address_info
        assoc.release()
        scp = f"association with ANY-SCP at 127.0.0.1:{pair.port}: "
        scu = f"association with SCU at 127.0.0.1:{address.port}: "
    records = [record for record in caplog.records if record.name == "pynetdicom.assoc"]
    lines = {record.getMessage() for record in records}
    assert lines == {
        scp + "accepted, 2 of 2 presentation contexts",
        scu + "accepted",
        scp + "released by the local side",
        scu + "released by the peer",
    }


def test_a_connection_that_fails_says_whose_it_is(caplog: pytest.LogCaptureFixture) -> None:
    with Pair() as pair:
        pair.server.shutdown()
        with caplog.at_level(logging.INFO, "pynetdicom"):
            assoc = pair.scu.associate("127.0.0.1", pair.port)
    assert not assoc.is_established
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith("association with ANY-SCP: no connection: ")
    assert f"127.0.0.1 port {pair.port}" in record.getMessage()
