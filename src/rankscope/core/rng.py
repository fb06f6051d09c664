"""Independent named random streams from one seed.

A stream is named by its purpose, so adding a draw in one place moves no draw in another.
"""

import hashlib
import json
import random


def seed_for(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed of its own for one purpose, for generators that take a number."""
    key = json.dumps([seed, *purpose]).encode()
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "big") >> 1


def stream(seed: int, *purpose: str | int) -> random.Random:
    """A random stream of its own for one purpose: as in `stream(42, "negatives", query_id, epoch)`."""
    return random.Random(seed_for(seed, *purpose))  # noqa: S311 -- statistics, not secrets
