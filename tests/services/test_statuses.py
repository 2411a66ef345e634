from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import pytest

from pynetdicom.services import statuses

ROWS = Path(__file__).parents[1] / "data" / "ps3.4_status_codes.tsv"


def standard() -> dict[str, dict[int, str]]:
    tables: dict[str, dict[int, str]] = defaultdict(dict)
    with ROWS.open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            for code in range(int(row["code_first"], 16), int(row["code_last"], 16) + 1):
                tables[row["table"]][code] = row["category"]
    return tables


STANDARD = standard()


@pytest.mark.parametrize("name", STANDARD)
def test_the_tables_are_those_of_the_standard(name: str) -> None:
    ours = {code: category for code, (category, _) in statuses.status_dict(name).items()}
    assert ours == STANDARD[name]


def test_there_is_no_other_table() -> None:
    assert set(statuses.TABLES) == set(STANDARD)


@pytest.mark.parametrize("name", STANDARD)
def test_every_code_that_is_not_success_or_cancel_has_a_meaning(name: str) -> None:
    table = statuses.status_dict(name)
    silent = {code for code, (_, text) in table.items() if not text}
    assert silent == {0x0000, 0xFE00}
    assert max(len(text) for _, text in table.values()) <= 80


@pytest.mark.parametrize("name", STANDARD)
def test_the_category_is_the_same_in_every_table(name: str) -> None:
    assert all(statuses.code_to_category(code) == c for code, c in STANDARD[name].items())


def test_a_code_wins_over_the_range_that_contains_it() -> None:
    ups = statuses.status_dict("UNIFIED_PROCEDURE_STEP_SERVICE_CLASS_STATUS")
    assert ups[0xC302] == ("Failure", "The UPS is already IN PROGRESS")
    assert ups[0xC2FF] == ups[0xC305] == ("Failure", "Unable to process")


@pytest.mark.parametrize(
    ("code", "category"),
    [
        (0x0000, "Success"),
        (0xFF00, "Pending"),
        (0xFF01, "Pending"),
        (0xFF02, "Unknown"),
        (0xFE00, "Cancel"),
        (0xFE01, "Unknown"),
        (0x0001, "Warning"),
        (0x0002, "Unknown"),
        (0x0104, "Unknown"),
        (0x0107, "Warning"),
        (0x0116, "Warning"),
        (0x0118, "Failure"),
        (0x0125, "Unknown"),
        (0x0214, "Unknown"),
        (0x9FFF, "Unknown"),
        (0xA000, "Failure"),
        (0xAFFF, "Failure"),
        (0xB000, "Warning"),
        (0xBFFF, "Warning"),
        (0xC000, "Failure"),
        (0xCFFF, "Failure"),
        (0xD000, "Unknown"),
        (0x10000, "Unknown"),
    ],
)
def test_category(code: int, category: str) -> None:
    assert statuses.code_to_category(code) == category


@pytest.mark.parametrize("code", [-1, "0", 1.0, None])
def test_category_of_what_is_no_code(code: int) -> None:
    with pytest.raises(ValueError, match="int of 0 or more"):
        statuses.code_to_category(code)
