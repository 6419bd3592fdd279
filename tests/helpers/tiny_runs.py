"""Tiny residual networks, and runs on them, for tests of parts that do surgery on networks."""

import io
from contextlib import suppress

import torch
from torch import nn

from dstbench.core.masks import Masks
from dstbench.core.method import Method
from dstbench.core.state import State
from dstbench.data.batch_plan import BatchPlan
from dstbench.models.precision import autocast_for
from dstbench.models.resnet import BasicBlock, Bottleneck, ResNet
from dstbench.optim.settings import SGD
from dstbench.training.engines.torch_engine import TorchEngine
from dstbench.training.loop import train

IMAGE = (3, 4, 4)
CLASSES = 3


def block_of(size: int) -> type[BasicBlock]:
    """Return a basic block class with kernels of size × size; size is odd."""

    class Block(BasicBlock):
        def __init__(self, inputs, width, stride):
            super().__init__(inputs, width, stride)
            for name in ("conv1", "conv2"):
                old = getattr(self, name)
                conv = nn.Conv2d(
                    old.in_channels, old.out_channels, size, old.stride, size // 2, bias=False
                )
                setattr(self, name, conv)

    return Block


BLOCKS = {
    "basic": BasicBlock,
    "bottleneck": Bottleneck,
    "basic 1×1": block_of(1),
    "basic 5×5": block_of(5),
}


def tiny_resnet(block="basic", depths=(1, 3), width=4, seed=0):
    torch.manual_seed(seed)
    model = ResNet(BLOCKS[block], depths, CLASSES, IMAGE[0], width)
    return model.to(memory_format=torch.channels_last)


class Noise:
    """Batches of random images and labels, a pure function of the step."""

    plan = BatchPlan(count=10**9, batch_size=1)

    def at(self, step):
        rng = torch.Generator().manual_seed(1000 + step)
        return torch.randn(4, *IMAGE, generator=rng), torch.randint(CLASSES, (4,), generator=rng)


def operated(model, parts, total_steps=40, seed=0):
    """Return (method, State) after surgery and before the first masks."""
    method = Method("Test", parts)
    state = State(model, IMAGE, seed, total_steps)
    method.check(total_steps)
    state.budget = method.budget
    method.surgery(state)
    state.masks = Masks(state.model)
    return method, state


def started(model, parts, total_steps=40, seed=0, optimizer=None):
    """Return (method, State) before the first step of a run."""
    method, state = operated(model, parts, total_steps, seed)
    method.init_masks(state)
    state.optimizer = (optimizer or SGD(0.05)).build(state.model, state.masks)
    return method, state


def resumed(model, parts, saved, total_steps=40, seed=0, optimizer=None):
    """Return (method, State) of a run resumed from `saved`, the result of `through_a_file`."""
    method, state = operated(model, parts, total_steps, seed)
    state.load_state_dict(saved, (optimizer or SGD(0.05)).build)
    return method, state


def through_a_file(state):
    """Return the State's dict after writing it to a checkpoint file and reading it."""
    file = io.BytesIO()
    torch.save(state.state_dict(), file)
    return torch.load(io.BytesIO(file.getvalue()), weights_only=True)


class Enough(Exception):
    pass


def go(method, state, until=None, each=lambda state: None, rate=0.05, precision="fp32"):
    """Train with the suite's loop up to step `until`, calling `each` after every step."""

    def after_step(state):
        each(state)
        if state.step == until:
            raise Enough

    engine = TorchEngine(state.model, autocast_for(precision, torch.device("cpu")))
    with suppress(Enough):
        train(state, method, engine, Noise(), lambda _: rate, lambda _: None, after_step)


def logits(model, seed=5):
    """Return the logits of a fixed batch, (6, 3), in eval mode."""
    model.eval()
    with torch.no_grad():
        x = torch.randn(6, *IMAGE, generator=torch.Generator().manual_seed(seed))
        return model(x)
