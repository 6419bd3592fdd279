"""The options that define a run, as they are given, → its choices; for every interface."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from dstbench.config.choices import AXES, SHORT, Choices
from dstbench.data.dataset_folder import split_dataset
from dstbench.errors import UserError
from dstbench.training.starting_network import Take, starting_bindings


def choices_of(
    given: Mapping[str, Any],
    files: tuple[str, ...],
    sets: tuple[str, ...],
    plugins: tuple[Path, ...],
    data_root: Path | None,
    text: str = "",
) -> tuple[Choices, Path | None]:
    """Return the choices that define a run, and the folder of datasets.

    given: option → value: recipe, engine, start, take, those of AXES and those of SHORT; None, or
        absent, where it is not given. Further options are not read.
    files, sets, plugins, text: as in Choices; sets without those of `given`.
    data_root: folder of datasets, None for the default one.

    Raises UserError for a dataset folder that does not exist, and a start that is no network.
    """
    axes = given_of(AXES, given)
    if "dataset" in axes:
        axes["dataset"], data_root = split_dataset(str(axes["dataset"]), data_root)
    recipe, engine = given.get("recipe"), given.get("engine")
    choices = Choices(
        files=files,
        recipe=None if recipe is None else str(recipe),
        axes=tuple(axes.items()),
        sets=(
            *sets,
            *(() if engine is None else (f"Run.engine={engine!r}",)),
            *_starting(given.get("start"), given.get("take")),
        ),
        plugins=plugins,
        short=tuple(given_of(SHORT, given).items()),
        text=text,
    )
    return choices, data_root


def given_of(names: tuple[str, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the options that are given, such as {"epochs": 5}, in the order of names."""
    return {name: given[name] for name in names if given.get(name) is not None}


def _starting(start: str | Path | None, take: Take | None) -> tuple[str, ...]:
    """Return the bindings of a run that begins with the network of another one, if it does."""
    if take not in (None, *get_args(Take)):  # from Python
        raise UserError(f"take = {take!r}: expected 'both', 'weights' or 'masks'.")
    if start is None:
        if take is not None:
            raise UserError(f"take = {take!r}: give the run to take from, with start (--from).")
        return ()
    return starting_bindings(str(start), take)
