"""Shared nouns. Imports nothing of ours; never torch."""
