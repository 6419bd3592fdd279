"""Execution forms: forms that compute the same network, and those that fail or differ."""

import pytest
import torch
from helpers.tiny_runs import IMAGE, operated, tiny_resnet
from torch import nn

from dstbench.errors import UserError
from dstbench.measure.execution_forms import Form, differences, in_form, trained_forms
from dstbench.methods.dctps import DCTConv2d, DCTLinear, DCTpS, TwoBranches
from dstbench.methods.weight_sharing import SharedConv2d, WeightSharing


def trained(parts, seed=0):
    """Return a network after the parts' surgery, with random weights, scales and statistics."""
    _, state = operated(tiny_resnet("basic", (1, 3), seed=seed), parts)
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in (*state.model.parameters(), *state.model.buffers()):
            if tensor.is_floating_point() and tensor.shape != torch.Size([0]):
                tensor.add_(0.3 * torch.rand(tensor.shape, generator=rng))
    return state.model.eval()


def images(batch=3):
    x = torch.randn(batch, *IMAGE, generator=torch.Generator().manual_seed(1))
    return x.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "parts, names",
    [
        ([], ["masked"]),
        ([DCTpS()], ["masked", "two-branch", "merged"]),
        ([WeightSharing()], ["masked", "merged"]),
    ],
    ids=["plain", "DCTpS", "weight sharing"],
)
def test_trained_forms_compute_the_same_and_leave_the_model_unchanged(parts, names):
    model = trained(parts)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    forms = trained_forms(model)
    assert [form.name for form in forms] == names
    assert all(difference < 1e-5 for difference in differences(forms, images()).values())
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_merged_form_has_plain_layers_only():
    for parts in ([DCTpS()], [WeightSharing()]):
        merged = in_form(trained(parts), "merged")
        kinds = {type(m) for m in merged.modules()}
        assert nn.Conv2d in kinds and not kinds & {DCTConv2d, DCTLinear, SharedConv2d}
        assert not merged.training


def test_two_branch_form_has_two_layers_for_each_dct_layer():
    model = trained([DCTpS()])
    layers = sum(isinstance(m, DCTConv2d | DCTLinear) for m in model.modules())
    branches = in_form(model, "two-branch")
    assert sum(isinstance(m, TwoBranches) for m in branches.modules()) == layers
    assert sum(type(m) in (nn.Conv2d, nn.Linear) for m in branches.modules()) == 2 * layers


def test_in_form_keeps_a_module_in_two_places_shared():
    layer = DCTConv2d(nn.Conv2d(3, 3, 1))
    merged = in_form(nn.Sequential(layer, nn.ReLU(), layer), "merged")
    assert merged[0] is merged[2] and type(merged[0]) is nn.Conv2d
    assert type(in_form(layer, "merged")) is nn.Conv2d


@pytest.mark.parametrize("factor", [1.1, torch.nan])
def test_form_that_computes_another_network_is_refused(factor):
    model = trained([])
    wrong = Form("wrong", "", lambda x: factor * model(x))
    with pytest.raises(UserError, match=r"wrong: the logits differ .* more than rounding explains"):
        differences([Form("right", "", model), wrong], images())


def test_rounding_of_a_network_whose_logits_are_almost_zero_is_no_difference():
    form = Form("rounded", "", lambda x: torch.full((len(x), 2), 3e-8))
    nothing = Form("collapsed", "", lambda x: torch.zeros(len(x), 2))
    assert differences([nothing, form], images())["rounded"] == pytest.approx(3e-5)
