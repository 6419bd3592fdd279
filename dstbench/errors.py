"""What a user got wrong, said once and clearly.

Every mistake that a user can make ends as a `UserError`: what was given, what is allowed, what to
do. The command line prints it as one message and leaves with exit code 2.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """A mistake in what the user asked for, not in the program.

    binding: the gin parameter at fault, such as `RigL.drop_fraction`, where there is one; the
        configuration adds the file and line that set it.
    """

    def __init__(self, message: str, binding: str | None = None):
        super().__init__(message)
        self.message = message
        self.binding = binding


def require(condition: bool, owner: object, parameter: str, value: object, allowed: str) -> None:
    """Refuse `value` for a constructor's `parameter` unless `condition` holds."""
    if not condition:
        binding = f"{type(owner).__name__}.{parameter}"
        raise UserError(f"{binding} = {value!r}: must be {allowed}", binding)


def did_you_mean(given: str, valid: Iterable[str]) -> str:
    """The tail of a message about an unknown name: the nearest valid name, then all of them."""
    valid = sorted(valid)
    lower = {name.lower(): name for name in valid}
    near = get_close_matches(given.lower(), lower, n=1, cutoff=0.5)
    hint = f" Did you mean {lower[near[0]]!r}?" if near else ""
    return f"{hint} Known: {', '.join(valid) or 'none'}."
