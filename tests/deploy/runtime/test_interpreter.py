"""Compiled code that numba keeps on disk is never that of other source."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.deploy_networks import random_net

import dstbench
from dstbench.deploy.compiler.compile import compile_network
from dstbench.deploy.runtime.program_file import write_bytes

RUN = """
import numpy as np
from dstbench.deploy import kernel, load
print(load("network.dst", 1)(np.ones((1, 1, 4, 4), np.float32))[0].tolist())
print(sum(kernel.infer.stats.cache_hits.values()))
"""


@pytest.fixture
def installed(tmp_path):
    """A folder with a copy of what running a network needs, and a network."""
    source = Path(dstbench.__file__).parent
    to = tmp_path / "dstbench"
    shutil.copytree(source / "deploy", to / "deploy", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "cores.py", "errors.py"):
        shutil.copy(source / name, to)
    model = random_net(0, strides=(), image=(1, 4, 4))
    (tmp_path / "network.dst").write_bytes(write_bytes(compile_network(model, (1, 4, 4))))
    return tmp_path


def test_a_change_in_any_file_compiles_anew(installed):
    def run():
        command = [sys.executable, "-c", RUN]
        done = subprocess.run(command, capture_output=True, text=True, cwd=installed)
        assert done.returncode == 0, done.stderr
        logits, hits = done.stdout.splitlines()
        return logits, int(hits)

    first, hits = run()
    assert hits == 0
    assert run() == (first, 1)
    vectors = installed / "dstbench" / "deploy" / "vectors.py"
    text = vectors.read_text()
    assert text.count("builder.fmul(coefficient") == 1
    vectors.write_text(text.replace("builder.fmul(coefficient", "builder.fadd(coefficient"))
    other, hits = run()
    assert other != first and hits == 0
