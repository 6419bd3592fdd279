"""The int8 network: its C equals its simulation, and both are near float32."""

import numpy as np
import pytest
from helpers.c_networks import described, int8_of, library, random_bytes
from helpers.deploy_networks import IMAGE, noise, random_net

from dstbench.deployment.c_export.int8_simulation import int8_logits
from dstbench.deployment.c_export.quantisation import NO_CLIP_INT
from dstbench.deployment.compiler.compile import compile_network
from dstbench.deployment.runtime.network import Network
from dstbench.deployment.verify import relative_error
from dstbench.errors import UserError

NETS = [
    {},
    {"head": "flat", "pool": "max", "bias": False},
    {"shared": True, "pool": "ceil", "sparsity": 0.9},
    {"size": 5, "pool": "mean", "strides": (2,), "sparsity": 0.0},
    {"sparsity": 1.0},
]


def normalised(images):
    about = described()
    scaled = (images / 255 - about["mean"]) / about["std"]
    return scaled.transpose(0, 3, 1, 2).astype(np.float32)


@pytest.mark.parametrize("options", NETS, ids=str)
def test_c_equals_the_simulation_and_is_near_float32(options):
    program = compile_network(random_net(0, **options), IMAGE, described())
    images = random_bytes(64, IMAGE)
    plan, numbers, source = int8_of(program, normalised(images))
    simulated = int8_logits(program, plan.order, numbers, images)
    with library(source) as c:
        assert (c.logits(images, program.classes) == simulated).all()
        assert (c.logits(normalised(images), program.classes) == simulated).all()
    assert relative_error(simulated, Network(program, 1)(images)) < 0.05


def test_images_beyond_the_range_of_calibration_saturate_and_sums_stay_in_32_bits():
    program = compile_network(random_net(3, width=6, sparsity=0.0), IMAGE, described())
    grey = np.full((4, 9, 7, 3), 120, np.uint8)
    plan, numbers, source = int8_of(program, normalised(grey))
    largest = np.abs(numbers.weights) * 2**numbers.doublings * 255
    owner = np.repeat(np.arange(len(program.kind)), program.terms)
    sums = np.abs(numbers.bias).astype(float)
    np.add.at(sums, owner, largest)
    assert sums.max() < 2**31
    images = random_bytes(16, IMAGE)
    with library(source) as c:
        logits = c.logits(images, program.classes)
    assert (logits == int8_logits(program, plan.order, numbers, images)).all()


def test_weights_have_eight_bits_and_clips_fit_the_difference_of_two_pixels():
    program = compile_network(random_net(1), IMAGE, described())
    _, numbers, source = int8_of(program, noise(32).numpy())
    assert np.abs(numbers.weights).max() <= 127
    assert ((numbers.clips == NO_CLIP_INT) | (np.abs(numbers.clips) <= 255)).all()
    assert "int8_t dst_coefficients" in source.source


def test_nan_is_taken_for_black():
    program = compile_network(random_net(0), IMAGE, described())
    _, _, source = int8_of(program, noise(32).numpy())
    images = noise(1).numpy()
    lowest = images.copy()
    images[0, 0, 2, 2], lowest[0, 0, 2, 2] = np.nan, -1e9
    with library(source) as c:
        assert (c.logits(images, 3) == c.logits(lowest, 3)).all()


def test_mean_that_is_no_pixel_is_refused():
    about = described() | {"mean": [1.5, 0.4, 0.3]}
    with pytest.raises(UserError, match="between 0 and 1"):
        int8_of(compile_network(random_net(0), IMAGE, about), noise(2).numpy())
