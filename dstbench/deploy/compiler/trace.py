"""What a network does to an image, as a short list of steps: convolutions, sums, ReLUs, pooling.

The functions that one forward pass calls are noted, not the modules. So a convolution whose weight
is another layer's times a scale is that, and an activation that has become a ReLU is one. Control
flow that depends on values is not seen. The model is never touched: a copy runs.
"""

import operator
from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from dstbench.data.images import Shape
from dstbench.deploy.compiler.graph import (
    Action,
    Affine,
    Convolution,
    Flatten,
    Pair,
    Pool,
    Relu,
    Step,
    Sum,
)
from dstbench.errors import UserError
from dstbench.models.copies import preserve_rng, shadow


def trace(model: nn.Module, image_shape: Shape) -> list[Step]:
    """The steps from an image (channels, height, width) to the logits (classes, 1, 1).

    The last step makes the logits. Raises UserError, naming the layer, for what is none of the
    actions above.
    """
    like = next(model.parameters())
    twin = shadow(model, lambda t: t.detach().cpu())
    notes = _Tracer(twin, image_shape)
    with torch.no_grad(), preserve_rng(like), notes:
        logits = twin(notes.image)
    last = notes.values.get(id(logits))
    if not isinstance(logits, Tensor) or last is None or logits.dim() != 2:
        raise UserError(
            f"{type(model).__name__} does not map images to logits (images, classes), so it cannot "
            "be compiled."
        )
    return notes.steps[:last]


class _Tracer(TorchFunctionMode):
    """Notes the functions that are called with what comes from the image."""

    def __init__(self, model: nn.Module, image_shape: Shape):
        super().__init__()
        self.steps: list[Step] = []
        # float32: what a network in eval mode computes in, and shapes are all that matters here
        self.image = torch.zeros((1, *image_shape))
        self.values = {id(self.image): 0}
        self.shapes: list[Shape] = [image_shape]
        self.kept: list[Tensor] = [self.image]  # as long as their ids are
        self.weights = {id(p): (name, p, 1.0) for name, p in model.named_parameters()}
        self.inside: list[tuple[str, nn.Module]] = []
        for path, module in model.named_modules():
            module.register_forward_pre_hook(
                lambda _, args, place=(path, module): self.inside.append(place)
            )
            module.register_forward_hook(lambda *_: self.inside.pop() and None)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not isinstance(result, Tensor):
            return result
        if not any(id(a) in self.values for a in (*args, *kwargs.values())):
            self._note_weight(func, args, result)
            return result
        reader = _READERS.get(func)
        if reader is None:
            self.refuse(getattr(func, "__name__", str(func)))
        self._note(reader(self, result, *args, **kwargs), result, args, kwargs)
        return result

    def _note(self, action: Action | None, result: Tensor, args: Any, kwargs: Any) -> None:
        given = [a for a in (*args, *kwargs.values()) if id(a) in self.values]
        inputs = tuple(self.values[id(a)] for a in given)
        if action is None:  # the identity
            self._name(result, inputs[0])
            return
        sizes = list(result.shape[1:])
        shape = (sizes[0], 1, 1) if len(sizes) == 1 else (sizes[0], sizes[1], sizes[2])
        self.steps.append(Step(action, inputs, shape))
        self.shapes.append(shape)
        self._name(result, len(self.steps))

    def _name(self, tensor: Tensor, value: int) -> None:
        self.values[id(tensor)] = value
        self.kept.append(tensor)

    def _note_weight(self, func: Any, args: tuple, result: Tensor) -> None:
        """A stored tensor times a number is still that tensor."""
        if func in (torch.mul, Tensor.mul, Tensor.__mul__, operator.mul) and len(args) == 2:
            for tensor, number in (args, args[::-1]):
                if id(tensor) in self.weights and getattr(number, "numel", lambda: 1)() == 1:
                    name, base, factor = self.weights[id(tensor)]
                    self.weights[id(result)] = (name, base, factor * float(number))
                    self.kept.append(result)
                    return

    def convolution(self, weight: Tensor, bias: Tensor | None, **settings: Any) -> Convolution:
        name, base, factor = self.weights.get(id(weight), (f"made {id(weight)}", weight, 1.0))
        self.kept.append(weight)
        values = base.detach().double().numpy()
        if values.ndim == 2:
            values = values[:, :, None, None]
        shift = None if bias is None else bias.detach().double().numpy()
        return Convolution(values, factor, name, shift, **settings)

    def refuse(self, what: str, hint: str = "") -> NoReturn:
        """Say which layer cannot be compiled, and why, as far as that is known."""
        path, module = self.inside[-1] if self.inside else ("", nn.Identity())
        place = f"{type(module).__name__} at {path}" if path else type(module).__name__
        if getattr(module, "training_only", False):
            raise UserError(
                f"{place} is still a dynamic activation, not a plain ReLU yet, and cannot be "
                "compiled. Finish the run, or choose an epoch after it was phased out."
            )
        raise UserError(
            f"{place} cannot be compiled ({what}){hint}. Convolutions, linear layers, batch norm, "
            "ReLU, sums, pooling and flattening can."
        )


# --- what each function is ------------------------------------------------------------------------


def _pair(value: Any) -> Pair:
    first, *rest = value if isinstance(value, (tuple, list)) else (value, value)
    return int(first), int(rest[0]) if rest else int(first)


def _conv2d(
    notes: _Tracer, result: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None,
    stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
) -> Action:  # fmt: skip
    dilation = _pair(dilation)
    if padding == "same":
        spans = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        before = (spans[0] // 2, spans[1] // 2)
    else:
        before = (0, 0) if padding == "valid" else _pair(padding)
    return notes.convolution(
        weight, bias, stride=_pair(stride), before=before, dilation=dilation, groups=groups
    )


def _linear(
    notes: _Tracer, result: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Action:
    if input.dim() != 2:
        notes.refuse(f"linear on {input.dim()} dimensions")
    one = (1, 1)
    return notes.convolution(weight, bias, stride=one, before=(0, 0), dilation=one, groups=1)


def _batch_norm(
    notes: _Tracer, result: Tensor, input: Tensor, mean: Tensor | None, var: Tensor | None,
    weight: Tensor | None = None, bias: Tensor | None = None, training: bool = False,
    momentum: float = 0.1, eps: float = 1e-5,
) -> Action:  # fmt: skip
    if training or mean is None or var is None:
        notes.refuse("batch norm without running statistics")
    scale = 1 / (var.double() + eps).sqrt()
    scale = scale if weight is None else scale * weight.double()
    shift = -mean.double() * scale
    shift = shift if bias is None else shift + bias.double()
    return Affine(scale.numpy(), shift.numpy())


def _relu(notes: _Tracer, result: Tensor, input: Tensor, inplace: bool = False) -> Action:
    if inplace and input._base is not None:
        notes.refuse("relu in place on a view")
    return Relu()


def _relu_(notes: _Tracer, result: Tensor, input: Tensor) -> Action:
    return _relu(notes, result, input, inplace=True)


def _add(notes: _Tracer, result: Tensor, a: Any, b: Any, *, alpha: Any = 1) -> Action:
    if not (id(a) in notes.values and id(b) in notes.values and alpha == 1 and a.shape == b.shape):
        notes.refuse("a sum with something else than a value of the same shape")
    return Sum()


def _max_pool2d(
    notes: _Tracer, result: Tensor, input: Tensor, kernel_size: Any, stride: Any = None,
    padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False, return_indices: bool = False,
) -> Action:  # fmt: skip
    if _pair(dilation) != (1, 1) or return_indices:
        notes.refuse("max pooling with dilation or indices")
    return Pool(True, _pair(kernel_size), _pair(stride or kernel_size), _pair(padding))


def _avg_pool2d(
    notes: _Tracer, result: Tensor, input: Tensor, kernel_size: Any, stride: Any = None,
    padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Action:  # fmt: skip
    uneven = _pair(padding) != (0, 0) and not count_include_pad
    if ceil_mode or uneven or divisor_override is not None:
        notes.refuse("average pooling whose windows differ in size")
    return Pool(False, _pair(kernel_size), _pair(stride or kernel_size), _pair(padding))


def _adaptive(maximum: bool) -> Callable[..., Action]:
    def read(notes: _Tracer, result: Tensor, input: Tensor, output_size: Any, *_: Any) -> Action:
        window = []
        for size, outputs in zip(input.shape[2:], result.shape[2:], strict=True):
            if size % outputs:
                notes.refuse(f"adaptive pooling of {size} pixels to {outputs}")
            window.append(size // outputs)
        return Pool(maximum, _pair(window), _pair(window), (0, 0))

    return read


def _reshape(notes: _Tracer, result: Tensor, input: Tensor, *_: Any, **__: Any) -> Action | None:
    if result.shape == input.shape:
        return None
    if result.dim() == 2 and result.shape[0] == 1:
        return Flatten()
    notes.refuse(f"reshaping {list(input.shape)} to {list(result.shape)}")


def _same(notes: _Tracer, result: Tensor, input: Tensor, *_: Any, **__: Any) -> None:
    return None


def _dropout(
    notes: _Tracer, result: Tensor, input: Tensor, p: float = 0.5, training: bool = True, *_: Any
) -> None:
    if training:
        notes.refuse("dropout in training mode")


_READERS: dict[Any, Callable[..., Action | None]] = {
    F.conv2d: _conv2d,
    F.linear: _linear,
    F.batch_norm: _batch_norm,
    **dict.fromkeys((F.relu, torch.relu, Tensor.relu), _relu),
    **dict.fromkeys((F.relu_, torch.relu_, Tensor.relu_), _relu_),
    **dict.fromkeys((torch.add, Tensor.add, Tensor.__add__, Tensor.add_, Tensor.__iadd__), _add),
    **dict.fromkeys((F.max_pool2d, torch.max_pool2d), _max_pool2d),
    F.avg_pool2d: _avg_pool2d,
    F.adaptive_avg_pool2d: _adaptive(False),
    F.adaptive_max_pool2d: _adaptive(True),
    **dict.fromkeys((torch.flatten, Tensor.flatten, Tensor.view, Tensor.reshape, torch.reshape,
                     Tensor.squeeze, torch.squeeze), _reshape),
    **dict.fromkeys((Tensor.contiguous, Tensor.to, Tensor.float, Tensor.clone, Tensor.detach),
                    _same),
    **dict.fromkeys((F.dropout, F.dropout2d), _dropout),
}  # fmt: skip
