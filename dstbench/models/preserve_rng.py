"""Random generators restored after a piece of code that draws from them."""

from contextlib import AbstractContextManager

import torch
from torch import Tensor


def preserve_rng(like: Tensor) -> AbstractContextManager[None]:
    """Return a context that restores the random generators of the CPU and of `like`'s device."""
    return torch.random.fork_rng([like.get_device()] if like.is_cuda else [])
