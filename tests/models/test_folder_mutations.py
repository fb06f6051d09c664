"""Spoilt model folders through every verb that takes one: refused in one sentence, or read as they should be.

Two kinds of mutations. *Structure* (files cut short, emptied, of another form, lost, exchanged, fields
of another type, lying headers, pickles): refused, or the answer to the unspoilt folder. *Values* (a
weight, a number or a switch in a configuration, an id in the tokenizer): refused, or what sentence-transformers,
transformers and PEFT give for the same spoilt folder, to 1e-5; where a verb looks inside a model, its answer to the
folder as those libraries read and save it. The seed and the counts by class, outcome and verb are printed.

`RANKSCOPE_MUTATIONS=N` and `RANKSCOPE_SEED=S` draw others.
"""

import json
import os
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import peft
import pytest
import torch
import transformers
import typer
from sentence_transformers import CrossEncoder as TheirCrossEncoder
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Dense, Router, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from rankscope.cli import app
from rankscope.core.errors import BadInput, RankscopeError
from rankscope.models import adapters, backbone
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.location import ADAPTER, Location, kind_of, located
from rankscope.models.opening import open_ranker
from support import scenes, tiny
from support.command import Answer, Command
from support.in_time import TooLong, within
from support.plainly import json_lines, rows
from support.spoilt_folders import is_number, spoilt

QUERY, DOCS = "who sits", ["red cat", "the blue dog sits under the tree on a mat", "bird a a a"]
PAIRS = [(QUERY, doc) for doc in DOCS]
PROMPTS = {"query": "what sings ", "document": "the house "}
SEED = 22
SECONDS = 20
MANY, QUICK = 500, 0.2
"""Spoilt folders from which on verbs are asked that take long; the share of those that do not."""
pytestmark = [pytest.mark.filterwarnings("ignore")]
Array = Any


class Kind(NamedTuple):
    """A folder to spoil, its right scores, who scores it here and elsewhere, and who reads and saves it elsewhere."""

    folder: Path
    scores: Array
    ours: Callable[[Path], Array]
    theirs: Callable[[Path], Array]
    saved: Callable[[Path, Path], None] | None


# -- the folders ----------------------------------------------------------------------------------


def spread(model: Any) -> None:
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.05)


def cross_encoder(folder: Path, architecture: str = "bert") -> Path:
    auto = transformers.AutoModelForSequenceClassification
    model = auto.from_pretrained(
        tiny.save_encoder(folder / f"{architecture}-bare", architecture), num_labels=1
    )
    spread(model)
    model.save_pretrained(folder / architecture)
    tiny.tokenizer().save_pretrained(folder / architecture)
    return folder / architecture


def by_sentence_transformers(folder: Path) -> Array:
    model = TheirCrossEncoder(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    return model.predict(PAIRS, activation_fn=torch.nn.Identity())


def by_vectors(folder: Path) -> Array:
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    found = model.similarity(model.encode_query([QUERY]), model.encode_document(DOCS))
    return found[0].numpy()


def by_tokens(folder: Path) -> Array:
    model = MultiVectorEncoder(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    return model.similarity(model.encode_query([QUERY]), model.encode_document(DOCS))[0].numpy()


def by_peft(folder: Path) -> Array:
    auto = transformers.AutoModelForSequenceClassification
    told = json.loads((folder / "adapter_config.json").read_text())
    base = told["base_model_name_or_path"]
    model = peft.PeftModel.from_pretrained(auto.from_pretrained(base, num_labels=1), folder)
    made = transformers.AutoTokenizer.from_pretrained(base)
    inputs = made(*map(list, zip(*PAIRS, strict=True)), padding=True, return_tensors="pt")
    with torch.inference_mode():
        return model.eval()(**inputs).logits[:, 0].numpy()


def by_adapter(folder: Path) -> Array:
    """A bare encoder with PEFT's adapter, mean pooling, dot products."""
    base = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
    model = peft.PeftModel.from_pretrained(transformers.AutoModel.from_pretrained(base), folder)
    made = transformers.AutoTokenizer.from_pretrained(base)
    inputs = made([QUERY, *DOCS], padding=True, return_tensors="pt")
    with torch.inference_mode():
        states = model.eval()(**inputs).last_hidden_state
    real = inputs["attention_mask"][:, :, None]
    vectors = (states * real).sum(1) / real.sum(1)
    return (vectors[1:] @ vectors[0]).numpy()


def ours(folder: Path) -> Array:
    kind_of(folder)
    return np.array(open_ranker(folder).score_all([(QUERY, DOCS)])[0])


def ours_with_adapter(folder: Path) -> Array:
    where = located(str(folder), holds=ADAPTER)
    encoder = backbone.load_encoder(located(str(folder.with_name("bert-bare"))))
    encoder = replace(encoder, model=adapters.merged_from(encoder.model, where))
    made = BiEncoder.on(encoder, pooling="mean", max_length={"query": 64, "document": 64})
    return np.array(made.score_all([(QUERY, DOCS)])[0])


def saved_scorer(folder: Path, to: Path) -> None:
    TheirCrossEncoder(str(folder), device="cpu").save_pretrained(str(to))


def saved_vectors(folder: Path, to: Path) -> None:
    SentenceTransformer(str(folder), device="cpu").save(str(to), create_model_card=False)


def saved_lora(folder: Path, to: Path) -> None:
    base = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
    auto = transformers.AutoModelForSequenceClassification
    model = peft.PeftModel.from_pretrained(auto.from_pretrained(base, num_labels=1), folder)
    model.merge_and_unload().save_pretrained(to)
    transformers.AutoTokenizer.from_pretrained(base).save_pretrained(to)


def add_adapter(model: Any, task: str, folder: Path) -> None:
    config = peft.LoraConfig(task_type=task, target_modules=["query", "value"])
    adapted = peft.get_peft_model(model, config)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if weight.requires_grad and "lora_" in name:
                weight.add_(torch.randn_like(weight) * 0.1)
    adapted.save_pretrained(folder)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> list[Kind]:
    root = tmp_path_factory.mktemp("kinds")
    with backbone.quiet(), torch.random.fork_rng():
        torch.manual_seed(SEED)
        plain = cross_encoder(root)
        TheirCrossEncoder(
            str(plain), device="cpu", prompts=PROMPTS, default_prompt_name="query"
        ).save_pretrained(str(root / "prompted"))
        auto = transformers.AutoModelForSequenceClassification
        auto.from_pretrained(plain).save_pretrained(root / "sharded", max_shard_size="20KB")
        tiny.tokenizer().save_pretrained(root / "sharded")
        inner = Transformer(str(tiny.save_encoder(root / "bare-bi")))
        modules = [inner, Pooling(32), Dense(32, 16)]
        SentenceTransformer(
            modules=modules, device="cpu", prompts=PROMPTS, similarity_fn_name="cosine"
        ).save(str(root / "bi"))
        towers = [[Transformer(str(tiny.save_encoder(root / f"tower-{seed}", seed=seed))), Pooling(32)] for seed in (1, 2)]  # fmt: skip
        SentenceTransformer(modules=[Router.for_query_document(*towers)], device="cpu").save(
            str(root / "towers")
        )
        tiny.save_late_interaction(root / "late")
        bare = root / "bert-bare"
        add_adapter(auto.from_pretrained(bare, num_labels=1), "SEQ_CLS", root / "lora")
        encoder = transformers.AutoModel.from_pretrained(bare)
        add_adapter(encoder, "FEATURE_EXTRACTION", root / "added")
        table: list[tuple[str, Any, Any]] = [
            ("bert", by_sentence_transformers, saved_scorer),
            (cross_encoder(root, "roberta").name, by_sentence_transformers, saved_scorer),
            ("prompted", by_sentence_transformers, saved_scorer),
            ("sharded", by_sentence_transformers, saved_scorer),
            ("bi", by_vectors, saved_vectors),
            ("towers", by_vectors, saved_vectors),
            ("late", by_tokens, None),
            ("lora", by_peft, saved_lora),
            ("added", by_adapter, None),
        ]
        found = []
        for name, theirs, saved in table:
            mine = ours_with_adapter if name == "added" else ours
            found.append(Kind(root / name, mine(root / name), mine, theirs, saved))
        for kind in found:
            assert np.abs(kind.scores - kind.theirs(kind.folder)).max() < 1e-5, kind.folder
    return found


# -- the doors ------------------------------------------------------------------------------------


class Door(NamedTuple):
    """A verb, what it is asked, which kinds of folders it takes, and how often it is drawn, to the others."""

    words: Callable[[Path, Kind], tuple[str, ...]]
    found: Callable[[Answer], Array]
    """The numbers that it answered, or that stand in what it wrote."""
    kinds: tuple[str, ...]
    share: float
    has_scores: bool = False
    """Whether the numbers are the scores of DOCS: those of other libraries are what they must be."""


def in_run(answer: Answer) -> Array:
    """The scores of DOCS in the run that was written."""
    return of_run(Path("out"))


def of_run(path: Path) -> Array:
    scores = {
        columns[2].decode(): float(columns[4])
        for columns in rows(path.read_bytes())
        if columns[0] == b"q"
    }
    return np.array([scores[f"d{at}"] for at in range(len(DOCS))])


def of_study(answer: Answer) -> Array:
    (path,) = [
        path for path in Path("results").rglob("run.trec") if "m" in path.read_text().split()[5::6]
    ]
    return of_run(path)


def in_json(answer: Answer) -> Array:
    """All numbers, in their order."""

    def numbers(value: Any) -> Iterator[float]:
        if isinstance(value, dict | list):
            for each in value.values() if isinstance(value, dict) else value:
                yield from numbers(each)
        elif is_number(value):
            yield float(value)

    return np.array([*numbers(json.loads(answer.out))])


def nothing(answer: Answer) -> Array:
    return np.zeros(1)


RANKED = ("--collection", "docs", "--out", "out")
SCENES = ("--collection", "scenes", "--json")
SCORERS, ENCODERS = ("bert", "roberta", "prompted", "sharded", "lora"), ("bi", "towers")
RANKERS = {
    **dict.fromkeys(SCORERS, "{kind: cross_encoder, backbone: FOLDER, max_length: 64}"),
    **dict.fromkeys(ENCODERS, "{kind: bi_encoder, model: FOLDER}"),
    "late": "{kind: late_interaction, model: FOLDER}",
    "added": "{kind: bi_encoder, backbone: bert-bare, adapter: FOLDER, max_length: {query: 64, doc: 64}}",
}
STUDY = """study: of-a-model
collections: {test: {kind: beir, path: docs}, scenes: {kind: beir, path: scenes, split: train}}
first_stages: {mine: {kind: run_files, paths: {test: a.run}}, bm25: {kind: bm25}}
rankers:
  m: RANKER
  MORE
evaluate: {over: [test], rerank: {from: [mine]}}
"""
TUNED = """
  C:
    start: m
    samples: {collection: scenes, labels: qrels, negatives: {from: bm25, depth: 10}, group_size: 3}
    loss: localized_contrastive
    max_updates: 2
    learning_rate: 1.0e-3
    queries_per_update: 2
    queries_per_batch: 2
"""


def of_a_study(verb: str, more: str = "") -> Callable[[Path, Kind], tuple[str, ...]]:
    def asked(folder: Path, kind: Kind) -> tuple[str, ...]:
        ranker = RANKERS[kind.folder.name].replace("FOLDER", str(folder))
        Path("study.yaml").write_text(STUDY.replace("RANKER", ranker).replace("  MORE", more))
        return (verb, "study.yaml", "--json")

    return asked


DOORS: dict[str, Door] = {
    "rerank": Door(
        lambda folder, _: ("rerank", str(folder), *RANKED, "--run", "a.run"), in_run,
        (*SCORERS, *ENCODERS, "late"), 1.0, has_scores=True,
    ),
    "search MODEL": Door(
        lambda folder, _: ("search", str(folder), *RANKED), in_run, ENCODERS, 0.5, has_scores=True
    ),
    "probe": Door(
        lambda folder, _: ("probe", f"m={folder}", *SCENES, "--candidates", "2", "--seeds", "1", "--rank", "2"), in_json,
        ("bert", "prompted", "sharded", "lora", *ENCODERS), 0.05,
    ),
    "attribute": Door(
        lambda folder, _: ("attribute", f"m={folder}", *SCENES, "--examples", "2", "--nodes", "1", "--no-ablate"), in_json,
        ("bert", "roberta", "sharded", "bi"), 0.15,
    ),
    "diff": Door(
        lambda folder, kind: (
            "diff", f"one={kind.folder}", f"two={folder}", *SCENES, "--queries", "20", "--depth", "4", "--texts", "20",
            "--neighbours", "2",
        ),
        in_json, ("bert", "roberta", "sharded", "lora", "bi"), 0.15,
    ),
    "check": Door(of_a_study("check"), nothing, (*RANKERS,), 0.5),
    "plan": Door(of_a_study("plan"), nothing, (*RANKERS,), 0.2),
    "doctor": Door(of_a_study("doctor", TUNED), in_json, ("bert", "prompted", "lora", "bi"), 0.1),
    "run": Door(of_a_study("run"), of_study, (*RANKERS,), 0.15, has_scores=True),
}  # fmt: skip
SCORES = "scores"
"""The door of the library: a ranker opened from a folder, without a command."""
SHARES = {SCORES: 2.0} | {name: door.share for name, door in DOORS.items()}


@pytest.fixture
def ask(
    rankscope: Command, kinds: list[Kind], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Command:
    """The command line in a folder with a small collection; its tree of commands is built once."""
    monkeypatch.chdir(tmp_path)
    tree = typer.main.get_command(app)
    monkeypatch.setattr(typer.main, "get_command", lambda _: tree)
    scenes.write(tmp_path / "scenes")
    Path("docs/qrels").mkdir(parents=True)
    docs = [{"_id": f"d{at}", "text": text} for at, text in enumerate(DOCS)]
    Path("docs/corpus.jsonl").write_bytes(json_lines(docs))
    Path("docs/queries.jsonl").write_bytes(
        json_lines([{"_id": "q", "text": QUERY}, {"_id": "r", "text": "a bird"}])
    )
    Path("docs/qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td0\t1\nr\td2\t1\n")
    Path("a.run").write_text(
        "".join(
            f"{query} Q0 d{at} {at + 1} {9 - at} mine\n"
            for query in "qr"
            for at in range(len(DOCS))
        )
    )
    Path("bert-bare").symlink_to(kinds[0].folder.with_name("bert-bare"))
    return rankscope


# -- what holds -----------------------------------------------------------------------------------


def alike(one: Array, other: Array) -> bool:
    return one.shape == other.shape and np.allclose(
        one, other, atol=1e-5, rtol=1e-5, equal_nan=True
    )


class Came(NamedTuple):
    """What came of a folder: "refused", "WRONG ..." or "read"; the numbers that were read, or what was said."""

    outcome: str
    found: Array | None = None
    said: str = ""


def by_library(kind: Kind, folder: Path) -> Came:
    try:
        return Came("read", kind.ours(folder))
    except BadInput as refusal:
        return refused(str(refusal))
    except RankscopeError as error:
        return Came(f"WRONG kind of error: {error}")
    except Exception as error:
        return Came(f"WRONG traceback: {type(error).__name__}: {error}")


def refused(said: str) -> Came:
    is_sentence = said.endswith((".", ")")) and "\n" not in said
    return Came("refused" if is_sentence else f"WRONG words: {said}", said=said)


def by_command(ask: Command, door: Door, kind: Kind, folder: Path) -> Came:
    shutil.rmtree("results", ignore_errors=True)
    Path("out").unlink(missing_ok=True)
    answer = ask(*door.words(folder, kind))
    lines = [line for line in answer.err.splitlines() if line.startswith("rankscope: ")]
    if answer.code == 0 or (answer.code == 1 and '"n_stops"' in answer.out):
        return Came("read", door.found(answer))
    if answer.code != 1 or len(lines) != 1 or answer.out or "Traceback" in answer.err:
        return Came(f"WRONG answer: {answer}")
    return refused(lines[0])


class Asked(NamedTuple):
    """A folder that is spoilt, through which door, and what the whole one answers there."""

    kind: Kind
    door: str
    whole: Array


def judged(ask: Command, asked: Asked, folder: Path, *, structure: bool) -> str:
    """What came of a spoilt folder; an outcome that begins with WRONG is a fault."""
    kind, door = asked.kind, DOORS.get(asked.door)
    came, found, _ = by_command(ask, door, kind, folder) if door else by_library(kind, folder)
    if found is None:
        return came
    if alike(found, asked.whole):
        return "unspoilt"
    if structure:
        return f"WRONG numbers: {found}, not {asked.whole}"
    if door is None and not np.isfinite(found).all():
        return "refused"  # by `rerank`, which names the doc
    try:
        expected = numbers_of_theirs(ask, asked, folder)
    except Exception as error:
        return f"WRONG numbers: {found}, where theirs gives {type(error).__name__}: {error}"
    return "as theirs" if alike(found, expected) else f"WRONG numbers: {found}, theirs {expected}"


def numbers_of_theirs(ask: Command, asked: Asked, folder: Path) -> Array:
    """Their scores of the folder; behind a door that looks inside, what it answers to the folder as they save it."""
    door = DOORS.get(asked.door)
    if door is None or door.has_scores:
        return asked.kind.theirs(folder)
    assert asked.kind.saved is not None
    saved = folder.with_name("saved")
    shutil.rmtree(saved, ignore_errors=True)
    asked.kind.saved(folder, saved)
    came = by_command(ask, door, asked.kind, saved)
    assert came.found is not None, came
    return came.found


def drawn_doors(n: int) -> Iterator[str]:
    """The doors in turn, each as often as its share; those that take long only where many are drawn."""
    due = {name: 1.0 for name, share in SHARES.items() if share >= QUICK or n >= MANY}
    for _ in range(n):
        name = max(due, key=due.__getitem__)
        due[name] -= 1 / SHARES[name]
        yield name


def fuzz(
    ask: Command, kinds: list[Kind], n: int, seed: int, work: Path
) -> tuple[Counter[tuple[str, str, str]], list[str], dict[str, float]]:
    """Counts by class, door and outcome; what is wrong; seconds by door."""
    counts: Counter[tuple[str, str, str]] = Counter()
    whole: dict[tuple[str, str], Array] = {}
    wrong, seconds = [], dict.fromkeys(SHARES, 0.0)
    for number, door in enumerate(drawn_doors(n)):
        rng = random.Random(f"{seed} {number}")
        kind = rng.choice(
            [each for each in kinds if door == SCORES or each.folder.name in DOORS[door].kinds]
        )
        folder = work / str(number)
        name, done = spoilt(folder, kind.folder, rng)
        begun = time.process_time()
        try:
            with backbone.quiet():
                asked = Asked(kind, door, of_whole(ask, whole, kind, door))
                with within(SECONDS):
                    came = judged(ask, asked, folder, structure=name == "structure")
        except TooLong:
            came = f"WRONG: over {SECONDS} s"
        except Exception as error:
            came = f"WRONG: {type(error).__name__}: {error}"
        seconds[door] += time.process_time() - begun
        counts[name, door, came if not came.startswith("WRONG") else "WRONG"] += 1
        if came.startswith("WRONG"):
            wrong.append(f"{number} {door} {kind.folder.name}: {done}: {came[:1200]}")
            print(f"WRONG {wrong[-1]}", file=sys.__stderr__, flush=True)
        shutil.rmtree(folder)
    return counts, wrong, seconds


def of_whole(ask: Command, known: dict[tuple[str, str], Array], kind: Kind, door: str) -> Array:
    """What the whole folder answers, kept; its scores where the door answers with such."""
    if door == SCORES or DOORS[door].has_scores:
        return kind.scores
    key = (kind.folder.name, door)
    if key not in known:
        came = by_command(ask, DOORS[door], kind, kind.folder)
        assert came.found is not None, (key, came)
        known[key] = came.found
    return known[key]


def told(
    counts: Mapping[tuple[str, str, str], int], seconds: Mapping[str, float], n: int, seed: int
) -> None:
    print(f"\n{n} spoilt model folders with seed {seed}")  # noqa: T201
    for name in ("structure", "values"):
        for outcome in ("refused", "unspoilt", "as theirs", "WRONG"):
            by_door = {
                door: counts[name, door, outcome] for door in SHARES if counts[name, door, outcome]
            }
            print(f"  {name}, {outcome}: {sum(by_door.values())} {by_door}")  # noqa: T201
    print("  seconds: " + ", ".join(f"{door} {s:.1f}" for door, s in seconds.items()))  # noqa: T201


@pytest.mark.parametrize(
    ("n", "seed"),
    [
        (int(os.environ.get("RANKSCOPE_MUTATIONS", "24")), int(os.environ.get("RANKSCOPE_SEED", SEED))),
        pytest.param(4500, SEED + 1, marks=[pytest.mark.slow, pytest.mark.timeout(7200)]),
    ],
)  # fmt: skip
def test_spoilt_folders_are_refused_or_read_rightly(
    ask: Command, kinds: list[Kind], tmp_path: Path, n: int, seed: int
) -> None:
    counts, wrong, seconds = fuzz(ask, kinds, n, seed, tmp_path)
    told(counts, seconds, n, seed)
    assert not wrong, f"{len(wrong)} of {n} with seed {seed}:\n" + "\n".join(wrong)
    for name in ("structure", "values"):
        assert sum(counts[name, door, "refused"] for door in SHARES) > n / 20


@pytest.mark.parametrize(
    "door", [SCORES, *(pytest.param(door, marks=pytest.mark.slow) for door in DOORS)]
)
def test_a_folder_that_is_not_spoilt_is_read(ask: Command, kinds: list[Kind], door: str) -> None:
    """Else the laws above would hold of one who refuses everything."""
    for kind in kinds:
        if door == SCORES:
            assert alike(kind.ours(kind.folder), kind.scores)
            assert np.ptp(kind.scores) > 1e-4
            assert Location("m", kind.folder).files()
        elif kind.folder.name in DOORS[door].kinds:
            came = by_command(ask, DOORS[door], kind, kind.folder)
            assert came.outcome == "read", (kind.folder.name, came)
            assert not DOORS[door].has_scores or alike(came.found, kind.scores), kind.folder.name
