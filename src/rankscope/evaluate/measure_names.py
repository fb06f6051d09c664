"""Names of measures as people write them, read as the names of ir_measures.

Read are trec_eval's names (`ndcg_cut_10`, `map`, `P_5,10`), MTEB's (`ndcg_at_10`), and ir_measures' own in any case and
with its aliases (`mrr@10` is RR@10). Several stand in one text, parted by commas or spaces. A name that two tools use for
two measures is refused with both of them: nothing is guessed.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TypeVar

import ir_measures
from ir_measures.measures import registry

from rankscope.core.errors import BadInput, UnknownChoice
from rankscope.core.fields import shown

T = TypeVar("T")

BY_OTHERS: Mapping[str, str] = {
    "hit_rate": "Success",
    "hitrate": "Success",
    "r_precision": "Rprec",
    "ndcg_burges": "nDCG(dcg='exp-log2')",
}
"""Lower-case names of other tools (ranx, RecBole, TorchMetrics) to what ir_measures calls the same measure."""

_FOUND = "{at} as in sentence-transformers and DPR (whether a relevant doc is among the first docs)"
SEVERAL_MEANINGS: Mapping[str, str] = {
    "accuracy": f"Success{_FOUND}, or Accuracy{{at}} (the share of pairs of docs in the right order)",
    "acc": f"Success{_FOUND}, or Accuracy{{at}} (the share of pairs of docs in the right order)",
    "hits": "Success{at} (whether a relevant doc is among the first docs), or as in ranx their number, which is P{at} times "
    "the cutoff",
    "hit": "Success{at} (whether a relevant doc is among the first docs), or the number of them, which is P{at} times the "
    "cutoff",
    "r_cap": "BEIR's recall, divided by the cutoff where more docs are relevant, which ir_measures lacks, or R{at}",
    "f1": "SetF (of the whole ranking), or P{at} and R{at}, of which F1 is made",
    "f": "SetF (of the whole ranking), or P{at} and R{at}, of which F1 is made",
}
"""Lower-case names that tools use for several measures, or for none of ir_measures, and what may be meant."""

_OPENING, _CLOSING = "([{", ")]}"
_STEM = re.compile(r"\w+")
_ENDS_IN_CUTOFF = re.compile(r"[._@][0-9][0-9,]*$")
_TREC_EVALS = re.compile(r"([A-Za-z_]+?)(?:[._]([0-9.]+(?:,[0-9]+)*))?")
_MTEBS = re.compile(r"(\w+?)_at_([0-9]+)")
_CUTOFF_WITHOUT_SIGN = re.compile(r"([A-Za-z]+)[_.-]?([0-9]+)")


def names_of(written: str | Iterable[str]) -> list[str]:
    """The measures in texts that may list several, such as `map, ndcg_cut_10` or `nDCG@5,10`, as ir_measures names them."""
    texts = [written] if isinstance(written, str) else written
    return [name for text in texts for item in _items(text) for name in _names(item)]


def name_of(written: str) -> str:
    """The one measure in a text, as ir_measures names it; a text that names none stays as it is.

    Raises UnknownChoice where it names several, or may mean several.
    """
    names = names_of(written)
    if len(names) > 1:
        raise UnknownChoice(
            f"{shown(written)} names {len(names)} measures ({', '.join(names)}), and one is needed here. Keep one."
        )
    return names[0] if names else written


def by_name(written: Mapping[str, T], *, what: str) -> dict[str, T]:
    """Values by measure, under ir_measures' names. Raises BadInput where a measure has two under two of its names."""
    named: dict[str, T] = {}
    first: dict[str, str] = {}
    for measure, value in written.items():
        name = name_of(measure)
        if name in named and named[name] != value:
            raise BadInput(
                f"{first[name]} and {measure} are one measure with two {what}, {named[name]} and {value}. Keep one."
            )
        first.setdefault(name, measure)
        named.setdefault(name, value)
    return named


def near(written: str) -> str | None:
    """A name of ir_measures that may have been meant; None where none is near."""
    cutoff = _CUTOFF_WITHOUT_SIGN.fullmatch(written)
    stem, rest = (cutoff[1], f"@{cutoff[2]}") if cutoff else _parted(written)
    names = _any_case()
    found = difflib.get_close_matches(stem.lower(), names, n=1, cutoff=0.7)
    return names[found[0]] + rest if found else None


def _items(text: str) -> list[str]:
    """The parts of a text between commas and white space, brackets left whole; `P_5,10` is one part."""
    pieces, depth = [""], 0
    for character in text:
        depth += (character in _OPENING) - (character in _CLOSING)
        if depth <= 0 and (character == "," or character.isspace()):
            pieces.append("")
        else:
            pieces[-1] += character
    items: list[str] = []
    for piece in filter(None, pieces):
        if piece.isdecimal() and items and _ENDS_IN_CUTOFF.search(items[-1]):
            items[-1] += f",{piece}"
        else:
            items.append(piece)
    return items


@cache
def _names(item: str) -> tuple[str, ...]:
    """What one part names; itself where it is no name that is known."""
    stem, rest = _parted(item)
    if stem in registry:
        return tuple(f"{registry[stem].NAME}{each}" for each in _each_cutoff(rest))
    if trec := _of_trec_eval(item):
        return trec
    if at := _MTEBS.fullmatch(item):
        stem, rest = at[1], f"@{at[2]}"
    if meanings := SEVERAL_MEANINGS.get(stem.lower()):
        raise UnknownChoice(
            f"The measure {shown(item)} may mean {meanings.format(at=rest)}. Write the one that is meant."
        )
    known = {**_any_case(), **BY_OTHERS}.get(stem.lower())
    if known is None:
        return (item,)
    return tuple(f"{known}{each}" for each in _each_cutoff(rest))


def _parted(item: str) -> tuple[str, str]:
    """A name, and what follows it: parameters and cutoff."""
    match = _STEM.match(item)
    return (match[0], item[match.end() :]) if match else ("", item)


def _each_cutoff(rest: str) -> list[str]:
    """What follows a name, once for each of its cutoffs: `@5,10` is @5 and @10."""
    head, at, cutoffs = rest.rpartition("@")
    return [f"{head}@{cutoff}" for cutoff in cutoffs.split(",")] if at else [rest]


@cache
def _any_case() -> dict[str, str]:
    """ir_measures' names and aliases in lower case, to its names; no two of its measures differ in case alone."""
    return {name.lower(): measure.NAME for name, measure in registry.items()}


def _of_trec_eval(item: str) -> tuple[str, ...]:
    """What a name of trec_eval stands for, in any case; nothing where it is none. Raises UnknownChoice for one without a cutoff."""
    import pytrec_eval

    match = _TREC_EVALS.fullmatch(item)
    if match is None:
        return ()
    spelt = {name.lower(): name for name in pytrec_eval.supported_measures}
    name = spelt.get(match[1].lower())
    if name is None:
        return ()
    try:
        measures = ir_measures.parse_trec_measure(f"{name}.{match[2]}" if match[2] else name)
    except ValueError:
        return ()  # trec_eval's own parameters, or a measure that ir_measures lacks
    if len(measures) > 1 and not match[2]:
        cutoffs = ", ".join(map(str, measures))
        raise UnknownChoice(
            f"The measure {shown(item)} has no cutoff, and trec_eval computes {cutoffs} under it. Name one of them."
        )
    return tuple(map(str, measures))
