"""What a model's folder must hold, read strictly before any library sees it."""
