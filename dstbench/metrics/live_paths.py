"""Live paths: which live weights are on a path of live weights from the input to the logits.

A live weight that no input reaches, or that reaches no logit, has no influence on the output. The
*effective sparsity* (Vysogorets & Kempe 2021) counts it as removed.

SynFlow's score (Tanaka et al. 2020) finds these weights exactly. In a copy of the network, live
weights are one and dead weights are zero, biases are zero, and normalisation and activations are
the identity. For an input of ones, a weight is on a path exactly where the gradient of the summed
logits is not zero. This requires that every operation is a sum of non-negative terms (residual
additions, pooling, activations that map zero to zero). For a network with another operation there
is no result, and the reason is given.

Only zero or not zero matters, so signals and gradients are binarised after every layer: nothing
overflows or underflows, at any depth. Float64 keeps convolutions exact, because float32 algorithms
may subtract.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from dstbench.core.masks import Masks
from dstbench.core.prunable import prunable
from dstbench.core.random_generators import preserve_rng
from dstbench.models.network_copy import copy_with

# Elementwise functions with f(0) = 0. Signals are never negative here.
_ACTIVATIONS = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU),
    *(nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish, nn.Hardtanh, nn.Tanh, nn.Softsign),
)

_NORMALISATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)

# Operations whose result and gradient are sums of non-negative terms when their inputs are.
_EXACT = {
    "convolution", "addmm", "mm", "bmm", "add", "add_", "mul", "sum", "mean", "relu", "relu_",
    "avg_pool2d", "avg_pool3d", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d",
    "upsample_nearest2d", "upsample_bilinear2d", "constant_pad_nd", "cat", "stack",
    "view", "_unsafe_view", "_reshape_alias", "as_strided", "as_strided_", "alias", "detach",
    "clone", "t", "transpose", "permute", "expand", "squeeze", "unsqueeze",
    "select", "slice", "split", "split_with_sizes", "unbind", "pixel_shuffle",
}  # fmt: skip


@dataclass(frozen=True)
class LivePaths:
    """Live weights on a path from the input to the logits.

    fraction: (live weights on a path) / (live weights), in [0, 1]; None without a result.
    on_path: tensor name → live weights on a path; None without a result.
    reason: why there is no result; None with one.
    """

    fraction: float | None
    on_path: dict[str, int] | None
    reason: str | None

    def effective_sparsity(self, dense_numel: int) -> float | None:
        """Return 1 − (live weights on a path) / (prunable weights of the original network).

        dense_numel: prunable weights of the original network.
        """
        return None if self.on_path is None else 1 - sum(self.on_path.values()) / dense_numel


class _Inexact(Exception):
    """The network has an operation for which zeros of the score do not mean "on no path"."""


def find_live_paths(model: nn.Module, masks: Masks, input_shape: tuple[int, ...]) -> LivePaths:
    """Return the live weights on a path. The model is unchanged: a copy is scored.

    masks: live weights; an unmasked tensor is all live.
    input_shape: of one input without the batch, such as (3, 32, 32).

    Each tensor is counted once; a weight of a shared tensor is on a path if any of its uses is. A
    weight that only multiplies padding is on no path. Without live weights the fraction is 0.
    """
    try:
        with preserve_rng(next(model.parameters())), torch.enable_grad():
            on_path = _on_path(model, masks, input_shape)
    except _Inexact as inexact:
        return LivePaths(None, None, str(inexact))
    except Exception as error:  # the copy has other modules, and float64: its code may not bear it
        return LivePaths(None, None, f"a linear copy in float64 cannot run: {error}")
    return LivePaths(sum(on_path.values()) / max(1, masks.total()), on_path, None)


def _on_path(model: nn.Module, masks: Masks, input_shape: tuple[int, ...]) -> dict[str, int]:
    """Return tensor name → live weights on a path.

    Raises _Inexact when: the score is not exact for this network.
    """
    twin = _path_network(model, masks)
    weights = prunable(twin)  # before activations, which may have weights, are removed
    _linearise_(twin)
    guard = _Guard(twin)
    one = next(iter(weights.values())).new_ones((1, *input_shape))
    zero = torch.zeros_like(one)
    with guard:
        logits = twin(one)
        with torch.no_grad():
            at_zero = twin(zero)
    if not isinstance(logits, Tensor):
        raise _Inexact(f"the network returns a {type(logits).__name__}, not logits")
    if at_zero.any():
        raise _Inexact("the network adds a constant that is not a bias")
    gradients = torch.autograd.grad(logits.sum(), list(weights.values()), allow_unused=True)
    return {
        name: 0 if gradient is None else int((gradient * weight).count_nonzero())
        for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
    }


def _path_network(model: nn.Module, masks: Masks) -> nn.Module:
    """Return a float64 copy: masks as weights, biases zero, every other factor one."""
    weights = {id(weight): name for name, weight in masks.parameters.items()}
    biases = {id(p) for name, p in model.named_parameters() if name.endswith("bias")}

    def replace(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor.clone()
        if id(tensor) in biases:
            return torch.zeros_like(tensor, dtype=torch.float64)
        name = weights.get(id(tensor))
        if name is None:
            return (tensor != 0).double()
        if name in masks:
            return masks[name].double()
        return torch.ones_like(tensor, dtype=torch.float64)

    return copy_with(model, replace)


def _linearise_(network: nn.Module) -> None:
    """Replace activations, normalisation and max-pooling by linear modules with the same paths."""
    for parent in list(network.modules()):
        for name, child in parent._modules.items():  # named_children skips repetitions
            if child is not None:
                setattr(parent, name, _linear_like(child))


def is_activation(module: nn.Module) -> bool:
    """Return whether a module is an activation: nn.ReLU, or one with `is_activation = True`."""
    return isinstance(module, nn.ReLU) or getattr(module, "is_activation", False) is True


def _linear_like(module: nn.Module) -> nn.Module:
    if isinstance(module, (*_ACTIVATIONS, *_NORMALISATIONS)):
        return nn.Identity()
    if is_activation(module):  # by contract it maps each channel to itself
        return nn.Identity()
    # The gradient of a maximum goes to one of several equal inputs; that of a mean to all.
    for dim in (1, 2, 3):
        maximum, mean = getattr(nn, f"MaxPool{dim}d"), getattr(nn, f"AvgPool{dim}d")
        if isinstance(module, maximum) and module.dilation == 1 and not module.return_indices:
            return mean(module.kernel_size, module.stride, module.padding, module.ceil_mode)
        maximum, mean = getattr(nn, f"AdaptiveMaxPool{dim}d"), getattr(nn, f"AdaptiveAvgPool{dim}d")
        if isinstance(module, maximum) and not module.return_indices:
            return mean(module.output_size)
    return module


class _Binarise(torch.autograd.Function):
    """Binarises signals in the forward pass and gradients in the backward pass."""

    @staticmethod
    def forward(ctx: Any, signal: Tensor) -> Tensor:
        return (signal > 0).to(signal.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return (gradient > 0).to(gradient.dtype)


class _Guard(TorchDispatchMode):
    """Binarises the output of every layer; raises _Inexact, by name, for an inexact operation."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.inside: list[str] = []  # modules being called, innermost last
        self.binarising = False
        for path, module in network.named_modules():
            name = f"{type(module).__name__} at {path}" if path else type(module).__name__
            module.register_forward_pre_hook(lambda *_, name=name: self.inside.append(name))
            module.register_forward_hook(self._leave)

    def _leave(self, module: nn.Module, args: Any, output: Any) -> Any:
        self.inside.pop()
        layer = not any(True for _ in module.children()) and not isinstance(module, nn.Identity)
        if layer and isinstance(output, Tensor):
            self.binarising = True
            output = _Binarise.apply(output)
            self.binarising = False
        return output

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not self.binarising:
            name = func.overloadpacket.__name__
            outputs = result if isinstance(result, (tuple, list)) else (result,)
            if (
                name not in _EXACT
                or {"alpha", "beta"} & kwargs.keys()
                or not all(((o >= 0) & (o < torch.inf)).all() for o in outputs)
            ):
                raise _Inexact(f"{self.inside[-1]} ({name})")
        return result
