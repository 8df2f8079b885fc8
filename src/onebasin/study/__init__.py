"""What the jobs of a study share: open a model at one width, align, measure, train, gather."""
