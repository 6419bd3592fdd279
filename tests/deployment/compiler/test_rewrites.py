"""Rewrites of steps compute the same and apply only where they may."""

import numpy as np
import torch
from torch import nn

from dstbench.deployment.compiler.rewrites import classify_before_mean, fold_batch_norm
from dstbench.graph.steps import Affine, Convolution, Flatten, Pool
from dstbench.graph.trace import trace


def classifier(live):
    """Return a mean over 4×4 pixels and a linear layer with so many live weights."""
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)).eval()
    with torch.no_grad():
        model[2].weight.view(-1)[live:] = 0
    return trace(model, (8, 4, 4))


def kinds(steps):
    return [type(step.action) for step in steps]


def test_classify_before_mean_moves_a_sparse_classifier():
    steps = classify_before_mean(classifier(live=5), (8, 4, 4))
    assert kinds(steps) == [Convolution, Pool]
    assert [step.shape for step in steps] == [(10, 4, 4), (10, 1, 1)]


def test_classify_before_mean_leaves_a_dense_classifier():
    assert kinds(classify_before_mean(classifier(live=80), (8, 4, 4))) == [
        Pool,
        Flatten,
        Convolution,
    ]


def test_fold_batch_norm_scales_weight_and_bias():
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Flatten()).eval()
    model[1].running_var.copy_(torch.tensor([1.0, 2.0, 3.0]))
    before = trace(model, (2, 2, 2))
    after = fold_batch_norm(before)
    assert kinds(after) == [Convolution, Flatten] and after[1].inputs == (1,)
    convolution, norm = before[0].action, before[1].action
    scale = norm.scale[:, None, None, None]
    assert np.allclose(after[0].action.weight, convolution.weight * scale)
    assert np.allclose(after[0].action.bias, convolution.bias * norm.scale + norm.shift)


def test_fold_batch_norm_keeps_a_norm_whose_input_others_read():
    class Split(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)

        def forward(self, x):
            y = self.conv(x)
            return torch.flatten(y + self.norm(y), 1)

    steps = trace(Split().eval(), (2, 2, 2))
    assert Affine in kinds(fold_batch_norm(steps))
