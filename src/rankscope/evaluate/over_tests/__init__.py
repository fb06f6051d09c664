"""One verdict over several tests: from values per query, and from published means."""
