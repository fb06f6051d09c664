"""Through which feed-forward neurons rankers prefer a relevant doc."""
