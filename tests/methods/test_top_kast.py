"""Top-KAST: the largest values compute, the next largest are trained, the rest wait."""

import pytest
import torch
from helpers.tiny_runs import Noise, go, logits, resumed, started, through_a_file, tiny_resnet
from helpers.two_layers import live_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from dstbench.config.registry import lookup
from dstbench.core.budgets import ERK, Uniform
from dstbench.core.masks import flat
from dstbench.core.prunable import prunable, unpruned
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.methods.set import SET
from dstbench.methods.top_kast import TopKAST
from dstbench.optim.settings import SGD


def top_kast(sparsity=0.9, **chosen):
    return TopKAST(Uniform(sparsity), **{"update_interval": 4, **chosen})


def one_layer(part, values, step=0):
    """Return a State with one layer of these initial weights."""
    model = nn.Sequential(nn.Linear(8, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([values]))
    state = State(model, (1, 1, 8), 0, 100)
    part.surgery(state)
    part.init_masks(state)
    state.step = step
    return state


def parts_of_values(state):
    """Return the values that compute, are trained, and wait."""
    weight, hidden = state.model[0].weight, state.model.top_kast.tensors[0]
    waiting = state.memory["top_kast_waiting/0.weight"]
    return [flat(t).tolist() for t in (weight, hidden, waiting)]


VALUES = [8.0, -7, 6, 5, -4, 3, 2, 1]


def test_top_kast_is_registered():
    assert lookup("TopKAST") is TopKAST and TopKAST.moves_masks


def test_top_kast_sorts_the_initial_values():
    state = one_layer(top_kast(0.75, backward=2.5), VALUES)
    computing, trained, waiting = parts_of_values(state)
    assert computing == [8, -7, 0, 0, 0, 0, 0, 0]
    assert trained == [0, 0, 6, 5, -4, 0, 0, 0]
    assert waiting == [0, 0, 0, 0, 0, 3, 2, 1]


def test_top_kast_trains_what_is_in_b_and_moves_it_by_magnitude():
    part = top_kast(0.75, backward=2.0)
    state = one_layer(part, VALUES, step=3)
    state.optimizer = SGD(1.0, momentum=0.0, weight_decay=0.0, nesterov=False).build(
        state.model, state.masks
    )
    state.model[0].weight.grad = torch.tensor([[7.0, 1, -3, 0, 9, 9, 9, 9]])
    part.after_backward(state)
    state.optimizer.step(1.0)
    state.step += 1
    part.after_step(state)
    # 8 − 7, −7 − 1, 6 + 3 and 5 are trained; −4, 3, 2, 1 are not
    computing, trained, waiting = parts_of_values(state)
    assert computing == [0, -8, 9, 0, 0, 0, 0, 0]
    assert trained == [0, 0, 0, 5, -4, 0, 0, 0]
    assert waiting == [1, 0, 0, 0, 0, 3, 2, 1]


def test_top_kast_penalises_exploration_by_the_density():
    part = top_kast(0.75, backward=2.0, weight_decay=0.1)
    state = one_layer(part, VALUES)
    state.model[0].weight.grad = torch.zeros(1, 8)
    part.after_backward(state)
    # 0.1 · 4 · θ in all, of which the optimizer's weight decay is 0.1 · θ
    assert state.model.top_kast.tensors[0].grad.tolist()[0] == pytest.approx(
        [0, 0, 1.8, 1.5, 0, 0, 0, 0]
    )


def test_top_kast_follows_its_definition():
    """The same run with dense values and masks, without momentum."""
    decay, rate = 0.01, 0.05
    part = top_kast(0.9, weight_decay=decay)
    optimizer = SGD(rate, momentum=0.0, weight_decay=decay, nesterov=False)
    method, state = started(tiny_resnet(), [part], 14, optimizer=optimizer)
    model = tiny_resnet().train()
    weights = list(prunable(model).values())
    theta = [w.detach().clone() for w in weights]

    def mask(values, count):
        order = values.abs().flatten().argsort(descending=True)
        return torch.zeros(values.numel()).index_fill_(0, order[:count], 1).view(values.shape)

    counts = list(state.masks.counts().values())
    go(method, state, rate=rate)
    for step in range(14):
        if step % 4 == 0:
            computes = [mask(v, n) for v, n in zip(theta, counts, strict=True)]
            trains = [mask(v, min(2 * n, v.numel())) for v, n in zip(theta, counts, strict=True)]
        for weight, value, a in zip(weights, theta, computes, strict=True):
            weight.data.copy_(value * a)
        images, labels = Noise().at(step)
        model.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        for parameter in model.parameters():
            if not any(parameter is weight for weight in weights):
                parameter.data -= rate * (parameter.grad + decay * parameter.data)
        # after the last update, which follows step 12, only what computes matters
        for weight, value, a, b in zip(weights, theta, computes, trains, strict=True):
            penalty = decay * value * (a + (1 - a) / 0.1)
            value -= rate * b * (weight.grad + penalty)
    for name, value, a in zip(state.masks, theta, computes, strict=True):
        assert torch.equal(state.masks[name], a.bool()), name
        torch.testing.assert_close(
            state.masks.parameters[name].detach(), value * a, rtol=1e-4, atol=1e-6
        )


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.0, 0.5, 0.9, 0.98]), st.floats(1, 20))
def test_top_kast_keeps_every_count_and_loses_no_value(seed, sparsity, backward):
    part = top_kast(sparsity, backward=backward)
    before = [flat(w).sort().values for w in prunable(tiny_resnet(seed=seed)).values()]
    _, state = started(tiny_resnet(seed=seed), [part], seed=seed)
    assert state.masks.counts() == Uniform(sparsity).live_counts(state, sparsity)
    for (name, hidden), values in zip(part._hidden(state), before, strict=True):
        kept = [flat(state.masks.parameters[name]), flat(hidden)]
        kept.append(state.memory[f"top_kast_waiting/{name}"])
        assert torch.equal(sum(kept).sort().values, values)
        assert int(sum((part != 0).int() for part in kept).max()) <= 1
        assert not kept[0][~flat(state.masks[name])].any()


def test_top_kast_needs_dense_gradients_until_its_last_update():
    part = top_kast(update_interval=30)
    needed = [step for step in range(1, 101) if part.requires_dense_gradients(step, 100)]
    assert needed == list(range(1, 91))


def test_top_kast_leaves_no_module_behind_and_computes_the_same():
    method, state = started(tiny_resnet(), [top_kast()], 20)
    assert unpruned(state.model).sizes == {}
    go(method, state)
    before = logits(state.model)
    method.finish(state)
    assert torch.equal(logits(state.model), before)
    assert not any("top_kast" in name for name in state.model.state_dict())


def test_top_kast_resumes_exactly():
    def parts():
        return [TopKAST(ERK(0.9), update_interval=4, weight_decay=0.001)]

    method, state = started(tiny_resnet(), parts(), 20)
    files = []
    go(method, state, each=lambda s: files.append(through_a_file(s)) if s.step == 9 else None)
    again, other = resumed(tiny_resnet(seed=3), parts(), files[0], 20)
    go(again, other)
    assert live_of(state) == live_of(other)
    for name, value in state.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name]), name


@pytest.mark.parametrize(
    "refused, message",
    [
        ({"backward": 0.5}, "TopKAST.backward = 0.5: must be at least 1"),
        ({"weight_decay": -1}, "TopKAST.weight_decay"),
        ({"update_interval": None}, "TopKAST has no update schedule"),
    ],
)
def test_top_kast_refuses_settings_out_of_range(refused, message):
    with pytest.raises(UserError, match=message):
        top_kast(**refused)
    with pytest.raises(UserError, match="@SET"):
        TopKAST(SET(updates_per_run=2), update_interval=2)


def test_top_kast_refuses_a_run_without_updates():
    with pytest.raises(UserError, match="TopKAST would never update"):
        top_kast(update_interval=100).check(100)
