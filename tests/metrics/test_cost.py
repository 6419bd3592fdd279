"""Cost against hand counts, torch's FLOP counter, and the tables of the paper."""

import copy
import json
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from dstbench.core.budgets import ERK
from dstbench.core.masks import Masks
from dstbench.core.state import State
from dstbench.methods.dctps import DCTpS
from dstbench.methods.dyrelu import DyReLUPhasing
from dstbench.metrics.cost import cost, deployed_bytes, training_only_parameters
from dstbench.models.resnet import ResNet20, ResNet50
from dstbench.recording.uncounted import uncounted_text


def by_name(counted: dict) -> dict:
    return {layer["name"]: layer for layer in counted["layers"]}


def test_cost_of_small_network_matches_hand_count():
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1),  # 18 weights at 4·4 positions
        nn.ReLU(),
        nn.Conv2d(2, 4, 3, stride=2, groups=2),  # 36 weights at 1 position
        nn.Flatten(),
        nn.Linear(4, 3),  # 12 weights
    )
    masks = Masks(model)
    masks.write_("0.weight", torch.tensor([0, 5, 17]))
    counted = cost(model, masks, (1, 4, 4), dense_numel=100)
    assert counted == {
        "macs": 3 * 16 + 36 + 12,
        "dense_macs": 18 * 16 + 36 + 12,
        "flops": 2 * (3 * 16 + 36 + 12),
        "dense_flops": 2 * (18 * 16 + 36 + 12),
        "offset_macs": 0,
        "live_weights": 3 + 36 + 12,
        "stored_weights": 18 + 36 + 12,
        "prunable_weights": 100,
        "apparent_weights": 3 + 36 + 12,
        "training_only_parameters": 0,
        "deployed_bytes": 3 * (4 + 1) + 4 * (36 + 12) + 4 * (2 + 4 + 3),
        "layers": counted["layers"],
        "left_out": {"0.bias": 2, "2.bias": 4, "4.bias": 3},
        "unused": [],
    }
    assert counted["layers"][0] == {
        "name": "0.weight", "shape": [2, 1, 3, 3], "live": 3, "size": 18, "uses": 1,
        "positions": 16, "macs": 48, "offset_macs": 0, "dense_macs": 288,
    }  # fmt: skip
    assert json.loads(json.dumps(counted)) == counted
    assert cost(model, masks, (1, 4, 4))["prunable_weights"] == 66


def test_cost_matches_torch_flop_counter():
    model = ResNet20(10, width=4).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, 32, 32))
    assert cost(model, Masks(model), (3, 32, 32))["dense_flops"] == counter.get_total_flops()


class Twice(nn.Module):
    """One tensor, used by its own layer and, scaled and at another resolution, by another."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1, bias=False)
        self.weight = self.conv.weight
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(self.conv(x), self.weight * self.scale, stride=2, padding=1)


def test_cost_of_shared_tensor_has_macs_per_use_and_storage_once():
    model = Twice()
    masks = Masks(model)
    masks.write_("weight", torch.tensor([0, 1, 2, 3, 4]))
    counted = cost(model, masks, (2, 4, 4))
    layer = by_name(counted)["weight"]
    assert (layer["uses"], layer["positions"]) == (2, 16 + 4)
    assert (counted["macs"], counted["dense_macs"]) == (5 * 20, 36 * 20)
    assert (counted["live_weights"], counted["stored_weights"]) == (5, 36)
    assert counted["apparent_weights"] == 10
    assert counted["left_out"] == {"scale": 1}


def test_cost_lists_unused_tensor():
    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    model = Product()
    counted = cost(model, Masks(model), (3,))
    assert counted["unused"] == ["unused.weight"]
    assert by_name(counted)["unused.weight"]["macs"] == 0
    assert uncounted_text(counted) == "unused.weight (no step uses it)"


def test_cost_names_other_uses_of_a_tensor_without_counted_ones():
    class Selects(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.table = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x) + self.table.weight.sum(0)

    model = Selects()
    assert uncounted_text(cost(model, Masks(model), (3,))) == "other uses of table.weight"


def test_cost_names_a_vector_that_is_used_as_a_matrix():
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.flat = nn.Linear(3, 3), nn.Parameter(torch.zeros(9))

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x @ self.flat.view(3, 3))

    model = Flat()
    counted = cost(model, Masks(model), (3,))
    assert counted["uncounted"] == {"matmul with flat": 1}
    assert counted["unpruned"] == {"flat": 9} and counted["unpruned_fraction"] == 0.5


class Attends(nn.Module):
    def __init__(self, **kwargs):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True, **kwargs)
        self.register_buffer("memory", torch.zeros(1, 3, kwargs.get("kdim", 4)))

    def forward(self, x: Tensor) -> Tensor:  # (1, 5, 4) attends to (1, 3, 4)
        return self.attention(x, key=self.memory, value=self.memory)[0]


def test_cost_of_cross_attention_counts_tokens_per_projection():
    model = Attends()
    masks = Masks(model)
    # Rows of the packed projection: 4 of the query, 4 of the key, 4 of the value; 4 weights each.
    masks.write_("attention.in_proj_weight", torch.tensor([0, 1, 16, 32, 33, 47]))
    counted = cost(model, masks, (5, 4))
    layers = by_name(counted)
    assert layers["attention.in_proj_weight"]["macs"] == 2 * 5 + 1 * 3 + 3 * 3
    assert layers["attention.in_proj_weight"]["dense_macs"] == 16 * (5 + 3 + 3)
    assert layers["attention.out_proj.weight"]["macs"] == 16 * 5


class AttendsToItself(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


def test_cost_of_self_attention_counts_each_packed_weight_once_a_token():
    model = AttendsToItself()
    masks = Masks(model)
    masks.write_("attention.in_proj_weight", torch.tensor([0, 1, 16, 32, 33, 47]))
    counted = cost(model, masks, (5, 4))
    layers = by_name(counted)
    assert layers["attention.in_proj_weight"]["macs"] == 6 * 5
    assert layers["attention.in_proj_weight"]["dense_macs"] == 48 * 5
    assert layers["attention.out_proj.weight"]["dense_macs"] == 16 * 5


def test_cost_of_attention_with_other_key_width():
    layers = by_name(cost(model := Attends(kdim=6, vdim=6), Masks(model), (5, 4)))
    assert layers["attention.q_proj_weight"]["macs"] == 16 * 5
    assert layers["attention.k_proj_weight"]["macs"] == 24 * 3
    assert layers["attention.v_proj_weight"]["macs"] == 24 * 3


def test_cost_of_transformer_layer_with_fast_path():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    counted = cost(layer, Masks(layer), (5, 8))
    assert counted["dense_macs"] == 5 * (4 * 64 + 2 * 128)


@pytest.mark.parametrize("sparsity, million_macs", [(0.9995, "1.47"), (0.9999, "0.29")])
def test_cost_of_erk_resnet50_matches_paper(sparsity, million_macs):
    state = State(ResNet50(10), (3, 32, 32), seed=0, total_steps=1)
    ERK(sparsity).init_masks(state)
    counted = cost(state.model, state.masks, (3, 32, 32), state.dense_numel)
    assert f"{counted['macs'] / 1e6:.2f}" == million_macs
    assert f"{counted['dense_macs'] / 1e6:.2f}" == "1297.83"


@pytest.mark.parametrize("sparsity, million_macs", [(0.9995, "2.59"), (0.9999, "0.52")])
def test_cost_of_shared_blocks_matches_paper(sparsity, million_macs):
    state = State(ResNet50(10), (3, 32, 32), seed=0, total_steps=1)
    for stage in state.model.stages:
        for block in stage[2:]:
            for conv in ("conv1", "conv2", "conv3"):
                setattr(block, conv, getattr(stage[1], conv))
    state.masks.parameters = Masks(state.model).parameters
    ERK(sparsity).init_masks(state)
    counted = cost(state.model, state.masks, (3, 32, 32), state.dense_numel)
    assert counted["stored_weights"] == 13_928_128
    assert counted["prunable_weights"] == 23_467_712
    assert len(counted["layers"]) == 30
    assert f"{counted['macs'] / 1e6:.2f}" == million_macs
    assert f"{counted['dense_macs'] / 1e6:.2f}" == "1297.83"
    assert counted["apparent_weights"] > counted["live_weights"] == state.masks.total()


class NeedsValues(nn.Module):
    """A forward pass that draws, reads a value back, and counts its calls in a buffer."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 2)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        noisy = x + torch.rand(4, device=x.device)
        return self.linear(noisy) if float(noisy.sum()) > -1 else noisy


@pytest.mark.parametrize("model", [ResNet20(10, width=2), NeedsValues()], ids=["resnet", "values"])
def test_cost_leaves_model_unchanged(model):
    shape = (3, 8, 8) if isinstance(model, ResNet20) else (4,)
    model.train()
    next(model.children()).eval()
    modes = [m.training for m in model.modules()]
    fired = []
    handle = model.register_forward_hook(lambda *_: fired.append(1))
    before, rng = copy.deepcopy(model.state_dict()), torch.get_rng_state()

    counted = cost(model, Masks(model), shape)

    assert counted["macs"] > 0 and counted["unused"] == []
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert [m.training for m in model.modules()] == modes
    assert not fired and handle.id in model._forward_hooks
    assert all(p.grad is None and p.device.type == "cpu" for p in model.parameters())


# --- what parts add -------------------------------------------------------------------------------


def operated(part, model, shape):
    state = State(model, shape, seed=0, total_steps=1)
    part.surgery(state)
    state.masks = Masks(state.model)
    return state


def test_cost_adds_dense_offset_at_every_position():
    model = nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1, bias=False),  # q = max(8, 2·9) = 18 at 16 positions
        nn.Flatten(),
        nn.Linear(128, 4, bias=False),  # q = 128 at 1 position
    )
    state = operated(DCTpS(), model, (2, 4, 4))
    state.set_live_("0.weight", torch.tensor([3, 5]))
    counted = cost(state.model, state.masks, (2, 4, 4))
    conv, linear = counted["layers"]
    assert conv["offset_macs"] == round(0.5 * 18 * math.log2(18) * 16) == 600
    assert linear["offset_macs"] == 64 * 7
    assert conv["macs"] == 2 * 16 + 600 and conv["dense_macs"] == 144 * 16
    assert counted["offset_macs"] == 600 + 448
    assert counted["macs"] == 2 * 16 + 512 + 600 + 448
    assert counted["flops"] == 2 * counted["macs"]
    assert counted["dense_macs"] == 144 * 16 + 512
    # Weights of both, and a scale each; the transforms are rebuilt.
    assert counted["deployed_bytes"] == 2 * (4 + 1) + 4 * 512 + 2 * 4


def test_cost_counts_training_only_parameters_separately():
    plain = ResNet20(10, width=4)
    without = cost(plain, Masks(plain), (3, 8, 8))
    part = DyReLUPhasing(reduction=4)
    state = operated(part, plain, (3, 8, 8))
    sites = [4] * 7 + [8] * 6 + [16] * 6  # channels of every ReLU
    expected = sum(
        c * (c // 4) + c // 4 + (c // 4) * 4 * c + 4 * c for c in sites
    )  # squeeze and excite, both with bias
    counted = cost(state.model, state.masks, (3, 8, 8))
    assert training_only_parameters(state.model) == expected
    assert counted["training_only_parameters"] == expected
    for key in ("macs", "dense_macs", "live_weights", "stored_weights", "deployed_bytes"):
        assert counted[key] == without[key]
    part.finish(state)
    assert cost(state.model, Masks(state.model), (3, 8, 8)) == without


@pytest.mark.parametrize(("size", "index"), [(256, 1), (257, 2), (65_536, 2), (65_537, 4)])
def test_deployed_bytes_use_smallest_index_type(size, index):
    model = nn.Linear(size, 1, bias=False)
    masks = Masks(model)
    masks.write_("weight", torch.tensor([0, 1, size - 1]))
    assert deployed_bytes(model, masks) == 3 * (4 + index)


def test_deployed_bytes_store_dense_tensor_if_smaller():
    model = nn.Linear(100, 1, bias=False)
    masks = Masks(model)
    masks.write_("weight", torch.arange(79))
    assert deployed_bytes(model, masks) == 79 * 5
    masks.write_("weight", torch.arange(81))
    assert deployed_bytes(model, masks) == 400


def test_deployed_bytes_skip_num_batches_tracked():
    model = nn.BatchNorm2d(6)
    assert deployed_bytes(model, Masks(model)) == 4 * 4 * 6


def test_deployed_bytes_count_shared_tensor_once():
    model = Twice()
    assert deployed_bytes(model, Masks(model)) == 4 * (36 + 1)
