"""Counts what the cost tables show, as `dstbench cost` does, for `leaderboard --count-costs`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from dstbench.boards.cost_files import cost_jobs, write_cost
from dstbench.config.jobs import Job
from dstbench.training.untrained_cost import figures


def count_costs(jobs: Sequence[Job], leaderboard: Path, plugins: Sequence[Path] = ()) -> list[Path]:
    """Count every row of a cost table and write it to costs/; return the paths of the files.

    leaderboard: its folder.
    plugins: Python files that the jobs' methods need.

    Raises UserError when the cost of a job cannot be counted.
    """
    paths = []
    for job in cost_jobs(jobs):
        choices = dataclasses.replace(job.choices, plugins=tuple(plugins))
        command = ["dstbench", "cost", *choices.arguments, "--json"]
        counted = figures(choices)
        paths.append(write_cost(leaderboard / "costs", job, command, counted))
    return paths
