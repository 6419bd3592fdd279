"""RigL: drops smallest magnitudes, grows largest dense gradients of the step."""

import pytest
import torch
from torch import nn

from dstbench.config.registry import lookup
from dstbench.core.budgets import ERK
from dstbench.core.masks import flat
from dstbench.core.state import State
from dstbench.methods.rigl import RigL
from dstbench.optim.settings import SGD, Adam, TorchOptimizer


def test_rigl_is_registered():
    assert lookup("RigL") is RigL and RigL.moves_masks


@pytest.mark.parametrize(
    "gradient, live",
    [
        ([0, 0, 0, 0, 1, -9, 2, 3], {0, 3, 5, 7}),  # the absolute value counts
        ([99, 0, 0, 99, 1, -9, 2, 3], {0, 3, 5, 7}),  # live positions do not compete
        ([0, 7, 0, 0, 1, -9, 2, 3], {0, 3, 1, 5}),  # the dropped ones do
    ],
)
def test_rigl_grows_largest_gradients_among_free_weights(eight, gradient, live):
    state = eight([5, -1, 3, -4, 0, 0, 0, 0], live=range(4))
    state.model.weight.grad = torch.tensor([gradient], dtype=torch.float32)
    RigL(updates_per_run=2).update(state, 0.5)
    assert set(state.masks.index("weight").tolist()) == live


@pytest.mark.parametrize("gradient", [None, 0.0, torch.nan])
def test_rigl_grows_at_random_without_gradients(eight, gradient):
    """In a cut network every gradient is zero."""
    grown = set()
    for seed in range(60):
        state = eight([5, -1, 3, -4, 0, 0, 0, 0], live=range(4), seed=seed)
        if gradient is not None:
            state.model.weight.grad = torch.full((1, 8), gradient)
        RigL(updates_per_run=2).update(state, 0.5)
        live = set(state.masks.index("weight").tolist())
        assert {0, 3} <= live and len(live) == 4
        grown |= live - {0, 3}
    assert grown == {1, 2, 4, 5, 6, 7}


@pytest.mark.parametrize("optimizer", [SGD(0.1), Adam(0.01), TorchOptimizer("AdamW", 0.01)])
def test_rigl_uses_the_dense_gradient_of_the_step(small_net, optimizer):
    state = State(small_net(), (3, 8, 8), 0, 40)
    ERK(0.9).init_masks(state)
    state.optimizer = optimizer.build(state.model, state.masks)
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    state.model(x).square().mean().backward()
    gradients = {n: flat(p.grad).abs().clone() for n, p in state.masks.parameters.items()}
    before = {n: set(state.masks.index(n).tolist()) for n in state.masks}
    state.optimizer.step(0.1)
    state.step = 1
    RigL(drop_fraction=0.3, update_interval=1).after_step(state)
    for name, gradient in gradients.items():
        after = set(state.masks.index(name).tolist())
        grown = after - before[name]
        ungrown = set(range(len(gradient))) - after
        assert grown and gradient[list(grown)].min() >= gradient[list(ungrown)].max()
        weights = flat(state.masks.parameters[name])
        assert not weights[list(grown)].any()


def test_rigl_reads_gradients_in_any_memory_layout():
    """The optimizers read it right as well; growth must not land elsewhere."""
    model = nn.Conv2d(4, 4, 3, bias=False).to(memory_format=torch.channels_last)
    state = State(model, (4, 8, 8), 0, 10)
    state.set_live_("weight", torch.arange(5))
    gradient = torch.zeros(4, 4, 3, 3)
    gradient[1, 2, 0, 1] = 1.0
    model.weight.grad = gradient
    RigL(updates_per_run=2).update(state, 0.2)
    assert state.masks["weight"][1, 2, 0, 1]
