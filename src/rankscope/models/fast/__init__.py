"""Faster forward passes that leave a ranker's scores as they are."""
