"""Storage SCU: data sets and files, one by one and many, statuses and what they say."""

import os
from collections.abc import Iterator
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEGLosslessSV1

from pynetdicom import AE, StoragePresentationContexts, build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_contexts_for, plan_associations
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS, code_to_category


def describe(code: int) -> str:
    category, meaning = STORAGE_SERVICE_CLASS_STATUS.get(code, (code_to_category(code), ""))
    return f"{category}: {meaning}"


def send(assoc: Association, ds: Dataset) -> bool:
    status = assoc.send_c_store(ds, priority=1, originator_aet="MOVER", originator_id=3)
    if "ErrorComment" in status:
        print(status.ErrorComment.strip(), status.get("ErrorID"))
    print(describe(status.Status))
    return bool(status) and status.Status == 0x0000


def slices(directory: Path) -> Iterator[Path]:
    yield from directory.rglob("*.dcm")


ae = AE()
ae.requested_contexts = StoragePresentationContexts
ae.add_requested_context(CTImageStorage, [ExplicitVRLittleEndian, JPEGLosslessSV1])
contexts: list[PresentationContext] = [build_context(CTImageStorage), build_context("1.2.3")]
for cx in contexts:
    print(
        cx.abstract_syntax.name, cx.abstract_syntax.is_private, cx.transfer_syntax[0].is_compressed
    )
    cx.abstract_syntax = "1.2.840.10008.5.1.4.1.1.4"
    cx.transfer_syntax = [ExplicitVRLittleEndian]
    cx.add_transfer_syntax("1.2.840.10008.1.2")

assoc = ae.associate("127.0.0.1", 11112, contexts=contexts)
send(assoc, dcmread("ct.dcm"))
assoc.send_c_store("ct.dcm")
assoc.send_c_store(Path("ct.dcm"), msg_id=12)

for text, status in assoc.send_c_stores(["a.dcm", "b.dcm"]):
    print(text.upper(), status.problem or status.Status)
for path, status in assoc.send_c_stores(slices(Path("images")), send_ahead=True):
    print(path.name, status.problem or hex(status.Status))
for entry, status in assoc.send_c_stores(os.scandir("images"), associations=4):
    print(entry.stat().st_size, status.message_id)
for raw, _ in assoc.send_c_stores(os.scandir(b"images")):
    print(raw.path.decode())
failed = [
    path for path, status in assoc.send_c_stores(slices(Path())) if status.problem is not None
]
assoc.release()

for batch, paths in plan_associations(["a.dcm", "b.dcm"]):
    print(len(batch), len(paths))
another = ae.associate("127.0.0.1", 11112, contexts=build_contexts_for(slices(Path("images"))))
accepted = {context.abstract_syntax: context.as_scu for context in another.accepted_contexts}
another.abort()
