"""Where a user starts: `rankscope init`, the studies that come with rankscope, and data that is fetched for them."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import ir_datasets
import pytest

from rankscope.core.errors import BadInput, BadStudy, UnknownChoice
from rankscope.data import world
from rankscope.data.collections import beir_folder
from rankscope.data.public import places
from rankscope.data.public.table import PUBLIC
from rankscope.study.fields import schema
from rankscope.study.load import load
from rankscope.study.plan import plan
from rankscope.study.starting import ready_made
from support import public_files, tiny
from support.command import Command
from support.file_server import FileServer, file_server

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKSCOPE_CACHE", str(tmp_path / "cache"))
    for name in ("RANKSCOPE_DATA", "RANKSCOPE_MINILM", "RANKSCOPE_TEACHER", "RANKSCOPE_MIRROR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as state:
        yield state


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mine") / "my data"
    world.write(world.world(3, n_people=14), folder, test_share=0.4, seed=3)
    return folder


def serve(name: str, server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    made, files = public_files.made_up(name)
    server.files |= files
    monkeypatch.setitem(places.PUBLIC, name, made)


# -- init -------------------------------------------------------------------------------------------


def test_the_hub_is_named_only_where_it_is_asked(
    rankscope: Command, data: Path, tmp_path: Path
) -> None:
    tiny.save_encoder(tmp_path / "model")
    words = ("init", tmp_path / "mine", "--collection", data, "--model", tmp_path / "model")
    answer = rankscope(*words)
    assert answer.code == 0, answer.err
    assert answer.out.endswith(f"Then: rankscope run {tmp_path / 'mine' / 'study.yaml'}\n")


def test_a_folder_with_training_queries_is_tuned_on(
    rankscope: Command, data: Path, tmp_path: Path
) -> None:
    answer = rankscope("init", tmp_path / "my study!", "--collection", data)
    out = tmp_path / "my study!" / "study.yaml"
    assert answer.code == 0, answer.err
    assert answer.out.startswith(f"{out}: a cross-encoder, tuned on `train` and untuned, re-ranks")
    assert f"Next: rankscope check {out}\nThen: rankscope run {out} (the hub gives" in answer.out
    loaded = load(out)
    assert (loaded.study.study, list(loaded.study.rankers)) == ("my-study", ["plain", "tuned"])
    assert rankscope("check", out).out == "my-study: 14 steps, no mistakes.\n"
    assert {path.name for path in out.parent.iterdir()} == {"study.yaml", "study.schema.json"}
    assert out.read_text().startswith("# yaml-language-server: $schema=study.schema.json\n")
    assert (out.parent / "study.schema.json").read_text() == schema.text()
    comments = [line for line in out.read_text("utf-8").splitlines() if line.lstrip().startswith("#")]  # fmt: skip
    assert len(comments) >= 8


def test_the_paths_are_relative_to_the_study_file(
    rankscope: Command, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Study and data move together."""
    shutil.copytree(data, tmp_path / "a" / "data")
    monkeypatch.chdir(tmp_path / "a")
    assert rankscope("init", "study", "--collection", "data").code == 0
    (tmp_path / "a").rename(tmp_path / "b")
    assert rankscope("check", tmp_path / "b" / "study" / "study.yaml").code == 0


def test_a_folder_with_few_or_no_training_queries_is_re_ranked(
    rankscope: Command, data: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(data, tmp_path / "data")
    lines = (folder / "qrels" / "train.tsv").read_text().splitlines()
    (folder / "qrels" / "train.tsv").write_text("\n".join(lines[:3]) + "\n")
    for study in ("few", "none"):
        assert rankscope("init", tmp_path / study, "--collection", folder).code == 0
        assert rankscope("check", tmp_path / study / "study.yaml").out == f"{study}: 8 steps, no mistakes.\n"  # fmt: skip
        (folder / "qrels" / "train.tsv").unlink(missing_ok=True)


def test_an_ir_datasets_id(rankscope: Command, tmp_path: Path) -> None:
    answer = rankscope("init", tmp_path / "scifact", "--collection", "beir/scifact/test")
    assert answer.code == 0, answer.err
    assert rankscope("check", tmp_path / "scifact" / "study.yaml").code == 0
    spec = load(tmp_path / "scifact" / "study.yaml").study.collections["test"]
    assert (spec.kind, getattr(spec, "id", None)) == ("ir_datasets", "beir/scifact/test")


def test_run_files_are_re_ranked_in_place_of_bm25(
    rankscope: Command, data: Path, tmp_path: Path
) -> None:
    for name in ("mine.run", "your's.v2.run"):
        docs = [doc.doc_id for doc in beir_folder(data, "test").docs()][:3]
        queries = {qrel.query_id for qrel in beir_folder(data, "test").qrels()}
        lines = [f"{q} Q0 {d} {n} {9 - n} x" for q in sorted(queries) for n, d in enumerate(docs)]
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    runs = ["--run", tmp_path / "mine.run", "--run", tmp_path / "your's.v2.run"]
    answer = rankscope("init", tmp_path / "s", "--collection", data, *runs)
    assert answer.code == 0, answer.err
    assert "Without a study: rankscope compare " in answer.out
    study = load(tmp_path / "s" / "study.yaml").study
    assert list(study.first_stages) == ["mine", "your-s"]
    assert rankscope("check", tmp_path / "s" / "study.yaml").code == 0
    answer = rankscope("init", tmp_path / "t", "--collection", data, *runs[:2], *runs[:2])
    assert "mine: several run files would be called so" in answer.err


def test_a_public_collection_that_was_fetched(
    rankscope: Command, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve("wikiqa", server, monkeypatch)
    answer = rankscope("init", tmp_path / "s", "--collection", "wikiqa")
    assert answer.err == "rankscope: wikiqa is not fetched yet. Fetch it: rankscope data fetch wikiqa\n"  # fmt: skip
    rankscope("data", "fetch", "wikiqa", "--mirror", server.address)
    answer = rankscope("init", tmp_path / "s", "--collection", "wikiqa", "--split", "dev")
    assert answer.code == 0, answer.err
    assert rankscope("check", tmp_path / "s" / "study.yaml").out == "s: 14 steps, no mistakes.\n"


@pytest.mark.parametrize("name", ["no", "2024", "1e5", "null", "a b"])
def test_any_folder_name_makes_a_study(
    rankscope: Command, data: Path, tmp_path: Path, name: str
) -> None:
    """YAML takes some of these for something else than text."""
    answer = rankscope("init", tmp_path / name, "--collection", data)
    assert answer.code == 0, answer.err
    assert load(tmp_path / name / "study.yaml").study.study == name.replace(" ", "-")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "What is the study over? Give --collection FOLDER"),
        (["--collection", "no/such/thing"], "neither a folder here nor an id that ir_datasets knows"),
        (["--collection", "{data}", "--split", "dev"], "no split 'dev' in qrels/. There are: "),
        (["--collection", "{data}", "--run", "{data}/no.run"], "no.run: there is no such file"),
        (["--collection", "{data}", "--model", "{data}"], "so this is not a model"),
        (["--collection", "{data}", "--model", "some/model"], "needs `revision`, the hash of a commit"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_study_is_refused_and_nothing_is_written(
    rankscope: Command, data: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    words = [option.format(data=data) for option in options]
    answer = rankscope("init", tmp_path / "s", *words)
    assert answer.code == 1
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert not [*(tmp_path / "s").rglob("*")]


def test_a_study_file_that_is_there_is_left_alone(
    rankscope: Command, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "study.yaml").write_text("mine")
    answer = rankscope("init", tmp_path, "--collection", data)
    assert "study.yaml: it is there already" in answer.err
    assert (tmp_path / "study.yaml").read_text() == "mine"


def test_at_a_terminal_it_asks(data: Path, tmp_path: Path) -> None:
    """A process at a terminal of its own, whose user types two answers."""
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "rankscope", "init", str(tmp_path / "s")],
        stdin=terminal, stdout=terminal, stderr=terminal, close_fds=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "200"},
    )  # fmt: skip
    os.close(terminal)
    os.write(main, f"{data}\n\n".encode())
    shown = b""
    while True:
        try:
            shown += os.read(main, 4096)
        except OSError:  # the process has left
            break
        if not shown:
            break
    assert process.wait(30) == 0, shown.decode()
    assert b"Collection (a folder in BEIR layout" in shown
    assert b"Run files of your own first stages" in shown
    assert load(tmp_path / "s" / "study.yaml").study.study == "s"


# -- studies that come with rankscope -------------------------------------------------------------


def test_the_studies_are_listed_with_what_they_need(rankscope: Command) -> None:
    answer = rankscope("studies", "--json")
    listed = {each["name"]: each for each in json.loads(answer.out)}
    files = {path.relative_to(ROOT / "studies").with_suffix("").as_posix() for path in (ROOT / "studies").rglob("*.yaml")}  # fmt: skip
    assert {*listed} == {f"studies:{name}" for name in files}
    assert listed["studies:forgetting"]["data"] == ["wikiqa", "squad-dev", "scifact", "cranfield"]
    assert listed["studies:dense-knowledge"]["variables"] == ["BERT_COMMIT", "LLAMA_COMMIT"]
    assert "\nwikiqa-minilm\twikiqa\tStudy B in small" in rankscope("studies").out


@pytest.mark.parametrize("name", ready_made.ready_made())
def test_contract_of_every_study(name: str) -> None:
    """Its first line says in one sentence what it asks; it names no path of anybody's machine."""
    text = ready_made.ready_made()[name].read_text("utf-8")
    first = text.partition("\n")[0]
    assert re.fullmatch(r"# [A-Z].{20,130}[.?]", first)
    assert not re.search(r"\.\./|/home|/work|shared/", text)
    assert not re.search(r"package:", text.partition("\nstudy: ")[2])


@pytest.mark.parametrize("name", ready_made.ready_made())
def test_a_hub_model_has_a_commit_or_a_variable_for_it(name: str) -> None:
    for spec in load(ready_made.ready_made()[name]).study.rankers.values():
        for model, revision in (("model", "revision"), ("backbone", "revision"), ("doc_backbone", "doc_revision"), ("adapter", "adapter_revision")):  # fmt: skip
            if isinstance(getattr(spec, model, None), str):
                assert re.fullmatch(r"[0-9a-f]{40}|\$\{[A-Z_]+COMMIT\}", getattr(spec, revision))


RUNS_AS_IT_IS = {"knowing-base"}
"""Their collections are made up: nothing is fetched."""
RUNS_AFTER_ONE_COMMAND = [
    name
    for name, path in ready_made.ready_made().items()
    if not ready_made._unset(path) and name not in RUNS_AS_IT_IS
]


@pytest.mark.parametrize("name", sorted(RUNS_AS_IT_IS))
def test_a_study_over_a_made_up_world_needs_nothing(name: str, rankscope: Command) -> None:
    answer = rankscope("check", f"studies:{name}")
    assert answer.code == 0, answer.err


@pytest.mark.parametrize("name", RUNS_AFTER_ONE_COMMAND)
def test_a_study_is_planned_after_the_one_command_that_it_names(
    name: str,
    rankscope: Command,
    server: FileServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """What is missing is one sentence with a command; after that command the study is checked without a mistake."""
    for each, made in PUBLIC.items():
        if made.files:
            serve(each, server, monkeypatch)
    _make_cranfield(tmp_path, monkeypatch)
    answer = rankscope("check", f"studies:{name}")
    assert answer.code == 1
    command = re.search(r"Fetch (it|them): rankscope (data fetch .*)\n", answer.err)
    assert command is not None, answer.err
    assert answer.err.count("\n") == 1
    fetched = rankscope(*command.group(2).split(), "--mirror", server.address)
    assert fetched.code == 0, fetched.err
    answer = rankscope("check", f"studies:{name}")
    assert answer.code == 0, answer.err
    head = ready_made.ready_made()[name].read_text("utf-8").partition("\nstudy: ")[0]
    told = {word for line in re.findall(r"`rankscope data fetch ([^`]*)`", head) for word in line.split()}  # fmt: skip
    assert told == set(command.group(2).split()[2:]), "the head of the file names the same"


def test_most_studies_need_nothing_but_that_command() -> None:
    needed = {
        name
        for name in ready_made.ready_made()
        if name not in {*RUNS_AFTER_ONE_COMMAND, *RUNS_AS_IT_IS}
    }
    assert needed == {
        "dense-knowledge",
        "multistage-cross-encoders",
        "published/dense-knowledge",
        "published/multistage-cross-encoders",
    }, "of these, models have commits that no public source here states, or files no address"


def _make_cranfield(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collection that ir_datasets gives under the name `cranfield`."""
    for name, text in (
        ("docs.tsv", "d1\tone\nd2\ttwo\n"),
        ("queries.tsv", "q1\tfind one\n"),
        ("qrels", "q1 0 d1 1\n"),
    ):
        (tmp_path / name).write_text(text)
    made = ir_datasets.create_dataset(
        docs_tsv=str(tmp_path / "docs.tsv"),
        queries_tsv=str(tmp_path / "queries.tsv"),
        qrels_trec=str(tmp_path / "qrels"),
    )
    monkeypatch.setitem(ir_datasets.registry._registered, "cranfield", made)


def test_a_study_runs_on_data_that_was_fetched(
    rankscope: Command, server: FileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`studies:wikiqa-minilm`, every step of it, on a made-up archive from a server and with a tiny model."""
    serve("wikiqa", server, monkeypatch)
    monkeypatch.setenv("RANKSCOPE_MIRROR", server.address)
    monkeypatch.setenv("RANKSCOPE_MINILM", str(tiny.save_bi_encoder(tmp_path / "minilm")))
    answer = rankscope("data", "fetch", "wikiqa")
    assert answer.code == 0, answer.err
    assert "wikiqa: Microsoft Research Data License Agreement" in answer.err, "its terms"
    assert ": 91 docs, 30 queries, judgements: 40 dev, 40 test, 40 train.\n" in answer.out
    assert "\tyes\t" in rankscope("data").out
    monkeypatch.chdir(tmp_path)
    warned = [f"rankers.{name}.guards={{loss_above_chance: warn}}" for name in ("C", "D", "C-D", "D-C")]  # fmt: skip
    answer = rankscope("run", "studies:wikiqa-minilm", "rankers.plain.max_length=64", *warned)
    assert answer.code == 0, answer.err
    assert "C-D\tdev / bm25\t" in answer.out
    assert (tmp_path / "results" / "wikiqa-minilm" / "report.html").is_file()


def test_an_unknown_study_is_told(rankscope: Command) -> None:
    answer = rankscope("plan", "studies:wikiqa-minilmm")
    assert "Did you mean 'wikiqa-minilm'?" in answer.err
    with pytest.raises(UnknownChoice):
        ready_made.located(Path("studies:x"))
    assert ready_made.located(Path("a/b.yaml")) == Path("a/b.yaml")


def test_an_unknown_collection_is_told_with_its_place(tmp_path: Path) -> None:
    text = tiny.STUDY.format(data="data", encoder="encoder", bi="bi")
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(
        BadStudy, match=r"collections\.test\.id: .*Unknown public collection 'wikiq'"
    ):
        load(tmp_path / "study.yaml", ["collections.test={kind: public, id: wikiq}"])
    loaded = load(tmp_path / "study.yaml", ["collections.test={kind: public, id: wikiqa}"])
    with pytest.raises(BadInput, match="rankscope data fetch wikiqa$"):
        plan(loaded, str)


def test_a_fetched_collection_is_one_of_every_command(
    rankscope: Command, server: FileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    serve("scifact", server, monkeypatch)
    rankscope("data", "fetch", "scifact", "--mirror", server.address)
    out = tmp_path / "bm25.run"
    answer = rankscope("search", "bm25", "--collection", "public:scifact", "--out", out)
    assert answer.code == 0, answer.err
    answer = rankscope("evaluate", out, "--qrels", "public:scifact", "--measures", "nDCG@10")
    assert answer.out == "run\tnDCG@10\nbm25\t1.0000\n"


def test_the_wheel_has_the_studies() -> None:
    """`network` tests build it; here is what the build is told."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]  # fmt: skip
    assert wheel["force-include"] == {"studies": "rankscope/studies"}


@pytest.mark.network
def test_a_wheel_lists_its_studies(tmp_path: Path) -> None:
    """Built by pip, unpacked, and asked from another folder: it needs the registry for the build's own package."""
    words = ["wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    shutil.unpack_archive(wheel, tmp_path / "site", "zip")
    done = subprocess.run(
        [sys.executable, "-m", "rankscope", "studies", "--json"],
        check=True, capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
    )  # fmt: skip
    assert len(json.loads(done.stdout)) == len(ready_made.ready_made())
