"""Two rankers on the same queries: comparison, evidence, correction, verdict, fragility and power."""
