"""The hub's ids of public data, for the metadata of model cards: only ids that a public source states, none made by a rule.

The hub refuses a card whose `datasets` has another form than its ids, so an ir_datasets id cannot stand there itself. Its
copies of ir_datasets' collections are under `irds/`, but not of all: `msmarco-passage/train` has none.
"""

from rankscope.data.public.table import PUBLIC

COPIES_OF_IR_DATASETS = frozenset(
    (
        "beir/dbpedia-entity", "beir/dbpedia-entity/dev", "beir/dbpedia-entity/test",
        "beir/fever", "beir/fever/dev", "beir/fever/test", "beir/fever/train",
        "beir/hotpotqa", "beir/hotpotqa/dev", "beir/hotpotqa/test", "beir/hotpotqa/train",
        "beir/msmarco", "beir/msmarco/dev", "beir/msmarco/test", "beir/msmarco/train",
        "beir/nfcorpus", "beir/nfcorpus/dev", "beir/nfcorpus/test", "beir/nfcorpus/train",
        "beir/quora", "beir/quora/dev", "beir/quora/test",
        "beir/scifact", "beir/scifact/test", "beir/scifact/train",
        "cranfield",
        "msmarco-document", "msmarco-document-v2",
        "msmarco-document-v2/trec-dl-2019", "msmarco-document-v2/trec-dl-2019/judged",
        "msmarco-document-v2/trec-dl-2020", "msmarco-document-v2/trec-dl-2020/judged",
        "msmarco-passage", "msmarco-passage/dev", "msmarco-passage/dev/judged", "msmarco-passage/eval",
        "msmarco-passage/train/triples-small", "msmarco-passage/train/triples-v2", "msmarco-passage/trec-dl-hard",
    )
)  # fmt: skip
"""ir_datasets ids that have a copy at the hub; those cards at hf.co/datasets/irds that name one another state them."""


def of_ir_datasets(name: str) -> str | None:
    """The hub's id of the copy of an ir_datasets collection; None where none is known."""
    return "irds/" + name.replace("/", "_") if name in COPIES_OF_IR_DATASETS else None


def of_public(name: str) -> str | None:
    """The hub's id of a collection of `rankscope data`; None where none is known, or the name."""
    made = PUBLIC.get(name)
    if made is None:
        return None
    return made.hub or of_ir_datasets(str(made.settings.get("id", "")))
