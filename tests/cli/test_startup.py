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


def test_commands_that_train_nothing_import_no_torch():
    commands = ("data", "doctor", "leaderboard", "list", "new", "plot", "sync", "validate")
    code = (
        "import importlib, sys\n"
        f"for name in {commands}:\n"
        "    importlib.import_module(f'dstbench.cli.commands.{name}')\n"
        "    if 'torch' in sys.modules: sys.exit(name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
