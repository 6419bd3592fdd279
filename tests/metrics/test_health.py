"""Health against hand counts and plain autograd; measuring leaves a run unchanged."""

import copy
import json
import math
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dstbench.core.budgets import ERK
from dstbench.core.state import State
from dstbench.metrics.health import exploration_rate, live_channels, live_zeros, measure
from dstbench.models.resnet import ResNet20


def state_of(model: nn.Module, shape: tuple[int, int, int]) -> State:
    return State(model, shape, seed=0, total_steps=10)


def images(n: int, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    return torch.randn(n, *shape, generator=rng), torch.randint(3, (n,), generator=rng)


@pytest.fixture
def sparse() -> State:
    torch.manual_seed(0)
    state = state_of(ResNet20(3, width=2), (3, 8, 8))
    ERK(0.8).init_masks(state)
    return state


def test_gradient_norms_match_autograd(sparse):
    x, y = images(300, (3, 8, 8))  # three passes, the last one shorter
    found = measure(sparse, x, y, nullcontext)

    model = copy.deepcopy(sparse.model).eval()
    F.cross_entropy(model(x), y).backward()
    gradients = {n: p.grad for n, p in model.named_parameters() if n in sparse.masks}
    dense = {n: float(g.norm()) for n, g in gradients.items()}
    live = {n: float(g[sparse.masks[n]].norm()) for n, g in gradients.items()}
    assert found["layers_grad_norm"] == pytest.approx(dense, rel=1e-4)
    assert found["layers_grad_norm_live"] == pytest.approx(live, rel=1e-4)
    assert found["grad_norm"] == pytest.approx(math.hypot(*dense.values()), rel=1e-4)
    assert found["grad_norm_live"] == pytest.approx(math.hypot(*live.values()), rel=1e-4)
    assert 0 < found["grad_norm_live"] < found["grad_norm"]


def test_gradient_norm_of_tiny_gradient_does_not_underflow():
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 3, bias=False))
    x, y = images(4, (2, 1, 1))
    found = measure(state_of(model, (2, 1, 1)), 1e-30 * x, y, nullcontext)
    assert 1e-32 < found["grad_norm"] < 1e-29


class Doubling(nn.Module):
    is_activation = True

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


def test_positive_preactivations_match_hand_count():
    model = nn.Sequential(nn.Flatten(), Doubling(), nn.Linear(4, 2, bias=False), nn.ReLU())
    model[2].weight.data = torch.tensor([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]])
    x = torch.tensor([[1.0, 2, 0, -1], [3, -1, -1, -1], [0, 0, 0, 0]]).view(3, 1, 2, 2)
    found = measure(state_of(model, (1, 2, 2)), x, torch.zeros(3, dtype=torch.int64), nullcontext)
    # zero is not positive: 2 + 1 + 0 of 12 inputs; 1 + 1 + 0 of 6 outputs
    assert found["layers_positive"] == {"1": 3 / 12, "3": 2 / 6}
    assert found["positive_preactivations"] == 5 / 18


def test_positive_preactivations_of_repeated_module_are_one_entry():
    class Again(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu, self.linear = nn.ReLU(), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.relu(-self.relu(self.linear(x.flatten(1))) - 1)

    model = Again()
    nn.init.ones_(model.linear.weight)
    nn.init.ones_(model.linear.bias)
    x = torch.ones(5, 2, 1, 1)
    found = measure(state_of(model, (2, 1, 1)), x, torch.zeros(5, dtype=torch.int64), nullcontext)
    assert found["layers_positive"] == {"relu": 0.5}  # all at the first place, none at the second


def test_health_of_dense_network():
    state = state_of(ResNet20(3, width=2), (3, 8, 8))
    found = measure(state, *images(8, (3, 8, 8)), nullcontext)
    assert found["layers_live"] == {n: p.numel() for n, p in state.masks.parameters.items()}
    assert found["layers_grad_norm_live"] == found["layers_grad_norm"]
    assert found["grad_norm_live"] == found["grad_norm"]
    assert (found["exploration"], found["live_path_share"]) == (1.0, 1.0)
    assert (found["sparsity"], found["effective_sparsity"]) == (0.0, 0.0)


def test_health_of_cut_network(sparse):
    whole = measure(sparse, *images(8, (3, 8, 8)), nullcontext)
    live, share = sparse.masks.total(), whole["live_path_share"]
    assert 0 < share < 1
    assert whole["sparsity"] == 1 - live / sparse.dense_numel
    assert whole["effective_sparsity"] == pytest.approx(1 - live * share / sparse.dense_numel)
    assert whole["layers_live"] == sparse.masks.counts()

    sparse.set_live_("stem.conv1.weight", torch.tensor([], dtype=torch.int64))
    cut = measure(sparse, *images(8, (3, 8, 8)), nullcontext)
    assert (cut["live_path_share"], cut["effective_sparsity"]) == (0.0, 1.0)
    assert cut["layers_live"]["stem.conv1.weight"] == 0


def test_outputs_of_a_transposed_convolution_are_columns():
    state = State(nn.Sequential(nn.ConvTranspose2d(3, 2, 1)), (3, 1, 1), 0, 1)
    state.set_live_("0.weight", torch.tensor([0, 2, 4]))  # (in, out): all of output 0
    assert live_channels(state) == 1 / 2


def test_live_channels_are_those_with_a_live_weight():
    state = state_of(nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.Linear(5, 3)), (1, 2, 2))
    assert live_channels(state) == 1
    state.set_live_("1.weight", torch.tensor([0, 1, 7]))  # two of the first row, one of the second
    assert live_channels(state) == (2 + 3) / (5 + 3)
    assert measure(state, *images(4, (1, 2, 2)), nullcontext)["live_channels"] == 5 / 8


def test_exploration_rate_counts_weights_ever_live():
    state = state_of(nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.Linear(5, 3)), (1, 2, 2))
    state.set_live_("1.weight", torch.tensor([0, 1]))
    assert exploration_rate(state) == 2 / 20  # of the masked tensor only
    state.set_live_("1.weight", torch.tensor([1, 7]))
    assert exploration_rate(state) == 3 / 20
    state.set_live_("2.weight", torch.tensor([0]))
    found = measure(state, *images(4, (1, 2, 2)), nullcontext)
    assert found["exploration"] == (3 + 1) / (20 + 15)


def test_health_gives_reason_for_missing_value():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 3))
    found = measure(state_of(model, (1, 2, 2)), *images(4, (1, 2, 2)), nullcontext)
    assert found["live_path_share"] is None and found["effective_sparsity"] is None
    assert "LayerNorm at 2" in found["live_path_share_reason"]
    assert found["effective_sparsity_reason"] == found["live_path_share_reason"]
    assert found["positive_preactivations"] is None and found["layers_positive"] == {}
    assert "ReLU" in found["positive_preactivations_reason"]


def test_gradient_norm_of_unused_tensor_is_zero():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x.flatten(1))

    found = measure(state_of(Idle(), (1, 2, 2)), *images(4, (1, 2, 2)), nullcontext)
    assert found["layers_grad_norm"]["idle.weight"] == 0
    assert found["layers_grad_norm"]["used.weight"] > 0


def test_gradient_norm_of_frozen_tensor_is_zero():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.Linear(4, 3))
    model[1].weight.requires_grad = False
    state, batch = state_of(model, (3, 2, 2)), images(8, (3, 2, 2))
    found = measure(state, *batch, nullcontext)["layers_grad_norm"]
    assert found["1.weight"] == 0 and found["2.weight"] > 0
    model[2].weight.requires_grad = False
    assert measure(state, *batch, nullcontext)["grad_norm"] == 0


def test_health_is_json_of_numbers(sparse):
    found = measure(sparse, *images(8, (3, 8, 8)), nullcontext)
    assert json.loads(json.dumps(found)) == found
    for value in found.values():
        numbers = value.values() if isinstance(value, dict) else [value]
        assert all(isinstance(n, (int, float)) for n in numbers)
    assert len(found["layers_positive"]) == 19


class Drawing(ResNet20):
    """Draws random numbers whatever its mode."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.dropout(x, 0.1))


def test_measure_leaves_run_unchanged():
    state = state_of(Drawing(3, width=2).to(memory_format=torch.channels_last), (3, 8, 8))
    ERK(0.8).init_masks(state)
    model = state.model.train()
    model.stem.eval()
    x, y = images(16, (3, 8, 8))
    F.cross_entropy(model(x), y).backward()

    def snapshot() -> list[Tensor]:
        return [
            torch.get_rng_state(),
            state.rng.get_state(),
            *model.state_dict().values(),
            *(p.grad for p in model.parameters()),
            *state.masks.values(),
            *state.memory.values(),
            torch.tensor([m.training for m in model.modules()]),
        ]

    before = [value.clone() for value in snapshot()]
    gradients = [p.grad for p in model.parameters()]
    measure(state, x, y, nullcontext)
    assert all(torch.equal(a, b) for a, b in zip(snapshot(), before, strict=True))
    assert all(p.grad is g for p, g in zip(model.parameters(), gradients, strict=True))
    assert all(p.requires_grad for p in model.parameters())
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in model.modules())


def test_measure_uses_autocast_of_run(sparse):
    x, y = images(8, (3, 8, 8))
    seen = []
    sparse.model.stem.conv1.register_forward_hook(lambda m, args, out: seen.append(out.dtype))
    found = measure(sparse, x, y, lambda: torch.autocast("cpu", torch.bfloat16))
    assert seen == [torch.bfloat16]
    assert found["grad_norm"] == pytest.approx(
        measure(sparse, x, y, nullcontext)["grad_norm"], rel=0.1
    )


def test_health_counts_live_weights_that_are_exactly_zero():
    torch.manual_seed(0)
    state = State(nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.Linear(4, 2)), (1, 2, 2), 0, 1)
    state.set_live_("1.weight", torch.tensor([0, 3, 5, 9]))
    with torch.no_grad():
        state.model[1].weight.view(-1)[torch.tensor([3, 9])] = 0.0  # live
        state.model[2].weight.view(-1)[0] = 0.0  # without a mask, all are live
    assert (live_zeros(state, "1.weight"), live_zeros(state, "2.weight")) == (2, 1)
