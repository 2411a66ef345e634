"""Router: receive objects, and forward each to one or several destinations, by rules.

    python examples/tutorials/router.py 127.0.0.1 11112 \
        --to ARCHIVE=127.0.0.1:11113 --to AI=127.0.0.1:11114

A sender is answered when its object is on the disk. From there it goes on, and is removed when the
destination has answered that it has it, whatever happens to this program meanwhile:

    queue/ARCHIVE/TIME-INSTANCE.dcm      what ARCHIVE does not have yet
    refused/ARCHIVE/TIME-INSTANCE.dcm    what it does not want; the log says why

Objects are not decoded: what goes out are the bytes that came in.
Runs until Ctrl-C or SIGTERM, and then ends with 0.
"""

import argparse
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from pydicom import Dataset

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.errors import DataSetDecodeError
from pynetdicom.presentation import plan_associations
from pynetdicom.sop_class import Verification
from pynetdicom.status import code_to_category

MODALITY = 0x00080060
INVALID_INSTANCE = 0x0117
OUT_OF_RESOURCES = 0xA700
CANNOT_UNDERSTAND = 0xC000


def route(event: evt.CStoreEvent) -> Iterator[str]:
    """The rules: give the AE titles of where an object goes. Put yours here."""
    yield "ARCHIVE"  # everything
    if event.received.text(MODALITY) == "CT" and event.assoc.requestor.ae_title != "AI":
        yield "AI"  # new CT images, and not what AI has made of them


def log(text: str) -> None:
    print(text, flush=True)


class Destination:
    """A peer, the folder of what it does not have yet, and the thread that sends it."""

    def __init__(
        self, ae: AE, title: str, host: str, port: int, directory: Path, retry: int = 60
    ) -> None:
        self.ae, self.title, self.host, self.port = ae, title, host, port
        self.queue, self.refused = directory / "queue" / title, directory / "refused" / title
        for folder in (self.queue, self.refused):
            folder.mkdir(parents=True, exist_ok=True)
        self.retry = retry
        self.wake, self.over = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.run)

    def put(self, event: evt.CStoreEvent) -> None:
        """Have an object sent; it is on the disk when this returns. For any thread."""
        event.save_as(self.queue / f"{time.time_ns()}-{event.file_name}", sync=True)
        self.wake.set()

    def stop(self) -> None:
        self.over.set()
        self.wake.set()

    def run(self) -> None:
        """Send what is there, what an earlier process has left first, and wait for more."""
        while not self.over.is_set():
            self.wake.clear()
            paths = sorted(self.queue.glob("*.dcm"))
            if not paths:
                self.wake.wait()
            elif not self.send(paths):
                self.over.wait(self.retry)

    def send(self, paths: list[Path]) -> bool:
        """Send files; gives whether the destination has taken all of them."""
        is_well = True
        for contexts, group in plan_associations(paths):
            assoc = self.ae.associate(self.host, self.port, contexts, ae_title=self.title)
            if not assoc.is_established:
                log(f"{self.title}: {len(paths)} objects wait: {assoc.ended}")
                return False
            for path, status in assoc.send_c_stores(group):
                is_well = self.settle(path, status) and is_well
            assoc.release()
        return is_well

    def settle(self, path: Path, status: Dataset) -> bool:
        """Go by what was answered; gives whether the file has left the queue."""
        code = status.get("Status")
        if code is None:
            log(f"{self.title}: {path.name} waits: {status.problem}")
            return False
        answer = f"0x{code:04X} {status.get('ErrorComment', '')}"
        if code >> 8 == OUT_OF_RESOURCES >> 8:
            log(f"{self.title}: {path.name} waits: {answer}")
            return False
        if code_to_category(code) in ("Success", "Warning"):
            path.unlink()
        else:
            log(f"{self.title}: {path.name} is refused: {answer}")
            path.rename(self.refused / path.name)
        return True


class Router:
    """Receives on the associations' threads, and has the destinations send on theirs."""

    def __init__(self, destinations: list[Destination]) -> None:
        self.destinations = {destination.title: destination for destination in destinations}

    def handle_store(self, event: evt.CStoreEvent) -> int:
        """Queue an object; what is returned is the status that the sender gets."""
        try:
            for title in route(event):
                self.destinations[title].put(event)
        except DataSetDecodeError:
            return CANNOT_UNDERSTAND
        except ValueError:
            return INVALID_INSTANCE
        except OSError as error:
            log(f"not received: {error.strerror}")
            return OUT_OF_RESOURCES  # where a part of it is queued, that is sent twice: no harm
        return 0x0000


def address(text: str) -> tuple[str, str, int]:
    """TITLE=HOST:PORT of the command line."""
    title, _, rest = text.partition("=")
    host, _, port = rest.rpartition(":")
    return title, host, int(port)


def main() -> int:
    parser = argparse.ArgumentParser(description="Forward what is received, by rules.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("--to", type=address, action="append", default=[], help="TITLE=HOST:PORT")
    parser.add_argument("--directory", type=Path, default=Path("router"))
    parser.add_argument("--retry", type=float, default=60, help="seconds until it is tried again")
    args = parser.parse_args()

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    ae = AE("ROUTER")
    ae.add_supported_context(Verification)
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
    destinations = [
        Destination(ae, title, host, port, args.directory, args.retry)
        for title, host, port in args.to
    ]
    router = Router(destinations)
    for destination in destinations:
        destination.thread.start()
    ae.start_server(
        (args.host, args.port),
        block=False,
        evt_handlers=[(evt.EVT_C_STORE, router.handle_store)],
        spool_dir=str(args.directory),
        unrestricted_storage=True,  # private SOP Classes, too
    )
    log(f"listening on port {args.port}")
    stop.wait()
    for destination in destinations:
        destination.stop()
    ae.shutdown()  # ends what is being sent, too: it is sent again after the next start
    for destination in destinations:
        destination.thread.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
