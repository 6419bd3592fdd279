"""The choices that define a run: gin files, recipe, axes and bindings; and their command line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

AXES = ("sparsity", "seed", "dataset", "model", "protocol")  # options for macros
SHORT = ("epochs", "batch_size", "lr")  # options for bindings that every run has


@dataclass(frozen=True)
class Choices:
    """What `dstbench run` and a grid choose about a run.

    files: gin files, the method's first.
    recipe: name or gin file; None for the default recipe.
    axes: (macro name, value) pairs, such as ("sparsity", 0.9), by names of AXES.
    sets: gin bindings as text.
    plugins: Python files that register methods or models.
    short: (name, value) pairs of settings that every run has, by names of SHORT.
    text: gin text of the method, where it is in no file.
    """

    files: tuple[str, ...]
    recipe: str | None = None
    axes: tuple[tuple[str, Any], ...] = ()
    sets: tuple[str, ...] = ()
    plugins: tuple[Path, ...] = ()
    short: tuple[tuple[str, Any], ...] = ()
    text: str = ""

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arguments of `dstbench run` (and `cost`) that make these choices."""
        options = [] if self.recipe is None else [("recipe", self.recipe)]
        options += [(name, str(value)) for name, value in self.axes]
        options += [(name.replace("_", "-"), str(value)) for name, value in self.short]
        options += [("set", text) for text in self.sets]
        options += [("plugin", str(path)) for path in self.plugins]
        return (*self.files, *(word for name, text in options for word in (f"--{name}", text)))
