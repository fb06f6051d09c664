"""The headers of safetensors files, read strictly: each must agree with its file, byte by byte. Loads no torch."""

import json
import math
import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from rankscope.core.errors import BadInput
from rankscope.core.input_files import explained_reading, regular
from rankscope.core.words import counted
from rankscope.models.files.declared import AGAIN, INDEX, declared, fits, json_kind, said_by

BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8,
    "U32": 4, "U16": 2, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "C64": 8,
}  # fmt: skip
"""The types of safetensors, and the bytes of a number of each."""
LONGEST_HEADER = 100_000_000
"""Bytes; safetensors itself refuses longer ones."""


class Stored(NamedTuple):
    """A tensor as a file's header has it."""

    dtype: str
    shape: tuple[int, ...]


def header(path: Path) -> dict[str, Stored]:
    """The tensors of a safetensors file by name; BadInput where header and file do not agree.

    Each tensor has the bytes that its type and shape ask for, and together they fill the file.
    """
    with explained_reading(path), regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        n = int.from_bytes(start, "little")
        if len(start) < 8 or n > min(size - 8, LONGEST_HEADER):
            what = (
                "an empty file" if size == 0 else f"{size} bytes, and its header asks for {8 + n}"
            )
            raise _damaged(path, what)
        try:
            entries = json.loads(file.read(n).decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise _damaged(path, f"a header that is no JSON ({said_by(error)})") from error
    if not isinstance(entries, dict):
        raise _damaged(path, f"a header that is {json_kind(entries)}")
    entries.pop("__metadata__", None)
    spans = sorted(_span(path, name, entry) for name, entry in entries.items())
    end = 0
    for start_of, end_of, name in spans:
        if start_of != end:
            raise _damaged(path, f"the weight {name!r} begins at byte {start_of}, not {end}")
        end = end_of
    if end != size - 8 - n:
        raise _damaged(path, f"{size} bytes, and its header asks for {8 + n + end}")
    return {name: Stored(entry["dtype"], tuple(entry["shape"])) for name, entry in entries.items()}


def _span(path: Path, name: str, entry: Any) -> tuple[int, int, str]:
    known = isinstance(entry, dict) and entry.get("dtype") in BYTES
    shape, span = (entry.get("shape"), entry.get("data_offsets")) if known else (None, None)
    whole = all(
        isinstance(given, list) and all(fits(number, "count") for number in given)
        for given in (shape, span)
    )
    if not whole or len(span) != 2:  # type: ignore[arg-type]
        raise _damaged(path, f"the weight {name!r} has no known type, shape and place")
    begin, end = span  # type: ignore[misc]
    if end - begin != math.prod(shape) * BYTES[entry["dtype"]]:  # type: ignore[arg-type]
        raise _damaged(path, f"the weight {name!r} has other bytes than its type and shape ask for")
    return begin, end, name


def _damaged(path: Path, what: str) -> BadInput:
    return BadInput(f"{path}: no whole safetensors file ({what}). {AGAIN}")


def weights(folder: Path) -> dict[str, Stored]:
    """The tensors of a folder's whole model, of one file or of the files its index names; {} without any."""
    one, index = folder / "model.safetensors", folder / INDEX
    if one.is_file() or not index.is_file():
        return header(one) if one.is_file() else {}
    names = declared(index).get("weight_map")
    if not names or not all(isinstance(name, str) for name in names.values()):
        raise BadInput(f"{index}: no `weight_map` from weights to files. {AGAIN}")
    tensors: dict[str, Stored] = {}
    for name in dict.fromkeys(names.values()):
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise BadInput(f"{index}: there is no file {path}. {AGAIN}")
        tensors |= header(path)
    lost = sorted(names.keys() - tensors.keys())
    if lost:
        raise BadInput(
            f"{index}: {counted(len(lost), 'weight is', 'weights are')} in no file (first: {lost[0]}). {AGAIN}"
        )
    return tensors


def stored_as(folder: Path) -> str | None:
    """The type of most of a model's weights as safetensors calls it (F32, BF16), whatever they are loaded as.

    None for a folder without weights of a whole model, as an adapter's.
    """
    n_by_type: Counter[str] = Counter()
    for path in sorted(folder.rglob("model*.safetensors")):
        for stored in header(path).values():
            n_by_type[stored.dtype] += math.prod(stored.shape)
    return max(n_by_type, key=lambda name: n_by_type[name], default=None)
