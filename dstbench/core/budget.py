"""Budget: a part that chooses random first masks, and says how many weights each layer keeps."""

from abc import ABC, abstractmethod

from dstbench.core.part import Part
from dstbench.core.selection import random_subset
from dstbench.core.state import State
from dstbench.errors import UserError, require_sparsity


class Budget(Part, ABC):
    """Chooses random first masks with exact counts; a subclass decides the counts.

    sparsity: fraction removed of the original network's prunable weights, in [0, 1).
    fixes_layers: whether layers have a density of their own, which they are meant to keep; a class
        attribute.
    """

    fixes_layers = False

    def __init__(self, sparsity: float):
        require_sparsity(self, sparsity)
        self.sparsity = sparsity

    @property
    def budget(self) -> "Budget":
        return self

    @abstractmethod
    def live_counts(self, state: State, sparsity: float) -> dict[str, int]:
        """Return name → live weights of every prunable tensor; the total is exact.

        No tensor's count may fall when the sparsity falls.

        sparsity: fraction removed of the original network's prunable weights.

        Raises UserError: when the network cannot have it.
        """

    def init_masks(self, state: State) -> None:
        for name, count in self.live_counts(state, self.sparsity).items():
            parameter = state.masks.parameters[name]
            index = random_subset(parameter.numel(), count, state.rng)
            state.set_live_(name, index.to(parameter.device))


class OfBudget(Part):
    """A part whose live weights another budget divides among layers.

    of: the budget.

    Raises UserError: when `of` is no budget.
    """

    def __init__(self, of: Budget):
        if not isinstance(of, Budget):
            name = type(self).__name__
            raise UserError(
                f"{name}.of = @{type(of).__name__}(): it divides no live weights among layers. Use "
                "a budget, such as @ERK().",
                f"{name}.of",
            )
        self.of, self.sparsity = of, of.sparsity

    @property
    def budget(self) -> Budget:
        return self.of

    def check(self, total_steps: int) -> None:
        self.of.check(total_steps)
