"""What makes a ranker fast, and leaves its scores as they are."""
