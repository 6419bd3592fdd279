"""How a sparse network is doing: gradients, signals, live paths, exploration, collapse.

Measured at the end of an epoch on a fixed batch of training images, in eval mode. Nothing of the
run is touched: no random generator, buffer, `.grad` or train/eval flag, so that a run with and
without it is the same run.

Sources: gradient norm as in Evci et al. 2022 ("gradient flow"); exploration as in Liu et al. 2021
(ITOP's R_s); live paths in paths.py.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dstbench.core.state import State
from dstbench.metrics.live_paths import live_path_share
from dstbench.models.copies import preserve_rng

_CHUNK = 128  # images a pass: memory as in training; in eval mode images do not see each other

Autocast = Callable[[], AbstractContextManager[Any]]


def measure(state: State, x: Tensor, y: Tensor, autocast: Autocast) -> dict[str, Any]:
    """Health of the network on images x (n, C, H, W) with labels y (n,) int64, ready for JSON.

    autocast: makes the context in which the run's network computes.
    A figure that is not available is None, and `<figure>_reason` says why.

    grad_norm, layers_grad_norm
        norm of the loss's gradient with respect to prunable weights, dead ones included: in total,
        and by tensor
    grad_norm_live, layers_grad_norm_live
        the same, over live weights
    positive_preactivations, layers_positive
        share in [0, 1] of positive inputs of activations: of all, and by activation module
    live_path_share, effective_sparsity
        shares in [0, 1], see paths.py
    sparsity
        measured, in [0, 1]
    layers_live
        live weights of each tensor
    exploration
        share in [0, 1] of the weights of masked tensors that were ever live; 1 without masks
    """
    with _eval_mode(state.model), preserve_rng(x), _Positives(state.model) as positives:
        gradients = _gradients(state, x, y, autocast)
    norms = {name: _norm(g) for name, g in gradients.items()}
    live_norms = {
        name: _norm(g * state.masks[name]) if name in state.masks else norms[name]
        for name, g in gradients.items()
    }
    paths = live_path_share(state.model, state.masks, state.image_shape)
    figures: dict[str, Any] = {
        "grad_norm": math.hypot(*norms.values()),
        "grad_norm_live": math.hypot(*live_norms.values()),
        "positive_preactivations": positives.share(),
        "live_path_share": paths.share,
        "effective_sparsity": paths.effective_sparsity(state.dense_numel),
        "sparsity": state.sparsity,
        "exploration": exploration(state),
        "layers_grad_norm": norms,
        "layers_grad_norm_live": live_norms,
        "layers_positive": positives.shares(),
        "layers_live": state.masks.counts(),
    }
    if paths.share is None:
        figures["live_path_share_reason"] = paths.reason
        figures["effective_sparsity_reason"] = paths.reason
    if figures["positive_preactivations"] is None:
        figures["positive_preactivations_reason"] = "no nn.ReLU module was called"
    return figures


def is_activation(module: nn.Module) -> bool:
    """Whether a module's inputs are pre-activations: nn.ReLU, or one that says so of itself.

    Another kind of activation opts in with the attribute `is_activation = True`.
    """
    return isinstance(module, nn.ReLU) or getattr(module, "is_activation", False) is True


class _Positives:
    """Counts the positive inputs of every activation while it is open."""

    def __init__(self, model: nn.Module):
        self.sites = {path: m for path, m in model.named_modules() if is_activation(m)}
        self.positive: dict[str, Tensor] = {}
        self.count: dict[str, int] = {}

    def __enter__(self) -> "_Positives":
        self.handles = [
            module.register_forward_pre_hook(lambda _, args, path=path: self._note(path, args[0]))
            for path, module in self.sites.items()
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    @torch.no_grad()
    def _note(self, path: str, preactivations: Tensor) -> None:
        positive = (preactivations > 0).count_nonzero()  # far faster than a sum on a CPU
        self.positive[path] = self.positive[path] + positive if path in self.positive else positive
        self.count[path] = self.count.get(path, 0) + preactivations.numel()

    def shares(self) -> dict[str, float]:
        return {path: int(p) / self.count[path] for path, p in self.positive.items()}

    def share(self) -> float | None:
        if not self.count:
            return None
        return sum(int(p) for p in self.positive.values()) / sum(self.count.values())


@contextmanager
def _eval_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode inside, and each module's own mode again afterwards."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _gradients(state: State, x: Tensor, y: Tensor, autocast: Autocast) -> dict[str, Tensor]:
    """Prunable tensor → dense gradient of the mean cross-entropy over all images; 0 if frozen."""
    weights = state.masks.parameters
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    learning = {name: weight for name, weight in weights.items() if weight.requires_grad}
    if not learning:
        return total
    for images, labels in zip(x.split(_CHUNK), y.split(_CHUNK), strict=True):
        with torch.enable_grad():
            with autocast():
                logits = state.model(images)
            loss = cross_entropy(logits.float(), labels) * (len(images) / len(x))
        gradients = torch.autograd.grad(loss, list(learning.values()), allow_unused=True)
        for name, gradient in zip(learning, gradients, strict=True):
            if gradient is not None:
                total[name] += gradient
    return total


def _norm(gradient: Tensor) -> float:
    """Euclidean norm, in float64: very sparse networks have gradients whose squares vanish."""
    return float(torch.linalg.vector_norm(gradient, dtype=torch.float64))


def exploration(state: State) -> float:
    """Share in [0, 1] of the weights of masked tensors that were ever live; 1 without masks."""
    if not state.masks:
        return 1.0
    ever = sum(int(state.memory[f"ever_live/{name}"].sum()) for name in state.masks)
    return ever / sum(mask.numel() for mask in state.masks.values())
