"""Puts the modules that a compiled network needs into the distribution `dstbench_runtime`.

In a checkout they are in dstbench, three folders up; a source distribution has them in place. They
import each other relatively, so one text works under both names.
"""

import re
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).resolve().parent
DSTBENCH = HERE.parents[1]
MODULES = (
    "errors.py",
    "py.typed",
    "compiled/*.py",
    "deployment/__init__.py",
    "deployment/runtime/*.py",
    "utils/__init__.py",
    "utils/cores.py",
    "utils/json_text.py",
    "utils/safetensors_bytes.py",
)


def in_checkout() -> bool:
    """Return whether this is a folder of dstbench, not a source distribution of its own."""
    return not (HERE / "PKG-INFO").exists()


def version() -> str:
    """Return the version of dstbench."""
    if in_checkout():
        file, pattern = DSTBENCH / "__init__.py", r'^__version__ = "(.+)"$'
    else:
        file, pattern = HERE / "PKG-INFO", "^Version: (.+)$"
    found = re.search(pattern, file.read_text(encoding="utf-8"), re.MULTILINE)
    assert found, f"{file} has no version"
    return found[1]


class SharedModules(BuildHookInterface):
    """Adds the modules of dstbench and its license to a wheel or source distribution."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if not in_checkout():
            return
        paths = [path for pattern in MODULES for path in DSTBENCH.glob(pattern)]
        files = {path: path.relative_to(DSTBENCH) for path in paths}
        files[DSTBENCH.parent / "LICENSE"] = Path("LICENSE")
        for path, name in files.items():
            build_data["force_include"][str(path)] = f"dstbench_runtime/{name.as_posix()}"
