"""What each layer knows of relevance."""
