"""What a study file may say, a noun a file."""
