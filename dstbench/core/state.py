"""State: everything that changes during a run; it is the checkpoint."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dstbench.core.masks import Masks, flat
from dstbench.core.optimizer_interface import SparseOptimizer
from dstbench.core.packing import load_network_, load_tensors, pack_network, pack_tensors
from dstbench.core.random_generators import get_states, set_states
from dstbench.errors import UserError


class BudgetRule(Protocol):
    """What parts need of a budget; implemented by `core.budget.Budget` and by methods.

    fixes_layers: whether layers have a density of their own, which they are meant to keep.
    over_budget: whether it leaves more live weights than the sparsity asks for, on purpose.
    """

    fixes_layers: bool
    over_budget: bool

    def live_counts(self, state: "State", sparsity: float) -> dict[str, int]:
        """Return tensor name → number of live weights at this sparsity."""


class State:
    """Everything that changes during a run.

    model: the network; its dead weights are zero.
    masks: which of its weights are live.
    dense_numel: prunable weights of the original network, before any part changed it; the
        denominator of sparsity.
    dense_macs: MACs of the original network; None where they were not counted.
    image_shape: (channels, height, width) of the input.
    optimizer: None until the masks are initialised.
    budget: rule that divides live weights among layers; None if no part has one. A setting of the
        method, not stored in checkpoints.
    batches: augmented training batches (images, labels), without end, for `init_masks` alone: on
        the model's device, the same in every process, in a random stream of their own. None
        afterwards, and where no data are read. Not stored in checkpoints.
    rng: CPU generator of all random numbers that parts draw.
    step: optimizer steps done.
    total_steps: optimizer steps of the whole run.
    training_macs: MACs of the steps done, forward and backward, of all images.
    memory: named tensors that parts and the loop keep between steps. `ever_live/<name>`, (numel,)
        bool, marks the weights of a masked tensor that were ever live: ITOP's exploration rate R_s
        is their fraction.
    curves: one dict for each finished epoch.
    best: the best network by validation accuracy so far, packed, with its epoch and accuracy.
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
                "attention module. Choose a model that has one."
            )
        self.dense_macs: int | None = None
        self.image_shape = image_shape
        self.optimizer: SparseOptimizer | None = None
        self.budget: BudgetRule | None = None
        self.batches: Iterator[tuple[Tensor, Tensor]] | None = None
        # Not the seed itself: the initial weights are drawn from that.
        digest = hashlib.blake2b(f"parts, seed {seed}".encode(), digest_size=8).digest()
        self.rng = torch.Generator().manual_seed(int.from_bytes(digest, "little"))
        self.step = 0
        self.total_steps = total_steps
        self.training_macs = 0
        self.memory: dict[str, Tensor] = {}
        self.curves: list[Any] = []  # lines as in recording.types.EpochLine
        self.best: dict[str, Any] = {}

    @property
    def progress(self) -> float:
        """Fraction of optimizer steps done, in [0, 1]."""
        return self.step / self.total_steps

    @property
    def sparsity(self) -> float:
        """Measured sparsity: removed fraction of the original network's prunable weights."""
        return 1 - self.masks.total() / self.dense_numel

    def next_batch(self) -> tuple[Tensor, Tensor]:
        """Return the next of `batches`: images (B, C, H, W) and labels (B,).

        Raises UserError: when there are no data.
        """
        if self.batches is None:
            raise UserError(
                "This method chooses its first masks from training images, and none are read here. "
                "`dstbench run` reads them; its record has the cost of the network."
            )
        return next(self.batches)

    @torch.no_grad()
    def set_live_(self, name: str, index: Tensor) -> None:
        """Make exactly the weights at `index` live in one tensor. Masks move only through this.

        A weight that dies becomes zero, and so does its optimizer state. A weight that was dead
        starts at zero with zero optimizer state. A weight that stays live keeps both.

        name: a prunable tensor.
        index: int64 flat indices in storage order, in any order, each once.

        Raises UserError for other indices, see `Masks.write_`; nothing is changed then.
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
        """Return the whole checkpoint: tensors, numbers, strings, lists and dicts only."""
        return {
            "step": self.step,
            "total_steps": self.total_steps,
            "training_macs": self.training_macs,
            "network": pack_network(self.model, self.masks),
            "optimizer": self.optimizer.state_dict() if self.optimizer else {},
            "rng": self.rng.get_state(),
            "generators": get_states(),
            "memory": pack_tensors(self.memory),
            "curves": list(self.curves),  # finished epochs and a packed network never change
            "best": dict(self.best),
        }

    def load_state_dict(
        self,
        saved: dict[str, Any],
        build_optimizer: Callable[[nn.Module, Masks], SparseOptimizer],
    ) -> None:
        """Continue from a checkpoint. The model must have had its surgery; masks are loaded here.

        saved: what `state_dict` returned.
        build_optimizer: called with the model and its loaded masks.
        """
        self.step = saved["step"]
        self.total_steps = saved["total_steps"]
        self.training_macs = saved["training_macs"]
        load_network_(self.model, self.masks, saved["network"])
        self.optimizer = build_optimizer(self.model, self.masks)
        self.optimizer.load_state_dict(saved["optimizer"])
        self.rng.set_state(saved["rng"])
        set_states(saved["generators"])
        self.memory = load_tensors(saved["memory"], next(self.model.parameters()).device)
        self.curves = list(saved["curves"])
        self.best = dict(saved["best"])
