"""How the field measures runs over a collection, by its ir_datasets id or its name among the public ones.

A convention has two parts: the lowest grade that counts as relevant, and whether a doc that is the query itself
is left out. A local folder or file has the plain convention unless the study or the command line gives another.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Convention:
    """How runs over a collection are measured."""

    relevance_level: int = 1
    """The lowest grade that counts as relevant in binary measures."""
    drop_own_docs: bool = False
    """Whether docs that have their query's id are left out of rankings."""


CONVENTIONS = {
    "msmarco-passage/trec-dl-*": Convention(relevance_level=2),
    "msmarco-passage-v2/trec-dl-*": Convention(relevance_level=2),
    "msmarco-dl*": Convention(relevance_level=2),
    "beir/arguana*": Convention(drop_own_docs=True),
    "beir/quora*": Convention(drop_own_docs=True),
}
"""ir_datasets ids and names of public collections (`*` stands for anything) to what TREC's tracks and BEIR do."""


def convention(dataset_id: str | None) -> Convention:
    """The convention of an ir_datasets id or a public collection; the plain one where there is none."""
    name = (dataset_id or "").removeprefix("irds:")
    patterns = (pattern for pattern in CONVENTIONS if fnmatchcase(name, pattern))
    return CONVENTIONS.get(next(patterns, ""), Convention())
