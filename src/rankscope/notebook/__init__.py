"""What `import rankscope` gives a notebook: rankers, collections, runs, measures, training and studies by short names."""
