"""The options of all commands; argparse only, so that `--help` is fast."""
