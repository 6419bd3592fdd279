"""The command line: parser, options, and one file per command."""
