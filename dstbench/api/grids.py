"""`dstbench.sweep`: the missing runs of a grid."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dstbench.api.given_paths import optional_path, path_of, paths
from dstbench.api.tables import table_of
from dstbench.config.gin_state import isolated
from dstbench.errors import UserError
from dstbench.sweeps.plan import RunOptions
from dstbench.sweeps.request import SweepRequest
from dstbench.utils.signals import Interrupted


def sweep(
    grid: str | Path,
    *,
    only: str | Sequence[str] = (),
    launcher: str = "local",
    workers: int | None = None,
    threads: int | None = None,
    retries: int = 2,
    launch: Mapping[str, Any] | None = None,
    runs: str | Path = "runs",
    data_root: str | Path | None = None,
    cache: str | Path | None = None,
    tracking: str | None = None,
    device: str = "auto",
    engine: str | None = None,
    plugins: Sequence[str | Path] = (),
    published: str | Path | None = None,
) -> pd.DataFrame:
    """Run what is missing of a grid, in processes of their own; return one row a run.

    grid: name or gin file, such as 'cifar10_tiny'.
    only: filters, such as 'method=EAST,sparsity=0.9995'.
    launcher: 'local', 'ray' or 'slurm'; launch: its options, such as {"gpus": 0.5}.
    workers: runs at a time; None for one a core, or one a GPU.
    threads: CPU threads of a run.
    retries: how many times a run that died is started again.
    runs, data_root, cache, tracking, device: as those of `dstbench.run`.
    engine: 'auto', 'torch' or 'native'; None for what the configuration says.
    plugins: Python files that every run loads.
    published: a leaderboard's folder, whose runs are left out, here and in what is returned.

    The columns are those of `dstbench.records`. Ctrl-C saves all runs and returns what there is;
    the same call goes on.

    Raises UserError for a grid that is wrong, for a missing dataset, and for a leaderboard without
    records.
    """
    request = SweepRequest(
        grid=str(grid),
        shared=RunOptions(
            path_of("runs", runs),
            device,
            optional_path("data_root", data_root),
            optional_path("cache", cache),
            tracking,
            engine,
        ),
        only=_filters(only),
        launcher=launcher,
        workers=workers,
        threads=threads,
        retries=retries,
        launch=launch or {},
        plugins=paths(plugins),
        published=optional_path("published", published),
    )
    with isolated():
        plan = request.plan()
    if plan.remaining:
        try:
            request.carry_out(plan)
        except Interrupted:
            print("Stopped; all runs are saved. The same call resumes them.")
    return table_of(plan.folders)


def _filters(only: object) -> tuple[str, ...]:
    """Return the filters that are given as one text or as several.

    Raises UserError for anything else.
    """
    given = (only,) if isinstance(only, str) else only
    if not isinstance(given, Sequence) or not all(isinstance(text, str) for text in given):
        raise UserError(f"only = {only!r}: expected a text such as 'method=EAST', or a list.")
    return tuple(given)
