"""A method on several processes: gradients averaged, masks compared."""

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch import distributed as dist

from dstbench.core.masks import Masks, flat
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.training.distributed.process_group import ProcessGroup
from dstbench.training.meters import clear_meters_


def align_(state: State, ranks: ProcessGroup, seed: int) -> None:
    """Make every process's State the first's, but for its own random numbers and meters."""
    if ranks.alone:
        return
    ranks.broadcast_([*state.model.parameters(), *state.model.buffers()])
    refuse_differing_masks(state, ranks)
    if not ranks.first:  # dropout differs; what parts draw from, state.rng, does not
        torch.manual_seed(hash((seed, state.step, ranks.rank)))
        if "train/loss" in state.memory:
            clear_meters_(state.memory)


class DataParallelMethod(Part):
    """A method on several processes: it sees averaged gradients, and its masks are compared.

    method: the method. weight_at: step → this process's share of the step's batch, in [0, 1].

    Gradients are summed in one piece rather than by DistributedDataParallel, which averages all
    processes alike whatever their shares, and stands between a part and the network it operates on.
    """

    def __init__(self, method: Part, ranks: ProcessGroup, weight_at: Callable[[int], float]):
        self.method, self.ranks, self.weight_at = method, ranks, weight_at
        self._compared: dict[str, Tensor] = {}  # positions of live weights, as last compared

    def before_step(self, state: State) -> None:
        self.method.before_step(state)

    def after_backward(self, state: State) -> None:
        average_gradients_(state.model, self.weight_at(state.step))
        self.method.after_backward(state)

    def after_step(self, state: State) -> None:
        self.method.after_step(state)
        # At fixed steps: a process whose masks alone moved would wait for the others for ever.
        if self.ranks.is_sync_step(state.step) or state.step == state.total_steps:
            self._compare(state)

    def _compare(self, state: State) -> None:
        """Raise UserError if masks that moved since the last comparison are not alike."""
        # A mask that moves gets a new tensor of positions.
        now = {name: state.masks.index(name) for name in state.masks}
        (moved,) = self.ranks.all_reduce_max(
            [any(now[k] is not self._compared.get(k) for k in now)]
        )
        if moved:
            refuse_differing_masks(state, self.ranks)
            self._compared = now


@torch.no_grad()
def average_gradients_(model: nn.Module, weight: float) -> None:
    """Make every gradient the sum, over all processes, of weight × their own, in place.

    weight: this process's images ÷ all of the batch, so that the result is the gradient of the mean
    over the whole batch, however it is divided.
    """
    gradients = [flat(p.grad) for p in model.parameters() if p.grad is not None]
    joint = torch.cat(gradients).mul_(weight)
    dist.all_reduce(joint)
    torch._foreach_copy_(gradients, joint.split([len(g) for g in gradients]))


def refuse_differing_masks(state: State, ranks: ProcessGroup) -> None:
    """Raise UserError, naming the layers, unless every process has the same masks."""
    for rank, other in enumerate(every := ranks.all_gather(digests(state.masks))):
        layers = [name for name in {**every[0], **other} if every[0].get(name) != other.get(name)]
        if layers:
            raise UserError(
                f"after step {state.step}, process {rank} has other masks than process 0 in "
                f"{', '.join(layers)}. A part must draw from state.rng alone and decide by "
                "gradients, which are averaged; or a device is faulty. The run stops here; the "
                "same command goes on from its last checkpoint."
            )


def digests(masks: Masks) -> dict[str, str]:
    """Name of every masked tensor → a hash of the positions of its live weights."""
    return {
        name: hashlib.blake2b(masks.index(name).cpu().numpy().tobytes(), digest_size=8).hexdigest()
        for name in masks
    }
