"""Training seeds: what they have in common, and how much of an error and a variance is theirs."""
