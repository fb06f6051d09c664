"""Read judgements from TREC's four columns, or from BEIR's three with their header line."""

from pathlib import Path

from rankscope.core.errors import BadInput
from rankscope.core.fields import written_grade
from rankscope.core.lines import decoded, rows
from rankscope.core.records import Qrel

BEIR_HEADER = [b"query-id", b"corpus-id", b"score"]


def read_trec_qrels(path: Path) -> list[Qrel]:
    """Judgements from TREC's four columns, or from BEIR's three with their header line."""
    qrels: dict[tuple[str, str], Qrel] = {}
    n_columns, id_columns = 4, (0, 2)
    is_first = True
    for number, columns, line in rows(path, 4):
        if is_first and columns == BEIR_HEADER:
            n_columns, id_columns = 3, (0, 1)
            is_first = False
            continue
        is_first = False
        if len(columns) != n_columns:
            decoded(path, number, line)
            form = "query_id 0 doc_id relevance" if n_columns == 4 else "query-id corpus-id score"
            raise BadInput(
                f"{path}, line {number}: expected {n_columns} columns ({form}), found {len(columns)}."
                " Qrels are TREC's four columns, or BEIR's three with their header line."
            )
        query_id, doc_id = (decoded(path, number, columns[at]) for at in id_columns)
        grade = written_grade(columns[-1], f"{path}, line {number}")
        qrel = Qrel(query_id, doc_id, grade)
        if qrels.setdefault((query_id, doc_id), qrel) != qrel:
            raise BadInput(
                f"{path}, line {number}: query {query_id}, doc {doc_id} was judged "
                f"{qrels[query_id, doc_id].relevance} before and {qrel.relevance} here. Keep one."
            )
    if not qrels:
        raise BadInput(f"{path}: no judgement in it. Give a qrels file with at least one line.")
    return list(qrels.values())
