"""What can be typed: the parser, shared options, one file a command."""
