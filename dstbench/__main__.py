"""`python -m dstbench` is `dstbench`."""

from dstbench.cli.main import main

if __name__ == "__main__":
    main()
