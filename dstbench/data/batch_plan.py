"""How images divide: an epoch into batches, and each batch among the processes that train on it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Share = Callable[[int], slice]  # so many images → those of this process


def whole(count: int) -> slice:
    """The share of who is alone: everything."""
    return slice(0, count)


@dataclass(frozen=True)
class BatchPlan:
    """The batches of an epoch, and this process's part of each.

    count: images of an epoch. batch_size: of every batch but an epoch's last, which holds what is
    left. share: this process's part of so many images.
    """

    count: int
    batch_size: int
    share: Share = whole

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.count // self.batch_size)

    def size_at(self, step: int) -> int:
        """Images of the whole batch that optimizer step `step` (from 0) trains on."""
        number = step % self.steps_per_epoch
        return min(self.batch_size, self.count - number * self.batch_size)

    def of(self, step: int) -> tuple[int, slice]:
        """Epoch of a step, and the places in the epoch's order that this process trains on."""
        epoch, number = divmod(step, self.steps_per_epoch)
        mine, first = self.share(self.size_at(step)), number * self.batch_size
        return epoch, slice(first + mine.start, first + mine.stop)

    def weight_at(self, step: int) -> float:
        """This process's images ÷ all of the step's batch."""
        size = self.size_at(step)
        mine = self.share(size)
        return (mine.stop - mine.start) / size


class Stream(Protocol):
    """Training batches without end; `at` is a pure function of (seed, step)."""

    portions: BatchPlan

    @property
    def steps_per_epoch(self) -> int: ...

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """This process's share of the batch that optimizer step `step` (from 0) trains on.

        Returns float32 (B, C, H, W) in channels_last, normalised, and int64 (B,) labels, both new
        tensors on the device.
        """


def generator(seed: int, epoch: int) -> torch.Generator:
    """The random numbers of one epoch, unrelated to those of other seeds and epochs."""
    digest = hashlib.blake2b(f"batches, seed {seed}, epoch {epoch}".encode(), digest_size=8)
    return torch.Generator().manual_seed(int.from_bytes(digest.digest(), "little"))
