"""The wrappers work: DCMTK talks to DCMTK."""

from __future__ import annotations

from typing import Any


def test_a_started_tool_listens_and_is_ended(dcmtk: Any) -> None:
    scp = dcmtk.storescp("+xa")
    result = dcmtk.run("echoscu", "-v", "127.0.0.1", scp.port, check=True)
    assert "Received Echo Response" in result.stdout
    scp.stop()
    assert scp.process.returncode is not None
    assert scp.files() == []
