"""The loop: no step waits for the device, meters add up, a loss that is not finite is found."""

import math

import numpy as np
import pytest
import torch
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
from dstbench.training.engines.torch_engine import TorchEngine
from dstbench.training.epoch_meters import Meters
from dstbench.training.loop import train

CPU = torch.device("cpu")


class ForbidWaiting(TorchDispatchMode):
    """Refuses operations that read a value back from the device."""

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


def engine_of(model, precision="fp32"):
    return TorchEngine(model, autocast_for(precision, CPU))


def nothing(state):
    return


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("optimizer", [SGD(), Adam()], ids=["SGD", "Adam"])
def test_step_without_mask_update_does_not_wait_for_the_device(optimizer, precision):
    state, method, batches = prepared(optimizer)
    with ForbidWaiting():
        engine = engine_of(state.model, precision)
        train(state, method, engine, batches, lambda p: 0.1, nothing, nothing)
    assert state.step == state.total_steps


def test_guard_finds_waiting():
    with pytest.raises(AssertionError), ForbidWaiting():
        torch.ones(3).sum().item()


def test_meters_are_means_over_the_images_of_an_epoch():
    state, method, batches = prepared(SGD(lr=1e-9))
    seen = []
    read = lambda s: seen.append(Meters(s.memory).read_and_reset_())  # noqa: E731
    train(state, method, engine_of(state.model), batches, lambda p: 0.0, read, nothing)
    assert len(seen) == 4
    # Without learning every epoch has the same weights; only augmentation and batches differ.
    for meters in seen:
        assert 0.5 < meters["train_loss"] < 3 and 0 <= meters["train_accuracy"] <= 100
        hits = meters["train_accuracy"] / 100 * batches.plan.count
        assert hits == pytest.approx(round(hits), abs=1e-6)


def test_loss_that_is_not_finite_is_found_epochs_later():
    state, method, batches = prepared(SGD())

    def poison(state):
        if state.step == 3:
            with torch.no_grad():
                state.model.classifier.weight.fill_(math.inf)

    read = lambda s: Meters(s.memory).read_and_reset_()  # noqa: E731
    train(state, method, engine_of(state.model), batches, lambda p: 0.1, read, poison)
    with pytest.raises(Diverged, match="NaN or infinite"):
        refuse_divergence(state)
