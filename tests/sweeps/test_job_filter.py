"""--only: conditions on a grid's jobs."""

import pytest

from dstbench.config import grid
from dstbench.errors import UserError
from dstbench.sweeps.job_filter import filter_jobs


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ([], 36),
        (["method=RigL"], 12),
        (["method=rigl_ws"], 12),
        (["method=rigl, sparsity=0.9995, seed=2"], 2),
        (["model=resnet34,sparsity=.99990"], 9),
        (["recipe=cifar10_resnet50,seed=0", "seed=1"], 18),
    ],
)
def test_filter_jobs_keeps_matching_jobs(filters, count):
    jobs = grid.read("table4").jobs
    assert len(filter_jobs(jobs, filters)) == count


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("method", "expected KEY=VALUE"),
        ("methd=RigL", "Did you mean 'method'"),
        ("method=rigl_w", "the grid has no such method. Did you mean 'rigl_ws'"),
        ("sparsity=0.5", "the grid has no such sparsity"),
        ("model=ResNet50,recipe=cifar10_resnet34", "no run of the grid matches"),
    ],
)
def test_filter_jobs_refuses_keys_and_values_that_the_grid_lacks(text, words):
    with pytest.raises(UserError, match=words):
        filter_jobs(grid.read("table4").jobs, [text])
