"""The interpreter in numpy computes what the compiled one does."""

import numpy as np
import pytest
from helpers.deploy_networks import IMAGE, noise, random_net
from helpers.guarded_networks import INTERPRETERS, assert_close
from helpers.handmade_networks import MAXIMUM, SAMPLE, Operation, handmade, mean_of

from dstbench.deployment.compiler.compile import compile_network
from dstbench.deployment.runtime.network import Network
from dstbench.deployment.runtime.program_file import read

ABOUT = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}


def both(program):
    return [Network(program, 1, INTERPRETERS[name]) for name in ("numpy", "numba")]


@pytest.mark.parametrize("pool", ["none", "max", "ceil", "mean"])
@pytest.mark.parametrize("shared", [False, True])
def test_logits_are_those_of_the_compiled_interpreter(pool, shared):
    for sparsity, head in ((0.7, "mean"), (0.2, "flat")):
        model = random_net(3, pool=pool, shared=shared, sparsity=sparsity, head=head)
        ours, theirs = both(compile_network(model, IMAGE))
        for count in (1, 2, 5, 150):
            images = noise(count, seed=count).numpy()
            assert_close(ours(images), theirs(images))


def test_bytes_are_normalised_as_by_the_compiled_interpreter():
    ours, theirs = both(compile_network(random_net(5), IMAGE, ABOUT))
    pixels = np.random.default_rng(0).integers(0, 256, (70, 9, 7, 3)).astype(np.uint8)
    assert_close(ours(pixels), theirs(pixels))


@pytest.mark.parametrize("pool", ["none", "max", "ceil", "mean"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.filterwarnings("error")
def test_nan_and_infinity_of_one_image_reach_the_same_logits(pool, value):
    ours, theirs = both(compile_network(random_net(2, pool=pool, sparsity=0.2), IMAGE))
    images = noise(6).numpy()
    clean = ours(images)
    images[3, :, 2, 2] = value
    for _ in range(2):  # the second time in a workspace that held them
        logits = ours(images)
        assert_close(logits, theirs(images))
        others = np.arange(6) != 3
        assert (logits[others] == clean[others]).all()


@pytest.mark.parametrize(
    "operation",
    [
        Operation(MAXIMUM, (4, 7), [(0, (0, 0))], (2, 0), (3, 1), (3, 2)),
        Operation(MAXIMUM, (1, 1), [(0, (0, 0))], (0, 0), (1, 1), (100, 100)),
        Operation(SAMPLE, (5, 3), [(0, (0, 0))], (-2, 1), (3, 2)),
        Operation(SAMPLE, (2, 2), [(0, (0, 0))], (-40, -1), (50, 9)),
    ],
)
def test_windows_and_samples_across_borders_are_those_of_the_compiled_interpreter(
    tmp_path, operation
):
    path = tmp_path / "network.dst"
    path.write_bytes(handmade((1, 9, 8), [operation, mean_of(1)]))
    ours, theirs = both(read(path))
    images = noise(5, (1, 9, 8)).numpy() - 3  # below zero, which is what surrounds planes
    assert_close(ours(images), theirs(images))
