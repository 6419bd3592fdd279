"""Unsupported: a network, or a state of it, that the native engine cannot compute."""

from dstbench.errors import UserError


class Unsupported(UserError):
    """A network that cannot be compiled; the message says which part of it, and why."""
