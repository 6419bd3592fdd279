"""Programs in a process of their own that can import a few packages only."""

import os
import subprocess
import sys

BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {*sys.stdlib_module_names, *%r}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
"""


def run_with(packages, code, *arguments, folder=None):
    """Run Python code that can import the standard library and some packages.

    packages: names of top-level packages.
    folder: put on the import path first; None for that of this process.

    Returns the finished process, with its output as text.
    """
    path = {} if folder is None else {"PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", BLOCK % sorted(packages) + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **path})
