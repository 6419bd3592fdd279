"""Part: what a method's author subclasses.

A method is a list of parts. Each part overrides the hooks that it needs; the training loop calls
them in the order in which they are listed here. Parts hold settings; everything that changes during
a run is kept in the State, which is also the checkpoint.
"""

from collections.abc import Sequence
from typing import ClassVar

from dstbench.core.schedules import Schedule
from dstbench.core.state import BudgetRule, State


class Part:
    """One ingredient of a method: settings, and hooks that do nothing until overridden.

    sparsity: sparsity of the trained network, where this part decides it.
    moves_masks: whether this part moves masks that another part initialised.
    redistributes: whether its updates move live weights between layers. The cost of training is
        then known within limits only.
    dense_to_sparse: whether the network has more live weights during training than at its end, as
        with gradual pruning. The budget then holds at the end only, and tables mark the method.
    over_budget: whether the finished network has more live weights than its sparsity leaves, on
        purpose. The run says so, and no leaderboard takes it.
    needs_budget: whether this part calls `state.budget`, so that the method must have a budget.
    conflicts: class name → why this part cannot be combined with a part of that class.
    """

    sparsity: float = 0.0
    moves_masks: bool = False
    redistributes: bool = False
    dense_to_sparse: bool = False
    over_budget: bool = False
    needs_budget: bool = False
    conflicts: ClassVar[dict[str, str]] = {}

    @property
    def initialises_masks(self) -> bool:
        """Whether this part chooses the first masks."""
        return type(self).init_masks is not Part.init_masks

    @property
    def budget(self) -> BudgetRule | None:
        """The rule that divides live weights among layers; None if this part has none."""
        return None

    def check(self, total_steps: int) -> None:
        """Refuse a run in which this part has no effect or makes no sense.

        total_steps: optimizer steps of the run.

        Raises UserError: when the run is refused.
        """

    def surgery(self, state: State) -> None:
        """Replace, re-parametrise or initialise modules of `state.model`, before masks exist."""

    def init_masks(self, state: State) -> None:
        """Choose the first masks; one part of a sparse method does. Not called on resume.

        Training images, for a choice that depends on data, come from `state.next_batch()`.
        """

    def before_step(self, state: State) -> None:
        """Set what is a function of `state.progress`, before the forward pass."""

    def after_backward(self, state: State) -> None:
        """Read or scale the gradients: averaged over devices, weights not stepped yet.

        They are dense where a part requires it (`requires_dense_gradients`); in other steps an
        engine may have computed those of live weights alone, into `state.masks.live_gradients`.
        """

    def after_step(self, state: State) -> None:
        """Move masks; the weights have been stepped, gradients are still available.

        As in `after_backward`, they are dense where a part requires it.

        The only hook in which masks move.
        """

    def finish(self, state: State) -> None:
        """Turn `state.model`, in place, into the network that is deployed, after the last step."""

    def needs_dense_gradients(self, step: int, total_steps: int) -> bool:
        """Return whether this part reads the gradients of dead weights in a step.

        The cost of training counts a step's weight gradients as dense if any part needs them.

        step: the optimizer step, from 1.
        total_steps: optimizer steps of the run.
        """
        return False

    def requires_dense_gradients(self, step: int, total_steps: int) -> bool:
        """Return whether a step must compute the gradients of dead weights.

        Where no part does, an engine may compute those of live weights alone. By default it is the
        steps of `needs_dense_gradients`. A part with its own `after_backward` or `after_step` that
        does not define `needs_dense_gradients` is assumed to read them in every step. Override
        this in a part that may read them in more steps than it counts.

        step: the optimizer step, from 1.
        total_steps: optimizer steps of the run.
        """
        return self._is_undeclared or self.needs_dense_gradients(step, total_steps)

    @property
    def _is_undeclared(self) -> bool:
        """Whether a hook after the backward pass may read gradients that no class declares."""
        declarations = ("needs_dense_gradients", "requires_dense_gradients")
        hooks = ("after_backward", "after_step")
        return any(self._overrides(hook, declarations) for hook in hooks)

    def _overrides(self, hook: str, declarations: Sequence[str]) -> bool:
        """Return whether a class overrides `hook` below all that define one of `declarations`."""
        for cls in type(self).__mro__:
            if any(name in vars(cls) for name in declarations):
                return False
            if hook in vars(cls):
                return True
        return False

    def extra_training_macs(self, state: State) -> int:
        """Return the MACs of one image that this part adds to the step's forward pass.

        Called after the backward pass. Prunable tensors and dense offsets are counted without it.
        """
        return 0

    def notes(self, state: State) -> Sequence[str]:
        """Return messages about what `surgery` did, which are printed when the run starts."""
        return ()

    def lr_schedule(self, of: Schedule) -> Schedule:
        """Return the learning-rate schedule of a run with this part.

        of: the recipe's. A part that trains the network several times in a run repeats it.
        """
        return of

    def final_structure_step(self, total_steps: int) -> int:
        """Return the step from which the network is as plain as the deployed one.

        Only networks from this step on, whose live weights are within the budget, are candidates
        for the best by validation accuracy.

        total_steps: optimizer steps of the run.
        """
        return 0
