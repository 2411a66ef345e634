"""The conformance statement says what the library's tables and its programs say."""

from __future__ import annotations

import re
import sys

import pytest

import pynetdicom
from pynetdicom import tls
from pynetdicom.__main__ import APPS
from pynetdicom.apps import workflow_config
from pynetdicom.apps.archive import config
from pynetdicom.services import classes, registry, statuses
from tests.conftest import ROOT

pytest.importorskip("sphinx", reason="the documentation is built with the docs extra")
sys.path.insert(0, str(ROOT / "docs" / "_ext"))
import pynetdicom_conformance as conformance

PAGE = (ROOT / "docs" / "conformance.rst").read_text()
SILENT = {"passwd", "tls-test-ca"}
"""The programs that negotiate nothing."""


def run(directive: type, *arguments: str) -> str:
    made = object.__new__(directive)
    made.arguments = list(arguments)
    text: str = made.text()
    return text


def test_it_has_the_sections_of_ps3_2() -> None:
    titles = [
        line
        for line, under in zip(PAGE.splitlines(), PAGE.splitlines()[1:], strict=False)
        if re.fullmatch(r"([-=~.])\1+", under)
    ]
    for wanted in (
        "1 Conformance statement overview", "2 Table of contents", "3 Introduction", "4 Networking",
        "4.1 Implementation model", "4.1.1 Application data flow",
        "4.1.2 Functional definition of application entities",
        "4.1.3 Sequencing of real-world activities", "4.2 Application entity specifications",
        "4.3 Network interfaces", "4.4 Configuration", "5 Media interchange",
        "6 Support of character sets", "7 Security", "7.1 Security profiles",
        "7.2 Association level security", "7.3 Application level security", "8 Annexes",
        "8.1 IOD contents",
    ):  # fmt: skip
        assert wanted in titles
    numbers = [title.split()[0] for title in titles[1:]]
    assert numbers == sorted(numbers, key=lambda one: [int(part) for part in one.split(".")])


def test_every_program_that_negotiates_is_an_application_entity() -> None:
    for directive in ("contexts", "parameters"):
        there = re.findall(rf"^\.\. conformance-{directive}:: (.*)$", PAGE, re.M)
        assert sorted(there) == sorted(set(APPS) - SILENT)
    assert set(re.findall(r"^\.\. conformance-answers:: (.*)$", PAGE, re.M)) == {
        *conformance.ANSWERS
    }


def test_what_the_programs_negotiate_and_which_services_there_are() -> None:
    """One test: what the programs negotiate is found out once."""
    assert set(conformance.observed()) == set(APPS) - SILENT
    rows = {row[2].strip("`"): row for row in conformance.service_rows()}
    for service in classes.SERVICE_CLASSES:
        for uid in service.sop_classes:
            assert rows[uid][3] == ", ".join(registry.operations(uid))
    assert set(rows) == {
        *registry.all_storage(),
        *(uid for service in classes.SERVICE_CLASSES for uid in service.sop_classes),
    }
    text = run(conformance.Services)
    assert all(f"``{uid}``" in text for uid in rows)
    for app in conformance.observed():
        listed = run(conformance.Contexts, app)
        for side in ("requestor", "acceptor"):
            for one in conformance.proposals(app, side):
                assert registry.operations(one.abstract_syntax)
                assert f"(``{one.abstract_syntax}``)" in listed
                assert all(f"(``{uid}``)" in listed for uid in one.transfer_syntaxes)
                assert app in rows[one.abstract_syntax][4 if one.role == "SCU" else 5]
        assert (conformance.UNRESTRICTED in listed) is (app in {"storescp", "qrscp", "movescu"})

    def uids(app: str, side: str) -> dict[str, str]:
        return {one.abstract_syntax: one.role for one in conformance.proposals(app, side)}

    verification, ct = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2"
    assert uids("echoscu", "requestor") == {verification: "SCU"}
    assert uids("echoscp", "acceptor") == {verification: "SCP"}
    assert uids("getscu", "requestor")[ct] == "SCP"
    assert uids("storescu", "requestor") == {ct: "SCU"}
    assert set(uids("storescp", "acceptor")) == {
        verification, *classes.StorageServiceClass.sop_classes
    }  # fmt: skip
    commitment = "1.2.840.10008.1.20.1"
    assert uids("stgcmtscu", "requestor")[commitment] == "SCU"
    assert uids("stgcmtscu", "acceptor")[commitment] == "SCU"
    assert uids("workflowscp", "acceptor")[commitment] == "SCP"
    reports = {commitment, "1.2.840.10008.3.1.2.3.5", "1.2.840.10008.5.1.4.34.6.4"}
    assert uids("workflowscp", "requestor") == dict.fromkeys(reports, "SCP")
    assert uids("qrscp", "requestor") == {commitment: "SCP"}
    assert uids("qrscp", "acceptor").keys() >= set(
        classes.BasicWorklistManagementServiceClass.sop_classes
    )
    assert "associations accepted at once" in run(conformance.Parameters, "storescp")


def test_statuses() -> None:
    text = run(conformance.Statuses)
    own = [table for table in statuses.TABLES.values() if table]
    assert text.count(".. rubric::") == len(own) + 1
    for service in classes.SERVICE_CLASSES:
        assert service.name in text
    for table in statuses.TABLES.values():
        for codes, meaning in table.items():
            first = codes if isinstance(codes, int) else codes[0]
            assert f"``0x{first:04X}" in text
            assert meaning in text
    for app in conformance.ANSWERS:
        for operation, code, _, _ in conformance.answers(app):
            assert operation in run(conformance.Answers, app)
            assert re.fullmatch("``0x[0-9A-F]{4}``", code)


@pytest.mark.parametrize(("app", "module"), [("qrscp", config), ("workflowscp", workflow_config)])
def test_parameters_of_a_configuration(app: str, module: object) -> None:
    found = dict(conformance.parameters(app))
    made = module.Config()  # type: ignore[attr-defined]  # each has one
    assert found["[limits] maximum_associations"] == str(made.maximum_associations)
    assert found["[limits] network_timeout"] == str(made.network_timeout)


def test_identification_security_and_character_sets() -> None:
    text = run(conformance.Implementation)
    for value in (
        "1.2.840.10008.3.1.1.1",
        pynetdicom.PYNETDICOM_IMPLEMENTATION_UID,
        pynetdicom.PYNETDICOM_IMPLEMENTATION_VERSION,
    ):
        assert f"``{value}``" in text
    text = run(conformance.Profiles)
    for profile in tls.PROFILES.values():
        assert profile.clause in text
        assert all(suite in text for suite in profile.cipher_suites)
    text = run(conformance.CharacterSets)
    for term in ("ISO_IR 192", "ISO_IR 100", "ISO 2022 IR 87", "GB18030"):
        assert f"``{term}``" in text


def test_extended_negotiation() -> None:
    rows = set(conformance.negotiation())
    options = (
        "relational-query",
        "dt-matching",
        "fuzzy-names",
        "timezone-adj",
        "enhanced-conversion",
    )
    proposed = ", ".join(f"``--{one}``" for one in options)
    assert ("findscu", "Study Root Query/Retrieve Information Model - FIND", proposed) in rows
    assert (
        "qrscp",
        "Study Root Query/Retrieve Information Model - MOVE",
        "relational retrieval",
    ) in rows
