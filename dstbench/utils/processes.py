"""Child processes that run modules of the suite."""

import os
import site
import sys
from pathlib import Path

import dstbench


def python(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of the suite; it needs `environment`.

    -P keeps the current folder, which may hold a random.py, off the import path.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment with `more`, in which children find this package.

    A package that is not in site-packages is found through PYTHONPATH: a checkout need not be
    installed. Children write UTF-8 in every locale: their output goes to logs, which are read.
    """
    root = Path(dstbench.__file__).resolve().parents[1]
    installed = (*site.getsitepackages(), site.getusersitepackages())
    paths = [] if root in {Path(folder).resolve() for folder in installed} else [str(root)]
    paths += filter(None, [os.environ.get("PYTHONPATH")])
    found = {"PYTHONPATH": os.pathsep.join(paths)} if paths else {}
    return {**os.environ, **found, "PYTHONIOENCODING": "utf-8:replace", **more}
