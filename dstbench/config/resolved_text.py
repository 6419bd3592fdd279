"""Reads the resolved gin text of a record, without importing what it names.

The text may be a stranger's: nothing in it is executed, and no file that it names is read.
"""

import re
from dataclasses import dataclass
from typing import Any

from dstbench.config.gin_file import Reference, read_text
from dstbench.config.identity import identify, literal
from dstbench.errors import UserError

_INCLUDE = re.compile(r"^\s*include\b", re.MULTILINE)
_RUN = (
    *("batch_size", "dataset", "epochs", "lr_schedule", "method", "model", "optimizer"),
    *("pipeline", "precision", "protocol", "recipe", "seed", "split_seed", "train_images"),
)  # the parameters of a run; later versions of dstbench may have more


@dataclass(frozen=True)
class ResolvedText:
    """The bindings of a resolved configuration.

    imports: names of the modules that it imports.
    bindings: `scope/target.parameter` → value.
    """

    imports: tuple[str, ...]
    bindings: dict[str, Any]

    @property
    def method(self) -> str | None:
        """Name of the method; None if the configuration has none."""
        reference = self.bindings["Run.method"]
        if not isinstance(reference, Reference):
            return None
        scope = f"{reference.scope}/" if reference.scope else ""
        return self.bindings.get(f"{scope}{reference.name}.name")

    @property
    def model(self) -> str | None:
        """Name of the model's class; None if the configuration has none."""
        reference = self.bindings["Run.model"]
        return reference.name if isinstance(reference, Reference) else None

    @property
    def sparsities(self) -> set[Any]:
        """Values of every part's parameter `sparsity`; empty for a dense network."""
        return {value for name, value in self.bindings.items() if name.endswith(".sparsity")}

    @property
    def is_of_the_suite(self) -> bool:
        """Whether it imports modules of the suite only."""
        return all(name.startswith("dstbench.") for name in self.imports)


def read_resolved(text: str) -> ResolvedText:
    """Return the bindings of a resolved text.

    Raises UserError when: it is no text that `config.resolver` writes for a run: it is empty,
        includes a file, lacks a parameter of the run, or has a line more than once or out of order.
    """
    if _INCLUDE.search(text):
        raise UserError("includes a file; a resolved configuration includes none")
    imports: list[str] = []
    try:
        read = read_text(text, "config.text", lambda module, where: imports.append(module))
    except UserError as error:
        raise UserError(f"is not gin: {error.message.removeprefix('config.text: ')}") from None
    bindings = {str(binding): binding.value for binding in read}
    missing = [f"Run.{name}" for name in _RUN if f"Run.{name}" not in bindings]
    if missing:
        raise UserError(f"lacks {', '.join(missing)}")
    lines = [f"{name} = {literal(value)}" for name, value in bindings.items()]
    if identify([f"import {module}" for module in imports], lines).text != text:
        raise UserError("is not as dstbench writes it: sorted, each line once, without comments")
    return ResolvedText(tuple(imports), bindings)
