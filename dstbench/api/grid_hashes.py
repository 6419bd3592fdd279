"""Resolves a grid's runs to their configuration hashes, for `dstbench leaderboard`."""

from pathlib import Path

from dstbench.config.grid import Table
from dstbench.models.precision import PRECISIONS
from dstbench.sweeps.plan import RunOptions, plan_run


def grid_hashes(grid: Table) -> list[str]:
    """Return the configuration hashes of a grid's runs, on machines of either default precision.

    The two hashes of a run are equal where the grid sets its precision.

    Raises UserError for anything wrong with a run's configuration.
    """
    options = RunOptions(runs=Path())
    return [
        plan_run(job, (), options, precision).sha256
        for job in grid.jobs
        for precision in PRECISIONS
    ]
