"""DenseEnds: a budget that keeps the first and the last layer dense."""

import torch

from dstbench.config.registry import register
from dstbench.core.budgets import Budget, apportion
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.sparsity import live_total


@register("parts")
class DenseEnds(Budget):
    """Keeps the first and the last prunable tensor dense; another budget divides the rest.

    As in Peste et al. 2021 (AC/DC), section 5, "uniform" sparsity. There, the sparsity is that of
    the other layers alone; here it is that of the whole network, as everywhere in dstbench, so
    that the other layers are sparser.

    of: the budget whose proportions the other tensors have, such as @Uniform().

    Raises UserError: from `live_counts`, when the live weights do not suffice for it.
    """

    def __init__(self, of: Budget):
        super().__init__(of.sparsity)
        self.of = of

    def proportion(self, shape: torch.Size) -> int:
        return self.of.proportion(shape)

    def live_counts(self, state: State, sparsity: float) -> dict[str, int]:
        """Return name → live weights of every prunable tensor; the total is exact."""
        sizes = {name: p.numel() for name, p in state.masks.parameters.items()}
        names = list(sizes)
        ends = {name: sizes[name] for name in (names[0], names[-1])}
        inner = [name for name in names if name not in ends]
        left = live_total(sparsity, state.dense_numel) - sum(ends.values())
        stored = sum(sizes[name] for name in inner)
        if not len(inner) <= left <= stored:
            raise UserError(
                f"sparsity {sparsity} leaves {left + sum(ends.values())} live weights. The first "
                f"and the last layer have {sum(ends.values())}, and the {len(inner)} others hold "
                f"from {len(inner)} to {stored}. Choose another sparsity, or leave DenseEnds out.",
                f"{type(self.of).__name__}.sparsity",
            )
        proportions = [self.of.proportion(state.masks.parameters[name].shape) for name in inner]
        counts = apportion(left, proportions, [sizes[name] for name in inner])
        found = ends | dict(zip(inner, counts, strict=True))
        return {name: found[name] for name in names}
