"""Writes a compiled network's logits of random images, or compares them with those written before.

python .ci/logits.py MODULE network.dst logits.npy

MODULE is dstbench.deployment or dstbench_runtime.
"""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np

module, file, results = sys.argv[1:]
network = import_module(module).load(file)
images = np.random.default_rng(0).normal(size=(5, *network.image_shape)).astype(np.float32)
logits = network(images)
if Path(results).exists():
    expected = np.load(results)
    assert np.abs(logits - expected).max() <= 1e-5 * np.abs(expected).max()
    assert not {"torch", "dstbench"} & set(sys.modules)
else:
    np.save(results, logits)
