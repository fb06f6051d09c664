"""The work of the commands that need no study file and are no analysis."""
