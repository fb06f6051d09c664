"""Public collections: what there is, where it comes from, and how it becomes a folder in BEIR layout in the cache."""
