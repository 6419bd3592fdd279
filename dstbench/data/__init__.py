"""Images: sources, splits, preprocessing, augmentation, batches as a function of (seed, step)."""
