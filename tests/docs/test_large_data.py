"""What the page on large data promises of its programs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from tests.docs.conftest import BLOCKS, Blocks
from tests.examples.conftest import Scripts

[SENDER] = [one for one in BLOCKS if one.page == "docs/large_data.rst" and "JOURNAL" in one.text]


@pytest.mark.slow
def test_a_sender_with_a_journal_goes_on_where_it_was(
    scripts: Scripts, place: Path, python_env: dict[str, str]
) -> None:
    received: list[str] = []
    refused = {"1.3.6.1.4.1.5962.1.1.4.1.1.20040826185059.5457"}  # of images/mr.dcm

    def store(event: Any) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        if uid in refused:
            return 0xA700
        received.append(uid)
        return 0x0000

    with AE() as ae:
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
        server: Any = ae.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)]
        )
        script = Blocks(scripts, place).write(SENDER, server.server_address[1])

        def run() -> str:
            ran = subprocess.run(
                [sys.executable, script.name],
                cwd=place,
                env=python_env,
                capture_output=True,
                text=True,
                timeout=300,
                check=True,
            )
            return ran.stdout

        assert run().endswith("1 have to be sent again\n")
        assert len(received) == 2
        refused.clear()
        assert run().endswith("failed: all is there\n")
        assert len(received) == len({*received}) == 3
        assert "failed: all is there" in run()  # nothing is left to be sent
        assert len(received) == 3
