"""Method: a list of parts that is itself a Part."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dstbench.config.registry import register
from dstbench.errors import UserError

if TYPE_CHECKING:
    from dstbench.core.budgets import Budget
from dstbench.core.part import Part
from dstbench.core.state import State


@register("parts")
class Method(Part):
    """A list of parts, run in order at every hook.

    name: how the method is called in records and tables.
    parts: its parts; none is a dense network.

    Raises UserError for two parts that both choose the first masks, and for a part that moves
    masks when none chooses them.
    """

    def __init__(self, name: str, parts: Sequence[Part] = ()):
        self.name, self.parts = name, tuple(parts)
        for part in self.parts:
            if not isinstance(part, Part):
                raise UserError(
                    f"Method.parts holds {part!r}, which is no part. "
                    "Write parts as '@ERK()', with the brackets.",
                    "Method.parts",
                )
        choosing = [type(p).__name__ for p in self.parts if p.initialises_masks]
        if len(choosing) > 1:
            raise UserError(
                f"{name}: {' and '.join(choosing)} both initialise the masks. Keep one of them.",
                "Method.parts",
            )
        moving = [type(p).__name__ for p in self.parts if p.moves_masks]
        if len(moving) > 1:
            raise UserError(
                f"{name}: {' and '.join(moving)} both move the masks. Keep one of them.",
                "Method.parts",
            )
        if moving and not choosing:
            raise UserError(
                f"{name}: {moving[0]} moves masks, but no part initialises them. "
                "Put ERK (or another budget, or SynFlow) before it.",
                "Method.parts",
            )

        if any(p.needs_budget for p in self.parts) and self.budget is None:
            needing = next(type(p).__name__ for p in self.parts if p.needs_budget)
            raise UserError(
                f"{name}: {needing} needs a part that divides live weights among layers. "
                "Put ERK (or EPL, or Uniform) before it.",
                "Method.parts",
            )
        for part in self.parts:
            for other in self.parts:
                if reason := part.conflicts.get(type(other).__name__):
                    pair = f"{type(part).__name__} and {type(other).__name__}"
                    raise UserError(f"{name}: {pair} cannot go together: {reason}.", "Method.parts")
        deciding = [p for p in self.parts if p.initialises_masks or p.needs_budget]
        asked = {type(p).__name__: p.sparsity for p in deciding}
        if len(set(asked.values())) > 1:
            told = " and ".join(f"{part}.sparsity = {s}" for part, s in asked.items())
            raise UserError(f"{name}: {told}. Give them the same sparsity.", "Method.parts")
        self.sparsity = max((p.sparsity for p in self.parts), default=0.0)
        self.moves_masks = bool(moving)

    @property
    def initialises_masks(self) -> bool:
        return any(part.initialises_masks for part in self.parts)

    @property
    def budget(self) -> "Budget | None":
        return next((part.budget for part in self.parts if part.budget), None)

    def check(self, total_steps: int) -> None:
        for part in self.parts:
            part.check(total_steps)

    def surgery(self, state: State) -> None:
        for part in self.parts:
            part.surgery(state)

    def init_masks(self, state: State) -> None:
        for part in self.parts:
            part.init_masks(state)

    def before_step(self, state: State) -> None:
        for part in self.parts:
            part.before_step(state)

    def after_backward(self, state: State) -> None:
        for part in self.parts:
            part.after_backward(state)

    def after_step(self, state: State) -> None:
        for part in self.parts:
            part.after_step(state)

    def finish(self, state: State) -> None:
        for part in self.parts:
            part.finish(state)

    def final_structure_step(self, total_steps: int) -> int:
        return max((part.final_structure_step(total_steps) for part in self.parts), default=0)
