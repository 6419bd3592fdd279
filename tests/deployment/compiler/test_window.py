"""Window arithmetic against torch's own convolutions and pooling."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dstbench.deployment.compiler.window import Window

SETTINGS = [(1, 1, 1), (2, 1, 1), (2, 0, 2), (1, 2, 2)]  # stride, padding, dilation


@pytest.mark.parametrize("stride, padding, dilation", SETTINGS)
def test_window_reads_what_a_convolution_multiplies(stride, padding, dilation):
    plane = torch.randn(7, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for position in ((0, 0), (1, 2), (2, 1)):
        kernel = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
        kernel[0, 0][position] = 1
        expected = F.conv2d(plane[None, None], kernel, None, stride, padding, dilation)[0, 0]
        pairs = ((3, 3), (stride,) * 2, (padding,) * 2, (dilation,) * 2)
        window = Window(*pairs, tuple(plane.shape), tuple(expected.shape))
        assert np.array_equal(window.read(plane.numpy(), *position), expected.numpy())
        read = np.zeros((1, *plane.shape), bool)
        window.mark_read(read, np.ones((1, *expected.shape), bool), *position)
        assert read.sum() == window.inside(*position).sum()


def test_window_maximum_ignores_pixels_outside():
    plane = -torch.rand(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = F.max_pool2d(plane[None, None], 3, 2, 1)[0, 0]
    window = Window((3, 3), (2, 2), (1, 1), (1, 1), (5, 5), tuple(expected.shape))
    assert np.array_equal(window.maximum(plane.numpy()), expected.numpy())
