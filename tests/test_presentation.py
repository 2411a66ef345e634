from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import UID

from pynetdicom import presentation, uids
from pynetdicom.presentation import (
    ALL_TRANSFER_SYNTAXES,
    CONTEXT_LISTS,
    DEFAULT_TRANSFER_SYNTAXES,
    TO_RECEIVE,
    PresentationContext,
    build_context,
    build_contexts_to_receive,
    build_role,
)
from pynetdicom.services import registry

SOP_CLASSES = Path(__file__).parent / "data" / "sop_classes.tsv"

LENGTHS = {
    "AllStorage": 170,
    "ApplicationEventLogging": 2,
    "BasicWorklistManagement": 1,
    "ColorPalette": 3,
    "DefinedProcedureProtocol": 3,
    "DisplaySystem": 1,
    "HangingProtocol": 3,
    "ImplantTemplate": 9,
    "InstanceAvailability": 1,
    "Inventory": 3,
    "MediaCreationManagement": 1,
    "MediaStorage": 1,
    "ModalityPerformed": 3,
    "NonPatientObject": 9,
    "PrintManagement": 11,
    "ProcedureStep": 3,
    "ProtocolApproval": 3,
    "QueryRetrieve": 13,
    "RelevantPatientInformation": 3,
    "RTMachineVerification": 2,
    "Storage": 115,
    "StorageCommitment": 1,
    "StorageManagement": 1,
    "SubstanceAdministration": 2,
    "UnifiedProcedure": 5,
    "Verification": 1,
}


def contexts(name: str) -> list[PresentationContext]:
    found: list[PresentationContext] = getattr(presentation, name + "PresentationContexts")
    return found


@pytest.mark.parametrize("name", LENGTHS)
def test_the_lists_are_as_long_as_promised(name: str) -> None:
    if name == "AllStorage" and pydicom.__version_info__[:2] != ("3", "0"):
        pytest.skip("a newer dictionary")
    found = contexts(name)
    assert type(found) is list
    assert len(found) == len({context.abstract_uid for context in found}) == LENGTHS[name]


def test_the_lists_are_these() -> None:
    assert {name + "PresentationContexts" for name in LENGTHS} == set(CONTEXT_LISTS)
    assert set(CONTEXT_LISTS) <= set(dir(presentation))
    assert set(CONTEXT_LISTS) <= set(presentation.__all__)
    declared = presentation.__annotations__
    assert {name for name in declared if name.endswith("PresentationContexts")} == set(
        CONTEXT_LISTS
    )


@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("ApplicationEventLogging", "ApplicationEventLogging"),
        ("BasicWorklistManagement", "BasicWorklistManagement"),
        ("ColorPalette", "ColorPaletteQueryRetrieve"),
        ("DefinedProcedureProtocol", "DefinedProcedureProtocolQueryRetrieve"),
        ("DisplaySystem", "DisplaySystemManagement"),
        ("HangingProtocol", "HangingProtocolQueryRetrieve"),
        ("ImplantTemplate", "ImplantTemplateQueryRetrieve"),
        ("InstanceAvailability", "InstanceAvailabilityNotification"),
        ("MediaCreationManagement", "MediaCreationManagement"),
        ("ModalityPerformed", "ProcedureStep"),
        ("NonPatientObject", "NonPatientObjectStorage"),
        ("PrintManagement", "PrintManagement"),
        ("ProcedureStep", "ProcedureStep"),
        ("ProtocolApproval", "ProtocolApprovalQueryRetrieve"),
        ("QueryRetrieve", "QueryRetrieve"),
        ("RelevantPatientInformation", "RelevantPatientInformationQuery"),
        ("RTMachineVerification", "RTMachineVerification"),
        ("StorageCommitment", "StorageCommitment"),
        ("SubstanceAdministration", "SubstanceAdministrationQuery"),
        ("UnifiedProcedure", "UnifiedProcedureStep"),
        ("Verification", "Verification"),
    ],
)
def test_a_list_is_all_of_a_service(name: str, service: str) -> None:
    with SOP_CLASSES.open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    listed = {r["uid"] for r in rows if r["service_class"] == service + "ServiceClass"}
    assert {context.abstract_uid for context in contexts(name)} == listed


def test_no_such_list() -> None:
    with pytest.raises(KeyError):
        presentation.abstract_syntaxes("NoPresentationContexts")
    with pytest.raises(AttributeError, match="NoPresentationContexts"):
        contexts("No")


def test_media_storage() -> None:
    [context] = contexts("MediaStorage")
    assert context.abstract_syntax == "1.2.840.10008.1.3.10"
    assert not registry.is_storage(context.abstract_uid)


def test_storage_and_query_retrieve_fit_into_one_association() -> None:
    assert len(contexts("Storage")) + len(contexts("QueryRetrieve")) <= 128


def test_storage_begins_with_what_is_used_most() -> None:
    first = [UID(context.abstract_uid).keyword for context in contexts("Storage")[:8]]
    assert first == [
        "CTImageStorage",
        "MRImageStorage",
        "ComputedRadiographyImageStorage",
        "DigitalXRayImageStorageForPresentation",
        "DigitalMammographyXRayImageStorageForPresentation",
        "UltrasoundImageStorage",
        "UltrasoundMultiFrameImageStorage",
        "SecondaryCaptureImageStorage",
    ]


def test_storage_is_a_choice_of_all_storage_and_a_few_that_are_retired() -> None:
    every = {context.abstract_uid for context in contexts("AllStorage")}
    others = [c.abstract_uid for c in contexts("Storage") if c.abstract_uid not in every]
    assert len(others) == 4
    assert all(UID(uid).is_retired for uid in others)


def test_each_access_gives_lists_and_contexts_of_its_own() -> None:
    first = contexts("Storage")
    first[0].transfer_syntax = ["1.2.840.10008.1.2"]
    first[1].scp_role = True
    del first[5:]
    again = contexts("Storage")
    assert len(again) == LENGTHS["Storage"]
    assert again[0].transfer_uids == DEFAULT_TRANSFER_SYNTAXES
    assert again[0].transfer_uids is not again[1].transfer_uids
    assert again[1].scp_role is None


def test_what_is_not_there() -> None:
    for name in ("Nothing", "NothingPresentationContexts", "Storage", "PresentationContexts"):
        with pytest.raises(AttributeError, match="no attribute"):
            getattr(presentation, name)


def test_default_transfer_syntaxes() -> None:
    assert [UID(uid).name for uid in DEFAULT_TRANSFER_SYNTAXES] == [
        "Implicit VR Little Endian",
        "Explicit VR Little Endian",
        "Deflated Explicit VR Little Endian",
        "Explicit VR Big Endian",
    ]


@pytest.mark.skipif(pydicom.__version_info__[:2] != ("3", "0"), reason="a newer dictionary")
def test_all_transfer_syntaxes() -> None:
    dictionary = uids.uid_dictionary()
    current = {uid for uid, row in dictionary.items() if row[1] == "Transfer Syntax" and not row[3]}
    encapsulated_uncompressed, big_endian = "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.2"
    assert set(ALL_TRANSFER_SYNTAXES) == current - {encapsulated_uncompressed} | {big_endian}
    assert len(ALL_TRANSFER_SYNTAXES) == 45


class TestBuildContext:
    @pytest.mark.parametrize("uid", ["1.2.840.10008.1.1", UID("1.2.840.10008.1.1"), "1.2.3"])
    def test_defaults(self, uid: str) -> None:
        context = build_context(uid)
        assert context.abstract_syntax == uid
        assert context.transfer_syntax == DEFAULT_TRANSFER_SYNTAXES
        assert context.context_id is None
        assert type(context.abstract_uid) is str

    @pytest.mark.parametrize(
        ("given", "taken"),
        [
            ("1.2.3", ["1.2.3"]),
            (UID("1.2.3"), ["1.2.3"]),
            (["1.2.3", "1.2.4", "1.2.3"], ["1.2.3", "1.2.4"]),
            (("1.2.3",), ["1.2.3"]),
            ([], []),
        ],
    )
    def test_transfer_syntax(self, given: str | list[str], taken: list[str]) -> None:
        assert build_context("1.2", given).transfer_syntax == taken

    def test_the_default_list_is_not_shared(self) -> None:
        build_context("1.2").add_transfer_syntax("1.2.3")
        assert len(DEFAULT_TRANSFER_SYNTAXES) == 4

    def test_bad_value(self) -> None:
        with pytest.raises(ValueError):
            build_context("1" * 65)
        with pytest.raises(TypeError):
            build_context(5)  # type: ignore[arg-type]


def test_keywords() -> None:
    ct, jpeg = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.4.50"
    for context in (
        build_context("CTImageStorage", "JPEGBaseline8Bit"),
        build_context("CTImageStorage", ["JPEGBaseline8Bit", jpeg]),
        PresentationContext("CTImageStorage", ["JPEGBaseline8Bit"]),
        PresentationContext(b"CTImageStorage", [b"JPEGBaseline8Bit"]),
    ):
        assert (context.abstract_uid, context.transfer_uids) == (ct, [jpeg])
        assert type(context.abstract_uid) is str
    context.abstract_syntax = "MRImageStorage"
    context.transfer_syntax = ["ImplicitVRLittleEndian"]
    context.add_transfer_syntax("ImplicitVRLittleEndian")
    context.add_transfer_syntax("ExplicitVRLittleEndian")
    assert context.abstract_uid == "1.2.840.10008.5.1.4.1.1.4"
    assert context.transfer_uids == ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"]
    assert build_role("VerificationSOPClass", scp_role=True).sop_class_uid == "1.2.840.10008.1.1"


@pytest.mark.parametrize(
    "make",
    [
        lambda: build_context("CTImageStorag"),
        lambda: PresentationContext("CTImageStorag"),
        lambda: build_role("CTImageStorag", True),
        lambda: build_context("CTImageStorage", "CTImageStorag"),
        lambda: build_context("1.2").add_transfer_syntax("CTImageStorag"),
    ],
)
def test_what_is_neither_a_uid_nor_a_keyword(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="'CTImageStorag' - neither a UID"):
        make()


@pytest.mark.parametrize(("scu", "scp"), [(True, False), (False, True), (True, True)])
def test_build_role(scu: bool, scp: bool) -> None:
    role = build_role("1.2.840.10008.5.1.4.1.1.2", scu_role=scu, scp_role=scp)
    assert role.sop_class_uid == "1.2.840.10008.5.1.4.1.1.2"
    assert (role.scu_role, role.scp_role) == (scu, scp)


def test_build_role_defaults() -> None:
    role = build_role(UID("1.2.3"))
    assert (role.scu_role, role.scp_role) == (False, False)


def test_contexts_are_made_without_pydicom() -> None:
    code = (
        "import sys; from pynetdicom import presentation as p;"
        "p.build_context('1.2'); p.build_role('1.2', True); len(p.ALL_TRANSFER_SYNTAXES);"
        "p.StoragePresentationContexts + p.VerificationPresentationContexts;"
        "assert 'pydicom' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_contexts_to_receive() -> None:
    ct, mr = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
    contexts, roles = build_contexts_to_receive(["CTImageStorage", mr, ct])
    for uid in (ct, mr):
        own = [context.transfer_syntax for context in contexts if context.abstract_syntax == uid]
        together = [syntax for syntaxes in own for syntax in syntaxes]
        assert len(together) == len(set(together))
        assert own[0] == list(TO_RECEIVE)
        assert all(len(syntaxes) == 1 for syntaxes in own[1:])
        assert set(ALL_TRANSFER_SYNTAXES) - set(together) == {"1.2.840.10008.1.2.1.99"}
    assert {role.sop_class_uid for role in roles} == {ct, mr}
    assert all(role.scp_role and not role.scu_role for role in roles)


def test_contexts_to_receive_leave_room_for_that_of_the_c_get() -> None:
    uids = [f"1.2.3.{number}" for number in range(127)]
    for count in (1, 3, 63, 64, 127):
        contexts, roles = build_contexts_to_receive(uids[:count])
        assert len(contexts) <= 127
        assert len(roles) == count
    for wrong in ([], [*uids, "1.2.4"]):
        with pytest.raises(ValueError, match="cannot be proposed in one association"):
            build_contexts_to_receive(wrong)
