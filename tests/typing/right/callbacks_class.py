"""An AE of a class of its own, whose callbacks are methods; debug hooks of associations."""

from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset

from pynetdicom import AE, Association
from pynetdicom.presentation import PresentationContextTuple
from pynetdicom.sop_class import CTImageStorage


class Archive(AE):
    def __init__(self, directory: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.directory = directory
        self.kept: list[Dataset] = []

    def on_c_store(
        self, dataset: Dataset, context: PresentationContextTuple, info: dict[str, Any]
    ) -> int:
        self.kept.append(dataset)
        return 0x0000

    def on_c_find(self, dataset: Any, context: Any, info: Any) -> Iterator[tuple[int, Dataset]]:
        yield from ((0xFF00, ds) for ds in self.kept if ds.PatientID == dataset.PatientID)

    def on_association_requested(self, primitive: Any) -> None:
        print(primitive.calling_ae_title)

    def on_association_released(self, primitive: Any = None) -> None:
        print(self.active_associations)


archive = Archive("images", ae_title="ARCHIVE", port=11112)
archive.add_supported_context(CTImageStorage)
archive.on_c_echo = lambda context, info: 0x0000
archive.start()


def requested(primitive: Any) -> None:
    print(primitive)


ae = AE(ae_title=b"CALLER")
ae.add_requested_context(CTImageStorage)
assoc: Association = ae.associate("127.0.0.1", 11112, ae_title=b"ARCHIVE")
assoc.debug_association_released = requested
assoc.release()
ae.quit()
