"""A compiled network is the network: the same logits and the same classes, whatever is dead."""

import numpy as np
import pytest
import torch
from helpers.deploy_networks import assert_same, compare, random_net
from helpers.tiny_runs import IMAGE, started, tiny_resnet
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dstbench.core.budgets import ERK
from dstbench.deploy.compiler.compile import compile_network
from dstbench.deploy.runtime.network import Network
from dstbench.errors import UserError
from dstbench.measure.worst_case import worst_case
from dstbench.methods.dctps import DCTpS
from dstbench.methods.dyrelu import DyReLUPhasing
from dstbench.methods.weight_sharing import WeightSharing
from dstbench.metrics.live_paths import find_live_paths
from dstbench.models.resnet import ResNet20, ResNet34


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
def test_random_networks(seed, image, **settings):
    model = random_net(seed, image=image, **settings)
    assert_same(*compare(model, image))


def test_a_dead_layer_leaves_constant_logits():
    model = random_net(1)
    with torch.no_grad():
        model[0].weight.zero_()
    program = compile_network(model, (3, 9, 7))
    assert len(program.kind) == program.classes  # nothing is left to compute
    error, wanted, _ = compare(model)
    assert error <= 1e-5
    assert (wanted == wanted[0]).all()


def test_logits_that_are_exactly_zero_stay_so():
    """Else a network that has nothing to say of an image would name a class by rounding."""
    model = random_net(2, strides=(1,), sparsity=0.0)
    with torch.no_grad():
        model[3].conv2.weight.zero_()
        model[3].bn2.bias.fill_(-100.3)  # the last ReLU cuts every channel everywhere
        model[-1].bias.zero_()
    _, wanted, got = compare(model)
    assert (wanted == 0).all() and (got == 0).all()


def test_a_channel_that_no_block_touches_costs_nothing():
    model = random_net(2, strides=(1,), sparsity=0.0, head="flat")
    full = len(compile_network(model, (3, 9, 7)).kind)
    with torch.no_grad():
        model[3].conv2.weight.zero_()
        model[3].bn2.bias.fill_(0.2)
        model[3].bn2.running_mean.zero_()
    less = compile_network(model, (3, 9, 7))
    assert len(less.kind) < full
    assert compare(model)[0] <= 1e-5


def test_a_dead_channel_through_a_padded_convolution_gives_a_border():
    conv1, conv2 = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 3, padding=1, bias=False)
    with torch.no_grad():
        conv1.weight.zero_()
        conv1.bias.fill_(2.0)
        conv2.weight.fill_(1.0)
    model = nn.Sequential(conv1, conv2, nn.Flatten()).eval()
    got = Network(compile_network(model, (1, 3, 3)), 1)(np.zeros((1, 1, 3, 3), np.float32))
    assert got.reshape(3, 3).tolist() == [[8, 12, 8], [12, 18, 12], [8, 12, 8]]


def test_shared_weights_are_stored_once():
    _, state = started(tiny_resnet(depths=(4, 4)), [WeightSharing(), ERK(0.6)])
    shared = compile_network(state.model.eval(), IMAGE)
    uses = int((shared.weight > 0).sum())
    assert len(shared.weights) < uses
    images = torch.randn(4, *IMAGE)
    with torch.no_grad():
        wanted = state.model(images).numpy()
    assert np.allclose(Network(shared, 1)(images.numpy()), wanted, rtol=1e-4, atol=1e-5)


def test_the_model_is_left_alone():
    model = random_net(3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    compile_network(model, (3, 9, 7))
    assert all((before[name] == tensor).all() for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("model, image, sparsity", [(ResNet20, (3, 32, 32), 0.97),
                                                   (ResNet34, (3, 32, 32), 0.9995),
                                                   (ResNet20, (1, 8, 8), 0.9)])  # fmt: skip
def test_the_worst_case_has_every_weight_on_a_path_and_compiles_exactly(model, image, sparsity):
    network, masks = worst_case(model, sparsity, seed=1, image_shape=image)
    assert find_live_paths(network, masks, image).fraction == 1
    _, state = started(model(10, image[0]), [ERK(sparsity)])
    assert masks.counts() == state.masks.counts()
    assert compare(network, image, 3, threads=2)[0] <= 1e-4


# --- refusals -------------------------------------------------------------------------------------


def test_a_dense_offset_is_refused():
    _, state = started(tiny_resnet(), [DCTpS(), ERK(0.5)])
    with pytest.raises(UserError, match=r"DCTConv2d at stem\.conv1 .*--dense"):
        compile_network(state.model, IMAGE)


def test_a_dynamic_activation_is_refused_until_it_is_phased_out():
    method, state = started(tiny_resnet(), [DyReLUPhasing(), ERK(0.5)])
    with pytest.raises(UserError, match=r"DyReLU at .* not a plain ReLU yet"):
        compile_network(state.model, IMAGE)
    method.finish(state)
    assert compare(state.model.eval(), IMAGE)[0] <= 1e-4


@pytest.mark.parametrize(
    "layer, says",
    [(nn.Sigmoid(), "Sigmoid at 1"), (nn.GroupNorm(1, 4), "GroupNorm at 1"),
     (nn.BatchNorm2d(4, track_running_stats=False), "running statistics"),
     (nn.AdaptiveAvgPool2d(5), "adaptive pooling of 9 pixels to 5")],
)  # fmt: skip
def test_what_cannot_be_compiled_is_named(layer, says):
    model = nn.Sequential(nn.Conv2d(3, 4, 1), layer, nn.Flatten()).eval()
    with pytest.raises(UserError, match=says):
        compile_network(model, (3, 9, 9))
