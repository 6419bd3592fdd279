"""The names that a method's author imports from dstbench."""

import importlib
import subprocess
import sys

import pytest

import dstbench


def test_import_dstbench_imports_nothing_heavy():
    code = (
        "import dstbench, sys; "
        "print([m for m in ('torch', 'numpy', 'gin', 'dstbench.core') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", dstbench.__all__)
def test_lazy_name_is_its_modules_own(name):
    value = getattr(dstbench, name)
    assert name in dir(dstbench)
    assert value is getattr(importlib.import_module(value.__module__), name)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'dstbench' has no attribute 'Masked'"):
        _ = dstbench.Masked
    assert not hasattr(dstbench, "masked")


def test_without_posix_a_command_says_what_is_needed():
    code = (
        "import sys; sys.modules['fcntl'] = None; "  # as on Windows
        "from dstbench.cli.main import main; main(['run', 'methods/rigl.gin'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("dstbench: dstbench needs a POSIX system")
