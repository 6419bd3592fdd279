"""Health of a sparse network: gradients, pre-activations, live paths, exploration.

Measured at the end of an epoch on a fixed batch of training images, in eval mode. The run is
unchanged by it: random generators, buffers, `.grad` and train/eval flags stay the same.

Sources: gradient norm as "gradient flow" in Evci et al. 2022; exploration rate R_s of ITOP
(Liu et al. 2021); effective sparsity of Vysogorets & Kempe 2021, see live_paths.py.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dstbench.core.masks import Masks, flat
from dstbench.core.prunable import TRANSPOSED
from dstbench.core.random_generators import preserve_rng
from dstbench.core.state import State
from dstbench.metrics.live_paths import LivePaths, find_live_paths, is_activation
from dstbench.models.precision import Autocast
from dstbench.recording.types import Health

_CHUNK = 128  # images per pass, so that memory stays as in training


FindPaths = Callable[[nn.Module, Masks, tuple[int, ...]], LivePaths]


def measure(
    state: State,
    x: Tensor,
    y: Tensor,
    autocast: Autocast,
    find_paths: FindPaths = find_live_paths,
) -> Health:
    """Return the health of the network on a batch.

    x: images (n, C, H, W).
    y: labels (n,), int64.
    autocast: makes the context in which the network computes.
    find_paths: as `find_live_paths`, which it may replace by what is known already.

    A value that is not available is None, and `<name>_reason` states why.
    """
    with _eval_mode(state.model), preserve_rng(x), _PositiveCounter(state.model) as positives:
        gradients = _gradients(state, x, y, autocast)
    norms = {name: norm(g) for name, g in gradients.items()}
    live_norms = {
        name: norm(g * state.masks[name]) if name in state.masks else norms[name]
        for name, g in gradients.items()
    }
    health = measure_masks(state, "", find_paths)
    del health["grad_norm_reason"], health["positive_preactivations_reason"]
    health |= {
        "grad_norm": math.hypot(*norms.values()),
        "grad_norm_live": math.hypot(*live_norms.values()),
        "positive_preactivations": positives.fraction(),
        "layers_grad_norm": norms,
        "layers_grad_norm_live": live_norms,
        "layers_positive": positives.fractions(),
    }
    if health["positive_preactivations"] is None:
        health["positive_preactivations_reason"] = "no nn.ReLU module was called"
    return health


def measure_masks(state: State, reason: str, find_paths: FindPaths = find_live_paths) -> Health:
    """Return the health that needs no pass through the network; the rest is None, or empty.

    reason: why the rest is not measured.
    find_paths: as `find_live_paths`.
    """
    zeros = {name: live_zeros(state, name) for name in state.masks.parameters}
    paths = find_paths(state.model, state.masks, state.image_shape)
    health: Health = {
        "grad_norm": None,
        "grad_norm_reason": reason,
        "grad_norm_live": None,
        "positive_preactivations": None,
        "positive_preactivations_reason": reason,
        "live_path_share": paths.fraction,
        "effective_sparsity": paths.effective_sparsity(state.dense_numel),
        "sparsity": state.sparsity,
        "exploration": exploration_rate(state),
        "layers_grad_norm": {},
        "layers_grad_norm_live": {},
        "layers_positive": {},
        "layers_live": state.masks.counts(),
        "live_zeros": sum(zeros.values()),
        "layers_live_zeros": zeros,
        "live_channels": live_channels(state),
    }
    if paths.reason is not None:
        health["live_path_share_reason"] = paths.reason
        health["effective_sparsity_reason"] = paths.reason
    return health


class _PositiveCounter:
    """Counts the positive inputs of every activation module, as a context manager.

    positive, count: module name → inputs above zero, all inputs.
    """

    def __init__(self, model: nn.Module):
        self.activations = {path: m for path, m in model.named_modules() if is_activation(m)}
        self.positive: dict[str, Tensor] = {}
        self.count: dict[str, int] = {}

    def __enter__(self) -> "_PositiveCounter":
        self.handles = [
            module.register_forward_pre_hook(lambda _, args, path=path: self._add(path, args[0]))
            for path, module in self.activations.items()
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    @torch.no_grad()
    def _add(self, path: str, preactivations: Tensor) -> None:
        positive = (preactivations > 0).count_nonzero()  # far faster than a sum on a CPU
        self.positive[path] = self.positive[path] + positive if path in self.positive else positive
        self.count[path] = self.count.get(path, 0) + preactivations.numel()

    def fractions(self) -> dict[str, float]:
        """Return module name → fraction of its inputs above zero."""
        return {path: int(p) / self.count[path] for path, p in self.positive.items()}

    def fraction(self) -> float | None:
        """Return the fraction of all inputs above zero; None if no activation was called."""
        if not self.count:
            return None
        return sum(int(p) for p in self.positive.values()) / sum(self.count.values())


@contextmanager
def _eval_mode(model: nn.Module) -> Iterator[None]:
    """Put the model into eval mode, and restore the mode of each module afterwards."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _gradients(state: State, x: Tensor, y: Tensor, autocast: Autocast) -> dict[str, Tensor]:
    """Return prunable tensor → dense gradient of the mean cross-entropy; zeros if frozen."""
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


def norm(gradient: Tensor) -> float:
    """Return the L2 norm, in float64: squared gradients of very sparse networks underflow."""
    return float(torch.linalg.vector_norm(gradient, dtype=torch.float64))


def live_zeros(state: State, name: str) -> int:
    """Return how many live weights of a prunable tensor are exactly zero.

    They count as live, and contribute nothing: a weight grows at zero, and stays there without a
    gradient.
    """
    values = flat(state.masks.parameters[name])
    if name in state.masks:
        values = values[state.masks.index(name)]
    return len(values) - int(values.count_nonzero())


def live_channels(state: State) -> float:
    """Return the fraction of output channels, of all prunable tensors, that have a live weight.

    Where batch norm follows, the gradient of a channel without one is 1/√ε times larger, so that
    growth by gradient tends to start such channels, and drops others empty.
    """
    transposed = {m.weight for m in state.model.modules() if isinstance(m, TRANSPOSED)}
    live = channels = 0
    for name, weight in state.masks.parameters.items():
        outputs = 1 if weight in transposed else 0  # dimension
        channels += weight.shape[outputs]
        if name in state.masks:
            live += int(state.masks[name].transpose(0, outputs).flatten(1).any(1).sum())
        else:
            live += weight.shape[outputs]
    return live / channels


def exploration_rate(state: State) -> float:
    """Return ITOP's R_s: the fraction of masked weights that were ever live; 1 without masks."""
    if not state.masks:
        return 1.0
    ever = sum(int(state.memory[f"ever_live/{name}"].sum()) for name in state.masks)
    return ever / sum(mask.numel() for mask in state.masks.values())
