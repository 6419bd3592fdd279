"""The options that define a run, as they are given, → its choices; for every interface."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from dstbench.config.choices import AXES, SHORT, Choices
from dstbench.config.overrides import parse_override
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

    Raises UserError for a dataset folder that does not exist, a start that is no network, and an
        option beside a binding of the same parameter.
    """
    axes = given_of(AXES, given)
    if "dataset" in axes:
        axes["dataset"], data_root = split_dataset(str(axes["dataset"]), data_root)
    recipe, engine = given.get("recipe"), given.get("engine")
    added = (
        *(() if engine is None else (f"Run.engine={engine!r}",)),
        *_starting(given.get("start"), given.get("take")),
    )
    _refuse_doubled(sets, added)
    choices = Choices(
        files=files,
        recipe=None if recipe is None else str(recipe),
        axes=tuple(axes.items()),
        sets=(*sets, *added),
        plugins=plugins,
        short=tuple(given_of(SHORT, given).items()),
        text=text,
    )
    return choices, data_root


def given_of(names: tuple[str, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the options that are given, such as {"epochs": 5}, in the order of names."""
    return {name: given[name] for name in names if given.get(name) is not None}


def _refuse_doubled(sets: tuple[str, ...], added: tuple[str, ...]) -> None:
    """Raise UserError if a binding gives what an option gives, too."""
    own = {str(b): text for text in sets for b in parse_override(text, f"--set {text!r}")}
    options = {"Run.engine": "--engine", "StartingNetwork.take": "--take"}
    for binding in (b for text in added for b in parse_override(text, repr(text))):
        if str(binding) in own:
            option = options.get(str(binding), "--from")
            raise UserError(
                f"{option} and --set {own[str(binding)]!r} both give {binding}. Remove one of them."
            )


def _starting(start: str | Path | None, take: Take | None) -> tuple[str, ...]:
    """Return the bindings of a run that begins with the network of another one, if it does."""
    if take not in (None, *get_args(Take)):  # from Python
        raise UserError(f"take = {take!r}: expected 'both', 'weights' or 'masks'.")
    if start is None:
        if take is not None:
            raise UserError(f"take = {take!r}: give the run to take from, with start (--from).")
        return ()
    return starting_bindings(str(start), take)
