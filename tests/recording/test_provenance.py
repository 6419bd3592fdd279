"""Provenance, with real git checkouts."""

import json
import subprocess

import pytest

from dstbench.recording import provenance as source


@pytest.fixture
def checkout(tmp_path):
    """Return a git checkout with one commit of code, and a function that calls git in it."""

    def git(*words):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        command = ["git", *identity, "-C", str(tmp_path), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "rigl.py").write_text("1\n")
    (tmp_path / "README.md").write_text("a\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    return tmp_path, git


def test_checkout_returns_head_and_clean(checkout):
    root, git = checkout
    assert source.checkout(root) == (git("rev-parse", "HEAD"), False)


def test_checkout_is_dirty_only_for_changed_code(checkout):
    root, _ = checkout
    (root / "README.md").write_text("b\n")
    (root / "notes.txt").write_text("c\n")
    assert source.checkout(root)[1] is False
    (root / "methods" / "new.py").write_text("2\n")
    assert source.checkout(root)[1] is True
    (root / "methods" / "new.py").unlink()
    (root / "methods" / "rigl.py").write_text("3\n")
    assert source.checkout(root)[1] is True


def test_checkout_ignores_git_dir_variable(checkout, monkeypatch, tmp_path_factory):
    root, git = checkout
    head = git("rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(tmp_path_factory.mktemp("elsewhere")))
    assert source.checkout(root) == (head, False)


def test_checkout_is_none_without_checkout_commit_or_git(checkout, tmp_path_factory, monkeypatch):
    empty = tmp_path_factory.mktemp("empty")
    assert source.checkout(empty) == (None, None)
    subprocess.run(["git", "init", "-q", str(empty)], check=True)
    assert source.checkout(empty) == (None, None)
    monkeypatch.setenv("PATH", str(empty))
    assert source.checkout(checkout[0]) == (None, None)


def test_code_version_of_installed_package_is_that_of_its_build(tmp_path):
    package = tmp_path / "dstbench"
    package.mkdir()
    assert source.code_version(package) == (None, None)
    (package / source.COMMIT_FILE).write_text('{"commit": "c09d", "dirty": false}')
    assert source.code_version(package) == ("c09d", False)
    (package / source.COMMIT_FILE).write_text("[")
    assert source.code_version(package) == (None, None)


def test_code_version_of_checkout_is_that_of_git(checkout):
    root, git = checkout
    (root / "dstbench").mkdir()
    (root / "dstbench" / source.COMMIT_FILE).write_text('{"commit": "old", "dirty": false}')
    assert source.code_version(root / "dstbench")[0] == git("rev-parse", "HEAD")


def example(**changes):
    settings = {
        "command": ["dstbench", "run"],
        "device": "cpu",
        "threads": 2,
        "dataset_sha256": "d161",
        "sessions": 1,
        "before": None,
    }
    return source.collect_provenance(**settings | changes)


def test_provenance_is_json_and_describes_machine():
    found = example()
    assert json.loads(json.dumps(found)) == found
    assert {"python", "dstbench", "torch", "numpy"} <= found["versions"].keys()
    assert found["cpu"] and found["platform"]


def test_provenance_keeps_start_and_attempt_when_resumed():
    first = example()
    resumed = example(sessions=2, before=first)
    fresh = example()
    assert (resumed["started"], resumed["attempt"]) == (first["started"], first["attempt"])
    assert resumed["sessions"] == 2
    assert fresh["attempt"] != first["attempt"]


def test_provenance_removes_passwords():
    found = example(command=["dstbench", "--tracking", "https://me:secret@host:5000/a"])
    assert found["command"][-1] == "https://***@host:5000/a"


@pytest.mark.parametrize(
    "word, kept",
    [
        ("/home/me/secret/runs", "…/runs"),
        ("--runs=/home/me/runs", "--runs=…/runs"),
        ("~/runs", "…/runs"),
        ("~me/deep/runs/", "…/runs"),
        ("methods/rigl.gin", "methods/rigl.gin"),
        (
            "StartingNetwork.file='/home/me/secret/network.pt'",
            "StartingNetwork.file='…/network.pt'",
        ),
        ("Mine.files = ['/a/b/c', \"/d/e\"]", "Mine.files = ['…/c', \"…/e\"]"),
        ("sqlite:////home/me/mlflow.db", "sqlite:///…/mlflow.db"),
        ("--tracking=sqlite:////home/me/mlflow.db", "--tracking=sqlite:///…/mlflow.db"),
        ("--tracking=https://host:5000/a/b", "--tracking=https://host:5000/a/b"),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("RigL.drop_fraction=0.3", "RigL.drop_fraction=0.3"),
    ],
)
def test_without_folder_shortens_absolute_paths(word, kept):
    assert source.without_folder(word) == kept
