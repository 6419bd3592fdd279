"""What is no path, and no text, is refused in one message by every function of the interface."""

from pathlib import Path

import pytest

import dstbench
from dstbench.api.given_paths import optional_path, path_of


def test_texts_and_paths_are_paths():
    assert path_of("runs", "a/b") == path_of("runs", Path("a/b")) == Path("a/b")
    assert optional_path("cache", None) is None


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: dstbench.sweep("cifar10_tiny", runs=3), "runs = 3"),
        (lambda: dstbench.sweep("cifar10_tiny", data_root=3), "data_root = 3"),
        (lambda: dstbench.sweep("cifar10_tiny", published=["board"]), r"published = \['board'\]"),
        (lambda: dstbench.sweep("cifar10_tiny", only=3), "only = 3"),
        (lambda: dstbench.sweep("cifar10_tiny", only=[3]), r"only = \[3\]"),
        (lambda: dstbench.run("rigl", data_root=3), "data_root = 3"),
        (lambda: dstbench.run("rigl", cache=True, epochs=1), "cache = True"),
        (lambda: dstbench.load("run", runs=3), "runs = 3"),
        (lambda: dstbench.deploy("run", data_root=3), "data_root = 3"),
        (lambda: dstbench.leaderboard(out=3), "out = 3"),
        (lambda: dstbench.leaderboard(runs=3), "runs = 3"),
    ],
)
def test_what_is_no_path_is_refused(call, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(dstbench.UserError, match=words):
        call()
    assert not [*tmp_path.iterdir()]
