"""Keyword arguments → the choices that define a run, as the command line's options are."""

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from torch import nn

from dstbench.api.given_paths import optional_path, paths
from dstbench.config.choices import Choices
from dstbench.config.identity import gin_text
from dstbench.config.registry import refuse_incomplete, refuse_stranger
from dstbench.core.part import Part
from dstbench.errors import UserError, did_you_mean
from dstbench.training.given_choices import choices_of
from dstbench.training.starting_network import Take

_NAME = re.compile(r"[\w./]+")
_VALUES = (bool, int, float, str, type(None), list, tuple, dict)

MethodLike = str | Path | type[Part]


class ChoiceArguments(TypedDict, total=False):
    """The keyword arguments of `run` and `cost` that define a run.

    recipe: name or gin file of the training recipe; None for 'digits'.
    sparsity: fraction of the weights that are removed, such as 0.99.
    seed: of weights, masks and batches.
    dataset: id of a dataset, or its folder.
    model: name or class of a registered model, or the function that makes it.
    protocol: 'strict', 'paper', 'itop_compat' or 'all_images'.
    epochs: passes over the training images.
    batch_size: images a step.
    lr: peak learning rate of the recipe's optimizer.
    set: binding → value, such as {"RigL.drop_fraction": 0.3}; text that begins with @ or % is
        gin's, such as {"Run.lr_schedule": "@Cosine()"}.
    engine: 'auto', 'torch' or 'native'.
    start: begin with the network of another run: its folder, a network's file, or a state dict
        saved by torch.
    take: what to take of it: 'both' (default), 'weights' or 'masks'.
    plugins: Python files that register methods or models.
    """

    recipe: str | Path | None
    sparsity: float | None
    seed: int | None
    dataset: str | Path | None
    model: str | Callable[..., nn.Module] | None
    protocol: str | None
    epochs: int | None
    batch_size: int | None
    lr: float | None
    set: Mapping[str, Any] | None
    engine: str | None
    start: str | Path | None
    take: Take | None
    plugins: Sequence[str | Path]


def choose(
    method: MethodLike, data_root: str | Path | None = None, **given: Any
) -> tuple[Choices, Path | None]:
    """Return the choices, and the folder of datasets.

    method: name or gin file of a method, or the registered class of a part.
    given: as in ChoiceArguments.

    Raises UserError for a class that is not registered, and a dataset folder that does not exist.
    """
    given = {name: _plain(value) for name, value in given.items()}
    _refuse_unknown(given)
    text = "" if isinstance(method, str | Path) else method_text(method)
    if not isinstance(model := given.get("model"), str | None):
        refuse_stranger(model, "models")
        given["model"] = model.__name__
    return choices_of(
        given,
        files=() if text else (str(method),),
        sets=tuple(f"{name} = {gin_text(value)}" for name, value in _bindings(given.get("set"))),
        plugins=paths(given.get("plugins")),
        data_root=optional_path("data_root", data_root),
        text=text,
    )


def method_text(part: type[Part]) -> str:
    """Return the gin text of a method of random ERK masks and one part.

    part: a registered class, perhaps of a notebook.

    Raises UserError for a class that is no registered part.
    """
    if not (inspect.isclass(part) and issubclass(part, Part)):
        raise UserError(
            f"{part!r} is no method. Give the name of a method, a gin file, or a class that "
            "derives from dstbench.Part."
        )
    refuse_stranger(part, "parts")
    refuse_incomplete(part)
    name = part.__name__
    return (
        f"Run.method = @Method()\nMethod.name = {name!r}\nMethod.parts = [@ERK(), @{name}()]\n"
        "ERK.sparsity = %sparsity\n"
    )


def _refuse_unknown(given: Mapping[str, Any]) -> None:
    """Raise UserError for a keyword that no run has, and for a number that is none."""
    known = sorted(ChoiceArguments.__annotations__)
    for name, value in given.items():
        if name not in known:
            raise UserError(f"{name}: no such argument.{did_you_mean(name, known)}")
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{name} = {value}: expected a finite number.")


def _plain(value: Any) -> Any:
    """Return numbers of NumPy, and in lists, as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def _bindings(given: Any) -> list[tuple[str, Any]]:
    if given is None:
        return []
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise UserError(
            f'set = {given!r}: expected names and values, such as {{"RigL.drop_fraction": 0.3}}.'
        )
    for name, value in given.items():
        if not _NAME.fullmatch(name):
            raise UserError(f"set: {name!r} is no setting. Give a name such as RigL.drop_fraction.")
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"set: {name} = {value}: expected a finite number.")
        if not isinstance(value, _VALUES):
            raise UserError(
                f"set: {name} = {value!r}: expected a number, a text, None, a list of these, or "
                "gin's text for an object, such as '@Cosine()'."
            )
    return list(given.items())
