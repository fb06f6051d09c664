"""The samples and the objective of a training stage, and its guards."""
