"""The cache of compiled kernels: its key covers all files that they may be compiled from."""

from types import ModuleType

from dstbench.compiled.kernel_cache import source_hash


def test_a_file_that_changes_or_is_new_changes_the_key(tmp_path):
    package = ModuleType("kernels")
    package.__path__ = [str(tmp_path)]
    (tmp_path / "loops.py").write_text("a = 1\n")
    first = source_hash(package)
    assert source_hash(package) == first
    (tmp_path / "loops.py").write_text("a = 2\n")
    second = source_hash(package)
    (tmp_path / "sums.py").write_text("b = 1\n")
    third = source_hash(package)
    assert len({first, second, third}) == 3
