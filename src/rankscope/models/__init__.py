"""Rankers, and the insides of rankers."""
