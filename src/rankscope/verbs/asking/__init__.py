"""The commands that ask an LLM for its rankings: directly, or by batches."""
