"""What moved between two rankers, before and after."""
