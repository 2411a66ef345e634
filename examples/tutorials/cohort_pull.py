"""Cohort pull: retrieve all studies of a list of patients, under other names.

    python examples/tutorials/cohort_pull.py 127.0.0.1 11112 patients.csv --title ARCHIVE

The list is a CSV file with a column PatientID, and, if wanted, StudyDate (20240101-20241231) and
ModalitiesInStudy (CT). What comes is written to

    cohort/PATIENT/STUDY/INSTANCE.dcm   under names that are made of the real ones and a secret
    private/secret                      that secret: who has it can find the patients again
    private/names.csv                   Patient IDs, and their names in the cohort
    private/report.csv                  what there should be, what is there, and why not

Started again, it retrieves what is not there yet. Ends with 0 when nothing is missing.
"""

import argparse
import csv
import hmac
import os
import secrets
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement

from pynetdicom import (
    AE,
    ALL_TRANSFER_SYNTAXES,
    AllStoragePresentationContexts,
    build_context,
    evt,
)
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_contexts_to_receive
from pynetdicom.sop_class import CTImageStorage, MRImageStorage
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as FIND
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as GET
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove as MOVE

OUT_OF_RESOURCES = 0xA700
NOT_AUTHORIZED = 0x0124

REMOVED = (
    "PatientBirthDate", "PatientBirthTime", "PatientAddress", "PatientTelephoneNumbers",
    "OtherPatientIDs", "OtherPatientIDsSequence", "IssuerOfPatientID", "PatientComments",
    "AccessionNumber", "InstitutionName", "InstitutionAddress", "StationName", "StudyID",
    "RequestAttributesSequence", "DeviceSerialNumber",
)  # fmt: skip


Row = dict[str, str]
"""Of the list: keywords, and values."""

Instance = tuple[str, str, str]
"""Series Instance UID, SOP Instance UID, SOP Class UID."""

Result = tuple[str, str, int, int, str]
"""Of the report: name, study, how many are expected and are there, and why not all."""


class Incomplete(Exception):
    """Why something could not be asked for, or not all of it came."""


class Cohort:
    """The files, and the names in them."""

    def __init__(self, directory: Path) -> None:
        self.images, self.private = directory / "cohort", directory / "private"
        for folder in (self.images, self.private):
            folder.mkdir(parents=True, exist_ok=True)
        self.private.chmod(0o700)
        secret = self.private / "secret"
        if not secret.exists():
            write(secret, secrets.token_hex(32))
        self.secret = secret.read_bytes()
        self.expected: dict[str, Path] = {}  # SOP Instance UIDs, and their files
        self.problem: str | None = None  # why nothing can be written

    def code(self, text: str) -> bytes:
        return hmac.digest(self.secret, text.encode(), "sha256")

    def name(self, patient_id: str) -> str:
        return f"P{self.code(patient_id).hex()[:12]}"

    def uid(self, uid: str) -> str:
        """The UID in the cohort: the same for the same one, so that references still hold."""
        return f"2.25.{int.from_bytes(self.code(uid)[:16])}"

    def path(self, patient_id: str, study: str, instance: str) -> Path:
        return self.images / self.name(patient_id) / self.uid(study) / f"{self.uid(instance)}.dcm"

    def handle_store(self, event: evt.CStoreEvent) -> int:
        """Write an object; what is returned is the status that the archive gets."""
        path = self.expected.get(event.request.AffectedSOPInstanceUID)
        if path is None:
            return NOT_AUTHORIZED  # nobody has asked for it
        if path.exists():
            return 0x0000  # it has come before
        ds = event.dataset
        self.deidentify(ds, path.parent.parent.name)
        ds.file_meta = event.file_meta
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            ds.save_as(part, enforce_file_format=True)
            os.replace(part, path)  # a name is there when its file is complete
        except OSError as error:
            self.problem = error.strerror
            return OUT_OF_RESOURCES
        return 0x0000

    def deidentify(self, ds: Dataset, name: str) -> None:
        """Replace what names the patient; this is NOT all that PS3.15 Annex E asks for."""
        ds.remove_private_tags()
        ds.walk(self.replace)
        ds.PatientName = ds.PatientID = name
        ds.DeidentificationMethod = "names, IDs and UIDs replaced by cohort_pull.py"

    def replace(self, ds: Dataset, element: DataElement) -> None:
        if element.keyword in REMOVED:
            del ds[element.tag]
        elif element.VR == "PN":  # doctors, operators, and the patient
            element.value = None
        elif element.VR == "UI" and element.value:
            uids = [element.value] if isinstance(element.value, str) else element.value
            element.value = [
                uid if uid.startswith("1.2.840.10008.") else self.uid(uid) for uid in uids
            ]


def said(status: Dataset, assoc: Association) -> str:
    """What the archive has answered."""
    if "Status" not in status:
        return f"no answer: {assoc.ended}"
    return f"0x{status.Status:04X} {status.get('ErrorComment', '')}".strip()


def write(path: Path, text: str) -> None:
    """Write a file; it has its name when it is complete."""
    part = path.with_suffix(".part")
    part.write_text(text)
    os.replace(part, path)


class Archive:
    """The peer that has the studies."""

    def __init__(
        self,
        ae: AE,
        host: str,
        port: int,
        title: str,
        cohort: Cohort,
        per_minute: int = 0,
        at_a_time: int = 50,
        move: bool = False,
    ) -> None:
        self.ae, self.host, self.port, self.title = ae, host, port, title
        self.cohort, self.at_a_time, self.move = cohort, at_a_time, move
        self.seconds_each = 60 / per_minute if per_minute else 0
        self.next = time.monotonic()

    def associate(self, contexts: list[PresentationContext], **options: Any) -> Association:
        assoc = self.ae.associate(self.host, self.port, contexts, ae_title=self.title, **options)
        if not assoc.is_established:
            raise Incomplete(f"no association: {assoc.ended}")
        return assoc

    def find(self, assoc: Association, level: str, told: list[str], **wanted: str) -> list[Dataset]:
        """Ask what there is; raises where the answer is not all of it."""
        keys = Dataset()
        keys.QueryRetrieveLevel = level
        for keyword in told:
            setattr(keys, keyword, None)
        for keyword, value in wanted.items():
            setattr(keys, keyword, value)
        matches = []
        for status, match in assoc.send_c_find(keys, FIND):
            if match is not None:
                matches.append(match)
            elif status.get("Status") != 0x0000:
                raise Incomplete(f"the query for {level}: {said(status, assoc)}")
        return matches

    def studies(self, assoc: Association, row: Row) -> Iterator[str]:
        """The studies of a row of the list."""
        wanted = {keyword: value for keyword, value in row.items() if value}
        told = ["PatientID", "StudyInstanceUID"]
        for study in self.find(assoc, "STUDY", told, **wanted):
            # Not every archive goes by every key: what was not asked for is left out here.
            if study.PatientID == row["PatientID"]:
                yield study.StudyInstanceUID

    def instances(self, assoc: Association, study: str) -> Iterator[Instance]:
        """Give (series, SOP Instance UID, SOP Class UID) of what a study has."""
        for series in self.find(assoc, "SERIES", ["SeriesInstanceUID"], StudyInstanceUID=study):
            uid = series.SeriesInstanceUID
            told = ["SOPInstanceUID", "SOPClassUID"]
            above = {"StudyInstanceUID": study, "SeriesInstanceUID": uid}
            for image in self.find(assoc, "IMAGE", told, **above):
                yield uid, image.SOPInstanceUID, image.get("SOPClassUID") or ""

    def retrieve(self, study: str, missing: list[Instance]) -> None:
        """Have instances sent, in portions."""
        portions: dict[str, list[str]] = {}
        for series, uid, _ in missing:
            portions.setdefault(series, []).append(uid)
        problem = None
        with self.retrieving({sop_class for _, _, sop_class in missing}) as assoc:
            for series, uids in portions.items():
                for start in range(0, len(uids), self.at_a_time):
                    portion = uids[start : start + self.at_a_time]
                    if assoc.is_established:  # one that cannot be sent does not cost the others
                        self.keep_pace(len(portion))
                        problem = self.have_sent(assoc, study, series, portion) or problem
        if problem:
            raise Incomplete(problem)

    def retrieving(self, sop_classes: set[str]) -> Association:
        if self.move:
            return self.associate([build_context(MOVE)])
        # For a C-GET we propose what is sent to us, and that we are the SCP of it.
        kinds = sop_classes - {""} or {CTImageStorage, MRImageStorage}
        contexts, roles = build_contexts_to_receive(kinds)
        handlers = [(evt.EVT_C_STORE, self.cohort.handle_store)]
        return self.associate([build_context(GET), *contexts], ext_neg=roles, evt_handlers=handlers)

    def keep_pace(self, count: int) -> None:
        """Wait until so many more may be asked for."""
        now = time.monotonic()
        time.sleep(max(0, self.next - now))
        self.next = max(self.next, now) + count * self.seconds_each

    def have_sent(self, assoc: Association, study: str, series: str, uids: list[str]) -> str | None:
        """Have instances of a series sent; gives what went wrong, if something did."""
        keys = Dataset()
        keys.QueryRetrieveLevel = "IMAGE"
        keys.StudyInstanceUID, keys.SeriesInstanceUID = study, series
        keys.SOPInstanceUID = uids
        if self.move:
            responses = assoc.send_c_move(keys, self.ae.ae_title, MOVE)
        else:
            responses = assoc.send_c_get(keys, GET)
        *_, (status, _) = responses  # what counts is the last one, and what is here
        if self.cohort.problem:
            raise SystemExit(f"nothing can be written: {self.cohort.problem}")
        return None if status.get("Status") == 0x0000 else said(status, assoc)


def read_list(path: Path) -> list[Row]:
    """The rows of the list; each column is a key of the query."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        if "PatientID" not in columns or any(tag_for_keyword(name) is None for name in columns):
            raise SystemExit(f"{path}: the columns are PatientID and other keywords of DICOM")
        return [{key: (value or "").strip() for key, value in row.items()} for row in reader]


def pull(archive: Archive, cohort: Cohort, row: Row) -> list[Result]:
    """Retrieve the studies of a patient; gives a row of the report for each."""
    patient_id = row["PatientID"]
    name = cohort.name(patient_id)
    if not patient_id or set(patient_id) & set("*?\\"):
        return [(name, "", 0, 0, "this Patient ID would match others")]
    report = []
    try:
        with archive.associate([build_context(FIND)]) as assoc:
            for study in list(archive.studies(assoc, row)):
                expected = list(archive.instances(assoc, study))
                paths = {uid: cohort.path(patient_id, study, uid) for _, uid, _ in expected}
                missing = [one for one in expected if not paths[one[1]].exists()]
                cohort.expected = paths
                why = ""
                try:
                    if missing:
                        archive.retrieve(study, missing)
                except Incomplete as error:
                    why = str(error)
                there = sum(path.exists() for path in paths.values())  # what counts is what is here
                if there < len(paths):
                    why = why or "the archive says that it has sent them"
                report.append((name, cohort.uid(study), len(paths), there, why))
    except Incomplete as error:
        report.append((name, "", 0, 0, str(error)))
    return report or [(name, "", 0, 0, "no such study")]


def to_csv(*rows: Iterable[object]) -> str:
    """The rows as text."""
    lines = []
    for row in rows:
        cells = [str(cell).replace('"', '""') for cell in row]
        lines.append(",".join(f'"{cell}"' for cell in cells))
    return "\n".join(lines) + "\n"


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Retrieve the studies of a list of patients.")
    parser.add_argument("host", help="the archive's host")
    parser.add_argument("port", type=int)
    parser.add_argument("list", type=Path, help="a CSV file with a column PatientID")
    parser.add_argument("--title", default="ANY-SCP", help="the archive's AE title")
    parser.add_argument("--directory", type=Path, default=Path())
    parser.add_argument("--per-minute", type=float, default=0, help="images at most (default: all)")
    parser.add_argument("--at-a-time", type=int, default=50, help="images of one request")
    parser.add_argument("--move", type=int, metavar="PORT", help="by C-MOVE, to this port of ours")
    args = parser.parse_args(words)

    rows = read_list(args.list)
    cohort = Cohort(args.directory)
    names = {row["PatientID"]: cohort.name(row["PatientID"]) for row in rows}
    write(cohort.private / "names.csv", to_csv(("PatientID", "Name"), *names.items()))

    ae = AE("COHORT")
    if args.move is not None:
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
        handlers = [(evt.EVT_C_STORE, cohort.handle_store)]
        ae.start_server(("", args.move), block=False, evt_handlers=handlers)
    peer = args.host, args.port, args.title
    by_move = args.move is not None
    archive = Archive(ae, *peer, cohort, args.per_minute, args.at_a_time, by_move)
    report = []
    try:
        for row in rows:
            for line in pull(archive, cohort, row):
                print(*line, flush=True)
                report.append(line)
    finally:
        head = ("Name", "Study", "Expected", "There", "Why")
        write(cohort.private / "report.csv", to_csv(head, *report))
        ae.shutdown()
    return 1 if any(why for *_, why in report) else 0


if __name__ == "__main__":
    sys.exit(main())
