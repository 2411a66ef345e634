"""getscu: what it proposes, stores and reports."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from argparse import ArgumentTypeError
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from pynetdicom.apps.getscu import hint_of_roles, plan, sop_class
from pynetdicom.apps.progress import Terminal
from pynetdicom.apps.retrieve import Final, account, compare, merged
from pynetdicom.apps.storescp import storage_classes
from pynetdicom.data_sets.data_set import encode_dataset
from pynetdicom.dimse.primitives import C_STORE, Primitive
from pynetdicom.presentation import OFTEN, TO_RECEIVE
from pynetdicom.query_models import query_model_uid
from pynetdicom.testing.pdus import acceptance
from pynetdicom.upper_layer.items import SCP_SCU_RoleSelectionNegotiation
from tests import warm
from tests.apps.conftest import CT, MR, SC_RLE, RunApp
from tests.apps.query_scp import RARE, RAREST, QueryScp, started
from tests.peers import DEADLINE, Acceptor, listening
from tests.sampled import sampled
from tests.scp import Scp

KEYS = ("-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=1")
STUDY = ("-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2")
EXPLICIT = "1.2.840.10008.1.2.1"
RLE = "1.2.840.10008.1.2.5"
CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"


def uid_of(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)


MakeScp = Callable[[Callable[[Any], Any]], QueryScp]


@pytest.fixture
def make_scp() -> Iterator[MakeScp]:
    started: list[QueryScp] = []

    def make(handler: Callable[[Any], Any]) -> QueryScp:
        started.append(QueryScp("C-GET", handler))
        return started[-1]

    yield make
    for scp in started:
        scp.close()


def sending(*paths: Any) -> Callable[[Any], Iterator[Any]]:
    def handler(event: Any) -> Iterator[Any]:
        yield len(paths)
        for path in paths:
            yield 0xFF00, path

    return handler


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_what_is_sent_is_stored(make_scp: MakeScp, run_app: RunApp, tmp_path: Path) -> None:
    """A compressed one as it is."""
    scp = make_scp(sending(CT, MR, SC_RLE))
    out = tmp_path / "out" / "here"
    classes = ("CTImageStorage", "MRImageStorage", "SecondaryCaptureImageStorage")
    flags = [word for name in classes for word in ("--sop-class", name)]
    ran = run_app("getscu", "127.0.0.1", scp.port, "-S", *STUDY, "-od", out, *flags)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "3 objects stored\n", "")
    assert names(out) == sorted(f"{uid_of(path)}.dcm" for path in (CT, MR, SC_RLE))
    for path in (CT, MR, SC_RLE):
        assert dcmread(out / f"{uid_of(path)}.dcm") == dcmread(path)
    stored = dcmread(out / f"{uid_of(SC_RLE)}.dcm")
    assert stored.file_meta.TransferSyntaxUID == RLE
    assert scp.requests[0].AffectedSOPClassUID == query_model_uid("C-GET", "S")
    assert scp.identifiers[0].StudyInstanceUID == "1.2"
    assert scp.released.wait(DEADLINE)


def test_a_uid_that_cannot_be_a_file_name(
    make_scp: MakeScp, run_app: RunApp, tmp_path: Path
) -> None:
    ds = dcmread(MR)
    ds["SOPInstanceUID"]._value = uid = "../1.2.a"
    scp = make_scp(sending(ds))
    refused = run_app("getscu", "127.0.0.1", scp.port, *KEYS, "-od", tmp_path / "out")
    assert refused.returncode == 1
    assert f"{uid}: not stored here, refused with 0x0117" in refused.stderr
    ran = run_app("getscu", "127.0.0.1", scp.port, *KEYS, "-od", tmp_path / "out", "--hash-uids")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "1 object stored\n", "")
    assert names(tmp_path / "out") == [f"sha256-{hashlib.sha256(uid.encode()).hexdigest()}.dcm"]
    assert names(tmp_path) == ["out"]


def test_everyday_images_come_as_they_are_compressed(
    make_scp: MakeScp, run_app: RunApp, tmp_path: Path
) -> None:
    scp = make_scp(sending(CT, MR, SC_RLE))
    ran = run_app("getscu", "127.0.0.1", scp.port, *KEYS)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "3 objects stored\n", "")
    assert names(tmp_path) == sorted(f"{uid_of(path)}.dcm" for path in (CT, MR, SC_RLE))
    assert len(scp.requests) == 1


def test_what_does_not_fit_into_one_association_comes_in_another(
    make_scp: MakeScp, run_app: RunApp, tmp_path: Path
) -> None:
    other = dcmread(CT)
    other.SOPClassUID = RARE
    other.SOPInstanceUID = "1.2.3"
    scp = make_scp(sending(CT, other, MR))
    ran = run_app("getscu", "127.0.0.1", scp.port, *KEYS)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "3 objects stored\n", "")
    assert names(tmp_path) == sorted(["1.2.3.dcm", *(f"{uid_of(path)}.dcm" for path in (CT, MR))])
    assert len(scp.requests) == 2


@pytest.mark.slow
def test_what_cannot_be_sent_in_any_association_fails(
    make_scp: MakeScp, run_app: RunApp, tmp_path: Path
) -> None:
    other = dcmread(CT)
    other.SOPClassUID = "1.2.3.4.5"
    other.SOPInstanceUID = "1.2.3"
    scp = make_scp(sending(CT, other))
    ran = run_app("getscu", "127.0.0.1", scp.port, *KEYS)
    assert (ran.returncode, ran.stdout) == (1, "1 object stored\n")
    uid, status, word = ran.stderr.splitlines()
    assert uid.startswith("getscu: 1.2.3: ")
    assert "0xB000" in status
    assert "1 completed, 0 warning, 1 failed" in status
    assert "--sop-class" in word


def test_nothing_is_overwritten(make_scp: MakeScp, run_app: RunApp, tmp_path: Path) -> None:
    other = dcmread(CT)
    other.PatientName = "Other"
    scp = make_scp(sending(CT, CT, other))
    ran = run_app("getscu", "127.0.0.1", scp.port, *KEYS)
    assert ran.returncode == 0
    uid = uid_of(CT)
    assert names(tmp_path) == [f"{uid}.dcm", f"{uid}_2.dcm"]
    assert dcmread(tmp_path / f"{uid}.dcm").PatientName != "Other"
    assert f"{uid}_2.dcm" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_what_was_there_already_is_said(make_scp: MakeScp, run_app: RunApp, tmp_path: Path) -> None:
    """In all, of each with -v, and in JSON as a Warning Reason."""
    run_app("getscu", "127.0.0.1", make_scp(sending(CT)).port, *KEYS)
    scp = make_scp(sending(CT, MR))
    ran = run_app("getscu", "127.0.0.1", scp.port, *KEYS, "-v")
    assert ran.returncode == 0
    assert ran.stdout == "1 object stored, 1 was there already\n"
    assert f"already there: {uid_of(CT)}.dcm" in ran.stderr
    assert f"stored {uid_of(MR)}.dcm" in ran.stderr
    (tmp_path / f"{uid_of(MR)}.dcm").unlink()
    ran = run_app("getscu", "127.0.0.1", scp.port, *KEYS, "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    there, new = (Dataset.from_json(line) for line in ran.stdout.splitlines())
    assert (there.SOPInstanceUID, there.WarningReason) == (uid_of(CT), 0x0111)
    assert (new.SOPInstanceUID, "WarningReason" in new) == (uid_of(MR), False)


@pytest.mark.slow
def test_receiving_without_storing(make_scp: MakeScp, run_app: RunApp, tmp_path: Path) -> None:
    scp = make_scp(sending(CT, MR))
    ran = run_app("getscu", "127.0.0.1", scp.port, *KEYS, "--ignore")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "2 objects received\n", "")
    assert names(tmp_path) == []


@pytest.mark.slow
def test_what_was_stored_as_json(make_scp: MakeScp, run_app: RunApp) -> None:
    scp = make_scp(sending(CT, MR))
    ran = run_app("getscu", "127.0.0.1", scp.port, *KEYS, "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    found = [Dataset.from_json(line) for line in ran.stdout.splitlines()]
    assert [ds.SOPInstanceUID for ds in found] == [uid_of(CT), uid_of(MR)]
    assert found[0].SOPClassUID == CT_CLASS


@pytest.mark.slow
def test_output_that_nobody_reads(
    make_scp: MakeScp, python_env: dict[str, str], tmp_path: Path
) -> None:
    """What cannot be printed is stored all the same, and the peer is told so."""
    reader, writer = os.pipe()
    os.close(reader)
    scp = make_scp(sending(CT, MR))
    command = [sys.executable, "-m", "pynetdicom", "getscu", "127.0.0.1", str(scp.port), *KEYS]
    with open(writer, "wb") as nowhere:
        ran = warm.run(
            [*command, "--json"],
            stdout=nowhere,
            stderr=subprocess.PIPE,
            text=True,
            env=python_env,
            cwd=tmp_path,
            timeout=DEADLINE,
            check=False,
        )
    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert "Broken pipe" in line
    assert len(names(tmp_path)) == 2
    assert len(scp.requests) == 1


@pytest.mark.slow
def test_no_match(make_scp: MakeScp, run_app: RunApp) -> None:
    scp = make_scp(sending())
    ran = run_app("getscu", "127.0.0.1", scp.port, *KEYS)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "0 objects stored\n", "")


def test_failures_are_listed(make_scp: MakeScp, run_app: RunApp, tmp_path: Path) -> None:
    """Here because one class was not proposed."""
    scp = make_scp(sending(CT, MR))
    ran = run_app("getscu", "127.0.0.1", scp.port, *KEYS, "--sop-class", "CTImageStorage")
    assert ran.returncode == 1
    first, second, hint = ran.stderr.splitlines()
    assert "--sop-class" in hint
    assert first.startswith(f"getscu: {uid_of(MR)}: ")
    assert "0xB000" in second
    assert "1 completed" in second
    assert "1 failed" in second
    assert ran.stdout == "1 object stored\n"
    assert names(tmp_path) == [f"{uid_of(CT)}.dcm"]


@pytest.mark.slow
def test_what_cannot_be_stored_is_refused(
    make_scp: MakeScp, run_app: RunApp, tmp_path: Path
) -> None:
    hostile = dcmread(CT)
    hostile.SOPInstanceUID = "../1"
    scp = make_scp(sending(hostile, MR))
    out = tmp_path / "out"
    ran = run_app("getscu", "127.0.0.1", scp.port, *KEYS, "-od", out)
    assert ran.returncode == 1
    # It is not the contexts that were wrong.
    assert len(scp.requests) == 1
    assert "--sop-class" not in ran.stderr
    assert names(tmp_path) == ["out"]
    assert names(out) == [f"{uid_of(MR)}.dcm"]


@pytest.mark.slow
def test_a_directory_that_cannot_be(run_app: RunApp, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = run_app("getscu", "127.0.0.1", 1, *KEYS, "-od", tmp_path / "file")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert len(ran.stderr.splitlines()) == 1


@sampled("status", [0xA701, 0xA900, 0xC001])
def test_final_statuses(make_scp: MakeScp, run_app: RunApp, status: int) -> None:
    def handler(event: Any) -> Iterator[Any]:
        yield 1
        yield status, None

    scp = make_scp(handler)
    ran = run_app("getscu", "127.0.0.1", scp.port, *KEYS)
    assert ran.returncode == 1
    assert f"0x{status:04X}" in ran.stderr


def many() -> Iterator[Any]:
    for number in range(1000):
        ds = dcmread(CT)
        ds.SOPInstanceUID = f"1.2.{number}"
        yield ds


@pytest.mark.slow
def test_cancelling_after_some(make_scp: MakeScp, run_app: RunApp, tmp_path: Path) -> None:
    def handler(event: Any) -> Iterator[Any]:
        yield 1000
        for ds in many():
            if event.is_cancelled:
                yield 0xFE00, None
                return
            yield 0xFF00, ds

    scp = make_scp(handler)
    ran = run_app("getscu", "127.0.0.1", scp.port, *KEYS, "--cancel", 2)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert 2 <= len(names(tmp_path)) < 1000
    assert ran.stdout == f"{len(names(tmp_path))} objects stored\n"
    assert scp.released.wait(DEADLINE)


def test_ctrl_c_cancels(make_scp: MakeScp, python_env: dict[str, str], tmp_path: Path) -> None:
    sent, cancelled = threading.Event(), threading.Event()

    def handler(event: Any) -> Iterator[Any]:
        yield 1000
        ticks = threading.Event()
        for number, ds in enumerate(many()):
            if event.is_cancelled:
                cancelled.set()
                yield 0xFE00, None
                return
            yield 0xFF00, ds
            if number == 2:
                sent.set()
            ticks.wait(0.05)

    scp = make_scp(handler)
    arguments = ("127.0.0.1", scp.port, *KEYS)
    with started("getscu", *arguments, env=python_env, cwd=tmp_path) as process:
        assert sent.wait(DEADLINE)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=DEADLINE)
    assert (process.returncode, errors) == (130, "getscu: interrupted\n")
    assert cancelled.is_set()
    assert out == f"{len(names(tmp_path))} objects stored\n"
    for path in tmp_path.iterdir():
        assert dcmread(path).SOPInstanceUID == path.stem
    assert scp.released.wait(DEADLINE)


@pytest.mark.slow
def test_extensions_that_are_proposed(make_scp: MakeScp, run_app: RunApp) -> None:
    scp = make_scp(sending())
    ran = run_app("getscu", "127.0.0.1", scp.port, *KEYS, "--enhanced-conversion")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert scp.extended == {query_model_uid("C-GET", "P"): b"\0\1"}


@sampled(
    "arguments",
    [(), ("-W", *KEYS), ("--sop-class", "Nothing", *KEYS), ("--sop-class", "1/2", *KEYS)],
)
def test_wrong_arguments(run_app: RunApp, arguments: tuple[str, ...], tmp_path: Path) -> None:
    ran = run_app("getscu", "127.0.0.1", 1, *arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert len(ran.stderr.splitlines()) == 1
    assert names(tmp_path) == []


# ----------------------------------------------------------------------------------- planning


@pytest.mark.parametrize("count", [1, 2, 10, 63, 64, 115, 127])
def test_contexts_fit_into_an_association(count: int) -> None:
    classes = [f"1.2.{number}" for number in range(count)]
    (planned,) = plan(classes)
    assert len(planned) <= 127
    for uid in classes:
        assert (uid, list(TO_RECEIVE)) in planned
        proposed = [syntax for one, syntaxes in planned if one == uid for syntax in syntaxes]
        assert len(proposed) == len(set(proposed))
        assert (len(proposed) > 40) is (count < 64 or int(uid[4:]) < 127 - count)


def test_one_class_has_a_context_for_each_transfer_syntax() -> None:
    ((_, *others),) = plan(["1.2"])
    assert all(len(syntaxes) == 1 for _, syntaxes in others)


def test_all_classes_are_planned_once_each() -> None:
    planned = list(plan([]))
    assert all(len(kinds) <= 127 for kinds in planned)
    usual, everything = (set(storage_classes(usual=flag)) for flag in (True, False))
    assert {uid for kinds in planned for uid, _ in kinds} == usual | everything
    assert len(planned) < 6
    # Nothing that one association proposes is proposed by another one.
    proposed = Counter(
        (uid, syntax) for kinds in planned for uid, syntaxes in kinds for syntax in syntaxes
    )
    assert set(proposed.values()) == {1}
    assert len(proposed) == len(usual | everything) * len({syntax for _, syntax in proposed})
    for syntax in OFTEN[:-1]:
        assert (CT_CLASS, [syntax]) in planned[0]


@pytest.mark.slow
def test_what_is_rare_in_every_way_comes_too(
    make_scp: MakeScp, run_app: RunApp, tmp_path: Path
) -> None:
    """A class of the standard that is in no list of usual ones, and compressed."""
    other = dcmread(SC_RLE)
    other.SOPClassUID = RAREST
    other.SOPInstanceUID = "1.2.3"
    assert RAREST not in storage_classes(usual=True)
    scp = make_scp(sending(CT, other))
    ran = run_app("getscu", "127.0.0.1", scp.port, *KEYS)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "2 objects stored\n", "")
    assert names(tmp_path) == sorted(["1.2.3.dcm", f"{uid_of(CT)}.dcm"])
    assert dcmread(tmp_path / "1.2.3.dcm").file_meta.TransferSyntaxUID == RLE


@pytest.mark.slow
def test_a_peer_that_can_send_the_same_in_several_ways(
    make_scp: MakeScp, run_app: RunApp, tmp_path: Path
) -> None:
    """It would send it again, on the association that is made for something else."""

    def instance(path: Path, uid: str) -> Dataset:
        ds = dcmread(path)
        ds.SOPClassUID, ds.SOPInstanceUID = RAREST, uid
        return ds

    def handler(event: Any) -> Iterator[Any]:
        syntaxes = [
            context.transfer_syntax[0]
            for context in event.assoc.accepted_contexts
            if context.abstract_syntax == RAREST
        ]
        seen.append(syntaxes)
        yield 2
        yield 0xFF00, instance(SC_RLE if RLE in syntaxes else CT, "1.2.3")
        yield 0xFF00, instance(SC_RLE, "1.2.4")

    seen: list[list[str]] = []
    scp = make_scp(handler)
    ran = run_app("getscu", "127.0.0.1", scp.port, *KEYS)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "2 objects stored\n", "")
    assert [syntaxes for syntaxes in seen if syntaxes] == [[EXPLICIT], [RLE]]
    assert names(tmp_path) == ["1.2.3.dcm", "1.2.4.dcm"]
    assert dcmread(tmp_path / "1.2.3.dcm").file_meta.TransferSyntaxUID == EXPLICIT


class Unanswering:
    """A peer that accepts all, and answers each role selection with `role`, or not at all."""

    def __init__(self, role: bool | None, failing: int = 0) -> None:
        self.role = role
        self.failing = failing
        self.statuses: list[int | None] = []

    def __call__(self, acceptor: Acceptor) -> None:
        peer = Scp(acceptor.socket)
        ac = acceptance(rq := peer.expect("A-ASSOCIATE-RQ"))
        for item in rq.user_information:
            if self.role is not None and isinstance(item, SCP_SCU_RoleSelectionNegotiation):
                ac.user_information.append(
                    SCP_SCU_RoleSelectionNegotiation(item.sop_class_uid, True, self.role)
                )
        peer.send(ac.encode())
        context = next(cx for cx in rq.presentation_contexts if cx.abstract_syntax == CT_CLASS)

        def handle(context_id: int, request: Primitive, asked: Any) -> None:
            sub = C_STORE(
                MessageID=1,
                AffectedSOPClassUID=CT_CLASS,
                AffectedSOPInstanceUID="1.2.3.4",
                Priority=2,
            )
            ds = Dataset()
            ds.SOPClassUID, ds.SOPInstanceUID = CT_CLASS, "1.2.3.4"
            data = encode_dataset(ds, context.transfer_syntaxes[0]).getvalue()
            peer.answer(context.context_id, sub, data)
            self.statuses.append(peer.command()[1].Status)
            response = request.response(0xB000 if self.failing else 0)
            response.NumberOfCompletedSuboperations = 1
            response.NumberOfFailedSuboperations = self.failing
            peer.answer(context_id, response)

        peer.serve(handle)


@pytest.mark.slow
def test_a_peer_that_answers_no_role_selection(run_app: RunApp, tmp_path: Path) -> None:
    """It sends all the same, and that is taken."""
    peer = Unanswering(None)
    with listening(peer) as listener:
        result = run_app("getscu", "127.0.0.1", listener.port, *KEYS, "-od", tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert peer.statuses == [0]
    assert result.stdout == "1 object stored\n"


@pytest.mark.parametrize(
    ("role", "failing", "hint"),
    [
        (None, 1, "the peer has not answered that we propose the SCP role (role selection)"),
        (False, 1, "the peer refused us the SCP role (role selection)"),
        (True, 1, "no classes were proposed but those named with --sop-class"),
    ],
)
def test_the_hint_names_the_role_when_it_is_one(
    run_app: RunApp, tmp_path: Path, role: bool | None, failing: int, hint: str
) -> None:
    with listening(Unanswering(role, failing)) as listener:
        where = ("127.0.0.1", listener.port, "-od", tmp_path)
        result = run_app("getscu", *where, *KEYS, "--sop-class", "CTImageStorage")
    assert result.returncode == 1
    assert hint in result.stderr
    if role is not True:
        assert f"CTImageStorage ({CT_CLASS})" in result.stderr


def test_a_hint_names_a_few() -> None:
    assert hint_of_roles({f"1.2.{n}": False for n in range(5)}).endswith(
        "1.2.0, 1.2.1, 1.2.2 and 2 more"
    )
    # What was refused matters more than what was not answered.
    assert "refused us" in hint_of_roles({"1.2.1": False, "1.2.2": True})


def test_names_of_classes() -> None:
    assert sop_class("CTImageStorage") == sop_class(CT_CLASS) == CT_CLASS
    for text in ("", "build_context", "annotations", "1", "Verification.x"):
        with pytest.raises(ArgumentTypeError):
            sop_class(text)


# ------------------------------------------------------------------------------------ accounts


def final(code: int, **numbers: int) -> Dataset:
    ds = Dataset()
    ds.Status = code
    for name, number in numbers.items():
        setattr(ds, f"NumberOf{name}Suboperations", number)
    return ds


def test_fewer_than_the_peer_says(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal("getscu")
    sent = account("C-GET", Final(final(0, Completed=3, Warning=1), None), terminal)
    assert (sent, terminal.problems) == (4, 0)
    compare(sent, 4, "look", terminal)
    compare(None, 0, "look", terminal)
    assert terminal.problems == 0
    compare(sent, 3, "look there", terminal)
    compare(sent, 0, "look there", terminal)
    assert terminal.problems == 2
    warning, only, none = capsys.readouterr().err.splitlines()
    assert "1 were stored with a warning" in warning
    assert "4, only 3 arrived here: look there" in only
    assert "4, none arrived here: look there" in none


@pytest.mark.parametrize(
    ("status", "uids", "problems"),
    [
        (final(0, Completed=1), [], 0),
        (final(0, Completed=1, Failed=1), [], 2),
        (final(0, Completed=1, Failed=1), ["1.2"], 2),
        (final(0xB000, Completed=1, Failed=2), ["1.2"], 3),
        (final(0xA702, Completed=0, Failed=2), ["1.2", "1.3"], 3),
        (final(0xFE00, Completed=1, Remaining=2), [], 1),
        (Dataset(), [], 1),
    ],
)
def test_each_failure_is_a_problem(status: Dataset, uids: list[str], problems: int) -> None:
    identifier = Dataset()
    identifier.FailedSOPInstanceUIDList = uids
    terminal = Terminal("getscu", quiet=True)
    account("C-GET", Final(status, identifier), terminal)
    assert terminal.problems == problems


@pytest.mark.slow
def test_json_of_what_was_stored_is_dicom_json(make_scp: MakeScp, run_app: RunApp) -> None:
    scp = make_scp(sending(CT))
    ran = run_app("getscu", "127.0.0.1", scp.port, *KEYS, "--json", "--ignore")
    assert json.loads(ran.stdout) == {
        "00080016": {"vr": "UI", "Value": [CT_CLASS]},
        "00080018": {"vr": "UI", "Value": [uid_of(CT)]},
    }


def ended(code: int, uids: list[str], **numbers: int) -> Final:
    identifier = Dataset()
    identifier.FailedSOPInstanceUIDList = uids
    return Final(final(code, **numbers), identifier)


@pytest.mark.parametrize(
    ("second", "code", "uids", "failed"),
    [
        (ended(0xB000, ["1.1"], Completed=2, Failed=1), 0, [], 0),
        (ended(0xB000, ["1.1", "1.2"], Completed=1, Failed=2), 0xB000, ["1.2"], 1),
        (ended(0xA702, ["1.1", "1.2", "1.3"], Completed=0, Failed=3), 0xB000, ["1.2", "1.3"], 2),
        (ended(0xB000, [], Completed=1, Failed=2), 0xB000, [], 1),
        (ended(0xA900, []), 0xA900, [], 0),
    ],
)
def test_two_retrieves_of_the_same(second: Final, code: int, uids: list[str], failed: int) -> None:
    first = ended(0xB000, ["1.2", "1.3"], Completed=1, Failed=2)
    whole = merged(first, second)
    assert whole.status.Status == code
    if code != 0xA900:
        assert whole.status.NumberOfFailedSuboperations == failed
        assert whole.identifier is not None
        found = whole.identifier.FailedSOPInstanceUIDList or []
        assert ([found] if isinstance(found, str) else list(found)) == uids
