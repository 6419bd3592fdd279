"""Prunable tensors of a perceptron with biases and of torchvision's vision transformer."""

import pytest
import torch
import torch.nn.utils.prune
from torch import nn

from dstbench.core.masks import Masks
from dstbench.core.prunable import left_out, prunable, unpruned
from dstbench.core.selection import random_subset
from dstbench.errors import UserError
from dstbench.metrics.cost import cost
from dstbench.metrics.live_paths import find_live_paths


@pytest.fixture
def perceptron() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))


@pytest.fixture
def transformer() -> nn.Module:
    from torchvision.models import VisionTransformer

    return VisionTransformer(
        image_size=8, patch_size=4, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32,
        num_classes=5,
    )  # fmt: skip


def test_prunable_of_a_perceptron_excludes_biases(perceptron):
    assert {n: tuple(p.shape) for n, p in prunable(perceptron).items()} == {
        "1.weight": (8, 12),
        "3.weight": (3, 8),
    }
    assert left_out(perceptron) == {"1.bias": 8, "3.bias": 3}


def test_perceptron_costs_one_mac_per_live_weight(perceptron):
    masks = Masks(perceptron)
    masks.write_("1.weight", torch.tensor([0, 1, 12, 95]))  # into the units 0, 0, 1 and 7
    counted = cost(perceptron, masks, (3, 2, 2))
    assert counted["macs"] == 4 + 24
    assert counted["dense_macs"] == 96 + 24
    assert counted["left_out"] == {"1.bias": 8, "3.bias": 3}
    paths = find_live_paths(perceptron, masks, (3, 2, 2))
    assert paths.on_path == {"1.weight": 4, "3.weight": 9}  # 3 units reach the 3 logits
    assert paths.fraction == pytest.approx(13 / 28)


def test_prunable_of_a_transformer_has_projections_without_embeddings(transformer):
    sizes = {name: p.numel() for name, p in prunable(transformer).items()}
    block = "encoder.layers.encoder_layer_1."
    assert sizes[block + "self_attention.in_proj_weight"] == 3 * 16 * 16
    assert sizes[block + "self_attention.out_proj.weight"] == 16 * 16
    assert sizes["conv_proj.weight"] == 16 * 3 * 4 * 4
    assert len(sizes) == 1 + 2 * 4 + 1
    out = left_out(transformer)
    assert {"class_token", "encoder.pos_embedding", "encoder.ln.weight", "heads.head.bias"} < set(
        out
    )
    assert sum(out.values()) + sum(sizes.values()) == sum(
        p.numel() for p in transformer.parameters()
    )


def test_transformer_costs_macs_for_every_token(transformer):
    counted = cost(transformer, Masks(transformer), (3, 8, 8))
    patches, tokens = 4, 5
    block = 4 * 16 * 16 + 2 * 16 * 32  # query, key, value, output; and the two of the perceptron
    assert counted["dense_macs"] == patches * 768 + 2 * tokens * block + 16 * 5
    assert counted["unused"] == []


def test_transformer_can_be_masked(transformer):
    masks = Masks(transformer)
    for name, parameter in masks.parameters.items():
        masks.write_(name, random_subset(parameter.numel(), 10, torch.Generator().manual_seed(0)))
    masks.apply_()
    assert masks.total() == 10 * len(masks.parameters)
    counted = cost(transformer, masks, (3, 8, 8))
    assert counted["macs"] == 10 * (4 + 2 * 4 * 5 + 1)
    assert counted["live_weights"] == 100
    assert transformer(torch.randn(2, 3, 8, 8)).shape == (2, 5)


def test_transformer_has_no_live_path_fraction(transformer):
    paths = find_live_paths(transformer, Masks(transformer), (3, 8, 8))
    assert paths.fraction is None and paths.on_path is None
    assert "LayerNorm at encoder.layers.encoder_layer_0.ln_1" in paths.reason
    assert paths.effective_sparsity(100) is None


def test_prunable_lists_a_shared_parameter_once():
    first, second = nn.Linear(4, 4), nn.Linear(4, 4, bias=False)
    second.weight = first.weight
    model = nn.Sequential(first, nn.ReLU(), second)
    assert list(prunable(model)) == ["0.weight"]
    assert left_out(model) == {"0.bias": 4}
    masks = Masks(model)
    assert masks.counts() == {"0.weight": 16}
    counted = cost(model, masks, (4,))
    assert (counted["stored_weights"], counted["macs"]) == (16, 32)


# --- weights of other kinds -----------------------------------------------------------------------


class Holder(nn.Module):
    """A linear layer of 64 weights beside another module or parameter."""

    def __init__(self, other):
        super().__init__()
        self.linear, self.other = nn.Linear(8, 8), other


@pytest.mark.parametrize(
    "other, sizes, fraction",
    [
        (nn.GRU(8, 8), {"other.weight_ih_l0": 192, "other.weight_hh_l0": 192}, 384 / 448),
        (nn.Parameter(torch.zeros(8, 8)), {"other": 64}, 0.5),
        (nn.Parameter(torch.zeros(64)), {"other": 64}, 0.5),  # a matrix after .view
        (nn.ParameterDict({"bias": torch.zeros(64)}), {"other.bias": 64}, 0.5),
        (nn.BatchNorm2d(8), {}, 0.0),
        (nn.InstanceNorm1d(8, affine=True), {}, 0.0),
        (nn.LayerNorm(8), {}, 0.0),
        (nn.GroupNorm(2, 8), {}, 0.0),
        (nn.PReLU(8), {}, 0.0),
        (nn.Parameter(torch.zeros(8, 8), requires_grad=False), {}, 0.0),
        (nn.Embedding(100, 8), {"other.weight": 800}, 0.0),
        (nn.Bilinear(2, 2, 2), {}, 0.0),
        (nn.MultiheadAttention(8, 2), {}, 0.0),
    ],
)
def test_unpruned_lists_trainable_weights_of_other_kinds(other, sizes, fraction):
    found = unpruned(Holder(other))
    assert found.sizes == sizes and found.fraction == pytest.approx(fraction)


def test_unpruned_knows_embeddings_by_type_only():
    model = nn.ParameterDict(
        {"pos_embed": torch.zeros(1, 5, 8), "class_token": torch.zeros(1, 1, 8)}
    )
    found = unpruned(Holder(model))
    assert found.sizes == {"other.pos_embed": 40, "other.class_token": 8}
    assert found.fraction == pytest.approx(48 / 112)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "normalise",
    [
        nn.utils.parametrizations.weight_norm,
        nn.utils.parametrizations.spectral_norm,
        nn.utils.weight_norm,
        nn.utils.spectral_norm,
        lambda layer: nn.utils.prune.random_unstructured(layer, "weight", 0.5),
    ],
)
def test_prunable_refuses_computed_weights_by_name(normalise):
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), normalise(nn.Linear(4, 4)))
    with pytest.raises(UserError, match=r"2\.weight is no parameter"):
        prunable(model)
