"""The counting rule of every drop-and-grow method.

At an update, each layer on its own:

    swap = min(⌈drop_fraction · live⌉, live − 1)
    drop = swap + max(0, live − target)       the smallest magnitudes among the live
    grow = swap + max(0, target − live)       the best growth scores among the rest

so a layer ends with exactly `target` live weights, whatever its gradients are. Weights just dropped
may grow again. Methods differ in one thing only: the growth score.

Sources: Evci et al. 2020, algorithm 1; ITOP's update, with its inexact counts made exact.
"""

import math
from abc import abstractmethod

import torch
from torch import Tensor

from dstbench.errors import UserError, require
from dstbench.masks import flat, largest, largest_free
from dstbench.part import Part, State
from dstbench.schedules import Schedule, value_at


class DropGrow(Part):
    """Moves the masks that another part initialised; `grow_score` makes a method of it.

    drop_fraction: share of a layer's live weights that an update swaps, in [0, 1]; a schedule.
    updates_per_run: updates that a run of any length makes, evenly spaced.
    update_interval: optimizer steps between updates; where given, it is what counts.
    update_until: progress after which masks stay, in (0, 1].
    target: the sparsity to be at, a schedule; None holds every layer at the count it has.

    Source of the settings: ITOP (Liu et al. 2021) where the gin files say so.
    """

    moves_masks = True

    def __init__(
        self,
        drop_fraction: Schedule | float = 0.3,
        updates_per_run: int | None = None,
        update_interval: int | None = None,
        update_until: float = 1.0,
        target: Schedule | None = None,
    ):
        if not callable(drop_fraction):
            require(
                0 <= drop_fraction <= 1, self, "drop_fraction", drop_fraction, "a share in [0, 1]"
            )
        if update_interval is not None:
            require(
                update_interval >= 1, self, "update_interval", update_interval,
                "at least 1 optimizer step",
            )  # fmt: skip
        elif updates_per_run is None:
            name = type(self).__name__
            raise UserError(
                f"{name} does not know when to update: set {name}.updates_per_run "
                f"or {name}.update_interval (optimizer steps)."
            )
        else:
            require(
                updates_per_run >= 2, self, "updates_per_run", updates_per_run,
                "at least 2 (the last falls on the end of the run and is left out)",
            )  # fmt: skip
        require(
            0 < update_until <= 1, self, "update_until", update_until,
            "a share of the run in (0, 1]",
        )  # fmt: skip
        self.drop_fraction = drop_fraction
        self.updates_per_run = updates_per_run
        self.update_interval = update_interval
        self.update_until = update_until
        self.target = target

    @abstractmethod
    def grow_score(self, state: State, name: str) -> Tensor | None:
        """Non-negative score of every position of a tensor, along its memory, (numel,).

        The free positions of the highest scores grow, ties at random. None: all are alike.
        """

    def interval(self, total_steps: int) -> int:
        """Optimizer steps between two updates."""
        return self.update_interval or max(1, total_steps // (self.updates_per_run or 1))

    def is_due(self, step: int, total_steps: int) -> bool:
        """Whether an update follows optimizer step `step` (1 … total_steps).

        Never after the last one: what it grew would end the run untrained.
        """
        return (
            step % self.interval(total_steps) == 0
            and step < total_steps
            and step <= self.update_until * total_steps
        )

    def check(self, total_steps: int) -> None:
        interval = self.interval(total_steps)
        if not self.is_due(interval, total_steps):
            name = type(self).__name__
            raise UserError(
                f"{name} would never update its masks: a run of {total_steps} optimizer steps, "
                f"updates every {interval} until {self.update_until:.0%} of it. Lower "
                f"{name}.update_interval, or set it to None for {name}.updates_per_run.",
                f"{name}.update_interval",
            )

    def after_step(self, state: State) -> None:
        if self.is_due(state.step, state.total_steps):
            self.update(state)

    def update(self, state: State) -> None:
        """Drop and grow once, in every masked tensor."""
        fraction = value_at(self.drop_fraction, state.progress)
        targets = self.targets(state)
        for name in state.masks:
            self._update_tensor(state, name, fraction, targets[name])

    def targets(self, state: State) -> dict[str, int]:
        """Name → live weights that each tensor has after this update."""
        if self.target is None:
            return state.masks.counts()
        assert state.budget is not None
        return state.budget.live_counts(state, self.target(state.progress))

    def _update_tensor(self, state: State, name: str, fraction: float, target: int) -> None:
        live = state.masks.live(name)
        swap = max(0, min(math.ceil(fraction * live), live - 1))
        drop = swap + max(0, live - target)
        grow = swap + max(0, target - live)
        if drop == grow == 0:
            return
        index = state.masks.index(name)
        taken = flat(state.masks[name]).clone()
        magnitude = flat(state.masks.parameters[name])[index].abs()
        kept = index[largest(magnitude, live - drop, state.rng)]
        taken.index_fill_(0, index, False).index_fill_(0, kept, True)
        grown = largest_free(self.grow_score(state, name), taken, grow, state.rng)
        state.set_live_(name, torch.cat([kept, grown]))
