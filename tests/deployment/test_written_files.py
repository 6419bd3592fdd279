"""A deployment takes the place of an earlier one, and of nothing else."""

import pytest
from helpers.record_factory import make_record

from dstbench.deployment.written_files import write_files
from dstbench.errors import UserError


def written(out, record, *names):
    about = {
        "method": "RigL", "model": "ResNet34", "dataset": "cifar10", "sparsity": 0.99,
        "accuracy": record["accuracy"]["test_final"], "epoch": "final epoch",
        "image_shape": [3, 32, 32], "classes": ["a", "b"], "mean": [0.5], "std": [0.5],
    }  # fmt: skip
    return write_files(record, about, {name: b"x" for name in names}, out)


@pytest.mark.parametrize("name", ["README.md", "network.c", "network.html"])
def test_file_that_no_deployment_wrote_is_kept(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(UserError, match=f"has {name}, which no deployment wrote"):
        written(tmp_path, make_record(), "network.dst")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_deployment_that_was_stopped_can_be_repeated(tmp_path, monkeypatch):
    write = write_files.__globals__["write_atomic"]

    def stopped(path, content):
        if path.name == "network.c":
            raise KeyboardInterrupt
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr("dstbench.deployment.written_files.write_atomic", stopped)
        with pytest.raises(KeyboardInterrupt):
            written(tmp_path, make_record(), "network.c", "network.dst")
    assert {path.name for path in tmp_path.iterdir()} == {"README.md", "network.dst"}
    assert written(tmp_path, make_record(), "network.c", "network.dst").removed == ()


def test_files_of_an_earlier_deployment_are_removed_by_name(tmp_path):
    assert written(tmp_path, make_record(), "network.dst", "network.c").removed == ()
    done = written(tmp_path, make_record(seed=1), "network.dst")
    assert done.removed == ("network.c",) and set(done.files) == {"network.dst", "README.md"}
    assert not (tmp_path / "network.c").exists()
    (tmp_path / "network.h").write_text("mine")
    with pytest.raises(UserError, match=r"has network\.h, which no deployment wrote"):
        written(tmp_path, make_record(seed=2), "network.dst")
