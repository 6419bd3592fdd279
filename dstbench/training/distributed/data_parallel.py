"""Parts of data-parallel training: gradients averaged, networks compared."""

import hashlib
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch import distributed as dist

from dstbench.core.masks import flat
from dstbench.core.part import Part
from dstbench.core.random_generators import seed_all
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.training.distributed.process_group import ProcessGroup
from dstbench.training.epoch_meters import Meters

_COMPARE_EVERY = 512  # steps between two comparisons of networks whose masks do not move


def broadcast_state_(state: State, group: ProcessGroup, seed: int) -> None:
    """Give every process the first process's network; its meters and random numbers stay its own.

    Raises UserError where masks differ.
    """
    if group.alone:
        return
    group.broadcast_([*state.model.parameters(), *state.model.buffers()])
    refuse_differing_networks(state, group)
    if not group.first:  # dropout differs; what parts draw from, state.rng, does not
        seed_all(hash((seed, state.step, group.rank)) % 2**63)
        Meters(state.memory).reset_()


def data_parallel(
    parts: Sequence[Part], group: ProcessGroup, weight_at: Callable[[int], float]
) -> list[Part]:
    """Return the parts between those that data-parallel training adds; as they are where alone.

    weight_at: as of `AverageGradients`.
    """
    if group.alone:
        return list(parts)
    return [AverageGradients(weight_at), *parts, CompareNetworks(group)]


class AverageGradients(Part):
    """Averages the gradients of all processes, before the parts that follow read them.

    weight_at: step → this process's images ÷ all images of the step's batch.

    Gradients are summed in one vector rather than by DistributedDataParallel, which weighs all
    processes alike whatever the sizes of their shards, and wraps the network that a part operates
    on.
    """

    def __init__(self, weight_at: Callable[[int], float]):
        self.weight_at = weight_at

    def needs_dense_gradients(self, step: int, total_steps: int) -> bool:
        return False

    def after_backward(self, state: State) -> None:
        average_gradients_(state.model, self.weight_at(state.step))


class CompareNetworks(Part):
    """Compares the networks of all processes, after the parts before it have moved masks.

    group: the processes.
    """

    def __init__(self, group: ProcessGroup):
        self.group = group
        self._compared: dict[str, Tensor] = {}  # live indices of each tensor at the last comparison

    def needs_dense_gradients(self, step: int, total_steps: int) -> bool:
        return False

    def after_step(self, state: State) -> None:
        # At fixed steps: a process whose masks alone moved would wait for the others for ever.
        last = state.step == state.total_steps
        if last or self.group.is_sync_step(state.step):
            self._compare_networks(state, last or state.step % _COMPARE_EVERY == 0)

    def _compare_networks(self, state: State, due: bool) -> None:
        """Raise UserError if masks that moved since the last comparison, or weights, differ.

        due: whether to compare if no mask moved, too.
        """
        # A mask that moves gets a new tensor of live indices.
        now = {name: state.masks.index(name) for name in state.masks}
        moved_here = due or any(now[name] is not self._compared.get(name) for name in now)
        (moved,) = self.group.all_reduce_max([moved_here])
        if moved:
            refuse_differing_networks(state, self.group)
            self._compared = now


@torch.no_grad()
def average_gradients_(model: nn.Module, weight: float) -> None:
    """Make every gradient the sum over all processes of weight × gradient, in place.

    weight: this process's images ÷ all images of the batch, so that the result is the gradient of
        the mean loss over the whole batch, however it is divided.

    A parameter that some processes have no gradient of, as with random depth, counts as zero there;
    one that no process has a gradient of keeps none.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    missing = [p.grad is None for p in parameters]
    for parameter, none in zip(parameters, missing, strict=True):
        if none:
            parameter.grad = torch.zeros_like(parameter)
    gradients = [flat(p.grad) for p in parameters if p.grad is not None]
    known = gradients[0].new_tensor([not none for none in missing])
    torch._foreach_mul_(gradients, weight)
    joint = torch.cat([*gradients, known])
    dist.all_reduce(joint)
    *sums, known = joint.split([*(len(g) for g in gradients), len(parameters)])
    torch._foreach_copy_(gradients, sums)
    if any(missing):  # only then is it read, which waits for the device
        for parameter, count in zip(parameters, known.tolist(), strict=True):
            if not count:
                parameter.grad = None


def refuse_differing_networks(state: State, group: ProcessGroup) -> None:
    """Raise UserError, naming the tensors, unless every process has the same masks and weights.

    Buffers may differ: batch norm averages the process's own images.
    """
    masks = {name: state.masks.index(name) for name in state.masks}
    _refuse_differing(masks, "masks", state.step, group)
    _refuse_differing(dict(state.model.named_parameters()), "weights", state.step, group)


def _refuse_differing(
    tensors: Mapping[str, Tensor], what: str, step: int, group: ProcessGroup
) -> None:
    for rank, other in enumerate(every := group.all_gather(digests(tensors))):
        names = [name for name in {**every[0], **other} if every[0].get(name) != other.get(name)]
        if names:
            raise UserError(
                f"after step {step}, process {rank} has other {what} than process 0 in "
                f"{', '.join(names)}. A part must draw from state.rng alone and decide by "
                "gradients, which are averaged; or a device is faulty. The run stops here; run the "
                "same command again to resume from its last checkpoint."
            )


def digests(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Return a hash of the values of each tensor, by name."""
    found = {}
    for name, tensor in tensors.items():
        values = flat(tensor.detach()).contiguous().view(torch.uint8).cpu().numpy()
        found[name] = hashlib.blake2b(values.tobytes(), digest_size=8).hexdigest()
    return found
