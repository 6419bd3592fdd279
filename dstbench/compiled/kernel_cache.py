"""Compiled functions kept on disk, until any source that they were compiled from changes."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from numba import njit


def source_hash(*packages: ModuleType) -> int:
    """Return a hash of all source of the packages; numba itself watches a function's own file only.

    A function whose cache depends on it closes over it as a variable.
    """
    found = hashlib.sha256()
    for folder in (folder for package in packages for folder in package.__path__):
        for file in sorted(Path(folder).glob("*.py")):
            found.update(file.read_bytes())
    return int.from_bytes(found.digest()[:7])


def compiled_and_cached(function: Callable[..., Any], **options: Any) -> Any:
    """Compile when first called; keep the result on disk where a folder can be written."""
    try:
        return njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:  # neither this folder nor the user's cache can be written
        return njit(nogil=True, **options)(function)
