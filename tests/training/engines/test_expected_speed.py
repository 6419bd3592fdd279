"""The limit of the native engine follows the size of activations."""

import pytest

from dstbench.core.budgets import ERK
from dstbench.core.state import State
from dstbench.models.resnet import ResNet34, SmallResNet34
from dstbench.training.engines.expected_speed import live_macs


def macs(model, sparsity=0.9, batch=128, image=(3, 32, 32)):
    state = State(model, image, seed=0, total_steps=10)
    ERK(sparsity).init_masks(state)
    return live_macs(state, batch)


@pytest.mark.parametrize(
    ("width", "batch", "limit"),
    [
        (8, 128, 0.4),  # 1 MB: 0.5, and at most 0.4
        (16, 128, 0.25),
        (16, 64, 0.4),
        (32, 128, 0.125),
        (64, 128, 0.0625),
        (64, 256, 0.05),
    ],
)
def test_limit_falls_with_the_largest_activation_of_a_batch(width, batch, limit):
    assert macs(SmallResNet34(10, width=width), batch=batch).limit == limit


def test_limit_of_the_papers_network_is_the_smallest():
    found = macs(ResNet34(10), sparsity=0.9999)
    assert found.limit == 0.05 and found.below_limit and found.live == 251_922


def test_masks_decide_which_side_of_the_limit_a_network_is_on():
    assert macs(SmallResNet34(10), sparsity=0.9).below_limit
    dense = macs(SmallResNet34(10), sparsity=0.5)
    assert not dense.below_limit and dense.fraction == dense.live / dense.dense > 0.4
