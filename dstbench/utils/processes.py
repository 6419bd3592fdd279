"""How many processors there are to use; standard library only."""

import os
import sys

from dstbench.config.shipped_files import checkout


def cores() -> int:
    """Those this process may use; all there are where the system cannot say, as on macOS."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of the suite in a process of its own, see `environment`.

    The folder that a sweep is started in may hold a random.py: -P keeps it off the import path.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def environment(**more: str) -> dict[str, str]:
    """This process's environment and more; a checkout that nobody installed is found in it."""
    root = checkout()
    paths = [str(root)] if root else []
    paths += filter(None, [os.environ.get("PYTHONPATH")])
    return {**os.environ, **({"PYTHONPATH": os.pathsep.join(paths)} if paths else {}), **more}
