"""What spoils a model's folder: its structure (what its files are) or its values (what they say). Seeded."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from support.spoilt_text import FOREIGN

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
def deep_field_of_another_type(folder: Path, rng: random.Random) -> Spoilt:
    def new(was: Any) -> Any:
        return rng.choice(
            [e for e in ["x", 3.5, [1], {"a": 1}, [], True] if type(e) is not type(was)]
        )

    return changed(folder, rng, lambda was: was is not None and not is_number(was), new)


@spoiling(STRUCTURE)
def foreign(folder: Path, rng: random.Random) -> Spoilt:
    path = rng.choice(files(folder))
    data = rng.choice(FOREIGN)
    path.write_bytes(data + rng.choice([b"", path.read_bytes()]))
    return named(folder, path, f"begins with {data[:20]!r}")


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
    name = "adapter_model.bin" if path.stem == "adapter_model" else "pytorch_model.bin"
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


@spoiling(VALUES)
def switch(folder: Path, rng: random.Random) -> Spoilt:
    return changed(folder, rng, lambda was: isinstance(was, bool), lambda was: not was)


@spoiling(VALUES)
def nothing(folder: Path, rng: random.Random) -> Spoilt:
    """Null says that a field is not given: it has the meaning of its absence, which is no damage to be seen."""
    return changed(folder, rng, lambda was: was is not None and not is_number(was), lambda _: None)


@spoiling(VALUES)
def word(folder: Path, rng: random.Random) -> Spoilt:
    """A text in a configuration becomes another that stands there, or one that means something else."""
    path = rng.choice([each for each in files(folder, ".json") if each.name != "tokenizer.json"])
    texts = sorted({was for _, was in places(json.loads(path.read_text())) if isinstance(was, str)})
    others = [
        *texts,
        "gelu",
        "relu",
        "cls",
        "mean",
        "max",
        "lasttoken",
        "dot",
        "cosine",
        "euclidean",
        "left",
        "query",
        "",
    ]
    return changed(
        folder, rng, lambda was: isinstance(was, str), lambda was: rng.choice(others), ends=path.name
    )  # fmt: skip


def spoilt(folder: Path, whole: Path, rng: random.Random) -> tuple[str, str]:
    """Whether structure or values are spoilt in a copy of a whole folder, and what was done there."""
    kind, table = rng.choice([("structure", STRUCTURE), ("values", VALUES)])
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder)
        done = table[rng.choice(sorted(table))](folder, rng)
        if done is not None:
            return kind, done
