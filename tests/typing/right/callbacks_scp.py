"""All services in the style of pynetdicom 1.x: functions assigned, an AE that listens itself."""

from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from pynetdicom import AE, QueryRetrievePresentationContexts, StoragePresentationContexts
from pynetdicom.presentation import PresentationContextTuple
from pynetdicom.sop_class import VerificationSOPClass


def on_c_echo(context: PresentationContextTuple, info: dict[str, Any]) -> int:
    print(info["requestor"]["ae_title"].decode(), context.transfer_syntax.name)
    return 0x0000


def on_c_store(dataset: Dataset, context: PresentationContextTuple, info: dict[str, Any]) -> int:
    dataset.save_as(f"{dataset.SOPInstanceUID}.dcm", enforce_file_format=True)
    return 0x0000


def on_c_store_anyhow(dataset: Any, context: Any, info: Any) -> Any:
    return 0x0000


def on_c_find(
    dataset: Dataset, context: PresentationContextTuple, info: dict[str, Any]
) -> Iterator[tuple[int, Dataset | None]]:
    yield 0xFF00, dataset
    yield 0x0000, None


def on_c_get(dataset: Dataset, context: Any, info: Any) -> Iterator[int | tuple[int, Dataset]]:
    yield 1
    yield 0xFF00, dataset


def on_c_move(
    dataset: Dataset, move_aet: bytes, context: PresentationContextTuple, info: dict[str, Any]
) -> Iterator[Any]:
    yield ("127.0.0.1", 11113) if move_aet.strip() == b"STORESCP" else (None, None)
    yield 0


def on_n_get(
    attr: list[BaseTag], context: PresentationContextTuple, info: dict[str, Any]
) -> tuple[int, Dataset]:
    ds = Dataset()
    for tag in attr:
        ds[tag] = Dataset()[tag]
    return 0x0000, ds


def on_n_create(dataset: Dataset, context: Any, info: Any) -> tuple[int, None]:
    return 0x0000, None


def on_user_identity(
    user_id_type: int, primary_field: bytes, secondary_field: bytes, info: dict[str, Any]
) -> tuple[bool, bytes | None]:
    return user_id_type == 2 and primary_field == b"alice", None


def on_association_aborted(primitive: Any = None) -> None:
    print("aborted", primitive)


ae = AE(ae_title=b"ALL", port=11112)
ae.bind_addr = "127.0.0.1"
ae.supported_contexts = StoragePresentationContexts
ae.supported_contexts = QueryRetrievePresentationContexts
ae.add_supported_context(VerificationSOPClass, scu_role=None, scp_role=None)
ae.on_c_echo = on_c_echo
ae.on_c_store = on_c_store
ae.on_c_store = on_c_store_anyhow
ae.on_c_find = on_c_find
ae.on_c_get = on_c_get
ae.on_c_move = on_c_move
ae.on_n_get = on_n_get
ae.on_n_create = on_n_create
ae.on_n_set = lambda dataset, context, info: (0x0000, dataset)
ae.on_n_delete = lambda context, info: 0x0000
ae.on_user_identity = on_user_identity
ae.on_sop_class_extended = lambda app_info: {uid: b"\x01" for uid in app_info}
ae.on_sop_class_common_extended = lambda items: items
ae.on_async_ops_window = lambda nr_invoked, nr_performed: (nr_invoked, 1)
ae.on_association_requested = print
ae.on_association_aborted = on_association_aborted
print(ae.on_c_echo is on_c_echo, ae)
ae.start(select_timeout=0.5)
ae.stop()
