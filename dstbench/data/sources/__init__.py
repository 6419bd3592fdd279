"""Where images come from: one file for each format, and the cache of decoded images."""
