"""The processes that train one network together, and what they exchange.

Each process holds the whole network and trains on its shard of every batch; torchrun starts the
processes and gives each its rank. The averaged gradient is that of the whole batch, so all make the
same step and move the same masks, and the first process writes the one record. In a group of one,
nothing communicates.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from dstbench.errors import UserError
from dstbench.utils.torchrun import torchrun_number

SYNC_EVERY = 8  # steps between two moments at which processes agree to stop or to save

T = TypeVar("T")


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train one network together, as seen by one of them.

    rank: of this process, 0 for the first.
    size: number of processes.
    local_rank: of this process among those of its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        return self.rank == 0

    @property
    def alone(self) -> bool:
        return self.size == 1

    def shard(self, count: int) -> slice:
        """Return this process's shard of `count` images, a contiguous slice.

        The sizes of two shards differ by at most one.
        """
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def is_sync_step(self, step: int) -> bool:
        """Return whether the processes exchange signals after this step; alone, after every one."""
        return self.alone or step % SYNC_EVERY == 0

    # --- numbers and objects, on the CPU --------------------------------------------------------

    def all_reduce_max(self, values: Sequence[int]) -> list[int]:
        """Return the maximum of each value over all processes."""
        if self.alone:
            return list(values)
        reduced = torch.tensor(values, dtype=torch.int64)
        dist.all_reduce(reduced, dist.ReduceOp.MAX)
        return reduced.tolist()

    def all_reduce_sum(self, values: Sequence[float]) -> list[float]:
        """Return the sum of each value over all processes."""
        if self.alone:
            return list(values)
        reduced = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(reduced)
        return reduced.tolist()

    def all_gather(self, value: T) -> list[T]:
        """Return every process's value, in the order of ranks."""
        if self.alone:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def from_first(self, value: T) -> T:
        """Return the first process's value."""
        if self.alone:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    @contextmanager
    def raise_together(self) -> Iterator[None]:
        """Raise a UserError of one process in all of them, so that no process waits for ever."""
        message = None
        try:
            yield
        except UserError as error:
            if self.alone:
                raise
            message = error.message
        for text in self.all_gather(message):
            if text is not None:
                raise UserError(text)

    def check_equal(self, value: object, what: str) -> None:
        """Raise UserError unless the value is the same in all processes."""
        values = self.all_gather(value)
        if any(v != values[0] for v in values):
            listed = "; ".join(f"process {i}: {v}" for i, v in enumerate(values))
            raise UserError(f"the processes of this run differ in {what}: {listed}.")

    # --- tensors, on the device -----------------------------------------------------------------

    @torch.no_grad()
    def broadcast_(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite the tensors with the first process's."""
        if self.alone:
            return
        for tensor in tensors:
            copy = tensor.contiguous().clone()
            dist.broadcast(copy, src=0)
            tensor.copy_(copy)


ALONE = ProcessGroup()


@contextmanager
def init_process_group() -> Iterator[ProcessGroup]:
    """Join the processes that torchrun started; yields ALONE where it started none.

    Raises UserError for environment variables that are not as torchrun sets them.
    """
    if torchrun_number("WORLD_SIZE", 1) <= 1:
        yield ALONE
        return
    local_rank = torchrun_number("LOCAL_RANK", 0)
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    except ValueError as error:  # of another variable
        raise UserError(
            f"{error}. Start several processes by torchrun; or unset WORLD_SIZE."
        ) from None
    try:
        yield ProcessGroup(dist.get_rank(), dist.get_world_size(), local_rank)
        dist.all_reduce(torch.zeros(1))  # torchrun ends all when one leaves: the first may write
    finally:
        dist.destroy_process_group()
