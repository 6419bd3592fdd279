"""A grid of runs, written in gin: which methods on which recipes, at which sparsities and seeds.

    Table.title = 'Mine'
    Table.sections = [@main/Section()]

    main/Section.methods = ['rigl', 'set', 'my_method.gin']
    main/Section.recipes = ['cifar10_resnet34']
    main/Section.sparsities = [0.99, 0.999]

A grid is expanded into jobs: for each run, what is typed to have it, and what its record will say
it is. Only gin text is read for that; no method is imported, so it costs no torch.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import gin

from dstbench.config.preview import Preview
from dstbench.config.registry import register
from dstbench.config.resolver import Config
from dstbench.config.shipped_files import find_gin, find_recipe, roots, shipped
from dstbench.errors import UserError, did_you_mean

FOLDER = "gin/tables"  # of the suite's own grids


@dataclass(frozen=True)
class Job:
    """One run of a grid.

    method, dataset, model, sparsity, seed, protocol, recipe: as the run's record has them.
    sparsity is None where the method's file does not use %sparsity, as dense's does not.
    file: name of the method's file, without .gin.
    arguments: what is typed after `dstbench run`, but for where and with what it runs.
    """

    method: str
    dataset: str
    model: str
    sparsity: float | None
    seed: int
    protocol: str
    file: str
    recipe: str
    arguments: tuple[str, ...]


@register("tables")
class Section:
    """The rows of a table that share their recipes; each combination of the lists is a run.

    methods: method files: shipped ones by name ('rigl'), others by path, seen from the grid's
    folder. recipes: likewise; the axis of datasets and models. datasets, models: further axes, in
    place of what the recipes say. sparsities, protocol: None is the recipe's. title: a heading.
    bindings: gin for all of its runs, as `dstbench run --set` takes it.
    """

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
    ):
        self.scope = gin.current_scope_str()  # which section it is
        self.methods, self.recipes, self.seeds = methods, recipes, seeds
        self.sparsities, self.datasets, self.models = sparsities, datasets, models
        self.protocol, self.title, self.bindings = protocol, title, bindings
        self.jobs: tuple[Job, ...] = ()  # `read` expands them
        for axis in ("methods", "recipes", "seeds", "sparsities", "datasets", "models"):
            if getattr(self, axis) is not None and not getattr(self, axis):
                raise self.wrong(axis, "is empty: name at least one.")
        for sparsity in sparsities or ():
            if not 0 <= sparsity < 1:
                raise self.wrong("sparsities", f"has {sparsity!r}: must be from 0 to below 1.")
        for seed in seeds:
            if seed < 0:
                raise self.wrong("seeds", f"has {seed!r}: must be zero or more.")
        for text in bindings:
            if "=" not in text:
                raise self.wrong("bindings", f"has {text!r}: expected 'NAME = VALUE'.")

    def wrong(self, parameter: str, what: str) -> UserError:
        """The error about one of this section's lines."""
        name = f"{self.scope}/Section" if self.scope else "Section"
        return UserError(f"{name}.{parameter} {what}", f"{name}.{parameter}")

    def expand(self, folder: Path) -> Iterator[Job]:
        """Its jobs, everything of one seed before the next; paths are seen from `folder`.

        Raises UserError for a name that means nothing.
        """
        methods = [_typed(self._method(name, folder)) for name in self.methods]
        recipes = [_typed(self._recipe(name, folder)) for name in self.recipes]
        datasets = [_dataset(name, folder) for name in self.datasets or ()]
        outlines = {
            (method, recipe): Preview(method[1], recipe[1], self.bindings)
            for method, recipe in itertools.product(methods, recipes)
        }
        axes = itertools.product(
            self.seeds, recipes, datasets or (None,), self.models or (None,),
            self.sparsities or (None,), methods,
        )  # fmt: skip
        for seed, recipe, dataset, model, sparsity, method in axes:
            outline = outlines[method, recipe]
            if not outline.uses("sparsity"):
                sparsity = None
            asked = {
                "dataset": dataset, "model": model, "sparsity": sparsity, "seed": seed,
                "protocol": self.protocol,
            }  # fmt: skip
            typed = [method[0], "--recipe", recipe[0]]
            typed += [w for k, v in asked.items() if v is not None for w in (f"--{k}", str(v))]
            typed += [word for binding in self.bindings for word in ("--set", binding)]
            yield Job(
                method=outline.method(),
                dataset=Path(dataset or outline.text("Run.dataset")).name,
                model=model or outline.text("Run.model"),
                sparsity=outline.sparsity() if sparsity is None else sparsity,
                seed=seed,
                protocol=self.protocol or outline.text("Run.protocol"),
                file=method[1].stem,
                recipe=outline.text("Run.recipe"),
                arguments=tuple(typed),
            )

    def _method(self, name: str, folder: Path) -> Path:
        known = shipped("methods")
        if (folder / name).is_file():
            return folder / name
        if name in known:
            return known[name]
        try:
            return find_gin(name)
        except UserError:
            message = f"has {name!r}: no such file.{did_you_mean(name, known)}"
            raise self.wrong("methods", message) from None

    def _recipe(self, name: str, folder: Path) -> Path:
        if (folder / name).is_file():
            return folder / name
        try:
            return find_recipe(name)
        except UserError as error:
            raise self.wrong("recipes", f"has {name!r}: {error.message}") from None


@register("tables")
class Table:
    """A grid: the sections of one table, and what the table is to show.

    kind: 'accuracy'; 'cost' (multiply-accumulates and sizes); 'inference' (accuracy, and how fast
    the finished network answers).
    """

    def __init__(
        self,
        title: str,
        sections: Sequence[Section],
        kind: Literal["accuracy", "cost", "inference"] = "accuracy",
    ):
        if not sections:
            raise UserError("Table.sections is empty: name one at least.", "Table.sections")
        self.title, self.sections, self.kind = title, sections, kind
        self.path, self.sha256 = Path(), ""  # `read` knows them

    @property
    def jobs(self) -> list[Job]:
        """All runs of the table, each once."""
        return list(dict.fromkeys(job for section in self.sections for job in section.jobs))


def read(name: str | Path) -> Table:
    """The table in a gin file, expanded: a path, or the name of one of the suite's, as 'table1'.

    Raises UserError, with file and line, for whatever is wrong with it.
    """
    path = find(str(name))
    config = Config("Table")
    config.add_file(path)
    resolved = config.resolve()
    table: Table = config.build(resolved)
    table.path, table.sha256 = path, resolved.sha256
    for section in table.sections:
        try:
            section.jobs = tuple(section.expand(path.parent.resolve()))
        except UserError as error:
            raise config.located(error) from None
    return table


def find(name: str) -> Path:
    """The grid file that `name` means. Raises UserError, with the nearest, when none does."""
    known = shipped(FOLDER)
    for candidate in (Path(name), *(root / name for root in roots())):
        if candidate.is_file():
            return candidate
    if name in known:
        return known[name]
    raise UserError(f"{name}: no such grid.{did_you_mean(name, known)}")


def _typed(path: Path) -> tuple[str, Path]:
    """(how `dstbench run` is told of the file, the file): by a short name if that means it."""
    finders: dict[str, Callable[[str], Path]] = {
        path.stem: find_recipe, f"methods/{path.name}": find_gin
    }  # fmt: skip
    for short, find_file in finders.items():
        with suppress(UserError):
            if find_file(short).resolve() == path.resolve():
                return short, path
    return str(path.resolve()), path


def _dataset(name: str, folder: Path) -> str:
    """The dataset as it is typed: an id, or the path of a folder of images."""
    return str((folder / name).resolve()) if "/" in name else name
