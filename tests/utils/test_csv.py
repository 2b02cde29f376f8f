"""No text of a CSV file is a formula to a spreadsheet; numbers stay numbers."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavelens._utils._csv import escape_formula, open_csv

DANGEROUS = ["=cmd|' /C calc'!A0", "@SUM(1)", "+1", "-1", "\t=1", "\r=1", "\n=1", "＝1", "\ufeff=1"]


def written(path, rows):
    with open_csv(path) as table:
        table.rows(rows)
    return path.read_bytes().decode("utf-8")


@pytest.mark.parametrize("text", DANGEROUS)
def test_formulas_get_a_quote_in_front(tmp_path, text):
    content = written(tmp_path / "a.csv", [[text, 1]])
    cell = next(csv.reader(content.splitlines(keepends=True)))[0]
    assert cell.startswith("'")
    assert cell[1:].replace("\r\n", "\n") == text.replace("\r\n", "\n")


def test_numbers_stay_numbers(tmp_path):
    row = [-1, -0.5, np.float32(-1.5), np.int64(-7), 123456789, 1.23456789, None, ""]
    assert written(tmp_path / "a.csv", [row]) == "-1,-0.5,-1.5,-7,123456789,1.23457,,\r\n"


@pytest.mark.parametrize("text", ["a;=1", "a\t=1", "a,=1", 'a"=1', "a\n=1", "a|b"])
def test_separators_of_any_locale_are_quoted(tmp_path, text):
    assert written(tmp_path / "a.csv", [[text]]).startswith('"a')


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_every_text_comes_back_and_none_is_a_formula(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    written(path, [texts, ["end"]])
    with path.open(newline="", encoding="utf-8") as file:
        found = next(csv.reader(file))
    if texts == [""]:
        return
    expected = [escape_formula(each).encode("utf-8", "replace").decode() for each in texts]
    assert found == expected
    assert not any(each and each[0] in "=+-@\t\r\n" for each in found)


def test_names_that_utf8_cannot_hold(tmp_path):
    assert written(tmp_path / "a.csv", [["caf\udce9.png", 1]]) == "caf?.png,1\r\n"
