"""pymedphys: ``dicom listen`` receives what is sent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from given import ARCHIVE, FILES, HOST, INSTANCES, LISTEN, SERIES, WORK, app, done, until_listening

pymedphys = Path(sys.executable).with_name("pymedphys")
folder = WORK / "received"
command = [pymedphys, "dicom", "listen", str(LISTEN), "--host", HOST, "-d", folder, "-a", ARCHIVE]
listener = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL)
try:
    until_listening(LISTEN, listener)
    app("echoscu", HOST, LISTEN, "-aec", ARCHIVE)
    done("C-ECHO")
    app("storescu", HOST, LISTEN, "-aec", ARCHIVE, *FILES)
    assert len(list(folder.rglob("*.dcm"))) == INSTANCES * len(SERIES), list(folder.rglob("*"))
    done("C-STORE")
finally:
    listener.kill()
    listener.wait()
