"""Checkpoints: two generations, damage found and named, nothing executed on loading."""

import os
import pickle

import pytest
import torch

from dstbench.errors import UserError
from dstbench.recording.file_names import CHECKPOINTS
from dstbench.training import checkpoint


def payload(step):
    return {"state": {"step": step, "w": torch.arange(5.0) * step, "curves": [{"epoch": 1}]}}


def newest(folder):
    return max((folder / n for n in CHECKPOINTS), key=checkpoint._generation)


def test_load_returns_the_newest_checkpoint(tmp_path):
    for step in range(1, 5):
        checkpoint.save(tmp_path, payload(step))
        loaded, messages = checkpoint.load(tmp_path)
        assert loaded["state"]["step"] == step and not messages
        assert torch.equal(loaded["state"]["w"], torch.arange(5.0) * step)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(CHECKPOINTS)


def test_load_returns_none_without_checkpoints(tmp_path):
    assert checkpoint.load(tmp_path) == (None, [])


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "foreign"])
def test_load_names_a_damaged_checkpoint_and_uses_the_older(tmp_path, damage):
    checkpoint.save(tmp_path, payload(1))
    checkpoint.save(tmp_path, payload(2))
    victim = newest(tmp_path)
    data = bytearray(victim.read_bytes())
    if damage == "truncate":
        data = data[:-1]
    elif damage == "flip":
        data[len(data) // 2] ^= 1
    elif damage == "empty":
        data = b""
    else:
        data = b"PK\x03\x04 something else"
    victim.write_bytes(data)
    loaded, messages = checkpoint.load(tmp_path)
    assert loaded["state"]["step"] == 1
    # A file that is no checkpoint at all sorts behind, so it need not even be looked at.
    if damage in ("truncate", "flip"):
        assert len(messages) == 1 and str(victim) in messages[0]


def test_load_returns_none_when_both_are_damaged(tmp_path):
    checkpoint.save(tmp_path, payload(1))
    checkpoint.save(tmp_path, payload(2))
    for name in CHECKPOINTS:
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:100])
    loaded, messages = checkpoint.load(tmp_path)
    assert loaded is None and len(messages) == 2


def test_save_replaces_the_damaged_checkpoint(tmp_path):
    checkpoint.save(tmp_path, payload(1))
    checkpoint.save(tmp_path, payload(2))
    newest(tmp_path).write_bytes(b"")
    checkpoint.save(tmp_path, payload(3))
    loaded, _ = checkpoint.load(tmp_path)
    assert loaded["state"]["step"] == 3


def test_load_executes_no_code(tmp_path):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    torch_file = tmp_path / "trap.pt"
    torch.save({"state": Trap()}, torch_file)
    body = memoryview(torch_file.read_bytes())
    header = b"dstbench checkpoint 1 generation %012d\n" % 7
    (tmp_path / CHECKPOINTS[0]).write_bytes(header + checkpoint._digest(body) + bytes(body))
    with pytest.raises(pickle.UnpicklingError):
        checkpoint.load(tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_save_names_a_folder_that_cannot_be_written(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(UserError, match="file"):
        checkpoint.save(blocked, payload(1))
