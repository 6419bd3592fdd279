"""Images: sources, splits, preprocessing, batches as a function of (seed, step)."""
