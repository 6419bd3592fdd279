"""The command line: parser, shared options, and one file per command."""
