"""The fields of a study file: where each stands, and what other tools call it."""
