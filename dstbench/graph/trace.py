"""Traces a network: one forward pass of a copy becomes a list of steps.

The functions that the pass calls are recorded, not the modules. So a convolution with another
layer's weight times a scale is found as such, and so is an activation that has become a ReLU. The
exception is a `DynamicActivation`, which is one step.
"""

import operator
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from dstbench.core.random_generators import preserve_rng
from dstbench.data.images import Shape
from dstbench.graph.dynamic import DynamicActivation
from dstbench.graph.steps import Action, Dynamic, Step
from dstbench.graph.torch_functions import (
    READERS,
    StoredWeight,
    TracedTensors,
)
from dstbench.graph.unsupported import Unsupported
from dstbench.models.function_recorder import FunctionRecorder, tensors_in
from dstbench.models.network_copy import copy_with

_MULTIPLICATIONS = (torch.mul, Tensor.mul, Tensor.__mul__, operator.mul)


def trace(model: nn.Module, image_shape: Shape) -> list[Step]:
    """Return the steps from an image to the logits (classes, 1, 1).

    The model itself is not run. Control flow that depends on values is not seen.

    image_shape: channels, height, width.

    Raises Unsupported: when a layer is none of the actions of `graph`; the message names it.
    """
    cpu_copy = copy_with(model, lambda t: t.detach().cpu())
    tracer = _Tracer(cpu_copy, image_shape)
    with (
        torch.no_grad(),
        preserve_rng(next(model.parameters())),
        FunctionRecorder(tracer.record),
    ):
        logits = cpu_copy(tracer.image)
    if not tracer.traced.is_value(logits) or logits.dim() != 2:
        raise Unsupported(
            f"{type(model).__name__} does not map images to logits (images, classes), so it cannot "
            "be compiled."
        )
    return tracer.steps[: tracer.traced.values[logits]]


class _Tracer:
    """Adds a step for each function that is called with a value, and follows stored weights."""

    def __init__(self, model: nn.Module, image_shape: Shape):
        self.steps: list[Step] = []
        # Only shapes matter here.
        self.image = torch.zeros((1, *image_shape), dtype=next(model.parameters()).dtype)
        self.traced = TracedTensors(
            values={self.image: 0},
            weights={p: StoredWeight(name, p) for name, p in model.named_parameters()},
            buffers={b: name for name, b in model.named_buffers()},
        )
        self.running: list[tuple[str, nn.Module]] = []  # modules being called, outermost first
        self.dynamic = {module for module in model.modules() if _is_dynamic(module)}
        for path, module in model.named_modules():
            module.register_forward_pre_hook(
                lambda _, args, entry=(path, module): self.running.append(entry)
            )
            module.register_forward_hook(self._leave)

    def _leave(self, module: nn.Module, args: tuple, result: Any) -> None:
        if module in self.dynamic:
            if len(args) != 1 or not self.traced.is_value(args[0]):
                self._refuse("it reads something else than a value")
            action = Dynamic(self.running[-1][0], self._layer())
            self._add(action, result, (self.traced.values[args[0]],))
        self.running.pop()

    def record(self, function: Any, result: Any, args: tuple, kwargs: dict[str, Any]) -> None:
        inside = any(module in self.dynamic for _, module in self.running)
        if inside or not isinstance(result, Tensor):
            return
        given = (*args, *kwargs.values())
        inputs = [a for a in given if self.traced.is_value(a)]
        listed = sum(map(self.traced.is_value, tensors_in(given))) > len(inputs)
        if not inputs and not listed:
            self._follow_weight(function, args, result)
            return
        reader = READERS.get(function)
        name = getattr(function, "__name__", str(function))
        if reader is None or listed:
            self._refuse(name)
        try:
            action = reader(self.traced, result, *args, **kwargs)
        except Unsupported as error:
            self._refuse(error.message)
        except TypeError:  # a reader has the arguments that are known
            self._refuse(f"{name} with these arguments")
        self._add(action, result, tuple(self.traced.values[a] for a in inputs))

    def _add(self, action: Action | None, result: Tensor, inputs: tuple[int, ...]) -> None:
        if action is None:  # the same value
            self.traced.values[result] = inputs[0]
            return
        sizes = list(result.shape[1:])
        shape = (sizes[0], 1, 1) if len(sizes) == 1 else (sizes[0], sizes[1], sizes[2])
        self.steps.append(Step(action, inputs, shape))
        self.traced.values[result] = len(self.steps)

    def _follow_weight(self, function: Any, args: tuple, result: Tensor) -> None:
        """Record that a stored tensor times a number is still that tensor."""
        if function not in _MULTIPLICATIONS or len(args) != 2:
            return
        for tensor, number in (args, args[::-1]):
            known = isinstance(tensor, Tensor) and tensor in self.traced.weights
            if known and getattr(number, "numel", lambda: 1)() == 1:
                stored = self.traced.weights[tensor]
                factor = stored.factor * float(number)
                scale = self._scale(stored, number)
                self.traced.weights[result] = StoredWeight(
                    stored.name, stored.tensor, factor, scale
                )
                return

    def _scale(self, stored: StoredWeight, number: Any) -> str | None:
        """Return what a stored weight times a number is multiplied by, if it is no fixed number."""
        is_tensor = isinstance(number, Tensor)
        if not is_tensor and stored.scale is None:
            return None
        name = self.traced.parameter(number) or "a computed number" if is_tensor else f"{number}"
        if stored.scale is None and stored.factor == 1:
            return name
        return f"{stored.scale or stored.factor} · {name}"

    def _refuse(self, why: str) -> NoReturn:
        """Raise an Unsupported that names the running layer and why it cannot be compiled."""
        raise Unsupported(
            f"{self._layer()} cannot be compiled ({why}). Convolutions, linear layers, batch norm, "
            "ReLU, sums, pooling and flattening can be."
        )

    def _layer(self) -> str:
        """Return the class and path of the running layer."""
        path, module = self.running[-1] if self.running else ("", nn.Identity())
        return f"{type(module).__name__} at {path}" if path else type(module).__name__


def _is_dynamic(module: nn.Module) -> bool:
    return isinstance(module, DynamicActivation) and module.is_dynamic
