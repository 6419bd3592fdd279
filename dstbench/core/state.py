"""State: everything that changes during a run; it is the checkpoint."""

import hashlib
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from dstbench.core.masks import Masks, flat
from dstbench.core.packing import load_network_, load_tensors, pack_network, pack_tensors
from dstbench.errors import UserError

if TYPE_CHECKING:
    from dstbench.core.budgets import Budget
    from dstbench.optim.optimizer import Optimizer
    from dstbench.optim.settings import OptimizerSettings


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
        self.curves: list[Any] = []  # lines as in records.types.EpochLine
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
