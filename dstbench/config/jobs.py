"""Jobs: the single runs that a section of a grid expands to."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dstbench.config.choices import Choices
from dstbench.config.identity import gin_text
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
    variants: Sequence[Mapping[str, Any]] = ({},),
    short: Sequence[tuple[str, Any]] = (),
) -> Iterator[Job]:
    """Yield a job for each combination; all jobs of a seed come before those of the next.

    methods, recipes: gin files.
    datasets, models, sparsities, protocol: None for the recipe's.
    overrides: gin bindings of all jobs.
    variants: parameter → value of further bindings, which the method's name then tells.
    short: of all jobs, as in Choices.

    Raises UserError for a file that cannot be read or lacks a needed binding.
    """
    rows = list(itertools.product(methods, range(len(variants))))
    bindings = {
        (method, recipe, i): (*overrides, *_variant(method, recipe, overrides, variants[i]))
        for (method, i), recipe in itertools.product(rows, recipes)
    }
    previews = {key: Preview(key[0], key[1], added) for key, added in bindings.items()}
    names = {path: _short_name(path) for path in (*methods, *recipes)}
    given = (seeds, recipes, datasets or (None,), models or (None,), sparsities or (None,), rows)
    for seed, recipe, dataset, model, sparsity, (method, i) in itertools.product(*given):
        preview = previews[method, recipe, i]
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
                files=(names[method],),
                recipe=names[recipe],
                axes=tuple((name, value) for name, value in axes.items() if value is not None),
                sets=bindings[method, recipe, i],
                short=tuple(short),
            ),
        )


def _variant(
    method: Path, recipe: Path, overrides: Sequence[str], values: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return the bindings of a variant of a method: its values, and a name that has them."""
    if not values:
        return ()
    preview = Preview(method, recipe, overrides)
    texts = {key: gin_text(value) for key, value in values.items()}
    label = " ".join(f"{key}={text}" for key, text in texts.items())
    name = f"{preview.name_binding()} = {f'{preview.method()} ({label})'!r}"
    return (*(f"{key} = {text}" for key, text in texts.items()), name)


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
