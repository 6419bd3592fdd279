"""The counting rule of every drop-and-grow method.

At an update, each layer on its own:

    swap = min(⌈drop_fraction · live⌉, min(live, target) − 1)
    drop = swap + max(0, live − target)       the smallest magnitudes among the live
    grow = swap + max(0, target − live)       the best growth scores among the rest

so a layer ends with exactly `target` live weights, whatever its gradients are. Weights just dropped
may grow again. Methods differ in one thing only: the growth score.

Sources: Evci et al. 2020, algorithm 1; ITOP's update, with its inexact counts made exact.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from dstbench.core.masks import flat
from dstbench.core.part import Part
from dstbench.core.schedules import Schedule, value_at
from dstbench.core.selection import largest, largest_free
from dstbench.core.state import State
from dstbench.errors import UserError, require


class DropGrow(Part, ABC):
    """Moves the masks that another part initialised; `grow_score` makes a method of it.

    drop_fraction: share of a layer's live weights that an update swaps, in [0, 1]; a schedule.
    updates_per_run: updates that a run of any length makes, evenly spaced, less the one that falls
        on its end.
    update_interval: optimizer steps between updates; where given, it is what counts.
    update_until: progress after which masks stay, in (0, 1].

    Source of the settings: ITOP (Liu et al. 2021) where the gin files say so.
    """

    moves_masks = True

    def __init__(
        self,
        drop_fraction: Schedule | float = 0.3,
        updates_per_run: int | None = None,
        update_interval: int | None = None,
        update_until: float = 1.0,
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

    @abstractmethod
    def grow_score(self, state: State, name: str) -> Tensor | None:
        """Non-negative score of every position of a tensor, along its memory, (numel,).

        The free positions of the highest scores grow, ties at random. None: all are alike.
        """

    def next_update(self, after: int, total_steps: int) -> int | None:
        """The first optimizer step beyond step `after` that an update follows; None if none does.

        Never the last one: what it grew would end the run untrained.
        """
        if self.update_interval is not None:
            step = (after // self.update_interval + 1) * self.update_interval
        else:
            assert self.updates_per_run is not None
            done = after * self.updates_per_run // total_steps
            step = -(-(done + 1) * total_steps // self.updates_per_run)
        last = min(total_steps - 1, round(self.update_until * total_steps, 6))
        return step if step <= last else None

    def is_due(self, step: int, total_steps: int) -> bool:
        """Whether an update follows optimizer step `step` (1 … total_steps)."""
        return self.next_update(step - 1, total_steps) == step

    def check(self, total_steps: int) -> None:
        for percent in range(101):
            share = value_at(self.drop_fraction, percent / 100)
            require(
                0 <= share <= 1, self, "drop_fraction", share,
                f"a share in [0, 1] throughout the run; its schedule leaves it at {percent} %",
            )  # fmt: skip
        if self.next_update(0, total_steps) is None:
            name = type(self).__name__
            when = (
                f"every {self.update_interval} of them"
                if self.update_interval is not None
                else f"{self.updates_per_run} times"
            )
            raise UserError(
                f"{name} would never update its masks: a run of {total_steps} optimizer steps, "
                f"updates {when}, until {self.update_until:.0%} of it. Lower "
                f"{name}.update_interval, or set it to None for {name}.updates_per_run.",
                f"{name}.update_interval",
            )

    def after_step(self, state: State) -> None:
        if self.is_due(state.step, state.total_steps):
            self.update(state, value_at(self.drop_fraction, state.progress))

    def update(
        self, state: State, drop_fraction: float, targets: dict[str, int] | None = None
    ) -> None:
        """Drop and grow once, in every masked tensor.

        targets: tensor name → live weights after the update; None holds every tensor's count.
        """
        for name in state.masks:
            target = state.masks.live(name) if targets is None else targets[name]
            self._update_tensor(state, name, drop_fraction, target)

    def _update_tensor(self, state: State, name: str, fraction: float, target: int) -> None:
        live = state.masks.live(name)
        asked = math.ceil(fraction * live * (1 - 1e-12))  # 0.07 · 100 is 7, whatever floats say
        swap = max(0, min(asked, min(live, target) - 1))
        drop = swap + max(0, live - target)
        grow = swap + max(0, target - live)
        if drop == grow == 0:
            return
        index = state.masks.index(name)
        taken = flat(state.masks[name])  # the mask itself: set_live_ writes it anew
        magnitude = flat(state.masks.parameters[name])[index].abs()
        kept = index[largest(magnitude, live - drop, state.rng)]
        taken.index_fill_(0, index, False).index_fill_(0, kept, True)
        grown = largest_free(self.grow_score(state, name), taken, grow, state.rng)
        state.set_live_(name, torch.cat([kept, grown]))
