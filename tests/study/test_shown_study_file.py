"""The study file as its user wrote it, on the page: its text with comments, what was typed over it, and no secret."""

import shutil
from pathlib import Path

import pytest

from rankscope.store.artifacts import Store
from rankscope.store.fingerprint import Digests
from rankscope.study.load import load
from rankscope.study.plan import plan
from support.command import Command

KEY, PASSWORD = "no-form-that-is-known/0123", "pass%2Fword-77"
COMMENT = f"# why <b>this</b> & that; the server is https://me:{PASSWORD}@host/v1?api-key={KEY}\n"


def fingerprints(study: Path, *overrides: str) -> dict[str, str]:
    steps = plan(load(study, overrides), Digests().of).steps
    return {step.kind: step.fingerprint for step in steps}


def test_a_comment_renames_the_report_and_nothing_else(tiny_study: Path, tmp_path: Path) -> None:
    text, mine = tiny_study.read_text("utf-8"), tmp_path / "mine.yaml"
    for name in ("world", "models"):
        if (tiny_study.parent / name).exists():
            (tmp_path / name).symlink_to(tiny_study.parent / name)
    mine.write_text(text, "utf-8")
    before = fingerprints(mine)
    mine.write_bytes(text.replace("\n", "\r\n").encode())
    assert fingerprints(mine) == before, "lines may end as they like"
    mine.write_text(text + "# an afterthought\n", "utf-8")
    after = fingerprints(mine)
    assert {kind for kind, made in after.items() if made != before[kind]} == {"report"}


def test_the_page_shows_the_file_as_written_and_what_was_typed_over_it(
    tiny_study: Path, tmp_path: Path, rankscope: Command
) -> None:
    """The same file and words give the same bytes; its text is text, and no secret of it is in any file."""
    store = Store(tmp_path / "tiny")
    mine = tiny_study.with_name("shown.yaml")
    mine.write_text(COMMENT + tiny_study.read_text("utf-8"), "utf-8")
    words = ("run", mine, "evaluate.margin={nDCG@10: 0.2}", "--results", tmp_path)
    try:
        assert rankscope(*words).code == 0
        page = (store.root / "report.html").read_text("utf-8")
        (shown,) = (part for part in page.split("<details") if "Study file, as written" in part)
        assert "with 1 override<" in shown
        assert "<code>evaluate.margin={nDCG@10: 0.2}</code>" in shown
        assert "# why &lt;b&gt;this&lt;/b&gt; &amp; that; the server is" in shown
        assert "https://[hidden]@host/v1?api-key=[hidden]" in shown
        assert "<dd>rankscope run shown.yaml &#39;evaluate.margin={nDCG@10: 0.2}&#39;</dd>" in page
        assert "As resolved: overrides applied" in page
        for path in store.root.rglob("*"):
            text = path.read_text("utf-8", "replace") if path.is_file() else ""
            assert not any(secret in text for secret in (KEY, PASSWORD)), path
        made = (store.root / "report.html").read_bytes()
        for folder in store.root.glob("steps/report-*"):
            shutil.rmtree(folder)
        assert rankscope(*words).code == 0
        assert (store.root / "report.html").read_bytes() == made
    finally:
        mine.unlink()


def test_the_key_of_an_llm_is_left_out_where_the_environment_has_it(
    tiny_study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_THIS_TEST", KEY)
    asked = "teachers.llm={kind: llm, model: m, first_stage: bm25, depth: 5, endpoint: 'http://host/v1', key_env: KEY_OF_THIS_TEST}"
    mine = tiny_study.with_name("keyed.yaml")
    mine.write_text(f"# my key: {KEY}\n" + tiny_study.read_text("utf-8"), "utf-8")
    try:
        report = plan(load(mine, [asked]), Digests().of).steps[-1]
    finally:
        mine.unlink()
    assert report.params.written.startswith("# my key: [hidden]\n")
