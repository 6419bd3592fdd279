"""DropGrow: one mask update of every drop-and-grow method, with exact counts.

An update handles each layer on its own. With the drop fraction α, the layer's `live` weights and
its `target` of live weights:

    swap = min(⌈α · live⌉, min(live, target) − 1)
    drop = swap + max(0, live − target)       smallest magnitudes among the live weights
    grow = swap + max(0, target − live)       highest growth scores among the other weights

so a layer always ends with exactly `target` live weights. Weights just dropped may grow again.
Methods differ in the growth score, some in the drop score too. One that moves live weights between
layers overrides `rewire`, and calls `exchange` with the counts of each layer.

A tensor that is frozen, or has no gradient in a step that gave others one, keeps its mask, with a
random growth score too: no score ranks its weights, and what grew would start at zero and stay
there, in exchange for a trained or pretrained weight. Only the excess over a lower target is
dropped, so that a schedule of the sparsity ends at its budget; the next update with a gradient
makes up for missed growth. A frozen tensor gets a first mask, and counts in the sparsity, like all
others.

Sources: Evci et al. 2020, Algorithm 1; the mask update of ITOP (Liu et al. 2021), whose counts are
inexact.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

from dstbench.core.masks import flat
from dstbench.core.part import Part
from dstbench.core.schedules import Schedule, value_at
from dstbench.core.selection import largest, largest_free
from dstbench.core.state import State
from dstbench.core.update_schedule import UpdateSchedule
from dstbench.errors import UserError, require


def rounded_up(count: float) -> int:
    """Return ⌈count⌉ of a product of floats: 0.07 · 100 is 7, not 7.000000000000001."""
    return math.ceil(count * (1 - 1e-12))


def movable_tensors(state: State) -> set[str]:
    """Return the masked tensors that an update may move, as the module's text says."""
    masks = state.masks
    graded = {n for n in masks if n in masks.live_gradients or masks.parameters[n].grad is not None}
    if not graded and all(p.grad is None for p in state.model.parameters()):
        graded = set(masks)
    return {n for n in graded if masks.parameters[n].requires_grad}


class DropGrow(Part, ABC):
    """Moves masks that another part initialised; a subclass supplies the growth score.

    drop_fraction: α, fraction of a layer's live weights swapped in an update, in [0, 1]; a number,
        or a schedule over the run.
    updates_per_run: evenly spaced updates in a run of any length, including the one at its end,
        which is omitted.
    update_interval: ΔT, optimizer steps between updates; if given, updates_per_run is not used.
    update_until: fraction of the run after which masks no longer move, in (0, 1].

    grows_by_gradient: whether the growth score of an update reads dense gradients; a class
        attribute, False in a subclass that needs none. The cost of training depends on it, and
        whether an update's step computes dense gradients.

    Raises UserError: when a setting is out of range, or neither of the two intervals is given.
    """

    moves_masks = True
    grows_by_gradient = True

    def __init__(
        self,
        drop_fraction: Schedule | float = 0.3,
        updates_per_run: int | None = None,
        update_interval: int | None = None,
        update_until: float = 1.0,
    ):
        if not callable(drop_fraction):
            allowed = "a fraction in [0, 1]"
            require(0 <= drop_fraction <= 1, self, "drop_fraction", drop_fraction, allowed)
        self.drop_fraction = drop_fraction
        self.update_schedule = UpdateSchedule(self, update_interval, updates_per_run, update_until)

    @abstractmethod
    def grow_score(self, state: State, name: str) -> Tensor | None:
        """Return the growth score of every weight of one tensor, (numel,), zero or more.

        The dead weights of the highest scores grow, ties broken at random. Scores are in storage
        order, as `flat` and `gradient_of` return them. None means random growth.

        name: the tensor, a key of `state.masks`.
        """

    def drop_score(self, state: State, name: str) -> Tensor:
        """Return the drop score of one tensor's live weights, (live,), zero or more: magnitudes.

        Those of the lowest scores drop, ties broken at random. Scores are in the order of
        `state.masks.index(name)`, as `live_gradient` returns gradients.

        name: the tensor, a key of `state.masks`.
        """
        return flat(state.masks.parameters[name])[state.masks.index(name)].abs()

    def check(self, total_steps: int) -> None:
        for hundredth in range(101):
            fraction = value_at(self.drop_fraction, hundredth / 100)
            allowed = f"a fraction in [0, 1] throughout; its schedule leaves it at {hundredth} %"
            require(0 <= fraction <= 1, self, "drop_fraction", fraction, allowed)
        self.update_schedule.refuse_never(self, total_steps)

    def needs_dense_gradients(self, step: int, total_steps: int) -> bool:
        return self.grows_by_gradient and self.update_schedule.is_due(step, total_steps)

    def requires_dense_gradients(self, step: int, total_steps: int) -> bool:
        scored = self.may_grow_by_gradient and self.update_schedule.is_due(step, total_steps)
        return scored or super().requires_dense_gradients(step, total_steps)

    @property
    def may_grow_by_gradient(self) -> bool:
        """Whether the growth score reads dense gradients, or may do so.

        It may in a subclass that has its own score and does not set `grows_by_gradient`.
        """
        return self.grows_by_gradient or self._overrides("grow_score", ("grows_by_gradient",))

    def after_step(self, state: State) -> None:
        if self.update_schedule.is_due(state.step, state.total_steps):
            self.update(state, value_at(self.drop_fraction, state.progress))

    def update(
        self,
        state: State,
        drop_fraction: float,
        targets: dict[str, int] | None = None,
        preferred: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Drop and grow once, in every masked tensor.

        drop_fraction: α, in [0, 1].
        targets: tensor name → live weights after the update; None leaves them to `rewire`.
        preferred: tensor name → bool (numel,), in storage order: the weights that are dropped last
            and grown first, whatever the scores; None prefers none.
        """
        if targets is None:
            self.rewire(state, drop_fraction, preferred or {})
        else:
            self._reach(state, drop_fraction, targets, preferred or {})

    def rewire(self, state: State, drop_fraction: float, preferred: Mapping[str, Tensor]) -> None:
        """Drop and grow once without targets: here, every tensor keeps its count.

        drop_fraction, preferred: as of `update`.
        """
        self._reach(state, drop_fraction, state.masks.counts(), preferred)

    def _reach(
        self,
        state: State,
        drop_fraction: float,
        targets: Mapping[str, int],
        preferred: Mapping[str, Tensor],
    ) -> None:
        """Drop and grow once, to each tensor's target."""
        movable = movable_tensors(state)
        for name in state.masks:
            live, target = state.masks.live(name), targets[name]
            swap = 0
            if name in movable:
                swap = max(0, min(rounded_up(drop_fraction * live), min(live, target) - 1))
            else:
                target = min(live, target)
            drop, grow = swap + max(0, live - target), swap + max(0, target - live)
            self.exchange(state, name, drop, grow, preferred.get(name))

    def exchange(
        self, state: State, name: str, drop: int, grow: int, preferred: Tensor | None = None
    ) -> None:
        """Drop and grow numbers of weights in one tensor.

        drop: live weights that are dropped, those of the lowest drop scores.
        grow: weights that are grown among all others, those just dropped included.
        preferred: bool (numel,), in storage order: the weights that are dropped last and grown
            first, whatever the scores; None prefers none.
        """
        if drop == grow == 0:
            return
        index = state.masks.index(name)
        taken = flat(state.masks[name])  # a view of the mask: set_live_ rewrites it
        score = self.drop_score(state, name)
        if preferred is not None:
            score = score.masked_fill(~preferred[index], -1)
        kept = index[largest(score, len(index) - drop, state.rng)]
        taken.index_fill_(0, index, False).index_fill_(0, kept, True)
        grown = self._grown(state, name, taken, grow, preferred)
        state.set_live_(name, torch.cat([kept, grown]))

    def _grown(
        self, state: State, name: str, taken: Tensor, grow: int, preferred: Tensor | None
    ) -> Tensor:
        """Return the indices of `grow` weights that are not taken."""
        score = self.grow_score(state, name)
        if score is not None:
            self._check_score(score, state, name, taken)
        if preferred is None:
            return largest_free(score, taken, grow, state.rng)
        blocked = taken | ~preferred
        count = min(grow, len(blocked) - int(blocked.sum()))
        first = largest_free(score, blocked, count, state.rng)
        others = largest_free(score, taken.index_fill(0, first, True), grow - count, state.rng)
        return torch.cat([first, others])

    def _check_score(self, score: Tensor, state: State, name: str, taken: Tensor) -> None:
        """Check that a subclass scores every weight of a tensor by a number, zero or more.

        Where gradients are infinite the run diverges, which is no fault of the score.

        Raises UserError, with the class and the tensor, where it does not.
        """
        given = tuple(score.shape) if isinstance(score, Tensor) else type(score).__name__
        if given != tuple(taken.shape):
            raise UserError(
                f"{type(self).__name__}.grow_score returned {given} for {name}: expected a tensor "
                f"of shape {tuple(taken.shape)}, in the order of dstbench.flat(parameter)."
            )
        gradient = state.masks.parameters[name].grad
        sound = (score >= 0) & score.isfinite()
        if not sound.all() and (gradient is None or gradient.isfinite().all()):
            wrong = score[~sound][0].item()
            raise UserError(
                f"{type(self).__name__}.grow_score returned {wrong:g} for a weight of {name} after "
                f"step {state.step}: expected numbers, zero or more."
            )
