"""The commands that need no study file."""
