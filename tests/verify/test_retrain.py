"""`verify --retrain`: another attempt is compared, kept beside the first, never instead of it."""

import json
from pathlib import Path

import pytest
from helpers.record_factory import make_record, name_of

from dstbench.boards.badges import Badges
from dstbench.boards.replications import most_retrained, replication_problem
from dstbench.errors import UserError
from dstbench.recording import record as records
from dstbench.recording.stored_network import INLINE_BYTES, stored_network
from dstbench.verify.noise import most_changed, most_gained
from dstbench.verify.retrain import keep

RUN = (
    "methods/rigl.gin", "--set", "Run.epochs=1", "--set", "ResNet20.width=4", "--device", "cpu",
    "--threads", "1", "--tracking", "off", "--quiet",
)  # fmt: skip


def test_limits_follow_the_number_of_images():
    assert most_changed("bf16", "cpu", 10_000) > most_changed("fp32", "cpu", 10_000)
    assert most_changed("fp32", "NVIDIA H100", 10_000) == most_changed("bf16", "cpu", 10_000)
    assert most_changed("fp32", "cpu", 359) == 1
    assert [most_gained(n, 10_000) for n in (0, 1, 9, 232)] == [0, 3, 9, 20]
    assert most_gained(9, 359) == 1
    assert most_retrained(90.0, 100) == pytest.approx(10 * most_retrained(90.0, 10_000))
    assert most_retrained(100.0, 359) == 0


@pytest.mark.parametrize(("again", "differs"), [(90.0, False), (90.5, False), (93.0, True)])
def test_attempt_beyond_the_noise_of_devices_differs(again, differs):
    one, other = make_record(accuracy=90.0), make_record(accuracy=again)
    assert replication_problem(one, one) == "they are one attempt"
    other["provenance"]["attempt"] = "another"
    assert (replication_problem(one, other) is not None) is differs


def test_attempt_at_another_run_is_no_replication():
    assert replication_problem(make_record(), make_record(seed=1)) is not None


def large_network(folder, content):
    """Write the folder of a run whose record has no room for its network; return its record."""
    folder.mkdir()
    stored = stored_network(bytes(INLINE_BYTES + 1), "network.safetensors")
    records.write(folder / "record.json", make_record() | {"network": stored})
    (folder / "network.safetensors").write_bytes(content)
    return folder / "record.json"


def test_replication_is_kept_with_its_network(tmp_path):
    content = bytes(INLINE_BYTES + 1)
    run = large_network(tmp_path / "run", content)
    kept = keep(run, tmp_path / "first.json", tmp_path / "board")
    assert kept.read_bytes() == run.read_bytes()
    network = tmp_path / "board" / "networks" / f"{kept.stem}.safetensors"
    assert network.read_bytes() == content


def test_replication_with_another_network_than_its_records_is_not_kept(tmp_path):
    run = large_network(tmp_path / "run", bytes(INLINE_BYTES))
    with pytest.raises(UserError, match="network"):
        keep(run, tmp_path / "first.json", tmp_path / "board")
    assert not (tmp_path / "board").exists()


@pytest.mark.slow
def test_retrained_run_is_kept_beside_the_first(tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    assert call("run", *RUN)[0] == 0
    (first,) = Path("runs").glob("*/record.json")
    record = records.read(first)
    path = Path("leaderboard/records") / f"{name_of(record)}.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(before := first.read_bytes())
    network = Path("leaderboard/networks") / f"{path.stem}.safetensors"
    network.parent.mkdir()
    if "file" in record["network"]:
        network.write_bytes((first.parent / record["network"]["file"]).read_bytes())
    options = ("--threads", "1", "--device", "cpu")
    code, out, err = call("verify", "--retrain", str(path), *options)
    assert code == 2 and "holds the record's own run" in err
    code, out, err = call("verify", "--retrain", "--write", str(path), "--runs", "again", *options)
    assert code == 0 and "retrained: again/" in out, (out, err)
    (replication,) = Path("leaderboard/replications").glob("*.json")
    attempt = json.loads(replication.read_text())["provenance"]["attempt"]
    assert attempt != record["provenance"]["attempt"] and path.read_bytes() == before
    assert call("verify", str(path), "--write", "--threads", "1")[0] == 0
    assert Badges(Path("leaderboard")).of(record, before) == "retrained elsewhere"
