"""From samples to a tuned ranker."""
