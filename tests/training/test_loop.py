"""The loop: no step waits for the device, meters add up, a loss that is not finite is noticed."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from dstbench.core.budgets import ERK
from dstbench.core.method import Method
from dstbench.core.state import State
from dstbench.data.images import Images
from dstbench.data.in_memory import InMemoryBatches
from dstbench.data.preprocessing import Pipeline
from dstbench.methods.rigl import RigL
from dstbench.models.precision import autocast_for
from dstbench.models.resnet import ResNet20
from dstbench.optim.settings import SGD, Adam
from dstbench.training.divergence import Diverged, refuse_divergence
from dstbench.training.evaluation import evaluate
from dstbench.training.loop import train
from dstbench.training.meters import read_meters_

CPU = torch.device("cpu")


class ForbidWaiting(TorchDispatchMode):
    """Refuses the operations that read a value back from the device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        assert name not in ("_local_scalar_dense", "nonzero", "item", "is_nonzero"), name
        return func(*args, **(kwargs or {}))


def prepared(optimizer, interval=1000, images=70):
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    data = Images(
        rng.integers(0, 256, (images, 8, 8, 3), dtype=np.uint8),
        rng.integers(0, 4, images, dtype=np.int64),
    )
    pipeline = Pipeline(pad=1).fitted(data)
    batches = InMemoryBatches(data, pipeline, 16, 0, CPU)
    model = ResNet20(num_classes=4, width=4).to(memory_format=torch.channels_last)
    state = State(model, (3, 8, 8), 0, 4 * batches.plan.steps_per_epoch)
    method = Method("m", [ERK(0.8), RigL(update_interval=interval)])
    method.init_masks(state)
    state.optimizer = optimizer.build(model, state.masks)
    return state, method, batches


def nothing(state):
    return


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("optimizer", [SGD(), Adam()], ids=["SGD", "Adam"])
def test_a_step_without_an_update_reads_nothing_back(optimizer, precision):
    state, method, batches = prepared(optimizer)
    with ForbidWaiting():
        train(state, method, batches, lambda p: 0.1, autocast_for(precision, CPU), nothing, nothing)
    assert state.step == state.total_steps


def test_the_guard_notices_waiting():
    with pytest.raises(AssertionError), ForbidWaiting():
        torch.ones(3).sum().item()


def test_meters_are_the_mean_over_images_of_an_epoch():
    state, method, batches = prepared(SGD(lr=1e-9))
    seen = []
    train(
        state, method, batches, lambda p: 0.0, autocast_for("fp32", CPU),
        lambda s: seen.append(read_meters_(s.memory)), nothing,
    )  # fmt: skip
    assert len(seen) == 4
    # Without learning every epoch has the same weights; only augmentation and batches differ.
    for meters in seen:
        assert 0.5 < meters["train_loss"] < 3 and 0 <= meters["train_accuracy"] <= 100
        hits = meters["train_accuracy"] / 100 * batches.plan.count
        assert hits == pytest.approx(round(hits), abs=1e-6)


def test_a_loss_that_is_not_finite_is_noticed_and_stays_noticed():
    state, method, batches = prepared(SGD())

    def poison(state):
        if state.step == 3:
            with torch.no_grad():
                state.model.classifier.weight.fill_(math.inf)

    train(
        state, method, batches, lambda p: 0.1, autocast_for("fp32", CPU),
        lambda s: read_meters_(s.memory), poison,
    )  # fmt: skip
    with pytest.raises(Diverged, match="NaN or infinite"):
        refuse_divergence(state)


def test_evaluation_counts_each_image_once_and_leaves_the_mode():
    model = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.eye(2))
    x = torch.tensor([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0]])
    y = torch.tensor([0, 1, 1])
    model.train()
    scores = evaluate(model, [(x[:2], y[:2]), (x[2:], y[2:])], autocast_for("fp32", CPU))
    assert scores.accuracy == pytest.approx(100 * 2 / 3) and model.training
    assert scores.loss == pytest.approx(nn.functional.cross_entropy(x, y).item())
    assert scores.top5 is None


def test_top_5_is_counted_where_there_are_more_than_ten_classes():
    x = torch.arange(12.0).expand(12, 12)  # class 11 ranks first, class 7 fifth, for every image
    scores = evaluate(nn.Identity(), [(x, torch.arange(12))], autocast_for("fp32", CPU))
    assert scores.accuracy == pytest.approx(100 / 12) and scores.top5 == pytest.approx(500 / 12)
