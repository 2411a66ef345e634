"""Values as they are compared."""

from __future__ import annotations

from pynetdicom.workflows.values import clean, fold, normal_date, normal_name, normal_time


def test_normal_forms() -> None:
    assert normal_date("2020.01.02") == normal_date(" 20200102") == "20200102"
    assert normal_date("2020") == normal_date("20200102-") == ""
    assert normal_time("10") == normal_time("1000") == normal_time("10:00:00.000") == "100000"
    assert normal_time("100000.120") == "100000.12"
    assert normal_time("x") == normal_time("1000001") == ""
    assert normal_name(" Doe^Jane^^ = 山田^ ") == "doe^jane=山田"
    assert fold("ÉÈß") == "eeß"
    assert fold("Łukasz Ørsted Đặng") == "lukasz orsted dang"
    assert fold("IŞIK") == fold("Işık") == fold("İşik") == "isik"
    assert fold("ΟΔΟΣ*") == fold("οδός*") == fold("οδοσ*")
    assert fold("がか") == "がか"


def test_texts_are_cleaned() -> None:
    assert clean("a\0b\0") == "ab"
    assert clean("\udcff") == "?"
    assert clean(["A", None, "B "]) == "A\\\\B"
    assert clean(None) == ""
