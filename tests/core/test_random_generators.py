"""The global random generators are seeded, saved and restored together."""

import io
import random

import numpy as np
import torch

from dstbench.core.random_generators import get_states, preserve_rng, seed_all, set_states


def draws():
    return (
        random.random(),
        np.random.rand(),
        np.random.randn(),
        random.gauss(),
        torch.rand(()).item(),
    )


def test_seed_all_gives_the_same_numbers_for_every_allowed_seed():
    for seed in (0, 5, 2**32 + 5, 2**63 - 1):
        seed_all(seed)
        first = draws()
        seed_all(seed)
        assert draws() == first
    seed_all(5)
    assert draws() != first


def test_states_survive_a_file():
    draws()
    file = io.BytesIO()
    torch.save(get_states(), file)
    first = draws()
    set_states(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    assert draws() == first


def test_preserve_rng_restores_every_generator():
    seed_all(1)
    first = draws()
    seed_all(1)
    with preserve_rng(torch.empty(0)):
        draws()
    assert draws() == first
