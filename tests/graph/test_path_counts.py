"""count_paths: counts by hand, and those of a network of ones."""

import numpy as np
import torch
from torch import nn

from dstbench.graph.path_counts import count_paths
from dstbench.graph.steps import Convolution
from dstbench.graph.trace import trace


def paths_to_logits(model, shape, kernels):
    values = [torch.ones(shape, dtype=torch.float64)]
    for step in trace(model, shape):
        ones = None
        if isinstance(step.action, Convolution):
            ones = torch.from_numpy(kernels(step.action)).reshape(step.action.weight.shape)
        values.append(count_paths(step, [values[v] for v in step.inputs], ones))
    assert all(v.shape == s.shape for v, s in zip(values[1:], trace(model, shape), strict=True))
    return values[-1].flatten()


def test_paths_of_a_chain_are_the_product_of_its_masks():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))
    masks = iter([np.array([[1, 0, 1], [1, 1, 1]]), np.array([[1, 0], [1, 1]])])
    assert paths_to_logits(model, (3, 1, 1), lambda _: next(masks)).tolist() == [2, 5]


class Residual(nn.Module):
    """Has each kind of step: padding, strides, both poolings, norm, sum."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.top, self.same = nn.MaxPool2d(3, 2, 1), nn.Conv2d(4, 4, 3, padding="same", bias=False)
        self.mean, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(4, 3, bias=False)

    def forward(self, x):
        x = self.top(torch.relu(self.norm(self.stem(x))))
        return self.fc(self.mean(x + self.same(x)).flatten(1))


def test_paths_are_the_values_of_a_network_of_ones():
    torch.manual_seed(0)
    model = Residual().double().eval()
    for weight in model.parameters():
        weight.data.bernoulli_(0.5)
    model.norm.weight.data.fill_(1)
    model.norm.bias.data.fill_(0)
    model.norm.eps = 0.0
    expected = model(torch.ones(1, 2, 13, 9, dtype=torch.float64))[0]
    paths = paths_to_logits(model, (2, 13, 9), lambda action: action.weight)
    torch.testing.assert_close(paths, expected.detach())
