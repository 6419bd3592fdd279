"""Small trainings that one process runs, or two."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from dstbench.core.budgets import ERK
from dstbench.core.drop_grow import DropGrow
from dstbench.core.gradient_clip import GradientClip
from dstbench.core.masks import flat
from dstbench.core.method import Method
from dstbench.core.state import State
from dstbench.data.images import Images
from dstbench.data.in_memory import InMemoryBatches
from dstbench.data.preprocessing import Pipeline
from dstbench.errors import UserError
from dstbench.methods.rigl import RigL
from dstbench.models.onednn import disable_onednn_if_unsafe
from dstbench.models.precision import autocast_for
from dstbench.models.resnet import ResNet20
from dstbench.optim.settings import SGD
from dstbench.training.distributed.data_parallel import average_gradients_, data_parallel
from dstbench.training.distributed.process_group import ALONE, ProcessGroup, init_process_group
from dstbench.training.engines.torch_engine import TorchEngine
from dstbench.training.loop import train

COUNT, BATCH, EPOCHS = 21, 8, 5  # batches of 8, 8 and 5: shards of 4 and 4, and of 2 and 3
CPU = torch.device("cpu")


def without_norm():
    """Return a network whose logits of an image depend on that image only."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(16 * 9, 4),
    ).to(memory_format=torch.channels_last)  # fmt: skip


def with_norm():
    torch.manual_seed(0)
    return ResNet20(num_classes=4, width=4).to(memory_format=torch.channels_last)


class DrawsOwnNumbers(DropGrow):
    """Grows, in one layer, by random numbers that differ between processes: what no part may do."""

    def grow_score(self, state, name):
        weights = state.masks.parameters[name].numel()
        own = torch.Generator().manual_seed(torch.initial_seed())
        return torch.rand(weights, generator=own if name == "2.weight" else state.rng)


class MovesAlone(DropGrow):
    """Moves a mask in one layer of one process only."""

    def grow_score(self, state, name):
        return torch.rand(state.masks.parameters[name].numel(), generator=state.rng)

    def after_step(self, state):
        if state.step == 6 and torch.initial_seed() == 1:
            index, mask = state.masks.index("2.weight"), flat(state.masks["2.weight"])
            state.set_live_("2.weight", torch.cat([index[1:], (~mask).nonzero()[:1, 0]]).sort()[0])


class ChangesWeights(RigL):
    """Changes a weight in one process only."""

    def after_step(self, state):
        super().after_step(state)
        if state.step == 5 and torch.initial_seed() == 1:
            with torch.no_grad():
                state.model[0].bias[0] += 1e-6


class Branches(nn.Module):
    """Each process has gradients of other tensors: `both`, and `first`, `second` or `neither`."""

    def __init__(self):
        super().__init__()
        for name in ("both", "first", "second", "neither"):
            self.register_parameter(name, nn.Parameter(torch.ones(2)))

    def forward(self, rank):
        return (self.both * (1 + rank) + 3 * (self.second if rank else self.first)).sum()


def branch_gradients(group: ProcessGroup) -> dict:
    """Return the averaged gradients of Branches; the processes have 1/4 and 3/4 of the batch."""
    model = Branches()
    model(group.rank).backward()
    average_gradients_(model, (0.25, 0.75)[group.rank])
    return {name: p.grad for name, p in model.named_parameters()}


class SkipsAtRandom(nn.Module):
    """A network with a layer that each process skips in steps of its own."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = (nn.Conv2d(i, 8, 3, padding=1) for i in (3, 8))
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = self.a(x).relu()
        if not self.training or torch.rand(()) < 0.5:
            x = x + self.b(x).relu()
        return self.fc(x.mean((2, 3)))


def trained(model, mover, group: ProcessGroup = ALONE) -> State:
    """Return the State after all steps."""
    disable_onednn_if_unsafe(model)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (COUNT, 6, 6, 3), dtype=np.uint8)
    images = Images(pixels, rng.integers(0, 4, COUNT, dtype=np.int64))
    batches = InMemoryBatches(
        images, Pipeline(pad=1).fitted(images), BATCH, 0, CPU, shard=group.shard
    )
    state = State(model, (3, 6, 6), 0, EPOCHS * batches.plan.steps_per_epoch)
    method = Method("m", [ERK(0.6), mover, GradientClip(norm=0.5)])
    method.init_masks(state)
    state.optimizer = SGD(0.05).build(state.model, state.masks)
    torch.manual_seed(group.rank)
    part = Method("m", data_parallel([method], group, batches.plan.weight_at))
    engine = TorchEngine(model, autocast_for("fp32", CPU))
    train(state, part, engine, batches, lambda p: 0.05, lambda s: None, lambda s: None)
    return state


def outcome(state: State) -> dict:
    masks = {name: state.masks.index(name) for name in state.masks}
    return {"weights": dict(state.model.state_dict()), "masks": masks, "step": state.step}


def mover(kind: type[DropGrow] = RigL) -> DropGrow:
    return kind(drop_fraction=0.3, update_interval=4)


def main(folder: Path) -> None:
    """Run all trainings as one process of a group, and write their results to a folder."""
    with init_process_group() as group:
        found = {
            "without norm": outcome(trained(without_norm(), mover(), group)),
            "with norm": outcome(trained(with_norm(), mover(), group)),
        }
        found["branches"] = branch_gradients(group)
        found["random depth"] = outcome(trained(SkipsAtRandom(), mover(), group))
        for kind in (DrawsOwnNumbers, MovesAlone, ChangesWeights):
            try:
                trained(without_norm(), mover(kind), group)
            except UserError as error:
                found[kind.__name__] = error.message
        torch.save(found, folder / f"{group.rank}.pt")
