"""The global random generators of numpy and Python: seeded, saved and restored, without torch."""

import random
from typing import Any

import numpy as np


def seed_host(seed: int) -> None:
    """Seed numpy and Python's `random`.

    seed: zero or more, below 2⁶³.
    """
    np.random.seed([seed % 2**32, seed >> 32])
    random.seed(seed)


def host_states() -> dict[str, Any]:
    """Return the state of each: numbers, strings and lists only."""
    kind, key, position, has_gauss, gauss = np.random.get_state()
    version, words, next_gauss = random.getstate()
    return {
        "numpy": [kind, np.asarray(key).tolist(), position, has_gauss, gauss],
        "python": [version, list(words), next_gauss],
    }


def set_host_states(states: dict[str, Any]) -> None:
    """Restore what `host_states` returned."""
    kind, key, position, has_gauss, gauss = states["numpy"]
    np.random.set_state((kind, np.array(key, np.uint32), position, has_gauss, gauss))
    version, words, next_gauss = states["python"]
    random.setstate((version, tuple(words), next_gauss))
