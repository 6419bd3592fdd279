"""Jobs: the single runs that a section of a grid expands to."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dstbench.config.choices import Choices
from dstbench.config.job_preview import Preview
from dstbench.config.shipped_files import find_gin, find_recipe, packaged
from dstbench.errors import UserError


@dataclass(frozen=True)
class Job:
    """One run of a grid.

    method, dataset, model, seed, protocol, recipe: as in the run's record.
    sparsity: fraction removed; None if the method's file does not use %sparsity, as dense's.
    file: name of the method's file, without .gin.
    choices: what defines the run; its command line is `dstbench run` with `choices.arguments`.
    """

    method: str
    dataset: str
    model: str
    sparsity: float | None
    seed: int
    protocol: str
    file: str
    recipe: str
    choices: Choices


def expand(
    methods: Sequence[Path],
    recipes: Sequence[Path],
    datasets: Sequence[str] | None,
    models: Sequence[str] | None,
    sparsities: Sequence[float] | None,
    seeds: Sequence[int],
    protocol: str | None,
    overrides: Sequence[str],
) -> Iterator[Job]:
    """Yield a job for each combination; all jobs of a seed come before those of the next.

    methods, recipes: gin files.
    datasets, models, sparsities, protocol: None for the recipe's.
    overrides: gin bindings of all jobs.

    Raises UserError for a file that cannot be read or lacks a needed binding.
    """
    previews = {
        (method, recipe): Preview(method, recipe, overrides)
        for method, recipe in itertools.product(methods, recipes)
    }
    short = {path: _short_name(path) for path in (*methods, *recipes)}
    given = (seeds, recipes, datasets or (None,), models or (None,), sparsities or (None,), methods)
    for seed, recipe, dataset, model, sparsity, method in itertools.product(*given):
        preview = previews[method, recipe]
        if sparsity is not None:
            # A float, as `--sparsity` gives it: 0 and 0.0 would be two configurations.
            sparsity = float(sparsity) if preview.uses("sparsity") else None
        axes = {
            "dataset": dataset,
            "model": model,
            "sparsity": sparsity,
            "seed": seed,
            "protocol": protocol,
        }
        yield Job(
            method=preview.method(),
            dataset=Path(dataset or preview.text("Run.dataset")).name,
            model=model or preview.text("Run.model"),
            sparsity=preview.sparsity() if sparsity is None else sparsity,
            seed=seed,
            protocol=protocol or preview.text("Run.protocol"),
            file=method.stem,
            recipe=preview.text("Run.recipe"),
            choices=Choices(
                files=(short[method],),
                recipe=short[recipe],
                axes=tuple((name, value) for name, value in axes.items() if value is not None),
                sets=tuple(overrides),
            ),
        )


def _short_name(path: Path) -> str:
    """Return the shortest name by which `dstbench run` finds the file."""
    finders: dict[str, Callable[[str], Path]] = {
        path.stem: find_recipe,
        f"methods/{path.name}": find_gin,
    }
    if path.stem in packaged():
        finders = {path.stem: find_gin}
    for name, find_file in finders.items():
        with suppress(UserError):
            if find_file(name).resolve() == path.resolve():
                return name
    return str(path.resolve())
