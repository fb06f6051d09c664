"""What the field asks of an evaluation on a collection, by ir_datasets id.

From which grade a doc counts as relevant, and whether a doc that is the query itself counts. Of a
folder or file nobody knows: there the study or the command line says it.
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
    "beir/arguana*": Convention(drop_own_docs=True),
    "beir/quora*": Convention(drop_own_docs=True),
}
"""ir_datasets ids (`*` stands for anything) to what TREC's tracks and BEIR do."""


def convention(dataset_id: str | None) -> Convention:
    """The convention of an ir_datasets id; the plain one where there is none."""
    for pattern, found in CONVENTIONS.items():
        if dataset_id and fnmatchcase(dataset_id.removeprefix("irds:"), pattern):
            return found
    return Convention()
