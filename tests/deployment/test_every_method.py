"""Every shipped method's network compiles exactly, or is refused because it is dense.

No training is needed: structure and masks are the method's, and all numbers are drawn at random,
negative scales included.
"""

import math

import pytest
import torch
from helpers.deploy_networks import assert_same, compare, draw_norm_, logits_of, noise

from dstbench.config.shipped_files import shipped
from dstbench.conformance.trial import SIZE, Trial
from dstbench.deployment.compiler.compile import compile_network
from dstbench.deployment.onnx_export import onnx_bytes, onnx_logits
from dstbench.deployment.verify import relative_error
from dstbench.errors import UserError
from dstbench.graph.trace import trace

METHODS = {name: str(path) for name, path in shipped("methods").items()}
DENSE = {name for name in METHODS if name.startswith("dctps")}  # a dense offset plus sparse weights
DEAD = {"small_dense"}  # so narrow here that random norms leave it no live activation to compare
IMAGE = (3, SIZE, SIZE)


def finished(method):
    """Return the network that a method deploys: ResNet-20 of width 4 at 90 %."""
    run, _, state = Trial(METHODS[method]).start()
    draw_(state.model, dict(state.masks.items()))
    run.method.finish(state)
    return state.model.eval()


@torch.no_grad()
def draw_(model, masks):
    """Draw all numbers of a network, in place."""
    rng = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 0:  # scales of shared weights and of dense offsets
            parameter.uniform_(-1.5, 1.5, generator=rng)
        if parameter.dim() > 1 and masks.get(name, parameter).any():
            mask = masks.get(name, torch.ones_like(parameter))
            fan_in = float(mask.sum()) / len(parameter)
            parameter.copy_(mask * torch.randn(mask.shape, generator=rng) * (2 / math.sqrt(fan_in)))
    for module in model.modules():
        draw_norm_(module, rng)


@pytest.mark.parametrize("method", sorted(METHODS.keys() - DENSE - DEAD))
def test_compiled_network_of_every_sparse_method_has_same_logits(method):
    error, expected, logits = compare(finished(method), IMAGE, count=16)
    assert expected.std(0).max() > 0.01  # else the comparison would mean little
    assert_same(error, expected, logits)


@pytest.mark.parametrize("method", sorted(DENSE))
def test_network_with_dense_offset_is_refused_and_exported_as_dense_onnx(method):
    model = finished(method)
    with pytest.raises(UserError, match=r"DCT\w+ at .* dense offset .*--dense"):
        compile_network(model, IMAGE)
    images = noise(16, IMAGE)
    expected = logits_of(model, images)
    assert expected.std(0).max() > 0.01
    logits = onnx_logits(onnx_bytes(trace(model, IMAGE), IMAGE), images.numpy())
    assert relative_error(logits, expected) <= 1e-4
