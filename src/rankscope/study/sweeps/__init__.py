"""Lists where a ranker takes one value, and `seeds`: a ranker for each value, and for each seed."""
