"""What qrscp has acknowledged is there after a kill also where its objects are in an S3 store."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import boto3
import pytest
from pydicom import dcmread

from tests.apps.archive.conftest import Start
from tests.apps.archive.test_durability import (
    WORKERS,
    Senders,
    an_object,
    associate,
    indexed,
    kill_all,
)
from tests.peers import DEADLINE

pytestmark = pytest.mark.slow
BUCKET = "hospital"
SERVER = """
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print("http://%s:%d" % server.get_host_and_port(), flush=True)
input()
"""


@pytest.fixture
def s3(python_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an S3 server that archives know too."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    endpoint = server.stdout.readline().strip()
    settings = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in settings.items():
        monkeypatch.setitem(python_env, name, value)
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket=BUCKET)
    yield client
    client.close()
    server.kill()
    server.communicate(timeout=DEADLINE)


def stored(s3: Any) -> dict[str, str]:
    """SOP Instance UID → the key of the object."""
    objects = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return {PurePosixPath(one["Key"]).name.rpartition("-")[0]: one["Key"] for one in objects}


@pytest.mark.parametrize("options", WORKERS, ids=["one process", "workers"])
def test_what_was_acknowledged_outlives_a_kill(
    start: Start, s3: Any, location: str, options: tuple[object, ...]
) -> None:
    """Also what was uploaded and not acknowledged is in the index when it starts again."""
    where = ("--instance-location", f"s3://{BUCKET}/archive", "--database-location", location)
    served = start(*where, *options)
    senders = Senders(served.port)
    assert senders.enough.wait(DEADLINE), served.errors()
    kill_all(served)
    senders.join()
    again = start(*where, *options)
    objects = stored(s3)
    assert {f"1.2.3.{number}" for number in senders.acknowledged} <= set(objects)
    assert indexed(location) == set(objects)
    for uid, key in objects.items():
        ds = dcmread(io.BytesIO(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()))
        assert ds.PixelData == an_object(uid.removeprefix("1.2.3.")).PixelData
    assoc = associate(again.port)
    assert assoc.send_c_store(an_object("9.9")).Status == 0x0000
    assoc.release()
    assert again.stop(signal.SIGTERM) == 0
    assert "1.2.3.9.9" in indexed(location) & set(stored(s3))
