"""From a tuned ranker to what tuning changed in it."""
