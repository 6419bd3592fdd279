"""Environment variables that torchrun sets for the processes that it starts."""

import os

from dstbench.errors import UserError


def torchrun_number(name: str, default: int) -> int:
    """Return the value of a variable, such as WORLD_SIZE; `default` where it is not set.

    Raises UserError for a value that is no whole number.
    """
    text = os.environ.get(name)
    try:
        return default if text is None else int(text)
    except ValueError:
        raise UserError(
            f"the environment variable {name} is {text!r}: expected a whole number, as torchrun "
            "sets it. Unset it to train with one process."
        ) from None
