"""`dstbench compare`: which of two methods is ahead, or which of two finished networks."""

import argparse
from collections.abc import Mapping, Sequence

from rich.console import Console

from dstbench.cli.comparison_lines import image_lines, pair_line, verdict
from dstbench.comparison.finished_runs import compare_runs, is_run
from dstbench.comparison.pair_plan import Settings, Side, plan_pairs
from dstbench.comparison.sequential import Comparison, RunFailed, compare
from dstbench.config.choices import SHORT
from dstbench.errors import UserError
from dstbench.statistics.symmetry_test import FEWEST_PAIRS, LEVEL
from dstbench.sweeps.display import SweepDisplay
from dstbench.sweeps.launchers.base import LaunchOptions, open_launcher
from dstbench.sweeps.plan import PlannedRun, RunOptions
from dstbench.sweeps.prerequisites import precision_of_runs, require_datasets, require_options
from dstbench.sweeps.scheduler import Sweep
from dstbench.training.given_choices import given_of
from dstbench.utils.signals import Interrupted

_MOST_SEEDS = 20
_OPTIONS = {"sets": "set", "sets_a": "set-a", "sets_b": "set-b"}
_FOR_METHODS = (
    "recipe", "sets", "sets_a", "sets_b", *SHORT, "sparsity", "dataset", "model", "protocol",
    "engine", "max_seeds", "workers", "threads",
)  # fmt: skip


def main(args: argparse.Namespace) -> int:
    runs = [is_run(name) for name in (args.a, args.b)]
    if all(runs):
        return _images(args)
    if any(runs):
        raise UserError(
            f"{args.a} and {args.b}: one is a finished run, the other is not. Give two methods or "
            "two runs."
        )
    return _methods(args)


# --- two methods ----------------------------------------------------------------------------------


def _methods(args: argparse.Namespace) -> int:
    require_options(args.workers, args.threads, args.retries, args.tracking)
    seeds = _MOST_SEEDS if args.max_seeds is None else args.max_seeds
    if seeds < FEWEST_PAIRS:
        raise UserError(
            f"--max-seeds {seeds}: must be at least {FEWEST_PAIRS}; fewer pairs cannot "
            f"decide at {100 * LEVEL:g} %."
        )
    shared = ("recipe", "sparsity", "dataset", "model", "protocol")
    options = RunOptions(
        args.runs, args.device, args.data_root, args.cache, args.tracking, args.engine
    )
    pairs = plan_pairs(
        Side(args.a, tuple(args.sets_a)),
        Side(args.b, tuple(args.sets_b)),
        Settings(
            **{name: getattr(args, name) for name in shared},
            sets=tuple(args.sets),
            plugins=tuple(args.plugins),
            short=tuple(given_of(SHORT, vars(args)).items()),
        ),
        range(seeds),
        options,
        precision_of_runs(args.device),
    )
    names = _short_names(args)
    trainer = _Trainer(args, options.environment)
    found = Comparison()
    try:
        for found in compare(pairs, trainer.train):
            print(pair_line(found, names), flush=True)
    except Interrupted as error:
        print(f"Stopped by {error}. Run the same command again to resume.")
        return error.exit_code
    except RunFailed as error:
        print(f"failed: {error.reason}\n  log: {error.run.log}")
        return 1
    print("\n".join(verdict(found, names, trainer.trained)))
    return 0


class _Trainer:
    """Trains the runs of a pair, with a line for each.

    trained: number of runs that were trained so far.
    """

    def __init__(self, args: argparse.Namespace, environment: Mapping[str, str]):
        self.args, self.environment, self.trained = args, environment, 0
        self.options = LaunchOptions(args.workers, args.threads, args.device, args.runs, {})

    def train(self, runs: Sequence[PlannedRun]) -> None:
        """Train runs. Raises RunFailed, Interrupted, and UserError for a dataset not found."""
        require_datasets(runs, self.args.data_root)
        launcher = open_launcher("local", self.options)
        try:
            with SweepDisplay(len(runs), 0, Console(stderr=True, highlight=False)) as display:
                sweep = Sweep(runs, launcher, self.args.retries, display, self.environment)
                sweep.run_all()
        finally:
            launcher.close()
        for run, reason in sweep.failed.items():
            raise RunFailed(run, reason)
        self.trained += len(runs)


def _short_names(args: argparse.Namespace) -> tuple[str, str]:
    """Return the names as they were given, with the settings of their side."""
    a, b = (
        " ".join([name, *sets]) for name, sets in ((args.a, args.sets_a), (args.b, args.sets_b))
    )
    return a, b


# --- two finished runs ----------------------------------------------------------------------------


def _images(args: argparse.Namespace) -> int:
    for name in _FOR_METHODS:
        if getattr(args, name) not in (None, []):
            option = _OPTIONS.get(name, name).replace("_", "-")
            raise UserError(f"--{option}: is for two methods; {args.a} is a finished run.")
    found = compare_runs(args.a, args.b, args.data_root, args.cache, args.plugins)
    print("\n".join(image_lines(found)))
    return 0
