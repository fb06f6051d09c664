"""What hands a ranker over to others: a copy with its model card, in a folder or on the hub."""
