"""The exception of a network that cannot be traced or compiled."""

from dstbench.errors import UserError


class Unsupported(UserError):
    """A network, or a layer of it, that is not known here; the message names it."""
