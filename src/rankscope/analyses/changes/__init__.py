"""The changes between two rankers, before and after a stage."""
