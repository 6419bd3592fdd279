"""The exception of a network that cannot be compiled for native training."""

from dstbench.errors import UserError


class Unsupported(UserError):
    """A network, or a layer of it, that native training does not know; the message names it."""
