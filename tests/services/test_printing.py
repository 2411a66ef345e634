"""A film in colour from its session to the end of its print job (PS3.4 Annex H)."""

from __future__ import annotations

import queue
import threading
from typing import Any

from pydicom.dataset import Dataset

from pynetdicom import AE, PrintManagementPresentationContexts, evt
from pynetdicom.sop_class import (
    BasicAnnotationBox,
    BasicColorImageBox,
    BasicColorPrintManagementMeta,
    BasicFilmBox,
    BasicFilmSession,
    Printer,
    PrinterConfigurationRetrieval,
    PrinterConfigurationRetrievalInstance,
    PrinterInstance,
    PrintJob,
)
from tests.association.test_normalized import data_set
from tests.pair import serve
from tests.peers import DEADLINE

META = BasicColorPrintManagementMeta
JOB = "1.2.3.9"


def reference(sop_class: str, uid: str) -> Dataset:
    return data_set(ReferencedSOPClassUID=sop_class, ReferencedSOPInstanceUID=uid)


class PrinterScp:
    """Prints nothing; tells of its job from a thread of its own, and of itself in between."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.answered: list[int] = []
        self.threads: list[threading.Thread] = []

    def handle(self, event: Any) -> Any:
        request, context = event.request, event.context.abstract_syntax
        sop_class = request.RequestedSOPClassUID or request.AffectedSOPClassUID
        self.asked.append((request.name, sop_class, context))
        if request.name == "N-CREATE" and sop_class == BasicFilmBox:
            boxes = [reference(BasicColorImageBox, "1.2.3.7")]
            notes = [reference(BasicAnnotationBox, "1.2.3.8")]
            return 0xB605, data_set(
                ReferencedImageBoxSequence=boxes, ReferencedBasicAnnotationBoxSequence=notes
            )
        if request.name == "N-ACTION":
            self.threads.append(threading.Thread(target=self.report, args=[event.assoc]))
            self.threads[-1].start()
            return 0x0000, data_set(ReferencedPrintJobSequence=[reference(PrintJob, JOB)])
        if request.name == "N-GET":
            known = data_set(ExecutionStatus="DONE", PrinterStatus="NORMAL", ImageDisplayFormat="1")
            found = Dataset()
            found.update({tag: known[tag] for tag in event.attribute_identifiers})
            return 0x0000, found
        return 0x0000

    def report(self, assoc: Any) -> None:
        info = data_set(ExecutionStatusInfo="NORMAL", PrintJobID="1")
        low = data_set(PrinterStatusInfo="SUPPLY LOW")
        for kind in (1, 2):
            self.answered.append(assoc.send_n_event_report(info, kind, PrintJob, JOB)[0].Status)
        status, _ = assoc.send_n_event_report(low, 2, Printer, PrinterInstance, meta_uid=META)
        self.answered.append(status.Status)
        self.answered.append(assoc.send_n_event_report(info, 3, PrintJob, JOB)[0].Status)


def test_a_film_in_colour_and_its_print_job() -> None:
    printer = PrinterScp()
    events: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()

    def told(event: Any) -> int:
        events.put((event.request.AffectedSOPClassUID, event.event_type))
        return 0x0000

    scp, scu = AE("PRINTER"), AE("SCU")
    scp.supported_contexts = scu.requested_contexts = PrintManagementPresentationContexts
    names = ("N_CREATE", "N_SET", "N_ACTION", "N_GET", "N_DELETE")
    handlers = [(getattr(evt, f"EVT_{name}"), printer.handle) for name in names]
    server = serve(scp, evt_handlers=handlers)
    reports = [(evt.EVT_N_EVENT_REPORT, told)]
    with scu.associate(*server.server_address[:2], evt_handlers=reports) as assoc:
        where = PrinterConfigurationRetrieval, PrinterConfigurationRetrievalInstance
        assert assoc.send_n_get(["ImageDisplayFormat"], *where)[0].Status == 0x0000
        status, state = assoc.send_n_get(["PrinterStatus"], Printer, PrinterInstance, meta_uid=META)
        assert (status.Status, state.PrinterStatus) == (0x0000, "NORMAL")
        assert assoc.send_n_create(None, BasicFilmSession, "1.2.3.5", meta_uid=META)[0].Status == 0
        of_film = data_set(
            ImageDisplayFormat="STANDARD\\1,1",
            ReferencedFilmSessionSequence=[reference(BasicFilmSession, "1.2.3.5")],
        )
        status, made = assoc.send_n_create(of_film, BasicFilmBox, "1.2.3.6", meta_uid=META)
        assert (status.Status, status.AffectedSOPInstanceUID) == (0xB605, "1.2.3.6")
        box = made.ReferencedImageBoxSequence[0].ReferencedSOPInstanceUID
        content = data_set(ImageBoxPosition=1, BasicColorImageSequence=[Dataset()])
        assert assoc.send_n_set(content, BasicColorImageBox, box, meta_uid=META)[0].Status == 0
        note = made.ReferencedBasicAnnotationBoxSequence[0].ReferencedSOPInstanceUID
        text = data_set(AnnotationPosition=1, TextString="note")
        assert assoc.send_n_set(text, BasicAnnotationBox, note)[0].Status == 0
        status, reply = assoc.send_n_action(None, 1, BasicFilmBox, "1.2.3.6", meta_uid=META)
        assert status.Status == 0
        assert reply.ReferencedPrintJobSequence[0] == reference(PrintJob, JOB)
        came = [events.get(timeout=DEADLINE) for _ in range(4)]
        assert came == [(PrintJob, 1), (PrintJob, 2), (Printer, 2), (PrintJob, 3)]
        status, state = assoc.send_n_get(["ExecutionStatus"], PrintJob, JOB)
        assert (status.Status, state.ExecutionStatus) == (0, "DONE")
        assert assoc.send_n_delete(BasicFilmSession, "1.2.3.5", meta_uid=META).Status == 0
        for thread in printer.threads:
            thread.join(DEADLINE)
        assert printer.answered == [0x0000] * 4
    server.shutdown()
    own = {PrintJob, BasicAnnotationBox, PrinterConfigurationRetrieval}
    for _, sop_class, context in printer.asked:
        assert context == (sop_class if sop_class in own else META)
