"""The cache of compiled kernels: its key covers the files that they are compiled from."""

from pathlib import Path

from dstbench.native import entry_points


def test_files_with_compiled_code_are_part_of_the_key_of_the_cache():
    known = {Path(module.__file__).name for module in entry_points._COMPILED}
    files = Path(entry_points.__file__).parent.glob("*.py")
    assert {f.name for f in files if "from numba" in f.read_text()} <= known
