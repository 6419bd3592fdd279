"""What compiled functions share: vector instructions, and the cache on disk."""
