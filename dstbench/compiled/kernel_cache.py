"""Compiled functions kept on disk, until any source that they were compiled from changes."""

import hashlib
import inspect
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from numba import njit


def source_hash(modules: Iterable[ModuleType]) -> int:
    """Return a hash of the modules' source; numba itself watches a function's own file only.

    A function whose cache depends on it closes over it as a variable.
    """
    try:
        source = "".join(inspect.getsource(module) for module in modules)
    except OSError:  # no source, and then numba caches nothing
        return 0
    return int.from_bytes(hashlib.sha256(source.encode()).digest()[:7])


def compiled_and_cached(function: Callable[..., Any], **options: Any) -> Any:
    """Compile when first called; keep the result on disk where a folder can be written."""
    try:
        return njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:  # neither this folder nor the user's cache can be written
        return njit(nogil=True, **options)(function)
