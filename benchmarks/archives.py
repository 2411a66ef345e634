"""The parties of queries and retrieval: archives, and those who ask them, ours and DCMTK's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.parties import DCMTK, HOST, Pynetdicom
from benchmarks.processes import BenchmarkError, Peer, free_port, peer, run

ARCHIVE, DESTINATION = "ARCHIVE", "MOVESCU"


@dataclass(frozen=True)
class Objects:
    """What an archive holds: the objects of one study."""

    files: Sequence[Path]
    study: str
    first: str
    """UID of one of the instances."""


@dataclass(frozen=True)
class Running:
    """An archive that listens, and where its move destination has to."""

    peer: Peer
    port: int
    store_port: int


class DCMTKArchive(DCMTK):
    """``dcmqrscp`` with its index, and ``findscu``, ``getscu``, ``movescu``."""

    @contextmanager
    def archive(self, objects: Objects, work: Path, errors: Path) -> Iterator[Running]:
        """Register the objects, and start an archive that has them."""
        area = work / "area"
        area.mkdir()
        index = [self._tools["dcmqridx"], str(area), *map(str, objects.files)]
        run(index, self._environment, limit=600)
        port, store_port = free_port(), free_port()
        config = work / "dcmqrscp.cfg"
        config.write_text(
            f"NetworkTCPPort = {port}\nMaxPDUSize = 131072\nMaxAssociations = 4\n"
            f"HostTable BEGIN\nscu = ({DESTINATION}, {HOST}, {store_port})\nHostTable END\n"
            "VendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\n{ARCHIVE} {area} RW (500, 102400mb) ANY\nAETable END\n"
        )
        command = [self._tools["dcmqrscp"], "-c", str(config)]
        with peer(command, self._environment, errors, port=port) as running:
            yield Running(running, port, store_port)

    def ask(self, operation: str, running: Running, objects: Objects, out: Path) -> float:
        """Ask for one object, and for all; give the seconds that all of them take more."""
        one = self._ask(operation, running, [f"SOPInstanceUID={objects.first}"], objects, out)
        for path in out.iterdir():
            path.unlink()
        return self._ask(operation, running, ["SOPInstanceUID"], objects, out) - one

    def _ask(
        self, operation: str, running: Running, keys: Sequence[str], objects: Objects, out: Path
    ) -> float:
        level = "IMAGE" if operation == "find" or "=" in keys[0] else "STUDY"
        options = {
            "find": ["-k", "InstanceNumber", "-k", "SeriesInstanceUID"],
            "get": ["-od", str(out)],
            "move": ["-od", str(out), "+P", str(running.store_port)],
        }[operation]
        if operation == "move":
            options += ["-aet", DESTINATION, "-aem", DESTINATION]
        tool = self._tools[f"{operation}scu"]
        query = [f"QueryRetrieveLevel={level}", f"StudyInstanceUID={objects.study}"]
        if level == "IMAGE":
            query += keys
        command = [tool, "-q", *self._pdu, "-S", "-aec", ARCHIVE, *options]
        command += [word for key in query for word in ("-k", key)]
        return run([*command, HOST, str(running.port)], self._environment).seconds


class OurArchive(Pynetdicom):
    """An SCP whose handlers have the answers at hand, and an SCU; both are workers."""

    @contextmanager
    def archive(self, objects: Objects, work: Path, errors: Path) -> Iterator[Running]:
        """Start an archive that has the objects."""
        store_port = free_port()
        names = work / "files"
        names.write_text("\n".join(map(str, objects.files)))
        command = self._worker("archive", str(names), str(store_port))
        with peer(command, self._environment, errors) as running:
            yield Running(running, running.port, store_port)

    def ask(self, operation: str, running: Running, objects: Objects, out: Path) -> float:
        """Ask for all objects; give the seconds that this takes."""
        arguments = [operation, str(running.port), str(running.store_port), objects.study, str(out)]
        report = self._run("retrieve", *arguments)
        if report["count"] != len(objects.files):
            raise BenchmarkError(f"{report['count']} of {len(objects.files)} came")
        return float(report["seconds"])
