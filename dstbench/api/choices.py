"""Keyword arguments → the choices that define a run, as the command line's options are."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from torch import nn

from dstbench.config.choices import Choices
from dstbench.config.identity import literal
from dstbench.config.registry import names
from dstbench.core.part import Part
from dstbench.data.dataset_folder import split_dataset
from dstbench.errors import UserError

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
    plugins: Sequence[str | Path]


def choose(
    method: MethodLike, data_root: str | Path | None = None, **given: Any
) -> tuple[Choices, Path | None]:
    """Return the choices, and the folder of datasets.

    method: name or gin file of a method, or the registered class of a part.
    given: as in ChoiceArguments.

    Raises UserError for a class that is not registered, and a dataset folder that does not exist.
    """
    text = "" if isinstance(method, str | Path) else method_text(method)
    root = None if data_root is None else Path(data_root)
    dataset = given.get("dataset")
    if dataset is not None:
        dataset, root = split_dataset(str(dataset), root)
    model = given.get("model")
    axes = {
        "sparsity": given.get("sparsity"),
        "seed": given.get("seed"),
        "dataset": dataset,
        "model": model if isinstance(model, str | None) else model.__name__,
        "protocol": given.get("protocol"),
    }
    recipe, engine = given.get("recipe"), given.get("engine")
    sets = [f"{name} = {_value(value)}" for name, value in (given.get("set") or {}).items()]
    sets += [] if engine is None else [f"Run.engine = {engine!r}"]
    short = {name: given.get(name) for name in ("epochs", "batch_size", "lr")}
    choices = Choices(
        files=() if text else (str(method),),
        recipe=None if recipe is None else str(recipe),
        axes=tuple((name, value) for name, value in axes.items() if value is not None),
        sets=tuple(sets),
        plugins=tuple(Path(path) for path in given.get("plugins", ())),
        short=tuple((name, value) for name, value in short.items() if value is not None),
        text=text,
    )
    return choices, root


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
    name = part.__name__
    if name not in names("parts"):
        raise UserError(
            f"{name} is not registered. Write @dstbench.register('parts') above the class."
        )
    return (
        f"Run.method = @Method()\nMethod.name = {name!r}\nMethod.parts = [@ERK(), @{name}()]\n"
        "ERK.sparsity = %sparsity\n"
    )


def _value(value: Any) -> str:
    """Return a value as gin text; text that begins with @ or % is gin's already."""
    if isinstance(value, str) and value[:1] in ("@", "%"):
        return value
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(v) for v in value)}]"
    return literal(value)
