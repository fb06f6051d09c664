import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from rankscope.core.errors import BadInput, BadStudy, DamagedArtifact, MissingArtifact, NotWritable
from rankscope.core.formats import read_run
from rankscope.core.input_files import sha256_of
from rankscope.core.progress import SILENT
from rankscope.core.records import Run, ScoredDoc
from rankscope.core.trec.writing import write_run
from rankscope.pipeline.planner import Plan
from rankscope.pipeline.step import Kind
from rankscope.pipeline.work import Summary, Work
from rankscope.store.artifacts import MANIFEST, Status, Store
from rankscope.store.durable import with_sum
from rankscope.store.fingerprint import Digests
from rankscope.study import origin, runner
from rankscope.study.load import load
from rankscope.study.plan import plan
from rankscope.train import loop
from support import dense_study, tiny
from support.command import Command
from support.kinds import kinds


def planned(study: Path, *overrides: str) -> Plan:
    return plan(load(study, overrides), Digests().of)


def labels(made: Plan) -> list[str]:
    return [f"{step.kind} {step.label}" for step in made.steps]


def differing(study: Path, *overrides: str) -> set[str]:
    before = {step.fingerprint for step in planned(study).steps}
    return {
        f"{s.kind} {s.label}"
        for s in planned(study, *overrides).steps
        if s.fingerprint not in before
    }


def test_every_step_comes_after_its_inputs_and_once(tiny_study: Path) -> None:
    seen: set[str] = set()
    for step in planned(tiny_study).steps:
        assert {given.fingerprint for given in step.inputs.values()} <= seen
        assert step.fingerprint not in seen
        seen.add(step.fingerprint)
    assert labels(planned(tiny_study)).count("docs test") == 1, "collections share their docs"


ABOVE = {"evaluate all", "report tiny"}
C_AND_BELOW = {"train C", "rerank C.test.bm25", "train C-D", "rerank C-D.test.bm25"} | ABOVE


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("rankers.C-D.learning_rate=2.0e-3", {"train C-D", "rerank C-D.test.bm25"} | ABOVE),
        ("rankers.C-D.checkpoint_every=7", {"report tiny"}),
        ("evaluate.margin.nDCG@10=0.1", ABOVE),
        (
            "rankers.C.max_updates=7",
            {"train C", "rerank C.test.bm25", "train C-D", "rerank C-D.test.bm25"} | ABOVE,
        ),
        (
            "teachers.bi.depth=4",
            {"rerank bi.train.bm25", "train C-D", "rerank C-D.test.bm25"} | ABOVE,
        ),
        ("rankers.C.weight_decay=0.01", {"report tiny"}),
        ("rankers.C-D.trackers=[tensorboard]", {"report tiny"}),
        *(
            (f"rankers.C-D.{change}", {"train C-D", "rerank C-D.test.bm25"} | ABOVE)
            for change in (
                "compile=true",
                "memory=grad_cache",
                "precision=bfloat16",
                "freeze=[embeddings]",
                "freeze_layers=1",
                "lora={rank: 4}",
                "mixed_with={samples: {labels: bi, group_size: 4}, loss: kl}",
            )
        ),
        ("rankers.C.validate.patience=2", C_AND_BELOW),
        ("rankers.C.validate.collection=[train, test]", C_AND_BELOW),
    ],
)
def test_a_change_renames_what_hangs_on_it_and_nothing_else(
    tiny_study: Path, override: str, changed: set[str]
) -> None:
    assert differing(tiny_study, override) == changed


@pytest.mark.parametrize(
    "change", ["weight=0.25", "loss=listnet", "samples.group_size=3", "samples.labels=other"]
)
def test_a_change_of_the_second_loss_renames_its_stage_and_what_hangs_on_it(
    tiny_study: Path, change: str
) -> None:
    mixed = [
        "rankers.C-D.mixed_with={samples: {labels: bi, group_size: 4}, loss: kl, weight: 0.5}",
        "teachers.other={kind: ranker, ranker: bi, candidates: bm25, depth: 4}",
    ]
    before = {step.fingerprint for step in planned(tiny_study, *mixed).steps}
    after = planned(tiny_study, *mixed, f"rankers.C-D.mixed_with.{change}").steps
    changed = {f"{s.kind} {s.label}" for s in after if s.fingerprint not in before}
    teacher = {"rerank bi.train.bm25"} if change == "samples.labels=other" else set()
    assert changed == {"train C-D", "rerank C-D.test.bm25"} | teacher | ABOVE


def test_another_seed_renames_what_is_drawn(tiny_study: Path) -> None:
    changed = differing(tiny_study, "seed=4")
    assert {"ranker plain", "train C", "train C-D"} <= changed
    assert not {"docs test", "collection test", "index bm25", "search bm25.test"} & changed


def test_noise_in_a_collections_queries_changes_its_topics_and_what_reads_them(
    tiny_study: Path,
) -> None:
    changed = differing(tiny_study, "collections.test.noise=[typos]")
    assert "collection test" in changed
    assert not [name for name in changed if name.startswith(("docs", "index", "train", "scratch"))]
    noisy = ["collections.test.noise=[typos]"]
    (one,), (other,) = (
        [
            s.name
            for s in planned(tiny_study, *noisy, *seed).steps
            if s.kind == "collection" and s.label == "test"
        ]
        for seed in ([], ["seed=9"])
    )
    assert one != other


def test_the_bytes_of_a_source_count_not_its_place(tiny_study: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_study.parent / "data", tmp_path / "elsewhere")
    moves = [f"collections.{name}.path={tmp_path / 'elsewhere'}" for name in ("train", "test")]
    assert differing(tiny_study, *moves) == {"report tiny"}
    with (tmp_path / "elsewhere" / "corpus.jsonl").open("a") as file:
        file.write('{"_id": "new", "text": "one more"}\n')
    assert {"docs test", "index bm25", "train C"} <= differing(tiny_study, *moves)


def test_an_ir_datasets_id_is_planned_the_same_in_every_process(tiny_study: Path) -> None:
    """And two ids over the same docs share the docs."""
    overrides = [
        "collections.test={kind: ir_datasets, id: msmarco-passage/trec-dl-2019/judged}",
        "collections.train={kind: ir_datasets, id: msmarco-passage/train/judged}",
    ]
    first, again = (planned(tiny_study, *overrides) for _ in range(2))
    assert [s.fingerprint for s in first.steps] == [s.fingerprint for s in again.steps]
    assert [label for label in labels(first) if label.startswith("docs")] == ["docs test"]
    assert labels(first).count("index bm25") == 1


def test_files_wherever_they_are(tiny_study: Path) -> None:
    data = tiny_study.parent / "data"
    files = f"docs: {data}/corpus.jsonl, queries_file: {data}/queries.jsonl, qrels: {data}/qrels/test.tsv"
    assert differing(tiny_study, f"collections.test={{kind: files, {files}}}") == {"report tiny"}


def test_files_of_one_name_in_two_folders_of_a_model_are_two(
    tiny_study: Path, tmp_path: Path
) -> None:
    """1_Pooling/config.json is not config.json: another pooling is another ranker."""
    model = tmp_path / "bi"
    shutil.copytree(tiny_study.parent / "bi", model)
    moved = f"rankers.bi.model={model}"
    assert differing(tiny_study, moved) == {"report tiny"}
    (pooling,) = model.glob("*Pooling/config.json")
    pooling.write_text(pooling.read_text().replace("mean", "cls"))
    assert "ranker bi" in differing(tiny_study, moved)


def test_a_hub_id_needs_a_commit(tiny_study: Path) -> None:
    hub = "rankers.plain.backbone=google/electra-base-discriminator"
    with pytest.raises(BadStudy, match="rankers.plain: .* needs `revision`, the hash of a commit"):
        planned(tiny_study, hub)
    with pytest.raises(
        BadStudy, match="rankers.plain.revision: 'main' is not the hash of a commit"
    ):
        planned(tiny_study, hub, "rankers.plain.revision=main")
    made = planned(tiny_study, hub, "rankers.plain.revision=abcdef1234567")
    identity = next(s.identity for s in made.steps if s.label == "plain")
    assert identity["weights"]["hub"] == ["google/electra-base-discriminator", "abcdef1234567"]


def test_a_study_is_carried_out_by_one_process_at_a_time(tiny_study: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "tiny")
    left = tmp_path / "tiny" / "steps" / ".partial-lost"
    left.mkdir(parents=True)
    with store.locked():
        assert not left.exists(), "what a killed process left is swept"
        with pytest.raises(NotWritable, match="another process"):
            runner.carry_out(planned(tiny_study), Store(tmp_path / "tiny"))


def test_a_validation_on_training_queries_is_noted(carried_out: tuple[Plan, Store]) -> None:
    made, store = carried_out
    summary = store.manifest(next(s.name for s in made.steps if s.label == "C"))["summary"]
    assert summary["guards"]["validation_queries"].startswith(
        "8 of 8 validation queries (train) are training queries (train): "
    )


def test_a_manifest_says_what_names_a_step_and_what_it_leaves_at_its_default(
    carried_out: tuple[Plan, Store],
) -> None:
    made, store = carried_out
    step = next(step for step in made.steps if step.kind == "index")
    manifest = store.manifest(step.name)
    assert manifest["params"] == step.identity
    assert (manifest["defaults"]["BM25Spec.k1"], step.spec.k1) == (0.9, 0.9)


def test_a_second_stage_draws_anew(tiny_study: Path) -> None:
    made = planned(tiny_study)
    stages = {s.label: s.params.stage for s in made.steps if s.kind == "train"}
    assert stages == {"C": 1, "C-D": 2}


def test_names_of_rankers_that_are_equal_share_a_step(tiny_study: Path) -> None:
    made = planned(
        tiny_study, "rankers.again={kind: bi_encoder, model: " + str(tiny_study.parent / "bi}")
    )
    assert [label for label in labels(made) if label.startswith("ranker")] == [
        "ranker bi",
        "ranker plain",
    ]


def test_every_kind_of_step_can_be_carried_out() -> None:
    found = kinds()
    assert all(callable(kind.function()) for kind in found)
    assert len({kind.name for kind in found}) == len(found) > 20


def test_the_specs_list_of_corrections_is_the_table() -> None:
    from rankscope.evaluate.pairs.correction import CORRECTIONS
    from rankscope.pipeline.spec.fields import CORRECTION_NAMES

    assert set(CORRECTION_NAMES) == CORRECTIONS.keys()


def test_planning_loads_no_torch(tiny_study: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from rankscope.study.load import load;"
        "from rankscope.study.plan import plan; from rankscope.store.fingerprint import Digests;"
        f"plan(load(Path({str(tiny_study)!r})), Digests().of);"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_first_stage_is_read_and_planned_without_torch(tmp_path: Path) -> None:
    """Every file of the folder is imported, and all but run files planned; what searches is imported in `search`."""
    study = dense_study.write(tmp_path)
    script = (
        "import sys; from importlib import import_module; from pathlib import Path; from pkgutil import iter_modules;"
        "from rankscope.pipeline import first_stages; from rankscope.study.load import load;"
        "from rankscope.study.plan import plan; from rankscope.store.fingerprint import Digests;"
        "[import_module(f'rankscope.pipeline.first_stages.{m.name}') for m in iter_modules(first_stages.__path__)];"
        f"plan(load(Path({str(study)!r})), Digests().of);"
        "sys.exit(bool({'torch', 'transformers', 'faiss'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.fixture(scope="module")
def carried_out(tiny_study: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    """The tiny study, carried out once for all tests of this module."""
    made, store = planned(tiny_study), Store(tmp_path_factory.mktemp("results") / "tiny")
    done = runner.carry_out(made, store)
    assert list(done.done) == [step.name for step in made.steps]
    return made, store


def test_the_page_tells_what_training_and_scoring_cost(carried_out: tuple[Plan, Store]) -> None:
    """By hand from the log and the runs: every update's queries times their docs, and the docs above the depth."""
    made, store = carried_out
    page = (store.root / "report.html").read_text("utf-8")
    rows = page.partition('<section id="systems">')[2].partition("</tbody>")[0].split("<tr>")
    row = next(row for row in rows if '<th scope="row">C-D</th>' in row)
    n_pairs = 0
    for start in ("train-C-", "train-C-D-"):
        name = step_called(made, start)
        log = (store.folder(name) / "log.jsonl").read_text("utf-8").splitlines()
        n_updates = sum("loss" in json.loads(line) for line in log)
        n_pairs += n_updates * 4 * 4
    scored = step_called(made, "rerank-C-D.test.bm25-")
    run = read_run(store.folder(scored) / "run.trec")
    n_scored = sum(
        min(store.manifest(scored)["params"]["depth"], len(r)) for r in run.rankings.values()
    )
    assert f'data-label="Training pairs">{n_pairs:,}</td>' in row
    assert f'data-label="Docs scored">{n_scored:,}</td>' in row
    assert 'data-label="Device">cpu</td>' in row


def test_running_twice_does_nothing_the_second_time(
    carried_out: tuple[Plan, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, store = carried_out
    calls: list[str] = []
    monkeypatch.setattr(
        Kind, "function", lambda kind: lambda work: calls.append(work.step.name) or {}
    )
    again = runner.carry_out(made, Store(store.root))
    assert calls == []
    assert (again.done, len(again.skipped)) == ((), len(made.steps))


def test_changing_c_d_carries_out_c_d_and_what_hangs_on_it(
    tiny_study: Path, carried_out: tuple[Plan, Store]
) -> None:
    _, store = carried_out
    made = planned(tiny_study, "rankers.C-D.learning_rate=2.0e-3")
    done = runner.carry_out(made, Store(store.root)).done
    kinds = [name.rsplit("-", 1)[0] for name in done]
    assert kinds == ["train-C-D", "rerank-C-D.test.bm25", "evaluate-all", "report-tiny"]


def test_same_study_same_bytes(
    tiny_study: Path, carried_out: tuple[Plan, Store], tmp_path: Path
) -> None:
    made, store = carried_out
    other = Store(tmp_path / "tiny")
    runner.carry_out(made, other)
    for step in made.steps:
        if step.kind != "report":  # it shows the seconds
            files = [s.manifest(step.name)["files"] for s in (store, other)]
            assert files[0] == files[1], step.name


def test_a_damaged_result_is_found_named_and_computed_anew_on_retry(
    carried_out: tuple[Plan, Store],
) -> None:
    made, store = carried_out
    name = next(step.name for step in made.steps if step.kind == "train")
    weights = store.folder(name) / "model" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(DamagedArtifact, match=r"model\.safetensors.*--retry"):
        runner.carry_out(made, Store(store.root))
    done = runner.carry_out(made, Store(store.root), retry=True)
    assert done.done == (name,)
    assert weights.read_bytes() == whole


def test_what_fails_is_remembered_and_tried_again(
    tiny_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    untrained = ("evaluate.rankers=[plain]", "evaluate.baseline=[bm25]")
    made, store = planned(tiny_study, *untrained), Store(tmp_path / "tiny")

    def broken(work: Work) -> Summary:
        raise BadInput("no such thing")

    usual = Kind.function
    with monkeypatch.context() as patch:
        patch.setattr(
            Kind, "function", lambda kind: broken if kind.name == "index" else usual(kind)
        )
        with pytest.raises(BadInput) as caught:
            runner.carry_out(made, store)
    name = next(step.name for step in made.steps if step.kind == "index")
    assert caught.value.__notes__ == [f"(in step {name})"]
    assert store.status(name) is Status.FAILED
    assert "no such thing" in store.error_file(name).read_text()
    runner.carry_out(made, store)
    assert store.status(name) is Status.DONE
    assert not store.error_file(name).exists()


def test_the_report_is_made_again_from_what_is_stored(
    carried_out: tuple[Plan, Store], tmp_path: Path
) -> None:
    made, store = carried_out
    (store.root / "report.html").unlink()
    assert runner.report_again(made, Store(store.root)).is_file()
    with pytest.raises(MissingArtifact, match="rankscope run"):
        runner.report_again(made, Store(tmp_path))


class Noting:
    """What was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.task = SILENT.task

    def note(self, text: str) -> None:
        self.told.append(text)


def step_called(made: Plan, start: str) -> str:
    return next(step.name for step in made.steps if step.name.startswith(start))


def rewritten(store: Store, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Another manifest, with its sum."""
    path = store.folder(name) / MANIFEST
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(with_sum(manifest)))


@pytest.fixture
def copied(carried_out: tuple[Plan, Store], tmp_path: Path) -> tuple[Plan, Store]:
    """The study that was carried out, in a folder of the test's own."""
    made, store = carried_out
    shutil.copytree(store.root, tmp_path / "tiny")
    return made, Store(tmp_path / "tiny")


def test_what_rests_on_other_bytes_of_a_training_is_computed_anew(
    copied: tuple[Plan, Store],
) -> None:
    """As after `--retry` on another number of threads: without a retry, too."""
    made, store = copied
    name = step_called(made, "train-C-D")
    weights = store.folder(name) / "model" / "model.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    rewritten(
        store, name, lambda m: m["files"]["model/model.safetensors"].update(sha256=sha256_of(weights))
    )  # fmt: skip
    above = ["rerank-C-D.test.bm25", "evaluate-all", "report-tiny"]
    states = {s.name: store.status(s.name, s.needs) for s in made.steps}
    assert states[step_called(made, above[0])] is Status.STALE
    with pytest.raises(MissingArtifact, match=rf"{name}.*rankscope run"):
        runner.report_again(made, Store(store.root))
    noting = Noting()
    done = runner.carry_out(made, Store(store.root), progress=noting).done
    assert done[0].rsplit("-", 1)[0] == above[0]
    assert f"rests on other bytes of {name} than are there now" in noting.told[0]
    assert runner.carry_out(made, Store(store.root)).done == ()


def test_results_made_under_other_versions_are_told_step_by_step_and_used(
    copied: tuple[Plan, Store], tiny_study: Path, rankscope: Command
) -> None:
    made, store = copied
    torch = store.manifest(made.steps[0].name)["versions"]["torch"]
    for start in ("train-C-D", "index-bm25"):
        rewritten(store, step_called(made, start), lambda m: m["versions"].update(torch="1.0"))
    words = ("--results", store.root.parent)
    told = (
        f"made under other versions than are here, torch 1.0 (here {torch}), and used as stored: "
    )
    told += "index bm25, train C-D"
    noting = Noting()
    assert runner.carry_out(made, Store(store.root), progress=noting).done == ()
    assert noting.told == [told]
    status = rankscope("status", tiny_study, *words)
    assert (status.code, status.err) == (0, f"Note: {told}\n")
    assert json.loads(rankscope("status", tiny_study, *words, "--json").out)["notes"] == [told]
    again = rankscope("report", tiny_study, *words)
    assert (again.code, again.err) == (0, f"{told}\n")
    assert f"torch 1.0 (here {torch})" in (store.root / "report.html").read_text()


def test_results_of_an_earlier_version_are_used_and_told(copied: tuple[Plan, Store]) -> None:
    made, store = copied
    path = store.folder(made.steps[0].name) / MANIFEST
    old = {k: v for k, v in json.loads(path.read_text()).items() if k not in {"sha256", "rests_on"}}
    path.write_text(json.dumps(old))
    noting = Noting()
    assert runner.carry_out(made, Store(store.root), progress=noting).done == ()
    (said,) = noting.told
    assert said.endswith(f"would not be seen: {made.steps[0].kind} {made.steps[0].label}")


def test_a_renamed_ranker_goes_on_from_its_checkpoints(
    copied: tuple[Plan, Store], tiny_study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped twice, as under a queue's time limit; what it was called before is stored."""
    text = tiny_study.read_text()
    for old, new in (
        ("  C:\n", "  renamed:\n"),
        ("start: C\n", "start: renamed\n"),
        ("[bm25, C]", "[bm25]"),
    ):
        text = text.replace(old, new)
    study = copied[1].root / "study.yaml"
    study.write_text(text)
    (copied[1].root / "origin.json").unlink()
    made = planned(study, "rankers.renamed.checkpoint_every=1")
    whole, begun = loop._Training._updated, []

    def dying(self: Any, update: int, batches: Any) -> Any:
        begun.append(update)
        if len(begun) in {3, 5}:
            raise KeyboardInterrupt
        return whole(self, update, batches)

    monkeypatch.setattr(loop._Training, "_updated", dying)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            runner.carry_out(made, Store(copied[1].root))
    runner.carry_out(made, Store(copied[1].root))
    assert begun[:8] == [0, 1, 2, 2, 3, 3, 4, 5]
    files = [
        (copied[1].folder(step_called(plan, start)) / "model" / "model.safetensors").read_bytes()
        for plan, start in ((copied[0], "train-C-"), (made, "train-renamed"))
    ]
    assert files[0] == files[1]


def test_another_file_of_the_same_name_may_not_take_the_folder(
    copied: tuple[Plan, Store], tiny_study: Path, rankscope: Command, tmp_path: Path
) -> None:
    """One's own file may be edited; one that was moved is told once."""
    _, store = copied
    mine, other = tmp_path / "mine.yaml", tmp_path / "other.yaml"
    shutil.copy(tiny_study, mine)
    words = ("--results", store.root.parent)
    assert rankscope("run", mine, *words).err == "", "the same study in every respect"
    edited = tiny_study.read_text().replace("nDCG@10: 0.05", "nDCG@10: 0.1")
    mine.write_text(edited)
    assert rankscope("run", mine, *words).code == 0
    page = (store.root / "report.html").read_bytes()
    other.write_text(tiny_study.read_text().replace("nDCG@10: 0.05", "nDCG@10: 0.2"))
    for verb in ("run", "report"):
        answer = rankscope(verb, other, *words)
        assert answer.code == 1
        assert (
            f"holds the results of another file of the same name (`study: tiny`), {mine}."
            in answer.err
        )
    assert "holds the results of another file" in rankscope("status", other, *words).err
    assert (store.root / "report.html").read_bytes() == page
    mine.write_text(edited.replace("study: tiny", "study: larger"))
    first, second = (rankscope("run", other, *words).err for _ in range(2))
    assert f"its results are those of {mine}, which is no longer there" in first
    assert "its results are those of" not in second
    mine.write_text(edited)
    assert rankscope("run", mine, *words).code == 1, "it belongs to the other now"


def test_the_page_of_another_form_of_the_study_is_told(
    copied: tuple[Plan, Store], tiny_study: Path, rankscope: Command
) -> None:
    words = ("--results", copied[1].root.parent)
    assert rankscope("run", tiny_study, "evaluate.measures=[nDCG@10]", *words).code == 0
    said = rankscope("status", tiny_study, *words).err
    assert "of another form of this study" in said
    assert rankscope("report", tiny_study, *words).code == 0
    assert rankscope("status", tiny_study, *words).err == ""


def test_what_only_the_page_before_had_is_taken_away(copied: tuple[Plan, Store]) -> None:
    made, store = copied
    (store.root / "tables" / "mine.txt").write_text("a person's own")
    (store.root / "tables" / "probes.old.csv").write_text("of the page before")
    with store.writing("report-old-0", {}) as (out, _):
        (out / "tables").mkdir()
        (out / "tables" / "probes.old.csv").write_text("of the page before")
    origin.published(store, "report-old-0")
    runner.carry_out(made, Store(store.root))
    shown = {path.name for path in (store.root / "tables").iterdir()}
    stored = {path.name for path in (store.folder(made.steps[-1].name) / "tables").iterdir()}
    assert shown == stored | {"mine.txt"}


def test_a_report_that_cannot_be_written_leaves_the_one_before(
    copied: tuple[Plan, Store], tiny_study: Path, rankscope: Command
) -> None:
    """Files are cut at 20 kB, as on a full disk: the page is larger. What is half-written is swept."""
    made, store = copied
    page = (store.root / "report.html").read_bytes()
    assert len(page) > 20_000
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, usual[1]))
        answer = rankscope("report", tiny_study, "--results", store.root.parent)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert answer.code == 1
    assert "Free some space" in answer.err
    assert len(answer.err.splitlines()) == 1
    assert (store.root / "report.html").read_bytes() == page
    assert Store(store.root).status(made.steps[-1].name) is Status.DONE
    assert not list(store.root.rglob(".partial-*"))


def test_a_stage_starts_from_the_ranker_before_it(carried_out: tuple[Plan, Store]) -> None:
    """The head of `plain` is random; C moves it, and C-D starts from C, not from plain."""
    made, store = carried_out
    weights = {
        step.label: load_file(store.open(step.name) / "model" / "model.safetensors")
        for step in made.steps
        if step.kind in {"ranker", "train"} and step.label != "bi"
    }

    def distance(a: str, b: str) -> float:
        return sum(float(((weights[a][k] - weights[b][k]) ** 2).sum()) for k in weights[a]) ** 0.5

    assert 0 < distance("C", "C-D") < distance("plain", "C-D")
    summary = store.manifest(next(s.name for s in made.steps if s.label == "C-D"))["summary"]
    assert summary["start"] == "C"
    assert 0 < summary["displacement"]["all"] < 1


def test_no_pickle_is_written(carried_out: tuple[Plan, Store]) -> None:
    suffixes = {
        path.suffix
        for path in carried_out[1].root.rglob("*")
        if path.is_file() and path.name != ".lock"
    }
    assert suffixes <= {
        ".json",
        ".jsonl",
        ".safetensors",
        ".trec",
        ".npy",
        ".csv",
        ".tex",
        ".html",
        ".txt",
    }


def test_runs_of_ones_own(tiny_study: Path, tmp_path: Path) -> None:
    """A first stage and a teacher out of run files; files that do not fit are refused."""

    def file(name: str, queries: Sequence[str], docs: Sequence[str]) -> Path:
        scored = [ScoredDoc(q, d, -float(i)) for q in queries for i, d in enumerate(docs)]
        write_run(tmp_path / name, Run.of("mine", scored))
        return tmp_path / name

    docs = [f"d{i}" for i in range(12)]
    test = file("test.run", ["q0", "q3", "q6", "q9"], docs)
    teacher = file("teacher.run", ["q1", "q2"], docs)
    overrides = [
        f"first_stages.mine={{kind: run_files, paths: {{test: {test}}}, depth: 10}}",
        f"teachers.gpt={{kind: run, path: {teacher}, depth: 6}}",
        "rankers.C-D.samples.labels=gpt",
        "rankers.C-D.start=plain",
        "evaluate.rerank.from=[mine]",
        "evaluate.baseline=[mine]",
        "evaluate.rankers=[C-D]",
    ]
    made, store = planned(tiny_study, *overrides), Store(tmp_path / "results")
    runner.carry_out(made, store)
    summary = store.manifest(next(s.name for s in made.steps if s.label == "C-D"))["summary"]
    assert (summary["n_samples"], summary["dropped_queries"]) == (
        2,
        {"not ranked by the teacher": 6},
    )
    results = json.loads((store.root / "summary.json").read_text())["results"]
    assert [row["system"] for row in results] == ["mine", "C-D"]
    strange = file("strange.run", ["q0"], ["d1", "nowhere"])
    wrong = planned(tiny_study, *overrides, f"first_stages.mine.paths.test={strange}")
    with pytest.raises(BadInput, match="not in the collection"):
        runner.carry_out(wrong, store)


def test_position_embeddings_stay_where_they_are(tiny_study: Path, tmp_path: Path) -> None:
    made = planned(
        tiny_study, "rankers.C.freeze=[position_embeddings]", "evaluate.rankers=[C]",
        "evaluate.baseline=[bm25]",
    )  # fmt: skip
    store = Store(tmp_path / "tiny")
    runner.carry_out(made, store)
    before, after = (
        load_file(store.open(step.name) / "model" / "model.safetensors")
        for step in made.steps
        if step.kind in {"ranker", "train"}
    )
    moved = {name for name in before if (before[name] != after[name]).any()}
    assert "bert.embeddings.position_embeddings.weight" not in moved
    assert "bert.embeddings.word_embeddings.weight" in moved


def test_a_doc_without_text_cannot_be_trained_with(tiny_study: Path, tmp_path: Path) -> None:
    data = tiny.write_collection(tmp_path / "data")
    qrels = data / "qrels" / "train.tsv"
    kept = [line for line in qrels.read_text().splitlines() if not line.startswith("q1\t")]
    qrels.write_text("\n".join([*kept, "q1\tgone\t1", ""]))
    made = planned(tiny_study, f"collections.train.path={data}")
    with pytest.raises(BadInput, match="doc gone, which has no text"):
        runner.carry_out(made, Store(tmp_path / "results"))
