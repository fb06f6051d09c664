"""What needs no study file."""
