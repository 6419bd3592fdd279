"""A configured run, from command-line choices or from a resolved gin text.

The order of choices is: the method's file, the recipe, further files, the axes (--sparsity, --seed,
…), --set, and the short options (--epochs, --lr, …). For the same parameter, the later one wins.
"""

from collections.abc import Sequence
from pathlib import Path

from dstbench.config import plugins
from dstbench.config.choices import Choices
from dstbench.config.gin_file import Reference, import_known, read_text, skip_import
from dstbench.config.identity import Resolved, literal
from dstbench.config.registry import names
from dstbench.config.resolver import Config
from dstbench.config.shipped_files import find_gin, find_recipe

# Imported for what they register: the classes that a gin file may name without importing them.
# Methods are not among them: a gin file imports the method it configures.
from dstbench.core import budgets, gradient_clip, layer_densities, method, schedules  # noqa: F401
from dstbench.data.preprocessing import Pipeline
from dstbench.errors import UserError, did_you_mean
from dstbench.models import resnet  # noqa: F401
from dstbench.optim import settings  # noqa: F401
from dstbench.training.settings import Run

DEFAULT_RECIPE = "digits"


def assemble(choices: Choices, precision: str) -> tuple[Run, Resolved]:
    """Return the run that the choices configure, with its identity.

    precision: this machine's default, 'bf16' or 'fp32'.

    Raises UserError for wrong choices.
    """
    config = configure(choices, precision)
    resolved = config.resolve()
    run = config.build(resolved)
    return run, resolved


def run_from_text(text: str, files: Sequence[Path]) -> Run:
    """Return the run that a resolved gin text configures.

    files: plugins, which register what the text names.
    """
    plugins.load(files)
    run, _ = resolved_run(text)
    return run


def resolved_run(text: str) -> tuple[Run, Resolved]:
    """Return the run that a resolved gin text configures, and what it resolves to here.

    The text may be anybody's: it imports modules of the suite only.
    """
    config = Config()
    config.add_text(text, "run.gin", import_known)
    resolved = config.resolve()
    return config.build(resolved), resolved


def pipeline_from_text(text: str) -> Pipeline:
    """Return the pipeline that a resolved gin text configures; the method is not needed for it.

    The text may be anybody's: it imports nothing.

    Raises UserError for a pipeline that is not registered or has wrong settings.
    """
    read = read_text(text, "run.gin", skip_import)
    chosen = next((b.value for b in read if str(b) == "Run.pipeline"), None)
    if not isinstance(chosen, Reference):
        raise UserError("run.gin: Run.pipeline is not set.")
    config = Config(chosen.name)
    for binding in read:
        if (binding.scope, binding.target) == (chosen.scope, chosen.name):
            line = f"{binding.target}.{binding.parameter} = {literal(binding.value)}"
            config.add_text(line, binding.where)
    pipeline: Pipeline = config.build(config.resolve())
    return pipeline


def configure(choices: Choices, precision: str) -> Config:
    """Return the choices' bindings, in order, before they are resolved."""
    plugins.load(choices.plugins)
    config = Config()
    further = list(choices.files)
    if choices.text:
        config.add_text(choices.text, "the method")
    else:
        config.add_file(find_gin(further.pop(0)))
    if choices.recipe or not config.sets("Run", "recipe"):  # a run's own run.gin is complete
        recipe = find_recipe(choices.recipe or DEFAULT_RECIPE)
        config.add_recipe(recipe)
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
    for name, value in choices.short:
        target, option = _target(config, name), f"--{name.replace('_', '-')}"
        _refuse_conflict(config, target, option)
        config.add_text(f"{target} = {value!r}", option)
    return config


def _refuse_conflict(config: Config, target: str, option: str) -> None:
    """Raise UserError if --set gives what a short option gives, too."""
    scoped, parameter = target.rsplit(".", 1)
    scope, _, name = scoped.rpartition("/")
    binding = config.bindings.find(scope, name, parameter)
    if binding is not None and binding.where.startswith("--set"):
        raise UserError(f"{option} and {binding.where} both give {target}. Remove one of them.")


def _target(config: Config, name: str) -> str:
    """Return the parameter that a short option sets: lr belongs to the run's optimizer."""
    if name != "lr":
        return f"Run.{name}"
    binding = config.bindings.find("", "Run", "optimizer")
    optimizer = binding and config.bindings.expand(binding.value, binding.where)
    if not isinstance(optimizer, Reference):
        raise UserError("--lr: no file so far chooses an optimizer (Run.optimizer).")
    scope = f"{optimizer.scope}/" if optimizer.scope else ""
    return f"{scope}{optimizer.name}.lr"


def _model_reference(name: str) -> Reference:
    models = names("models")
    if name not in models:
        raise UserError(f"--model {name}: no such model.{did_you_mean(name, models)}")
    return Reference(name, "", evaluate=False)
