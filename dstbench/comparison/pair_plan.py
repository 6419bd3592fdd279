"""Plans the paired runs of a comparison: for each seed, one run of A and one of B."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dstbench.config.choices import AXES
from dstbench.config.job_preview import Preview
from dstbench.config.jobs import Job, expand
from dstbench.config.overrides import parse_override
from dstbench.config.shipped_files import find_gin, find_recipe
from dstbench.data.dataset_folder import split_dataset
from dstbench.errors import UserError
from dstbench.sweeps.plan import PlannedRun, RunOptions, plan_run
from dstbench.training.configure import DEFAULT_RECIPE
from dstbench.training.settings import Run

_BESIDE = tuple(f"Run.{name}" for name in Run.not_identity)


@dataclass(frozen=True)
class Side:
    """One of the two methods.

    name: a shipped method's name, or a gin file.
    sets: gin bindings for this side only. As in a grid that varies them, they are part of the name
        of its runs, which a leaderboard tells apart by it; unless they set the name.
    """

    name: str
    sets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """What both sides share.

    recipe: name or gin file, None for the default recipe.
    sparsity, dataset, model, protocol: None for the recipe's.
    sets: gin bindings for both sides.
    plugins: Python files that register methods or models.
    short: as in Choices.
    """

    recipe: str | None = None
    sparsity: float | None = None
    dataset: str | None = None
    model: str | None = None
    protocol: str | None = None
    sets: tuple[str, ...] = ()
    plugins: tuple[Path, ...] = ()
    short: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Pair:
    """Two runs with the same seed."""

    seed: int
    a: PlannedRun
    b: PlannedRun


def plan_pairs(
    a: Side, b: Side, settings: Settings, seeds: Sequence[int], options: RunOptions, precision: str
) -> Iterator[Pair]:
    """Yield the pair of each seed.

    precision: default precision of the device that runs them.

    Raises UserError for a wrong configuration, and when A and B have the same one.
    """
    jobs = zip(seeds, _jobs(a, settings, seeds), _jobs(b, settings, seeds), strict=True)
    for seed, *two in jobs:
        if settings.dataset is not None:  # a folder of published images has their name
            name, _ = split_dataset(settings.dataset, options.data_root)
            two = [replace(job, dataset=name) for job in two]
        run_a, run_b = (plan_run(job, settings.plugins, options, precision) for job in two)
        if run_a.sha256 == run_b.sha256:
            raise UserError(
                f"{a.name} and {b.name} have the same configuration: there is nothing to compare. "
                "Give two methods, or other settings by --set-a and --set-b."
            )
        yield Pair(seed, run_a, run_b)


def _jobs(side: Side, settings: Settings, seeds: Sequence[int]) -> Iterator[Job]:
    method, recipe = find_gin(side.name), find_recipe(settings.recipe or DEFAULT_RECIPE)
    own = [b for text in side.sets for b in parse_override(text, f"--set {text!r}")]
    for binding in own:
        if str(binding) in _BESIDE:
            raise UserError(
                f"{str(binding)!r} of one side: it is no part of a run, and changes no result. "
                "Remove it, or give it for both with --set."
            )
        if str(binding).removeprefix("Run.") in AXES:
            raise UserError(
                f"{str(binding)!r} of one side: {', '.join(AXES)} are the same on both sides, and "
                "seeds are chosen here. Remove it, or give it for both, such as --sparsity 0.9."
            )
    name = Preview(method, recipe, settings.sets).name_binding()
    named = any(str(binding) == name for binding in own)
    return expand(
        methods=[method],
        recipes=[recipe],
        datasets=None if settings.dataset is None else [settings.dataset],
        models=None if settings.model is None else [settings.model],
        sparsities=None if settings.sparsity is None else [settings.sparsity],
        seeds=seeds,
        protocol=settings.protocol,
        overrides=(*settings.sets, *(side.sets if named else ())),
        variants=[{} if named else {str(binding): binding.value for binding in own}],
        short=settings.short,
    )
