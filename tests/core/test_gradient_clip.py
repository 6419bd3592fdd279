"""GradientClip: which gradients the norm is taken over, and that all are scaled."""

import pytest
import torch
from helpers.tiny_runs import go, started, tiny_resnet
from hypothesis import given
from hypothesis import strategies as st

from dstbench.config.registry import lookup
from dstbench.core.budgets import ERK
from dstbench.core.gradient_clip import GradientClip
from dstbench.core.masks import live_gradient
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.methods.weight_sharing import WeightSharing


def clipped(state, part):
    """Parameter name → (gradient before, gradient after)."""
    before = {n: p.grad.clone() for n, p in state.model.named_parameters() if p.grad is not None}
    part.after_backward(state)
    return {n: (g, state.model.get_parameter(n).grad) for n, g in before.items()}


def with_gradients(size=1.0, parts=()):
    _, state = started(tiny_resnet(), [*parts, ERK(0.9)])
    x = torch.randn(4, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    (size * state.model(x).square().sum()).backward()
    return state


def norm_of(state, over):
    """By loops, in float64; for 'live', dead weights' gradients do not count."""
    masks = {id(state.masks.parameters[n]): m for n, m in state.masks.items()}
    total = 0.0
    for p in state.model.parameters():
        if p.grad is None:
            continue
        gradient = p.grad.double()
        if over == "live" and id(p) in masks:
            gradient = gradient[masks[id(p)]]
        total += gradient.square().sum().item()
    return total**0.5


def test_gradient_clip_is_registered():
    assert lookup("GradientClip") is GradientClip
    assert (GradientClip().norm, GradientClip().over) == (1.0, "dense")


@given(st.floats(0.01, 100), st.floats(0.01, 100), st.sampled_from(["dense", "live"]),
       st.booleans())  # fmt: skip
def test_clip_scales_all_gradients_to_the_norm(size, norm, over, sharing):
    state = with_gradients(size, [WeightSharing(2)] if sharing else [])
    before = norm_of(state, over)
    pairs = clipped(state, GradientClip(norm, over))
    factor = min(1.0, norm / before)
    for old, new in pairs.values():
        torch.testing.assert_close(new, old * factor, rtol=1e-4, atol=1e-7)
    assert norm_of(state, over) <= norm * (1 + 1e-4) or before <= norm
    assert norm_of(state, over) == pytest.approx(min(before, norm), rel=1e-3)


def test_clip_over_dense_norm_is_larger_than_over_live():
    state = with_gradients()
    assert norm_of(state, "dense") > 1.5 * norm_of(state, "live")


def test_clip_leaves_small_gradients_unchanged():
    for old, new in clipped(with_gradients(1e-4), GradientClip(1.0)).values():
        assert torch.equal(old, new)


def test_clip_matches_torch():
    state, other = with_gradients(10), with_gradients(10)
    GradientClip(0.5).after_backward(state)
    torch.nn.utils.clip_grad_norm_(other.model.parameters(), 0.5)
    for mine, theirs in zip(state.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


@pytest.mark.parametrize("over", ["dense", "live"])
def test_clip_ignores_parameters_without_gradient(over):
    state = with_gradients()
    state.model.stem.bn1.weight.grad = None
    state.masks.parameters[next(iter(state.masks))].grad = None
    GradientClip(0.1, over).after_backward(state)
    assert norm_of(state, over) == pytest.approx(0.1, rel=1e-3)
    assert state.model.stem.bn1.weight.grad is None


def test_clip_over_live_reads_gradients_in_any_layout():
    model = torch.nn.Conv2d(4, 4, 3, bias=False).to(memory_format=torch.channels_last)
    state = State(model, (4, 8, 8), 0, 10)
    state.set_live_("weight", torch.tensor([5]))
    model.weight.grad = torch.zeros(4, 4, 3, 3)  # row by row
    row, column = divmod(5 // 4, 3)  # channel fastest in the weight's memory
    model.weight.grad[0, 5 % 4, row, column] = 3.0
    model.weight.grad[1, 1, 1, 1] = 100.0
    GradientClip(1.0, "live").after_backward(state)
    assert model.weight.grad[0, 5 % 4, row, column].item() == pytest.approx(1.0, rel=1e-4)
    assert model.weight.grad[1, 1, 1, 1].item() == pytest.approx(100 / 3, rel=1e-4)


@pytest.mark.parametrize("norm", [0, -1.0])
def test_clip_refuses_norm_that_is_not_positive(norm):
    with pytest.raises(UserError, match=r"GradientClip\.norm = .*: must be positive"):
        GradientClip(norm)


@pytest.mark.parametrize("over", ["dense", "live"])
def test_clipped_run_differs_and_keeps_live_counts(over):
    method, state = started(tiny_resnet(), [ERK(0.9), GradientClip(0.01, over)])
    plain_method, plain = started(tiny_resnet(), [ERK(0.9)])
    for m, s in ((method, state), (plain_method, plain)):
        go(m, s, until=3, precision="bf16")
    weight, other = state.model.stem.conv1.weight, plain.model.stem.conv1.weight
    assert not torch.equal(weight, other) and not weight[~state.masks["stem.conv1.weight"]].any()


def test_clip_of_a_native_step_scales_what_is_trainable_by_its_norm():
    state = with_gradients(10)
    norm = norm_of(state, "live")
    before = {}
    for name in state.masks:
        before[name] = live_gradient(state.masks, name)
        state.masks.parameters[name].grad = None
    state.masks.live_gradients.update({n: g.clone() for n, g in before.items()})
    bias = state.model.stem.bn1.bias.grad.clone()
    GradientClip(0.5, "live").after_backward(state)
    for name, gradient in state.masks.live_gradients.items():
        torch.testing.assert_close(gradient, before[name] * 0.5 / norm)
    torch.testing.assert_close(state.model.stem.bn1.bias.grad, bias * 0.5 / norm)
