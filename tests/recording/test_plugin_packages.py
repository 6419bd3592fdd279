"""Plugin packages of a run: only those it imports, hashed with their gin files."""

import importlib
import sys

import pytest

from dstbench.recording.plugin_packages import used_packages


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package `outsider_methods`; return its folder."""
    info = tmp_path / "outsider-2.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outsider\nVersion: 2.5\n")
    (info / "entry_points.txt").write_text(
        "[dstbench.methods]\none = outsider_methods.one\ntwo = outsider_methods.two\n"
    )
    folder = tmp_path / "outsider_methods"
    (folder / "gin").mkdir(parents=True)
    for name in ("__init__.py", "one.py", "two.py", "gin/one.gin"):
        (folder / name).write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield folder
    for name in [n for n in sys.modules if n.startswith("outsider_methods")]:
        del sys.modules[name]


def test_used_packages_are_those_that_the_run_imports(package):
    assert used_packages("import dstbench.methods.rigl\nRun.seed = 0\n") == {}
    (found,) = used_packages("import outsider_methods.one\n").items()
    assert found[0] == "outsider" and found[1]["version"] == "2.5"


@pytest.mark.parametrize("file", ["one.py", "two.py", "gin/one.gin", "new.py"])
def test_package_hash_changes_with_its_code_and_gin_files(package, file):
    text = "import outsider_methods.one\n"
    before = used_packages(text)["outsider"]["sha256"]
    (package / "notes.txt").write_text("not code")
    assert used_packages(text)["outsider"]["sha256"] == before
    (package / file).write_text("# changed\n")
    assert used_packages(text)["outsider"]["sha256"] != before
