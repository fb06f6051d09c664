"""First stages, a file each."""
