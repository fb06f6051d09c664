"""The commands over run files: what they print, in every form, and what they refuse."""

import csv
import gzip
import io
import json
from pathlib import Path

import pytest

from rankscope.core.formats import read_run
from support import tiny
from support.command import Command

RUNS = {
    "good": {"q1": ["a", "b", "c"], "q2": ["d", "e"], "q3": ["g", "h"]},
    "poor": {"q1": ["c", "b", "a"], "q2": ["e", "d"], "q3": ["h", "g"]},
    "mixed": {"q1": ["a", "c", "b"], "q2": ["e", "d"], "q3": ["g", "h"]},
}
QRELS = "q1 0 a 3\nq1 0 b 1\nq2 0 d 2\nq3 0 g 1\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, rankings in RUNS.items():
        lines = [
            f"{query} Q0 {doc} {rank} {10 - rank} {name}\n"
            for query, docs in rankings.items()
            for rank, doc in enumerate(docs, start=1)
        ]
        (tmp_path / f"{name}.run").write_text("".join(lines))
    (tmp_path / "qrels.txt").write_text(QRELS)
    return tmp_path


def test_evaluate_prints_means_and_notes(rankscope: Command, files: Path) -> None:
    """RR of `poor`: 1/2 (b at 2) for q1, 1/2 for the others; from grade 2 on, q1's `a` is at 3."""
    words = (files / "poor.run", "--qrels", files / "qrels.txt", "--measures", "RR P@1")
    answer = rankscope("evaluate", *words)
    assert answer.out == "run\tRR\tP@1\npoor\t0.5000\t0.0000\n"
    assert "grades go up to 3, and RR, P@1 count every grade from 1 as relevant" in answer.err
    level = rankscope("evaluate", *words, "--relevance-level", 2)
    assert level.out.startswith("run\tRR(rel=2)\tP(rel=2)@1\npoor\t0.2778\t")  # (1/3 + 1/2 + 0) / 3


def test_evaluate_in_other_forms(rankscope: Command, files: Path) -> None:
    words = ("evaluate", files / "good.run", files / "poor.run", "--qrels", files / "qrels.txt")
    measures = ("--measures", "RR")
    found = json.loads(rankscope(*words, *measures, "--json").out)
    assert [run["tag"] for run in found["runs"]] == ["good", "poor"]
    assert found["runs"][0]["means"] == {"RR": 1.0}
    assert found["runs"][0]["per_query"]["q2"] == {"RR": 1.0}
    assert found["comparisons"] == []
    rows = list(csv.reader(io.StringIO(rankscope(*words, *measures, "--per-query", "--csv").out)))
    assert rows[0] == ["run", "query", "RR"]
    assert ["poor", "q1", "0.5"] in rows
    assert ["good", "all", "1.0"] in rows
    assert r"good & 1.0000 \\" in rankscope(*words, *measures, "--latex").out
    page = files / "page.html"
    assert rankscope(*words, *measures, "--html", "--out", page).out == f"{page}: written.\n"
    assert "Nothing was compared." in page.read_text("utf-8")


def test_measures_of_several_options_add_up(rankscope: Command, files: Path) -> None:
    words = (files / "good.run", "--qrels", files / "qrels.txt")
    several = ("--measures", "RR P@1", "--measures", "AP")
    assert rankscope("evaluate", *words, *several).out.startswith("run\tRR\tP@1\tAP\n")


def test_measures_of_other_tools_are_read_with_commas_and_a_short_option(
    rankscope: Command, files: Path
) -> None:
    words = (files / "good.run", "--qrels", files / "qrels.txt", "-m", "mrr@10, map,P_1,2")
    assert rankscope("evaluate", *words).out.startswith("run\tRR@10\tAP\tP@1\tP@2\n")
    published = ("--published", "MRR@10=1.00", "--margin", "mrr@10=0.1")
    table = rankscope("reproduce", *words[:3], "-m", "map", *published).out
    assert "\nRR@10: " in table
    twice = rankscope("reproduce", *words[:3], *published, "--margin", "RR@10=0.2")
    assert twice.err == (
        "rankscope: mrr@10 and RR@10 are one measure with two margins, 0.1 and 0.2. Keep one.\n"
    )


def test_a_cutoff_of_0_is_one_sentence(rankscope: Command, files: Path) -> None:
    """It ended the process (SIGABRT in pytrec_eval)."""
    for verb in ("evaluate", "compare", "reproduce"):
        words = (files / "good.run", *([files / "poor.run"] if verb == "compare" else []))
        options = ("--original", files / "poor.run") if verb == "reproduce" else ()
        for name, said in (("nDCG@0", "a cutoff is"), ("alpha_nDCG@10", "it needs pyndeval")):
            answer = rankscope(
                verb, *words, "--qrels", files / "qrels.txt", "--measures", name, *options
            )
            assert (answer.code, answer.out, answer.err.count("\n")) == (1, "", 1)
            assert said in answer.err


def test_compare_all_pairs_and_a_baseline(rankscope: Command, files: Path) -> None:
    words = ("compare", *sorted(files.glob("*.run")), "--qrels", files / "qrels.txt")
    everything = json.loads(rankscope(*words, "--json").out)
    assert len(everything["comparisons"]) == 3
    answer = rankscope(*words, "--baseline", "poor", "--margin", "nDCG@10=50%")
    assert "nDCG@10\tgood - poor\t" in answer.out
    assert "mixed - good" not in answer.out
    head = "measure\tsystems\tdifference\tuncorrected 95 % interval\teffect\tcorrected p\tcorrected p equivalent\t"
    assert head in answer.out
    assert "Intervals are of one comparison alone, uncorrected." in answer.out
    assert everything["terms"]["intervals"] == "uncorrected 95 % interval"
    alone = rankscope(*words, "--correction", "none", "--level", 0.1).out
    assert "difference\t90 % interval\teffect\tp\tp equivalent\t" in alone
    assert "uncorrected" not in alone
    tests = "Two-sided paired tests (t and Hall's transformation of it, the larger p-value)"
    assert f"{tests}, Holm-corrected, 2 comparisons, level 0.05; equivalent: TOST" in answer.out
    page = rankscope(*words, "--first-stage", "poor", "--html").out
    assert "<title>3 systems on qrels.txt" in page
    assert r"\begin{tabular}" in rankscope(*words, "--latex").out
    (header, *rows) = csv.reader(io.StringIO(rankscope(*words, "--csv").out))
    assert (len(rows), header[:3]) == (3, ["collection", "first_stage", "measure"])


def answered(folder: Path, n: int, **shares: float) -> tuple[str | Path, ...]:
    """Runs over n queries that have the relevant doc first in a share of them, else second, and their qrels."""
    for name, share in shares.items():
        lines = [
            f"q{q} Q0 {doc} {rank} {9 - rank} {name}\n"
            for q in range(n)
            for rank, doc in enumerate("ax" if q < share * n else "xa", start=1)
        ]
        (folder / f"{name}.run").write_text("".join(lines))
    (folder / "answers.txt").write_text("".join(f"q{q} 0 a 1\n" for q in range(n)))
    return (
        "compare", *(folder / f"{name}.run" for name in shares), "--qrels", folder / "answers.txt",
        "--measures", "RR@10", "--baseline", next(iter(shares)), "--resamples", 9,
    )  # fmt: skip


def comparisons_of(text: str) -> list[dict[str, str]]:
    """The rows of the terminal's table of comparisons."""
    lines = text[text.index("measure\tsystems") :].splitlines()
    head, *rows = (line.split("\t") for line in lines if "\t" in line)
    return [dict(zip(head, row, strict=True)) for row in rows]


@pytest.mark.parametrize(
    ("n", "share", "margin", "verdict", "fragility", "said"),
    [
        (2, 0.0, (), "? cannot tell", "-",
         "The difference is the same in both queries: what the sample has not seen could undo it."),
        (2, 1.0, ("--margin", "RR@10=0.02"), "? cannot tell", "-",
         "The two differ in 0 of 2 queries: what the sample has not seen could be larger than the margin."),
        (5, 1.0, ("--margin", "RR@10=0.02"), "? cannot tell", "-",
         "The two differ in 0 of 5 queries: what the sample has not seen could be larger than the margin."),
        (200, 1.0, ("--margin", "RR@10=0.02"), "≈ equivalent", "1",
         "No query differs; 200 queries rule out that more than 1.5 % of all differ."),
    ],
)  # fmt: skip
def test_differences_without_spread_show_only_what_so_many_queries_can(
    rankscope: Command, files: Path, n: int, share: float, margin: tuple[str, ...], verdict: str,
    fragility: str, said: str,
) -> None:  # fmt: skip
    words = (*answered(files, n, a=1.0, b=share), *margin)
    out = rankscope(*words).out
    (row,) = comparisons_of(out)
    assert (row["verdict"], row["fragility"], row["detectable"]) == (verdict, fragility, "-")
    assert f"RR@10, b - a: {said}\n" in out
    assert said in rankscope(*words, "--html").out.replace("\u00a0", " ")


def test_sentences_of_many_comparisons_are_cut_short(rankscope: Command, files: Path) -> None:
    words = answered(files, 5, **{f"s{at}": 1.0 for at in range(12)})
    lines = rankscope(*words).out.splitlines()
    assert sum("The two differ in 0 of 5 queries" in line for line in lines) == 8
    assert lines[-1] == "3 more like these: --json has their numbers."


def test_fragility_stands_beside_the_verdict_in_every_form(rankscope: Command, files: Path) -> None:
    words = answered(files, 40, all=1.0, half=0.5, most=0.95)
    out = rankscope(*words).out
    shown = [(row["verdict"], row["fragility"]) for row in comparisons_of(out)]
    assert [verdict for verdict, _ in shown] == ["▼ worse", "? cannot tell"]
    assert "Fragility: how many of these queries would take the verdict away if they had" in out
    rows = json.loads(rankscope(*words, "--json").out)["comparisons"]
    (n, none) = [row["fragility"] for row in rows]
    assert (shown, n > 2, none) == ([("▼ worse", str(n)), ("? cannot tell", "-")], True, None)
    assert [row["n_differing"] for row in rows] == [20, 2]
    of_file = list(csv.DictReader(io.StringIO(rankscope(*words, "--csv").out)))
    assert [row["fragility"] for row in of_file] == [str(n), ""]
    assert [row["n_differing"] for row in of_file] == ["20", "2"]
    assert rf"& worse & {n} \\" in rankscope(*words, "--latex").out
    page = rankscope(*words, "--html").out
    assert f"; {n} queries with the worst possible difference would take the verdict away." in page
    assert f'"fragility": "{n}"' in page, "in the figure's tooltip"
    table = page.partition('aria-label="Table 2"')[2].partition("</section>")[0]
    assert f'<td class="number" data-label="Fragility">{n}</td>' in table
    assert page.count("<dt>Fragility</dt><dd>How many of these queries") == 1, "among the methods"


def test_a_measure_without_bounds_may_have_no_interval(rankscope: Command, files: Path) -> None:
    """Three docs against two, in every query: of other queries that shows nothing."""
    for name, docs in (("two", "ab"), ("three", "abc")):
        lines = [f"q{q} Q0 {d} {r} {9 - r} {name}\n" for q in range(20) for r, d in enumerate(docs)]
        (files / f"{name}.run").write_text("".join(lines))
    (files / "answers.txt").write_text("".join(f"q{q} 0 a 1\n" for q in range(20)))
    words = ("compare", files / "two.run", files / "three.run", "--qrels", files / "answers.txt")
    words = (*words, "--measures", "NumRet RR", "--resamples", "9", "--margin", "NumRet=0.5")
    out = rankscope(*words).out
    row, other = comparisons_of(out)
    assert (row["difference"], row["uncorrected 95 % interval"]) == ("+1.0000", "no interval")
    assert (row["verdict"], row["fragility"]) == ("? cannot tell", "-")
    assert " to " in other["uncorrected 95 % interval"]
    assert "in a measure without bounds, what the sample has not seen could be of any size." in out
    found = json.loads(rankscope(*words, "--json").out)["comparisons"]
    assert [row["interval"] == [None, None] for row in found] == [True, False]
    first, _ = csv.DictReader(io.StringIO(rankscope(*words, "--csv").out))
    assert (first["interval_low"], first["interval_high"]) == ("", "")
    assert "& no interval &" in rankscope(*words, "--latex").out
    page = rankscope(*words, "--html").out
    assert "(NumRet +1.000, no interval)" in page
    assert "1 without an interval is not drawn." in page


def test_without_a_margin_the_caption_asks_for_one(rankscope: Command, files: Path) -> None:
    """How many queries an observed difference needs says nothing that its p-value has not said."""
    words = answered(files, 40, a=1.0, b=0.5, c=0.8)
    out = rankscope(*words).out
    assert "and the number of queries needed is not known: state a margin." in out
    assert "observed" not in out
    assert {row["queries needed"] for row in comparisons_of(out)} == {"-"}
    assert "observed" not in rankscope(*words, "--html").out.partition("</main>")[0]
    margin = rankscope(*words, "--margin", "RR@10=0.01").out
    assert "state one" not in margin
    assert "Queries needed: to show a difference as large as the margin." in margin


def test_the_queries_needed_stand_beside_cannot_tell_alone(rankscope: Command, files: Path) -> None:
    """A verdict that is there needs no more queries, though the number is known (--json has it)."""
    most = dict.fromkeys("abcdef", 0.9)
    words = (*answered(files, 60, all=1.0, half=0.5, **most), "--margin", "RR@10=0.05")
    shown = comparisons_of(rankscope(*words).out)
    rows = json.loads(rankscope(*words, "--json").out)["comparisons"]
    assert [row["verdict"] for row in rows] == ["worse", *["cannot tell"] * 6]
    assert all(row["queries_needed"] for row in rows)
    needed = [f"{row['queries_needed']:,}" for row in rows]
    assert [row["queries needed"] for row in shown] == ["-", *needed[1:]]


def test_two_seeds_are_noted(rankscope: Command, files: Path) -> None:
    words = answered(files, 40, a=1.0, b=0.9, c=0.8, d=0.7, e=0.6)
    runs = {name: str(files / f"{name}.run") for name in "abcde"}
    note = (
        "two seeds a system, so nothing tells whether one system's seeds spread more than the others'; "
        "docs/verdicts.md says what that costs"
    )
    qrels = words[words.index("--qrels") :][:4]
    pair = (f"x={runs['a']},{runs['b']}", f"y={runs['c']},{runs['d']}")
    assert f"Note: x, y: {note}\n" in rankscope("compare", *pair, *qrels).err
    three = f"y={runs['c']},{runs['d']},{runs['e']}"
    assert f"Note: x: {note}\n" in rankscope("compare", pair[0], three, *qrels).err


def test_a_lineage_is_paired_by_seed(rankscope: Command, files: Path) -> None:
    """Second stages that add the same to each of three uneven first ones: paired, that is seen."""
    shares = {"c1": 0.3, "c2": 0.6, "c3": 0.9, "d1": 0.36, "d2": 0.67, "d3": 0.95, "bm25": 0.1}
    words = answered(files, 200, **shares)
    qrels = words[words.index("--qrels") :][:4]
    first, second = (
        f"{name}=" + ",".join(str(files / f"{letter}{at}.run") for at in (1, 2, 3))
        for name, letter in (("C", "c"), ("C-D", "d"))
    )
    words = ("compare", first, second, f"bm25={files / 'bm25.run'}", *qrels)
    apart, paired = rankscope(*words), rankscope(*words, "--lineage", "C,C-D")
    (before,) = (row for row in comparisons_of(apart.out) if row["systems"] == "C-D - C")
    (after,) = (row for row in comparisons_of(paired.out) if row["systems"] == "C-D - C")
    assert (before["verdict"], after["verdict"]) == ("? cannot tell", "▲ better")
    note = "Note: C, C-D: of one lineage, so paired by seed where they are compared, each one's k-th run"
    assert (apart.err.count(note), paired.err.count(note)) == (0, 1)


@pytest.mark.parametrize(
    ("lineage", "message"),
    [
        ("C", "The lineage C cannot be paired by seed. Name at least two systems"),
        ("C,C", "The lineage C, C cannot be paired by seed"),
        ("C,bm25", "each with as many runs as the others, more than one"),
        ("C,D", "The lineage C, D cannot be paired by seed"),
        ("C,C-", "Unknown system of a lineage 'C-'"),
        ("", "Unknown system of a lineage ''"),
    ],
)
def test_what_is_no_lineage_is_refused(
    rankscope: Command, files: Path, lineage: str, message: str
) -> None:
    answered(files, 5, a=1.0, b=0.6, c=0.2)
    a, b, c = (files / f"{name}.run" for name in "abc")
    words = (
        "compare",
        f"C={a},{b}",
        f"D={a},{b},{c}",
        f"bm25={c}",
        "--qrels",
        files / "answers.txt",
    )
    answer = rankscope(*words, "--lineage", lineage)
    assert (answer.code, answer.out, answer.err.count("\n")) == (1, "", 1)
    assert message in answer.err


def test_compare_as_published_warns(rankscope: Command, files: Path) -> None:
    words = ("compare", *sorted(files.glob("*.run")), "--qrels", files / "qrels.txt")
    answer = rankscope(*words, "--tests", "as_published", "--json")
    found = json.loads(answer.out)
    assert all(row["corrected_p"] == row["p_value"] for row in found["comparisons"])
    assert any("As published (study B)" in note for note in found["notes"])
    assert (
        "Two-sided paired t-tests, not corrected"
        in rankscope(*words, "--tests", "as_published").out
    )


def test_seeds_and_groups(rankscope: Command, files: Path) -> None:
    (files / "groups.txt").write_text("q1 one\nq2 one\nq3 two\n")
    seeds = f"C={files / 'good.run'},{files / 'mixed.run'}"
    words = ("compare", seeds, f"bm25={files / 'poor.run'}", "--qrels", files / "qrels.txt")
    answer = rankscope(*words, "--groups", files / "groups.txt", "--json")
    found = json.loads(answer.out)
    assert found["comparisons"][0]["n_seeds"] == [1, 2]
    assert found["comparisons"][0]["n_groups"] == 2
    assert found["seeds"]["C"]["nDCG@10"]["n_seeds"] == 2
    assert [run["tag"] for run in found["runs"]] == ["C#1", "C#2", "bm25"]
    table = rankscope(*words)
    assert "Note: C, nDCG@10: 2 seeds, whose means have a standard deviation of" in table.err
    assert "Note: bm25: one run each" in table.err


def test_runs_of_one_seed_each_are_noted_once_on_a_condition(
    rankscope: Command, files: Path
) -> None:
    """Nobody knows which files come from trained rankers."""
    words = ("compare", *sorted(files.glob("*.run")), "--qrels", files / "qrels.txt")
    note = (
        "good, mixed, poor: one run each; if these are trained rankers, verdicts are of these runs, not of the "
        "methods: with another training seed the order may be another (docs/verdicts.md says how often). Runs "
        "of several seeds go under one name"
    )
    table = rankscope(*words)
    assert table.err.count("one run each") == 1
    assert f"Note: {note}\n" in table.err
    assert json.loads(rankscope(*words, "--json").out)["notes"] == [note]
    page = rankscope(*words, "--html").out
    findings = page.partition('<section id="findings">')[2].partition("</section>")[0]
    assert f"{note}." in findings
    assert page.count("one run each") == 1


def test_no_such_note_where_every_system_has_seeds(rankscope: Command, files: Path) -> None:
    pair = (
        f"x={files / 'good.run'},{files / 'mixed.run'}",
        f"y={files / 'mixed.run'},{files / 'poor.run'}",
    )
    assert "one run each" not in rankscope("compare", *pair, "--qrels", files / "qrels.txt").err


def test_reproduce(rankscope: Command, files: Path) -> None:
    """The run's own mean is published, so it is the same; half of it is not."""
    words = ("reproduce", files / "good.run", "--qrels", files / "qrels.txt", "--measures", "RR")
    answer = rankscope(*words, "--original", files / "good.run", "--published", "P@1=1.0", "--json")
    found = json.loads(answer.out)
    assert found["order"]["kendall_tau"] == found["order"]["rank_biased_overlap"] == 1.0
    assert found["values"]["RR"]["root_mean_square_error"] == 0.0
    assert found["published"]["P@1"]["is_same"]
    assert found["published"]["P@1"]["difference"] == 0.0
    table = rankscope(
        *words, "--original", files / "mixed.run", "--baseline", files / "poor.run",
        "--original-baseline", files / "poor.run", "--published", "RR=0.5",
        "--margin", "RR=0.1",
    )  # fmt: skip
    assert "RR: effect ratio\t1.5000" in table.out  # gains 1/2 where mixed gains 1/3
    assert "RR: published\t0.5\tnot reproduced: ours is 1.0000 on the same queries" in table.out
    assert (
        "RR: difference\t+0.5000\trounding explains up to 0.05; 5.0 times the margin 0.1"
        in table.out
    )


def test_a_mean_that_other_queries_could_give_is_not_reproduced(
    rankscope: Command, files: Path
) -> None:
    """RR of `mixed` is 1, 1/2 and 1: .8333, whose interval over queries goes from .12 to 1.55."""
    words = ("reproduce", files / "mixed.run", "--qrels", files / "qrels.txt", "--published")
    assert (
        "RR: published\t0.83\tthe same to the published digits" in rankscope(*words, "RR=0.83").out
    )
    assert "RR: published\t0.80\tnot reproduced: ours is 0.8333" in rankscope(*words, "RR=0.80").out


def test_several_runs_are_the_seeds_of_what_reproduces(rankscope: Command, files: Path) -> None:
    """RR of 1, .8333 and .5: mean .7778, sd .2546; t(2) sd / sqrt 3 = .6324."""
    runs = [files / f"{name}.run" for name in ("good", "mixed", "poor")]
    words = ("reproduce", *runs, "--qrels", files / "qrels.txt", "--published", "RR=0.14")
    table = rankscope(*words)
    assert "RR: published\t0.14\tnot reproduced: ours is 0.7778 on the same queries" in table.out
    assert (
        "RR: mean of 3 seeds\t0.1453 to 1.4102\tpublished is outside: 95 % interval;" in table.out
    )
    assert "RR: one more seed\t-0.4871 to 2.0426\tpublished is inside" in table.out
    seeds = json.loads(rankscope(*words, "--json").out)["published"]["RR"]["seeds"]
    assert seeds["means"] == pytest.approx([1.0, 5 / 6, 0.5])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["good.run", "poor.run", "--original", "mixed.run"],
            "an original is compared with one run",
        ),
        (["good.run", "--published", "RR=0.5", "--margin", "AP=0.1"], "beside no published mean"),
        (["good.run", "--original", "poor.run", "--margin", "RR=0.1"], "Give --published RR=VALUE"),
        (["good.run", "--published", "RR=0.0", "--margin", "RR=5%"], "Give a difference"),
        (["good.run", "--published", "RR=0.5", "--margin", "RR=small"], "not a positive number"),
        (["good.run", "poor.run"], "There is nothing to compare with"),
    ],
)
def test_what_reproduce_refuses(
    rankscope: Command, files: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(files)
    answer = rankscope("reproduce", *words, "--qrels", "qrels.txt")
    assert (answer.code, answer.out, answer.err.count("\n")) == (1, "", 1)
    assert message in answer.err


def test_reproduce_says_what_its_runs_leave_out(rankscope: Command, files: Path) -> None:
    (files / "half.run").write_text("q1 Q0 a 1 1.0 half\n")
    words = ("reproduce", files / "half.run", "--qrels", files / "qrels.txt")
    answer = rankscope(*words, "--original", files / "good.run")
    assert "half.run: 2 judged queries have no ranking and count 0" in answer.err
    found = json.loads(rankscope(*words, "--original", files / "good.run", "--json").out)
    assert any("half.run: 2 judged" in note for note in found["notes"])


def test_a_page_tells_two_systems_apart_that_share_a_run(rankscope: Command, files: Path) -> None:
    pair = (
        f"x={files / 'good.run'},{files / 'mixed.run'}",
        f"y={files / 'good.run'},{files / 'poor.run'}",
    )
    page = rankscope("compare", *pair, "--qrels", files / "qrels.txt", "--html").out
    assert "0 above, 2 below, 1 the same" in page


def test_own_docs_are_dropped_from_the_page_too(rankscope: Command, files: Path) -> None:
    for name, doc in (("one", "b"), ("two", "c")):
        lines = f"q1 Q0 q1 1 9.0 {name}\nq1 Q0 {doc} 2 1.0 {name}\nq2 Q0 d 1 1.0 {name}\n"
        (files / f"{name}.run").write_text(lines)
    words = ("compare", files / "one.run", files / "two.run", "--qrels", files / "qrels.txt")
    assert "<p>q1</p>" in rankscope(*words, "--html").out
    assert "<p>q1</p>" not in rankscope(*words, "--html", "--drop-own-docs").out


def test_the_page_words_the_family_and_the_level_that_count(
    rankscope: Command, files: Path
) -> None:
    """One of 28 declared comparisons, or alone where nothing is corrected; grade 1 is no relevant doc."""
    words = ("compare", files / "good.run", files / "mixed.run", "--qrels", files / "qrels.txt")
    page = rankscope(*words, "--family-size", 28, "--html").out
    assert "allows is detectable with these 3 queries as one of 28 comparisons (80" in page
    alone = rankscope(*words, "--correction", "none", "--html").out
    assert "The minimum detectable effect of these 3 queries is" in alone
    stage = ("--first-stage", "good", "--html")
    reached = "for 0 of 3 queries the first stage (good"
    assert reached in rankscope(*words, *stage).out
    assert (
        "for 1 of 3 queries the first stage (good"
        in rankscope(*words, *stage, "--relevance-level", 2).out
    )


def test_a_published_mean_that_is_no_number_is_refused(rankscope: Command, files: Path) -> None:
    words = ("reproduce", files / "good.run", "--qrels", files / "qrels.txt")
    answer = rankscope(*words, "--published", "RR=nan", "--json")
    assert (answer.code, "not of the form nDCG@10=0.7234" in answer.err) == (1, True)


def test_convert_writes_canonical_trec(rankscope: Command, files: Path) -> None:
    source = files / "beir.json"
    source.write_text(json.dumps({"q1": {"a": 1, "b": 2}}))
    (files / "meta.yaml").write_text("platform:\n  software: mine\n")
    words = ("convert", source, "--out", files / "out" / "r.run", "--tag", "mine")
    answer = rankscope(*words, "--metadata", files / "meta.yaml")
    assert answer.out == f"{files / 'out' / 'r.run'}: 1 query by mine.\n"
    assert (files / "out" / "r.run").read_text().splitlines() == [
        "q1 Q0 b 1 2.0 mine", "q1 Q0 a 2 1.0 mine",
    ]  # fmt: skip
    assert read_run(files / "out" / "r.run").tag == "mine"
    beside = files / "out" / "r.run.ir_metadata.yml"
    assert beside.read_text() == "platform:\n  software: mine\n"


@pytest.mark.parametrize("name", ["x.json", "x.JSON", "x.json.gz"])
def test_convert_writes_json_that_is_read_back(rankscope: Command, files: Path, name: str) -> None:
    """It wrote TREC's columns under the name of a JSON file. Ties are broken here, too."""
    (files / "tied.run").write_text("q1 Q0 a 1 2.0 mine\nq1 Q0 b 2 2.0 mine\nq1 Q0 c 3 1.0 mine\n")
    out = files / name
    done = rankscope("convert", files / "tied.run", "--out", out)
    assert done.out == f"{out}: 1 query by mine.\n"
    data = out.read_bytes()
    table = json.loads(gzip.decompress(data) if name.endswith(".gz") else data)
    assert [*table["q1"]] == ["b", "a", "c"]
    assert table["q1"]["b"] > table["q1"]["a"] > table["q1"]["c"]
    again, first = read_run(out), read_run(files / "tied.run")
    assert [doc.doc_id for doc in again.rankings["q1"]] == [doc.doc_id for doc in first.rankings["q1"]]  # fmt: skip
    assert again.tied_share() == 0


def test_qrels_from_a_folder_bring_texts_to_the_page(
    rankscope: Command, files: Path, tmp_path: Path
) -> None:
    folder = tiny.write_collection(tmp_path / "beir")
    queries = ("q0", "q3", "q6", "q9")
    for name, place in (("a", 0), ("b", 9)):
        lines = [
            f"{query} Q0 d{(int(query[1:]) + place) % 24} 1 1.0 {name}\n"
            f"{query} Q0 d{(int(query[1:]) + 1) % 24} 2 0.5 {name}\n"
            for query in queries
        ]
        (files / f"{name}.run").write_text("".join(lines))
    words = ("compare", files / "a.run", files / "b.run", "--qrels", folder, "--html")
    page = rankscope(*words).out
    assert "where sits the red cat" in page
    assert "sits on the mat" in page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["good.run", "--qrels", "none.txt"], "none.txt: there is no such file"),
        (["good.run", "--qrels", "qrels.txt"], "One system alone cannot be compared"),
        (["good.run", "good.run", "--qrels", "qrels.txt"], "Two runs are called 'good'"),
        (["A=good.run", "poor.run", "--qrels", "qrels.txt"], "Name this one too"),
        (["good.run", "poor.run", "--qrels", "qrels.txt", "--baseline", "pour"], "Did you mean"),
        (["good.run", "poor.run", "--qrels", "qrels.txt", "--margin", "0.02"], "not of the form"),
        (["good.run", "poor.run", "--qrels", "qrels.txt", "--margin", "nDCG@10=0"], "positive"),
        (["good.run", "poor.run", "--qrels", "qrels.txt", "--margin", "AP=1"], "Unknown measure"),
        (["good.run", "poor.run", "--qrels", "qrels.txt", "--correction", "hom"], "Did you mean"),
        (["good.run", "poor.run", "--qrels", "qrels.txt", "--first-stage", "bm25"], "first stage"),
        (["good.run", "poor.run", "--qrels", "qrels.txt", "--measures", "nDGC"], "Unknown measure"),
        (["good.run", "poor.run", "--qrels", "qrels.txt", "--groups", "qrels.txt"], "2 columns"),
        (["good.run", "poor.run", "--qrels", "qrels.txt", "--groups", "twice.txt"], "Keep one"),
        (["good.run", "poor.run", "--qrels", "qrels.txt", "--json", "--csv"], "one form at a time"),
        (["good.run", "poor.run", "--qrels", "qrels.txt", "--out", "x.txt"], "the form is missing"),
    ],
)
def test_what_compare_refuses(
    rankscope: Command, files: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(files)
    (files / "twice.txt").write_text("q1 one\nq1 two\n")
    answer = rankscope("compare", *words)
    assert (answer.code, answer.out) == (1, "")
    assert message in answer.err
    assert answer.err.count("\n") == 1


def test_dl19_in_one_compare(rankscope: Command, real_data: Path) -> None:
    """All pairs of five first stages and three LLM re-rankings; nDCG@10 0.5058 and 0.6682 are known."""
    folder = real_data / "msmarco-dl19"
    runs = [*sorted(folder.glob("runs/*.run")), *sorted(folder.glob("teachers/*.run"))]
    measures = ("--measures", "nDCG@10 AP(rel=2)@100 R@20 R@100")
    found = json.loads(rankscope("compare", *runs, "--qrels", folder, *measures, "--json").out)
    means = {run["tag"]: run["means"] for run in found["runs"]}
    assert means["bm25"]["nDCG@10"] == pytest.approx(0.5058, abs=5e-5)
    vicuna = [0.6682, 0.3316, 0.2617, 0.4531]
    assert list(means["rankvicuna.bm25-top100"].values()) == pytest.approx(vicuna, abs=5e-5)
    assert len(found["comparisons"]) == 4 * 28
    assert {row["verdict"] for row in found["comparisons"]} == {"better", "worse", "cannot tell"}


@pytest.mark.parametrize("verb", ["evaluate", "compare"])
def test_queries_without_a_relevant_doc_at_the_level_asked_for_are_told(
    rankscope: Command, tmp_path: Path, verb: str
) -> None:
    qrels, runs = tmp_path / "qrels.txt", [tmp_path / "a.run", tmp_path / "b.run"]
    qrels.write_text("q1 0 d1 2\nq2 0 d1 1\nq3 0 d1 0\n")
    for run in runs:
        run.write_text("".join(f"q{n} Q0 d1 1 1.0 {run.stem}\n" for n in (1, 2, 3)))
    told = rankscope(
        verb, *runs, "--qrels", qrels, "--measures", "nDCG@10 RR@10", "--relevance-level", 2
    )
    assert told.code == 0
    assert (
        "1 of 3 queries has no doc of grade 1 or above (first: q3): it counts 0 in nDCG@10"
        in told.err
    )
    assert (
        "2 of 3 queries have no doc of grade 2 or above (first: q2): they count 0 in RR(rel=2)@10"
        in told.err
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--qrels", "other.txt"), "--qrels is given 2 times, but takes one value. Give it once."),
        (("--split", "a", "--split=b"), "--split is given 2 times"),
        (("--drop-own-docs", "--keep-own-docs"), "--drop-own-docs/--keep-own-docs is given 2 times"),
        (("--margin", "RR=0.1", "--margin", "RR=0.2"), "RR has two margins, 0.1 and 0.2. Keep one."),
    ],
)  # fmt: skip
def test_what_one_of_two_would_be_left_out_of_is_refused(
    rankscope: Command, files: Path, more: tuple[str, ...], said: str
) -> None:
    """The last one counted, unsaid. Saying one thing twice is no mistake."""
    words = ("compare", *sorted(files.glob("*.run")), "--qrels", files / "qrels.txt")
    words = (*words, "--measures", "RR", "--json")
    answer = rankscope(*words, *more)
    assert (answer.code, answer.out, answer.err.count("\n")) == (1, "", 1)
    assert said in answer.err
    twice = ("--json", "--baseline", "good", "--baseline", "good", *(["--margin", "RR=0.1"] * 2))
    assert len(json.loads(rankscope(*words, *twice).out)["comparisons"]) == 2


def test_two_published_means_of_one_measure_are_refused(rankscope: Command, files: Path) -> None:
    words = (
        "reproduce",
        files / "good.run",
        "--qrels",
        files / "qrels.txt",
        "--published",
        "RR=0.5",
    )
    answer = rankscope(*words, "--published", "RR=0.50")
    assert (answer.code, answer.out) == (1, "")
    assert "RR has two published means, 0.5 and 0.50. Keep one." in answer.err
    assert rankscope(*words, "--published", "RR=0.5").code == 0
