"""Values that an AE cannot send later on are not taken."""

from __future__ import annotations

import pytest

from pynetdicom import AE
from tests.pair import VERIFICATION, Pair


def test_maximum_pdu_size_that_the_item_has_no_room_for(caplog: pytest.LogCaptureFixture) -> None:
    ae = AE()
    ae.maximum_pdu_size = 0xFFFFFFFF
    ae.maximum_pdu_size = 0x100000000
    assert ae.maximum_pdu_size == 0xFFFFFFFF
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_largest_maximum_pdu_size_is_announced() -> None:
    with Pair() as pair:
        pair.scp.maximum_pdu_size = 0xFFFFFFFF
        assoc = pair.established()
        assert assoc.acceptor.maximum_length == 0xFFFFFFFF
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()


def test_server_contexts_are_contexts() -> None:
    ae = AE()
    with pytest.raises(ValueError, match="PresentationContext"):
        ae.make_server(("127.0.0.1", 0), contexts=[VERIFICATION])  # type: ignore[list-item]
