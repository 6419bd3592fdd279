"""The global random generators: torch's, numpy's and Python's.

A network's code may draw from any of them, so "the same seed gives the same run" covers all three.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from dstbench.utils.host_generators import host_states, seed_host, set_host_states


def seed_all(seed: int) -> None:
    """Seed torch (on every device), numpy and Python's `random`.

    seed: zero or more, below 2⁶³.
    """
    torch.manual_seed(seed)
    seed_host(seed)


def get_states() -> dict[str, Any]:
    """Return the state of every generator: tensors, numbers, strings and lists only."""
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        **host_states(),
    }


def set_states(states: dict[str, Any]) -> None:
    """Restore what `get_states` returned; those of CUDA devices only where there are any."""
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])
    set_host_states(states)


@contextmanager
def preserve_rng(like: Tensor) -> Iterator[None]:
    """Restore afterwards the generators of Python, numpy, torch's CPU and the device of `like`."""
    before = host_states()
    try:
        with torch.random.fork_rng([like.get_device()] if like.is_cuda else []):
            yield
    finally:
        set_host_states(before)
