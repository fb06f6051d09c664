"""A study of tiny bi-encoders: three poolings, two towers, adapters, search, fusion, mining."""

from pathlib import Path

from support import tiny

STUDY = """
study: dense
seed: 3
collections:
  train: {{kind: beir, path: {data}, split: train}}
  test:  {{kind: beir, path: {data}, split: test}}
  typed: {{kind: beir, path: {data}, split: test, noise: [typos, word_order]}}
first_stages:
  bm25:  {{kind: bm25, depth: 20}}
  dense: {{kind: dense, ranker: cls, depth: 20}}
  graph: {{kind: dense, ranker: cls, depth: 20, index: hnsw, stored: float16}}
  late:  {{kind: late_interaction, ranker: colbert, depth: 20}}
  both:  {{kind: fuse, of: [bm25, dense], depth: 20}}
rankers:
  colbert: {{kind: late_interaction, model: {colbert}}}
  judge: {{kind: cross_encoder, backbone: {bert}, max_length: 32}}
  cls-plain:   {{kind: bi_encoder, backbone: {bert}, pooling: cls, similarity: cosine, max_length: {{query: 12, doc: 24}}}}
  mean-plain:  {{kind: bi_encoder, backbone: {bert}, pooling: mean, max_length: {{query: 12, doc: 24}}}}
  last-plain:  {{kind: bi_encoder, backbone: {llama}, pooling: last, prefixes: {{query: "who ", doc: "a "}}, max_length: {{query: 12, doc: 24}}}}
  tower-plain: {{kind: bi_encoder, backbone: {bert}, towers: separate, max_length: {{query: 12, doc: 24}}}}
  split-plain: {{kind: bi_encoder, model: {whole}, towers: separate}}
  cls: &how
    start: cls-plain
    samples: {{labels: qrels, negatives: {{from: bm25, depth: 10}}, group_size: 4}}
    loss: info_nce
    in_batch: true
    temperature: 0.1
    max_updates: 8
    queries_per_update: 4
    queries_per_batch: 4
    learning_rate: 1.0e-3
    validate: {{collection: test, from: bm25, depth: 10, every: 4}}
    guards: {{loss_above_chance: warn}}
  mean:   {{<<: *how, start: mean-plain, temperature: 1.0}}
  last:   {{<<: *how, start: last-plain, temperature: 1.0, lora: {{rank: 4}}}}
  frozen: {{<<: *how, start: tower-plain, temperature: 1.0, freeze: [doc_tower]}}
  mined:  {{<<: *how, start: cls, samples: {{labels: qrels, negatives: {{from: both, depth: 10}}, group_size: 4}}}}
  fresh:  {{<<: *how, start: mean-plain, temperature: 1.0, samples: {{labels: qrels, negatives: {{from: bm25, depth: 10, refresh_every: 3}}, group_size: 4}}}}
  sorted: {{<<: *how, start: mean-plain, temperature: 1.0, samples: {{labels: qrels, negatives: {{from: bm25, depth: 10, rescored_by: judge, absolute_margin: 0.0}}, group_size: 4}}}}
  crops:
    start: mean-plain
    recipe: contriever
    momentum_queue: {{size: 16, momentum: 0.9}}
    max_updates: 8
    queries_per_update: 4
    learning_rate: 1.0e-3
  noisy:
    start: split-plain
    recipe: aligned_queries
    samples: {{collection: train, docs: test}}
    max_updates: 8
    queries_per_update: 4
    learning_rate: 1.0e-3
    guards: {{loss_above_chance: warn}}
evaluate:
  over: [test, typed]
  search: {{depth: 20, beside: [bm25, graph, late, both]}}
  rerank: {{from: [dense], depth: 10}}
  measures: [nDCG@10, R@20]
  baseline: [bm25, cls-plain]
"""


def write(where: Path) -> Path:
    """The study's file, and beside it the collection and backbones it names."""
    text = STUDY.format(
        data=tiny.write_collection(where / "data"),
        bert=tiny.save_encoder(where / "bert"),
        llama=tiny.save_encoder(where / "llama", "llama"),
        whole=tiny.save_bi_encoder(where / "whole"),
        colbert=tiny.save_late_interaction(where / "colbert"),
    )
    (where / "study.yaml").write_text(text, "utf-8")
    return where / "study.yaml"
