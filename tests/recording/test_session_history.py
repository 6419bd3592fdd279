"""Session history: differences are listed, changed plugins are refused."""

import json

import pytest
from helpers.forked import dstbench
from helpers.plugin_method import plugin_class, plugin_gin

from dstbench.errors import UserError
from dstbench.recording import session_history

NOW = {
    "versions": {"torch": "2.15", "python": "3.11"}, "device": "cpu", "cpu": "A", "threads": 1,
    "processes": 1, "commit": "abc", "dirty": False, "command": ["dstbench"],
}  # fmt: skip


def test_session_entry_omits_command():
    kept = session_history.session_entry(NOW, 5.0)
    assert kept["started"] == 5.0 and "command" not in kept
    assert session_history.differences(kept, session_history.session_entry(NOW, 6.0)) == []


def test_differences_are_listed_by_name():
    before = NOW | {"threads": 4, "versions": {"torch": "2.14", "numpy": "2"}}
    assert session_history.differences(before, NOW) == [
        "threads 4 → 1", "numpy 2 → None", "python None → 3.11", "torch 2.14 → 2.15",
    ]  # fmt: skip


def test_refuse_changed_plugins_compares_common_files(tmp_path):
    file = tmp_path / "own.py"
    file.write_text("x = 1")
    before = session_history.plugin_hashes([file])
    session_history.refuse_changed_plugins(before, session_history.plugin_hashes([file]), tmp_path)
    session_history.refuse_changed_plugins({}, before, tmp_path)
    file.write_text("x = 2")
    with pytest.raises(UserError, match=r"own\.py.*--fresh"):
        session_history.refuse_changed_plugins(
            before, session_history.plugin_hashes([file]), tmp_path
        )


PLUGIN, GIN = plugin_class("Historic"), plugin_gin("Historic")


@pytest.mark.slow
def test_run_with_changed_plugin_does_not_resume(tmp_path, call):
    plugin, gin = tmp_path / "historic.py", tmp_path / "historic.gin"
    plugin.write_text(PLUGIN)
    gin.write_text(GIN)
    argv = (
        "run", str(gin), "--plugin", str(plugin), "--tracking", "off", "--set", "Run.epochs=2",
        "--set", "ResNet20.width=4", "--runs", str(tmp_path / "runs"), "--device", "cpu",
    )  # fmt: skip
    assert call(*argv)[0] == 0
    (record,) = tmp_path.glob("runs/*/record.json")
    provenance = json.loads(record.read_text())["provenance"]
    assert (
        provenance["plugins"] == session_history.plugin_hashes([plugin])
        and len(provenance["history"]) == 1
    )
    plugin.write_text(PLUGIN.replace("at random", "somewhere"))
    code, _, errors = call(*argv)
    assert code == 2 and "has changed since it was loaded" in errors  # in this process
    again = dstbench(*argv)
    assert again.wait() == 2 and "historic.py" in again.errors and "--fresh" in again.errors
    assert dstbench(*argv, "--fresh").wait() == 0


def test_changed_engine_is_listed_and_older_sessions_ran_torch():
    older = session_history.session_entry(NOW, 5.0)
    del older["engine"]
    native = session_history.session_entry(NOW, 6.0, "native")
    assert session_history.differences(older, session_history.session_entry(NOW, 6.0)) == []
    assert session_history.differences(older, native) == ["engine torch → native"]
