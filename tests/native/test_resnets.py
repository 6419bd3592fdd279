"""Native training of the suite's networks: float64 is torch's, float32 no worse than torch's."""

import copy

import pytest
import torch
from torch import nn

from dstbench.core.budgets import ERK
from dstbench.core.masks import Masks, flat
from dstbench.core.state import State
from dstbench.methods.connected import LimitedFanIn
from dstbench.methods.dyrelu import DyReLU, DyReLUPhasing
from dstbench.methods.weight_sharing import WeightSharing
from dstbench.models.resnet import ImageNetResNet50, ResNet20, ResNet50, SmallResNet34
from dstbench.native.network import NativeNetwork
from dstbench.optim.settings import SGD

pytestmark = pytest.mark.slow  # the kernels are compiled once on a machine, in about a minute

IMAGE = (3, 32, 32)


def masked(
    model: nn.Module, sparsity: float, shares: bool, beta: float = 0.0, connects: bool = True
) -> State:
    """Return a network whose batch norms are off their start, so that dead channels matter.

    beta: of its DyReLUs; 0 leaves ReLUs.
    connects: whether all live weights are on paths; at random, few of them are.
    """
    torch.manual_seed(0)
    state = State(model, IMAGE, 0, 100)
    if shares:
        WeightSharing(2).surgery(state)
        state.masks = Masks(state.model)
    if beta:
        DyReLUPhasing().surgery(state)
        for module in state.model.modules():
            if isinstance(module, DyReLU):
                module.set_beta(beta)
                nn.init.normal_(module.excite_weight, std=0.3)
    budget = ERK(sparsity)
    (LimitedFanIn(budget) if connects else budget).init_masks(state)
    for module in state.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return state


def batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(size, *IMAGE), torch.randint(10, (size,))


def torch_gradients(state: State, x, y, dtype) -> tuple[float, torch.Tensor]:
    """Return the loss, and the gradients of live weights and all other parameters as one vector."""
    model = copy.deepcopy(state.model).to(dtype).train()
    loss = nn.functional.cross_entropy(model(x.to(dtype)), y)
    loss.backward()
    found = []
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        if gradient is None:
            continue
        index = state.masks.index(name) if name in state.masks else slice(None)
        found.append(flat(gradient.contiguous())[index].double())
    return float(loss.detach()), torch.cat(found)


def native_gradients(state: State, x, y, dtype) -> tuple[float, torch.Tensor]:
    model = copy.deepcopy(state.model).to(dtype).train()
    masks = Masks(model)
    for name in state.masks:
        masks.write_(name, state.masks.index(name))
    loss, _ = NativeNetwork(model, masks, IMAGE, 1, dtype).forward_backward(x.to(dtype), y)
    found = []
    for name, parameter in model.named_parameters():
        gradient = masks.live_gradients.get(name, parameter.grad)
        if gradient is not None:
            found.append(flat(gradient.contiguous()).double())
    return float(loss.detach()), torch.cat(found)


@pytest.mark.parametrize("shares, beta", [(False, 0.0), (True, 0.0), (False, 1.0), (True, 0.6)])
@pytest.mark.parametrize(
    "model, sparsity",
    [(ResNet20, 0.95), (SmallResNet34, 0.99), (ResNet50, 0.99), (ImageNetResNet50, 0.99)],
)
def test_gradients_in_float64_are_those_of_torch(model, sparsity, shares, beta):
    state = masked(model(10, width=4 if "50" in model.__name__ else 8), sparsity, shares, beta)
    x, y = batch(10)
    loss, expected = torch_gradients(state, x, y, torch.float64)
    own_loss, found = native_gradients(state, x, y, torch.float64)
    assert own_loss == pytest.approx(loss, rel=1e-9)
    assert len(found) == len(expected)
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()


@pytest.mark.parametrize("model, sparsity", [(SmallResNet34, 0.999), (ResNet50, 0.99)])
def test_gradients_off_paths_are_those_of_torch(model, sparsity):
    state = masked(model(10, width=4 if model is ResNet50 else 16), sparsity, False, 0.6, False)
    x, y = batch(10)
    loss, expected = torch_gradients(state, x, y, torch.float64)
    own_loss, found = native_gradients(state, x, y, torch.float64)
    assert own_loss == pytest.approx(loss, rel=1e-9)
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()


@pytest.mark.parametrize("beta", [0.0, 0.6])
def test_gradients_in_float32_are_no_worse_than_torchs(beta):
    state = masked(SmallResNet34(10), 0.99, False, beta)
    x, y = batch(64)
    loss, exact = torch_gradients(state, x, y, torch.float64)
    _, by_torch = torch_gradients(state, x, y, torch.float32)
    own_loss, found = native_gradients(state, x, y, torch.float32)
    assert own_loss == pytest.approx(loss, rel=1e-6)
    error = (found - exact).abs().max()
    assert error <= 3 * (by_torch - exact).abs().max() + 1e-7 * exact.abs().max()


@pytest.mark.parametrize("beta", [0.0, 0.6])
def test_five_steps_lead_to_the_weights_of_torch(beta):
    state = masked(SmallResNet34(10), 0.99, True, beta)
    state.model.double()
    twin = copy.deepcopy(state)
    twin.masks = Masks(twin.model)
    for name in state.masks:
        twin.masks.write_(name, state.masks.index(name))
    x, y = batch(12)
    x = x.double()
    network = NativeNetwork(state.model.train(), state.masks, IMAGE, 1, torch.float64)
    own, by_torch = (SGD().build(s.model, s.masks) for s in (state, twin))
    twin.model.train()
    for _ in range(5):
        own.zero_grad()
        network.forward_backward(x, y)
        own.step(1e-4)
        by_torch.zero_grad()
        nn.functional.cross_entropy(twin.model(x), y).backward()
        by_torch.step(1e-4)
    network.push_back_()
    for (name, a), b in zip(
        state.model.state_dict().items(), twin.model.state_dict().values(), strict=True
    ):
        assert torch.allclose(a, b, rtol=1e-6, atol=1e-9), name
