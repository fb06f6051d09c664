"""From a collection to training samples."""
