import csv
import io
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest

from rankscope.report import page, queries, summary
from rankscope.report.stored import StoredDoc, StudyTexts
from rankscope.report.tables import as_csv, as_latex
from rankscope.report.wording.numbers import letters as all_letters
from rankscope.report.wording.numbers import signed
from support.made_up_study import ranking, recorded, run_of, stored, with_evaluation

EVIL = "</script><script>alert('x')</script> & <b>\u2028 \\ {{ 7 * 7 }}"


class Tags(HTMLParser):
    """What a browser would see: tags with attributes, ids, and what each script holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._in_script = tag == "script"

    def handle_endtag(self, tag):
        self._in_script = False

    def handle_data(self, data):
        if self._in_script:
            self.scripts.append(data)


def charts_of(text):
    return json.loads(text.partition('id="charts">')[2].partition("</script>")[0])


@pytest.fixture(scope="module")
def text(results):
    return page.html(results)


def test_everything_is_written(results, tmp_path):
    page.write(tmp_path, results)
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {
        "report.html",
        "summary.json",
        "tables/means.csv",
        "tables/means.tex",
        "tables/comparisons.csv",
        "tables/comparisons.tex",
    }
    assert json.loads((tmp_path / "summary.json").read_text("utf-8")) == {
        "study": results.study,
        "seed": 42,
        "notes": [],
        "measures": stored(results)["measures"],
        "results": stored(results)["results"],
        "comparisons": stored(results)["comparisons"],
        "pooled": [],
        "intervals": "uncorrected 95 % interval",
        "claims": [],
    }


def test_same_results_same_bytes_in_another_process(results, tmp_path):
    """A process of its own has other hash seeds, counters and memory addresses."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from support.made_up_study import made_up; "
        "from rankscope.report import page; "
        "sys.stdout.buffer.write(page.html(made_up()).encode())"
    )
    command = [sys.executable, "-c", script, str(Path(__file__).parents[1])]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert done.stdout.decode() == page.html(results) == page.html(results)


def test_torch_is_never_loaded():
    script = "import sys, rankscope.report.page; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0


def test_nothing_is_fetched(text):
    tags = Tags(text).tags
    policy = next(
        attrs["content"] for tag, attrs in tags if tag == "meta" and "http-equiv" in attrs
    )
    assert policy.startswith("default-src 'none';")
    assert not re.search(r"connect-src|https?:|\*", policy), "nothing is allowed back in"
    assert not any(tag in ("link", "img", "iframe", "object", "base", "form") for tag, _ in tags)
    for _, attrs in tags:
        assert "src" not in attrs
        assert not re.match(r"\w+:|//", attrs.get("href") or "#")
    package = Path(str(files("rankscope")))
    templates = [*package.rglob("*.j2"), *(package / "report" / "templates").iterdir()]
    ours = [path.read_text("utf-8") for path in templates]
    for word in ("http://", "https://", "fetch(", "XMLHttpRequest", "@import", "url(", "import("):
        assert not any(word in each for each in ours), word


def test_the_script_sets_text_and_never_html():
    script = (files("rankscope.report") / "templates" / "report.js").read_text("utf-8")
    assert ".textContent = " in script
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", script)


def test_every_chart_of_queries_has_a_place_for_the_picked_ones_and_a_table_of_all(results, text):
    """The table is for those who have no mouse to draw a brush with."""
    panels = [
        attrs for tag, attrs in Tags(text).tags if tag == "div" and attrs.get("class") == "picked"
    ]
    pairs = queries.pairs(results.evaluation)
    assert [(each["data-system"], each["data-baseline"]) for each in panels] == [
        (pair.system, pair.baseline) for pair in pairs
    ]
    brushed = [
        name for name, spec in charts_of(text).items() if '"name": "picked"' in json.dumps(spec)
    ]
    assert [each["data-chart"] for each in panels] == brushed
    tables = text.split('<table class="dense queries">')[1:]
    for pair, table in zip(pairs, tables, strict=True):
        rows = re.findall(r"<tr>(<th scope=\"row\">.*)</tr>", table.partition("</table>")[0])
        assert rows == [
            f'<th scope="row">{row.text}</th>'
            f'<td class="number">{signed(row.difference)}</td>'
            f'<td class="number">{row.system_value:.3f}</td>'
            f'<td class="number">{row.baseline_value:.3f}</td>'
            for row in queries.differences(pair, results).rows
        ]


def test_a_case_says_which_docs_moved_and_what_the_first_stage_had(results):
    def rankings(run, query_id, depth):
        docs = "d<b" if run == run_of("C") else "bc"
        return [
            StoredDoc(rank, doc, "", {"c": 2, "<": 1}.get(doc, 0))
            for rank, doc in enumerate(docs, start=1)
        ]

    html = page.html(replace(results, rankings=rankings))
    assert (
        "Moved: <code>c</code> (relevance 2) from 2 to not ranked; "
        "<code>&lt;</code> (relevance 1) from not ranked to 2; "
        "<code>b</code> (relevance 0) from 1 to 3; "
        "<code>d</code> (relevance 0) from not ranked to 1.</p>"
    ) in html
    assert "The first stage (bm25) ranked its first relevant doc at 2." in html
    assert "ranked no relevant doc for this query" not in html


def test_the_bundle_stands_in_the_page_once_and_cannot_close_its_script(text):
    assert text.count("window.vegaEmbed = vegaEmbed") + text.count("window.vegaEmbed=") == 1
    bundle = max(Tags(text).scripts, key=len)
    assert "</script" not in bundle.lower()
    assert "<!--" not in bundle


def test_every_chart_has_its_place(text):
    ids = Counter(attrs.get("id") for _, attrs in Tags(text).tags)
    assert all(ids[chart] == 1 for chart in charts_of(text))
    assert sum(count for name, count in ids.items() if name and name.startswith("chart-")) == len(
        charts_of(text)
    )
    assert len(charts_of(text)) == 1 + 2 + 4 + 4  # cost, forests, queries, trainings


def test_text_of_others_stays_text(results):
    def rankings(run, query_id, depth):
        docs = ranking(run, query_id, depth)
        return [replace(doc, text=EVIL, doc_id=doc.doc_id + EVIL) for doc in docs]

    evil = replace(
        results,
        study=EVIL,
        study_file=StudyTexts(EVIL, (EVIL,), EVIL),
        queries={"dev": dict.fromkeys(results.queries["dev"], EVIL)},
        rankings=rankings,
        versions={EVIL: EVIL, "python": EVIL},
    )
    html, plain = page.html(evil), page.html(results)
    assert "<script>alert" not in html
    assert "{{ 7 * 7 }}" in html, "a template in the data is not a template"
    count = [Counter(tag for tag, _ in Tags(each).tags) for each in (html, plain)]
    assert count[0] == count[1], "not one tag more"
    rows = [
        row
        for spec in charts_of(html).values()
        for data in spec["datasets"].values()
        for row in data
    ]
    assert {row["query"] for row in rows if "query" in row} == {" ".join(EVIL.split())}


def test_nothing_in_a_name_turns_the_page_around(results):
    """An escape code, an override of direction and half a character are written out; lines and tabs stay."""
    steering = "a\x1b[31mb\u202ec\ud83d\x00"
    named = replace(results, study=steering, study_file=StudyTexts("a: 1\n\tb: 2\n", (), ""))
    html = page.html(named)
    assert "a␛[31mb\\u202ec\\ud83d␀" in html
    assert not set("\x1b\u202e\ud83d\x00") & set(html.split("<script", maxsplit=1)[0])
    assert "a: 1\n\tb: 2" in html


def test_each_mean_leads_to_its_run(results):
    run = stored(results)["results"][2]["run"]
    assert f'href="{run}"' in page.html(results)
    assert f'href="../../{run}"' in page.html(results, runs_at="../../")
    odd = [stored(results)["results"][0] | {"run": "java:\"'<é"}]
    html = page.html(
        with_evaluation(
            replace(results, per_query={"java:\"'<é": {"nDCG@10": {"q00": 1.0}}}),
            results=odd,
            comparisons=[],
        )
    )
    assert 'href="java%3A%22%27%3C%C3%A9"' in html


def test_a_bare_study_still_makes_a_page(results):
    """Nothing trained, nothing compared."""
    bare = with_evaluation(replace(results, steps=[], training={}), comparisons=[], baselines=[])
    html = page.html(bare)
    assert "Nothing was compared." in html
    assert "A rankscope comparison" in html
    assert '<section id="training">' not in html
    assert "Best in bold. Nothing was compared." in as_latex.means_tex(bare.evaluation)


def test_the_first_of_several_groups_is_open(results):
    evaluation = {
        key: [
            *stored(results)[key],
            *(row | {"collection": "test"} for row in stored(results)[key]),
        ]
        for key in ("results", "comparisons")
    }
    html = page.html(with_evaluation(results, **evaluation))
    of_findings = html.partition('<section id="findings">')[2].partition("</section>")[0]
    folds = re.findall(r'<details class="fold"( open)?>\n<summary><b>(\w+)</b> <span', of_findings)
    assert folds == [(" open", "dev"), ("", "test")]
    assert '<details class="fold" open>' not in page.html(results)


def test_a_ranker_without_a_log_has_no_charts(results):
    assert len(charts_of(page.html(replace(results, training={})))) == 1 + 2 + 4


def test_pairs_beyond_the_cap_are_counted(results, monkeypatch):
    monkeypatch.setattr(queries, "MAX_PAIRS", 1)
    assert "3 further pairs are not drawn." in page.html(results)


def test_thinning_is_said_only_where_it_happens(results, monkeypatch):
    said = "Of more than 39 queries, 39 evenly spaced ones are drawn and listed."
    assert "evenly spaced" not in page.html(results)
    assert "<summary>All queries</summary>" in page.html(results)
    monkeypatch.setattr(queries, "MAX_DRAWN", 39)
    thinned = page.html(results)
    assert said in thinned
    assert "<summary>All queries drawn</summary>" in thinned
    assert "39 evenly spaced ones of 40 queries." in thinned


def test_the_page_stays_small(text):
    assert len(text.encode()) < 2_000_000


def test_csv_means_are_the_means_to_the_last_digit(results):
    rows = list(csv.DictReader(io.StringIO(as_csv.means_csv(results.evaluation))))
    found = {(row["system"], row["measure"]): float(row["mean"]) for row in rows}
    assert found == {
        (row["system"], measure): mean
        for row in stored(results)["results"]
        for measure, mean in row["means"].items()
    }
    assert [row["n_missing"] for row in rows if row["system"] == "plain"] == ["1", "1"]


def test_csv_comparisons_are_the_comparisons(results):
    rows = csv.DictReader(io.StringIO(as_csv.comparisons_csv(results.evaluation)))
    for row, given in zip(rows, stored(results)["comparisons"], strict=True):
        assert [float(row["interval_low"]), float(row["interval_high"])] == given["interval"]
        for column in as_csv.comparison_columns():
            if column in given:
                assert row[column] == ("" if given[column] is None else str(given[column]))


def told_of_intervals(results):
    """What is said of the intervals wherever one stands beside a verdict."""
    text = page.html(results).replace("&nbsp;", "\u00a0")
    (forest, *_) = (each for each in charts_of(text).values() if "each with its" in str(each))
    return {
        "findings": text.partition('<ul class="findings">')[2].partition("</ul>")[0],
        "Figure 2": text.partition("<b>Figure 2.</b>")[2].partition("</p>")[0],
        "its axis": json.dumps(forest, ensure_ascii=False),
        "Table 2's head": text.partition('aria-label="Table 2"')[2]
        .partition("</thead>")[0]
        .lower(),
        "Table 2": text.partition("<b>Table 2.</b>")[2].partition("</p>")[0],
        "CSV": as_csv.comparisons_csv(results.evaluation),
        "LaTeX": as_latex.comparisons_tex(results.evaluation),
        "summary": summary.as_json(results),
    }


def test_an_interval_beside_a_corrected_verdict_is_said_to_be_uncorrected(results):
    for where, text in told_of_intervals(results).items():
        assert re.search("uncorrected 95(\u00a0| |~\\\\)% interval", text), where
    alone = told_of_intervals(with_evaluation(results, correction="none", significance_level=0.01))
    for where, text in alone.items():
        assert "uncorrected" not in text, where
        assert re.search("99(\u00a0| |~\\\\)% interval", text), where


def test_latex_escapes_what_latex_reads():
    assert as_latex.tex("a_b 5\u00a0% {x} \\ ~^ <0.001 \u22120.1 ≈") == (
        r"a\_b 5~\% \{x\} \textbackslash{} \textasciitilde{}\textasciicircum{} $<$0.001 $-$0.1 $\approx$"
    )


def test_latex_means_have_best_in_bold_and_a_letter_a_baseline(results):
    renamed = json.loads(json.dumps(stored(results)).replace('"C-D"', '"C_D 5%"'))
    table = as_latex.means_tex(recorded(renamed))
    (line,) = (line for line in table.splitlines() if line.startswith(r"C\_D 5\% & "))
    means = renamed["results"][3]["means"]
    assert line == (
        rf"C\_D 5\% & \textbf{{{means['nDCG@10']:.3f}}}"
        r"$^{\mathrm{a}\uparrow\,\mathrm{b}\uparrow\,\mathrm{c}\approx}$"
        rf" & {means['RR@10']:.3f}$^{{\mathrm{{a}}\uparrow\,\mathrm{{b}}\uparrow\,\mathrm{{c}}?}}$ \\"
    )
    assert r"Against a: bm25, b: plain, c: C: $\uparrow$ better" in table
    assert r"\cmidrule(lr){2-3}" in table
    assert table.count("{") == table.count("}")


def test_latex_shows_a_gap_where_a_system_was_not_measured(results):
    rows = [
        *stored(results)["results"],
        stored(results)["results"][2] | {"collection": "other"},
    ]
    table = as_latex.means_tex(with_evaluation(results, results=rows).evaluation)
    assert "bm25 & 0.430 & 0.456 & -- & -- " in table
    assert r"\cmidrule(lr){2-3} \cmidrule(lr){4-5}" in table


def test_latex_comparisons_have_a_line_each(results):
    without = [
        row | {"effect_size": None, "smallest_detectable": None}
        for row in stored(results)["comparisons"]
    ]
    table = as_latex.comparisons_tex(with_evaluation(results, comparisons=without).evaluation)
    body = table.partition(r"\midrule")[2].partition(r"\bottomrule")[0]
    assert body.count(r"\\") == 12
    assert all(line.count("&") == 12 for line in body.strip().splitlines())
    assert " & -- & " in body


def test_letters_do_not_run_out():
    letters = list(all_letters())
    assert (letters[0], letters[25], letters[26], len(set(letters))) == ("a", "z", "aa", 702)


def test_the_study_file_stands_folded_as_written_and_as_resolved(results, text):
    """A comparison of run files has neither: its command is told with date and machine."""
    tags = [attrs for tag, attrs in Tags(text).tags if tag == "details"]
    assert all("open" not in attrs for attrs in tags), "all folds are closed"
    study = text.partition('<section id="study">')[2]
    written, resolved = results.study_file.written, results.study_file.resolved
    assert study.index(f"<pre>{written}</pre>") < study.index(f"<pre>{resolved}</pre>")
    assert "Study file, as written, with 1 override</summary>" in study
    assert '<p class="note">Typed over it: <code>seed=42</code>.</p>' in study
    plain = replace(results, study_file=replace(results.study_file, overrides=()))
    assert "Study file, as written</summary>" in page.html(plain)
    compared = page.html(
        replace(results, steps=[], study_file=None, command="rankscope compare a b")
    )
    assert "Study file" not in compared
    assert "<dt>Command</dt><dd>rankscope compare a b</dd>" in compared


def test_the_guide_names_every_part_of_the_page_and_the_browser_s_keys(text):
    """The sections of analyses are told where their analyses are."""
    guide = (Path(__file__).parents[2] / "docs" / "guide.md").read_text("utf-8")
    told = guide.partition("\n## The page\n")[2].partition("\n## ")[0]
    parts = re.findall(r'<li><a href="#\w+">([\w ]+)</a></li>', text.partition("</nav>")[0])
    assert len(parts) >= 9
    for part in [*parts, "Costs"]:
        assert f"**{part}**" in told, f"{part} is not in the guide's section on the page"
    script = (files("rankscope.report") / "templates" / "report.js").read_text("utf-8")
    (keys,) = re.findall(r"const step = \{(.*?)\}\[event.key\]", script)
    assert re.findall(r"(\w+):", keys) == ["j", "ArrowDown", "k", "ArrowUp"]
    assert "the arrows or j and k" in told
    assert "rankscope view" in guide.partition("\n## Looking through results\n")[2][:100]
