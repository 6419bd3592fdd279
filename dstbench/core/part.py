"""State, Part, Method: the one idea of the suite.

A method is a list of parts, and a Method is itself a Part. Parts hold settings; everything that
changes during a run lives in one State, and the State is the checkpoint.
"""

from typing import TYPE_CHECKING, ClassVar

from dstbench.core.state import State

if TYPE_CHECKING:
    from dstbench.core.budgets import Budget


class Part:
    """One ingredient of a method: hooks in the order a run meets them, each doing nothing here.

    A part's attributes are settings and never change during a run; what changes goes to the State.

    sparsity: the sparsity that the finished network is to have, where this part decides it.
    moves_masks: whether this part moves masks that another part has initialised.
    needs_budget: whether it asks another part how live weights divide among layers.
    conflicts: class name → why this part cannot stand beside a part of that class.
    """

    sparsity: float = 0.0
    moves_masks: bool = False
    needs_budget: bool = False
    conflicts: ClassVar[dict[str, str]] = {}

    @property
    def initialises_masks(self) -> bool:
        return type(self).init_masks is not Part.init_masks

    @property
    def budget(self) -> "Budget | None":
        """The rule that divides live weights among layers, if this part is one."""
        return None

    def check(self, total_steps: int) -> None:
        """Refuse, with a UserError, a run in which this part makes no sense."""

    def surgery(self, state: State) -> None:
        """Replace or re-parametrise modules; no optimizer exists yet."""

    def init_masks(self, state: State) -> None:
        """Choose the first masks. Not called on resume. One part of a method does this."""

    def before_step(self, state: State) -> None:
        """Set what is a pure function of progress."""

    def after_backward(self, state: State) -> None:
        """Gradients are dense and averaged over devices; the weights have not moved yet."""

    def after_step(self, state: State) -> None:
        """The weights have moved, gradients are still there: the only place a mask moves."""

    def finish(self, state: State) -> None:
        """Leave the network that is deployed."""

    def final_structure_step(self, total_steps: int) -> int:
        """The step from which the network is of the kind that is deployed (as sparse, as plain)."""
        return 0
