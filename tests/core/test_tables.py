"""Cells of CSV: none is a formula, and each is read back as it was."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankscope.core.tables import plain_cell, safe_cell
from rankscope.report.tables.as_csv import plain_csv


@pytest.mark.parametrize(
    "text", ['=HYPERLINK("http://x","y")', "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "'=1", "=", "-x"]
)  # fmt: skip
def test_a_formula_gets_an_apostrophe_in_front(text: str) -> None:
    assert safe_cell(text) == f"'{text}"
    assert plain_cell(f"'{text}") == text


@pytest.mark.parametrize(
    "value", ["-0.5", "+1e-5", "-12.5%", "-0.1 to 0.2", "-", "a=b", "'tis", "", 3, -0.5, None]
)
def test_numbers_and_other_text_stay_as_they_are(value: object) -> None:
    assert safe_cell(value) == value
    assert not isinstance(value, str) or plain_cell(value) == value


@given(
    st.one_of(st.text(), st.text("'=+-@ \t\r\n1."), st.from_regex(r"'*[=+\-@]\w*", fullmatch=True))
)
def test_every_text_is_read_back(text: str) -> None:
    assert plain_cell(str(safe_cell(text))) == text


def test_tables_are_written_so() -> None:
    head, row = csv.reader(io.StringIO(plain_csv(["run", "=x"], [["=1+1", "-0.5"]])))
    assert (head, row) == (["run", "'=x"], ["'=1+1", "-0.5"])
