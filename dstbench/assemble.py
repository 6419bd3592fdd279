"""Command-line choices → a configured run.

The order is: the method's file, the recipe, further files, the axes (--sparsity, --seed, …), --set.
For the same parameter, the later one wins.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dstbench import builtin
from dstbench.config import Config, Resolved, plugins
from dstbench.config.ginfile import Reference
from dstbench.config.shipped import find_gin, find_recipe
from dstbench.errors import UserError, did_you_mean
from dstbench.registry import names
from dstbench.run import Run

DEFAULT_RECIPE = "digits"

assert builtin  # imported for what it registers


@dataclass(frozen=True)
class Choices:
    """What was typed about the run itself; None means "as the recipe has it".

    files: gin files, the method's first. axes: macro name → value. sets: gin bindings as text.
    """

    files: tuple[str, ...]
    recipe: str | None = None
    axes: tuple[tuple[str, Any], ...] = ()
    sets: tuple[str, ...] = ()
    plugins: tuple[Path, ...] = ()


def assemble(choices: Choices, precision: str) -> tuple[Run, Resolved]:
    """The run that the choices mean, with its identity. `precision` is this machine's default.

    Raises UserError for everything that is wrong with them.
    """
    config = configure(choices, precision)
    resolved = config.resolve()
    run = config.build(resolved)
    return run, resolved


def configure(choices: Choices, precision: str) -> Config:
    """All the bindings, in order, before they are resolved."""
    plugins.load(choices.plugins)
    config = Config()
    method, *further = choices.files
    config.add_file(find_gin(method))
    if choices.recipe or not config.sets("Run", "recipe"):  # a run's own run.gin is complete
        recipe = find_recipe(choices.recipe or DEFAULT_RECIPE)
        config.add_file(recipe, speaks_to_all=True)
        config.add_text(f"Run.recipe = {recipe.stem!r}", "--recipe")
    config.set_macro("precision", precision, "this machine's default", default=True)
    for name in further:
        config.end_stage()
        config.add_file(find_gin(name))
    config.end_stage()
    for name, value in choices.axes:
        if name == "model":
            value = _model_reference(value)
        config.set_macro(name, value, f"--{name}")
    for text in choices.sets:
        if "=" not in text:
            raise UserError(f"--set {text!r}: expected NAME=VALUE, such as RigL.drop_fraction=0.3.")
        config.add_text(text, f"--set {text!r}")
    return config


def _model_reference(name: str) -> Reference:
    models = names("models")
    if name not in models:
        raise UserError(f"--model {name}: no such model.{did_you_mean(name, models)}")
    return Reference(name, "", evaluate=False)
