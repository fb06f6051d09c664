"""Systems of several seeds on the page and in the tables, with numbers by hand."""

import csv
import io
import json

import pytest

from rankscope.core.judged.comparisons import Place
from rankscope.report import charts, findings, page, queries
from rankscope.report.means import SeedMean
from rankscope.report.means import means as means_of
from rankscope.report.tables import as_csv, as_latex
from rankscope.report.wording.verdicts import caption
from support.made_up_study import run_of, stored, with_evaluation

SEEDS = {"C.seed=1": 0.4, "C.seed=2": 0.5, "C.seed=3": 0.6}
"""Mean .5; standard deviation of .4, .5 and .6: the root of (.01 + 0 + .01) / 2, .1."""


@pytest.fixture
def seeded(results):
    """C with three seeds; its comparisons say so."""
    rows = [dict(row) for row in stored(results)["results"]]
    rows[2] |= {
        "means": {"nDCG@10": 0.5, "RR@10": 0.5},
        "seed_sd": {"nDCG@10": 0.1, "RR@10": 0.1},
        "runs": [
            {
                "name": name,
                "run": run_of(name),
                "means": {"nDCG@10": mean, "RR@10": mean},
                "missing_queries": ["q01"] if name == "C.seed=2" else [],
                "tied_share": 0.0,
            }
            for name, mean in SEEDS.items()
        ],
    }
    compared = [
        row | {"n_seeds": [3 if row[side] == "C" else 1 for side in ("system", "baseline")]}
        for row in stored(results)["comparisons"]
    ]
    return with_evaluation(results, results=rows, comparisons=compared)


def test_a_mean_over_seeds_shows_its_spread_and_leads_to_every_run(seeded):
    cell = means_of(seeded.evaluation).rows[2].cells[0]
    assert cell is not None
    assert (cell.mean, cell.seed_sd) == (0.5, 0.1)
    assert cell.seeds == tuple(SeedMean(n, mean, run_of(n)) for n, mean in SEEDS.items())
    html = page.html(seeded)
    assert '<span class="soft">± 0.100</span>' in html
    for name in SEEDS:
        assert f"measured on {run_of(name)}" in html
    plain = means_of(seeded.evaluation).rows[1].cells[0]
    assert plain is not None
    assert (plain.seeds, plain.seed_sd) == ((), None)


def test_notes_name_the_seed(seeded):
    assert "C.seed=2 on dev: no ranking for 1 query (q01)." in means_of(seeded.evaluation).notes


def test_the_captions_say_how_many_seeds(seeded, results):
    means = means_of(seeded.evaluation)
    assert means.seeds == (
        "Means with ± are over 3 seeds; ± is the standard deviation of the seeds' means."
    )
    assert (
        "The seeds' spread is part of the error: it is pooled over all trained systems;"
        in caption(seeded.evaluation)
    )
    rows = [dict(row) for row in stored(seeded)["results"]]
    rows[3] |= {"runs": rows[2]["runs"][:2], "seed_sd": rows[2]["seed_sd"]}
    uneven = means_of(with_evaluation(seeded, results=rows).evaluation)
    assert uneven.seeds.startswith("Means with ± are over seeds (3 seeds of C; 2 seeds of C-D);")
    assert (means_of(results.evaluation).seeds, "±" in caption(results.evaluation)) == ("", True)
    assert "spread" not in caption(results.evaluation)


def test_a_finding_says_how_many_seeds_stand_against_how_many(seeded, results):
    sentences = [each.sentence for each in findings.headlines(seeded.evaluation)[0].findings]
    assert [s.count("3 seeds against 1") for s in sentences] == [0, 1, 0, 0]
    assert "1 seed against 3" in sentences[3], "C-D against C"
    assert "seed" not in findings.headlines(results.evaluation)[0].findings[1].sentence


def test_query_by_query_says_what_is_a_mean_and_whose_rankings_are_shown(seeded, results):
    pairs = {(pair.system, pair.baseline): pair for pair in queries.pairs(seeded.evaluation)}
    pair = pairs["C-D", "C"]
    assert pair.means == "C: mean of 3 seeds"
    assert pair.rankings == ("C-D", "C.seed=1")
    assert pairs["plain", "bm25"].means == ""
    spec = json.dumps(charts.query_differences(queries.differences(pair, seeded)))
    assert spec.count('"seeds": "C: mean of 3 seeds"') == 40
    html = page.html(seeded)
    assert "<h4>C.seed=1</h4>" in html
    assert "C: mean of 3 seeds" not in page.html(results)


def test_pairs_of_equally_many_seeds_say_it_once():
    both = queries.SystemPair(
        Place("dev", "bm25"), "a", "b", "", "", None, ("a.1", "a.2"), ("b.1", "b.2")
    )
    assert both.means == "means of 2 seeds"


def test_tables_hold_the_seeds(seeded, results, tmp_path):
    rows = list(csv.DictReader(io.StringIO(as_csv.means_csv(seeded.evaluation))))
    (of_c,) = (row for row in rows if (row["system"], row["measure"]) == ("C", "nDCG@10"))
    assert (of_c["mean"], of_c["n_seeds"], of_c["seed_sd"]) == ("0.5", "3", "0.1")
    assert of_c["run"].split("; ") == [run_of(name) for name in SEEDS]
    seeds = list(csv.DictReader(io.StringIO(as_csv.seeds_csv(seeded.evaluation))))
    assert {(row["ranker"], float(row["mean"])) for row in seeds} == set(SEEDS.items())
    assert [row["n_missing"] for row in seeds[:4]] == ["0", "0", "1", "1"]
    compared = list(csv.DictReader(io.StringIO(as_csv.comparisons_csv(seeded.evaluation))))
    assert {(row["system_seeds"], row["baseline_seeds"]) for row in compared} == {
        ("1", "1"), ("3", "1"), ("1", "3"),
    }  # fmt: skip
    assert r"0.500{\scriptsize$\pm$0.100}" in as_latex.means_tex(seeded.evaluation)
    page.write(tmp_path, seeded)
    assert (tmp_path / "tables" / "seeds.csv").is_file()


def test_comparisons_have_a_column_of_seeds_only_where_there_are_several(seeded, results):
    assert '<td class="number" data-label="Seeds">3 \u2212 1</td>' in page.html(seeded)
    assert ">Seeds</th>" not in page.html(results)


def test_a_comparison_of_members_is_broken_at_every_value():
    """Cut at the same width, two members of a sweep would look the same."""
    lines = charts.comparison_lines
    assert lines("C", "bm25") == ["C \u2212 bm25"]
    assert lines("C-D.C.learning_rate=1e-06.group_size=8", "bm25") == [
        "C-D",
        ".C.learning_rate=1e-06",
        ".group_size=8",
        "\u2212 bm25",
    ]
    assert lines("some-long.name.of-a-run", "x") == ["some-long.name.of-a-run", "\u2212 x"]
