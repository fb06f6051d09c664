"""What is learnt: batches, read by the ranker, to a loss and what is seen of it."""
