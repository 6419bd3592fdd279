"""Small networks of every kind that can be compiled, and comparisons with compiled ones."""

import numpy as np
import torch
from torch import nn

from dstbench.deployment.compiler.compile import compile_network
from dstbench.deployment.runtime.network import Network
from dstbench.deployment.verify import relative_error


class Residual(nn.Module):
    """A block of two convolutions and a shortcut, and optionally a third that shares a weight."""

    def __init__(self, inputs, outputs, size, stride, shared, bias):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=bias)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, size, padding=size // 2, bias=bias)
        if shared:
            self.conv3 = nn.Conv2d(outputs, outputs, size, padding=size // 2, bias=False)
            self.scale = nn.Parameter(torch.tensor(-0.7))
        self.shared = shared
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        if self.shared:
            y = y + self.conv3._conv_forward(torch.relu(y), self.conv2.weight * self.scale, None)
        y = y + self.shortcut(x)
        return self.relu(y)


IMAGE = (3, 9, 7)


def random_net(
    seed,
    *,
    size=3,
    width=4,
    strides=(1, 2),
    shared=False,
    bias=True,
    head="mean",
    pool="none",
    image=IMAGE,
    sparsity=0.7,
    classes=3,
):
    """Return a network in eval mode with sparse weights and statistics like a trained one's."""
    rng = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    layers = [
        nn.Conv2d(image[0], width, size, padding=size // 2, bias=bias),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    ]
    if pool == "max":
        layers.append(nn.MaxPool2d(3, 2, padding=1))
    if pool == "ceil":
        layers.append(nn.MaxPool2d(2, ceil_mode=True))
    if pool == "mean":
        layers.append(nn.AvgPool2d(3, 2, padding=1))
    channels = width
    for stride in strides:
        layers.append(Residual(channels, width * stride, size, stride, shared, bias))
        channels = width * stride
    body = nn.Sequential(*layers)
    if head == "mean":
        body.extend([nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)])
    else:
        with torch.no_grad():
            flat = body.eval()(torch.zeros(1, *image)).numel()
        body.extend([nn.Flatten(), nn.Linear(flat, classes, bias=bias)])
    with torch.no_grad():
        for module in body.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                dead = torch.rand(module.weight.shape, generator=rng) < sparsity
                module.weight.mul_(2).masked_fill_(dead, 0)
            draw_norm_(module, rng)
    return body.eval()


def draw_norm_(module, rng):
    """Draw statistics and parameters like a trained network's, if the module is batch norm."""
    if isinstance(module, nn.BatchNorm2d):
        module.weight.uniform_(-1.5, 1.5, generator=rng)
        module.weight[0] = 0  # batch norm makes this channel constant
        module.bias.uniform_(-0.5, 0.5, generator=rng)
        module.running_mean.uniform_(-0.5, 0.5, generator=rng)
        module.running_var.uniform_(0.3, 2, generator=rng)


def noise(count, image=IMAGE, seed=0):
    """Return normally distributed images, (count, *image)."""
    return torch.randn(count, *image, generator=torch.Generator().manual_seed(seed))


def logits_of(model, images):
    """Return the logits of a torch network as numpy."""
    with torch.no_grad():
        return model(images).numpy()


def compare(model, image=IMAGE, count=5, threads=1):
    """Return (relative error, masked logits, compiled logits) on noise."""
    images = noise(count, image)
    expected = logits_of(model, images)
    logits = Network(compile_network(model, image), threads)(images.numpy())
    return relative_error(logits, expected), expected, logits


def assert_same(error, expected, logits):
    """Assert equal logits up to rounding, and equal classes where the margin exceeds rounding."""
    assert error <= 1e-4
    top = np.sort(expected, axis=1)
    clear = top[:, -1] - top[:, -2] > 1e-4 * max(np.abs(expected).max(), 1e-3)
    assert (logits.argmax(1) == expected.argmax(1))[clear].all()
