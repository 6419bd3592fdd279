"""LayerDensities: a budget in which some layers have a density of their own, or stay dense."""

import copy
from collections.abc import Mapping
from fnmatch import fnmatch

from torch import Tensor

from dstbench.config.registry import register
from dstbench.core.budget import Budget
from dstbench.core.state import State
from dstbench.errors import UserError, did_you_mean, require
from dstbench.sparsity import live_total


@register("parts")
class LayerDensities(Budget):
    """Gives layers a fixed density, and divides the other live weights as another budget does.

    The total is that of the other budget: what the fixed layers have, the others lack. So the
    sparsity of the network is counted as ever, and a layer that is kept dense costs live weights.

    of: budget of the other layers, such as @ERK(); the sparsity is its.
    densities: layers → density in (0, 1], such as {'first': 1.0, 'stages.3.*': 0.002}. A layer is
        'first', 'last' (in the model's order), or a pattern of names of tensors, with or without
        '.weight'; * matches anything.

    Raises UserError: for a density out of range; later, for a pattern that matches no layer, two
        densities of one layer, and fixed layers that take too many live weights.
    """

    fixes_layers = True

    def __init__(self, of: Budget, densities: dict[str, float]):
        for pattern, density in densities.items():
            allowed = f"a name and a density in (0, 1], not {pattern!r}: {density!r}"
            is_number = isinstance(density, int | float) and not isinstance(density, bool)
            valid = isinstance(pattern, str) and is_number and 0 < density <= 1
            require(valid, self, "densities", densities, allowed)
        super().__init__(of.sparsity)
        self.of, self.densities = of, dict(densities)
        self.over_budget = of.over_budget

    def check(self, total_steps: int) -> None:
        self.of.check(total_steps)

    def live_counts(self, state: State, sparsity: float) -> dict[str, int]:
        """Return name → live weights of every prunable tensor; the total is exact.

        Raises UserError: as the class says, and as `of` does for the other layers.
        """
        tensors = state.masks.parameters
        counts = {n: max(1, round(d * tensors[n].numel())) for n, d in self._fixed(tensors).items()}
        total, fixed = live_total(sparsity, state.dense_numel), sum(counts.values())
        left = total - fixed
        others = {name: p for name, p in tensors.items() if name not in counts}
        room = sum(p.numel() for p in others.values())
        if not len(others) <= left <= room:
            raise UserError(
                f"LayerDensities: the layers with a density of their own have "
                f"{fixed:,} of {total:,} live weights, and the {len(others)} others can have "
                f"{len(others):,} to {room:,}. Change the densities or the sparsity.",
                "LayerDensities.densities",
            )
        if others:
            rest = copy.copy(state)
            rest.masks = copy.copy(state.masks)
            rest.masks.parameters = others
            counts |= self.of.live_counts(rest, 1 - left / state.dense_numel)
        return {name: counts[name] for name in tensors}

    def _fixed(self, tensors: Mapping[str, Tensor]) -> dict[str, float]:
        """Return tensor name → its density, for those that have one of their own."""
        names, found = list(tensors), dict[str, float]()
        ends = {"first": names[0], "last": names[-1]}
        for pattern, density in self.densities.items():
            wanted = ends.get(pattern, pattern)
            matching = [n for n in names if fnmatch(n, wanted) or fnmatch(n, f"{wanted}.weight")]
            if not matching:
                near = did_you_mean(pattern, [*names, *ends])
                raise UserError(
                    f"LayerDensities: no layer is called {pattern!r}.{near}",
                    "LayerDensities.densities",
                )
            for name in matching:
                if found.setdefault(name, density) != density:
                    raise UserError(
                        f"LayerDensities: {name} has two densities, {found[name]} and {density}. "
                        "Change one of the patterns that match it.",
                        "LayerDensities.densities",
                    )
        return found
