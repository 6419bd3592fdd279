"""The cost of training: forward, backward, dense gradients, offsets and what parts add."""

import itertools

import pytest
import torch
from helpers.tiny_runs import IMAGE, go, started, tiny_resnet

from dstbench.core.budgets import ERK
from dstbench.core.gradient_clip import GradientClip
from dstbench.core.masks import Masks
from dstbench.core.method import Method
from dstbench.methods.cyclic import Cyclic
from dstbench.methods.dctps import DCTpS
from dstbench.methods.dyrelu import DyReLU, DyReLUPhasing
from dstbench.methods.rigl import RigL
from dstbench.methods.set import SET
from dstbench.methods.weight_sharing import WeightSharing
from dstbench.metrics.cost import cost
from dstbench.metrics.training_cost import TrainingCost, dense_training_macs

STEPS, IMAGES = 20, 4


def trained(parts):
    """Train, counting; return the State and its cost before training."""
    method, state = started(tiny_resnet(), parts, STEPS)
    before = cost(state.model, state.masks, IMAGE)
    counter = TrainingCost(method, state, lambda step: IMAGES)
    go(Method("counted", (method, counter)), state)
    return state, before


@pytest.mark.parametrize(
    "parts, dense_steps",
    [
        ([], 0),
        ([ERK(0.8)], 0),
        ([ERK(0.8), SET(update_interval=5)], 0),
        ([ERK(0.8), RigL(update_interval=5)], 3),
        ([ERK(0.8), RigL(update_interval=5), GradientClip()], STEPS),
        ([ERK(0.8), GradientClip(over="live")], 0),
        ([WeightSharing(), ERK(0.8), RigL(update_interval=5)], 3),
    ],
)
def test_training_cost_is_three_passes_and_dense_gradients_where_read(parts, dense_steps):
    method, state = started(tiny_resnet(), parts, STEPS)
    expected = 0
    counter = TrainingCost(method, state, lambda step: IMAGES)
    went = []
    live = [cost(state.model, state.masks, IMAGE)["macs"]]  # that each step trains with
    dense = cost(state.model, state.masks, IMAGE)["dense_macs"]

    def each(state):
        went.append(state.training_macs)
        live.append(cost(state.model, state.masks, IMAGE)["macs"])

    go(Method("counted", (method, counter)), state, each=each)
    due = [step for step in range(1, STEPS + 1) if method.needs_dense_gradients(step, STEPS)]
    assert len(due) == dense_steps
    for step in range(1, STEPS + 1):
        macs = live[step - 1]
        expected += IMAGES * (2 * macs + (dense if step in due else macs))
        assert went[step - 1] == expected
    if not parts:
        assert expected == dense_training_macs(dense, STEPS * IMAGES)


def test_training_cost_of_a_dense_offset_has_no_weight_gradient():
    state, before = trained([DCTpS(), ERK(0.8)])
    sparse = before["macs"] - before["offset_macs"]
    assert before["offset_macs"] > 0
    assert state.training_macs == STEPS * IMAGES * (3 * sparse + 2 * before["offset_macs"])


def test_training_cost_of_dyrelu_ends_with_its_phase():
    phasing = DyReLUPhasing(start=0.25, end=0.5, reduction=2)
    method, state = started(tiny_resnet(), [phasing], STEPS)
    dynamic = [m for m in state.model.modules() if isinstance(m, DyReLU)]
    pixels = [m.pixels for m in dynamic]
    assert pixels[0] == IMAGE[1] * IMAGE[2] and pixels[-1] == pixels[0] // 4
    extra = sum(
        m.channels * (m.channels // 2) * 5 + 2 * m.channels * m.pixels for m in dynamic
    )  # C·h + h·4C, h = C/2, and two products at every element
    plain = 3 * cost(state.model, Masks(state.model), IMAGE)["macs"]
    counter = TrainingCost(method, state, lambda step: 1)
    went = [0]
    go(
        Method("counted", (method, counter)), state,
        each=lambda state: went.append(state.training_macs),
    )  # fmt: skip
    steps = [after - before for before, after in itertools.pairwise(went)]
    assert steps == [plain + 3 * extra] * (STEPS // 2) + [plain] * (STEPS // 2)


def test_cycles_need_dense_gradients_in_their_updates_unless_growth_is_random():
    settings = {"sparsity": 0.9, "until": 0.5, "update_interval": 4}
    by_gradient = Cyclic(RigL(update_interval=10), **settings)
    at_random = Cyclic(SET(update_interval=10), **settings)
    needed = [step for step in range(1, 41) if by_gradient.needs_dense_gradients(step, 40)]
    assert needed == [4, 8, 12, 16, 20, 30]
    assert not any(at_random.needs_dense_gradients(step, 40) for step in range(1, 41))


def test_training_cost_is_checkpointed():
    state, _ = trained([ERK(0.8)])
    assert state.state_dict()["training_macs"] == state.training_macs > 0


def test_training_cost_of_a_native_step_has_no_dense_gradients():
    method, state = started(tiny_resnet(), [ERK(0.8), GradientClip()], STEPS)
    counter = TrainingCost(method, state, lambda step: IMAGES)
    live, dense = (cost(state.model, state.masks, IMAGE)[key] for key in ("macs", "dense_macs"))
    assert counter.macs_of_image(state) == 2 * live + dense
    name = next(iter(state.masks))
    state.masks.live_gradients[name] = torch.zeros(state.masks.live(name))
    assert counter.macs_of_image(state) == 3 * live
