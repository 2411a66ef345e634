"""The manual's tables and its picture are made from the library's own."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from pynetdicom.apps.archive import attributes, computed, config
from pynetdicom.services import classes, statuses
from pynetdicom.upper_layer import fsm
from tests.conftest import ROOT

pytest.importorskip("sphinx", reason="the documentation is built with the docs extra")
sys.path.insert(0, str(ROOT / "docs" / "_ext"))
import pynetdicom_tables as tables


def test_the_picture_has_every_state_and_every_move() -> None:
    drawn = tables.picture("alt")
    assert set(tables.PLACES) == set(fsm.STATES)
    assert len(set(tables.PLACES.values())) == len(fsm.STATES)
    for state in fsm.STATES:
        assert f">{state}<" in drawn
    for labels in tables.moves().values():
        for label in labels:
            assert label in drawn
    used = {label.partition(": ")[2] for labels in tables.moves().values() for label in labels}
    assert used == {label for label in fsm.ACTIONS if not label.startswith("AA-")}


def test_the_boxes_hold_their_text() -> None:
    for state, meaning in fsm.STATES.items():
        lines = tables._box(state, meaning, []).count("<text")
        inside = sum(
            len(labels)
            for (origin, target), labels in tables.moves().items()
            if origin == state and (target in tables.ENDS or target == state)
        )
        assert 16 + 13 * (lines + inside - 1) < tables.HEIGHT


@pytest.mark.parametrize("operation", ["C-ECHO", "C-STORE", "C-FIND", "C-GET", "C-MOVE"])
def test_what_the_library_answers_is_in_the_table(operation: str) -> None:
    answers = classes.ANSWERS[operation]._asdict()
    if operation != "C-FIND":
        del answers["not_encodable"]
    if operation != "C-MOVE":
        del answers["unknown_destination"]
    codes = set(answers.values()) - {0}
    assert codes <= set(tables.answer_rows(operation).values())
    directive = object.__new__(tables.AnswerTable)
    directive.arguments = [operation, "C-MOVE"]
    for code in codes:
        assert f"``0x{code:04X}``" in directive.text()


def test_information_models_have_their_names_and_letters() -> None:
    directive = object.__new__(tables.InformationModels)
    directive.arguments = [
        "BasicWorklistManagementServiceClass",
        "InventoryQueryRetrieveServiceClass",
    ]
    text = directive.text()
    assert '- ``ModalityWorklistInformationFind``\n     - C-FIND\n     - ``"W"``' in text
    assert "- ``InventoryGet``\n     - C-GET\n     -\n" in f"{text}\n"


def test_services_without_queries_have_no_column_of_letters() -> None:
    text = run(tables.InformationModels, "MediaCreationManagementServiceClass")
    assert text.endswith("* - ``MediaCreationManagement``\n     - N-GET, N-ACTION, N-CREATE")
    assert "query_model" not in text


def run(directive: type, *arguments: str) -> str:
    made = object.__new__(directive)
    made.arguments = list(arguments)
    text: str = made.text()
    return text


@pytest.mark.parametrize(
    "service_class", [one for one in classes.SERVICE_CLASSES if one.types], ids=lambda one: one.name
)
def test_actions_and_events_have_their_names(service_class: type[classes.ServiceClass]) -> None:
    text = run(tables.TypeTable, service_class.__name__)
    shown = re.findall(r"\* - ``\w+``\n     - (N-\S+)\n     - (\d+)\n     - \w", text)
    assert shown == [
        (operation, str(number))
        for types in service_class.types.values()
        for operation, numbers in types.items()
        for number in numbers
    ]


def test_what_is_not_served_is_said_where_it_is_listed() -> None:
    text = run(tables.SOPClassTable)
    for name, service in {
        "CTImageStorage": "Storage",
        "HardcopyColorImageStorage": "Storage, retired",
        "InventoryCreation": "Storage Management",
        "MediaStorageDirectoryStorage": "**not served**",
        "PrinterInstance": "a SOP Instance",
        "PullPrintRequest": "**not served**, retired",
        "VOILUTBox": "**not served**",
    }.items():
        assert re.search(rf"- ``{name}``\n     - ``[\d.]+``\n     - {re.escape(service)}\n", text)
    assert text.count("\n   * -") == text.count("``\n     - ``") + 1


OF_ONE_OPERATION = {
    f"{name}ServiceClass" for name in ("Storage", "Verification", "BasicWorklistManagement")
}


def test_every_service_has_its_tables_on_a_page() -> None:
    pages = "\n".join(page.read_text() for page in (ROOT / "docs").glob("*.rst"))
    for directive, names in {
        "information-models": {one.__name__ for one in classes.SERVICE_CLASSES if one.sop_classes}
        - {
            "StorageServiceClass",
            "VerificationServiceClass",
            "BasicWorklistManagementServiceClass",
        },
        "status-table": set(statuses.TABLES) - {"VERIFICATION_SERVICE_CLASS_STATUS"},
        "type-table": {one.__name__ for one in classes.SERVICE_CLASSES if one.types},
    }.items():
        there = re.findall(rf"^\.\. {directive}:: (.*(?:\n   .*)*)", pages, re.MULTILINE)
        assert names - set(" ".join(there).split()) == set(), directive
    for path in TABLES:
        assert f".. attribute-table:: {path.stem}\n" in pages


TABLES = sorted((ROOT / "pynetdicom" / "workflows" / "tables").glob("*.tsv"))


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_the_attributes_of_workflows_are_listed(path: Path) -> None:
    directive = object.__new__(tables.AttributeTable)
    directive.arguments = [path.stem]
    text = directive.text()
    _, *lines = (line.split("\t") for line in path.read_text().splitlines())
    for level, keyword, kind, *_ in lines:
        row = f"* - {'> ' * int(level)}``{keyword}``\n     - {kind.split('/')[0]}\n"
        assert row in f"{text}\n"


def test_all_keys_of_the_archive_are_listed() -> None:
    text = object.__new__(tables.ArchiveKeys).text()
    for section, keys in config.SECTIONS.items():
        for key in keys:
            assert f"``[{section}]``\n     - ``{key}``" in text
    for key in config.PEER:
        assert f"``[[peer]]``\n     - ``{key}``" in text
    assert "``folded``\n     - folded or exact" in text


def test_all_attributes_of_the_index_are_listed() -> None:
    text = object.__new__(tables.ArchiveAttributes).text()
    for keyword in (*attributes.ATTRIBUTES, *computed.COMPUTED):
        assert re.search(rf"\b{keyword}\b", text)


def test_lists_of_contexts_say_their_operations() -> None:
    text = object.__new__(tables.ContextLists).text()
    rows = dict(re.findall(r"\* - ``(\w+)PresentationContexts``\n     - \d+\n     - (.*)", text))
    assert rows["Storage"] == "C-STORE"
    assert rows["QueryRetrieve"] == "C-FIND, C-MOVE, C-GET"
    assert rows["DisplaySystem"] == "N-GET"
    assert rows["MediaStorage"] == "none: of media, which are not sent"
    assert "" not in rows.values()
    assert rows["UnifiedProcedure"] == "N-GET, N-ACTION, N-CREATE, C-FIND, N-SET, N-EVENT-REPORT"


def test_the_states_of_procedure_steps_are_made_from_the_data() -> None:
    from pynetdicom.workflows import ups_rules

    states = object.__new__(tables.UPSStates).text()
    for codes in ups_rules.TRANSITIONS.values():
        for code in codes:
            assert f"``0x{code:04X}``" in states


def test_all_modules_of_workflows_are_in_the_reference() -> None:
    text = (ROOT / "docs" / "reference" / "workflows.rst").read_text()
    listed = re.findall(
        r"^\.\. automodule:: pynetdicom\.workflows\.(\w+)\n   :members:$", text, re.M
    )
    modules = (ROOT / "pynetdicom" / "workflows").glob("*.py")
    assert {*listed} == {path.stem for path in modules} - {"__init__"}


def test_the_faults_of_the_test_kit_are_in_their_table() -> None:
    from pynetdicom.testing import FAULTS

    text = tables.FaultTable.text(None)  # type: ignore[arg-type]
    for fault in FAULTS.values():
        assert f"* - ``{fault.name}``\n     - {tables.does_of(fault)}\n" in text


SERVICE_PAGES = (
    "display_system", "event_logging", "instance_availability", "media_creation", "mpps",
    "non_patient_objects", "normalized", "print_management", "query_retrieve", "relevant_patient",
    "rt_verification", "storage", "storage_commitment", "storage_management",
    "substance_administration", "unified_procedure_step", "verification", "worklist",
)  # fmt: skip


@pytest.mark.parametrize("page", SERVICE_PAGES)
def test_every_page_of_a_service_has_pitfalls(page: str) -> None:
    text = (ROOT / "docs" / f"{page}.rst").read_text()
    _, _, pitfalls = text.partition(f"\nPitfalls with real products\n{'-' * 27}\n\n")
    entries = re.findall(r"^(?! )(.+)\n    \S", pitfalls, re.MULTILINE)
    assert len(entries) >= 3
    assert len(set(entries)) == len(entries)
    assert f"\n   {page}\n" in (ROOT / "docs" / "index.rst").read_text()
