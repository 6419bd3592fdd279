"""Trainings leave the switches of their process as they found them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from dstbench.config.gin_state import isolated
from dstbench.core.random_generators import preserve_rng
from dstbench.models.onednn import onednn_restored


@contextmanager
def undisturbed() -> Iterator[None]:
    """Leave gin, the random generators, torch's threads, cuDNN and oneDNN as they were."""
    threads, deterministic = torch.get_num_threads(), torch.backends.cudnn.deterministic
    like = torch.empty(0, device="cuda" if torch.cuda.is_available() else "cpu")
    try:
        with isolated(), preserve_rng(like), onednn_restored():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cudnn.deterministic = deterministic
