"""Steps per epoch and shards of batches."""

import pytest
import torch

from dstbench.data.batch_plan import BatchPlan, epoch_generator


def test_batch_plan_counts_steps_and_the_smaller_last_batch():
    plan = BatchPlan(count=23, batch_size=5)
    assert plan.steps_per_epoch == 5
    assert [plan.size_at(step) for step in range(6)] == [5, 5, 5, 5, 3, 5]
    assert plan.of(4) == (0, slice(20, 23)) and plan.of(5) == (1, slice(0, 5))


def test_batch_plan_weighs_a_shard_by_its_images():
    plan = BatchPlan(count=23, batch_size=5, shard=lambda count: slice(0, count // 2))
    assert plan.of(0) == (0, slice(0, 2)) and plan.of(4) == (0, slice(20, 21))
    assert plan.weight_at(0) == pytest.approx(2 / 5)
    assert plan.weight_at(4) == pytest.approx(1 / 3)


def test_epoch_generator_differs_by_seed_and_epoch():
    drawn = {
        int(torch.randint(2**62, (), generator=epoch_generator(seed, epoch)))
        for seed in range(5)
        for epoch in range(5)
    }
    assert len(drawn) == 25
