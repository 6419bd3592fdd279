"""Random generators restored after a piece of code that draws from them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from dstbench.utils.host_generators import host_states, set_host_states


@contextmanager
def preserve_rng(like: Tensor) -> Iterator[None]:
    """Restore afterwards the generators of Python, numpy, torch's CPU and the device of `like`."""
    before = host_states()
    try:
        with torch.random.fork_rng([like.get_device()] if like.is_cuda else []):
            yield
    finally:
        set_host_states(before)
