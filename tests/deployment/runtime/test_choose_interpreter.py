"""Networks load with numpy alone, and then say once that numba is missing."""

import pytest
from helpers.blocked_imports import run_with
from helpers.deploy_networks import IMAGE, noise, random_net

from dstbench.deployment.compiler.compile import compile_network
from dstbench.deployment.runtime.network import Network
from dstbench.deployment.runtime.program_file import write_bytes

CODE = """
import numpy as np
from dstbench.deployment import load
for _ in range(3):
    network = load(sys.argv[1])
np.save(sys.argv[3], network(np.load(sys.argv[2])))
"""
WITH_NUMBA = ["dstbench", "numpy", "numba", "llvmlite"]


@pytest.mark.parametrize("packages", [["dstbench", "numpy"], WITH_NUMBA], ids=["numpy", "numba"])
def test_network_needs_numpy_or_numpy_and_numba_only(tmp_path, packages):
    import numpy as np

    program = compile_network(random_net(5), IMAGE)
    (tmp_path / "network.dst").write_bytes(write_bytes(program))
    np.save(tmp_path / "images.npy", noise(4).numpy())
    files = [tmp_path / name for name in ("network.dst", "images.npy", "logits.npy")]
    done = run_with(packages, CODE, *files)
    assert done.returncode == 0, done.stderr
    expected = Network(program, 1)(noise(4).numpy())
    assert np.allclose(np.load(files[2]), expected, rtol=1e-5, atol=1e-5)
    assert done.stderr.count("pip install numba") == ("numba" not in packages)
    if "numba" not in packages:
        assert "<string>" in done.stderr  # the note is about the line of the user's that loads
        assert "(No module named 'numba')" in done.stderr
