"""`dstbench compare`: which of two methods is ahead, or which of two finished networks."""

import argparse
from collections.abc import Mapping, Sequence

from rich.console import Console

from dstbench.comparison.finished_runs import ComparedRuns, compare_runs, is_run
from dstbench.comparison.pair_plan import Settings, Side, plan_pairs
from dstbench.comparison.sequential import (
    DIVERGED_ACCURACY,
    Comparison,
    Outcome,
    RunFailed,
    compare,
)
from dstbench.config.choices import SHORT
from dstbench.errors import UserError
from dstbench.recording.types import Record
from dstbench.sparsity import percent
from dstbench.statistics.symmetry_test import FEWEST_PAIRS, LEVEL, THRESHOLD
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
            print(_pair_line(found, names), flush=True)
    except Interrupted as error:
        print(f"Stopped by {error}. Run the same command again to resume.")
        return error.exit_code
    except RunFailed as error:
        print(f"failed: {error.reason}\n  log: {error.run.log}")
        return 1
    print("\n".join(_verdict(found, names, trainer.trained)))
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


def _pair_line(found: Comparison, names: tuple[str, str]) -> str:
    """Return the last pair in one line, with the evidence so far."""
    pair = found.pairs[-1]
    a, b = (f"{name} {_text(one)}" for name, one in zip(names, (pair.a, pair.b), strict=True))
    return (
        f"seed {pair.seed:<3} {a}   {b}   difference {pair.difference:+.2f}   "
        f"evidence {found.evidence:.3g} of {THRESHOLD:g}"
    )


def _text(one: Outcome) -> str:
    if one.remark == "diverged":
        return f"{DIVERGED_ACCURACY:g} (diverged)"
    return f"{one.accuracy:.2f}" + (f" ({one.remark})" if one.remark else "")


def _verdict(found: Comparison, names: tuple[str, str], trained: int) -> list[str]:
    """Return the lines of the result. trained: number of runs that this command trained."""
    n, decision = len(found.pairs), found.decision
    if decision is None:
        lines = [f"not decided after {n} pairs of seeds."]
    else:
        ahead, behind = names if decision.sign > 0 else names[::-1]
        lines = [
            f"{ahead} is ahead of {behind} in a typical pair of seeds: decided after {n} pairs."
        ]
        if decision.sign * found.differences.mean() < 0:
            lines.append(
                f"note: {behind} has the higher mean, by a few pairs with large differences"
            )
    lines.append(
        f"mean difference ({names[0]} minus {names[1]}): {found.differences.mean():+.2f} "
        f"percentage points; {_interval_text(found)}"
    )
    reused = 2 * n - trained
    lines.append(f"runs: {trained} trained, {reused} reused")
    outcomes = [one for pair in found.pairs for one in (pair.a, pair.b)]
    for remark in ("collapsed", "diverged"):
        counts = [sum(p.a.remark == remark for p in found.pairs),
                  sum(p.b.remark == remark for p in found.pairs)]  # fmt: skip
        if any(counts):
            lines.append(f"{remark}: {names[0]} {counts[0]} of {n}, {names[1]} {counts[1]} of {n}")
    if any(one.selected_on_test for one in outcomes):
        lines.append("note: the epochs were chosen on the test images; accuracies are too high")
    return lines


def _interval_text(found: Comparison) -> str:
    if found.interval is None:
        return "no common centre of the differences is compatible with the pairs"
    low, high = found.interval
    if (low, high) == (-100, 100):
        return "too few pairs for an interval"
    return f"95 % interval of their centre, valid after every pair: {low:+.2f} to {high:+.2f}"


# --- two finished runs ----------------------------------------------------------------------------


def _images(args: argparse.Namespace) -> int:
    for name in _FOR_METHODS:
        if getattr(args, name) not in (None, []):
            option = _OPTIONS.get(name, name).replace("_", "-")
            raise UserError(f"--{option}: is for two methods; {args.a} is a finished run.")
    found = compare_runs(args.a, args.b, args.data_root, args.cache, args.plugins)
    print("\n".join(_image_lines(found)))
    return 0


def _image_lines(found: ComparedRuns) -> list[str]:
    one, (low, high) = found.result, found.result.interval
    claim = "differ" if one.p < LEVEL else "cannot be told apart"
    return [
        f"A  {_run_text(found.a)} · {found.networks[0]} network",
        f"B  {_run_text(found.b)} · {found.networks[1]} network",
        *(f"differs: {name}: A {a}, B {b}" for name, a, b in found.differences),
        f"test images: {one.images:,}; only A correct: {one.only_a:,}, only B: {one.only_b:,}",
        f"A minus B: {one.difference:+.2f} percentage points, 95 % bootstrap interval over images "
        f"{low:+.2f} to {high:+.2f}",
        f"exact McNemar test: p = {one.p:.2g}: these two networks {claim} at {100 * LEVEL:g} %.",
        "This is about two networks, not two methods: other seeds give other networks.",
    ]


def _run_text(record: Record) -> str:
    sparsity = percent(record["sparsity"]["asked"])
    return f"{record['method']} · {record['dataset']} · {sparsity} · seed {record['seed']}"
