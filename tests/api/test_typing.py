"""A user's program is checked by mypy against the interface (`py.typed`)."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

PROGRAM = """
import dstbench
from torch import Tensor


@dstbench.register("parts")
class Mine(dstbench.DropGrow):
    def grow_score(self, state: dstbench.State, name: str) -> Tensor:
        gradient = dstbench.gradient_of(state.masks.parameters[name])
        assert gradient is not None
        return gradient.abs()


result = dstbench.run("rigl", sparsity=0.99, seed=1, set={"RigL.drop_fraction": 0.3})
accuracy: float | None = result.accuracy
loss = result.curves()["train_loss"]
network = result.network(best=True)
masks: dstbench.Masks = network.masks
rows: int = len(dstbench.records("runs"))
dstbench.run(Mine, epochs=3)
macs: int = dstbench.cost("rigl", sparsity=0.9).macs
"""


def check(tmp_path: Path, text: str) -> subprocess.CompletedProcess:
    (tmp_path / "program.py").write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "program.py"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)


@pytest.mark.slow
def test_typed_program_is_accepted_and_a_wrong_one_is_not(tmp_path):
    good = check(tmp_path, PROGRAM)
    assert good.returncode == 0, good.stdout
    bad = check(tmp_path, PROGRAM + 'dstbench.run("rigl", sparsty=0.9)\n')
    assert 'Unexpected keyword argument "sparsty"' in bad.stdout
