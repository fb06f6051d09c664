"""What a masked language model knows of facts."""
