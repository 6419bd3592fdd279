"""State, Part, Method: the one idea of the suite.

A method is a list of parts, and a Method is itself a Part. Parts hold settings; everything that
changes during a run lives in one State, and the State is the checkpoint.
"""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from dstbench.errors import UserError
from dstbench.masks import Masks, flat
from dstbench.packing import load_network_, load_tensors, pack_network, pack_tensors
from dstbench.registry import register

if TYPE_CHECKING:
    from dstbench.budget import Budget
    from dstbench.optim import OptimizerSettings
    from dstbench.stepping import Optimizer


class State:
    """Everything that changes during a run.

    model: the network; dead weights are zeros in it.
    masks: which of its weights are live.
    dense_numel: prunable weights of the original network, the one given here, before any part
        changes it; the denominator of sparsity.
    image_shape: (channels, height, width) of its input.
    optimizer: None until the masks are there.
    budget: how live weights are divided among layers, if a part does (structure, not state).
    rng: the CPU generator of everything the parts draw.
    step, total_steps: optimizer steps, done and planned.
    memory: named tensors that parts and the loop keep (accumulators; per masked tensor, which
        positions were ever live: `ever_live/<name>`).
    curves: one dict a finished epoch.
    best: the best network by validation so far, packed, with its epoch and accuracy.
    """

    def __init__(
        self,
        model: nn.Module,
        image_shape: tuple[int, int, int],
        seed: int,
        total_steps: int,
    ):
        self.model = model
        self.masks = Masks(model)
        self.dense_numel = sum(p.numel() for p in self.masks.parameters.values())
        if not self.dense_numel:
            raise UserError(
                f"{type(model).__name__} has no prunable weight: no convolution, linear layer or "
                "attention module. There is nothing to make sparse."
            )
        self.image_shape = image_shape
        self.optimizer: Optimizer | None = None
        self.budget: Budget | None = None
        # A stream of its own: the weights are drawn from the seed itself.
        digest = hashlib.blake2b(f"parts, seed {seed}".encode(), digest_size=8).digest()
        self.rng = torch.Generator().manual_seed(int.from_bytes(digest, "little"))
        self.step = 0
        self.total_steps = total_steps
        self.memory: dict[str, Tensor] = {}
        self.curves: list[dict[str, Any]] = []
        self.best: dict[str, Any] = {}

    @property
    def progress(self) -> float:
        """The share of the run that is done, in [0, 1]."""
        return self.step / self.total_steps

    @property
    def sparsity(self) -> float:
        """Measured: the removed fraction of the original network's prunable weights."""
        return 1 - self.masks.total() / self.dense_numel

    @torch.no_grad()
    def set_live_(self, name: str, index: Tensor) -> None:
        """Make exactly `index` live in one tensor: the only way a mask moves.

        index: int64 positions along the parameter's memory. Weights that die become zero, and so
        does their optimizer state; a weight that was dead starts at zero with zero optimizer
        state; one that stays live keeps both.
        """
        weights = flat(self.masks.parameters[name])
        if name in self.masks:
            before = self.masks.index(name)
            self.masks.write_(name, index)
            dying = before[~flat(self.masks[name])[before]]
            weights.index_fill_(0, dying, 0.0)
        else:
            before = torch.arange(len(weights), device=weights.device)
            self.masks.write_(name, index)
            weights.masked_fill_(~flat(self.masks[name]), 0.0)
            self.memory[f"ever_live/{name}"] = torch.zeros_like(weights, dtype=torch.bool)
        self.memory[f"ever_live/{name}"].index_fill_(0, index, True)
        if self.optimizer is not None:
            self.optimizer.mask_moved(name, before)

    def state_dict(self) -> dict[str, Any]:
        """The checkpoint, whole: tensors, numbers, strings and lists only."""
        return {
            "step": self.step,
            "total_steps": self.total_steps,
            "network": pack_network(self.model, self.masks),
            "optimizer": self.optimizer.state_dict() if self.optimizer else {},
            "rng": self.rng.get_state(),
            "torch_rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "memory": pack_tensors(self.memory),
            "curves": list(self.curves),  # finished lines and a packed network never change
            "best": dict(self.best),
        }

    def load_state_dict(self, saved: dict[str, Any], optimizer: "OptimizerSettings") -> None:
        """Continue from a checkpoint: the model is built and operated on, nothing else is.

        The optimizer is built here, because it needs the masks.
        """
        self.step = saved["step"]
        self.total_steps = saved["total_steps"]
        load_network_(self.model, self.masks, saved["network"])
        self.optimizer = optimizer.build(self.model, self.masks)
        self.optimizer.load_state_dict(saved["optimizer"])
        self.rng.set_state(saved["rng"])
        torch.set_rng_state(saved["torch_rng"])
        if saved["cuda_rng"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(saved["cuda_rng"])
        self.memory = load_tensors(saved["memory"], next(self.model.parameters()).device)
        self.curves = list(saved["curves"])
        self.best = dict(saved["best"])


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

    def settled_at(self, total_steps: int) -> int:
        """The step from which the network is of the kind that is deployed (as sparse, as plain)."""
        return 0


@register("parts")
class Method(Part):
    """A list of parts, run in order at every hook.

    name: how the method is called in records and tables.
    parts: its parts; none is a dense network.

    Raises UserError for two parts that both choose the first masks, and for a part that moves
    masks when none chooses them.
    """

    def __init__(self, name: str, parts: Sequence[Part] = ()):
        self.name, self.parts = name, tuple(parts)
        for part in self.parts:
            if not isinstance(part, Part):
                raise UserError(
                    f"Method.parts holds {part!r}, which is no part. "
                    "Write parts as '@ERK()', with the brackets.",
                    "Method.parts",
                )
        choosing = [type(p).__name__ for p in self.parts if p.initialises_masks]
        if len(choosing) > 1:
            raise UserError(
                f"{name}: {' and '.join(choosing)} both initialise the masks. Keep one of them.",
                "Method.parts",
            )
        moving = [type(p).__name__ for p in self.parts if p.moves_masks]
        if len(moving) > 1:
            raise UserError(
                f"{name}: {' and '.join(moving)} both move the masks. Keep one of them.",
                "Method.parts",
            )
        if moving and not choosing:
            raise UserError(
                f"{name}: {moving[0]} moves masks, but no part initialises them. "
                "Put ERK (or another budget, or SynFlow) before it.",
                "Method.parts",
            )

        if any(p.needs_budget for p in self.parts) and self.budget is None:
            needing = next(type(p).__name__ for p in self.parts if p.needs_budget)
            raise UserError(
                f"{name}: {needing} needs a part that divides live weights among layers. "
                "Put ERK (or EPL, or Uniform) before it.",
                "Method.parts",
            )
        for part in self.parts:
            for other in self.parts:
                if reason := part.conflicts.get(type(other).__name__):
                    pair = f"{type(part).__name__} and {type(other).__name__}"
                    raise UserError(f"{name}: {pair} cannot go together: {reason}.", "Method.parts")
        deciding = [p for p in self.parts if p.initialises_masks or p.needs_budget]
        asked = {type(p).__name__: p.sparsity for p in deciding}
        if len(set(asked.values())) > 1:
            told = " and ".join(f"{part}.sparsity = {s}" for part, s in asked.items())
            raise UserError(f"{name}: {told}. Give them the same sparsity.", "Method.parts")
        self.sparsity = max((p.sparsity for p in self.parts), default=0.0)
        self.moves_masks = bool(moving)

    @property
    def initialises_masks(self) -> bool:
        return any(part.initialises_masks for part in self.parts)

    @property
    def budget(self) -> "Budget | None":
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

    def settled_at(self, total_steps: int) -> int:
        return max((part.settled_at(total_steps) for part in self.parts), default=0)
