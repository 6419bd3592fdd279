"""One run on several processes: every batch divided, gradients averaged, masks held alike.

Each process holds the whole network and trains on its share of every batch; torchrun starts them
and tells each its rank. The averaged gradient is that of the whole batch, so every process makes
the same step and moves the same masks, and one record, the first process's, tells of it. Alone,
nothing here communicates.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from dstbench.errors import UserError

MEET_EVERY = 8  # steps between two moments at which processes agree to stop or to save

T = TypeVar("T")


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train one network together, as one of them sees them.

    rank: of this process, 0 for the first. size: how many there are. local: its number among those
    of its machine.
    """

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        return self.rank == 0

    @property
    def alone(self) -> bool:
        return self.size == 1

    def share(self, count: int) -> slice:
        """This process's share of `count` images: one run of them, no two sizes apart by more
        than one."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def is_sync_step(self, step: int) -> bool:
        """Whether processes agree on what to do after this step; alone, after every one."""
        return self.alone or step % MEET_EVERY == 0

    # --- exchanged between processes, on the CPU ------------------------------------------------

    def all_reduce_max(self, values: Sequence[int]) -> list[int]:
        """The highest of each value over all processes."""
        if self.alone:
            return list(values)
        shared = torch.tensor(values, dtype=torch.int64)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return shared.tolist()

    def all_reduce_sum(self, values: Sequence[float]) -> list[float]:
        """The sum of each value over all processes."""
        if self.alone:
            return list(values)
        shared = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(shared)
        return shared.tolist()

    def all_gather(self, value: T) -> list[T]:
        """Every process's value, in the order of ranks."""
        if self.alone:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def from_first(self, value: T) -> T:
        """The first process's value."""
        if self.alone:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    @contextmanager
    def raise_together(self) -> Iterator[None]:
        """A UserError of one process is one of all: nobody is left waiting for the others."""
        complaint = None
        try:
            yield
        except UserError as error:
            if self.alone:
                raise
            complaint = error.message
        for message in self.all_gather(complaint):
            if message is not None:
                raise UserError(message)

    def check_equal(self, value: object, what: str) -> None:
        """Raise UserError unless the value is the same for all processes."""
        values = self.all_gather(value)
        if any(v != values[0] for v in values):
            told = "; ".join(f"process {i}: {v}" for i, v in enumerate(values))
            raise UserError(f"the processes of this run differ in {what}: {told}.")

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
def joined() -> Iterator[ProcessGroup]:
    """This process among those that torchrun started; alone where it did not."""
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        yield ALONE
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield ProcessGroup(
            dist.get_rank(), dist.get_world_size(), int(os.environ.get("LOCAL_RANK", "0"))
        )
        dist.all_reduce(torch.zeros(1))  # torchrun ends all when one leaves: the first may write
    finally:
        dist.destroy_process_group()
