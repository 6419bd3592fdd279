"""Classes that are defined in a notebook's cells or in a script: their code, hashed.

They are in no plugin file, and a notebook has no file that tells them from its other cells.
"""

import hashlib
import inspect
import re
from typing import Any

from dstbench.config.registry import INTERACTIVE, registered_in

IMPORT = f"import {INTERACTIVE}"


def hashes(text: str) -> dict[str, str]:
    """Return label → sha256 (hex) of every such class that a run uses.

    text: its resolved gin text.
    """
    if IMPORT not in text.splitlines():
        return {}
    used = [
        cls
        for name, cls in registered_in(INTERACTIVE).items()
        if re.search(rf"\b{name}\b", text) is not None
    ]
    return {f"{cls.__name__} (notebook)": _sha256(cls) for cls in used}


def _sha256(cls: Any) -> str:
    """Return the hash of a function, or of the functions and plain values of a class.

    Those of its base classes that are defined there, too, are part of it. What Python adds to a
    class, such as the number of its first line, is not.
    """
    digest = hashlib.sha256(_text(cls).encode())
    for own in (one for one in getattr(cls, "__mro__", (cls,)) if one.__module__ == INTERACTIVE):
        for name, value in sorted(vars(own).items()):
            added = name.startswith("__") and isinstance(value, str | int | tuple | None)
            if not added:
                digest.update(f"{name}={_text(value)}\n".encode())
    return digest.hexdigest()


def _text(value: Any) -> str:
    """Return the source of a function, the text of a plain value, else nothing."""
    if isinstance(value, property):
        return "".join(_text(one) for one in (value.fget, value.fset) if one is not None)
    function = getattr(value, "__func__", value)  # of a static or class method
    if inspect.isfunction(function):
        try:
            return inspect.getsource(function)
        except (OSError, TypeError):  # typed at a prompt that keeps no source
            code = function.__code__
            return f"{code.co_code!r}{code.co_names}{code.co_consts}"
    plain = isinstance(value, str | int | float | bool | tuple | None)
    return repr(value) if plain else ""
