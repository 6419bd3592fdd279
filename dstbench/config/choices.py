"""What was chosen about a run: its gin files, recipe, axes and bindings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


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
