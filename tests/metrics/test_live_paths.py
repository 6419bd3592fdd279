"""find_live_paths against hand-counted networks and against a graph search."""

import copy
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dstbench.core.budgets import ERK
from dstbench.core.masks import Masks
from dstbench.core.state import State
from dstbench.metrics.live_paths import find_live_paths
from dstbench.models.resnet import ResNet20, ResNet34, ResNet50


def masked(model: nn.Module, **live: list[int]) -> Masks:
    """Return masks with the given flat indices live; keyword `_0` means tensor `0.weight`."""
    masks = Masks(model)
    for key, positions in live.items():
        index = torch.tensor(positions, dtype=torch.int64)
        masks.write_(f"{key.removeprefix('_')}.weight", index)
    return masks


def test_live_paths_of_cut_and_joined_chain():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    # input 0 → unit 0, and unit 1 → logit 1: the chain is cut. Biases would feed unit 1.
    cut = find_live_paths(model, masked(model, _0=[0], _2=[3]), (2,))
    assert (cut.fraction, cut.on_path, cut.reason) == (0.0, {"0.weight": 0, "2.weight": 0}, None)
    # input 0 → unit 0 → logit 1 is a path; input 1 → unit 1 leads nowhere.
    joined = find_live_paths(model, masked(model, _0=[0, 3], _2=[2]), (2,))
    assert joined.on_path == {"0.weight": 1, "2.weight": 1}
    assert joined.fraction == pytest.approx(2 / 3)
    assert joined.effective_sparsity(8) == 1 - 2 / 8


def test_live_path_fraction_is_zero_without_live_weights():
    model = nn.Sequential(nn.Linear(2, 2))
    assert find_live_paths(model, masked(model, _0=[]), (2,)).fraction == 0.0


def test_live_paths_treat_unmasked_tensor_as_live():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    assert find_live_paths(model, Masks(model), (2,)).fraction == 1.0
    half = find_live_paths(model, masked(model, _0=[0, 1]), (2,))
    assert half.on_path == {"0.weight": 2, "2.weight": 2}


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.branch, self.last = (nn.Conv2d(2, 2, 1) for _ in range(3))
        self.norm = nn.BatchNorm2d(2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        return self.last(torch.relu(self.norm(self.branch(x)) + x)).mean((2, 3))


def test_live_paths_join_at_residual_addition():
    model = Residual()
    nn.init.ones_(model.norm.bias)
    # Channel 0 lives by the shortcut alone. The branch makes channel 1 of it, which nobody reads.
    masks = masked(model, first=[0], branch=[2], last=[0])
    assert find_live_paths(model, masks, (2, 3, 3)).on_path == {
        "first.weight": 1, "branch.weight": 0, "last.weight": 1,
    }  # fmt: skip
    # Now the last layer reads channel 1, which only the branch feeds.
    masks = masked(model, first=[0], branch=[2], last=[1])
    assert find_live_paths(model, masks, (2, 3, 3)).fraction == 1.0


def test_live_paths_exclude_weight_on_padding_only():
    model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Flatten())
    assert find_live_paths(model, Masks(model), (1, 1, 1)).on_path == {"0.weight": 1}
    # On 1×2 pixels: the centre, and its two neighbours in the row.
    assert find_live_paths(model, Masks(model), (1, 1, 2)).on_path == {"0.weight": 3}


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.AdaptiveMaxPool2d(1)])
def test_live_paths_pass_all_inputs_of_max_pooling(pool):
    # Two corners of the kernel reach the image at two different pixels of the pooled window.
    model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), pool, nn.Flatten())
    assert find_live_paths(model, masked(model, _0=[0, 8]), (1, 2, 2)).fraction == 1.0


def test_live_paths_with_repeated_module():
    pool, norm = nn.MaxPool2d(2), nn.BatchNorm2d(1)
    model = nn.Sequential(nn.Conv2d(1, 1, 1), norm, pool, nn.Conv2d(1, 1, 1), norm, pool)
    assert find_live_paths(model, Masks(model), (1, 4, 4)).fraction == 1.0


def test_shared_weight_is_on_path_if_any_use_is():
    first, second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    second.weight = first.weight
    model = nn.Sequential(first, nn.ReLU(), second)
    # 0 → 1, then 0 → 1 again: the first use ends in a unit that the second does not read.
    assert find_live_paths(model, masked(model, _0=[2]), (2,)).fraction == 0.0
    # With 1 → 1 added, 0 → 1 → 1 is a path, which uses 0 → 1 only in the first layer.
    assert find_live_paths(model, masked(model, _0=[2, 3]), (2,)).fraction == 1.0


def test_live_paths_of_300_layers_neither_overflow_nor_underflow():
    layers = [layer for _ in range(300) for layer in (nn.Linear(16, 16), nn.ReLU())]
    model = nn.Sequential(*layers)  # 16^300 paths
    assert find_live_paths(model, Masks(model), (16,)).fraction == 1.0


@pytest.mark.parametrize("net", [ResNet34, ResNet50])
def test_live_path_fraction_of_dense_resnet_is_one(net):
    model = net(10, width=8)
    assert find_live_paths(model, Masks(model), (3, 32, 32)).fraction == 1.0


# --- against a graph search -------------------------------------------------------------------


def edges_on_path(matrices: list[Tensor]) -> list[Tensor]:
    """Return which edges of a chain of boolean matrices (to, from) are on a path through all."""
    reached = [torch.ones(matrices[0].shape[1], dtype=torch.bool)]
    for m in matrices:
        reached.append((m & reached[-1]).any(1))
    leads = [torch.ones(matrices[-1].shape[0], dtype=torch.bool)]
    for m in reversed(matrices):
        leads.insert(0, (m & leads[0][:, None]).any(0))
    return [m & reached[i][None, :] & leads[i + 1][:, None] for i, m in enumerate(matrices)]


def random_masks(model: nn.Module, density: float, seed: int) -> Masks:
    rng = torch.Generator().manual_seed(seed)
    masks = Masks(model)
    for name, parameter in masks.parameters.items():
        live = torch.rand(parameter.numel(), generator=rng) < density
        masks.write_(name, live.nonzero().view(-1))
    return masks


@settings(max_examples=60, deadline=None)
@given(
    widths=st.lists(st.integers(1, 5), min_size=2, max_size=6),
    density=st.floats(0.1, 0.9),
    seed=st.integers(0, 2**31),
)
def test_live_paths_of_perceptron_match_graph_search(widths, density, seed):
    model = nn.Sequential()
    for inputs, outputs in pairwise(widths):
        model.extend([nn.Linear(inputs, outputs), nn.ReLU()])
    masks = random_masks(model, density, seed)
    walked = edges_on_path(list(masks.values()))
    found = find_live_paths(model, masks, (widths[0],))
    assert list(found.on_path.values()) == [int(m.sum()) for m in walked]


def unrolled(conv: nn.Conv2d, mask: Tensor, side: int) -> tuple[dict, int]:
    """Return edge (output pixel, input pixel) → its weight; pixels are numbered by channel."""
    k, stride, pad = conv.kernel_size[0], conv.stride[0], conv.padding[0]
    out_side = (side + 2 * pad - k) // stride + 1
    edges = {}
    for o, i, dy, dx in mask.nonzero().tolist():
        for y in range(out_side):
            for x in range(out_side):
                v, u = y * stride + dy - pad, x * stride + dx - pad
                if 0 <= v < side and 0 <= u < side:
                    to = (o * out_side + y) * out_side + x
                    edges[to, (i * side + v) * side + u] = (o, i, dy, dx)
    return edges, out_side


@settings(max_examples=40, deadline=None)
@given(
    channels=st.lists(st.integers(1, 3), min_size=2, max_size=4),
    shapes=st.lists(
        st.sampled_from([(1, 1, 0), (1, 2, 0), (3, 1, 1), (3, 2, 1)]), min_size=3, max_size=3
    ),
    side=st.integers(1, 4),
    density=st.floats(0.05, 0.6),
    seed=st.integers(0, 2**31),
)
def test_live_paths_of_convolutions_match_pixel_graph_search(channels, shapes, side, density, seed):
    model, convs = nn.Sequential(), []
    for (inputs, outputs), (k, stride, pad) in zip(pairwise(channels), shapes, strict=False):
        convs.append(nn.Conv2d(inputs, outputs, k, stride, pad))
        model.extend([convs[-1], nn.BatchNorm2d(outputs), nn.ReLU()])
    masks = random_masks(model, density, seed)

    layers, matrices, at = [], [], side
    for conv, mask in zip(convs, masks.values(), strict=True):
        edges, after = unrolled(conv, mask, at)
        layers.append(edges)
        matrix = torch.zeros(
            conv.out_channels * after**2, conv.in_channels * at**2, dtype=torch.bool
        )
        for edge in edges:
            matrix[edge] = True
        matrices.append(matrix)
        at = after
    walked = [
        len({edges[tuple(e)] for e in alive.nonzero().tolist()})
        for edges, alive in zip(layers, edges_on_path(matrices), strict=True)
    ]
    found = find_live_paths(model, masks, (channels[0], side, side))
    assert list(found.on_path.values()) == walked


@pytest.mark.parametrize(
    "net, sparsity, low, high",
    [(ResNet34, 0.9995, 0.58, 0.68), (ResNet50, 0.9999, 0.0, 0.0)],
)
def test_live_path_fraction_of_random_erk_masks(net, sparsity, low, high):
    state = State(net(10), (3, 32, 32), seed=0, total_steps=1)
    ERK(sparsity).init_masks(state)
    assert low <= find_live_paths(state.model, state.masks, state.image_shape).fraction <= high


# --- networks without a result ----------------------------------------------------------------


SINGLE_PRECISION = torch.eye(3)


class Compute(nn.Module):
    """Two layers with a function of the first one's output in between."""

    def __init__(self, function):
        super().__init__()
        self.first, self.last = nn.Linear(3, 3), nn.Linear(3, 2)
        self.offset = nn.Parameter(torch.ones(3))
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.function(self, self.first(x)))


@pytest.mark.parametrize(
    "function, reason",
    [
        (lambda m, h: h.softmax(1), "softmax"),
        (lambda m, h: torch.sigmoid(h), "sigmoid"),
        (lambda m, h: h - h.mean(), "sub"),
        (lambda m, h: torch.add(h, h, alpha=-1), "add"),
        (lambda m, h: -1 * h, "mul"),
        (lambda m, h: h.cummax(1).values, "cummax"),
        (lambda m, h: h + 1, "constant"),
        (lambda m, h: h + m.offset, "constant"),
        (lambda m, h: h.float().double(), "_to_copy"),
        (lambda m, h: h @ SINGLE_PRECISION, "float64"),
    ],
)
def test_live_paths_are_none_with_reason_for_inexact_operation(function, reason):
    model = Compute(function)
    paths = find_live_paths(model, Masks(model), (3,))
    assert paths.fraction is None and paths.on_path is None
    assert reason in paths.reason


@pytest.mark.parametrize(
    "module, reason",
    [
        (nn.LayerNorm(3), "LayerNorm at 1"),
        (nn.Softmax(1), "Softmax at 1"),
        (nn.Sequential(nn.Sigmoid()), "Sigmoid at 1.0"),
    ],
)
def test_live_paths_reason_names_the_module(module, reason):
    model = nn.Sequential(nn.Linear(3, 3), module, nn.Linear(3, 2))
    assert reason in find_live_paths(model, Masks(model), (3,)).reason


def test_live_paths_reason_names_the_module_that_computes_after_its_layers():
    class Negates(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return -super().forward(x)

    model = Negates(nn.Linear(3, 3), nn.Linear(3, 2))
    assert "Negates (neg)" in find_live_paths(model, Masks(model), (3,)).reason


def test_live_paths_are_none_if_output_is_not_logits():
    class Pair(nn.Linear):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return super().forward(x), x

    model = Pair(3, 2)
    assert "tuple" in find_live_paths(model, Masks(model), (3,)).reason


@pytest.mark.parametrize(
    "function",
    [
        lambda m, h: h * m.offset,
        lambda m, h: torch.cat([h[:, :1], h[:, 1:]], 1),
        lambda m, h: torch.nn.functional.pad(h, (0, 1))[:, :3],
        lambda m, h: h.view(3, 1).t().relu(),
    ],
)
def test_live_paths_are_exact_for_scales_and_reshaping(function):
    model = Compute(function)
    with torch.no_grad():
        model.offset.neg_()  # a factor, whatever its sign
    masks = masked(model, first=[0, 4], last=[0, 5])  # 0 → 0 → 0, 1 → 1, 2 → 1
    assert find_live_paths(model, masks, (3,)).on_path == {"first.weight": 1, "last.weight": 1}


def test_live_paths_ignore_dropout():
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.9), nn.Linear(3, 2)).train()
    assert find_live_paths(model, Masks(model), (3,)).fraction == 1.0


class Squeeze(nn.Module):
    """A custom activation with a branch across channels."""

    is_activation = True

    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.mix(x))


def test_live_paths_treat_is_activation_module_as_identity():
    model = nn.Sequential(nn.Linear(3, 3), Squeeze(), nn.Linear(3, 2))
    masks = masked(model, _0=[0, 4], _2=[0, 5])
    found = find_live_paths(model, masks, (3,)).on_path
    assert found == {"0.weight": 1, "1.mix.weight": 0, "2.weight": 1}


class ByHand(nn.Module):
    """Calls the function of its norm, with the tensors of its module."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.batch_norm(x, self.norm.running_mean, self.norm.running_var)


def test_a_network_whose_copy_cannot_run_has_a_reason():
    model = nn.Sequential(nn.Linear(3, 3), ByHand(), nn.Linear(3, 2)).eval()
    found = find_live_paths(model, Masks(model), (3,))
    assert found.fraction is None and found.reason.startswith("a linear copy in float64 cannot run")


def test_find_live_paths_leaves_model_unchanged():
    model = ResNet20(10, width=2).train()
    model.stem.eval()
    masks = random_masks(model, 0.5, 0)
    modes = [m.training for m in model.modules()]
    fired = []
    model.stem.register_forward_hook(lambda *_: fired.append(1))
    before, rng = copy.deepcopy(model.state_dict()), torch.get_rng_state()

    assert find_live_paths(model, masks, (3, 8, 8)).fraction > 0

    assert torch.equal(torch.get_rng_state(), rng)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert [m.training for m in model.modules()] == modes
    assert not fired and all(p.grad is None for p in model.parameters())
