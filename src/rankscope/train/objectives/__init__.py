"""The objectives of training: batches that the ranker reads, their losses, and facts for the guards."""
