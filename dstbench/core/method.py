"""Method: a list of parts that is itself a Part."""

from collections.abc import Sequence

from dstbench.config.registry import register
from dstbench.core.part import Part
from dstbench.core.schedules import Schedule
from dstbench.core.state import BudgetRule, State
from dstbench.errors import UserError, require


@register("parts")
class Method(Part):
    """A list of parts; every hook calls the same hook of each part, in order.

    name: name of the method in records and tables.
    parts: its parts; an empty list trains a dense network.

    Raises UserError: when the parts cannot be combined, see `_check_composition`.
    """

    def __init__(self, name: str, parts: Sequence[Part] = ()):
        allowed = "a name for records and tables"
        require(bool(name.strip()), self, "name", name, allowed)
        self.name, self.parts = name, tuple(parts)
        self._check_composition()
        self.sparsity = max((part.sparsity for part in self.parts), default=0.0)
        self.moves_masks = any(part.moves_masks for part in self.parts)
        self.redistributes = any(part.redistributes for part in self.parts)
        self.dense_to_sparse = any(part.dense_to_sparse for part in self.parts)
        self.over_budget = any(part.over_budget for part in self.parts)
        self.over_budget |= self.budget is not None and self.budget.over_budget
        self.needs_budget = any(part.needs_budget for part in self.parts)

    def _check_composition(self) -> None:
        """Refuse lists of parts that cannot be combined."""
        for part in self.parts:
            if not isinstance(part, Part):
                raise UserError(
                    f"Method.parts contains {part!r}, which is no part. "
                    "Write parts as '@ERK()', with the brackets.",
                    "Method.parts",
                )
        self._check_masks()
        self._check_budget()
        self._check_conflicts()
        self._check_sparsity()

    def _check_masks(self) -> None:
        """At most one part initialises masks, at most one moves them, and none moves without."""
        initialising = [_name(part) for part in self.parts if part.initialises_masks]
        moving = [_name(part) for part in self.parts if part.moves_masks]
        if len(initialising) > 1:
            raise self._error(
                f"{' and '.join(initialising)} both initialise the masks. Keep one of them."
            )
        if len(moving) > 1:
            raise self._error(f"{' and '.join(moving)} both move the masks. Keep one of them.")
        if moving and not initialising:
            raise self._error(
                f"{moving[0]} moves masks, but no part initialises them. "
                "Put ERK (or another budget, or SynFlow) before it."
            )

    def _check_budget(self) -> None:
        """A part that needs a budget has one; none moves weights that a budget keeps in place."""
        needing = [_name(part) for part in self.parts if part.needs_budget]
        if needing and self.budget is None:
            raise self._error(
                f"{needing[0]} needs a part that divides live weights among layers. "
                "Put ERK (or EPL, or Uniform) before it."
            )
        redistributing = [_name(part) for part in self.parts if part.redistributes]
        if redistributing and self.budget is not None and self.budget.fixes_layers:
            raise self._error(
                f"{redistributing[0]} moves live weights between layers, so none would keep the "
                f"density that {type(self.budget).__name__} gives it. Use another budget, or a "
                "part that keeps the counts of layers."
            )

    def _check_conflicts(self) -> None:
        """No part declares a conflict with another."""
        for part in self.parts:
            for other in self.parts:
                if reason := part.conflicts.get(_name(other)):
                    pair = f"{_name(part)} and {_name(other)}"
                    raise self._error(f"{pair} cannot be combined: {reason}.")

    def _check_sparsity(self) -> None:
        """All parts that decide the sparsity are given the same one."""
        deciding = [part for part in self.parts if part.initialises_masks or part.needs_budget]
        if len({part.sparsity for part in deciding}) > 1:
            given = " and ".join(f"{_name(part)}.sparsity = {part.sparsity}" for part in deciding)
            raise self._error(f"{given}. Give them the same sparsity.")

    def _error(self, message: str) -> UserError:
        return UserError(f"{self.name}: {message}", "Method.parts")

    @property
    def initialises_masks(self) -> bool:
        return any(part.initialises_masks for part in self.parts)

    @property
    def budget(self) -> BudgetRule | None:
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

    def needs_dense_gradients(self, step: int, total_steps: int) -> bool:
        return any(part.needs_dense_gradients(step, total_steps) for part in self.parts)

    def requires_dense_gradients(self, step: int, total_steps: int) -> bool:
        return any(part.requires_dense_gradients(step, total_steps) for part in self.parts)

    def extra_training_macs(self, state: State) -> int:
        return sum(part.extra_training_macs(state) for part in self.parts)

    def notes(self, state: State) -> list[str]:
        notes = [note for part in self.parts for note in part.notes(state)]
        if self.over_budget:
            notes.append(
                f"{self.name} may leave more live weights than its sparsity, by its settings; if "
                "it does, no leaderboard takes its record."
            )
        return notes

    def lr_schedule(self, of: Schedule) -> Schedule:
        for part in self.parts:
            of = part.lr_schedule(of)
        return of

    def final_structure_step(self, total_steps: int) -> int:
        return max((part.final_structure_step(total_steps) for part in self.parts), default=0)


def _name(part: Part) -> str:
    return type(part).__name__
