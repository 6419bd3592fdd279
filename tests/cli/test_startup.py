"""Start of the command line."""

import subprocess
import sys


def test_help_imports_nothing_heavy():
    heavy = ("torch", "torchvision", "mlflow", "pandas", "sklearn", "numpy", "rich", "pyarrow")
    code = (
        "import dstbench.cli.main, dstbench.cli.parser, sys; "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
