"""Pages of small networks, and the mark of tests that need a C compiler for WebAssembly."""

import numpy as np
import pytest

from dstbench.deployment.compiler.compile import compile_network
from dstbench.deployment.web.samples import Sample
from dstbench.deployment.web.wasm import compiler
from dstbench.errors import UserError
from helpers.deploy_networks import random_net


def _has_compiler() -> bool:
    try:
        compiler()
    except UserError:
        return False
    return True


needs_compiler = pytest.mark.skipif(
    not _has_compiler(), reason="needs a C compiler for WebAssembly (pip install ziglang)"
)


def small_program(channels=3, **settings):
    """Return the program of a small random network with names, mean and deviation."""
    image = (channels, 9, 7)
    about = {
        "method": "<Random> & small",
        "model": "Net",
        "dataset": "noise",
        "classes": ["one", "two", "th<r>ee"],
        "mean": [0.4, 0.5, 0.6][:channels],
        "std": [0.2, 0.25, 0.3][:channels],
        "sparsity": 0.7,
        "accuracy": 33.3,
    }
    return compile_network(random_net(3, image=image, sparsity=0.4, **settings), image, about)


def noise_samples(program, count=4):
    """Return random images as samples."""
    channels, height, width = program.image_shape
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, height, width, channels), np.uint8)
    return [Sample(image, i % program.classes, i) for i, image in enumerate(pixels)]
