"""Pruning by magnitude: which layers keep how many live weights, and which weights these are.

What gradual pruning, AC/DC, GraNet and iterative magnitude pruning share. A rule divides the live
weights among layers: `GlobalMagnitude`, or a budget, such as ERK, of shapes alone.
"""

import torch
from torch import Tensor

from dstbench.config.registry import register
from dstbench.core.budget import Budget
from dstbench.core.masks import flat
from dstbench.core.part import Part
from dstbench.core.selection import largest
from dstbench.core.state import BudgetRule, State
from dstbench.errors import UserError
from dstbench.sparsity import live_total, lowest_sparsity


@register("parts")
class GlobalMagnitude(Part):
    """Divides live weights among layers by magnitude: the largest |w| over all layers are kept.

    Layers may end empty. Only live weights are kept, so a part that prunes by it prunes further,
    and a dead weight does not come back.
    """

    fixes_layers = False

    @property
    def budget(self) -> BudgetRule:
        return self

    @torch.no_grad()
    def live_counts(self, state: State, sparsity: float) -> dict[str, int]:
        """Return name → live weights of every prunable tensor; the total is exact.

        sparsity: fraction removed of the original network's prunable weights.

        Raises UserError: when no weight would be left, or more than are live now.
        """
        total, live = live_total(sparsity, state.dense_numel), state.masks.total()
        if not 1 <= total <= live:
            lowest = lowest_sparsity(live, state.dense_numel)
            raise UserError(
                f"sparsity {sparsity} asks for {total} live weights, and GlobalMagnitude chooses "
                f"them among the {live} that are live. Ask for a sparsity of at least {lowest:.9f} "
                "that keeps one weight."
            )
        magnitudes = [_live_magnitudes(state, name) for name in state.masks.parameters]
        ends = torch.tensor([len(m) for m in magnitudes]).cumsum(0)
        chosen = largest(torch.cat(magnitudes), total, state.rng).cpu()
        tensors = torch.bucketize(chosen, ends, right=True)
        counts = torch.bincount(tensors, minlength=len(ends)).tolist()
        return dict(zip(state.masks.parameters, counts, strict=True))


Division = Budget | GlobalMagnitude  # a rule that divides live weights among layers


def refuse_other_sparsity(part: Part, of: Division) -> None:
    """Raise UserError where a part's budget has another sparsity than the part."""
    if isinstance(of, Budget) and of.sparsity != part.sparsity:
        mine, its = type(part).__name__, type(of).__name__
        raise UserError(
            f"{mine}.sparsity = {part.sparsity} and {its}.sparsity = {of.sparsity}. "
            "Give them the same sparsity.",
            f"{its}.sparsity",
        )


def stored_fraction(state: State) -> float:
    """Return stored ÷ original prunable weights: 1, or less where layers share tensors."""
    return sum(p.numel() for p in state.masks.parameters.values()) / state.dense_numel


def keep_largest_(state: State, counts: dict[str, int]) -> None:
    """Prune each tensor to the live weights of its largest magnitudes, ties broken at random.

    counts: tensor → weights that stay live, at most those that are.
    """
    for name, count in counts.items():
        if count < state.masks.live(name):
            kept = largest(_live_magnitudes(state, name), count, state.rng)
            state.set_live_(name, state.masks.index(name)[kept] if name in state.masks else kept)


def make_all_live_(state: State) -> None:
    """Make every prunable weight live; those that were dead start at zero."""
    for name, parameter in state.masks.parameters.items():
        state.set_live_(name, torch.arange(parameter.numel(), device=parameter.device))


def _live_magnitudes(state: State, name: str) -> Tensor:
    """Return |w| of a tensor's live weights, (live,), in the order of `masks.index`."""
    weights = flat(state.masks.parameters[name])
    return (weights[state.masks.index(name)] if name in state.masks else weights).abs()
