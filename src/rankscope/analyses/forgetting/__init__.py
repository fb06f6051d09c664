"""What each stage gained and lost on every collection."""
