"""UserError: one clear message for every mistake of a user.

A message has three parts: what was given, what is allowed, what to do. The command line prints it
without a traceback and exits with code 2.
"""

import traceback
from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """A mistake in what the user asked for, not in the program.

    message: what was given, what is allowed, what to do.
    binding: the gin parameter at fault, such as `RigL.drop_fraction`, or None; the configuration
        adds the file and line that set it.
    """

    def __init__(self, message: str, binding: str | None = None):
        super().__init__(message)
        self.message = message
        self.binding = binding


def require(condition: bool, owner: object, parameter: str, value: object, allowed: str) -> None:
    """Check a constructor argument.

    condition: what must hold.
    owner: the object under construction.
    parameter: name of the argument.
    value: the argument.
    allowed: its allowed values, in words.

    Raises UserError when: the condition does not hold.
    """
    if not condition:
        binding = f"{type(owner).__name__}.{parameter}"
        raise UserError(f"{binding} = {value!r}: must be {allowed}", binding)


def require_sparsity(owner: object, sparsity: float) -> None:
    """Check a part's `sparsity`: the fraction removed of a network's weights, in [0, 1).

    Raises UserError when it is none.
    """
    allowed = "a fraction in [0, 1), such as 0.999 for 99.9 %"
    require(0 <= sparsity < 1, owner, "sparsity", sparsity, allowed)


def error_with_line(error: Exception) -> str:
    """Return an error's type, message and the line that raised it.

    The line is the last one outside torch and outside the file that caught the error.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/torch/" not in f.filename and f.filename != frames[0].filename]
    line = f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
    text = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {text}{line}."


def did_you_mean(given: str, valid: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the nearest valid name, then all names."""
    valid = sorted(valid)
    return f"{nearest(given, valid)} Known: {', '.join(valid) or 'none'}."


def nearest(given: str, valid: Iterable[str]) -> str:
    """Return a question that names the valid name nearest to an unknown one; empty if none is."""
    lower = {name.lower(): name for name in valid}
    near = get_close_matches(given.lower(), lower, n=1, cutoff=0.5)
    return f" Did you mean {lower[near[0]]!r}?" if near else ""
