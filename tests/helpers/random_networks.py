"""Small networks of every kind that native training knows, with random masks."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from dstbench.core.masks import Masks, flat
from dstbench.methods.dyrelu import DyReLU


class Shared(nn.Module):
    """A convolution with another one's weight, times a scale of its own."""

    def __init__(self, owner: nn.Conv2d):
        super().__init__()
        self.weight, self.owner = owner.weight, [owner]
        self.scale = nn.Parameter(torch.tensor(0.7))

    def forward(self, x: Tensor) -> Tensor:
        return self.owner[0]._conv_forward(x, self.weight * self.scale, None)


class Activations:
    """Makes a network's activations.

    beta: β of its DyReLUs, or None where all are ReLUs.
    blend: what it blends.
    """

    def __init__(self, draw: Callable):
        self.draw = draw
        self.beta = draw(st.sampled_from([None, None, 1.0, 0.7, 0.0]))
        self.blend = draw(st.sampled_from(["outputs", "coefficients"]))
        self.zero = draw(st.integers(0, 3)) == 0

    def __call__(self, channels: int) -> nn.Module:
        if self.beta is None or self.draw(st.integers(0, 3)) == 0:
            return nn.ReLU()
        module = DyReLU(channels, 2, self.blend)
        module.set_beta(self.beta)
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=0.5)
        if self.zero:  # then both terms of the maximum are equal where x is 0
            nn.init.zeros_(module.excite_weight)
            nn.init.zeros_(module.excite_bias)
        return module


class Block(nn.Module):
    """One to three convolutions and a residual connection; `last` is the activation of both."""

    def __init__(
        self,
        inputs: int,
        widths: list[int],
        stride: int,
        kernel: int,
        projects: bool,
        activation: Callable[[int], nn.Module],
        last: nn.Module,
    ):
        super().__init__()
        self.activations = nn.ModuleList([*(activation(width) for width in widths[:-1]), last])
        sizes = [inputs, *widths]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, kernel, stride if i == 0 else 1, padding=kernel // 2, bias=False)
            for i, (a, b) in enumerate(pairwise(sizes))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for b in widths)
        self.shortcut: nn.Module = nn.Identity()
        if projects or stride > 1 or inputs != widths[-1]:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, widths[-1], 1, stride, bias=False), nn.BatchNorm2d(widths[-1])
            )

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            y = norm(convolution(y))
            if i < len(self.norms) - 1:
                y = self.activations[i](y)
        return self.activations[-1](y + self.shortcut(x))


@dataclass(repr=False)
class Case:
    """A network, its masks, a batch.

    model: float64, in training mode.
    images, labels: the batch.
    """

    model: nn.Module
    masks: Masks
    images: Tensor
    labels: Tensor

    def __repr__(self) -> str:
        live = {name: self.masks.live(name) for name in self.masks}
        return f"{self.model}, live {live}, images {tuple(self.images.shape)}"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        _, channels, height, width = self.images.shape
        return channels, height, width


@st.composite
def cases(draw: Callable) -> Case:
    """Return a random case."""
    integers = lambda low, high: draw(st.integers(low, high))  # noqa: E731
    torch.manual_seed(integers(0, 10_000))
    channels, height, width = integers(1, 3), integers(5, 11), integers(5, 11)
    classes, size = integers(2, 5), integers(1, 40)
    activation = Activations(draw)
    layers, inputs = _stem(draw, channels, activation) if integers(0, 4) else ([], channels)
    pools = False  # after a block
    for _ in range(integers(0, 3)):
        widths = [integers(1, 6) for _ in range(integers(1, 3))]
        if draw(st.booleans()):
            widths[-1] = inputs
        stride, kernel = draw(st.sampled_from([1, 1, 2, 3])), draw(st.sampled_from([1, 3, 5]))
        last = activation(widths[-1]) if integers(0, 3) else nn.Identity()
        block = Block(inputs, widths, stride, kernel, draw(st.booleans()), activation, last)
        layers.append(block)
        if draw(st.booleans()) and widths[-1] == inputs and stride == 1:
            layers.append(_follower(block, inputs, widths, kernel, activation))
        inputs = widths[-1]
        if not integers(0, 3):
            layers.append(nn.MaxPool2d(3, 2, padding=1))
            pools = True
    model = nn.Sequential(*layers, *_head(draw, inputs, classes, layers, (channels, height, width)))
    model.double().train()
    if draw(st.booleans()):
        model.to(memory_format=torch.channels_last)
    masks = _random_masks(draw, model, pools)
    images = torch.randn(size + (size == 1), channels, height, width, dtype=torch.float64)
    return Case(model, masks, images, torch.randint(classes, (len(images),)))


def _stem(draw: Callable, channels: int, activation: Activations) -> tuple[list[nn.Module], int]:
    outputs = draw(st.integers(1, 6))
    bias, pools = draw(st.booleans()), draw(st.sampled_from([None, "max", "mean"]))
    kernel, groups = draw(st.sampled_from([1, 3])), channels if outputs % channels == 0 else 1
    if draw(st.booleans()):
        groups = 1
    stem: list[nn.Module] = [
        nn.Conv2d(channels, outputs, kernel, padding=kernel // 2, bias=bias, groups=groups)
    ]
    if draw(st.booleans()):
        stem.append(nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.3))
    stem.append(activation(outputs))
    if pools == "max":
        stem.append(nn.MaxPool2d(3, 2, padding=1))
    elif pools == "mean":
        stem.append(nn.AvgPool2d(2, 1, padding=1))
    return stem, outputs


def _follower(
    owner: Block, inputs: int, widths: list[int], kernel: int, activation: Activations
) -> Block:
    block = Block(inputs, widths, 1, kernel, False, activation, activation(widths[-1]))
    block.convolutions = nn.ModuleList(Shared(c) for c in owner.convolutions)
    return block


def _head(
    draw: Callable, inputs: int, classes: int, layers: list, shape: tuple[int, int, int]
) -> list[nn.Module]:
    bias = draw(st.booleans())
    if draw(st.booleans()):
        return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes, bias=bias)]
    with torch.no_grad():
        body = nn.Sequential(*layers).eval()
        size = body(torch.zeros(1, *shape)).numel()
    hidden = draw(st.integers(1, 4))
    middle = [nn.BatchNorm1d(hidden)] if draw(st.booleans()) else []
    return [
        nn.Flatten(),
        nn.Linear(size, hidden, bias=bias),
        *middle,
        nn.ReLU(),
        nn.Linear(hidden, classes, bias=bias),
    ]


def _random_masks(draw: Callable, model: nn.Module, pools: bool) -> Masks:
    """Mask most tensors, zero some weights and scales, and move batch norms off their start.

    Where the first tensor has no live weight, nothing depends on pixels of the image.

    pools: whether a maximum is taken after a block. Zeros would make pixels equal there but for
        rounding, which would then decide where the gradient goes.
    """
    masks = Masks(model)
    density = draw(st.sampled_from([0.0, 0.03, 0.1, 0.3, 0.8, 1.0]))
    leaves_dense, zeros = draw(st.booleans()), draw(st.booleans()) and not pools
    cuts = draw(st.integers(0, 2)) == 0
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
                module.weight.uniform_(-1, 1.5)
                module.bias.uniform_(-0.3, 0.3)
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                if zeros:
                    module.weight[::3] = 0
        for k, (name, parameter) in enumerate(masks.parameters.items()):
            if leaves_dense and k % 3 == 1:
                continue
            live = torch.nonzero(torch.rand(parameter.numel()) < density).flatten()
            if cuts and k == 0:
                live = live[:0]
            masks.write_(name, live)
            if zeros:
                flat(parameter)[live[::4]] = 0
        masks.apply_()
    return masks
