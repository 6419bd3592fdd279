"""Command-line choices → a configured run.

The order is: the method's file, the recipe, further files, the axes (--sparsity, --seed, …), --set.
For the same parameter, the later one wins.
"""

from dstbench.config import plugins
from dstbench.config.choices import Choices
from dstbench.config.gin_file import Reference
from dstbench.config.identity import Resolved
from dstbench.config.registry import names
from dstbench.config.resolver import Config
from dstbench.config.shipped_files import find_gin, find_recipe
from dstbench.errors import UserError, did_you_mean
from dstbench.training import registered
from dstbench.training.settings import Run

DEFAULT_RECIPE = "digits"

assert registered  # imported for what it registers


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
        config.add_file(recipe, allow_unused=True)
        config.add_text(f"Run.recipe = {recipe.stem!r}", "--recipe")
    config.set_macro("precision", precision, "this machine's default", default=True)
    for name in further:
        config.mark_used()
        config.add_file(find_gin(name))
    config.mark_used()
    for name, value in choices.axes:
        if name == "model":
            value = _model_reference(value)
        config.set_macro(name, value, f"--{name}")
    for text in choices.sets:
        config.add_override(text)
    return config


def _model_reference(name: str) -> Reference:
    models = names("models")
    if name not in models:
        raise UserError(f"--model {name}: no such model.{did_you_mean(name, models)}")
    return Reference(name, "", evaluate=False)
