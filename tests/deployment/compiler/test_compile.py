"""A compiled network computes the same logits and classes, whatever is dead."""

import numpy as np
import pytest
import torch
from helpers.deploy_networks import assert_same, compare, logits_of, noise, random_net
from helpers.tiny_runs import IMAGE, started, tiny_resnet
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dstbench.core.budgets import ERK
from dstbench.deployment.compiler.compile import compile_network
from dstbench.deployment.runtime.network import Network
from dstbench.methods.weight_sharing import WeightSharing


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"head": "flat", "pool": "max", "bias": False},
        {"shared": True, "pool": "ceil", "sparsity": 0.95},
        {"size": 5, "pool": "mean", "strides": (2,), "sparsity": 0.0},
        {"size": 1, "sparsity": 1.0},
    ],
    ids=str,
)
def test_compiled_network_has_same_logits(options):
    assert_same(*compare(random_net(0, **options)))


@pytest.mark.slow
@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    size=st.sampled_from([1, 3, 5]),
    strides=st.lists(st.sampled_from([1, 2]), max_size=3),
    shared=st.booleans(),
    bias=st.booleans(),
    head=st.sampled_from(["mean", "flat"]),
    pool=st.sampled_from(["none", "max", "ceil", "mean"]),
    image=st.sampled_from([(3, 9, 7), (1, 8, 8), (2, 5, 11), (3, 1, 1)]),
    sparsity=st.sampled_from([0.0, 0.5, 0.8, 0.95, 1.0]),
)
def test_compiled_network_has_same_logits_for_random_architectures(seed, image, **options):
    model = random_net(seed, image=image, **options)
    assert_same(*compare(model, image))


def test_dead_first_layer_leaves_constant_logits_and_no_operations():
    model = random_net(1)
    with torch.no_grad():
        model[0].weight.zero_()
    program = compile_network(model, (3, 9, 7))
    assert len(program.kind) == program.classes
    error, expected, _ = compare(model)
    assert error <= 1e-5
    assert (expected == expected[0]).all()


def test_logits_that_are_exactly_zero_stay_zero():
    """Otherwise rounding would choose the class of an image with no signal."""
    model = random_net(2, strides=(1,), sparsity=0.0)
    with torch.no_grad():
        model[3].conv2.weight.zero_()
        model[3].bn2.bias.fill_(-100.3)  # the last ReLU cuts every channel everywhere
        model[-1].bias.zero_()
    _, expected, logits = compare(model)
    assert (expected == 0).all() and (logits == 0).all()


def test_channels_that_a_block_leaves_unchanged_need_fewer_operations():
    model = random_net(2, strides=(1,), sparsity=0.0, head="flat")
    all_operations = len(compile_network(model, (3, 9, 7)).kind)
    with torch.no_grad():
        model[3].conv2.weight.zero_()
        model[3].bn2.bias.fill_(0.2)
        model[3].bn2.running_mean.zero_()
    assert len(compile_network(model, (3, 9, 7)).kind) < all_operations
    assert compare(model)[0] <= 1e-5


def test_constant_channel_through_padded_convolution_has_other_values_at_the_border():
    conv1, conv2 = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 3, padding=1, bias=False)
    with torch.no_grad():
        conv1.weight.zero_()
        conv1.bias.fill_(2.0)
        conv2.weight.fill_(1.0)
    model = nn.Sequential(conv1, conv2, nn.Flatten()).eval()
    logits = Network(compile_network(model, (1, 3, 3)), 1)(np.zeros((1, 1, 3, 3), np.float32))
    assert logits.reshape(3, 3).tolist() == [[8, 12, 8], [12, 18, 12], [8, 12, 8]]


@pytest.mark.slow
def test_shared_weights_are_stored_once():
    _, state = started(tiny_resnet(depths=(4, 4)), [WeightSharing(), ERK(0.6)])
    program = compile_network(state.model.eval(), IMAGE)
    assert len(program.weights) < int((program.weight > 0).sum())
    images = noise(4, IMAGE)
    logits = Network(program, 1)(images.numpy())
    assert np.allclose(logits, logits_of(state.model, images), rtol=1e-4, atol=1e-5)


def test_compiling_leaves_the_model_unchanged():
    model = random_net(3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    compile_network(model, (3, 9, 7))
    assert all((before[name] == tensor).all() for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
