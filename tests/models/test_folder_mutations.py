"""Spoilt model folders: refused in one sentence, or read as they should be. A seeded fuzz.

Two kinds of mutations. *Structure* (files cut short, emptied, of another form, lost, exchanged, fields
of another type, lying headers, pickles): refused, or the scores of the unspoilt folder. *Values* (a
weight, a number in a configuration, an id in the tokenizer): refused, or what sentence-transformers
and PEFT give for the same spoilt folder, to 1e-5. The seed and the counts of each kind are printed.
"""

import json
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder as TheirCrossEncoder
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Dense, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from rankscope.core.errors import BadInput, RankscopeError
from rankscope.models import backbone
from rankscope.models.location import Location, kind_of
from rankscope.study.steps_rankers import open_ranker
from support import tiny

QUERY, DOCS = "who sits", ["red cat", "the blue dog sits under the tree on a mat", "bird a a a"]
PAIRS = [(QUERY, doc) for doc in DOCS]
PROMPTS = {"query": "what sings ", "document": "the house "}
SEED = 22
SECONDS = 20
pytestmark = [pytest.mark.filterwarnings("ignore")]
Array = Any


class Kind(NamedTuple):
    """A folder to spoil, its right scores, and who else can score it."""

    folder: Path
    scores: Array
    theirs: Callable[[Path], Array]


class TooLong(BaseException):
    """No Exception, so that nothing takes it for a library's error."""


@contextmanager
def within(seconds: int) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


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


def ours(folder: Path) -> Array:
    kind_of(folder)
    return np.array(open_ranker(folder).score_all([(QUERY, DOCS)])[0])


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> list[Kind]:
    root = tmp_path_factory.mktemp("kinds")
    with backbone.quiet(), torch.random.fork_rng():
        torch.manual_seed(SEED)
        plain = cross_encoder(root)
        TheirCrossEncoder(
            str(plain), device="cpu", prompts=PROMPTS, default_prompt_name="query"
        ).save_pretrained(str(root / "prompted"))
        inner = Transformer(str(tiny.save_encoder(root / "bare-bi")))
        modules = [inner, Pooling(32), Dense(32, 16)]
        SentenceTransformer(
            modules=modules, device="cpu", prompts=PROMPTS, similarity_fn_name="cosine"
        ).save(str(root / "bi"))
        tiny.save_late_interaction(root / "late")
        whole = transformers.AutoModelForSequenceClassification.from_pretrained(
            root / "bert-bare", num_labels=1
        )
        config = peft.LoraConfig(task_type="SEQ_CLS", target_modules=["query", "value"])
        adapted = peft.get_peft_model(whole, config)
        with torch.no_grad():
            for name, weight in adapted.named_parameters():
                if weight.requires_grad and "lora_" in name:
                    weight.add_(torch.randn_like(weight) * 0.1)
        adapted.save_pretrained(root / "lora")
        places = {
            plain: by_sentence_transformers,
            cross_encoder(root, "roberta"): by_sentence_transformers,
            root / "prompted": by_sentence_transformers,
            root / "bi": by_vectors,
            root / "late": by_tokens,
            root / "lora": by_peft,
        }
        found = [Kind(folder, ours(folder), theirs) for folder, theirs in places.items()]
        for kind in found:
            assert np.abs(kind.scores - kind.theirs(kind.folder)).max() < 1e-5, kind.folder
    return found


# -- spoiling them --------------------------------------------------------------------------------

Spoilt = str | None
"""What was done, or None where there was nothing to do it to."""
STRUCTURE: dict[str, Callable[[Path, random.Random], Spoilt]] = {}
VALUES: dict[str, Callable[[Path, random.Random], Spoilt]] = {}


def spoiling(table: dict[str, Any]) -> Any:
    def kept(made: Any) -> Any:
        table[made.__name__] = made
        return made

    return kept


def files(folder: Path, *ends: str) -> list[Path]:
    found = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "README.md")
    return [path for path in found if not ends or path.name.endswith(ends)]


def named(folder: Path, path: Path, what: str) -> str:
    return f"{path.relative_to(folder)}: {what}"


@spoiling(STRUCTURE)
def cut(folder: Path, rng: random.Random) -> Spoilt:
    path = rng.choice(files(folder))
    held = path.read_bytes()
    n = rng.randrange(len(held.rstrip()) or 1)
    path.write_bytes(held[:n])
    return named(folder, path, f"cut to {n}")


@spoiling(STRUCTURE)
def emptied(folder: Path, rng: random.Random) -> Spoilt:
    path = rng.choice(files(folder))
    path.write_bytes(b"")
    return named(folder, path, "emptied")


@spoiling(STRUCTURE)
def lost(folder: Path, rng: random.Random) -> Spoilt:
    path = rng.choice(files(folder))
    path.unlink()
    return named(folder, path, "lost")


@spoiling(STRUCTURE)
def exchanged(folder: Path, rng: random.Random) -> Spoilt:
    one, other = rng.sample(files(folder), 2)
    shutil.copyfile(other, one)
    return named(folder, one, f"as {other.name}")


@spoiling(STRUCTURE)
def of_another_form(folder: Path, rng: random.Random) -> Spoilt:
    path = rng.choice(files(folder, ".json"))
    said = rng.choice(["[]", "{}", "null", "[1]", '"x"', "7", "true", "[{}]", "[[]]", "-1e999"])
    path.write_text(said)
    return named(folder, path, said)


@spoiling(STRUCTURE)
def misspelt(folder: Path, rng: random.Random) -> Spoilt:
    path = rng.choice(files(folder, ".json"))
    text = path.read_text()
    place = rng.choice([n for n, each in enumerate(text) if each in '{}[]":,'])
    path.write_text(text[:place] + text[place + 1 :])
    try:
        json.loads(path.read_text())
    except ValueError:
        return named(folder, path, f"without byte {place}")
    return None


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for name, inside in pairs:
        yield (*at, name), inside
        if isinstance(inside, dict | list):
            yield from places(inside, (*at, name))


def put(value: Any, at: tuple[Any, ...], new: Any) -> None:
    for name in at[:-1]:
        value = value[name]
    value[at[-1]] = new


def changed(
    folder: Path, rng: random.Random, fits: Callable[[Any], bool], new: Callable[[Any], Any],
    *, deep: bool = True, ends: str = ".json",
) -> Spoilt:  # fmt: skip
    path = rng.choice(files(folder, ends))
    told = json.loads(path.read_text())
    found = [(at, was) for at, was in places(told) if fits(was) and (deep or len(at) == 1)]
    if not found:
        return None
    at, was = rng.choice(found)
    value = new(was)
    if value == was:
        return None
    put(told, at, value)
    path.write_text(json.dumps(told))
    return named(folder, path, f"{'.'.join(map(str, at))} = {json.dumps(value)}")


@spoiling(STRUCTURE)
def field_of_another_type(folder: Path, rng: random.Random) -> Spoilt:
    def new(was: Any) -> Any:
        others = ["x", [1], {"a": 1}, []] if is_number(was) else ["x", 3.5, [1], {"a": 1}, [], -3]
        return rng.choice([each for each in others if not isinstance(each, type(was))])

    return changed(folder, rng, lambda was: was is not None, new, deep=False)


@spoiling(STRUCTURE)
def lying_header(folder: Path, rng: random.Random) -> Spoilt:
    path = rng.choice(files(folder, ".safetensors"))
    held = path.read_bytes()
    n = int.from_bytes(held[:8], "little")
    told = json.loads(held[8 : 8 + n])
    name = rng.choice([name for name in told if name != "__metadata__"])
    entry = told[name]
    lie = rng.choice(["long", "short", "offsets", "overlap", "dtype", "shape", "list", "missing"])
    if lie in {"long", "short"}:
        size = 2**62 if lie == "long" else rng.randrange(n)
        path.write_bytes(size.to_bytes(8, "little") + held[8:])
        return named(folder, path, f"header {lie}")
    match lie:
        case "offsets":
            entry["data_offsets"] = entry["data_offsets"][::-1]
        case "overlap":
            entry["data_offsets"] = [max(0, each - 4) for each in entry["data_offsets"]]
        case "dtype":
            entry["dtype"] = rng.choice(["I8", "F64", "X9", 3])
        case "shape":
            entry["shape"] = rng.choice([[-1], [10**12, 10**12], "x", [7, 7], None])
        case "list":
            told[name] = [1]
        case "missing":
            del told[name]["data_offsets"]
    new = json.dumps(told).encode()
    path.write_bytes(len(new).to_bytes(8, "little") + new + held[8 + n :])
    return named(folder, path, f"header lies about {name}: {lie}")


@spoiling(STRUCTURE)
def pickled(folder: Path, rng: random.Random) -> Spoilt:
    path = rng.choice(files(folder, ".safetensors"))
    name = {"model": "pytorch_model.bin", "adapter_model": "adapter_model.bin"}[path.stem]
    torch.save(load_file(path), path.with_name(name))
    path.unlink()
    return named(folder, path, "pickled")


@spoiling(STRUCTURE)
def tensor_lost(folder: Path, rng: random.Random) -> Spoilt:
    path = rng.choice(files(folder, ".safetensors"))
    weights = load_file(path)
    name = rng.choice(sorted(weights))
    del weights[name]
    save_file(weights, path, metadata={"format": "pt"})
    return named(folder, path, f"without {name}")


@spoiling(VALUES)
def weight(folder: Path, rng: random.Random) -> Spoilt:
    path = rng.choice(files(folder, ".safetensors"))
    weights = load_file(path)
    name = rng.choice(sorted(weights))
    flat = weights[name].view(-1)
    value = rng.choice([0.0, 3.0, -1e4, 1e30, float("nan"), float("inf")])
    flat[rng.randrange(len(flat))] = value
    save_file(weights, path, metadata={"format": "pt"})
    return named(folder, path, f"a number of {name} = {value}")


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@spoiling(VALUES)
def number(folder: Path, rng: random.Random) -> Spoilt:
    def new(was: Any) -> Any:
        return rng.choice([0, 1, 2, was + 1, was - 1, was * 2, -was, was // 2, 0.5, 10**9, 1e-3])

    ends = rng.choice(["config.json", "adapter_config.json", "tokenizer_config.json"])
    return changed(folder, rng, is_number, new, ends=ends) if files(folder, ends) else None


@spoiling(VALUES)
def token_id(folder: Path, rng: random.Random) -> Spoilt:
    if not files(folder, "tokenizer.json"):
        return None
    return changed(
        folder, rng, lambda was: isinstance(was, int) and not isinstance(was, bool),
        lambda was: rng.choice([was + 1, 0, 5, 63, 64, 10**6]), ends="tokenizer.json",
    )  # fmt: skip


# -- what holds -----------------------------------------------------------------------------------


def alike(one: Array, other: Array) -> bool:
    return one.shape == other.shape and np.allclose(
        one, other, atol=1e-5, rtol=1e-5, equal_nan=True
    )


def judged(kind: Kind, folder: Path, *, structure: bool) -> str:
    """What came of a spoilt folder; an outcome that begins with WRONG is a fault."""
    try:
        found = ours(folder)
    except BadInput as refusal:
        said = str(refusal)
        return "refused" if said.endswith(".") and "\n" not in said else f"WRONG words: {said}"
    except RankscopeError as error:
        return f"WRONG kind of error: {error}"
    except Exception as error:
        return f"WRONG traceback: {type(error).__name__}: {error}"
    if alike(found, kind.scores):
        return "unspoilt"
    if structure:
        return f"WRONG scores: {found}, not {kind.scores}"
    if not np.isfinite(found).all():
        return "refused"  # by `rerank`, which names the doc
    try:
        theirs = kind.theirs(folder)
    except Exception as error:
        return f"WRONG scores: {found}, where theirs gives {type(error).__name__}: {error}"
    return "as theirs" if alike(found, theirs) else f"WRONG scores: {found}, theirs {theirs}"


def fuzz(
    kinds: list[Kind], n: int, seed: int, work: Path
) -> tuple[dict[str, Counter[str]], list[str]]:
    counts = {"structure": Counter[str](), "values": Counter[str]()}
    wrong = []
    for number in range(n):
        rng = random.Random(f"{seed} {number}")
        kind = rng.choice(kinds)
        name, table = ("structure", STRUCTURE) if number % 2 else ("values", VALUES)
        folder = work / str(number)
        shutil.copytree(kind.folder, folder)
        done = table[rng.choice(sorted(table))](folder, rng)
        if done is not None:
            try:
                with backbone.quiet(), within(SECONDS):
                    came = judged(kind, folder, structure=name == "structure")
            except TooLong:
                came = f"WRONG: over {SECONDS} s"
            counts[name][came if not came.startswith("WRONG") else "WRONG"] += 1
            if came.startswith("WRONG"):
                wrong.append(f"{number} {kind.folder.name}: {done}: {came}")
        shutil.rmtree(folder)
    return counts, wrong


def told(counts: dict[str, Counter[str]], n: int, seed: int) -> None:
    print(f"{n} mutations with seed {seed}")  # noqa: T201
    for name, found in counts.items():
        print(f"  {name}: {dict(sorted(found.items()))}")  # noqa: T201


def test_spoilt_folders_are_refused_or_read_rightly(kinds: list[Kind], tmp_path: Path) -> None:
    counts, wrong = fuzz(kinds, 60, SEED, tmp_path)
    told(counts, 60, SEED)
    assert not wrong, "\n".join(wrong)
    assert counts["structure"]["refused"] > 10


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_many_spoilt_folders_are_refused_or_read_rightly(kinds: list[Kind], tmp_path: Path) -> None:
    counts, wrong = fuzz(kinds, 3000, SEED + 1, tmp_path)
    told(counts, 3000, SEED + 1)
    assert not wrong, "\n".join(wrong)


def test_a_folder_that_is_not_spoilt_is_read(kinds: list[Kind]) -> None:
    """Else the laws above would hold of one who refuses everything."""
    for kind in kinds:
        assert alike(ours(kind.folder), kind.scores)
        assert np.ptp(kind.scores) > 1e-4
        assert Location("m", kind.folder).files()
