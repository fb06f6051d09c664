"""The specs of a study file, one module for each noun."""
