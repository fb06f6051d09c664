"""The inverted index of BM25: docs in blocks, words by their bytes, postings sorted, merged and weighted, rankings cut."""
