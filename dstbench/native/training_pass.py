"""Refuses networks that compute something else in training than the pass that is compiled.

What is compiled is traced in evaluation mode, where dropout does nothing, without gradients and
without hooks. The engine trains it, so the pass in training mode must call the same functions with
the same arguments, draw no random numbers, hold back no gradient, and have no hooks.
"""

import inspect
import random
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dstbench.core.random_generators import preserve_rng
from dstbench.data.images import Shape
from dstbench.graph.dynamic import DynamicActivation
from dstbench.graph.unsupported import Unsupported
from dstbench.models.function_recorder import FunctionRecorder, tensors_in
from dstbench.models.network_copy import copy_with
from dstbench.utils.host_generators import host_states

_HELD_BACK = (Tensor.detach, torch.detach, Tensor.data.__get__)  # type: ignore[attr-defined]
_GENERATORS = (random.Random, np.random.Generator, np.random.RandomState, torch.Generator)
_IMAGES = 2  # a batch norm of one value has no variance


def refuse_other_training(model: nn.Module, image_shape: Shape) -> None:
    """Compare a pass of a copy in training mode with one in evaluation mode.

    image_shape: channels, height, width.

    Raises Unsupported where they differ.
    """
    name = type(model).__name__
    if any(map(_has_hooks, model.modules())) or any(map(_is_hooked, model.parameters())):
        raise Unsupported(f"{name} has hooks, which may change what it computes")
    if any(isinstance(v, _GENERATORS) for m in model.modules() for v in vars(m).values()):
        raise Unsupported(f"{name} has a random generator of its own")
    first = next(model.parameters())
    with preserve_rng(first), torch.enable_grad():
        copies = [copy_with(model, lambda t: t.detach().cpu().clone()) for _ in range(2)]
        images = torch.zeros((_IMAGES, *image_shape), dtype=first.dtype)
        evaluated = _Calls(copies[0], images)
        before = _generators()
        trained = _Calls(copies[1].train(), images)
        draws = _generators() != before
    if draws:
        raise Unsupported(f"{name} draws random numbers in training, as dropout does")
    if trained.problem:
        raise Unsupported(f"{name} {trained.problem}")
    if trained.calls != evaluated.calls:
        raise Unsupported(f"{name} computes something else in training than in evaluation")


class _Calls:
    """The functions that a pass calls, and their arguments.

    A `DynamicActivation` counts as one: the engine knows its gradients.

    calls: of each, the function and what describes its arguments, in order.
    problem: what the engine cannot train, if anything; without the network's name.
    """

    def __init__(self, model: nn.Module, images: Tensor):
        self.calls: list[Any] = []
        self.problem = ""
        self._names = dict(_named(model))  # tensors are compared by identity, and kept alive
        self._values = {images}
        self._inside = 0  # dynamic activations being called
        for module in model.modules():
            if _is_dynamic(module):
                module.register_forward_pre_hook(self._enter)
                module.register_forward_hook(self._leave)
        with FunctionRecorder(self._record):
            model(images)

    def _enter(self, module: nn.Module, args: tuple) -> None:
        self._inside += 1

    def _leave(self, module: nn.Module, args: tuple, result: Any) -> None:
        self._inside -= 1
        self._values.update(tensors_in((result,)))
        self.calls.append(type(module))

    def _record(self, function: Any, result: Any, args: tuple, kwargs: dict[str, Any]) -> None:
        given = list(tensors_in((*args, *kwargs.values())))
        counts = all(not t.is_floating_point() for t in given)  # such as batches, in a batch norm
        if self._inside or counts or not any(True for _ in tensors_in((result,))):
            if function is Tensor.register_hook:
                self.problem = "has hooks, which may change what it computes"
            return
        if function is F.batch_norm:
            args, kwargs = self._of_norm(args, kwargs), {}
        elif function in (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d):
            args, kwargs = args[:2], {}  # what it drops would have drawn random numbers
        self.calls.append((function, self._described(args), self._described(kwargs.items())))
        if any(tensor in self._values for tensor in given):
            self._values.update(tensors_in((result,)))
            if function in _HELD_BACK:
                self.problem = "holds back gradients (detach)"
            elif not torch.is_grad_enabled():
                self.problem = "holds back gradients (no_grad)"

    def _of_norm(self, args: tuple, kwargs: dict[str, Any]) -> tuple:
        """Return the arguments of a batch norm that are the same in both modes."""
        bound = inspect.signature(F.batch_norm).bind(*args, **kwargs)
        bound.apply_defaults()
        if not bound.arguments.pop("training"):
            self.problem = self.problem or "has a batch norm that uses its averages in training"
        return tuple(bound.arguments.values())

    def _described(self, values: Iterable[Any]) -> list[Any]:
        """Return names and shapes of tensors, and other values as they are."""
        found: list[Any] = []
        for value in values:
            if isinstance(value, Tensor):
                fixed = value.dim() == 0 and value not in self._values
                number = repr(value.detach().item()) if fixed else ""
                found.append((self._names.get(value, ""), tuple(value.shape), number))
            elif isinstance(value, list | tuple):
                found.append(self._described(value))
            else:
                found.append(repr(value))
        return found


def _named(model: nn.Module) -> Iterator[tuple[Tensor, str]]:
    yield from ((tensor, name) for name, tensor in model.named_parameters())
    yield from ((tensor, name) for name, tensor in model.named_buffers())


def _has_hooks(module: nn.Module) -> bool:
    kinds = ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")
    return any(getattr(module, f"_{kind}") for kind in kinds)


def _is_hooked(parameter: Tensor) -> bool:
    kinds = ("_backward_hooks", "_post_accumulate_grad_hooks")
    return any(getattr(parameter, kind, None) for kind in kinds)


def _is_dynamic(module: nn.Module) -> bool:
    return isinstance(module, DynamicActivation)


def _generators() -> tuple[Any, bytes]:
    return repr(host_states()), torch.get_rng_state().numpy().tobytes()
