"""Batches of an epoch: steps per epoch, batch sizes, the random stream of an epoch, and each
process's shard of a batch.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Shard = Callable[[int], slice]  # number of images → the slice of them that this process takes


def whole_range(count: int) -> slice:
    """Return the whole range: the shard of a single process."""
    return slice(0, count)


@dataclass(frozen=True)
class BatchPlan:
    """The batches of an epoch, and this process's shard of each.

    count: images of an epoch.
    batch_size: images of every batch but an epoch's last, which has the remaining ones.
    shard: number of images → the slice of them that this process takes.
    """

    count: int
    batch_size: int
    shard: Shard = whole_range

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.count // self.batch_size)

    def size_at(self, step: int) -> int:
        """Return the images of the batch of optimizer step `step` (from 0), all shards together."""
        number = step % self.steps_per_epoch
        return min(self.batch_size, self.count - number * self.batch_size)

    def of(self, step: int) -> tuple[int, slice]:
        """Return the epoch of a step, and the slice of the epoch's order that is this process's."""
        epoch, number = divmod(step, self.steps_per_epoch)
        mine, first = self.shard(self.size_at(step)), number * self.batch_size
        return epoch, slice(first + mine.start, first + mine.stop)

    def weight_at(self, step: int) -> float:
        """Return this process's images ÷ all images of the step's batch."""
        size = self.size_at(step)
        mine = self.shard(size)
        return (mine.stop - mine.start) / size


class BatchStream(Protocol):
    """Training batches without end; `at` is a pure function of (seed, step)."""

    @property
    def plan(self) -> BatchPlan: ...

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Return this process's shard of the batch that optimizer step `step` (from 0) trains on.

        Returns float32 (B, C, H, W) in channels_last, normalised, and int64 (B,) labels, both new
        tensors on the device.
        """


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """Return the random generator of one epoch, unrelated to those of other seeds and epochs."""
    digest = hashlib.blake2b(f"batches, seed {seed}, epoch {epoch}".encode(), digest_size=8)
    return torch.Generator().manual_seed(int.from_bytes(digest.digest(), "little"))


def init_batches(make: Callable[[int], BatchStream], seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches without end, in a random stream unrelated to that of the training batches.

    make: seed → batches; called when the first batch is asked for.
    seed: of the run.
    """
    digest = hashlib.blake2b(f"first masks, seed {seed}".encode(), digest_size=7).digest()
    batches = make(int.from_bytes(digest, "little"))
    for step in itertools.count():
        yield batches.at(step)
