"""Verdicts over all tests on the page, in its tables and in summary.json."""

import csv
import io
import json
from typing import Any

from rankscope.core.judged.over_tests import JudgedOverTests
from rankscope.core.judged.plain import from_plain
from rankscope.report import page, pooled, summary
from support.made_up_study import over_tests, with_evaluation

ROWS = [
    over_tests("C", "bm25"),
    over_tests(
        "C-D", "C", n_tests=2, n_first_stages=1, interval=[None, None], verdict="cannot tell"
    ),
]


def test_the_page_has_them_in_a_table_of_their_own(results):
    text = page.html(with_evaluation(results, pooled=ROWS))
    table = text.partition('<h3 id="over-all-tests">')[2].partition("</section>")[0]
    assert "C \u2212 bm25</th><td>nDCG@10</td><td>4 tests and 3 first stages</td>" in table
    assert '<td class="number">+0.0300 to +0.0700</td>' in table
    assert '<td class="number">0.0040</td><td class="number">30\u00a0%</td>' in table
    assert "<td>2 tests</td>" in table
    methods = text.partition('id="methods">')[2].partition("</details>")[0]
    assert "over these 2, a family of their own" in methods
    assert "Two tests leave one degree of freedom" in methods
    assert "over-all-tests" not in page.html(results)
    assert "Two tests leave" not in page.html(with_evaluation(results, pooled=ROWS[:1]))


def test_tables_and_summary_have_the_same(results, tmp_path):
    stored = with_evaluation(results, pooled=ROWS)
    page.write(tmp_path, stored)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "tables/pooled.csv").read_text("utf-8"))))
    assert (rows[0]["interval_low"], rows[1]["interval_low"], rows[0]["tau"]) == ("0.03", "", "0.004")  # fmt: skip
    tex = (tmp_path / "tables/pooled.tex").read_text("utf-8")
    assert r"$\tau$" in tex
    assert json.loads((tmp_path / "summary.json").read_text("utf-8"))["pooled"] == ROWS
    assert json.loads(summary.as_json(results))["pooled"] == []


def row(*names: str, **changes: Any) -> JudgedOverTests:
    return from_plain(JudgedOverTests, over_tests(*names, **changes), where="made up")


def test_where_only_means_are_known_the_tests_spread_stands_for_tau():
    columns, (cells,) = pooled.table([row("D", "C", tau=None, i_squared=None)])
    assert dict(zip(columns, cells, strict=True))["sd of tests"] == "0.0120"
    assert pooled.TAU not in columns
    assert "standard deviation of 0.0120" in pooled.between(row("D", "C", tau=None))
