"""Which interpreter runs a program: numba's, or numpy's where numba is not installed."""

import functools
import importlib
import warnings

from .interpreter import Interpreter


@functools.cache  # so that the note is given once
def fastest() -> Interpreter:
    """Return the fastest interpreter that runs here; warn where that is numpy's."""
    try:
        importlib.import_module("numba")  # by itself, so that a message names it
        from . import numba_interpreter
    except ImportError as error:
        from . import numpy_interpreter

        warnings.warn(
            f"Networks run with numpy alone ({error}). With numba they run 10 to 100 times "
            "faster: pip install numba",
            RuntimeWarning,
            stacklevel=4,  # the caller of `load`
        )
        return numpy_interpreter.INTERPRETER
    return numba_interpreter.INTERPRETER
