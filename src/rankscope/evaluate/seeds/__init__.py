"""Training seeds: how runs of one seed are related, and the seeds' part of errors and variances."""
