"""The suite's promises hold under `python -O`, which removes `assert`."""

import ast
import subprocess

from dstbench.config.shipped_files import PACKAGE
from dstbench.utils.processes import environment, python

METHOD = """
import torch
from dstbench import DropGrow, register

@register("parts")
class Negative(DropGrow):
    def grow_score(self, state, name):
        return -torch.ones(state.masks.parameters[name].numel())
"""
GIN = """
Run.method = @Method()
Method.name = 'Negative'
Method.parts = [@ERK(), @Negative()]
ERK.sparsity = %sparsity
Negative.update_interval = 3
"""
CHECK = """
from pathlib import Path
from dstbench.conformance import suite
suite.CHECKS = {name: suite.CHECKS[name] for name in suite.CHECKS if "scores" in name}
(result,) = suite.run_checks("negative.gin", (Path("negative.py"),), ("SGD",))
print(__debug__, result.passed, result.detail)
"""


def test_suite_refuses_a_method_without_assertions(tmp_path):
    (tmp_path / "negative.py").write_text(METHOD)
    (tmp_path / "negative.gin").write_text(GIN)
    command = [python("")[0], "-P", "-O", "-c", CHECK]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300
    )
    assert done.stdout.startswith("False False the score of"), done.stderr


def test_suite_has_no_assertions():
    for path in sorted((PACKAGE / "conformance").glob("*.py")):
        found = [n for n in ast.walk(ast.parse(path.read_bytes())) if isinstance(n, ast.Assert)]
        assert not found, f"{path}:{found[0].lineno}: python -O removes it; raise ConformanceError"
