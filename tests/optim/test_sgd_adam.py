"""Optimizers: torch's rules on live weights; dead weights and their state stay zero.

LiveSGD and LiveAdam are compared with torch's fused optimizers on masked gradients. SGD agrees bit
for bit; Adam, whose terms are ordered differently, up to rounding.
"""

import copy
import io
import platform

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dstbench.core.budgets import ERK
from dstbench.core.masks import flat
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.optim.settings import SGD, Adam, TorchOptimizer
from dstbench.optim.sgd_adam import LiveOptimizer
from dstbench.optim.torch_wrapper import MaskedOptimizer

STEPS = 6
SETTINGS = {
    "SGD": SGD(0.1, 0.9, 1e-2, nesterov=False),
    "SGD-nesterov": SGD(0.1, 0.9, 1e-2, nesterov=True),
    "SGD-plain": SGD(0.1, 0.0, 0.0, nesterov=False),
    "Adam": Adam(0.01),
    "Adam-L2": Adam(0.01, (0.8, 0.95), 1e-6, 1e-2),
}
ANY_TORCH = {
    "SGD": {"momentum": 0.9, "weight_decay": 0.01},
    "AdamW": {},
    "RMSprop": {"momentum": 0.9, "centered": True, "weight_decay": 0.01},
    "Adagrad": {},
    "Adadelta": {},
    "Adamax": {},
    "NAdam": {},
    "RAdam": {},
    "Rprop": {},
    "ASGD": {},
    "Adafactor": {},
}


def torch_twin(settings, parameters):
    if isinstance(settings, SGD):
        return torch.optim.SGD(
            parameters, settings.lr, settings.momentum, weight_decay=settings.weight_decay,
            nesterov=settings.nesterov, fused=True,
        )  # fmt: skip
    return torch.optim.Adam(
        parameters, settings.lr, settings.betas, settings.eps, settings.weight_decay, fused=True
    )


def images(step, dtype=torch.float32):
    rng = torch.Generator().manual_seed(step)
    x = torch.randn(4, 3, 8, 8, generator=rng, dtype=dtype)
    return x.to(memory_format=torch.channels_last)


def backward(model, step):
    for parameter in model.parameters():
        parameter.grad = None
    x = images(step, next(model.parameters()).dtype)
    model(x).square().mean().backward()


def masked_state(model, settings, sparsity=0.9, seed=0):
    state = State(model, (3, 8, 8), seed, 100)
    ERK(sparsity).init_masks(state)
    state.optimizer = settings.build(model, state.masks)
    return state


def dead_state_is_zero(state):
    """Whether weights, and all that the optimizer keeps for them, are exactly zero where dead."""
    for name, mask in state.masks.items():
        parameter = state.masks.parameters[name]
        if parameter[~mask].any():
            return False
        if isinstance(state.optimizer, MaskedOptimizer):
            for value in state.optimizer.inner.state[parameter].values():
                if torch.is_tensor(value) and value.shape == mask.shape and value[~mask].any():
                    return False
        else:  # there is no place to keep anything for a dead weight
            saved = state.optimizer.state_dict()["slots"]
            if any(len(slot[name]) != state.masks.live(name) for slot in saved.values()):
                return False
    return True


# --- the same as torch ----------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", SETTINGS)
def test_live_step_matches_torch_with_masked_gradients(small_net, name, dtype, layout):
    state = masked_state(small_net(0, layout, dtype), SETTINGS[name])
    twin = copy.deepcopy(state.model)
    parameters = dict(twin.named_parameters())
    reference = torch_twin(SETTINGS[name], twin.parameters())
    for step in range(STEPS):
        rate = 0.05 * (1 + step % 3)
        for group in reference.param_groups:
            group["lr"] = rate
        backward(state.model, step)
        backward(twin, step)
        for masked, mask in state.masks.items():
            parameters[masked].grad.mul_(mask)
        state.optimizer.step(rate)
        reference.step()
        assert dead_state_is_zero(state)
    for own, other in zip(state.model.parameters(), twin.parameters(), strict=True):
        if name.startswith("SGD") and platform.machine() == "x86_64":  # seen with AVX2 and -512
            assert torch.equal(own, other)
        tolerance = 1e-12 if dtype == torch.float64 else 1e-4  # Adam divides by tiny roots
        torch.testing.assert_close(own, other, rtol=tolerance, atol=tolerance)
    slots = {"momentum": "momentum_buffer", "mean": "exp_avg", "square": "exp_avg_sq"}
    for slot, vectors in state.optimizer.state_dict()["slots"].items():
        if name == "SGD-plain":
            continue  # torch keeps no momentum then
        for masked, vector in vectors.items():
            dense = flat(reference.state[parameters[masked]][slots[slot]])
            expected = dense[state.masks.index(masked)]
            torch.testing.assert_close(vector, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", SETTINGS)
def test_dense_network_is_stepped_by_torch(small_net, name):
    model = small_net()
    twin = copy.deepcopy(model)
    optimizer = SETTINGS[name].build(model, State(model, (3, 8, 8), 0, 100).masks)
    reference = torch_twin(SETTINGS[name], twin.parameters())
    for step in range(3):
        backward(model, step)
        backward(twin, step)
        optimizer.step(SETTINGS[name].lr)
        reference.step()
    assert all(map(torch.equal, model.parameters(), twin.parameters()))


@pytest.mark.parametrize("name", SETTINGS)
def test_masks_with_every_weight_live_match_torch(small_net, name):
    state = masked_state(small_net(dtype=torch.float64), SETTINGS[name], sparsity=0.0)
    twin = copy.deepcopy(state.model)
    reference = torch_twin(SETTINGS[name], twin.parameters())
    for step in range(3):
        backward(state.model, step)
        backward(twin, step)
        state.optimizer.step(SETTINGS[name].lr)
        reference.step()
    for own, other in zip(state.model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", SETTINGS)
def test_frozen_tensor_is_not_stepped(small_net, name):
    """Like in torch.optim: without a gradient there is no step, weight decay included."""
    model = small_net()
    model[3].weight.requires_grad_(False)
    state = masked_state(model, SETTINGS[name])
    before = model[3].weight.clone()
    for step in range(2):
        backward(model, step)
        state.optimizer.step(0.1)
    assert torch.equal(model[3].weight, before)


def test_shared_tensor_is_stepped_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
            self.two.weight = self.one.weight

        def forward(self, x):
            return self.two(self.one(x))

    state = masked_state(Tied(), SETTINGS["SGD-plain"], sparsity=0.5)
    weight = state.model.one.weight
    before = weight.detach().clone()
    state.model(torch.ones(1, 4)).sum().backward()
    state.optimizer.step(0.5)
    torch.testing.assert_close(weight, (before - 0.5 * weight.grad) * state.masks["one.weight"])


# --- dead is dead ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ANY_TORCH)
def test_torch_optimizer_keeps_dead_weights_and_state_at_zero(small_net, name):
    state = masked_state(small_net(), TorchOptimizer(name, 0.01, ANY_TORCH[name]))
    moves = torch.Generator().manual_seed(0)
    before = [p.detach().clone() for p in state.model.parameters()]
    for step in range(4):
        backward(state.model, step)
        state.optimizer.step(0.01)
        assert dead_state_is_zero(state)
        for tensor in state.masks:
            size = state.masks.parameters[tensor].numel()
            index = torch.randperm(size, generator=moves)[: state.masks.live(tensor)]
            state.set_live_(tensor, index)
        assert dead_state_is_zero(state)
    assert all(p.isfinite().all() for p in state.model.parameters())
    assert not all(map(torch.equal, state.model.parameters(), before))


@pytest.mark.parametrize("optimizer", [*SETTINGS.values(), TorchOptimizer("AdamW", 0.1)])
def test_step_does_not_change_dense_gradients(small_net, optimizer):
    """The growth score looks at them after the step."""
    state = masked_state(small_net(), optimizer)
    backward(state.model, 0)
    before = [p.grad.clone() for p in state.model.parameters()]
    state.optimizer.step(0.1)
    assert all(map(torch.equal, (p.grad for p in state.model.parameters()), before))


@pytest.mark.parametrize("optimizer", [*SETTINGS.values(), TorchOptimizer("AdamW", 0.1)])
def test_zero_grad_clears_every_gradient(small_net, optimizer):
    state = masked_state(small_net(), optimizer)
    backward(state.model, 0)
    state.optimizer.zero_grad()
    assert all(p.grad is None for p in state.model.parameters())


@pytest.mark.parametrize("optimizer", [*SETTINGS.values(), TorchOptimizer("AdamW", 0.1)])
def test_dead_weights_are_zero_for_any_gradient(eight, optimizer):
    state = eight(live=[1, 2])
    state.optimizer = optimizer.build(state.model, state.masks)
    state.model.weight.grad = torch.tensor([[torch.nan, 1, 1, torch.inf, -torch.inf, 0, 1, 1e38]])
    state.optimizer.step(0.1)
    assert dead_state_is_zero(state)


@pytest.mark.parametrize("name", SETTINGS)
def test_tensor_without_gradient_is_not_stepped(small_net, name):
    """As in torch.optim: neither its weights nor its momentum move, whatever the others do."""
    state = masked_state(small_net(dtype=torch.float64), SETTINGS[name])
    twin = copy.deepcopy(state.model)
    parameters = dict(twin.named_parameters())
    reference = torch_twin(SETTINGS[name], twin.parameters())
    for step in range(3):
        backward(state.model, step)
        backward(twin, step)
        for tensor, mask in state.masks.items():
            parameters[tensor].grad.mul_(mask)
        if step == 1 and not name.startswith("Adam"):  # our Adam counts steps for all together
            state.model[3].weight.grad = twin[3].weight.grad = None
        state.optimizer.step(SETTINGS[name].lr)
        reference.step()
    for own, other in zip(state.model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", SETTINGS)
def test_parameter_whose_first_gradient_comes_late_is_stepped_from_then_on(small_net, name):
    """Such as that of a layer which random depth skipped: a bias, which torch's own step takes."""
    state = masked_state(small_net(dtype=torch.float64), SETTINGS[name])
    twin = copy.deepcopy(state.model)
    references = [torch_twin(SETTINGS[name], [p]) for p in twin.parameters()]
    late = [n for n, _ in twin.named_parameters()].index("1.bias")
    parameters = dict(twin.named_parameters())
    for step in range(4):
        backward(state.model, step)
        backward(twin, step)
        for tensor, mask in state.masks.items():
            parameters[tensor].grad.mul_(mask)
        if step < 2:
            state.model[1].bias.grad = twin[1].bias.grad = None
        state.optimizer.step(SETTINGS[name].lr)
        for i, reference in enumerate(references):
            if i != late or step >= 2:
                reference.step()
    for own, other in zip(state.model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("optimizer", [*SETTINGS.values(), TorchOptimizer("AdamW", 0.1)])
def test_step_without_gradients_changes_nothing(eight, optimizer):
    state = eight(live=[1, 2])
    state.optimizer = optimizer.build(state.model, state.masks)
    state.optimizer.step(0.1)
    assert state.model.weight.tolist() == [[0, 2, 3, 0, 0, 0, 0, 0]]


def test_step_reads_gradients_in_any_memory_layout():
    model = nn.Conv2d(3, 4, 3, bias=False).to(memory_format=torch.channels_last)
    state = masked_state(model, SETTINGS["SGD-plain"], sparsity=0.5)
    before, gradient = model.weight.detach().clone(), torch.randn(4, 3, 3, 3)
    model.weight.grad = gradient
    state.optimizer.step(1.0)
    torch.testing.assert_close(model.weight, (before - gradient) * state.masks["weight"])


# --- after a mask has moved -----------------------------------------------------------------------


SLOTTED = {"SGD": SGD(0.1), "Adam": Adam(0.1)}


@pytest.mark.parametrize("name", SLOTTED)
@given(data=st.data())
def test_optimizer_state_follows_weights_through_mask_moves(small_net, name, data):
    """Held against dense state that is zeroed where it is dead: the slow, obvious way."""
    state = masked_state(small_net(), SLOTTED[name], sparsity=0.7)
    rng = torch.Generator().manual_seed(data.draw(st.integers(0, 999)))
    backward(state.model, 0)
    state.optimizer.step(0.1)

    def dense():
        saved = state.optimizer.state_dict()["slots"]
        return {
            (slot, tensor): torch.zeros(state.masks.parameters[tensor].numel()).index_copy_(
                0, state.masks.index(tensor), vector
            )
            for slot, vectors in saved.items()
            for tensor, vector in vectors.items()
        }

    expected = dense()
    weights = {n: flat(p).clone() for n, p in state.masks.parameters.items()}
    for tensor in data.draw(st.lists(st.sampled_from(list(state.masks)), min_size=1, max_size=4)):
        size = state.masks.parameters[tensor].numel()
        count = data.draw(st.integers(1, size))
        index = torch.randperm(size, generator=rng)[:count]
        state.set_live_(tensor, index)
        live = torch.zeros(size, dtype=torch.bool).index_fill_(0, index, True)
        weights[tensor] *= live
        for slot in ("momentum", "mean", "square"):
            if (slot, tensor) in expected:
                expected[slot, tensor] *= live
    after = dense()
    assert all(torch.equal(after[key], expected[key]) for key in expected)
    assert all(torch.equal(flat(p), weights[n]) for n, p in state.masks.parameters.items())


@pytest.mark.parametrize("name", SETTINGS)
def test_tensors_masked_during_training_keep_their_state_and_dead_weights_zero(small_net, name):
    """The optimizer is built before there is any mask, and first steps the tensors as dense."""
    state = State(small_net(), (3, 8, 8), 0, 100)
    state.optimizer = SETTINGS[name].build(state.model, state.masks)
    twin = copy.deepcopy(state.model)
    reference = torch_twin(SETTINGS[name], twin.parameters())
    parameters = dict(twin.named_parameters())
    for group in reference.param_groups:
        group["lr"] = 0.05
    for step in range(STEPS):
        if step == STEPS // 2:
            ERK(0.9).init_masks(state)
            for masked, mask in state.masks.items():
                parameter = parameters[masked]
                parameter.detach().mul_(mask)
                for value in reference.state[parameter].values():
                    if torch.is_tensor(value) and value.shape == mask.shape:
                        value.mul_(mask)
        backward(state.model, step)
        backward(twin, step)
        for masked, mask in state.masks.items():
            parameters[masked].grad.mul_(mask)
        state.optimizer.step(0.05)
        reference.step()
    assert state.masks and dead_state_is_zero(state)
    for own, other in zip(state.model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SLOTTED)
def test_steps_after_a_mask_move_match_torch(small_net, name):
    """A dense torch optimizer, with the state of dying weights zeroed, takes the same steps."""
    state = masked_state(small_net(dtype=torch.float64), SLOTTED[name])
    twin = copy.deepcopy(state.model)
    parameters = dict(twin.named_parameters())
    reference = torch_twin(SLOTTED[name], twin.parameters())
    rng = torch.Generator().manual_seed(5)
    for step in range(STEPS):
        backward(state.model, step)
        backward(twin, step)
        for tensor, mask in state.masks.items():
            parameters[tensor].grad.mul_(mask)
        state.optimizer.step(SLOTTED[name].lr)
        reference.step()
        if step % 2 == 1:
            for tensor, mask in state.masks.items():
                size = parameters[tensor].numel()
                index = torch.randperm(size, generator=rng)[: state.masks.live(tensor) + 1]
                state.set_live_(tensor, index)
                parameters[tensor].data.mul_(mask)
                for value in reference.state[parameters[tensor]].values():
                    if torch.is_tensor(value) and value.shape == mask.shape:
                        value.mul_(mask)
    for own, other in zip(state.model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("optimizer", [*SLOTTED.values(), TorchOptimizer("AdamW", 0.1)])
def test_empty_layer_may_grow(eight, optimizer):
    """SynFlow may empty a layer, and a mask update after it may grow it again."""
    state = eight(live=[])
    state.optimizer = optimizer.build(state.model, state.masks)
    state.set_live_("weight", torch.tensor([5, 2]))
    state.model.weight.grad = torch.ones(1, 8)
    state.optimizer.step(0.1)
    assert state.model.weight.nonzero()[:, 1].tolist() == [2, 5]


def test_first_adam_step_of_a_grown_weight_is_about_three_rates(eight):
    """The source's own behaviour, kept and written down: a bias correction near one."""
    state = eight(live=[0])
    state.optimizer = Adam(1e-3).build(state.model, state.masks)
    for _ in range(4000):
        state.model.weight.grad = torch.ones(1, 8)
        state.optimizer.step(1e-3)
    state.set_live_("weight", torch.tensor([0, 3]))
    state.optimizer.step(1e-3)
    assert -state.model.weight[0, 3].item() / 1e-3 == pytest.approx(0.1 / 0.001**0.5, rel=0.02)


# --- forgetting -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*SETTINGS, *ANY_TORCH])
def test_reset_optimizer_steps_like_a_new_one(small_net, name):
    settings = SETTINGS.get(name) or TorchOptimizer(name, 0.01, ANY_TORCH[name])
    state = masked_state(small_net(), settings)
    for step in range(3):
        backward(state.model, step)
        state.optimizer.step(0.05)
    state.optimizer.reset_state()
    assert dead_state_is_zero(state)
    model = copy.deepcopy(state.model)
    other = State(model, (3, 8, 8), 0, 100)
    for tensor in state.masks:
        other.masks.write_(tensor, state.masks.index(tensor))
    other.optimizer = settings.build(model, other.masks)
    for step in range(3, 6):
        for each in (state, other):
            backward(each.model, step)
            each.optimizer.step(0.05)
    assert all(map(torch.equal, state.model.parameters(), model.parameters()))


# --- saving ---------------------------------------------------------------------------------------


EVERY = {**SLOTTED, "AdamW": TorchOptimizer("AdamW", 0.01)}


@pytest.mark.parametrize("name", EVERY)
def test_saved_optimizer_resumes_bit_for_bit(small_net, name):
    state = masked_state(small_net(), EVERY[name])
    for step in range(3):
        backward(state.model, step)
        state.optimizer.step(0.05)
    buffer = io.BytesIO()
    torch.save(state.optimizer.state_dict(), buffer)
    model = copy.deepcopy(state.model)
    other = State(model, (3, 8, 8), 0, 100)
    for tensor in state.masks:
        other.masks.write_(tensor, state.masks.index(tensor))
    other.optimizer = EVERY[name].build(model, other.masks)
    other.optimizer.load_state_dict(torch.load(io.BytesIO(buffer.getvalue()), weights_only=True))
    for step in range(3, 6):
        for each in (state, other):
            backward(each.model, step)
            each.optimizer.step(0.05)
    assert all(map(torch.equal, state.model.parameters(), model.parameters()))


def test_optimizer_state_grows_with_live_weights_only(small_net):
    state = masked_state(small_net(), Adam(), sparsity=0.95)
    backward(state.model, 0)
    state.optimizer.step(0.1)
    assert isinstance(state.optimizer, LiveOptimizer)
    saved = state.optimizer.state_dict()["slots"]
    assert set(saved) == {"mean", "square"}
    assert all(sum(map(len, v.values())) == state.masks.total() for v in saved.values())


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, binding",
    [
        (lambda: SGD(lr=0), "SGD.lr"),
        (lambda: SGD(momentum=1.0), "SGD.momentum"),
        (lambda: SGD(weight_decay=-1e-4), "SGD.weight_decay"),
        (lambda: SGD(momentum=0.0), "SGD.nesterov"),
        (lambda: Adam(lr=-1), "Adam.lr"),
        (lambda: Adam(betas=(0.9, 1.0)), "Adam.betas"),
        (lambda: Adam(betas=(0.9,)), "Adam.betas"),
        (lambda: Adam(weight_decay=-1), "Adam.weight_decay"),
        (lambda: TorchOptimizer("AdamX", 0.1), "TorchOptimizer.name"),
        (lambda: TorchOptimizer("AdamW", 0), "TorchOptimizer.lr"),
    ],
)
def test_optimizer_settings_out_of_range_are_refused(make, binding):
    with pytest.raises(UserError) as error:
        make()
    assert error.value.binding == binding


@pytest.mark.parametrize(
    "name, options",
    [("Optimizer", None), ("LBFGS", None), ("SparseAdam", None), ("AdamW", {"momentun": 0.9})],
    ids=["base class", "needs a closure", "needs sparse gradients", "misspelt option"],
)
def test_unusable_torch_optimizer_is_refused(small_net, name, options):
    with pytest.raises(UserError) as error:
        state = masked_state(small_net(), TorchOptimizer(name, 0.1, options))
        backward(state.model, 0)
        state.optimizer.step(0.1)
    assert error.value.binding.startswith("TorchOptimizer.")


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize(
    "settings",
    [
        SGD(0.1, 0.9, 0.5, decayed="prunable"),
        Adam(0.01, weight_decay=0.5, decayed="prunable"),
        TorchOptimizer("AdamW", 0.1, {"weight_decay": 0.5}, decayed="prunable"),
        TorchOptimizer("SGD", 0.1, {"weight_decay": 0.5}, decayed="prunable"),
    ],
)
def test_decay_may_leave_norms_and_biases_alone(small_net, settings, sparse):
    """A loss without gradients: only what is decayed moves."""
    model = small_net()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
    state = State(model, (3, 8, 8), 0, 10)
    if sparse:
        ERK(0.5).init_masks(state)
    state.optimizer = settings.build(model, state.masks)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    state.optimizer.step(0.1)
    moved = {name for name, p in model.named_parameters() if ((p != 1) & (p != 0)).any()}
    assert moved == state.masks.parameters.keys()


def test_decayed_groups_survive_a_checkpoint(small_net):
    def start():
        return masked_state(small_net(), SGD(0.1, 0.9, 0.1, decayed="prunable"))

    state = start()
    for step in range(3):
        backward(state.model, step)
        state.optimizer.step(0.1)
    saved = copy.deepcopy(state.optimizer.state_dict())
    other = start()
    other.model.load_state_dict(state.model.state_dict())
    other.optimizer.load_state_dict(saved)
    for one in (state, other):
        backward(one.model, 7)
        one.optimizer.step(0.1)
    for a, b in zip(state.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_tensor_that_gets_a_mask_leaves_its_group(small_net):
    model = small_net()
    state = State(model, (3, 8, 8), 0, 10)
    state.optimizer = SGD(0.1, 0.9, 0.1, decayed="prunable").build(model, state.masks)
    assert len(state.optimizer.rest.param_groups) == 2
    for name in state.masks.parameters:
        state.set_live_(name, torch.arange(2))
    (group,) = state.optimizer.rest.param_groups
    assert group["weight_decay"] == 0
