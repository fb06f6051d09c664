import json
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from rankscope import __version__, cli
from rankscope.cli import bugs
from rankscope.core.errors import BadInput
from rankscope.core.formats import read_run
from rankscope.core.result import Table
from rankscope.study import load as load_module
from support import tiny
from support.command import Command


def test_a_study_from_check_to_report(rankscope: Command, tiny_study: Path, tmp_path: Path) -> None:
    where = ("--results", tmp_path)
    assert rankscope("check", tiny_study).out == "tiny: 17 steps, no mistakes.\n"
    assert json.loads(rankscope("check", tiny_study, "--json").out) == {
        "study": "tiny",
        "n_steps": 17,
        "notes": [],
    }
    on_par = "evaluate.claims=[{claim: On par., systems: [C-D], are: equivalent, than: C}]"
    published = rankscope("check", tiny_study, on_par, "evaluate.tests=as_published")
    assert published.code == 0
    assert "On par.” can be neither supported nor contradicted here." in published.err
    assert rankscope("check", tiny_study, on_par, "evaluate.margin={nDCG@10: 0.1}").err == ""
    assert rankscope("plan", tiny_study, *where).out.endswith("17 steps: 17 missing\n")
    done = rankscope("run", tiny_study, *where)
    assert done.code == 0
    assert "C-D\ttest / bm25\t" in done.out
    assert f"Report: {tmp_path / 'tiny' / 'report.html'}" in done.out
    assert "train C: " in done.err
    assert rankscope("status", tiny_study, *where).out.endswith("17 steps: 17 done\n")
    again = json.loads(rankscope("run", tiny_study, *where, "--json").out)
    assert (again["done"], len(again["skipped"])) == ([], 17)
    assert {row["system"] for row in again["summary"]["results"]} == {
        "bm25",
        "bi",
        "plain",
        "C",
        "C-D",
    }
    states = json.loads(rankscope("plan", tiny_study, "seed=4", *where, "--json").out)["steps"]
    assert set(states.values()) == {"done", "missing"}
    (tmp_path / "tiny" / "report.html").unlink()
    assert rankscope("report", tiny_study, *where).code == 0
    assert (tmp_path / "tiny" / "report.html").is_file()


def test_status_says_what_failed(rankscope: Command, tiny_study: Path, tmp_path: Path) -> None:
    words = (tiny_study, "rankers.C.learning_rate=6.0e-12", "--results", tmp_path)
    stopped = rankscope("run", *words)
    assert stopped.code == 1
    assert "The learning rate 6e-12 cannot move the weights" in stopped.err
    assert stopped.err.strip().splitlines()[-1].endswith(")")
    shown = rankscope("status", *words).out
    assert "failed: rankscope.core.errors.TrainingStopped" in shown
    assert json.loads(rankscope("status", *words, "--json").out)["steps"]


def test_search_and_rerank_need_no_study(rankscope: Command, tmp_path: Path) -> None:
    data = tiny.write_collection(tmp_path / "data")
    bi = tiny.save_bi_encoder(tmp_path / "bi")
    tiny.cross_encoder(tmp_path).save(tmp_path / "ce")
    first, dense, again = (
        tmp_path / name for name in ("bm25.run", "dense.run.gz", "out/again.run")
    )
    words = ("--collection", data, "--split", "train")
    assert rankscope("search", "bm25", *words, "--depth", 5, "--out", first).code == 0
    assert rankscope("search", bi, *words, "--depth", 7, "--out", dense).code == 0
    assert {len(ranking) for ranking in read_run(dense).rankings.values()} == {7}
    for model in (tmp_path / "ce", bi):
        done = rankscope("rerank", model, *words, "--run", first, "--depth", 3, "--out", again)
        assert done.out == f"{again}: 8 queries by {model.name}.\n"
        assert read_run(again).tag == model.name
    before, after = read_run(first).rankings, read_run(again).rankings
    for query_id, ranking in before.items():
        ids = [doc.doc_id for doc in after[query_id]]
        assert sorted(ids[:3]) == sorted(doc.doc_id for doc in ranking[:3])
        assert ids[3:] == [doc.doc_id for doc in ranking[3:]]
    assert not list(tmp_path.rglob(".partial-*"))
    (tmp_path / "train-C-0123").mkdir()
    (tmp_path / "ce").rename(tmp_path / "train-C-0123" / "model")
    words = (*words, "--run", first, "--out", again)
    assert "by train-C-0123" in rankscope("rerank", tmp_path / "train-C-0123/model", *words).out


def test_check_names_a_file_that_is_missing(rankscope: Command, tiny_study: Path) -> None:
    teacher = "teachers.bi={kind: run, path: none.run}"
    answer = rankscope("check", tiny_study, teacher)
    assert (answer.code, "none.run: there is no such file" in answer.err) == (1, True)


def test_version(rankscope: Command) -> None:
    assert rankscope("--version").out == f"rankscope {__version__}\n"


def test_usage_mistakes_end_with_2(rankscope: Command, tiny_study: Path) -> None:
    assert rankscope("fly").code == 2
    assert rankscope("check").code == 2
    assert rankscope("search", "bm25", "--collection", "x", "--out", "y", "--depth", 0).code == 2


def test_interruptions_and_closed_pipes(
    rankscope: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", interrupted)
    answer = rankscope("run")
    assert answer.code == 130
    assert "goes on where this stopped" in answer.err


def test_a_closed_pipe_is_no_mistake(tiny_study: Path) -> None:
    command = f"{sys.executable} -m rankscope plan {tiny_study} | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (done.stdout.split("\t")[0], done.stderr) == ("kind", "")


def test_the_demo_writes_a_world_and_a_study_file_to_start_from(tmp_path: Path) -> None:
    from rankscope.study.demo import write_demo
    from rankscope.study.load import load

    study_file = write_demo(tmp_path / "demo")
    assert load(study_file).study.study == "demo"
    assert (tmp_path / "demo" / "world" / "corpus.jsonl").is_file()
    before = {
        path: path.read_bytes()
        for path in (tmp_path / "demo" / "world").rglob("*")
        if path.is_file()
    }
    study_file.write_text(study_file.read_text() + "# mine\n")
    write_demo(tmp_path / "demo")
    assert study_file.read_text().endswith("# mine\n"), "a user's changes stay"
    assert all(path.read_bytes() == data for path, data in before.items())


def test_the_demo_command(
    rankscope: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo's own study with the stages cut to a few updates."""
    from rankscope.study import demo

    monkeypatch.setattr(demo, "N_PEOPLE", 8)
    study_file = demo.write_demo(tmp_path / "demo")
    text = study_file.read_text()
    for length in ("updates: 600", "max_updates: 400", "max_updates: 200"):
        assert length in text
        text = text.replace(length, length.split(":")[0] + ": 3")
    study_file.write_text(text.replace("every: 50", "every: 2"))
    done = rankscope("demo", "--results", tmp_path)
    assert done.code == 0, done.err
    assert "D-C\ttest / bm25\t" in done.out
    assert f"Study file to start from: {study_file}" in done.out
    assert "summary" in json.loads(rankscope("demo", "--results", tmp_path, "--json").out)


def test_a_terminal_sees_bars_and_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    from rankscope import terminal

    monkeypatch.setattr(
        terminal,
        "Console",
        lambda stderr=False: Console(force_terminal=True, width=100, stderr=stderr),
    )
    watcher = terminal.progress()
    with watcher.task("train C", 4, "updates", done=1) as task:
        for _ in range(3):
            task.advance(loss=0.5)
    watcher.note("train C: 1.0 s")
    terminal.show_table(Table("title", ["system", "nDCG@10"], [["C", "0.5"]]))
    captured = capsys.readouterr()
    assert "4/4" in captured.err
    assert "loss 0.5000" in captured.err
    assert "train C: 1.0 s" in captured.err
    assert "nDCG@10" in captured.out


HOSTILE = [
    "bm25[k1=0.9]",
    "bm25[k1=1.2]",
    "x[/y]",
    "[bold]loud[/bold]",
    ":smile:",
    "\x1b[31mred",
    "a\u202eb",
    "a\tb\nc",
    "half \ud83d",
]
SHOWN = ["bm25[k1=0.9]", "bm25[k1=1.2]", "x[/y]", "[bold]loud[/bold]", ":smile:", "␛[31mred", "a\\u202eb", "a␉b␊c", "half \\ud83d"]  # fmt: skip


@pytest.mark.parametrize("is_terminal", [True, False])
def test_names_are_shown_as_they_are_and_steer_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_terminal: bool
) -> None:
    """In a table's title, head and cells, beside a bar, in a note."""
    from rich.console import Console

    from rankscope import terminal

    monkeypatch.setattr(
        terminal,
        "Console",
        lambda stderr=False: Console(
            force_terminal=is_terminal, color_system=None, width=400, stderr=stderr
        ),
    )
    monkeypatch.setattr(terminal, "SECONDS_BETWEEN_LINES", -1)
    for name, shown in zip(HOSTILE, SHOWN, strict=True):
        terminal.show_table(Table(name, ["system", name], [[name, "0.5"], ["b", name]]))
        table = capsys.readouterr().out
        assert table.count(shown) == (4 if is_terminal else 3)
        watcher = terminal.progress()
        with watcher.task(name, 2, "updates") as task:
            task.advance()
        watcher.note(name)
        told = capsys.readouterr().err
        assert shown in told  # the label; a note may have several lines
        for steering in ("\x1b[31m", "\u202e", "\ud83d", "😄"):
            assert steering not in table + told


def test_tags_of_runs_are_shown_as_they_are(rankscope: Command, tmp_path: Path) -> None:
    (tmp_path / "q.qrels").write_text("q0 0 d0 1\nq1 0 d1 1\n")
    for name, tag in {"a": "x[/y]", "b": "\x1b[31mred\x1b[0m"}.items():
        (tmp_path / f"{name}.run").write_text(f"q0 Q0 d0 1 2.0 {tag}\nq1 Q0 d1 1 1.0 {tag}\n")
    runs = [tmp_path / "a.run", tmp_path / "b.run"]
    found = rankscope("evaluate", *runs, "--qrels", tmp_path / "q.qrels", "--measures", "RR@10")
    assert found.code == 0, found.err
    assert "x[/y]\t" in found.out
    assert "\x1b" not in found.out + found.err
    assert "␛[31mred" in found.out


def where_to_report() -> str:
    """Where the package says that bugs go; it has no address that is not in pyproject."""
    written = tomllib.loads(
        (Path(__file__).resolve().parents[1] / "pyproject.toml").read_text("utf-8")
    )
    given = written["project"].get("urls", {})
    return f"at {given['Issues']}" if given else "to whoever you have this copy of rankscope from"


def test_a_bug_is_reported_at_the_address_that_the_package_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def told(*urls: str) -> str:
        given = SimpleNamespace(get_all=lambda _: list(urls) or None)
        monkeypatch.setattr(bugs, "metadata", lambda _: given)
        return bugs.explained(TypeError())[0]

    assert told().endswith("Report it with that to whoever you have this copy of rankscope from.")
    both = "Homepage, https://h.example", "Issues, https://i.example"
    assert told(*both).endswith("Report it with that at https://i.example.")


def test_a_bug_says_that_it_is_one(
    rankscope: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In one sentence: what and where, where the traceback is, where to report it; exit code 70."""

    def broken(*_: object) -> None:
        raise TypeError("'int' object is not iterable\nand more \x1b[31m")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(load_module, "load", broken)
    answer = rankscope("check", tmp_path / "study.yaml")
    assert answer.code == 70
    assert answer.err.startswith(
        "rankscope: this is a bug of rankscope, not a mistake of yours: TypeError ('int' object is not iterable)"
    )
    assert " at rankscope/study/command.py, line " in answer.err
    assert answer.err.count("\n") == 1
    (kept,) = tmp_path.glob("rankscope-*.txt")
    assert f"The traceback is in {kept}. Report it with that {where_to_report()}." in answer.err
    assert "Traceback (most recent call last)" in kept.read_text()
    monkeypatch.setenv("RANKSCOPE_TRACEBACK", "1")
    shown = rankscope("check", tmp_path / "study.yaml")
    assert "Traceback (most recent call last)" in shown.err
    assert "\x1b" not in shown.err
    assert len(list(tmp_path.glob("rankscope-*.txt"))) == 1
    monkeypatch.delenv("RANKSCOPE_TRACEBACK")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    assert "The traceback is above." in rankscope("check", tmp_path / "study.yaml").err


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "rankscope: there is not enough memory."),
        (OSError(28, "No space left on device", "/x"), "rankscope: /x: the system refuses it (No space left on device). Free some space."),
    ],
)  # fmt: skip
def test_what_the_machine_refuses_is_no_bug(
    rankscope: Command,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    error: Exception,
    message: str,
) -> None:
    def refused(*_: object) -> None:
        raise error

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(load_module, "load", refused)
    answer = rankscope("check", tmp_path / "study.yaml")
    assert (answer.code, answer.err[: len(message)]) == (1, message)
    assert "bug" not in answer.err


def test_an_interruption_inside_a_command_is_told(
    rankscope: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(load_module, "load", interrupted)
    answer = rankscope("check", tmp_path / "study.yaml")
    assert (answer.code, answer.err) == (
        130,
        "rankscope: interrupted; the same command goes on where this stopped.\n",
    )


def test_names_of_files_that_are_no_text_are_shown(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rankscope", "check", os.fsencode(tmp_path) + b"/\xff\x1b.yaml"],
        capture_output=True, check=False, env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 1
    assert b"there is no such study file" in done.stderr
    assert b"\x1b" not in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_table_too_wide_for_a_terminal_is_drawn_in_parts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    from rankscope import terminal

    monkeypatch.setattr(terminal, "Console", lambda: Console(force_terminal=True, width=40))
    columns = ["measure", "systems", "corrected p", "interval", "verdict"]
    rows = [["RR", "C-D - C", "0.0123", "-0.1000 to +0.1000", "? cannot tell"]]
    terminal.show_table(Table("title", columns, rows, n_names=2))
    drawn = capsys.readouterr().out
    assert max(len(line) for line in drawn.splitlines() if "│" in line) <= 41  # it may hold codes
    for text in ("0.0123", "-0.1000 to +0.1000", "? cannot tell"):
        assert drawn.count(text) == 1, text
    assert drawn.count("C-D - C") == 3
    assert "…" not in drawn


def test_elsewhere_lines_come_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rankscope import terminal

    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with terminal.progress().task("train C", 30, "updates", done=10) as task:
        for _ in range(20):
            clock[0] += 1.0
            task.advance(loss=0.25)
    assert capsys.readouterr().err.splitlines() == [
        "train C: 20/30 updates, 1.0 updates/s, loss 0.2500, 0:00:10 left",
        "train C: 30/30 updates, 1.0 updates/s, loss 0.2500",
    ]


def hindi(folder: Path) -> Path:
    """Docs and a query in Hindi, in BEIR layout: "books" is asked for, a book is there."""
    book, docs = "\u0915\u093f\u0924\u093e\u092c", folder / "corpus.jsonl"
    (folder / "qrels").mkdir(parents=True)
    docs.write_text(
        f'{{"_id": "d1", "text": "{book}"}}\n{{"_id": "d2", "text": "\u0e44\u0e17\u0e22"}}\n'
    )
    (folder / "queries.jsonl").write_text(f'{{"_id": "q1", "text": "{book}\u0947\u0902"}}\n')
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    return folder


def test_bm25_reads_the_language_it_is_told(tmp_path: Path, rankscope: Command) -> None:
    words = [
        "search",
        "bm25",
        "--collection",
        hindi(tmp_path / "data"),
        "--out",
        tmp_path / "a.run",
    ]
    plain = rankscope(*words)
    assert (plain.code, plain.out) == (1, "")
    assert "The one judged query has no word that a doc has" in plain.err
    assert "BM25: 1 of 2 docs has words in Thai" in plain.err
    assert rankscope(*words, "--language", "hindi").out.endswith(": 1 query by bm25.\n")
    unknown = rankscope(*words, "--language", "hindy")
    assert (unknown.code, "Did you mean 'hindi'?" in unknown.err) == (1, True)
    other = rankscope(*words[:1], "some/model", *words[2:], "--language", "hindi")
    assert (other.code, "--language: for bm25" in other.err) == (1, True)


def test_a_study_says_a_first_stages_language(
    tiny_study: Path, tmp_path: Path, rankscope: Command
) -> None:
    wrong = rankscope("check", tiny_study, "first_stages.bm25.language=hindy")
    assert wrong.code == 1
    assert (
        "first_stages.bm25.language: Unknown language 'hindy'. Did you mean 'hindi'?" in wrong.err
    )
    assert rankscope("check", tiny_study, "first_stages.bm25.language=none").code == 0


@pytest.mark.parametrize("language", [None, "hindi", "none"])
@pytest.mark.parametrize(
    "words", [("probe", "a=bi"), ("attribute", "a=bi"), ("diff", "a=bi", "b=bi")]
)
def test_what_looks_inside_ranks_with_bm25_in_the_language_asked_for(
    rankscope: Command,
    tiny_study: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    language: str | None,
) -> None:
    asked: list[object] = []

    def built(*_: object, **given: object) -> None:
        asked.append(given["language"])
        raise BadInput("BM25 is built here.")

    monkeypatch.setattr("rankscope.retrieve.bm25.build", built)
    monkeypatch.chdir(tiny_study.parent)
    options = ["--language", language] if language else []
    found = rankscope(*words, "--collection", "data", *options)
    assert found.err.endswith("BM25 is built here.\n"), found.err
    assert asked == [language or "english"]


@pytest.mark.parametrize("command", ["search", "probe", "attribute", "diff"])
def test_a_language_that_there_is_not_is_told_before_anything_is_read(
    rankscope: Command, command: str
) -> None:
    models = ["nowhere"] * (2 if command == "diff" else 1)
    out = ["--out", "out.run"] if command == "search" else []
    found = rankscope(command, *models, "--collection", "nowhere", "--language", "hindu", *out)
    assert found.code == 1
    assert "Unknown language 'hindu'. Did you mean 'hindi'?" in found.err


def test_queries_that_find_nothing_are_told_and_no_run_is_empty(
    rankscope: Command, tmp_path: Path
) -> None:
    """An empty run was written with exit code 0, and every reader then refuses it."""
    data, out = tiny.write_collection(tmp_path / "data"), tmp_path / "a.run"
    queries = [json.loads(line) for line in (data / "queries.jsonl").read_text().splitlines()]
    asked = ("search", "bm25", "--collection", data, "--out", out)

    def rewrite(unknown: int) -> None:
        texts = ["xylophone" if n < unknown else query["text"] for n, query in enumerate(queries)]
        lines = (json.dumps(q | {"text": t}) for q, t in zip(queries, texts, strict=True))
        (data / "queries.jsonl").write_text("\n".join(lines))

    rewrite(1)
    some = rankscope(*asked)
    assert (some.code, f"{out}: 3 queries by bm25." in some.out) == (0, True)
    assert "1 of 4 judged queries has no word that a doc has" in some.err
    out.unlink()
    rewrite(len(queries))
    none = rankscope(*asked)
    assert (none.code, out.exists()) == (1, False)
    assert "None of the 4 judged queries has a word that a doc has" in none.err


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("search", "bm25", "--out", "a.run", "--split", "dev", "--collection"), "--split"),
        (("evaluate", "a.run", "--split", "dev", "--qrels"), "--split"),
        (("probe", "bi", "--train-split", "dev", "--collection"), "--train-split"),
    ],
)
def test_a_split_that_is_not_there_names_the_option(
    rankscope: Command, tmp_path: Path, words: tuple[str, ...], option: str
) -> None:
    answer = rankscope(*words, tiny.write_collection(tmp_path / "data"))
    assert answer.code == 1
    assert answer.err.endswith(
        f"no split 'dev' in qrels/. There are: test, train. Name one by {option}.\n"
    )


@pytest.mark.parametrize("width", [50, 60, 72, 80, 81, 84, 100, 200])
@pytest.mark.parametrize("systems", ["b - a", "train-C-D-1234567890ab - bm25"])
def test_no_number_of_a_drawn_table_is_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int, systems: str
) -> None:
    from rich.console import Console

    from rankscope import terminal

    monkeypatch.setattr(
        terminal, "Console", lambda: Console(force_terminal=True, color_system=None, width=width)
    )
    columns = ["measure", "systems", "difference", "uncorrected 95 % interval", "corrected p equivalent", "verdict"]  # fmt: skip
    numbers = ["-0.0149", "-0.0252 to -0.0053", "0.1581", "? cannot tell"]
    terminal.show_table(Table("title", columns, [["nDCG@10", systems, *numbers]], n_names=2))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert all(line[-1] in "┓┃┩│┘" for line in lines if line[0] in "┏┃┡│└")
    drawn = "\n".join(lines)
    for word in (*numbers, "uncorrected", "interval", "equivalent"):
        assert drawn.count(word) == 1, word
