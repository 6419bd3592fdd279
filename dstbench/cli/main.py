"""The command line: what can be typed, and nothing of how it is done.

Only argparse is imported here; a command's own file is imported when it is called.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from dstbench.cli.parser import parser
from dstbench.errors import UserError

# fmt: on


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command. Exit codes: 0 done, 1 the run or check failed, 2 a mistake in the input."""
    args = parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a sign shows ?
    # OpenMP threads that wait spin for long, which on a busy machine slows small networks tenfold.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    module: Any = importlib.import_module(f"dstbench.cli.commands.{args.command}")
    try:
        code = module.main(args)
        sys.stdout.flush()
    except UserError as error:
        print(f"dstbench: {error.message}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("dstbench: interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:  # the reader of our output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
