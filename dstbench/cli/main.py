"""Entry point of the command line: parses arguments and runs the command.

Only argparse is imported here; a command's file is imported when the command is run.
"""

import errno
import importlib
import os
import sys
import time
from collections.abc import Sequence
from typing import Any, NoReturn

from dstbench.cli.parser import parser
from dstbench.errors import UserError
from dstbench.utils.printable import harmless
from dstbench.utils.signals import ignore_announcements

_WRONG_PATH = (
    errno.EACCES, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR,
    errno.EPERM, errno.EROFS,
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit.

    argv: the arguments, None for those of this process.

    Exit codes: 0 success, 1 the run or check failed, 2 a mistake in the input.
    """
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 (closed by `>&-`)
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):  # before anything is printed, the help included
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal shows ? for characters it lacks
    started = time.monotonic()
    ignore_announcements()
    args = parser().parse_args(argv)
    args.started = started  # before imports, which may take seconds
    # Waiting OpenMP threads spin by default, which slows small networks tenfold on a busy machine.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        module: Any = importlib.import_module(f"dstbench.cli.commands.{args.command}")
        code = module.main(args)
        sys.stdout.flush()
    except UserError as error:
        print(harmless(f"dstbench: {error.message}"), file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("dstbench: interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:  # the reader closed the pipe, as `head` does
        _drop_output()
        code = 0
    except OSError as error:
        code = _report(error)
    sys.exit(code)


def _report(error: OSError) -> int:
    """Print what the system refused, and return the exit code. Raises the error if it is no path.

    A path that is wrong stays wrong. Other errors, such as those of a full disk, may pass: with
    exit code 1, a sweep tries the run again.
    """
    if error.filename is not None and error.strerror is not None:
        text = f"dstbench: {os.fsdecode(error.filename)}: {error.strerror}."
        print(harmless(text), file=sys.stderr)
        return 2 if error.errno in _WRONG_PATH else 1
    if error.errno != errno.ENOSPC:
        raise error
    _drop_output()
    print("dstbench: the output cannot be written: no space left.", file=sys.stderr)
    return 1


def _drop_output() -> None:
    """Send what is not printed yet nowhere, so that Python does not try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
