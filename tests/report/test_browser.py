"""The query browser's data, bounded and escaped, and the page as a browser lays it out."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from rankscope.core.judged.evaluation import SeedResult
from rankscope.report import page
from rankscope.report.stored import StoredDoc
from rankscope.report.tables import browser as browsing
from rankscope.report.tables.browser import browser
from support.made_up_study import N_QUERIES, SYSTEMS, run_of

CHROMIUM = Path("/usr/bin/chromium")


def test_every_query_has_each_system_s_value_and_top(results):
    data = browser(results)
    (place,) = data["places"]
    assert (place["name"], place["systems"], place["n_queries"]) == ("dev", SYSTEMS, N_QUERIES)
    assert [query["id"] for query in place["queries"]] == [f"q{n:02d}" for n in range(N_QUERIES)]
    for query in place["queries"]:
        for system, value, top in zip(SYSTEMS, query["values"], query["tops"], strict=True):
            assert value == results.per_query[run_of(system)]["nDCG@10"][query["id"]]
            docs = results.rankings(run_of(system), query["id"], browsing.N_DOCS)
            assert [(data["docs"][doc][0], grade) for doc, grade in top] == [
                (doc.doc_id, doc.relevance) for doc in docs
            ]


def test_a_mean_over_seeds_is_not_passed_off_as_the_ranking_s_value(results):
    """The value is a mean of both seeds, the ranking is the first one's, and the page says so beside them."""
    evaluation = results.evaluation
    runs = tuple(
        SeedResult(f"C.seed={seed}", "", (), 0.0, evaluation.results[-1].means) for seed in (1, 2)
    )
    changed = (*evaluation.results[:-1], replace(evaluation.results[-1], runs=runs))
    (place,) = browser(replace(results, evaluation=replace(evaluation, results=changed)))["places"]
    assert place["seeds"][-1] == "mean of 2 seeds; the ranking is that of C.seed=1"
    assert set(place["seeds"][:-1]) == {""}
    assert "here().seeds[select.value]" in page.html(results)


def test_more_queries_and_systems_than_fit_are_left_out_and_counted(results, monkeypatch):
    monkeypatch.setattr(browsing, "MAX_QUERIES", 7)
    monkeypatch.setattr(browsing, "MAX_SYSTEMS", 2)
    (place,) = browser(results)["places"]
    ids = [query["id"] for query in place["queries"]]
    assert (len(ids), ids[0], ids[-1]) == (7, "q00", f"q{N_QUERIES - 1:02d}")
    assert place["systems"] == SYSTEMS[:2]
    text = page.html(results)
    assert f"7 evenly spaced ones of {N_QUERIES} queries, 2 of {len(SYSTEMS)} systems" in text


def test_texts_are_data_and_never_read_as_html(results):
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"

    def rankings(run, query_id, depth):
        return [StoredDoc(1, hostile, hostile, 1)]

    changed = replace(results, rankings=rankings, queries={"dev": {"q00": hostile}})
    text = page.html(changed)
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    (data,) = re.findall(
        r'<script type="application/json" id="browsed">(.*?)</script>', text, re.DOTALL
    )
    assert json.loads(data)["docs"][0][0] == hostile


def test_a_page_says_when_where_and_by_what_it_was_made(results):
    made = {
        "date": "2026-01-02T03:04:05+00:00",
        "processor": "CPU 9",
        "threads": 3,
        "device": "cpu",
    }
    later = made | {"date": "2026-01-04T00:00:00+00:00", "threads": 2}
    steps = [replace(step, made=made if n == 0 else later) for n, step in enumerate(results.steps)]
    text = page.html(replace(results, steps=steps, command="rankscope run mine.yaml"))
    for name, value in (
        ("Made on", "2026-01-02 to 2026-01-04"),
        ("Processor", "CPU 9"),
        ("Threads", "3, 2"),
        ("Device", "cpu"),
        ("Command", "rankscope run mine.yaml"),
    ):
        assert f"<dt>{name}</dt><dd>{value}</dd>" in text
    assert "<dt>Processor</dt>" not in page.html(results), "a manifest of before has none"


def test_the_citation_says_what_the_file_says(results):
    file = Path(__file__).parents[2] / "CITATION.cff"
    cited = file.read_text("utf-8")
    text = page.html(results)
    for name in ("title", "version"):
        (value,) = re.findall(rf"^{name}: (.+)$", cited, re.MULTILINE)
        assert f"{name} = {{{value}}}" in text
    (author,) = re.findall(r"- name: (.+)$", cited, re.MULTILINE)
    assert f"author = {{{{{author}}}}}" in text


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed here")
def test_in_a_browser_nothing_is_cut_and_keys_walk_through_queries(results, tmp_path):
    from playwright.sync_api import sync_playwright

    (tmp_path / "page.html").write_text(page.html(results), "utf-8")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        for width in (1200, 390):
            shown = chromium.new_page(viewport={"width": width, "height": 900})
            asked = []
            shown.on("request", lambda request, asked=asked: asked.append(request.url))
            shown.goto((tmp_path / "page.html").as_uri())
            shown.locator(".browser .listed li").first.wait_for()
            shown.wait_for_timeout(1500)
            if width == 1200:
                assert shown.evaluate("document.documentElement.scrollHeight") < 6000
            shown.evaluate(
                "document.querySelectorAll('details').forEach((fold) => fold.open = true)"
            )
            assert shown.evaluate("document.documentElement.scrollWidth") <= width
            wide = "[...document.querySelectorAll('.scroll')].filter((s) => s.scrollWidth > s.clientWidth + 1).length"
            assert shown.evaluate(wide) == 0
            first = shown.locator(".shown blockquote").inner_text()
            shown.locator(".listed").focus()
            shown.keyboard.press("j")
            assert shown.locator(".shown blockquote").inner_text() != first
            assert shown.locator(".listed li[aria-selected=true]").count() == 1
            shown.fill(".browser input", "no query has this")
            assert "No query has these words." in shown.locator(".shown").inner_text()
            assert len(asked) == 1, asked
        chromium.close()
