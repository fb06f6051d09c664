"""The files of a model's folder, read strictly before any library sees them."""
