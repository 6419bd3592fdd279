"""Refuses networks that compute something else in training than the pass that is compiled.

What is compiled is traced in evaluation mode, where dropout does nothing, and without gradients.
The engine trains it, so the pass in training mode must call the same functions, draw no random
numbers, and hold back no gradient.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from dstbench.core.random_generators import preserve_rng
from dstbench.data.images import Shape
from dstbench.graph.dynamic import DynamicActivation
from dstbench.graph.unsupported import Unsupported
from dstbench.models.function_recorder import FunctionRecorder
from dstbench.models.network_copy import copy_with
from dstbench.utils.host_generators import host_states

_HELD_BACK = (Tensor.detach, torch.detach, Tensor.data.__get__)  # type: ignore[attr-defined]
_IMAGES = 2  # a batch norm of one value has no variance


def refuse_other_training(model: nn.Module, image_shape: Shape) -> None:
    """Compare a pass of a copy in training mode with one in evaluation mode.

    image_shape: channels, height, width.

    Raises Unsupported where they differ.
    """
    name = type(model).__name__
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
    if trained.held_back:
        raise Unsupported(f"{name} holds back gradients ({trained.held_back})")
    if trained.functions != evaluated.functions:
        raise Unsupported(f"{name} computes something else in training than in evaluation")


class _Calls:
    """The functions that a pass calls with what depends on the images.

    A `DynamicActivation` counts as one: the engine knows its gradients.

    functions: in the order of the calls.
    held_back: what stops a gradient, if anything does.
    """

    def __init__(self, model: nn.Module, images: Tensor):
        self.functions: list[Any] = []
        self.held_back = ""
        self._values = {images}  # a set of tensors compares them by identity, and keeps them alive
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
        self._values.update(_tensors((result,)))
        self.functions.append(type(module))

    def _record(self, function: Any, result: Any, args: tuple, kwargs: dict[str, Any]) -> None:
        given = _tensors((*args, *kwargs.values()))
        if self._inside or not any(tensor in self._values for tensor in given):
            return
        self._values.update(_tensors((result,)))
        self.functions.append(function)
        if function in _HELD_BACK:
            self.held_back = "detach"
        elif not torch.is_grad_enabled():
            self.held_back = "no_grad"


def _is_dynamic(module: nn.Module) -> bool:
    return isinstance(module, DynamicActivation)


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _generators() -> tuple[Any, bytes]:
    return repr(host_states()), torch.get_rng_state().numpy().tobytes()
