"""The width of vectors, which decides how memory is laid out for them. Needs nothing."""

LANES = 16  # numbers of a vector; a processor with narrower registers uses several for it
