"""Grids of runs, written in gin: which methods on which recipes, at which sparsities and seeds.

    Table.title = 'Mine'
    Table.sections = [@main/Section()]

    main/Section.methods = ['rigl', 'set', 'my_method.gin']
    main/Section.recipes = ['cifar10_resnet34']
    main/Section.sparsities = [0.99, 0.999]

A grid expands to jobs (jobs.py). Only gin text is read for that: no method is imported, and no
torch is needed.
"""

import itertools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import gin

from dstbench.config.jobs import Job, expand
from dstbench.config.overrides import parse_override
from dstbench.config.registry import register
from dstbench.config.resolver import Config
from dstbench.config.shipped_files import find_gin, find_grid, find_recipe
from dstbench.errors import UserError


@register("tables")
class Section:
    """Rows of a table that share their recipes; each combination of the lists is a run.

    methods: method files: those of the suite and of installed packages by name ('rigl'), others by
        path from the grid's folder.
    recipes: recipes, by name or by path from the grid's folder; they set dataset and model.
    sparsities: fractions removed; None for the recipe's.
    seeds: seeds of weights, masks and batches.
    datasets, models: further axes, which replace those of the recipes.
    protocol: None for the recipe's.
    title: heading in the table.
    bindings: gin bindings for all runs, as for `dstbench run --set`.
    vary: parameter → values, such as {'SGD.lr': [0.1, 0.05]}: each combination of values is a row
        of its own, named after the method and the values. Text that begins with @ or % is gin's,
        such as '@Cosine()'.
    """

    omitted_at_default: ClassVar[tuple[str, ...]] = ("vary",)

    def __init__(
        self,
        methods: Sequence[str],
        recipes: Sequence[str],
        sparsities: Sequence[float] | None = None,
        seeds: Sequence[int] = (0, 1, 2),
        datasets: Sequence[str] | None = None,
        models: Sequence[str] | None = None,
        protocol: str | None = None,
        title: str = "",
        bindings: Sequence[str] = (),
        vary: dict[str, Sequence[Any]] | None = None,
    ):
        self.scope = gin.current_scope_str()
        self.methods, self.recipes, self.seeds = methods, recipes, seeds
        self.sparsities, self.datasets, self.models = sparsities, datasets, models
        self.protocol, self.title, self.bindings = protocol, title, bindings
        self.vary = vary or {}
        self.jobs: tuple[Job, ...] = ()  # set by `read`
        for axis in ("methods", "recipes", "seeds", "sparsities", "datasets", "models"):
            values = getattr(self, axis)
            if values is not None and not values:
                raise self._error(axis, "is empty: give at least one.")
            self._refuse_twice(axis, "has", values or ())
        for sparsity in sparsities or ():
            if not 0 <= sparsity < 1:
                raise self._error("sparsities", f"has {sparsity!r}: must be from 0 to below 1.")
        for seed in seeds:
            if seed < 0:
                raise self._error("seeds", f"has {seed!r}: must be zero or more.")
        for text in bindings:
            try:
                parse_override(text, repr(text))
            except UserError as error:
                raise self._error("bindings", f"has {error.message}") from None
        for name, values in self.vary.items():
            if not isinstance(values, list | tuple) or not values:
                raise self._error("vary", f"gives {name!r} {values!r}: give a list of values.")
            self._refuse_twice("vary", f"gives {name!r}", values)
            known = isinstance(name, str) and re.fullmatch(r"(\w+/)?\w+\.\w+", name)
            if not known or name.endswith(".name"):  # a varied method is named after its values
                raise self._error("vary", f"has {name!r}: expected a parameter, such as 'SGD.lr'.")

    def expand(self, folder: Path) -> tuple[Job, ...]:
        """Return the section's jobs. folder: where its relative paths start.

        Raises UserError for an unknown name.
        """
        return tuple(
            expand(
                methods=self._files("methods", find_gin, folder),
                recipes=self._files("recipes", find_recipe, folder),
                datasets=[_dataset(name, folder) for name in self.datasets or ()],
                models=self.models,
                sparsities=self.sparsities,
                seeds=self.seeds,
                protocol=self.protocol,
                overrides=self.bindings,
                variants=[
                    dict(zip(self.vary, values, strict=True))
                    for values in itertools.product(*self.vary.values())
                ],
            )
        )

    def _error(self, parameter: str, what: str) -> UserError:
        """Return the error about one of this section's parameters."""
        name = f"{self.scope}/Section" if self.scope else "Section"
        return UserError(f"{name}.{parameter} {what}", f"{name}.{parameter}")

    def _refuse_twice(self, parameter: str, says: str, values: Sequence[Any]) -> None:
        """Raise UserError for a value that is there twice: it would be one job."""
        for value in values:
            if list(values).count(value) > 1:
                raise self._error(parameter, f"{says} {value!r} twice: give each once.")

    def _files(self, parameter: str, find: Callable[[str, Path], Path], folder: Path) -> list[Path]:
        """Return the gin files that a parameter names. folder: where relative paths start."""
        found = []
        for name in getattr(self, parameter):
            try:
                found.append(find(name, folder))
            except UserError as error:
                raise self._error(parameter, f"has {name!r}: {error.message}") from None
        return found


@register("tables")
class Table:
    """A grid: the sections of one table, and what the table shows.

    title: heading of the table.
    sections: its sections.
    kind: 'accuracy' (of test images); 'search' (trials, by their accuracy on validation images);
        'cost' (MACs and sizes); 'inference' (accuracy and latency).
    """

    def __init__(
        self,
        title: str,
        sections: Sequence[Section],
        kind: Literal["accuracy", "search", "cost", "inference"] = "accuracy",
    ):
        if not sections:
            raise UserError("Table.sections is empty: give at least one.", "Table.sections")
        self.title, self.sections, self.kind = title, sections, kind
        self.path, self.sha256 = Path(), ""  # set by `read`

    @property
    def jobs(self) -> list[Job]:
        """All jobs of the table, without repetitions."""
        return list(dict.fromkeys(job for section in self.sections for job in section.jobs))


def read(name: str | Path) -> Table:
    """Return the table of a gin file, its jobs expanded.

    name: a path, or the name of a shipped grid, such as 'table1'.

    Raises UserError, with file and line, for anything wrong with it.
    """
    path = find_grid(str(name))
    config = Config("Table")
    config.add_file(path)
    try:
        resolved = config.resolve()
    except UserError as error:
        if str(path) in error.message:
            raise
        raise UserError(
            f"{path}: {error.message} A grid sets Table.title and Table.sections; `dstbench list "
            "grids` shows the suite's."
        ) from None
    table: Table = config.build(resolved)
    table.path, table.sha256 = path, resolved.sha256
    for section in table.sections:
        try:
            section.jobs = section.expand(path.parent.resolve())
        except UserError as error:
            raise config.bindings.located(error) from None
    return table


def _dataset(name: str, folder: Path) -> str:
    """Return a dataset's id, or the absolute path of a folder of images."""
    return str((folder / name).resolve()) if "/" in name else name
