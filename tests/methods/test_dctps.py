"""DCTpS: a cosine transform compared with SciPy's, and sparse weights that start at zero."""

import math
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
import torch
from helpers.tiny_runs import (
    CLASSES,
    IMAGE,
    go,
    logits,
    operated,
    resumed,
    started,
    through_a_file,
    tiny_resnet,
)
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dstbench.config.choices import Choices
from dstbench.config.registry import lookup
from dstbench.core.budgets import EPL, ERK
from dstbench.core.method import Method
from dstbench.errors import UserError
from dstbench.methods.cyclic import Cyclic
from dstbench.methods.dctps import DCTConv2d, DCTLinear, DCTpS, dct_offset
from dstbench.methods.dyrelu import DyReLUPhasing
from dstbench.methods.rigl import RigL
from dstbench.methods.set import SET
from dstbench.methods.weight_sharing import WeightSharing
from dstbench.metrics.cost import cost
from dstbench.optim.settings import SGD, Adam
from dstbench.training.configure import assemble

sizes = st.integers(1, 40)


def offsets(model):
    return {n: m for n, m in model.named_modules() if isinstance(m, DCTConv2d | DCTLinear)}


def scipy_offset(outputs, inputs):
    """The transform of the standard basis: what SciPy makes of a padded or truncated input."""
    n = max(outputs, inputs)
    return scipy.fft.dct(np.eye(n), type=2, norm="ortho", axis=1)[:inputs, :outputs]


def test_dctps_is_registered():
    assert lookup("DCTpS") is DCTpS and not DCTpS.moves_masks


# --- the offset -----------------------------------------------------------------------------------


@given(sizes, sizes)
def test_dct_offset_matches_scipy(outputs, inputs):
    offset = dct_offset(outputs, inputs)
    assert offset.shape == (inputs, outputs) and offset.dtype == torch.float32
    np.testing.assert_allclose(offset.numpy(), scipy_offset(outputs, inputs), atol=1e-6)


@given(sizes, sizes)
def test_dct_offset_is_orthonormal_on_its_smaller_side(outputs, inputs):
    offset = dct_offset(outputs, inputs).double()
    gram = offset.T @ offset if inputs >= outputs else offset @ offset.T
    np.testing.assert_allclose(gram.numpy(), np.eye(min(inputs, outputs)), atol=1e-5)
    assert offset.square().sum().item() == pytest.approx(min(inputs, outputs), rel=1e-5)


def test_dct_offset_is_orthonormal_at_the_papers_size():
    offset = dct_offset(512, 4608).double()
    torch.testing.assert_close(offset.T @ offset, torch.eye(512, dtype=torch.double), atol=1e-5,
                               rtol=0)  # fmt: skip


@given(
    st.integers(1, 12),
    st.integers(1, 5),
    st.sampled_from([(1, 1), (3, 3), (2, 3)]),
    st.sampled_from([(1, 0), (1, 1), (2, 1)]),
    st.booleans(),
)
def test_dct_conv_transforms_each_patch(outputs, channels, kernel, steps, last):
    """Row, column, channel, channel fastest; cut to the outputs, or padded with zeros to them."""
    stride, padding = steps
    layer = nn.Conv2d(channels, outputs, kernel, stride, padding, bias=False)
    if last:
        layer = layer.to(memory_format=torch.channels_last)
    made = DCTConv2d(layer)
    x = torch.randn(2, channels, 5, 6, generator=torch.Generator().manual_seed(outputs))
    y = made(x)
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    n = max(outputs, layer.weight[0].numel())
    for row in range(y.shape[2]):
        for column in range(y.shape[3]):
            r, c = row * stride, column * stride
            patch = padded[:, :, r : r + kernel[0], c : c + kernel[1]]
            flat = patch.transpose(0, 2, 3, 1).reshape(2, -1)  # (batch, rows · columns · channels)
            expected = scipy.fft.dct(flat, type=2, norm="ortho", n=n, axis=1)[:, :outputs]
            found = y[:, :, row, column].detach().numpy()
            np.testing.assert_allclose(found, expected, atol=1e-4)


def test_dct_conv_with_groups_uses_the_inputs_of_one_group():
    made = DCTConv2d(nn.Conv2d(6, 4, 3, groups=2, bias=False))
    assert made.offset.shape == (4, 3, 3, 3)
    flat = made.offset.permute(0, 2, 3, 1).reshape(4, 27)
    np.testing.assert_allclose(flat.T.numpy(), scipy_offset(4, 27), atol=1e-6)


@given(st.integers(1, 20), st.integers(1, 20))
def test_dct_linear_transforms_its_input(outputs, inputs):
    made = DCTLinear(nn.Linear(inputs, outputs))
    x = torch.randn(3, inputs, generator=torch.Generator().manual_seed(inputs))
    n = max(outputs, inputs)
    expected = scipy.fft.dct(x.numpy(), type=2, norm="ortho", n=n, axis=1)[:, :outputs]
    found = (made(x) - made.bias).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


# --- the layer ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.Conv2d(8, 4, 1, stride=2),
        nn.Conv2d(4, 4, 3, groups=2, dilation=2, padding=2, padding_mode="circular"),
    ],
)
def test_two_branches_match_the_merged_layer(layer):
    made = DCTConv2d(layer)
    with torch.no_grad():
        made.alpha.fill_(0.7)
        made.weight.copy_(torch.randn_like(made.weight))
    x = torch.randn(2, layer.in_channels, 8, 8)
    dense = made._conv_forward(x, made.offset, None)
    sparse = made._conv_forward(x, made.weight, made.bias)
    torch.testing.assert_close(made(x), made.alpha * dense + sparse, rtol=1e-4, atol=1e-5)
    assert torch.equal(made.merged(), made.weight + made.alpha * made.offset)
    layer.weight, layer.bias = nn.Parameter(made.merged()), made.bias
    torch.testing.assert_close(made(x), layer(x))


@given(
    groups=st.sampled_from([1, 2, 3]),
    outputs=st.integers(1, 5),
    channels=st.integers(1, 4),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    bias=st.booleans(),
    last=st.booleans(),
    alpha=st.floats(-2, 2),
    seed=st.integers(0, 99),
)
def test_dct_conv_forms_match_the_trained_layer(
    groups, outputs, channels, kernel, stride, padding, dilation, bias, last, alpha, seed
):
    torch.manual_seed(seed)
    layer = nn.Conv2d(
        groups * channels, groups * outputs, kernel, stride, padding, dilation, groups, bias
    )
    made = DCTConv2d(layer.to(memory_format=torch.channels_last) if last else layer)
    same_in_every_form(made, torch.randn(2, groups * channels, 7, 6), alpha)


@given(st.integers(1, 20), st.integers(1, 20), st.booleans(), st.floats(-2, 2), st.integers(0, 99))
def test_dct_linear_forms_match_the_trained_layer(outputs, inputs, bias, alpha, seed):
    torch.manual_seed(seed)
    made = DCTLinear(nn.Linear(inputs, outputs, bias))
    same_in_every_form(made, torch.randn(3, inputs), alpha)


def same_in_every_form(made, x, alpha):
    with torch.no_grad():
        made.alpha.fill_(alpha)
        made.weight.copy_(torch.randn_like(made.weight))
    expected = made(x)
    forms = {name: make() for name, make in made.forms().items()}
    assert forms.keys() == {"two-branch", "merged"}
    assert type(forms["merged"]) in (nn.Conv2d, nn.Linear)
    assert type(forms["two-branch"].offset) is type(forms["merged"])
    for form in forms.values():
        torch.testing.assert_close(form(x), expected, rtol=1e-4, atol=1e-5)
        for parameter in form.parameters():
            parameter.detach().zero_()  # copies: the trained layer keeps its own
    assert torch.equal(made(x), expected)


def test_dct_layer_keeps_its_tensors_and_starts_at_the_offset():
    layer = nn.Conv2d(3, 8, 3)
    weight, bias = layer.weight, layer.bias
    made = DCTConv2d(layer)
    assert made.weight is weight and made.bias is bias
    assert not made.weight.any() and made.alpha.item() == 1
    assert torch.equal(made.merged(), made.offset)
    assert [n for n, _ in made.named_parameters()] == ["weight", "bias", "alpha"]


def test_gradients_reach_alpha_and_weight_but_not_the_offset():
    made = DCTConv2d(nn.Conv2d(3, 8, 3, bias=False))
    x = torch.randn(2, 3, 6, 6)
    made(x).square().sum().backward()
    assert made.offset.grad is None and not made.offset.requires_grad
    assert made.weight.grad.count_nonzero() == made.weight.numel()  # dense: RigL grows by it
    expected = (made.weight.grad * made.offset).sum()
    torch.testing.assert_close(made.alpha.grad, expected, rtol=1e-4, atol=1e-3)


def test_offset_macs_are_those_of_a_fast_transform():
    made = DCTConv2d(nn.Conv2d(16, 64, 3))
    assert made.offset_macs(10) == pytest.approx(0.5 * 144 * math.log2(144) * 10)
    assert DCTLinear(nn.Linear(16, 64)).offset_macs(1) == pytest.approx(0.5 * 64 * 6)


# --- in a network ---------------------------------------------------------------------------------


def test_dctps_surgery_replaces_every_layer_and_keeps_counts():
    plain, net = tiny_resnet("bottleneck", (2, 2)), tiny_resnet("bottleneck", (2, 2))
    names = [n for n, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    _, state = operated(net, [DCTpS()])
    assert list(offsets(net)) == names
    assert "classifier" in names and "stem.conv1" in names and "stages.1.0.shortcut.0" in names
    shapes = {n: p.shape for n, p in state.masks.parameters.items()}
    assert shapes == {f"{n}.weight": plain.get_submodule(n).weight.shape for n in names}
    counted = cost(net, state.masks, IMAGE, state.dense_numel)
    assert counted["prunable_weights"] == counted["stored_weights"] == state.dense_numel
    assert not counted["unused"]
    assert not any("offset" in name for name in counted["left_out"])


def test_dctps_weights_start_at_zero_and_only_live_ones_move():
    method, state = started(tiny_resnet(), [DCTpS(), EPL(0.8)])
    assert not any(p.any() for p in state.masks.parameters.values())
    before = {n: (m.offset.clone(), m.alpha.item()) for n, m in offsets(state.model).items()}
    go(method, state, until=4)
    for name, parameter in state.masks.parameters.items():
        assert not parameter.detach()[~state.masks[name]].any()
        assert parameter.detach()[state.masks[name]].any()
    for name, module in offsets(state.model).items():
        assert torch.equal(module.offset, before[name][0])
        assert module.alpha.item() != before[name][1]


@pytest.mark.parametrize("mover", [RigL, SET])
def test_mask_updates_do_not_change_offset_or_alpha(mover):
    part = mover(update_interval=1)
    _, state = started(tiny_resnet(), [DCTpS(), EPL(0.8), part])
    x = torch.randn(4, *IMAGE)
    state.model(x).square().mean().backward()
    before = {n: (m.offset.clone(), m.alpha.clone()) for n, m in offsets(state.model).items()}
    masks = {n: m.clone() for n, m in state.masks.items()}
    state.step = 1
    part.after_step(state)
    assert any(not torch.equal(masks[n], m) for n, m in state.masks.items())
    assert state.masks.keys() == {f"{n}.weight" for n in offsets(state.model)}
    for name, module in offsets(state.model).items():
        assert torch.equal(module.offset, before[name][0])
        assert torch.equal(module.alpha, before[name][1])


def test_dct_offset_is_rebuilt_and_never_stored():
    parts = [DCTpS(), EPL(0.8), RigL(update_interval=2)]
    method, state = started(tiny_resnet(), parts, 12, optimizer=Adam(0.01))
    files = []
    go(method, state, each=lambda s: files.append(through_a_file(s)) if s.step == 5 else None)
    assert not any("offset" in name for name in state.model.state_dict())
    for kind in ("live", "rest"):
        assert not any("offset" in name for name in files[0]["network"][kind])
    again, other = resumed(tiny_resnet(seed=5), parts, files[0], 12, optimizer=Adam(0.01))
    go(again, other)
    for name, value in state.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name]), name
    assert torch.equal(logits(state.model), logits(other.model))


def test_dctps_in_channels_last_gives_the_same_values():
    rows, last = tiny_resnet().to(memory_format=torch.contiguous_format), tiny_resnet()
    for net in (rows, last):
        operated(net, [DCTpS()])
    assert last.stem.conv1.offset.stride() == last.stem.conv1.weight.stride()
    torch.testing.assert_close(logits(rows), logits(last), rtol=1e-5, atol=1e-6)


def test_dctps_refuses_models_without_layers_to_replace():
    with pytest.raises(UserError, match="finds no convolution or linear layer"):
        operated(nn.Sequential(nn.Flatten(2), nn.Conv1d(3, 4, 1)), [DCTpS()])


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 0, 2]])
def test_dctps_refuses_weight_sharing(order):
    parts = [DCTpS(), WeightSharing(2), EPL(0.8)]
    with pytest.raises(UserError, match="to prevent conflicts with the DCT matrices"):
        Method("X", [parts[i] for i in order])


@pytest.mark.parametrize(
    "rest",
    [
        [EPL(0.9)],
        [ERK(0.9)],
        [EPL(0.9), SET(update_interval=2)],
        [EPL(0.9), RigL(update_interval=2)],
        [DyReLUPhasing(), EPL(0.9), RigL(update_interval=2)],
        [EPL(0.9), Cyclic(SET(update_interval=2), 0.9)],
        [DyReLUPhasing(), EPL(0.9), Cyclic(RigL(update_interval=2), 0.9)],
    ],
    ids=["static", "ERK", "SET", "RigL", "DyReLU", "cyclic", "all"],
)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_dctps_combines_with_other_parts(rest, precision):
    method, state = started(tiny_resnet(), [DCTpS(), *rest], 12, optimizer=SGD(0.05))
    asked = state.masks.total()
    go(method, state, precision=precision)
    method.finish(state)
    assert state.masks.total() == asked
    assert logits(state.model).isfinite().all()
    assert not [p for p in state.model.parameters() if not p.isfinite().all()]


@pytest.mark.parametrize(
    "extra",
    [
        "Method.parts = [@DCTpS(), @EPL(), @SET()]\nimport dstbench.methods.set\n"
        "SET.updates_per_run = 5",
        "Method.parts = [@DCTpS(), @ERK(), @RigL()]\nimport dstbench.methods.rigl\n"
        "RigL.updates_per_run = 5\nERK.sparsity = %sparsity",
        "Method.parts = [@DyReLUPhasing(), @DCTpS(), @EPL(), @Cyclic()]\n"
        "import dstbench.methods.rigl\ninclude 'dyrelu.gin'\ninclude 'cyclic.gin'\n"
        "Cyclic.mover = @RigL()\nRigL.updates_per_run = 20",
    ],
    ids=["SET", "RigL with ERK", "DyReLU and cyclic"],
)
def test_dctps_is_composed_by_gin(extra, tmp_path):
    body = "\n".join(line for line in extra.split("\n") if not line.startswith("import"))
    imports = "\n".join(line for line in extra.split("\n") if line.startswith("import"))
    path = tmp_path / "mine.gin"
    budget = "" if "ERK" in extra else "EPL.sparsity = %sparsity\n"
    path.write_text(
        f"import dstbench.methods.dctps\n{imports}\nRun.method = @Method()\n"
        f"Method.name = 'Mine'\n{budget}{body}\n"
    )
    run, _ = assemble(Choices((str(Path(path)),)), "fp32")
    method, state = started(tiny_resnet(), run.method.parts, 40)
    go(method, state, until=4)
    assert offsets(state.model) and state.model.classifier.out_features == CLASSES
