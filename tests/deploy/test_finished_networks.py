"""Every shipped method's network compiles to itself, whatever its numbers, or is refused as dense.

Training is not needed for that: the structure and the masks are the method's, and all numbers are
drawn at random, negative scales included.
"""

import math

import pytest
import torch
from helpers.deploy_networks import assert_same, compare, draw_norm_

from dstbench.config.shipped_files import shipped
from dstbench.conformance.trial import SIZE, Trial
from dstbench.deploy.compiler.compile import compile_network
from dstbench.deploy.compiler.trace import trace
from dstbench.deploy.onnx_export import write_onnx
from dstbench.deploy.verify import check_onnx
from dstbench.errors import UserError

METHODS = {name: str(path) for name, path in shipped("methods").items()}
DENSE = {name for name in METHODS if name.startswith("dctps")}  # a transform and sparse weights
IMAGE = (3, SIZE, SIZE)


def finished(method):
    """The network of a method as it is deployed: ResNet-20 of width 4 at 90 %."""
    run, _, state = Trial(METHODS[method]).start()
    draw_(state.model, dict(state.masks.items()))
    run.method.finish(state)
    return state.model.eval()


@torch.no_grad()
def draw_(model, masks):
    rng = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 0:  # scales of shared weights and of transforms
            parameter.uniform_(-1.5, 1.5, generator=rng)
        if parameter.dim() > 1 and masks.get(name, parameter).any():
            mask = masks.get(name, torch.ones_like(parameter))
            fan_in = float(mask.sum()) / len(parameter)
            parameter.copy_(mask * torch.randn(mask.shape, generator=rng) * (2 / math.sqrt(fan_in)))
    for module in model.modules():
        draw_norm_(module, rng)


@pytest.mark.parametrize("method", sorted(METHODS.keys() - DENSE))
def test_a_compiled_network_is_the_network(method):
    error, wanted, got = compare(finished(method), IMAGE, count=16)
    assert wanted.std(0).max() > 0.01  # or there would be little to compare
    assert_same(error, wanted, got)


@pytest.mark.parametrize("method", sorted(DENSE))
def test_a_dense_offset_is_refused_and_leaves_as_dense_onnx(method):
    model = finished(method)
    with pytest.raises(UserError, match=r"DCT\w+ at .* dense transform .*--dense"):
        compile_network(model, IMAGE)
    images = torch.randn(16, *IMAGE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = model(images).numpy()
    assert wanted.std(0).max() > 0.01
    assert check_onnx(write_onnx(trace(model, IMAGE), IMAGE), images.numpy(), wanted) <= 1e-4
