"""BM25's weight of a term in a doc, by Lucene's formula.

    idf = ln(1 + (N - df + 0.5) / (df + 0.5))
    weight = idf * tf / (tf + k1 (1 - b + b length / mean length))

An idf is rounded to float32, the rest computed in float64 and the weight rounded: to the bit as bm25s has it.
"""

import math

import numpy as np
from numpy.typing import NDArray

K1, B = 0.9, 0.4
"""As in Anserini."""


def idfs(dfs: NDArray[np.int64], n_docs: int) -> NDArray[np.float32]:
    """The idf of each term, by the number of docs that it stands in.

    By `math.log`, not numpy's, whose last bit depends on the machine; once for each distinct number.
    """
    values, numbers = np.unique(dfs, return_inverse=True)
    logs = [math.log(1 + (n_docs - df + 0.5) / (df + 0.5)) for df in values.tolist()]
    return np.array(logs, dtype=np.float32)[numbers]


def length_parts(
    lengths: NDArray[np.int64], *, mean: float, k1: float, b: float
) -> NDArray[np.float64]:
    """What each doc's length adds to the denominator; a length is a number of terms, `mean` that of the collection."""
    return k1 * ((1 - b) + b * lengths.astype(np.float64) / mean)


def weights(
    tfs: NDArray[np.int64], parts: NDArray[np.float64], idf: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The weights of postings: their term frequencies, docs' parts by length, and terms' idf."""
    return (idf * (tfs / (parts + tfs))).astype(np.float32)
