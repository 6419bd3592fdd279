"""The global random generators: torch's, numpy's and Python's.

A network's code may draw from any of them, so "the same seed gives the same run" covers all three.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor


def seed_all(seed: int) -> None:
    """Seed torch (on every device), numpy and Python's `random`.

    seed: zero or more, below 2⁶³.
    """
    torch.manual_seed(seed)
    np.random.seed([seed % 2**32, seed >> 32])
    random.seed(seed)


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


def host_states() -> dict[str, Any]:
    """Return the states of numpy's and Python's generators."""
    kind, key, position, has_gauss, gauss = np.random.get_state()
    version, words, next_gauss = random.getstate()
    return {
        "numpy": [kind, torch.from_numpy(np.asarray(key, np.int64)), position, has_gauss, gauss],
        "python": [version, torch.tensor(words), next_gauss],
    }


def set_host_states(states: dict[str, Any]) -> None:
    """Restore what `host_states` returned."""
    kind, key, position, has_gauss, gauss = states["numpy"]
    np.random.set_state((kind, key.numpy().astype(np.uint32), position, has_gauss, gauss))
    version, words, next_gauss = states["python"]
    random.setstate((version, tuple(words.tolist()), next_gauss))
