"""pynetdicom.planning: the presentation contexts that files need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pynetdicom import AE, evt
from pynetdicom.planning import in_associations, needed_by
from pynetdicom.presentation import build_contexts_for, plan_associations
from tests.faults.peer import CT, IMPLICIT
from tests.peers import ct

EXPLICIT, BIG, RLE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5"
VERIFICATION = "1.2.840.10008.1.1"


def save(directory: Path, name: str, sop_class: str = CT, syntax: str = EXPLICIT) -> Path:
    ds = ct(10)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_class
    ds.SOPInstanceUID = f"1.2.3.{name}"
    ds.file_meta.TransferSyntaxUID = syntax
    ds.save_as(directory / name, enforce_file_format=True)
    return directory / name


def shown(contexts: Any) -> list[tuple[str, list[str]]]:
    return [(cx.abstract_uid, cx.transfer_uids) for cx in contexts]


def test_what_kinds_need() -> None:
    assert needed_by((CT, RLE)) == [(CT, RLE)]
    assert needed_by((CT, EXPLICIT)) == [(CT, EXPLICIT), (CT, IMPLICIT)]
    assert needed_by((CT, IMPLICIT)) == [(CT, IMPLICIT), (CT, EXPLICIT)]
    assert needed_by((CT, BIG)) == [(CT, BIG), (CT, EXPLICIT), (CT, IMPLICIT)]
    assert list(in_associations([])) == []


def test_contexts_for_files(tmp_path: Path) -> None:
    """One transfer syntax each; what cannot be read needs none."""
    paths = [
        save(tmp_path, "1"),
        save(tmp_path, "2", syntax=RLE),
        save(tmp_path, "3"),
        save(tmp_path, "4", "1.2.3.private", IMPLICIT),
    ]
    contexts = build_contexts_for([*paths, tmp_path / "missing", tmp_path])
    assert shown(contexts) == [
        (CT, [EXPLICIT]),
        (CT, [IMPLICIT]),
        (CT, [RLE]),
        ("1.2.3.private", [IMPLICIT]),
        ("1.2.3.private", [EXPLICIT]),
    ]
    assert build_contexts_for([]) == []


def test_more_kinds_than_an_association_has_room_for(tmp_path: Path) -> None:
    paths = [save(tmp_path, str(n), f"1.2.4.{n}", RLE) for n in range(300)]
    paths.insert(7, tmp_path / "missing")
    with pytest.raises(ValueError, match=r"300 .* at most 128.*plan_associations"):
        build_contexts_for(paths)
    planned = list(plan_associations(iter(paths)))
    assert [len(contexts) for contexts, _ in planned] == [128, 128, 44]
    # Each path once, in order, the one that cannot be read too.
    assert [path for _, part in planned for path in part] == paths


def test_only_what_cannot_be_read(tmp_path: Path) -> None:
    """It is still sent, in vain, so that the reason is said."""
    missing = tmp_path / "missing"
    [(contexts, paths)] = plan_associations([missing])
    assert shown(contexts) == [(VERIFICATION, [IMPLICIT])]
    assert paths == [missing]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, RLE])
@pytest.mark.parametrize("first", [EXPLICIT, IMPLICIT])
def test_files_arrive_as_they_are(tmp_path: Path, syntax: str, first: str) -> None:
    """Whichever transfer syntax the acceptor prefers."""
    path = save(tmp_path, "1", syntax=syntax)
    got: list[tuple[str, bytes]] = []

    def store(event: Any) -> int:
        syntax = str(event.context.transfer_syntax)
        got.append((syntax, event.encoded_dataset(include_meta=False)))
        return 0

    scp, scu = AE(), AE()
    scp.add_supported_context(CT, list(dict.fromkeys([first, EXPLICIT, IMPLICIT, BIG, RLE])))
    server = scp.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    assert server is not None
    try:
        contexts = build_contexts_for([path])
        assoc = scu.associate("127.0.0.1", server.server_address[1], contexts)
        assert [status.Status for _, status in assoc.send_c_stores([path])] == [0]
        assert assoc.send_c_store(path).Status == 0
    finally:
        scu.shutdown()
        scp.shutdown()
    assert [one for one, _ in got] == [syntax] * 2
    assert all(path.read_bytes().endswith(data) for _, data in got)
