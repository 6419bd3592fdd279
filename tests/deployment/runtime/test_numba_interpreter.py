"""numba's cache on disk never holds compiled code of other source."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.deploy_networks import random_net

import dstbench
from dstbench.deployment.compiler.compile import compile_network
from dstbench.deployment.runtime.program_file import write_bytes

RUN = """
import numpy as np
from dstbench.deployment import load
from dstbench.deployment.runtime import numba_interpreter as interpreter
print(load("network.dst", 1)(np.ones((1, 1, 4, 4), np.float32))[0].tolist())
print(sum(interpreter.infer.stats.cache_hits.values()))
"""


@pytest.fixture
def installed(tmp_path):
    """A folder with a copy of the package and a network."""
    shutil.copytree(
        Path(dstbench.__file__).parent,
        tmp_path / "dstbench",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    model = random_net(0, strides=(), image=(1, 4, 4))
    (tmp_path / "network.dst").write_bytes(write_bytes(compile_network(model, (1, 4, 4))))
    return tmp_path


CHANGES = (
    ("compiled/vectors.py", "builder.fmul(x, y", "builder.fadd(x, y"),
    ("deployment/runtime/simd.py", "(coefficient, x, ", "(coefficient, coefficient, "),
    ("deployment/runtime/kernels.py", "out[b, c] = work[", "out[b, c] = 2 * work["),
)


@pytest.mark.slow
def test_interpreter_is_compiled_again_after_each_change_of_source(installed):
    def run():
        command = [sys.executable, "-c", RUN]
        done = subprocess.run(command, capture_output=True, text=True, cwd=installed)
        assert done.returncode == 0, done.stderr
        logits, hits = done.stdout.splitlines()
        return logits, int(hits)

    first, hits = run()
    assert hits == 0
    assert run() == (first, 1)
    for module, old, new in CHANGES:
        path = installed / "dstbench" / module
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))
        changed, hits = run()
        assert changed != first and hits == 0
        first = changed
